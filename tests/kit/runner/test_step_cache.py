"""What is remembered of the reference run, and what is computed anew."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from labs.kit.runner.step_cache import ONCE, StepCache, identical

X = torch.arange(6.0)
FIRST = ("part", "step", 0)


@dataclass(frozen=True)
class Sizes:
    rows: int


@dataclass(slots=True)
class Slots:
    rows: int


class Counted:
    """A step that notes its calls and returns a new object each time."""

    def __init__(self, make: Callable[..., Any] = lambda *args, **kwargs: [0]) -> None:
        self.calls = 0
        self.make = make

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.make(*args, **kwargs)


def computed_again(first: tuple[Any, ...], second: tuple[Any, ...], make: Callable[..., Any]) -> bool:
    """Tell whether a step is run a second time, for these arguments after those."""
    step, reference = Counted(make), StepCache()
    reference(FIRST, step, first, {})
    StepCache(reference)(FIRST, step, second, {})
    return step.calls == 2


def fresh(*args: Any) -> Tensor:
    return torch.ones(2)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ((X,), (X,), True),
        ((X,), (X.clone(),), True),
        ((X,), (X + 1,), False),
        ((X,), (X.double(),), False),
        ((X,), (X.view(2, 3),), False),
        ((X.view(2, 3),), (X.view(2, 3).clone(),), True),
        ((X.view(2, 3),), (X.view(3, 2).t().contiguous().t().t(),), False),
        ((X.view(2, 3).t(),), (X.view(2, 3).t().contiguous(),), False),
        ((X[2:],), (X[2:].clone(),), False),
        ((torch.tensor([1 + 2j]).conj(),), (torch.tensor([1 - 2j]),), False),
        ((torch.tensor(float("nan")),), (torch.tensor(float("nan")),), False),
        ((torch.ones(2, requires_grad=True),), (torch.ones(2, requires_grad=True),), False),
        ((torch.ones(2).to_sparse(),), (torch.ones(2).to_sparse(),), False),
        ((nn.Parameter(X),), (nn.Parameter(X),), False),
        ((nn.Linear(2, 2),), (nn.Linear(2, 2),), False),
        ((3, "a", None), (3, "a", None), True),
        ((3,), (4,), False),
        ((1,), (True,), False),
        ((1,), (1.0,), False),
        (((1, (2, X)),), ((1, (2, X.clone())),), True),
        (((1, 2),), ((1, 2, 3),), False),
        (([1, 2],), ([1, 2],), True),
        (([1, 2],), ([1, 3],), False),
        (([1, 2],), ((1, 2),), False),
        (({"a": 1},), ({"a": 1},), True),
        (({"a": 1},), ({"a": 2},), False),
        (({"a": 1},), ({"b": 1},), False),
        ((Sizes(1),), (Sizes(1),), True),
        ((Sizes(1),), (Sizes(2),), False),
        ((Slots(1),), (Slots(1),), True),
        ((Slots(1),), (Slots(2),), False),
        ((float("nan"),), (float("nan"),), False),
        ((object(),), (object(),), False),
        ((), (), True),
        ((1,), (1, 1), False),
    ],
)
def test_what_is_alike_in_every_way_is_remembered(
    first: tuple[Any, ...], second: tuple[Any, ...], same: bool
) -> None:
    assert identical(first, second) is same
    assert computed_again(first, second, fresh) is not same
    assert not computed_again(first, first, fresh)


def test_tensors_without_data_are_alike_by_their_form_and_are_computed() -> None:
    ours, theirs = (torch.ones(2, device="meta") for _ in range(2))
    assert identical(ours, theirs)
    assert not identical(ours, torch.ones(3, device="meta"))
    assert computed_again((ours,), (theirs,), fresh)


def test_a_thing_that_contains_itself_is_no_trouble() -> None:
    loop: list[Any] = [X]
    loop.append(loop)
    assert not computed_again((loop,), (loop,), fresh)


# What a part could notice -------------------------------------------------------------------------------------------------


def view(x: Tensor) -> Tensor:
    return x.view(-1)


def in_a_model(x: Tensor) -> nn.Module:
    model = nn.Module()
    model.kept = x
    return model


@pytest.mark.parametrize("make", [view, lambda x: {"view": [x[1:]]}, lambda x: x.detach(), in_a_model])
def test_a_result_that_may_lie_over_an_argument_is_not_given_for_another(make: Callable[..., Any]) -> None:
    assert computed_again((X,), (X.clone(),), make)
    assert not computed_again((X,), (X,), make)


def test_arguments_that_share_are_not_like_those_that_do_not() -> None:
    assert computed_again((X, X.view(2, 3)), (X, X.view(2, 3).clone()), fresh)
    assert computed_again((X, X.clone()), (X, X), fresh)
    assert not computed_again((X, X.view(2, 3)), (X, X.view(2, 3)), fresh)


def test_a_result_that_was_changed_in_place_is_made_anew() -> None:
    step, reference = Counted(fresh), StepCache()
    reference(FIRST, step, (), {}).zero_()
    assert StepCache(reference)(FIRST, step, (), {}).tolist() == [1, 1]
    assert step.calls == 2


def test_an_argument_that_was_changed_since_is_another_one() -> None:
    x = torch.ones(2)
    step, reference = Counted(lambda x: x.sum().item()), StepCache()
    assert reference(FIRST, step, (x,), {}) == 2
    x.zero_()
    assert StepCache(reference)(FIRST, step, (x,), {}) == 0
    assert StepCache(reference)(FIRST, step, (torch.zeros(2),), {}) == 0


# Which call is which ------------------------------------------------------------------------------------------------------


def test_keywords_count_as_arguments() -> None:
    step, reference = Counted(), StepCache()
    reference(FIRST, step, (), {"size": 3})
    StepCache(reference)(FIRST, step, (), {"size": 3})
    assert step.calls == 1
    StepCache(reference)(FIRST, step, (), {"size": 4})
    assert step.calls == 2


def test_without_a_reference_run_all_is_computed() -> None:
    step, cache = Counted(), StepCache()
    cache(FIRST, step, (1,), {})
    cache(FIRST, step, (1,), {})
    assert step.calls == 2


def test_what_an_edit_reaches_is_computed() -> None:
    step, reference = Counted(), StepCache()
    reference(FIRST, step, (1,), {})
    StepCache(reference, frozenset({"step"}))(FIRST, step, (1,), {})
    assert step.calls == 2


@pytest.mark.parametrize(
    "key", [("other", "step", 0), ("part", "step", 1), ("part", "other", 0), (ONCE, "step", 0)]
)
def test_the_same_arguments_in_another_place_are_another_call(key: tuple[str, str, int]) -> None:
    """Randomness has a seed of its own in each."""
    step, reference = Counted(), StepCache()
    reference(FIRST, step, (1,), {})
    StepCache(reference)(key, step, (1,), {})
    assert step.calls == 2


def test_each_call_is_compared_with_the_one_in_its_place() -> None:
    step, reference = Counted(lambda x: [x]), StepCache()
    for place, argument in enumerate((1, 2)):
        reference(("part", "step", place), step, (argument,), {})
    cache = StepCache(reference)
    results = [
        cache(("part", "step", place), step, (argument,), {}) for place, argument in enumerate((1, 3, 2))
    ]
    assert step.calls == 4
    assert results == [[1], [3], [2]]


def test_what_is_done_once_is_known_by_its_arguments_alone() -> None:
    step, reference = Counted(lambda x: [x]), StepCache()
    for place, argument in enumerate((1, 2)):
        reference((ONCE, "step", place), step, (argument,), {})
    assert StepCache(reference)((ONCE, "step", 0), step, (2,), {}) == [2]
    assert step.calls == 2
    assert StepCache(reference)((ONCE, "other", 0), step, (2,), {}) == [2]
    assert step.calls == 3


def test_what_hangs_on_a_changed_result_is_computed_and_what_does_not_is_not() -> None:
    first, second, third = (("part", name, 0) for name in ("first", "second", "third"))
    step, reference = Counted(lambda x: x + 1), StepCache()
    reference(second, step, (reference(first, step, (X,), {}),), {})
    standing = reference(third, step, (1,), {})
    cache = StepCache(reference, frozenset({"first"}))
    assert cache(second, step, (cache(first, lambda x: x + 2, (X,), {}),), {}).tolist() == (X + 3).tolist()
    assert cache(third, step, (1,), {}) is standing
    assert step.calls == 4
