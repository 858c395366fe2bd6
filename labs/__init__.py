"""PyTorch Deep Dive: 50 labs, each of which proves what it says on your own machine."""

import sys
from types import TracebackType


def _end_quietly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("\ninterrupted\n")
    else:
        sys.__excepthook__(kind, error, trace)


# Only under `python -m labs.…`: Ctrl-C may come while torch is still being imported, before any code of ours can catch it.
if sys.argv[:1] == ["-m"]:
    sys.excepthook = _end_quietly
