"""What a lab says about its own functions: which are exercises, which need a process of their own, what a part needs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

Step = TypeVar("Step", bound=Callable[..., Any])


class Mutant(NamedTuple):
    """A known mistake: in the step's source, `old` (which stands there exactly once) becomes `new`."""

    name: str
    step: Callable[..., Any]
    old: str
    new: str


class Equivalent(NamedTuple):
    """A systematic edit that no claim can notice, since what it makes is as right: `why` says in one sentence in what way."""

    step: Callable[..., Any]
    old: str
    new: str
    why: str


@dataclass(frozen=True)
class Marks:
    """What the decorators below leave on a function. `hints` are there where it is an exercise."""

    hints: tuple[str, ...] = ()
    contract: str = ""
    insight: str = ""
    fresh: bool = False
    needs: str = ""


def exercise(*hints: str, contract: str = "", insight: str = "") -> Callable[[Step], Step]:
    """Mark a step as one that the learner writes.

    The three hints are a nudge, the idea, nearly the line. `contract` says what comes in, what is returned and what stays as
    it is, with one tiny example as `>>>` lines that runs; `insight` is told to who passed.
    """
    if len(hints) != 3:
        raise ValueError(f"an exercise has three hints, got {len(hints)}")

    def mark(step: Step) -> Step:
        return _set(step, replace(marks_of(step), hints=hints, contract=contract, insight=insight))

    return mark


def fresh(step: Step) -> Step:
    """Mark a step whose effect outlives it (registrations, caches, process memory): its mutants get their own process."""
    return _set(step, replace(marks_of(step), fresh=True))


def needs(what: str) -> Callable[[Step], Step]:
    """Mark a part that can be measured only where something is there, such as "cuda"; needs.py has the list."""

    def mark(part: Step) -> Step:
        return _set(part, replace(marks_of(part), needs=what))

    return mark


def marks_of(step: Callable[..., Any]) -> Marks:
    """Return the marks of a function; empty marks where it has none."""
    marks: Marks = getattr(step, "__lab_marks__", Marks())
    return marks


def _set(step: Step, marks: Marks) -> Step:
    step.__lab_marks__ = marks  # type: ignore[attr-defined]
    return step
