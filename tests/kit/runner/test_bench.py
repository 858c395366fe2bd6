"""A lab that is run again and again, and of which only what a change can reach is repeated."""

import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st

from labs import record
from labs.kit.distributed.seal import Seal
from labs.kit.distributed.world import World
from labs.kit.runner import bench as benches
from labs.kit.runner import claims
from labs.kit.runner.bench import Bench, distinct_arms, same_arms
from labs.kit.runner.context import RunContext
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.limits import Stopwatch
from labs.kit.runner.session import blank, rehearse


class TestBench:
    def test_only_parts_that_the_step_can_reach_are_run_and_in_them_only_what_hangs_on_it(
        self, tiny: Lesson, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ran: list[str] = []
        for name, step in tiny.steps.items():
            monkeypatch.setitem(tiny.namespaces[0], name, noted(step, ran))
        bench = Bench(tiny, World())
        reference = bench.reference()
        assert ran == ["numbers", "doubled", "total", "remembered", "long_row"]
        ran.clear()
        notes = bench.run(bench.replacing("total", noted(tiny.steps["doubled"], ran)))
        assert [part.name for part in reference.parts] == ["counting", "arithmetic", "timing", "elsewhere"]
        assert [part.name for part in notes.parts] == ["arithmetic"]
        assert ran == ["doubled"]
        assert [claim.id for claim in notes.claims if claim.verdict == "failed"] == ["99.total"]

    def test_the_trial_of_equal_arms_runs_only_parts_that_time_something(self, tiny: Lesson) -> None:
        bench = Bench(tiny, World())
        bench.reference()
        assert [part.name for part in bench.with_same_arms(frozenset({"timing"})).parts] == ["timing"]

    @pytest.mark.parametrize(
        ("took_s", "patience_s"), [(0.1, benches.PATIENCE_S), (90.0, benches.PATIENCE * 90.0)]
    )
    def test_a_mutant_is_waited_for_some_times_as_long_as_the_lab_itself_took(
        self, tiny: Lesson, monkeypatch: pytest.MonkeyPatch, took_s: float, patience_s: float
    ) -> None:
        worlds: list[World] = []

        def seen(lesson: Lesson, cfg: Any, context: RunContext, *, smoke: bool) -> record.Run:
            worlds.append(context.world)
            return rehearse(lesson, cfg, context, smoke=smoke)

        monkeypatch.setattr(benches, "rehearse", seen)
        monkeypatch.setattr(Stopwatch, "seconds", took_s)
        bench = Bench(tiny, World())
        bench.reference()
        bench.run(bench.replacing("total", tiny.steps["total"]))
        assert (worlds[0].agree_s, worlds[0].collective_s) == (World().agree_s, World().collective_s)
        assert worlds[1].agree_s == worlds[1].collective_s == patience_s

    def test_all_ranks_begin_a_run_together_also_after_one_that_kept_one_of_them_for_long(
        self, tiny: Lesson, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In the first run rank 1 is led astray for longer than in the second anybody is waited for."""
        patience_s = 0.5

        def astray(lesson: Lesson, cfg: Any, context: RunContext, *, smoke: bool) -> record.Run:
            world = context.world
            notes = blank(lesson, cfg, smoke=smoke, world=world)
            if world.rank and not waits:
                waits.append(3 * patience_s)
                time.sleep(waits[0])
            return notes

        def both_runs(rank: int) -> list[str]:
            bench = Bench(tiny, World(rank, 2, store=dist.PrefixStore("test", store), seal=seal))
            bench.patience_s = patience_s
            return [bench.run(RunContext()).error for _ in range(2)]

        waits: list[float] = []
        store, seal = dist.HashStore(), Seal()
        monkeypatch.setattr(benches, "rehearse", astray)
        with ThreadPoolExecutor(2) as ranks:
            assert list(ranks.map(both_runs, range(2))) == [["", ""]] * 2
        assert waits

    def test_a_run_that_could_not_close_its_group_leaves_none_to_the_next(
        self, tiny: Lesson, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The time limit strikes again and again, and may do so in the middle of clearing away."""

        def left_open(lesson: Lesson, cfg: Any, context: RunContext, *, smoke: bool) -> record.Run:
            dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
            return blank(lesson, cfg, smoke=smoke, world=context.world)

        monkeypatch.setattr(benches, "rehearse", left_open)
        bench = Bench(tiny, World())
        for _ in range(2):
            bench.run(RunContext())
            assert not dist.is_initialized()

    def test_what_breaks_on_one_rank_is_broken_for_all_by_its_own_cause(
        self, tiny: Lesson, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(lesson: Lesson, cfg: Any, context: RunContext, *, smoke: bool) -> record.Run:
            notes = blank(lesson, cfg, smoke=smoke, world=context.world)
            notes.error = ("PeerLost: rank 1: gone", "OSError: no luck", "")[context.world.rank]
            return notes

        def runs(rank: int) -> tuple[str, str]:
            bench = Bench(tiny, World(rank, 3, store=dist.PrefixStore("test", store), seal=seal))
            notes = bench.run(RunContext())
            return notes.status, notes.error

        store, seal = dist.HashStore(), Seal()
        monkeypatch.setattr(benches, "rehearse", broken)
        with ThreadPoolExecutor(3) as ranks:
            assert list(ranks.map(runs, range(3))) == [("broke", "OSError: no luck")] * 3


def noted(step: Callable[..., Any], ran: list[str]) -> Callable[..., Any]:
    """Return a step that notes that it ran."""

    @functools.wraps(step)
    def noting(*args: Any, **kwargs: Any) -> Any:
        ran.append(step.__name__)
        return step(*args, **kwargs)

    return noting


BOUND = st.floats(0.01, 100)


class TestInjectedSamples:
    """A ratio must hold on samples of arms that differ, and fail on those of arms that are the same."""

    @given(BOUND)
    def test_one_bound(self, bound: float) -> None:
        for bounds in ({"at_least": bound}, {"at_most": bound}):
            assert self.held_by(distinct_arms, **bounds) is True

    @given(st.floats(1.02, 100))
    def test_same_arms_fail_a_claim_to_be_slower(self, bound: float) -> None:
        assert self.held_by(same_arms, at_least=bound) is False

    @given(st.floats(0.01, 0.98))
    def test_same_arms_fail_a_claim_to_be_faster(self, bound: float) -> None:
        assert self.held_by(same_arms, at_most=bound) is False

    @given(st.floats(1, 100))
    def test_twice_the_work_fails_a_claim_to_be_no_slower(self, bound: float) -> None:
        assert self.held_by(same_arms, at_most=bound) is False

    @given(st.floats(0.01, 1))
    def test_half_the_work_fails_a_claim_to_be_no_faster(self, bound: float) -> None:
        assert self.held_by(same_arms, at_least=bound) is False

    @given(BOUND, st.floats(1.03, 10))
    def test_two_bounds(self, low: float, width: float) -> None:
        assert self.held_by(distinct_arms, at_least=low, at_most=low * width) is True
        assert self.held_by(same_arms, at_least=low, at_most=low * width) is not True

    def test_both_arms_are_run(self) -> None:
        ran: list[str] = []
        distinct_arms(lambda: ran.append("first"), lambda: ran.append("second"), at_least=1, at_most=None)
        assert ran == ["first", "second"]

    def held_by(
        self, timer: Callable[..., Any], at_least: float | None = None, at_most: float | None = None
    ) -> bool | None:
        arms = timer(lambda: None, lambda: None, at_least=at_least, at_most=at_most)
        return claims.ratio(*arms, at_least=at_least, at_most=at_most).held
