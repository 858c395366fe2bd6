"""What is said to a learner about each exercise: what is wrong, at which input, and what to type next."""

from pathlib import Path

from rich.markup import escape

from labs import record
from labs.files import read_json
from labs.kit.display.prose import inline
from labs.kit.display.screen import Screen
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.marks import marks_of

TONES = {
    "passed": "green",
    "failed": "bold red",
    "not written yet": "yellow",
    "cannot be judged here": "yellow",
}
MOST_LINES = 10  # of what the learner's function printed


class Conversation:
    """Talks about the exercises of one lab."""

    def __init__(self, lesson: Lesson, work_file: Path, screen: Screen) -> None:
        self.lesson = lesson
        self.work_file = work_file
        self.screen = screen

    def tell(self, exercises: list[record.Exercise]) -> None:
        """Say how each exercise was judged."""
        width = max(len(exercise.step) for exercise in exercises) + 2
        for place, exercise in enumerate(exercises):
            if place and "failed" in (exercise.judgement, exercises[place - 1].judgement):
                self.screen.show("")
            self._one(exercise, width)
        if all(exercise.judgement == "passed" for exercise in exercises):
            which = exercises[0].id if len(exercises) == 1 else str(self.lesson.entry.number)
            self.screen.show(f"compare with the lab's own: [bold]labs solution {which}[/]", wrap=False)

    def _one(self, exercise: record.Exercise, width: int) -> None:
        headline = exercise.judgement if exercise.judgement != "failed" else exercise.reason
        tone = TONES[exercise.judgement]
        name = f"[bold]{exercise.id}[/] {exercise.step:<{width}}"
        self.screen.show(f"{name}[{tone}]{escape(headline)}[/]", wrap=False)
        for paragraph in self._above(exercise):
            self.screen.show(paragraph, indent=4)
        for line in _input(exercise):
            self.screen.show(line, indent=6, wrap=False)
        for paragraph in self._below(exercise):
            self.screen.show(paragraph, indent=4)
        for line in _printed(exercise.printed):
            self.screen.show(line, indent=6, wrap=False)
        if exercise.next:
            self.screen.show(
                f"next: [bold]{escape(exercise.next)}[/]{self._hints_left(exercise)}", indent=4, wrap=False
            )

    def _above(self, exercise: record.Exercise) -> list[str]:
        if exercise.judgement == "cannot be judged here":
            return [inline(exercise.reason)]
        return [inline(exercise.insight)] if exercise.insight else []

    def _below(self, exercise: record.Exercise) -> list[str]:
        said = []
        if exercise.claim and exercise.claim != exercise.reason:
            said.append(inline(exercise.claim))
        if exercise.not_compared and not exercise.input:
            why = escape(exercise.not_compared)
            said.append(f"[dim]its calls were not compared with those of the lab's own step: {why}[/]")
        if exercise.mistake:
            said.append(f"It looks like a known mistake: [bold]{escape(exercise.mistake)}[/].")
        return [*said, "it printed:"] if exercise.printed else said

    def _hints_left(self, exercise: record.Exercise) -> str:
        """Say how many hints were not asked for yet, where it is known: the file lies beside the learner's."""
        if exercise.judgement != "failed":
            return ""
        noted = read_json(self.work_file.with_name("progress.json")).get(exercise.id, {})
        hints = len(marks_of(self.lesson.steps[exercise.step]).hints)
        seen = noted.get("hints", 0) if isinstance(noted, dict) else 0
        return f"   ({hints - seen} of {hints} hints left)" if seen < hints else "   (all hints seen)"


def _input(exercise: record.Exercise) -> list[str]:
    sides = {"you:": exercise.yours, "right:": exercise.expected}
    shown = [f"{word:<7}{line}" for name, value in sides.items() for word, line in _beside(name, value)]
    return [escape(line) for line in (*exercise.input.splitlines(), *shown)]


def _beside(name: str, value: str) -> list[tuple[str, str]]:
    """Return the lines of a value with its name before the first, so that rows of a tensor stay below one another."""
    return [(name if place == 0 else "", line) for place, line in enumerate(value.splitlines())]


def _printed(text: str) -> list[str]:
    lines = text.splitlines()
    more = [f"… and {len(lines) - MOST_LINES} lines more"] if len(lines) > MOST_LINES else []
    return [f"[dim]{escape(line)}[/]" for line in [*lines[:MOST_LINES], *more]]
