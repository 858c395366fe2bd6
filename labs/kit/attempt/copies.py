"""Copy the arguments of a call, so that a second function can be called with the same."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from labs.kit.attempt.nested import parts_of

LARGEST_BYTES = 2**30  # larger arguments are not copied


class CannotCopy(Exception):
    """Why a call's arguments cannot be copied, as a person reads it."""


def copied(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments anew: tensors with the same layout, and sharing memory where the originals share it.

    Raises CannotCopy where a copy would not be the same to a function.
    """
    _check_graph(arguments)
    memo: dict[int, Any] = {}
    storages: dict[tuple[torch.device, int], torch.UntypedStorage] = {}
    copies = {}
    for name, value in arguments.items():
        try:
            for part in _leaves(value):
                memo[id(part)] = (
                    part.clone_state() if isinstance(part, torch.Generator) else _twin(part, storages)
                )
            copies[name] = copy.deepcopy(value, memo)
        except CannotCopy:
            raise
        except Exception:  # whatever a foreign object says against it
            raise CannotCopy(f"its argument {name} cannot be copied") from None
    return copies


def _check_graph(arguments: dict[str, Any]) -> None:
    """Raise CannotCopy where arguments may hang together in one graph, which their copies would not."""
    parts = [part for value in arguments.values() for part in parts_of(value)]
    tensors = [part for part in parts if isinstance(part, Tensor)]
    modules = [part for part in parts if isinstance(part, nn.Module)]
    if any(tensor.grad_fn for tensor in tensors):
        learning = [tensor for tensor in tensors if tensor.requires_grad] + modules
        if len(learning) > 1:
            raise CannotCopy("its arguments belong to one graph, which cannot be copied")
    if any(base.__module__.startswith("torch.distributed")
           for module in modules for inner in module.modules() for base in type(inner).__mro__):  # fmt: skip
        raise CannotCopy("its argument is a module that lives on several processes")
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors) > LARGEST_BYTES:
        raise CannotCopy("its arguments are too large to copy")


def _leaves(thing: Any) -> Iterator[Tensor | torch.Generator]:
    """Yield the tensors and generators in a thing, those of its modules too."""
    for part in parts_of(thing):
        if isinstance(part, nn.Module):
            yield from part.parameters()
            yield from part.buffers()
        else:
            yield part


def _twin(tensor: Tensor, storages: dict[tuple[torch.device, int], torch.UntypedStorage]) -> Tensor:
    """Copy a tensor with its offset and its strides over a copy of the storage."""
    if (
        type(tensor) not in (Tensor, nn.Parameter)
        or tensor.layout is not torch.strided
        or tensor.is_quantized
    ):
        raise CannotCopy(f"a tensor of the kind {type(tensor).__name__} cannot be copied")
    storage = tensor.untyped_storage()
    key = tensor.device, storage.data_ptr() or id(tensor)
    if key not in storages:
        storages[key] = storage.clone()
    with torch.no_grad():
        twin = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        twin.set_(storages[key], tensor.storage_offset(), tensor.size(), tensor.stride())
        twin = twin.conj() if tensor.is_conj() else twin
    if isinstance(tensor, nn.Parameter):
        twin = nn.Parameter(twin, tensor.requires_grad)
    twin.requires_grad_(tensor.requires_grad)
    if tensor.grad_fn:
        with torch.enable_grad():
            inner = twin.clone()  # inside a graph, as the original is
        return inner if inner.stride() == tensor.stride() else twin
    if tensor.is_leaf and tensor.grad is not None:
        twin.grad = tensor.grad.clone()
    return twin
