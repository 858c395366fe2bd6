"""Remember what steps returned in the reference run, so that a mutant repeats only what its edit can reach.

This is sound because steps are pure: the same arguments in, the same result out. Parts are not: one may change a tensor in
place after a step has returned it, or ask whether two tensors share their storage. What could be seen that way is computed.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = (int, float, complex, str, bytes, bool, type(None), torch.device, torch.dtype)
ONCE = "(once)"  # in the place of a part: the call is known by its arguments alone, whichever part makes it
Key = tuple[str, str, int]  # part, step, and which of its calls in that part


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a step in the reference run."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    versions: list[int]
    writes: bool  # to a tensor among its arguments

    @classmethod
    def of(cls, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Call":
        """Make the call."""
        before = _versions((args, kwargs))
        result = function(*args, **kwargs)
        writes = before != _versions((args, kwargs))
        return cls(args, kwargs, result, _versions((args, kwargs, result)), writes)

    def answers(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Tell whether a call with these arguments would return the same, and none could tell the difference."""
        ours, theirs = (args, kwargs), (self.args, self.kwargs)
        untouched = self.versions == _versions((*theirs, self.result))
        alike = untouched and identical(ours, theirs) and _sharing(ours) == _sharing(theirs)
        return alike and (_same_objects(ours, theirs) or self._stands_alone)

    @property
    def _stands_alone(self) -> bool:
        """Tell whether nothing in the result can share its storage with an argument."""
        places = _storages((self.args, self.kwargs)), _storages(self.result)
        return None not in places[0] + places[1] and not set(places[0]) & set(places[1])


class StepCache:
    """Runs steps, and takes from an earlier run (`before`) what a change that reaches these steps cannot have touched."""

    def __init__(self, before: "StepCache | None" = None, reached: frozenset[str] = frozenset()) -> None:
        self.calls: dict[Key, Call] = {}
        self.before = before
        self.reached = reached

    def __call__(
        self, key: Key, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return the step's result, remembered or computed."""
        call = self._remembered(key, args, kwargs) or Call.of(function, args, kwargs)
        self.calls[key] = call
        return call.result

    def _remembered(self, key: Key, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        if self.before is None or key[1] in self.reached:
            return None
        known = self.before.calls
        places = [place for place in known if place[:2] == key[:2]] if key[0] == ONCE else [key]
        calls = [known[place] for place in places if place in known]
        return next((call for call in calls if call.answers(args, kwargs)), None)

    @property
    def versions(self) -> list[int]:
        """Return how often each remembered tensor was changed in place so far."""
        return [
            count
            for call in self.calls.values()
            for count in _versions((call.args, call.kwargs, call.result))
        ]


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
    return dataclasses.is_dataclass(ours) and identical(_inside(ours), _inside(theirs))


def _inside(thing: Any) -> list[Any]:
    """Return what a row, a table or a dataclass holds."""
    if isinstance(thing, tuple | list):
        return list(thing)
    named = thing if isinstance(thing, dict) else getattr(thing, "__dict__", None)
    return list(named.values()) if named is not None else [getattr(thing, name) for name in thing.__slots__]


def _alike(ours: Tensor, theirs: Tensor) -> bool:
    """Compare all that a step could look at: layout and storage too, and no part in a graph."""
    if any(thing.layout is not torch.strided or thing.requires_grad for thing in (ours, theirs)):
        return False
    return _form(ours) == _form(theirs) and (ours.is_meta or bool(torch.equal(ours, theirs)))


def _form(thing: Tensor) -> tuple[Any, ...]:
    flags = thing.is_conj(), thing.is_neg(), thing.is_inference()
    bytes_ = thing.untyped_storage().nbytes()
    return thing.shape, thing.dtype, thing.device, thing.stride(), thing.storage_offset(), bytes_, flags


def _tensors(thing: Any, seen: set[int] | None = None) -> Iterator[Tensor | None]:
    """Yield the tensors in a thing, in order, and None for what cannot be looked into."""
    seen = set() if seen is None else seen
    if isinstance(thing, PLAIN) or id(thing) in seen:
        return
    if isinstance(thing, Tensor):
        yield thing
        return
    seen.add(id(thing))  # a thing may contain itself
    if isinstance(thing, nn.Module):
        yield from (*thing.parameters(), *thing.buffers(), None)
    elif dataclasses.is_dataclass(thing) or isinstance(thing, dict | tuple | list):
        for part in _inside(thing):
            yield from _tensors(part, seen)
    else:
        yield None


def _versions(thing: Any) -> list[int]:
    """Return how often each tensor was changed in place."""
    return [found._version for found in _tensors(thing) if found is not None and not found.is_inference()]


def _storages(thing: Any) -> list[int | None]:
    """Return where the storage of each tensor lies; None where that cannot be told."""
    return [_storage(found) for found in _tensors(thing)]


def _storage(thing: Tensor | None) -> int | None:
    if thing is None or type(thing) not in (Tensor, nn.Parameter):
        return None
    if thing.layout is not torch.strided or thing.is_meta:
        return None
    return thing.untyped_storage().data_ptr() if thing.untyped_storage().nbytes() else -id(thing)


def _sharing(thing: Any) -> list[int]:
    """Return for each tensor the place of the first that shares its storage."""
    storages = _storages(thing)
    return [storages.index(storage) for storage in storages]


def _same_objects(ours: Any, theirs: Any) -> bool:
    one, other = list(_tensors(ours)), list(_tensors(theirs))
    return len(one) == len(other) and all(first is second for first, second in zip(one, other, strict=True))
