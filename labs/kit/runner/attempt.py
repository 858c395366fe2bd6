"""A learner's attempt at a lab's exercises: take the place of the lab's own steps, and be judged by its claims."""

import ast
import functools
import importlib.util
import sys
import traceback
from pathlib import Path
from types import FunctionType
from typing import Any

from labs import record
from labs.errors import UsageError
from labs.kit.distributed.world import World
from labs.kit.runner.context import RunContext
from labs.kit.runner.lesson import Function, Lesson
from labs.kit.runner.marks import Mutant, marks_of
from labs.kit.runner.mutants import mutated
from labs.kit.runner.reading import callers_of
from labs.kit.runner.session import rehearse
from labs.kit.runner.step_cache import StepCache

Fingerprint = dict[str, tuple[str, Any, str]]


class Attempt:
    """The learner's functions, each wrapped so that one which raises is noted and the lab's own goes on in its place."""

    def __init__(self, lesson: Lesson, path: Path, world: World | None = None) -> None:
        self.lesson = lesson
        self.world = world or World()
        self.reruns = 0
        self.memory = StepCache() if any(marks_of(step).fresh for step in lesson.steps.values()) else None
        self.path = path
        self.written = _load(lesson, path)
        self.troubles: dict[str, str] = {}

    def replacements(self) -> dict[str, Function]:
        """Return what takes the place of the lab's steps."""
        return {name: self._guarded(name) for name in self.written}

    def _guarded(self, name: str) -> Function:
        attempt, reference = self.written[name], self.lesson.steps[name]

        @functools.wraps(attempt)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return attempt(*args, **kwargs)
            except (
                Exception,
                SystemExit,
            ) as error:  # whatever the learner's code raises is shown to the learner
                self.troubles.setdefault(name, self._named(error))
            return reference(*args, **kwargs)

        return guarded

    def _named(self, error: BaseException) -> str:
        own = [
            frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == self.path
        ]
        where = f" ({self.path.name}, line {own[-1].lineno})" if own else ""
        return f"it raised {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}{where}"

    def judge(self, notes: record.Run, cfg: Any) -> list[record.Exercise]:
        """Judge every exercise by a run that was made with this attempt in place, running it alone where that run does not settle it."""
        self._share_troubles()
        return [self._judge(id_, name, notes, cfg) for id_, name in self.lesson.exercises.items()]

    def _share_troubles(self) -> None:
        """Let every rank know what went wrong on any, so that all go on alike."""
        for rank, troubles in enumerate(self.world.gather("troubles", self.troubles)):
            for name, trouble in troubles.items():
                self.troubles.setdefault(name, f"on rank {rank} {trouble}")

    def _judge(self, id_: str, name: str, notes: record.Run, cfg: Any) -> record.Exercise:
        if name not in self.written:
            return record.Exercise(id=id_, step=name, judgement="not written yet")
        if name not in self.troubles and notes.status != "held":
            notes = self._alone(name, cfg, smoke=notes.smoke)
            self._share_troubles()
        if name in self.troubles:
            return record.Exercise(id=id_, step=name, judgement="failed", reason=self.troubles[name])
        return self._by_claims(id_, name, notes, cfg)

    def _by_claims(self, id_: str, name: str, notes: record.Run, cfg: Any) -> record.Exercise:
        failed = [claim for claim in notes.claims if claim.verdict == "failed"]
        if notes.status == "broke":
            return record.Exercise(id=id_, step=name, judgement="failed", reason=f"with it the {notes.error}")
        if failed:
            known = self._known_mistake(name, notes, cfg)
            reason = f"claim {failed[0].id}, {failed[0].text}: {failed[0].reason}"
            return record.Exercise(
                id=id_,
                step=name,
                judgement="failed",
                reason=reason + (f"; a known mistake: {known}" if known else ""),
            )
        tied = [claim for claim in notes.claims if name in claim.judges]
        unsure = [
            f"claim {claim.id} was not measured here: {claim.reason}"
            for claim in tied
            if claim.verdict != "held"
        ]
        if unsure or not tied:
            return record.Exercise(
                id=id_,
                step=name,
                judgement="cannot be judged here",
                reason=(unsure or ["no claim judges it"])[0],
            )
        return record.Exercise(id=id_, step=name, judgement="passed")

    def _alone(self, name: str, cfg: Any, *, smoke: bool) -> record.Run:
        """Run the lab again, unseen, with this one step in place, so that another exercise's failure is not blamed on it."""
        return self._rehearse({name: self._guarded(name)}, cfg, smoke=smoke)

    def _known_mistake(self, name: str, notes: record.Run, cfg: Any) -> str:
        """Return the name of the known mistake that fails with the very same values, or an empty string."""
        seen = _fingerprint(notes)
        for mutant in self.lesson.mutants:
            if mutant.step.__name__ == name and self._fails_alike(mutant, seen, cfg, smoke=notes.smoke):
                return mutant.name
        return ""

    def _fails_alike(self, mutant: Mutant, seen: Fingerprint, cfg: Any, *, smoke: bool) -> bool:
        replacement = mutated(mutant)
        return _fingerprint(self._rehearse({mutant.step.__name__: replacement}, cfg, smoke=smoke)) == seen

    def _rehearse(self, replacements: dict[str, Function], cfg: Any, *, smoke: bool) -> record.Run:
        self.reruns += 1
        world = self.world.with_prefix(
            f"rerun-{self.reruns}", agree_s=self.world.agree_s, collective_s=self.world.collective_s
        )
        touched = frozenset().union(
            *(callers_of(name, self.lesson.steps) for name in {*self.written, *replacements})
        )
        cache = (
            StepCache(self.memory, touched) if self.memory else None
        )  # a `fresh` step cannot be run twice in one process
        return rehearse(
            self.lesson, cfg, RunContext(world=world, replacements=replacements, cache=cache), smoke=smoke
        )


