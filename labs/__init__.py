"""PyTorch Deep Dive: 50 labs, each of which proves what it says on your own machine."""

import os
import signal
import sys

# Ctrl-C while torch is being imported raises in the middle of somebody's module: swallowed there, or an import left in halves.
# So our own commands (`labs`, `python -m labs.…`) simply end on it, until they have imported what they need and can answer it.
_is_own_command = bool(sys.argv) and f"/{sys.argv[0]}".endswith(("/-m", "/labs", "/labs/__main__.py"))
if _is_own_command:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from labs import isolation, streams, switches  # noqa: E402 - even they may be interrupted

if _is_own_command:
    isolation.isolate()
    switches.neutralise()
streams.prepare()

# torch reads this when it is imported. Its C++ warns on every rank where an address has no name, as most have none: no lesson.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
