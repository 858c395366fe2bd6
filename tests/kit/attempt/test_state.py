"""What a call changed in its arguments."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from labs.kit.attempt.state import change, same_values, state_of


@dataclass
class Box:
    """One thing."""

    content: Any


def backward(x_N: Tensor) -> None:
    x_N.requires_grad_()
    x_N.sum().backward()
    x_N.requires_grad_(False)


CHANGES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], str]] = {
    "values": (lambda: torch.ones(3), lambda x: x.zero_(), "x has other values now"),
    "values behind its back": (lambda: torch.ones(3), lambda x: x.data.zero_(), "x has other values now"),
    "values by numpy": (lambda: torch.ones(3), lambda x: x.numpy().fill(2), "x has other values now"),
    "one value": (lambda: torch.arange(9), lambda x: x[4:5].add_(1), "x has other values now"),
    "shape": (lambda: torch.ones(2, 3), lambda x: x.t_(), "x has another shape, dtype or strides now"),
    "requires_grad": (lambda: torch.ones(3), lambda x: x.requires_grad_(), "x has requires_grad=True now"),
    "grad": (lambda: torch.ones(3), backward, "x has a .grad now"),
    "graph": (lambda: torch.ones(3), lambda x: x.mul_(torch.ones(3, requires_grad=True)), "x has requires_grad=True now"),
    "in a list": (lambda: [torch.ones(3), torch.ones(2)], lambda x: x[1].zero_(), "x[1] has other values now"),
    "a longer list": (lambda: [1, 2], lambda x: x.append(3), "x has 3 items now, not 2"),
    "another item": (lambda: [1, 2], lambda x: x.reverse(), "x[0] is 2 now"),
    "in a dict": (lambda: {"a": {"b": 1}}, lambda x: x["a"].update(b=2), "x['a']['b'] is 2 now"),
    "an attribute": (lambda: Box([1]), lambda x: x.content.clear(), "x.content has 0 items now, not 1"),
    "a weight": (lambda: nn.Linear(2, 1), lambda x: x.weight.data.zero_(), "x.weight has other values now"),
    "a mode": (lambda: nn.Linear(2, 1), lambda x: x.eval(), "x.training is False now"),
    "a weight's grad": (lambda: nn.Linear(2, 1), lambda x: x(torch.ones(2)).sum().backward(), "x.weight has a .grad now"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_is_noticed_and_said(case: str) -> None:
    make, edit, said = CHANGES[case]
    thing = make()
    before = state_of(thing)
    assert change(before, state_of(thing)) is None
    edit(thing)
    found = change(before, state_of(thing))
    assert found is not None
    assert found.said_of("x") == said


def test_nan_is_still_nan() -> None:
    for thing in (torch.tensor([math.nan, 1.0]), math.nan, [math.nan]):
        assert change(state_of(thing), state_of(thing)) is None


def test_rounding_is_overlooked_only_where_that_is_asked_for() -> None:
    third, other = torch.tensor([1 / 3, 1e-9]), torch.tensor([1 / 3 + 1e-7, 0.0])
    assert not same_values(third, other, rounded=False)
    assert same_values(third, other, rounded=True)
    assert not same_values(third, third + 1e-3, rounded=True)
    assert not same_values(torch.tensor([1]), torch.tensor([2]), rounded=True)
    assert not same_values(torch.tensor([1.0, math.nan]), torch.tensor([1.0, 2.0]), rounded=True)
    assert same_values(torch.tensor([math.inf, 1.0]), torch.tensor([math.inf, 1.0 + 1e-7]), rounded=True)
