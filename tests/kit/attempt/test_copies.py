"""Copies of arguments."""

import threading
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from labs.kit.attempt import copies
from labs.kit.attempt.copies import CannotCopy, copied


@dataclass
class Pair:
    """Two things."""

    left: Any
    right: Any


def test_a_view_keeps_offset_strides_and_storage() -> None:
    x_MN = torch.arange(12.0).view(3, 4)
    view = x_MN.t()[1:]
    twin = copied({"view": view})["view"]
    assert torch.equal(twin, view)
    assert (twin.stride(), twin.storage_offset()) == (view.stride(), view.storage_offset())
    assert twin.untyped_storage().nbytes() == view.untyped_storage().nbytes()
    twin.zero_()
    assert x_MN.sum() == 66


def test_arguments_that_share_memory_still_do() -> None:
    x_N = torch.arange(4.0)
    twins = copied({"whole": x_N, "inside": [{"part": x_N[1:3]}]})
    twins["whole"].fill_(7)
    assert twins["inside"][0]["part"].tolist() == [7, 7]
    assert x_N.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.tensor([1.0, 2.0], requires_grad=True),
        lambda: nn.Parameter(torch.ones(2)),
        lambda: torch.ones(2, dtype=torch.complex64).conj(),
        lambda: torch.empty(0, 3),
        lambda: torch.tensor(True),
        lambda: 2 * torch.ones(3, requires_grad=True),
    ],
    ids=["leaf", "parameter", "conjugate", "empty", "bool", "inside a graph"],
)
def test_a_copy_is_alike_in_every_way(make: Any) -> None:
    tensor = make()
    twin = copied({"x": tensor})["x"]
    assert type(twin) is type(tensor)
    assert torch.equal(twin, tensor)
    assert (twin.requires_grad, twin.is_leaf, twin.dtype) == (
        tensor.requires_grad,
        tensor.is_leaf,
        tensor.dtype,
    )
    assert twin is not tensor


def test_a_graph_is_kept_where_none_is_recorded() -> None:
    x_N = 2 * torch.ones(3, requires_grad=True)
    with torch.no_grad():
        assert copied({"x": x_N})["x"].grad_fn is not None


def test_gradients_and_modules_are_copied() -> None:
    model = nn.Linear(2, 2)
    model(torch.ones(2)).sum().backward()
    x_N = torch.ones(2, requires_grad=True)
    x_N.grad = torch.tensor([1.0, 2.0])
    twins = copied({"model": model, "x": x_N})
    assert twins["x"].grad.tolist() == [1, 2]
    assert model.weight.grad is not None
    assert torch.equal(twins["model"].weight.grad, model.weight.grad)
    twins["model"].weight.grad.zero_()
    assert model.weight.grad.sum() == 4


def test_a_generator_goes_on_from_where_it_is() -> None:
    generator = torch.Generator().manual_seed(3)
    torch.rand(5, generator=generator)
    twin = copied({"generator": generator})["generator"]
    assert torch.equal(torch.rand(3, generator=twin), torch.rand(3, generator=generator))


def test_what_cannot_be_copied_is_named() -> None:
    with pytest.raises(CannotCopy, match="its argument lock cannot be copied"):
        copied({"x": 3, "lock": Pair(1, threading.Lock())})


def test_two_tensors_of_one_graph_cannot_be_copied() -> None:
    x_N = torch.ones(3, requires_grad=True)
    with pytest.raises(CannotCopy, match="one graph"):
        copied({"x": x_N, "y": 2 * x_N})
    with pytest.raises(CannotCopy, match="one graph"):
        copied({"model": nn.Linear(3, 1), "y": 2 * x_N})


def test_what_is_too_large_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "LARGEST_BYTES", 8)
    with pytest.raises(CannotCopy, match="too large"):
        copied({"x": [torch.ones(3)]})


def test_a_sparse_tensor_is_not_copied() -> None:
    with pytest.raises(CannotCopy):
        copied({"x": torch.eye(3).to_sparse()})
