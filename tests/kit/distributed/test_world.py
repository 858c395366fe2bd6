"""Processes that agree: here threads on one store, since what is said goes through the store alone."""

import gc
import os
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch.distributed as dist
from torch import nn

from labs import interfaces
from labs.errors import UsageError
from labs.kit.distributed.world import PeerLost, World
from labs.kit.runner import claims
from tests.kit.distributed.ranks import together


def test_alone_there_is_nobody_to_ask() -> None:
    assert World().gather("topic", 7) == [7]


def test_everybody_hears_everybody_in_rank_order() -> None:
    assert together(3, lambda world: world.gather("topic", world.rank * 10)) == [[0, 10, 20]] * 3


def test_a_topic_can_come_up_again() -> None:
    assert together(2, lambda world: [world.gather("topic", (world.rank, turn)) for turn in range(3)])[0][
        2
    ] == [(0, 2), (1, 2)]


def test_who_does_not_come_is_named_after_the_wait() -> None:
    told = together(3, lambda world: world.gather("lunch", 1) if world.rank < 2 else None, agree_s=0.3)
    assert isinstance(told[0], PeerLost)
    assert str(told[0]) == "rank 2 did not reach 'lunch' within 0 s"


def test_last_words_end_the_wait_at_once() -> None:
    def action(world: World) -> Any:
        return world.leave_word("ValueError: no") if world.rank == 1 else world.gather("topic", 1)

    told = together(2, action, agree_s=60)
    assert isinstance(told[0], PeerLost)
    assert str(told[0]) == "rank 1: ValueError: no"


def test_what_is_said_apart_stays_apart() -> None:
    def action(world: World) -> Any:
        world.leave_word("broken")
        return world.with_prefix("next", agree_s=5, collective_s=5).gather("topic", world.rank)

    assert together(2, action) == [[0, 1]] * 2


def test_all_take_the_longest_time_for_theirs() -> None:
    assert together(2, lambda world: world.agreed(float(world.rank + 1))) == [2.0, 2.0]


@pytest.mark.parametrize(
    "said",
    [
        {"WORLD_SIZE": "2"},
        {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1"},
        {"WORLD_SIZE": "2", "RANK": "0", "MASTER_PORT": "29500"},
        {"WORLD_SIZE": "2", "RANK": "x", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"},
        {"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"},
        {"WORLD_SIZE": "many"},
        {"WORLD_SIZE": "0"},
        {"WORLD_SIZE": ""},
    ],
    ids=str,
)
def test_half_a_place_in_a_run_is_refused(monkeypatch: pytest.MonkeyPatch, said: dict[str, str]) -> None:
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="names a place in a run, but not a whole one"):
        World.from_environment()


def test_where_nobody_is_met_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    place = {
        "WORLD_SIZE": "2",
        "RANK": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "9",
        "LABS_TIMEOUT": "0.5",
    }
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=r"rank 1 of 2 does not reach rank 0 at 127\.0\.0\.1:9"):
        World.from_environment()


HELD = claims.equal([1], [1])
FAILED = claims.equal([1], [2])
UNKNOWN = claims.Outcome(None, None, "", reason="needs cuda")


@pytest.mark.parametrize(
    ("outcomes", "held", "reason"),
    [
        ([HELD, HELD], True, ""),
        ([HELD, FAILED], False, "rank 1: got 1, want 2"),
        ([FAILED, UNKNOWN], False, "rank 0: got 1, want 2"),
        ([HELD, UNKNOWN], None, "rank 1: needs cuda"),
        ([UNKNOWN, UNKNOWN], None, "needs cuda"),
    ],
)
def test_a_claim_holds_only_if_it_holds_on_all_ranks(
    outcomes: list[claims.Outcome], held: bool | None, reason: str
) -> None:
    judged = claims.together(outcomes, first_only=False)
    assert (judged.held, judged.reason) == (held, reason)


def test_an_errors_full_stop_ends_no_sentence_that_goes_on() -> None:
    refused = claims.Outcome(True, None, "RuntimeError: no.")
    assert (
        claims.together([refused, refused], first_only=False).shown
        == "RuntimeError: no, on all 2 ranks alike"
    )


def test_what_is_noisy_is_judged_on_rank_0() -> None:
    assert claims.together([HELD, FAILED], first_only=True).held is True


@pytest.mark.parametrize("rank", [{}, {"RANK": "0"}])
def test_who_leaves_has_said_all_and_tidied_up(rank: dict[str, str]) -> None:
    program = "import atexit; from labs.kit.distributed.world import leave; atexit.register(print, 'tidied'); print('said'); leave(3)"
    environment = {
        name: value for name, value in os.environ.items() if name not in ("RANK", "PYTHONUNBUFFERED")
    } | rank
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "said\ntidied\n", "")


def test_a_group_begins_when_all_ranks_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def joined(*arguments: object, rank: int, **options: object) -> None:
        time.sleep(0.3 * rank)  # the last rank connects long after the first
        seen.append("in")

    def within(world: World) -> None:
        with world.group():
            seen.append("begun")

    monkeypatch.setattr(dist, "init_process_group", joined)
    assert together(3, within) == [None, None, None]
    assert seen == ["in"] * 3 + ["begun"] * 3


@pytest.mark.parametrize(
    ("imports", "level", "warned"),
    [("import torch", "", True), ("import labs", "", False), ("import labs", "WARNING", True)],
)
def test_what_torchs_cpp_warns_of_is_not_on_the_screen_unless_it_is_asked_for(
    imports: str, level: str, warned: bool
) -> None:
    program = f"""
{imports}
from datetime import timedelta
from torch.distributed import TCPStore
try:
    TCPStore("127.0.0.1", 1, is_master=False, timeout=timedelta(seconds=1))  # nobody listens there
except Exception as error:
    print(type(error).__name__)
"""
    environment = {name: value for name, value in os.environ.items() if name != "TORCH_CPP_LOG_LEVEL"}
    if level:
        environment["TORCH_CPP_LOG_LEVEL"] = level
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert ended.stdout == "DistNetworkError\n"
    assert ("[W" in ended.stderr) is warned, ended.stderr


def test_an_interface_that_one_host_has_not_is_said_by_all_ranks_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rank 0 alone speaks, and its own host may have it."""
    told = iter([None, "GLOO_SOCKET_IFNAME=ib0 names no …"])
    monkeypatch.setattr(interfaces, "trouble", lambda: next(told))
    errors = together(2, lambda world: replace(world, nodes=2).require_interfaces())
    assert [type(error) for error in errors] == [UsageError] * 2
    assert {str(error) for error in errors} == {
        "GLOO_SOCKET_IFNAME=ib0 names no …\nname one that every host has, or unset the variable"
    }


def test_ranks_of_one_node_need_no_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "ib0")
    World().require_interfaces()
    with World().group():
        assert dist.get_world_size() == 1


def test_models_that_nobody_holds_go_before_their_group() -> None:
    """What is left to the garbage collector may come to its turn when the group is gone, and wait there for ever."""
    with World().group():
        model = nn.parallel.DistributedDataParallel(nn.Linear(1, 1))
        model.itself = [model]  # type: ignore[assignment]
        left = weakref.ref(model)
        del model
    assert left() is None


def test_what_was_there_before_a_group_is_looked_through_again_after_it() -> None:
    with World().group():
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_what_a_rank_does_by_itself_asks_nobody() -> None:
    def alone(world: World) -> list[Any]:
        with world.alone():
            own = world.gather("topic", world.rank)
        return [own, world.gather("topic", world.rank)]

    assert together(2, alone) == [[[0], [0, 1]], [[1], [0, 1]]]
