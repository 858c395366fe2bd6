"""See what a call changed in its arguments."""

import dataclasses
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

ROUNDINGS = 256  # so many roundings of the largest number are no difference, where values are compared but for rounding


class Change(NamedTuple):
    """In what two states differ first: where in an argument, what, and both sides of it."""

    path: str
    what: str
    was: Any
    now: Any

    def said_of(self, name: str) -> str:
        """Say it of an argument with this name."""
        return f"{name}{self.path} {self.what}"


@dataclasses.dataclass(frozen=True)
class TensorState:
    """All of a tensor that a function could change."""

    values: Tensor
    stride: tuple[int, ...]
    requires_grad: bool
    grad: Tensor | None
    in_graph: bool


@dataclasses.dataclass(frozen=True)
class Attributes:
    """The state of an object by the names of what it holds."""

    by_name: dict[str, Any]


def state_of(thing: Any) -> Any:
    """Return what can be changed in an argument, as it is now. Of what is not known here, nothing."""
    if isinstance(thing, Tensor):
        grad = thing.grad.detach().clone() if thing.is_leaf and thing.grad is not None else None
        values = thing.detach().clone()
        return TensorState(values, thing.stride(), thing.requires_grad, grad, thing.grad_fn is not None)
    if isinstance(thing, nn.Module):
        tensors = {**dict(thing.named_parameters()), **dict(thing.named_buffers())}
        states = {name: state_of(tensor) for name, tensor in tensors.items()}
        return Attributes({"training": thing.training, **states})
    if isinstance(thing, list | tuple):
        return [state_of(item) for item in thing]
    if isinstance(thing, dict):
        return {key: state_of(value) for key, value in thing.items()}
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return Attributes({name: state_of(value) for name, value in vars(thing).items()})
    return thing if isinstance(thing, bool | int | float | complex | str | bytes) else None


def change(before: Any, after: Any, *, rounded: bool = False, path: str = "") -> Change | None:
    """Return the first difference of two states, or None. `rounded` overlooks what rounding may do to values."""
    if isinstance(before, TensorState) and isinstance(after, TensorState):
        return _change_of_tensor(before, after, rounded, path)
    if isinstance(before, Attributes) and isinstance(after, Attributes):
        return _change_inside(before.by_name, after.by_name, rounded, path, ".{}")
    if isinstance(before, list) and isinstance(after, list):
        return _change_inside(dict(enumerate(before)), dict(enumerate(after)), rounded, path, "[{!r}]")
    if isinstance(before, dict) and isinstance(after, dict):
        return _change_inside(before, after, rounded, path, "[{!r}]")
    same = type(before) is type(after) and (before == after or before != before)  # NaN is still NaN
    return None if same else Change(path, f"is {after!r:.60} now", before, after)


def _change_inside(
    before: dict[Any, Any], after: dict[Any, Any], rounded: bool, path: str, form: str
) -> Change | None:
    if before.keys() != after.keys():
        return Change(path, f"has {len(after)} items now, not {len(before)}", list(before), list(after))
    inner = (change(before[key], after[key], rounded=rounded, path=path + form.format(key)) for key in before)
    return next(filter(None, inner), None)


def _change_of_tensor(before: TensorState, after: TensorState, rounded: bool, path: str) -> Change | None:
    looks = [(state.values.dtype, state.values.shape, state.stride) for state in (before, after)]
    if looks[0] != looks[1]:
        return Change(path, "has another shape, dtype or strides now", before.values, after.values)
    if not same_values(before.values, after.values, rounded=rounded):
        return Change(path, "has other values now", before.values, after.values)
    if before.requires_grad != after.requires_grad:
        what = f"has requires_grad={after.requires_grad} now"
        return Change(path, what, before.requires_grad, after.requires_grad)
    if before.in_graph != after.in_graph:
        return Change(path, "is part of a graph now", before.in_graph, after.in_graph)
    if before.grad is None or after.grad is None:
        what = "has a .grad now" if before.grad is None else "has lost its .grad"
        return None if before.grad is after.grad else Change(path, what, before.grad, after.grad)
    if not same_values(before.grad, after.grad, rounded=rounded):
        return Change(path, "has another .grad now", before.grad, after.grad)
    return None


def same_values(ours: Tensor, theirs: Tensor, *, rounded: bool) -> bool:
    """Compare tensors of one dtype on one device: to the last bit, NaN too, or but for rounding."""
    if ours.shape != theirs.shape:
        return False
    if torch.equal(_bytes(ours), _bytes(theirs)):
        return True
    if rounded and (ours.is_floating_point() or ours.is_complex()):
        wide = torch.complex128 if ours.is_complex() else torch.float64
        ours, theirs, eps = ours.detach().to(wide), theirs.detach().to(wide), torch.finfo(ours.dtype).eps
        finite = theirs[theirs.isfinite()].abs()
        scale = finite.max().item() if finite.numel() else 1.0
        return torch.allclose(ours, theirs, rtol=0.0, atol=ROUNDINGS * eps * scale, equal_nan=True)
    return False


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)
