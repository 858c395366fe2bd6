"""What a lab says about its own steps: which are exercises, which need a process of their own, which mistakes are known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

Step = TypeVar("Step", bound=Callable[..., Any])


class Mutant(NamedTuple):
    """A known mistake: in the step's source, `old` (which stands there exactly once) becomes `new`."""

    name: str
    step: Callable[..., Any]
    old: str
    new: str


@dataclass(frozen=True)
class Marks:
    """What the decorators below leave on a step."""

    hints: tuple[str, str, str] | None = None
    fresh: bool = False


def exercise(*hints: str) -> Callable[[Step], Step]:
    """Mark a step as one that the learner writes, with three hints: a nudge, the idea, nearly the line."""
    if len(hints) != 3:
        raise ValueError(f"an exercise has three hints, got {len(hints)}")

    def mark(step: Step) -> Step:
        return _set(step, Marks((hints[0], hints[1], hints[2]), marks_of(step).fresh))

    return mark


def fresh(step: Step) -> Step:
    """Mark a step whose effect outlives it (registrations, caches, process memory): its mutants get their own process."""
    return _set(step, Marks(marks_of(step).hints, fresh=True))


def marks_of(step: Callable[..., Any]) -> Marks:
    """Return the marks of a step; empty marks where it has none."""
    marks: Marks = getattr(step, "__lab_marks__", Marks())
    return marks


def _set(step: Step, marks: Marks) -> Step:
    step.__lab_marks__ = marks  # type: ignore[attr-defined]
    return step
