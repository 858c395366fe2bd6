"""Bounds that end what would not end, and leave everything else as it was."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import torch

from labs.kit.runner.limits import OutOfTime, Stopwatch, memory_limit, time_limit


def test_waiting_costs_nothing_and_what_ends_in_time_is_left_alone() -> None:
    with time_limit(0.2):
        time.sleep(0.5)


@pytest.mark.parametrize(("clock_s", "work_s", "taken_s"), [(2.0, 32.0, 32.0), (2.0, 0.5, 2.0)])
def test_a_stopwatch_counts_the_work_of_all_threads_where_that_is_more_than_the_clock(
    monkeypatch: pytest.MonkeyPatch, clock_s: float, work_s: float, taken_s: float
) -> None:
    stopwatch = Stopwatch()
    clock, work = stopwatch._begun
    monkeypatch.setattr(time, "monotonic", lambda: clock + clock_s)
    monkeypatch.setattr(time, "process_time", lambda: work + work_s)
    assert stopwatch.seconds == pytest.approx(taken_s)


def test_what_waits_for_ever_is_ended_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labs.kit.runner.limits.WALL_S", 0.1)
    with pytest.raises(OutOfTime), time_limit(0.1):
        time.sleep(60)


def test_an_alarm_from_before_still_comes() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: came.append(number))
    earlier = signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with time_limit(10):
            pass
        time.sleep(0.6)
    finally:
        signal.setitimer(signal.ITIMER_REAL, *earlier)
        signal.signal(signal.SIGALRM, before)
    assert came == [signal.SIGALRM]


def test_memory_that_is_not_there_is_refused_and_afterwards_there_again() -> None:
    with memory_limit(2**28), pytest.raises(RuntimeError, match="allocate memory"):
        torch.zeros(2**28)
    assert torch.zeros(2**28).numel() == 2**28


def stubborn(*caught: type[BaseException]) -> None:
    """Sleep without end, whatever of these kinds is raised."""
    while True:
        with suppress(*caught):
            time.sleep(0.05)


def distracted() -> None:
    """Catch everything once."""
    with suppress(BaseException):
        time.sleep(10)
    time.sleep(10)


def limited(seconds: float, action: Callable[..., None], *args: Any) -> None:
    with time_limit(seconds, 0.0):
        action(*args)


def test_a_loop_without_end_is_stopped_though_it_catches_exceptions() -> None:
    with pytest.raises(OutOfTime, match="it did not end within 0 s"):
        limited(0.2, stubborn, Exception)


def test_what_catches_everything_once_is_stopped_again() -> None:
    with pytest.raises(OutOfTime):
        limited(0.2, distracted)


def test_what_always_catches_everything_ends_the_process_with_a_sentence() -> None:
    program = """
import time
import labs.kit.runner.limits as limit
limit.AGAIN_S = 0.1
with limit.time_limit(0.2, 0.0):
    while True:
        try:
            time.sleep(5)
        except BaseException:
            pass
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == "code that catches everything did not end within 0 s\n"


def test_a_limit_around_another_goes_on() -> None:
    def inner() -> None:
        with time_limit(30):
            time.sleep(0.1)
        time.sleep(60)

    begun = time.monotonic()
    with pytest.raises(OutOfTime):
        limited(0.3, inner)
    assert time.monotonic() - begun < 30


def test_a_handler_that_was_there_comes_back() -> None:
    def handler(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with time_limit(5):
            pass
        assert signal.getsignal(signal.SIGALRM) is handler
    finally:
        signal.signal(signal.SIGALRM, before)


def test_another_thread_goes_on_without_a_limit() -> None:
    done = []

    def work() -> None:
        with time_limit(0.05):
            time.sleep(0.2)
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
