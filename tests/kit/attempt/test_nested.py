"""Nested containers."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labs.kit.attempt.nested import memory_of, parts_of


@dataclass
class Pair:
    """Two tensors."""

    left: Tensor
    right: Tensor


def test_parts_are_found_however_deep_they_lie() -> None:
    one, two, three = torch.ones(1), torch.ones(2), torch.ones(3)
    model, generator = nn.Linear(1, 1), torch.Generator()
    thing = {"a": [one, (two, 3)], "b": Pair(three, one), "c": model, "d": generator, "e": Pair}
    assert [id(part) for part in parts_of(thing)] == [
        id(part) for part in (one, two, three, one, model, generator)
    ]


def test_memory_is_that_of_the_storages() -> None:
    x_MN = torch.ones(2, 3)
    assert memory_of(x_MN.t()) == memory_of([x_MN, x_MN[1]]) == {x_MN.untyped_storage().data_ptr()}
    assert memory_of(torch.empty(0)) == set()
    assert memory_of(x_MN.clone()) != memory_of(x_MN)
    assert len(memory_of(x_MN.to_sparse())) == 1
