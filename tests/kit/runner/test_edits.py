"""Which edits there are, how they are told, and that each makes a function of another kind."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch

from labs.kit.runner.edits import compiled, edits_of
from tests.kit.runner import edited_steps as steps

Step = Callable[..., Any]


def told(step: Step) -> set[str]:
    return {f"{edit.old} → {edit.new}" for edit in edits_of(step)}


@pytest.mark.parametrize(
    ("step", "edits"),
    [
        (steps.compared, {"a < b → a <= b"}),
        (steps.counted, {"a + 1 → a - 1", "a + 1 → a + 0", "a + 1 → a + 2"}),
        (
            steps.halved,
            {
                "a > 2 → a >= 2", "a > 2 → a <= 2", "a > 2 → a > 0", "a > 2 → a > 1", "a > 2 → a > 3",
                "a //= 2 → a *= 2", "a //= 2 → a = 2", "a //= 2 → pass",
                "a //= 2 → a //= 0", "a //= 2 → a //= 1", "a //= 2 → a //= 3",
            },
        ),
        (
            steps.chained,
            {
                "x_N.clone().sum(dim=-1, keepdim=True) → x_N.clone()",
                "x_N.clone().sum(dim=-1, keepdim=True) → x_N.clone().sum(keepdim=True)",
                "x_N.clone().sum(dim=-1, keepdim=True) → x_N.clone().sum(dim=-1)",
                "x_N.clone().sum → x_N.clone().mean", "x_N.clone() → x_N", "dim=-1 → dim=-2", "dim=-1 → dim=0",
                "keepdim=True → keepdim=False",
            },
        ),
        (steps.of_a_module, {"torch.exp(x_N) → x_N"}),
        (
            steps.cut,
            {
                "x_N[1:size] → x_N[:size]", "x_N[1:size] → x_N[1:]", "x_N[1:size] → x_N[0:size]",
                "x_N[1:size] → x_N[2:size]", "x_N[1:size] → x_N[1:size + 1]", "x_N[1:size] → x_N[1:size - 1]",
            },
        ),
        (
            steps.ranged,
            {
                "list(range(size)) → range(size)", "range(size) → range(1, size)", "range(size) → range(size + 1)",
                "range(size) → range(size - 1)",
            },
        ),
        (steps.returned, {"return (a, b) → return (b, a)"}),
        (
            steps.decided,
            {
                "a and (not b) → a or not b", "a and (not b) → a and b", "a and (not b) → not (a and (not b))",
                "return True → pass", "return True → return False",
            },
        ),
        (
            steps.typed,
            {
                "with torch.no_grad(): → if True:", "torch.zeros(size, dtype=torch.float32) → size",
                "torch.zeros(size, dtype=torch.float32) → torch.zeros(size)", "torch.zeros → torch.ones",
                "torch.float32 → torch.float64",
            },
        ),
        (
            steps.repeated,
            {
                "a = a + a → pass", "a = a + a  # 2 → pass", "a = a + a  # 2 → a = a - a",
                "a = a + a → a = a - a",
            },
        ),
        (steps.untouched, {"raise ValueError(cast('str', word) + f'{pairs}{math}') → pass"}),
    ],
)  # fmt: skip
def test_the_edits_of_a_step(step: Step, edits: set[str]) -> None:
    found = [f"{edit.old} → {edit.new}" for edit in edits_of(step)]
    assert len(found) == len(set(found))
    assert set(found) == set(edits)


ALL = [
    thing
    for thing in vars(steps).values()
    if inspect.isfunction(thing) and thing.__module__ == steps.__name__
]


@pytest.mark.parametrize("step", ALL)
def test_each_edit_makes_another_function_and_is_the_same_each_time(step: Step) -> None:
    edits = edits_of(step)
    assert edits == edits_of(step)
    sources = [edit.source for edit in edits]
    assert len(sources) == len(set(sources))
    for edit in edits:
        made = compiled(edit.source, step, edit.old)
        assert made.__code__.co_code != b""
        assert inspect.getdoc(made) == inspect.getdoc(step)
        assert inspect.signature(made) == inspect.signature(step)


def test_the_line_is_the_files() -> None:
    lines = inspect.getsource(steps).splitlines()
    for step in (steps.compared, steps.counted):
        for edit in edits_of(step):
            assert edit.old in lines[edit.line - 1]


def test_what_stands_in_the_list_of_equivalent_edits_can_be_pasted() -> None:
    first = edits_of(steps.counted)[0]
    assert first.listed == 'Equivalent(counted, "a + 1", "a - 1", "")'
    pasted = eval(first.listed, {"Equivalent": lambda *words: words, "counted": steps.counted})
    assert pasted == (steps.counted, first.old, first.new, "")


def test_the_step_itself_stays() -> None:
    for edit in edits_of(steps.cut):
        compiled(edit.source, steps.cut, edit.old)
    assert steps.cut(torch.arange(4), 3).tolist() == [1, 2]
