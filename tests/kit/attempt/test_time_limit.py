"""Code that does not end is stopped."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from labs.kit.attempt.time_limit import TookTooLong, time_limit


def test_code_that_ends_is_left_alone() -> None:
    with time_limit(5):
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 100 or signal.getitimer(signal.ITIMER_REAL)[0] == 0


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
    with time_limit(seconds):
        action(*args)


def test_a_loop_without_end_is_stopped_though_it_catches_exceptions() -> None:
    with pytest.raises(TookTooLong, match="it did not end within 0 s"):
        limited(0.2, stubborn, Exception)


def test_what_catches_everything_once_is_stopped_again() -> None:
    with pytest.raises(TookTooLong):
        limited(0.2, distracted)


def test_what_always_catches_everything_ends_the_process_with_a_sentence() -> None:
    program = """
import time
import labs.kit.attempt.time_limit as limit
limit.INSISTS_S = 0.1
with limit.time_limit(0.2):
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
        time.sleep(10)

    begun = time.monotonic()
    with pytest.raises(TookTooLong):
        limited(0.3, inner)
    assert time.monotonic() - begun < 5


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
