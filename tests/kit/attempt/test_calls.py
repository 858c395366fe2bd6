"""One call, by both functions."""

import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from labs.kit.attempt.calls import Call, Outcome
from labs.kit.attempt.comparison import Finding


def called(step: Any, learner: Any, *args: Any) -> tuple[Call, Outcome, Outcome]:
    call = Call(step, args, {})
    right = Outcome.of(step, args, {})
    return call, call.on_copies(learner), right


def difference(step: Any, learner: Any, *args: Any) -> Finding | None:
    call, mine, right = called(step, learner, *args)
    return call.difference(mine, right, "it raised something")


def test_a_call_is_timed_however_it_ends() -> None:
    def slow(error: Exception | None) -> None:
        time.sleep(0.02)
        if error:
            raise error

    assert Outcome.of(slow, (None,), {}).seconds >= 0.02
    assert Outcome.of(slow, (ValueError(),), {}).seconds >= 0.02


def grads_halved(model: nn.Module) -> None:
    for weight in model.parameters():
        assert weight.grad is not None
        weight.grad /= 2


def grads_halved_by_hand(model: nn.Module) -> None:
    for weight in model.parameters():
        assert weight.grad is not None
        weight.grad = weight.grad * 0.5


def grads_doubled(model: nn.Module) -> None:
    for weight in model.parameters():
        assert weight.grad is not None
        weight.grad *= 2


def test_arguments_are_told_by_their_names() -> None:
    def step(x_N: Tensor, size: int, hop: int = 2) -> Tensor:
        return x_N

    call = Call(step, (torch.ones(2), 3), {})
    assert (call.input, call.size) == ("x_N = tensor([1., 1.])  size = 3", 3)
    with pytest.raises(TypeError):
        Call(step, (), {"nothing": 1})


def test_an_effect_is_compared_where_nothing_is_returned() -> None:
    model = nn.Linear(1, 1, bias=False)
    model(torch.tensor([4.0])).sum().backward()
    found = difference(grads_halved, grads_doubled, model)
    assert found is not None
    assert (
        found.words
        == "your function leaves model.weight in another state than it should: it has another .grad"
    )
    assert (found.yours, found.expected) == ("tensor([[8.]])", "tensor([[2.]])")
    assert difference(grads_halved, grads_halved_by_hand, model) is None


def test_an_effect_that_is_missing_is_a_difference_and_one_too_many_a_change() -> None:
    call, mine, right = called(lambda x: x.mul_(2), lambda x: 2 * x, torch.ones(2))
    found = call.difference(mine, right, "")
    assert found is not None
    assert (found.yours, found.expected) == ("tensor([1., 1.])", "tensor([2., 2.])")
    assert call.changed() is None
    call, mine, right = called(lambda x: 2 * x, lambda x: x.mul_(2), torch.ones(2))
    assert call.difference(mine, right, "") is None
    found = call.changed()
    assert found is not None
    assert found.words == "your function changed its argument x: x has other values now"


def test_a_copy_in_the_place_of_a_view_is_noticed_and_the_other_way_round() -> None:
    x_MN = torch.ones(2, 3)
    call, mine, right = called(lambda x: x.t(), lambda x: x.t().clone(), x_MN)
    found = call.sharing(mine.value, right.value)
    assert found is not None
    assert (
        found.words
        == "your function returned a tensor in memory of its own; one in the memory of x was expected"
    )
    call, mine, right = called(lambda x: x.t().clone(), lambda x: x.t(), x_MN)
    found = call.sharing(mine.value, right.value)
    assert found is not None
    assert (
        found.words
        == "your function returned a tensor in the memory of x; one in memory of its own was expected"
    )
    call, mine, right = called(lambda x: x.t(), lambda x: x.T, x_MN)
    assert call.sharing(mine.value, right.value) is None


def test_an_error_where_none_is_and_none_where_one_is() -> None:
    def refusing(x: Any) -> Any:
        raise ValueError("no\nmore")

    found = difference(lambda x: x, refusing, 1)
    assert found is not None
    assert (found.words, found.expected) == ("it raised something", "1")
    found = difference(refusing, lambda x: x, 1)
    assert found is not None
    assert (found.words, found.yours) == ("your function should raise ValueError: no", "1")
    assert difference(refusing, refusing, 1) is None


def test_an_outcome_is_given_or_raised_again() -> None:
    assert Outcome.of(lambda: 3, (), {}).again() == 3
    with pytest.raises(ZeroDivisionError):
        Outcome.of(lambda: 1 / 0, (), {}).again()
