"""What surrounds a run without being part of the lesson."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labs.kit.display.screen import Screen
from labs.kit.distributed.world import World
from labs.kit.measure.timing import Arms
from labs.kit.runner.step_cache import StepCache
from labs.record import Claim, Prediction

Function = Callable[..., Any]
Timer = Callable[..., Arms]
Ask = Callable[[Prediction], str | None]


class Settled(BaseException):
    """Raised by `on_claim` to end a run early: what was to be learnt from it is learnt."""


def unseen() -> Screen:
    """Return a screen that shows nothing."""
    return Screen(quiet=True)


@dataclass(frozen=True)
class RunContext:
    """Screen, folder and processes of a run, and what takes the place of its steps, its clock and its memory.

    `folder` is None where nothing is to be kept; `timer` stands in for the clock, and `cache` for steps, when mutants are
    judged; `replacements` take the place of steps; `learner` names those of them that a learner wrote. `only` names the parts
    that are run, where not all are, and `passes_over` is asked before each of these, on every rank with the same answer. `ask`
    puts a prediction to the person at the terminal and returns the guess. `on_claim` is told of every claim, once it is judged
    on all ranks, and may raise Settled.
    """

    screen: Screen = field(default_factory=unseen)
    world: World = field(default_factory=World)
    folder: Path | None = None
    timer: Timer | None = None
    cache: StepCache | None = None
    replacements: Mapping[str, Function] = field(default_factory=dict)
    learner: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    passes_over: Callable[[str], bool] = lambda part: False
    ask: Ask = lambda prediction: None
    on_claim: Callable[[Claim], None] = lambda claim: None
