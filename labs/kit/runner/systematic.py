"""Edit the exercises' steps in every way of a fixed list, and report what no claim noticed."""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labs import record
from labs.kit.distributed.world import World
from labs.kit.runner.bench import Bench, until_one_fails
from labs.kit.runner.context import RunContext
from labs.kit.runner.edits import Edit, compiled, edits_of
from labs.kit.runner.journal import Journal
from labs.kit.runner.lesson import Function, Lesson
from labs.kit.runner.limits import OutOfTime, memory_limit
from labs.kit.runner.marks import Equivalent, marks_of
from labs.kit.runner.mutants import Edited, in_own_process
from labs.kit.runner.step_cache import Key, StepCache

ENOUGH = 0.95  # so much of the edits that matter must be noticed
PATIENCE_S = 5.0  # at the least, for how long a run with an edit may work, or wait for another rank …
PATIENCE = 4  # … and at the least so many times what the same parts took without one
MORE_BYTES = 4 * 2**30  # what a run with an edit may take in addition: twice what a whole lab may
RAISED, ENDLESS = "it raised", "it did not end"
OTHER_TYPE, WROTE = "it returned another type", "it changed an argument"


class OtherType(Exception):
    """An edited step returned something of another type than the lab's own."""


class WroteToArgument(Exception):
    """An edited step changed a tensor that it was given, and the lab's own does not."""


# How it is told what became of a run: the words in its error.
WAYS = {
    f" {OutOfTime.__name__}: ": ENDLESS,
    f" {OtherType.__name__}: ": OTHER_TYPE,
    f" {WroteToArgument.__name__}: ": WROTE,
    "Timed out waiting": ENDLESS,
    " did not reach ": ENDLESS,
}


@dataclass(frozen=True)
class Judged:
    """One edit, and what noticed it: a claim, or how its run went wrong. `noticed` is empty where nothing did."""

    edit: Edit
    noticed: str = ""


@dataclass(frozen=True)
class Survey:
    """What became of a lab's systematic edits. `elsewhere` has the steps that this machine cannot judge, and why."""

    lab: int
    file: str
    judged: tuple[Judged, ...]
    equivalents: tuple[Equivalent, ...]
    elsewhere: dict[str, str]

    @property
    def killed(self) -> list[Judged]:
        return [judged for judged in self.judged if judged.noticed]

    @property
    def equivalent(self) -> list[tuple[Edit, str]]:
        """Return the edits that are listed as equivalent, with the reason, and that nothing noticed."""
        reasons = {_place(entry): entry.why for entry in self.equivalents}
        left = [judged.edit for judged in self.judged if not judged.noticed]
        return [(edit, reasons[edit.place]) for edit in left if edit.place in reasons]

    @property
    def survivors(self) -> list[Edit]:
        """Return the edits that nothing noticed, without those that are listed as equivalent."""
        listed = {edit.place for edit, _ in self.equivalent}
        return [
            judged.edit for judged in self.judged if not judged.noticed and judged.edit.place not in listed
        ]

    @property
    def share(self) -> float:
        """Return which share of the edits that are not equivalent was noticed."""
        return len(self.killed) / max(len(self.killed) + len(self.survivors), 1)

    @property
    def faults(self) -> list[str]:
        """Return what is wrong with the list of equivalent edits."""
        noticed = {judged.edit.place: judged.noticed for judged in self.judged}
        listed = [entry for entry in self.equivalents if entry.step.__name__ not in self.elsewhere]
        unknown = [entry for entry in listed if _place(entry) not in noticed]
        refuted = [entry for entry in listed if noticed.get(_place(entry))]
        return [f"{_told(entry)}: no edit reads so" for entry in unknown] + [
            f"{_told(entry)}: it is not equivalent, {noticed[_place(entry)]} noticed it" for entry in refuted
        ]

    @property
    def fine(self) -> bool:
        return bool(self.judged) and self.share >= ENOUGH and not self.faults


def survey(
    lesson: Lesson,
    world: World | None = None,
    progress: Callable[[str], None] = lambda text: None,
    kept: Path | None = None,
) -> Survey:
    """Judge every edit of the lab's exercises on its smoke Config. Raises DoesNotHold where the lab itself does not hold there,
    before the edits or, because of what they left behind, after them.

    With several processes all of them go through the edits together. What is `kept` in a file need not be judged again.
    """
    world = world or World()
    progress("the lab itself")
    judge = _Judge(lesson, world)
    journal = Journal(kept, world)
    names = [name for name in lesson.exercises.values() if name not in judge.elsewhere]
    edits = [edit for name in names for edit in edits_of(lesson.steps[name])]
    judged = []
    for place, edit in enumerate(edits, 1):
        progress(f"{place} of {len(edits)}: {edit.step}, {edit.old} → {edit.new}")
        if (noticed := journal.known(edit)) is None:
            journal.begin(edit)
            noticed = judge(edit)
            journal.end(edit, noticed)
        judged.append(Judged(edit, noticed))
    progress("the lab itself once more")
    judge.bench.reference()
    file = str(lesson.entry.path.name) if lesson.entry.path else ""
    return Survey(lesson.entry.number, file, tuple(judged), lesson.equivalents, judge.elsewhere)


