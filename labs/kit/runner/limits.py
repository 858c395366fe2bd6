"""Bounds on what may not end by itself, or may ask for more memory than there is."""

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

WALL_S = 60.0  # the clock is only asked about what waits without working, so it may be generous


class OutOfTime(BaseException):
    """The time is up. It is no Exception, so that code which goes on after any error does not go on after this."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in what takes longer: in seconds of this process's own work, which a busy machine does not stretch.

    What waits and does not work is ended by the clock, a minute later. Works in the main thread alone, and leaves an alarm that
    was set before as it was.
    """

    def out_of_time(number: int, frame: FrameType | None) -> None:
        raise OutOfTime(f"it did not end within {seconds:.0f} s")

    before = {number: signal.signal(number, out_of_time) for number in (signal.SIGPROF, signal.SIGALRM)}
    begun = time.monotonic()
    earlier, _ = signal.setitimer(signal.ITIMER_REAL, seconds + WALL_S)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        if earlier:
            signal.setitimer(signal.ITIMER_REAL, max(earlier - (time.monotonic() - begun), 0.001))


@contextmanager
def memory_limit(more_bytes: int) -> Iterator[None]:
    """Let an allocation fail that asks for so much more memory than this process has now. Only Linux can."""
    now = getattr(psutil.Process().memory_info(), "data", None)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if now is None or soft != resource.RLIM_INFINITY:
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (now + more_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
