"""What torch advises a program, and a lab does on purpose."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

ADVICE = ("This DataLoader will create",)  # more workers than this job has cores


@contextmanager
def without_advice() -> Iterator[None]:
    """Keep such advice off the screen. All other warnings are heard."""
    with warnings.catch_warnings():
        for message in ADVICE:
            warnings.filterwarnings("ignore", message)
        yield
