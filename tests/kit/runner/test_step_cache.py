"""What is remembered of the reference run, and what is computed anew."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from labs.kit.runner.step_cache import StepCache, callers_of

X = torch.ones(2)


@dataclass(frozen=True)
class Sizes:
    rows: int


def inner(x: Any) -> Any:
    return [x]


def middle(x: Any) -> Any:
    return inner(x)


def outer(x: Any) -> Any:
    return [middle(part) for part in (x,)]


def beside(x: Any) -> Any:
    return x


STEPS: dict[str, Callable[..., Any]] = {step.__name__: step for step in (inner, middle, outer, beside)}


def counted(calls: list[Any]) -> Callable[..., Any]:
    """A step that notes its calls and returns a new object each time."""

    def step(*args: Any, **kwargs: Any) -> list[Any]:
        calls.append(args)
        return [args]

    return step


@pytest.mark.parametrize(
    ("first", "second", "computed"),
    [
        ((X,), (X,), 1),
        ((X,), (X.clone(),), 2),
        ((3, "a", None), (3, "a", None), 1),
        ((3,), (4,), 2),
        ((1,), (True,), 2),
        ((1,), (1.0,), 2),
        (((1, (2, X)),), ((1, (2, X)),), 1),
        (((1, 2),), ((1, 2, 3),), 2),
        (({"a": 1},), ({"a": 1},), 1),
        (({"a": 1},), ({"a": 2},), 2),
        (({"a": 1},), ({"b": 1},), 2),
        ((Sizes(1),), (Sizes(1),), 1),
        ((Sizes(1),), (Sizes(2),), 2),
        (([1, 2],), ([1, 2],), 2),
        ((float("nan"),), (float("nan"),), 2),
        ((), (), 1),
        ((1,), (1, 1), 2),
    ],
)
def test_the_same_objects_in_are_remembered_and_others_are_not(
    first: tuple[Any, ...], second: tuple[Any, ...], computed: int
) -> None:
    calls: list[Any] = []
    step = counted(calls)
    reference = StepCache()
    result = reference(step, first, {})
    again = StepCache(reference)(step, second, {})
    assert len(calls) == computed
    assert (again is result) is (computed == 1)


def test_keywords_count_as_arguments() -> None:
    calls: list[Any] = []
    step = counted(calls)
    reference = StepCache()
    reference(step, (), {"size": 3})
    StepCache(reference)(step, (), {"size": 3})
    assert len(calls) == 1
    StepCache(reference)(step, (), {"size": 4})
    assert len(calls) == 2


def test_without_a_reference_run_all_is_computed() -> None:
    calls: list[Any] = []
    step = counted(calls)
    cache = StepCache()
    cache(step, (1,), {})
    cache(step, (1,), {})
    assert len(calls) == 2


def test_the_edited_step_is_computed() -> None:
    calls: list[Any] = []
    step = counted(calls)
    reference = StepCache()
    reference(step, (1,), {})
    StepCache(reference, frozenset({"step"}))(step, (1,), {})
    assert len(calls) == 2


def test_each_call_is_compared_with_the_one_in_its_place() -> None:
    calls: list[Any] = []
    step = counted(calls)
    reference = StepCache()
    for argument in (1, 2):
        reference(step, (argument,), {})
    cache = StepCache(reference)
    results = [cache(step, (argument,), {}) for argument in (1, 3, 2)]
    assert len(calls) == 4
    assert results == [[(1,)], [(3,)], [(2,)]]


def test_what_hangs_on_a_changed_result_is_computed_and_what_does_not_is_not() -> None:
    reference = StepCache()
    before = reference(beside, (X,), {})
    hanging = reference(inner, (before,), {})
    standing = reference(middle, ("plain",), {})
    cache = StepCache(reference, callers_of("beside", STEPS))
    after = cache(lambda x: x.clone(), (X,), {})
    assert cache(inner, (after,), {}) is not hanging
    assert cache(middle, ("plain",), {}) is standing


@pytest.mark.parametrize(
    ("edited", "reached"),
    [
        ("inner", {"inner", "middle", "outer"}),
        ("middle", {"middle", "outer"}),
        ("outer", {"outer"}),
        ("beside", {"beside"}),
    ],
)
def test_an_edit_reaches_the_step_and_all_its_callers(edited: str, reached: set[str]) -> None:
    assert callers_of(edited, STEPS) == reached
