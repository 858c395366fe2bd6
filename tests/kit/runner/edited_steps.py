"""Functions of all shapes, for systematic edits to be tried on."""

import math
from typing import cast

import torch
from torch import Tensor

from labs.kit import exercise


@exercise("compare 1 < 2", "or 2 < 1", "f(1 + 1)")
def compared(a: int, b: "int | None" = 1 + 1) -> "bool | None":
    """Compare: a < b + 1."""
    return a < b  # type: ignore[operator]


def counted(a: int) -> int:
    b = a + 1
    return b


def halved(a: int) -> int:
    while a > 2:
        a //= 2
    return a


def chained(x_N: Tensor) -> Tensor:
    """Follow a chain of methods."""
    return x_N.clone().sum(dim=-1, keepdim=True)


def of_a_module(x_N: Tensor) -> Tensor:
    return torch.exp(x_N)


def cut(x_N: Tensor, size: int) -> Tensor:
    return x_N[1:size]


def ranged(size: int) -> list[int]:
    return list(range(size))


def returned(a: int, b: int) -> tuple[int, int]:
    return a, b


def decided(a: bool, b: bool) -> bool:
    if a and not b:
        return True
    return b


def typed(size: int) -> Tensor:
    with torch.no_grad():
        return torch.zeros(size, dtype=torch.float32)


def repeated(a: int) -> int:
    a = a + a
    a = a + a
    return a


def untouched(a: "list[int]") -> str:
    """Do nothing that an edit could be made of."""
    assert len(a) == 1, "one"
    pairs = zip(a, a, strict=True)
    word: str | int = f"{a[0] + 1}"
    raise ValueError(cast("str", word) + f"{pairs}{math}")