class _Judge:
    """Runs the parts that an edited step can reach, the cheapest first, until a claim fails."""

    def __init__(self, lesson: Lesson, world: World) -> None:
        self.lesson = lesson
        self.bench = Bench(lesson, world)
        before_s = time.process_time()
        notes = self.bench.reference()
        worked_s = time.process_time() - before_s
        self.busy = worked_s / notes.seconds  # a busy machine lets a process work for a part of the time only
        self.seconds: dict[str, float] = world.gather("costs", {p.name: p.seconds for p in notes.parts})[0]
        self.elsewhere = dict(self._elsewhere(notes))

    def _elsewhere(self, notes: record.Run) -> Iterator[tuple[str, str]]:
        """Find the exercises that no claim judges here, with the reason that the first such claim has."""
        for name in self.lesson.exercises.values():
            parts = {part.number for part in notes.parts if part.name in self.lesson.parts_that_reach(name)}
            claims = [claim for claim in notes.claims if claim.part in parts]
            if not any(claim.verdict == "held" for claim in claims):
                yield name, claims[0].reason if claims else "no claim judges it"

    def __call__(self, edit: Edit) -> str:
        """Return what noticed an edit, or an empty string."""
        with warnings.catch_warnings(action="ignore"), memory_limit(MORE_BYTES):
            return next(filter(None, map(_noticed, self._runs(edit))), "")

    def _runs(self, edit: Edit) -> Iterator[record.Run]:
        step = self.lesson.steps[edit.step]
        told = f"{edit.old} → {edit.new}"
        parts = sorted(self.lesson.parts_that_reach(edit.step), key=lambda part: self.seconds.get(part, 0.0))
        if marks_of(step).fresh:
            work_s, _ = self._patience(*parts)
            yield in_own_process(self.lesson, Edited(edit.step, edit.source, told, work_s, settle=True))
            return
        function = compiled(edit.source, step, told)
        for part in parts:
            yield self.bench.run(self._context(edit.step, function, part), *self._patience(part))

    def _patience(self, *parts: str) -> tuple[float, float]:
        """Return for how long these parts may work with an edit, and for how long they may wait for another rank."""
        took_s = sum(self.seconds.get(part, 0.0) for part in parts)
        return max(PATIENCE_S, PATIENCE * took_s * self.busy), max(PATIENCE_S, PATIENCE * took_s)

    def _context(self, step: str, function: Function, part: str) -> RunContext:
        context = self.bench.replacing(step, function)
        cache = _Beside(self.bench.memory, self.lesson.reached_from(step), step)
        return replace(context, only=frozenset({part}), cache=cache, on_claim=until_one_fails)


class _Beside(StepCache):
    """Refuses a call of the edited step that returns another type than in the reference run, or writes where that did not."""

    def __init__(self, before: StepCache, reached: frozenset[str], step: str) -> None:
        super().__init__(before, reached)
        self.step = step

    def __call__(self, key: Key, *call: Any) -> Any:
        result = super().__call__(key, *call)
        right = self.before.calls.get(key) if self.before and key[1] == self.step else None
        if right and type_of(result) != (wanted := type_of(right.result)):
            raise OtherType(f"{type_of(result)}, not {wanted}")
        if right and self.calls[key].writes and not right.writes:
            raise WroteToArgument
        return result


def type_of(thing: object) -> str:
    """Name a thing's type, and the types of the items of a tuple."""
    if type(thing) is tuple:
        return f"tuple[{', '.join(map(type_of, thing))}]"
    return type(thing).__name__


def _noticed(notes: record.Run) -> str:
    failed = [claim.id for claim in notes.claims if claim.verdict == "failed"]
    if failed:
        return failed[0]
    if notes.status != "broke":
        return ""
    return next((way for words, way in WAYS.items() if words in notes.error), RAISED)


def _place(entry: Equivalent) -> tuple[str, str, str]:
    return entry.step.__name__, entry.old, entry.new


def _told(entry: Equivalent) -> str:
    return f"EQUIVALENT {entry.step.__name__}, {entry.old} → {entry.new}"


def counted(survey: Survey) -> dict[str, int]:
    """Return how many edits each claim, or way of going wrong, noticed: the most first."""
    return dict(Counter(judged.noticed for judged in survey.killed).most_common())
