"""Remember what steps returned in the reference run, so that a mutant repeats only what its edit can reach.

This is sound because steps are pure: the same arguments in, the same result out.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

PLAIN = (int, float, complex, str, bytes, bool, type(None), torch.device, torch.dtype)
Key = tuple[str, str, int]  # part, step, and which of its calls in that part


@dataclasses.dataclass
class Call:
    """One call of a step in the reference run."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any


class StepCache:
    """Runs steps, and takes from an earlier run (`before`) what a change of the step `edited` cannot have touched."""

    def __init__(self, before: "StepCache | None" = None, reached: frozenset[str] = frozenset()) -> None:
        self.calls: dict[Key, Call] = {}
        self.before = before
        self.reached = reached

    def __call__(
        self, key: Key, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return the step's result, remembered or computed."""
        earlier = self.before.calls.get(key) if self.before and key[1] not in self.reached else None
        if earlier and identical((args, kwargs), (earlier.args, earlier.kwargs)):
            call = earlier
        else:
            call = Call(args, kwargs, function(*args, **kwargs))
        self.calls[key] = call
        return call.result


def identical(ours: Any, theirs: Any) -> bool:
    """Tell whether two arguments are the same object, plain values that are equal, or tensors that are alike in every way."""
    if ours is theirs:
        return True
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, PLAIN):
        return bool(ours == theirs)
    if type(ours) is Tensor:
        return _alike(ours, theirs)
    if isinstance(ours, tuple | list):
        return len(ours) == len(theirs) and all(map(identical, ours, theirs))
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(identical(ours[key], theirs[key]) for key in ours)
    return dataclasses.is_dataclass(ours) and identical(vars(ours), vars(theirs))


def _alike(ours: Tensor, theirs: Tensor) -> bool:
    """Compare all that a step could look at: layout and storage too, and no part in a graph."""
    if (
        ours.layout is not torch.strided
        or theirs.layout is not torch.strided
        or ours.requires_grad
        or theirs.requires_grad
    ):
        return False
    seen = [
        (
            thing.shape,
            thing.dtype,
            thing.device,
            thing.stride(),
            thing.storage_offset(),
            thing.untyped_storage().nbytes(),
        )
        for thing in (ours, theirs)
    ]
    return seen[0] == seen[1] and bool(torch.equal(ours, theirs))
