"""A learner's function, called beside the lab's own."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from labs.kit.attempt import watch
from labs.kit.attempt.watch import Watched, Watcher
from labs.kit.attempt.work_file import WorkFile
from labs.kit.distributed.world import World
from labs.kit.runner.lesson import Lesson
from tests.kit.attempt.conftest import HEAD


def watched(tiny: Lesson, file: Path, step: Any, learner: str, *calls: Any) -> tuple[list[Any], Watched]:
    """Call `doubled`, as the lab has it, with each of these, the learner's beside it; return what came and what was seen."""
    step.__name__ = "doubled"
    tiny.steps["doubled"] = step
    file.write_text(
        f"{HEAD}import random\nimport numpy as np\n\n\ndef doubled(x):\n    {learner}\n", encoding="utf-8"
    )
    watcher = Watcher(WorkFile(tiny, file), ["doubled"], World())
    function = watcher.replacements()["doubled"]
    return [function(call) for call in calls], watcher.watched["doubled"]


def test_the_labs_own_result_goes_on_and_the_difference_is_kept(tiny: Lesson, file: Path) -> None:
    came, seen = watched(tiny, file, lambda x: 2 * x, "return 3 * x", torch.ones(3), torch.ones(2))
    assert [result.tolist() for result in came] == [[2, 2, 2], [2, 2]]
    assert (seen.calls, seen.compared, seen.different) == (2, 2, 2)
    assert seen.smallest is not None
    assert seen.smallest.input == "x = tensor([1., 1.])"


def test_the_learners_function_gets_a_copy_and_its_changes_stay_there(tiny: Lesson, file: Path) -> None:
    x_N = torch.ones(3)
    _, seen = watched(tiny, file, lambda x: x.sum(), "x.zero_(); return torch.tensor(3.)", x_N)
    assert x_N.tolist() == [1, 1, 1]
    assert seen.changed is not None
    assert seen.changed.words == "your function changed its argument x: x has other values now"


def test_both_draw_the_same_random_numbers_and_the_lab_goes_on_from_its_own(tiny: Lesson, file: Path) -> None:
    def drawn(x: Any) -> tuple[float, float, float]:
        import random

        return torch.rand(1).item(), random.random(), float(np.random.rand())

    twice = "torch.rand(9); return torch.rand(1).item(), random.random(), float(np.random.rand())"
    once = "return torch.rand(1).item(), random.random(), float(np.random.rand())"
    torch.manual_seed(1)
    plain = [drawn(0), drawn(0)]
    torch.manual_seed(1)
    came, seen = watched(tiny, file, drawn, once, 0, 0)
    assert [first for first, _, _ in came] == [first for first, _, _ in plain]
    assert seen.different == 0
    torch.manual_seed(1)
    came, seen = watched(tiny, file, drawn, twice, 0, 0)
    assert [first for first, _, _ in came] == [first for first, _, _ in plain]
    assert seen.different == 2


def test_what_cannot_be_copied_is_left_to_the_lab_alone(tiny: Lesson, file: Path) -> None:
    came, seen = watched(tiny, file, lambda x: 1, "return 2", threading.Lock())
    assert came == [1]
    assert (seen.compared, seen.not_compared) == (0, "its argument x cannot be copied")


def test_an_iterator_is_not_used_up(tiny: Lesson, file: Path) -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)

    came, seen = watched(tiny, file, lambda x: list(x), "return list(x)", iter([1, 2]))
    assert (came, seen.compared, seen.different) == ([[1, 2]], 1, 0)
    came, seen = watched(tiny, file, lambda x: list(x), "return list(x)", numbers())
    assert (came, seen.compared) == ([[0, 1, 2]], 0)


def test_both_may_raise_alike(tiny: Lesson, file: Path) -> None:
    def refusing(x: int) -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        watched(tiny, file, refusing, "raise ValueError('never')", 1)


def test_only_so_many_calls_are_watched(tiny: Lesson, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_CALLS", 3)
    _, seen = watched(tiny, file, lambda x: x, "return -x", *range(1, 9))
    assert (seen.calls, seen.compared) == (8, 3)


def test_after_a_loop_without_end_it_is_called_no_more(
    tiny: Lesson, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LEAST_S", 0.2)
    came, seen = watched(tiny, file, lambda x: x, "\n    while x > 1: pass\n    return x", 1, 2, 3)
    assert came == [1, 2, 3]
    assert seen.compared == 2
    assert seen.stuck is not None
    assert seen.stuck.input == "x = 2"


@pytest.mark.parametrize(
    ("troubles", "cause"),
    [
        (["", "it raised E: no"], "on rank 1 it raised E: no"),
        (
            ["it raised R: Connection closed by peer", "it did not end within 9 s"],
            "on rank 1 it did not end within 9 s",
        ),
        (
            ["it raised R: Timed out waiting 9ms for recv", "", ""],
            "on rank 0 it waited in vain for rank 1, 2, where it had returned already: "
            "all ranks take part in every collective, in the same order",
        ),
        (
            ["it raised R: Timed out", "it raised R: Timed out"],
            "on rank 0 it raised R: Timed out: the ranks wait for one another",
        ),
    ],
)
def test_of_what_went_wrong_on_several_ranks_the_cause_is_named(troubles: list[str], cause: str) -> None:
    assert watch._cause(troubles) == cause
