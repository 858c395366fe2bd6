"""Runs of parts, again and again."""

import time
from typing import Any

import pytest
import torch.distributed as dist

from labs.kit.attempt import runs
from labs.kit.attempt.printed import Printed
from labs.kit.attempt.runs import Runs
from labs.kit.attempt.watch import LEAST_S
from labs.kit.distributed.world import World
from labs.kit.runner.bench import PATIENCE_S
from labs.kit.runner.context import RunContext
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.limits import OutOfTime
from labs.kit.runner.step_cache import StepCache

PARTS = frozenset({"counting"})


@pytest.fixture
def bench(tiny: Lesson) -> Runs:
    return Runs(tiny, tiny.config(count=4), World(), Printed(), smoke=True)


def run(bench: Runs, **replacements: Any) -> Any:
    return bench.run(replacements, PARTS, StepCache(), RunContext())


def test_it_runs_these_parts_and_says_nothing(bench: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    notes = run(bench)
    assert ([part.name for part in notes.parts], notes.status) == (["counting"], "held")
    assert capsys.readouterr().out == ""


def test_what_breaks_is_in_the_notes(bench: Runs) -> None:
    def numbers(count: int, mood: str) -> None:
        raise ValueError("no numbers")

    notes = run(bench, numbers=numbers)
    assert notes.status == "broke"
    assert "ValueError: no numbers" in notes.error


def test_what_does_not_end_breaks(bench: Runs) -> None:
    def numbers(count: int, mood: str) -> None:
        time.sleep(60)

    bench.limit_s = 0.2
    notes = run(bench, numbers=numbers)
    assert notes.status == "broke"
    assert "OutOfTime: it did not end within 0 s" in notes.error


def test_a_run_that_could_not_close_its_group_leaves_none_to_the_next(
    bench: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def left_open(*_: Any) -> None:
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        raise OutOfTime

    monkeypatch.setattr(runs, "perform", left_open)
    for _ in range(2):
        run(bench)
        assert not dist.is_initialized()


def test_a_limit_is_a_multiple_of_what_the_labs_own_steps_take_and_not_too_little(bench: Runs) -> None:
    bench.bound(0.01)
    assert bench.limit_s == LEAST_S
    bench.bound(100.0)
    assert bench.limit_s == 100.0 * runs.TIMES_LONGER
    bench.be_patient(0.1)
    assert bench.collective_s == PATIENCE_S
    assert bench.agree_s > 2 * bench.collective_s
