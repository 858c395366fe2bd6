"""Look into nested containers, as arguments and results of steps are."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


def parts_of(thing: Any) -> Iterator[Any]:
    """Yield the tensors, generators and modules in lists, dicts and dataclasses."""
    if isinstance(thing, Tensor | torch.Generator | nn.Module):
        yield thing
    elif isinstance(thing, list | tuple | set):
        for item in thing:
            yield from parts_of(item)
    elif isinstance(thing, dict):
        yield from parts_of(list(thing.values()))
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        yield from parts_of(list(vars(thing).values()))


def memory_of(thing: Any) -> set[int]:
    """Return where the storages lie of all tensors in it that have elements."""
    tensors = [part for part in parts_of(thing) if isinstance(part, Tensor) and part.numel()]
    return {
        tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided else id(tensor)
        for tensor in tensors
    }