def _fingerprint(notes: record.Run) -> Fingerprint:
    """Return verdicts and what was measured, without what is timed: two like mistakes leave the same print."""
    return {
        claim.id: (claim.verdict, claim.value, claim.shown)
        for claim in notes.claims
        if claim.kind not in ("ratio", "stat")
    }


def _load(lesson: Lesson, path: Path) -> dict[str, Function]:
    """Run the learner's file and return those of its functions that are exercises of this lab and no longer stubs."""
    number = lesson.entry.number
    if not path.is_file():
        raise UsageError(f"there is no {path}\nmake it with: labs exercise {number}")
    try:
        stubs = _stubs_in(path)
        names = _names_in(path)
    except (Exception, SystemExit) as error:  # whatever the learner's file raises is shown to the learner
        line = (
            error.lineno
            if isinstance(error, SyntaxError)
            else traceback.extract_tb(error.__traceback__)[-1].lineno
        )
        said = error.msg if isinstance(error, SyntaxError) else str(error).strip().partition("\n")[0]
        raise UsageError(
            f"{path.name}, line {line}: {type(error).__name__}: {said}\nmend it, or start again with: labs reset {number}"
        ) from None
    steps = set(lesson.exercises.values()) - stubs
    return {
        name: thing
        for name, thing in names.items()
        if name in steps and isinstance(thing, FunctionType) and Path(thing.__code__.co_filename) == path
    }


def _stubs_in(path: Path) -> set[str]:
    """Return the functions whose code is still nothing but `raise NotImplementedError`."""
    functions = [
        node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    ]
    return {
        function.name
        for function in functions
        if "raise NotImplementedError('exercise " in ast.unparse(function.body[-1])
    }


def _names_in(path: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location(f"work_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pickle and torch.compile look a function's module up by its name
    spec.loader.exec_module(module)
    return vars(module)
