"""Bounds that end what would not end, and leave everything else as it was."""

import contextlib
import signal
import time

import pytest
import torch

from labs.kit.runner.limits import OutOfTime, memory_limit, time_limit


def for_ever() -> None:
    while True:
        with contextlib.suppress(Exception):
            time.monotonic()


def test_an_endless_loop_ends_with_the_time_that_it_had() -> None:
    with pytest.raises(OutOfTime, match="did not end within 0 s"), time_limit(0.2):
        for_ever()


def test_waiting_costs_nothing_and_what_ends_in_time_is_left_alone() -> None:
    with time_limit(0.2):
        time.sleep(0.5)


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
