"""A run as a chapter: for each part its guesses, the code of its steps and its own, and what came of it, in the order of time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from labs.errors import UsageError
from labs.exercises import Progress
from labs.record import Content, Part, Prediction, PredictionHere, Run, Step, StepHere

ASKED_FOR = 2  # `labs solution` shows a solution when it is asked the second time


@dataclass
class Code:
    """A step as the page shows it: its code open, folded below an exercise, or left to the reader."""

    step: Step
    shown: Literal["open", "folded", "hidden"]


@dataclass
class Section:
    """A part of the chapter."""

    part: Part
    predictions: list[Prediction]
    code: list[Code]
    content: Sequence[Content]


def sections(run: Run) -> list[Section]:
    """Return the run's parts, and before them, as part 0, what stands before the first one."""
    solved = solutions_to_show(run.lab)
    opening = Part(number=0, name="", title="", content=run.opening)
    numbers = {part.number for part in run.parts}
    found = []
    for part in (opening, *run.parts):
        steps = [
            step
            for step in run.steps
            if step.part == part.number or (not part.number and step.part not in numbers)
        ]
        code = [Code(step, _shown(step, solved)) for step in steps]
        content = [thing for thing in part.content if not isinstance(thing, StepHere | PredictionHere)]
        found.append(Section(part, list(_predictions(run, part)), code, content))
    return found


def _shown(step: Step, solved: set[str]) -> Literal["open", "folded", "hidden"]:
    if not step.exercise:
        return "open"
    return "folded" if step.by == "learner" or step.exercise in solved else "hidden"


def _predictions(run: Run, part: Part) -> Iterator[Prediction]:
    asked = {prediction.id: prediction for prediction in run.predictions}
    for thing in part.content:
        if isinstance(thing, PredictionHere) and thing.id in asked:
            yield asked[thing.id]


def solutions_to_show(lab: int) -> set[str]:
    """Return the exercises of a lab that were passed, or whose solution was asked for; none where that cannot be read."""
    try:
        progress = Progress(lab)
    except UsageError:
        return set()
    asked_for = {name for name, entry in progress.entries.items() if entry.get("asked", 0) >= ASKED_FOR}
    return progress.passed_ones | asked_for
