"""A bound on what may not end by itself."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class OutOfTime(BaseException):
    """The time is up. It is no Exception, so that code which goes on after any error does not go on after this."""


@contextmanager
def time_limit(cpu_s: float, wall_s: float) -> Iterator[None]:
    """Raise OutOfTime in what takes longer: in seconds of this process's own work, which a busy machine does not stretch, and on the clock.

    It works in the main thread, and leaves alone a signal's handler and an alarm that were there before.
    """
    before = {number: signal.signal(number, _out_of_time) for number in (signal.SIGPROF, signal.SIGALRM)}
    begun = time.monotonic()
    earlier, _ = signal.setitimer(signal.ITIMER_REAL, wall_s)
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        if earlier:
            signal.setitimer(signal.ITIMER_REAL, max(earlier - (time.monotonic() - begun), 0.001))


def _out_of_time(number: int, frame: FrameType | None) -> None:
    raise OutOfTime
