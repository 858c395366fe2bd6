"""Stop code that does not end."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

INSISTS_S = 1.0  # code that catches everything is stopped again and again …
STRIKES = 5  # … and after so many times the process ends


class TookTooLong(BaseException):
    """Code ran for longer than it may. No `Exception`, so that `except Exception` in that code lets it through."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it did not end within {seconds:.0f} s")


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TookTooLong in the code below once it has run for so long. Only a main thread can be stopped so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    strikes = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal strikes
        strikes += 1
        if strikes > STRIKES:
            print(
                f"code that catches everything did not end within {seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
            os._exit(1)
        raise TookTooLong(seconds)

    begun, earlier_handler = monotonic(), signal.signal(signal.SIGALRM, stop)
    earlier_s, earlier_interval_s = signal.setitimer(signal.ITIMER_REAL, seconds, INSISTS_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier_handler)
        if earlier_s:  # a limit around this one goes on
            left_s = max(earlier_s - (monotonic() - begun), 0.001)
            signal.setitimer(signal.ITIMER_REAL, left_s, earlier_interval_s)
