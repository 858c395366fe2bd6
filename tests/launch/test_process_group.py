"""Processes that are held together. What they do as ranks: tests/launch/test_node.py and test_local.py."""

import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from labs.errors import UsageError
from labs.launch.process_group import ProcessGroup

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


@pytest.fixture
def given_back() -> Iterator[None]:
    """Signals are heard after the test as they were before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGCHLD)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_program_that_is_not_there_is_named() -> None:
    with (
        ProcessGroup(range(256), 1.0) as group,
        pytest.raises(UsageError, match=r"^rank 0 could not be started: No such file or directory$"),
    ):
        group.start("rank 0", ["/no/such/python"], os.environ)


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)])
def test_the_status_of_a_group_is_that_of_who_broke(script: str, status: int) -> None:
    with ProcessGroup(range(256), 1.0) as group:
        group.start("the first", ["sh", "-c", script], os.environ)
        assert group.wait() == status


@pytest.mark.parametrize("before", [signal.SIG_DFL, lambda number, frame: None], ids=["default", "own"])
def test_what_hears_signals_is_put_back(before: Handler, given_back: None) -> None:
    """A SIGCHLD that another thread took may still come: Python complains of one that finds the default by then."""
    for number in (signal.SIGUSR1, signal.SIGCHLD):
        signal.signal(number, before)
    with ProcessGroup(range(256), 1.0):
        assert signal.getsignal(signal.SIGUSR1) is not before
    assert signal.getsignal(signal.SIGUSR1) is before
    assert (signal.getsignal(signal.SIGCHLD) is before) == callable(before)
