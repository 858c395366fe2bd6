"""Processes that are held together. What they do as ranks: tests/launch/test_node.py and test_local.py."""

import os

import pytest

from labs.errors import UsageError
from labs.launch.process_group import ProcessGroup


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
