"""Remember what steps returned in the reference run, so that a mutant repeats only what its edit can reach.

This is sound because steps are pure: the same objects in, the same result out.
"""

import dataclasses
from collections.abc import Callable
from types import CodeType
from typing import Any

import torch

PLAIN = (int, float, complex, str, bytes, bool, type(None), torch.device, torch.dtype)


@dataclasses.dataclass
class Call:
    """One call of a step in the reference run."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any


class StepCache:
    """Runs steps, and takes from an earlier run (`before`) what a change of the step `edited` cannot have touched."""

    def __init__(self, before: "StepCache | None" = None, reached: frozenset[str] = frozenset()) -> None:
        self.calls: dict[str, list[Call]] = {}
        self.before = before
        self.reached = reached

    def __call__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the step's result, remembered or computed."""
        known = self.calls.setdefault(function.__name__, [])
        earlier = self._earlier(function.__name__, len(known))
        if earlier and _identical((args, kwargs), (earlier.args, earlier.kwargs)):
            call = earlier
        else:
            call = Call(args, kwargs, function(*args, **kwargs))
        known.append(call)
        return call.result

    def _earlier(self, name: str, place: int) -> Call | None:
        if self.before is None or name in self.reached:
            return None
        calls = self.before.calls.get(name, [])
        return calls[place] if place < len(calls) else None


def callers_of(name: str, steps: dict[str, Callable[..., Any]]) -> frozenset[str]:
    """Return the step's name and those of all steps from whose code it can be reached."""
    uses = {
        step: _names_in(function.__code__)
        for step, function in steps.items()
        if hasattr(function, "__code__")
    }
    reached = {name}
    while grown := {step for step, names in uses.items() if names & reached} - reached:
        reached |= grown
    return frozenset(reached)


def with_callees(names: list[str], steps: dict[str, Callable[..., Any]]) -> list[str]:
    """Return these steps, and after them the others that their code can reach."""
    return [*names, *(step for step in steps if step not in names and callers_of(step, steps) & set(names))]


def _names_in(code: CodeType) -> set[str]:
    inner = (_names_in(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)


def _identical(ours: Any, theirs: Any) -> bool:
    """Tell whether two arguments are the same object, or plain values that are equal."""
    if ours is theirs:
        return True
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, PLAIN):
        return bool(ours == theirs)
    if isinstance(ours, tuple):
        return len(ours) == len(theirs) and all(map(_identical, ours, theirs))
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(_identical(ours[key], theirs[key]) for key in ours)
    return dataclasses.is_dataclass(ours) and _identical(vars(ours), vars(theirs))
