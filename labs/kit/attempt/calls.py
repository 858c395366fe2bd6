"""One call of a lab's step and, on copies of its arguments, of the learner's function: what both did, and where that differs."""

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from labs.kit.attempt.comparison import Finding, brief, compare, elements, in_lines
from labs.kit.attempt.copies import copied
from labs.kit.attempt.nested import memory_of
from labs.kit.attempt.state import Change, change, state_of
from labs.kit.runner.lesson import Function
from labs.kit.runner.limits import Stopwatch


@dataclass(frozen=True)
class Outcome:
    """What a call returned or raised, and how long it took."""

    value: Any = None
    error: BaseException | None = None
    seconds: float = 0.0

    @classmethod
    def of(cls, function: Function, args: Any, kwargs: Any) -> "Outcome":
        taken = Stopwatch()
        try:
            return cls(function(*args, **kwargs), seconds=taken.seconds)
        except (Exception, SystemExit) as error:  # what it raises is what it did
            return cls(error=error, seconds=taken.seconds)

    def again(self) -> Any:
        """Return it, or raise it."""
        if self.error is not None:
            raise self.error
        return self.value


class Effect(NamedTuple):
    """What two calls did to an argument, and in what its state differs after them where the lab's own step changes it."""

    name: str
    by_step: Change | None
    by_learner: Change | None
    unlike: Change | None


class Call:
    """The arguments of one call by name, their copies, and the state of both before it.

    Raises CannotCopy, and TypeError for arguments that the step does not take.
    """

    def __init__(self, step: Function, args: Any, kwargs: Any) -> None:
        self.signature = inspect.signature(step)
        self.arguments = dict(self.signature.bind(*args, **kwargs).arguments)
        self.copies = copied(self.arguments)
        self.size = sum(map(elements, self.arguments.values()))
        self.input = in_lines([f"{name} = {brief(value)}" for name, value in self.arguments.items()])
        self.before, self.copies_before = state_of(self.arguments), state_of(self.copies)

    def on_copies(self, attempt: Function) -> Outcome:
        """Call a function on the copies."""
        bound = inspect.BoundArguments(self.signature, self.copies)
        return Outcome.of(attempt, bound.args, bound.kwargs)

    def finding(self, yours: str = "", expected: str = "", words: str = "") -> Finding:
        return Finding(self.input, yours, expected, words, self.size)

    def difference(self, mine: Outcome, right: Outcome, raised: str) -> Finding | None:
        """Return in what the learner's function did something else. `raised` says what it raised."""
        if mine.error is not None:
            if type(mine.error) is type(right.error):
                return None
            expected = _named(right.error) if right.error else brief(right.value)
            return self.finding(expected=expected, words=raised)
        if right.error is not None:
            return self.finding(brief(mine.value), words=f"your function should raise {_named(right.error)}")
        result = compare(mine.value, right.value)
        if result.alike is False:
            return self.finding(brief(mine.value), brief(right.value), result.words)
        return self._other_effect()

    @cached_property
    def _effects(self) -> list[Effect]:
        """Return what both calls did to each argument; asked for once both are over."""
        found = []
        for name, value in self.copies.items():
            own, copy = state_of(self.arguments[name]), state_of(value)
            by_step, by_learner = change(self.before[name], own), change(self.copies_before[name], copy)
            unlike = change(own, copy, rounded=True) if by_step else None
            found.append(Effect(name, by_step, by_learner, unlike))
        return found

    def changed(self) -> Finding | None:
        """Return the argument that the learner's function changed, and the lab's own step did not."""
        for name, by_step, by_learner, _ in self._effects:
            if by_learner and not by_step:
                words = f"your function changed its argument {name}: {by_learner.said_of(name)}"
                return self.finding(words=words)
        return None

    def _other_effect(self) -> Finding | None:
        """Return the argument that both functions are to change, but the learner's does so in another way."""
        for name, _, _, unlike in self._effects:
            if unlike:
                state = f"in another state than it should: it {unlike.what.removesuffix(' now')}"
                words = f"your function leaves {name}{unlike.path} {state}"
                return self.finding(brief(unlike.now), brief(unlike.was), words)
        return None

    def sharing(self, mine: Any, right: Any) -> Finding | None:
        """Return where one of both results shares its memory with an argument, and the other does not."""
        ours, theirs = _shared_with(mine, self.copies), _shared_with(right, self.arguments)
        name = next(iter(sorted(ours ^ theirs)), None)
        if name is None:
            return None
        own, view = "memory of its own", f"the memory of {name}"
        returned, expected = (view, own) if name in ours else (own, view)
        words = f"your function returned a tensor in {returned}; one in {expected} was expected"
        return self.finding(words=words)


def _named(error: BaseException) -> str:
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}".removesuffix(": ")


def _shared_with(result: Any, arguments: dict[str, Any]) -> set[str]:
    places = memory_of(result)
    return {name for name, value in arguments.items() if memory_of(value) & places}
