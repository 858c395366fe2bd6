"""Bounds on what may not end by itself, or may ask for more memory than there is."""

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

WALL_S = 60.0  # the clock is only asked about what waits without working, so it may be generous
AGAIN_S = 1.0  # code that catches everything is told again …
MOST_TOLD = 5  # … and so many times at the most
TIMERS = {
    signal.SIGPROF: (signal.ITIMER_PROF, time.process_time),
    signal.SIGALRM: (signal.ITIMER_REAL, time.monotonic),
}


class Stopwatch:
    """Tells what a thing takes in the seconds that `time_limit` counts: by the clock, or of work on all threads if that is more."""

    def __init__(self) -> None:
        self._begun = time.monotonic(), time.process_time()

    @property
    def seconds(self) -> float:
        clock_s, work_s = self._begun
        return max(time.monotonic() - clock_s, time.process_time() - work_s)


class OutOfTime(BaseException):
    """The time is up. It is no Exception, so that code which goes on after any error does not go on after this."""


@contextmanager
def time_limit(seconds: float, waiting_s: float | None = None) -> Iterator[None]:
    """Raise OutOfTime in what takes longer: in seconds of this process's own work, which a busy machine does not stretch.

    What waits and does not work is ended by the clock, `waiting_s` later, by default a minute. What catches even this is told
    again and again, and then the process ends. A limit around this one goes on. Only a main thread can be limited.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told = 0

    def out_of_time(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told += 1
        if told > MOST_TOLD:
            print(
                f"code that catches everything did not end within {seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
            os._exit(1)
        raise OutOfTime(f"it did not end within {seconds:.0f} s")

    handlers = {number: signal.signal(number, out_of_time) for number in TIMERS}
    begun = {number: now() for number, (_, now) in TIMERS.items()}
    limits = {signal.SIGPROF: seconds, signal.SIGALRM: seconds + (WALL_S if waiting_s is None else waiting_s)}
    earlier = {
        number: signal.setitimer(timer, limits[number], AGAIN_S) for number, (timer, _) in TIMERS.items()
    }
    try:
        yield
    finally:
        for timer, _ in TIMERS.values():
            signal.setitimer(timer, 0)
        for number, (timer, now) in TIMERS.items():
            signal.signal(number, handlers[number])
            left_s, again_s = earlier[number]
            if left_s:
                signal.setitimer(timer, max(left_s - (now() - begun[number]), 0.001), again_s)


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
