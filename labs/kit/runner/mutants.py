"""Prove that claims can fail: put known mistakes into a lab's steps and see which claims notice."""

import ast
import importlib
import inspect
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from labs import record
from labs.kit.distributed.world import PeerLost, World
from labs.kit.measure.timing import Arms
from labs.kit.runner import lesson as lessons
from labs.kit.runner.context import RunContext, Settled
from labs.kit.runner.edits import compiled
from labs.kit.runner.lesson import Function, Lesson
from labs.kit.runner.limits import time_limit
from labs.kit.runner.marks import Mutant, marks_of
from labs.kit.runner.session import rehearse
from labs.kit.runner.step_cache import StepCache

PATIENCE_S = 20.0  # at the least, how long a process waits for one that a mutant has led astray …
PATIENCE = 4  # … and at the least so many times what the whole lab took without a mutant: a busy machine is no mistake
SPREAD = (0.99, 0.995, 1.0, 1.005, 1.01)  # injected samples lie this close together: a quiet machine


class DoesNotHold(Exception):
    """The lab fails, or breaks, without any mutant; so nothing can be said about mutants."""


@dataclass(frozen=True)
class Trial:
    """What one mutant did: the claims that failed because of it, or why it does not count."""

    name: str
    step: str
    killed: frozenset[str] = frozenset()
    fault: str = ""


@dataclass(frozen=True)
class Matrix:
    """Claims × mutants. `unmeasured` are claims that this machine cannot judge, with the reason."""

    lab: int
    claims: tuple[str, ...]
    unmeasured: dict[str, str]
    trials: tuple[Trial, ...]
    judges: dict[str, tuple[str, ...]] = field(default_factory=dict)  # the steps that each claim judges

    @property
    def survivors(self) -> list[str]:
        """Return the claims that no mutant could make fail."""
        return [claim for claim in self.claims if not any(claim in trial.killed for trial in self.trials)]

    @property
    def faults(self) -> list[str]:
        """Return what is wrong with the mutants themselves."""
        return [
            f"{trial.name}: {trial.fault or 'no claim noticed it'}"
            for trial in self.trials
            if trial.fault or not trial.killed
        ]


def matrix(
    lesson: Lesson, world: World | None = None, progress: Callable[[str], None] = lambda name: None
) -> Matrix:
    """Run the lab's mutants on its smoke Config. Raises DoesNotHold where the lab itself does not hold there.

    With several processes all of them go through the mutants together, each time in a new process group.
    """
    bench = Bench(lesson, world or World())
    progress("the lab itself")
    notes = bench.reference()
    trials = []
    for mutant in lesson.mutants:
        progress(mutant.name)
        trials.append(bench.trial(mutant, notes))
    held = [claim for claim in notes.claims if claim.verdict == "held"]
    timed = frozenset(notes.parts_named(claim.part for claim in held if claim.kind == "ratio"))
    if timed:
        progress("both arms the same")
        trials.append(_verdict("both arms the same", "(timing)", notes, bench.with_same_arms(timed)))
    unmeasured = {claim.id: claim.reason for claim in notes.claims if claim.verdict == "not measured here"}
    judges = {claim.id: tuple(claim.judges) for claim in held}
    return Matrix(lesson.entry.number, tuple(claim.id for claim in held), unmeasured, tuple(trials), judges)


class Bench:
    """Runs a lab again and again, on its smoke Config, against what its reference run remembers."""

    def __init__(self, lesson: Lesson, world: World) -> None:
        self.lesson = lesson
        self.world = world
        self.cfg: Any = lesson.config.smoke()  # type: ignore[attr-defined]
        self.memory = StepCache()
        self.versions: list[int] = []
        self.runs = 0
        self.patience_s = 0.0  # as long as the lab's own run may take; known once that is over

    def reference(self) -> record.Run:
        """Run the lab as it is, with every bound of a ratio met. Raises DoesNotHold where a claim fails all the same.

        Run again, it remembers all anew, but for what can be run only once in a process (`fresh`).
        """
        steps = self.lesson.steps
        once = [self.lesson.reached_from(name) for name, step in steps.items() if marks_of(step).fresh]
        self.memory = StepCache(self.memory, frozenset(steps.keys() - frozenset().union(*once)))
        self.versions = []
        notes = self.run(RunContext(timer=distinct_arms, cache=self.memory))
        if notes.status != "held":
            failed = [f"{claim.id}: {claim.reason}" for claim in notes.claims if claim.verdict == "failed"]
            raise DoesNotHold(
                f"lab {self.lesson.entry.number:02d} does not hold without a mutant: {notes.error or '; '.join(failed)}"
            )
        self.patience_s = self.world.agreed(max(PATIENCE_S, PATIENCE * notes.seconds))
        self.versions = self.memory.versions
        return notes

    def trial(self, mutant: Mutant, notes: record.Run) -> Trial:
        """Try one mutant; an edit that is not a fair one is a fault of the mutant."""
        try:
            return _verdict(mutant.name, mutant.step.__name__, notes, self.with_mutant(mutant))
        except ValueError as error:
            return Trial(mutant.name, mutant.step.__name__, fault=str(error))

    def with_mutant(self, mutant: Mutant) -> record.Run:
        if marks_of(mutant.step).fresh:
            source = mutated_source(mutant)
            return in_own_process(
                self.lesson, Edited(mutant.step.__name__, source, mutant.name, self.patience_s)
            )
        return self.run(self.replacing(mutant.step.__name__, mutated(mutant)))

    def replacing(self, name: str, function: Function) -> RunContext:
        """Return what it takes to run the parts that a step can reach with another function in its place."""
        cache = StepCache(self.memory, self.lesson.reached_from(name))
        only = self.lesson.parts_that_reach(name)
        return RunContext(timer=distinct_arms, cache=cache, replacements={name: function}, only=only)

    def with_same_arms(self, parts: frozenset[str]) -> record.Run:
        """For every ratio at once: both arms do the same. Samples are injected; the clock has tests of its own."""
        return self.run(RunContext(timer=same_arms, cache=StepCache(self.memory), only=parts))

    def run(self, context: RunContext, limit_s: float = 0.0) -> record.Run:
        """Run the lab once; what breaks on one rank is broken for all.

        `limit_s` bounds this process's own work, and how long it waits for another rank; by default the patience does.
        """
        self.runs += 1
        limit_s = limit_s or self.patience_s
        own = self.world.with_prefix(
            f"run-{self.runs}",
            agree_s=limit_s or self.world.agree_s,
            collective_s=limit_s or self.world.collective_s,
        )
        with time_limit(limit_s) if limit_s else nullcontext():
            notes = rehearse(self.lesson, self.cfg, replace(context, world=own), smoke=True)
        if self._agree(notes):
            self.reference()
        return notes

    def _agree(self, notes: record.Run) -> bool:
        """Wait until every rank has come out of the run, and return whether what is remembered was written to on any.

        The last may come when the others have been out for long: it worked up to the limit, then waited in a collective, then
        for the others' word, and each of them takes all of its patience.
        """
        meeting = self.world.with_prefix(
            f"after-{self.runs}", agree_s=max(self.world.agree_s, 5 * self.patience_s), collective_s=0.0
        )
        errors = [error for error in meeting.gather("errors", notes.error) if error]
        if errors:
            notes.status, notes.error = "broke", min(errors, key=lambda error: PeerLost.__name__ in error)
        return any(meeting.gather("stale", bool(self.versions) and self.memory.versions != self.versions))


def _verdict(name: str, step: str, notes: record.Run, mutant_notes: record.Run) -> Trial:
    if mutant_notes.status == "broke":
        return Trial(name, step, fault=f"it does not run to the end: {mutant_notes.error}")
    held = {claim.id for claim in notes.claims if claim.verdict == "held"}
    now = {claim.id: claim.verdict for claim in mutant_notes.claims}
    killed = frozenset(id_ for id_ in held if now.get(id_) == "failed")
    if killed == held:
        return Trial(name, step, fault="not one claim still holds, so it proves nothing about any of them")
    return Trial(name, step, killed)


def distinct_arms(
    first: Function, second: Function, *, at_least: float | None, at_most: float | None
) -> Arms:
    """Run both arms once and return samples that lie well inside the claim's bound."""
    first(), second()
    centre = (at_least or at_most or 1.0) * (2.0 if at_most is None else 0.5 if at_least is None else 1.0)
    if at_least is not None and at_most is not None:
        centre = (at_least * at_most) ** 0.5
    return Arms([centre * factor for factor in SPREAD], [1.0] * len(SPREAD))


def same_arms(first: Function, second: Function, *, at_least: float | None, at_most: float | None) -> Arms:
    """Return samples of two arms that do the same; where that would be within the bound, of a first arm that lies outside it."""
    allowed = (at_least is None or at_least <= 1.0) and (at_most is None or at_most >= 1.0)
    outside = 2.0 * at_most if at_most is not None else (at_least or 1.0) / 2.0
    centre = outside if allowed else 1.0
    return Arms([centre * factor for factor in SPREAD], [1.0] * len(SPREAD))


def mutated(mutant: Mutant) -> Function:
    """Return the mutant's step with its one edit made. Raises ValueError where the edit is not a fair one."""
    return compiled(mutated_source(mutant), mutant.step, mutant.name)


def mutated_source(mutant: Mutant) -> str:
    """Return the source of the mutant's step, without decorators, with one line of its code edited: never the docstring or a return."""
    lines = textwrap.dedent(inspect.getsource(mutant.step)).splitlines(keepends=True)
    function = ast.parse("".join(lines)).body[0]
    assert isinstance(function, ast.FunctionDef)
    docstring_end = function.body[0].end_lineno or 0 if ast.get_docstring(function) else function.lineno
    head, code = "".join(lines[function.lineno - 1 : docstring_end]), "".join(lines[docstring_end:])
    if code.count(mutant.old) != 1:
        raise ValueError(
            f"mutant {mutant.name!r}: {mutant.old!r} occurs {code.count(mutant.old)} times in the code of {function.name}, not once"
        )
    line = docstring_end + code[: code.index(mutant.old)].count("\n") + 1
    if line in _returns(function) or "\n" in mutant.old + mutant.new:
        raise ValueError(f"mutant {mutant.name!r}: edits one line of {function.name}, and never its return")
    return head + code.replace(mutant.old, mutant.new)


def _returns(function: ast.FunctionDef) -> set[int]:
    """Return the lines that the step's own return statements take, without those of functions inside it."""
    lines: set[int] = set()
    waiting: list[ast.AST] = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))
    return lines


@dataclass(frozen=True)
class Edited:
    """A step with an edit made, for a process that has nothing of this one. `settle`: it ends at the first claim that fails."""

    step: str
    source: str
    edit: str
    limit_s: float
    settle: bool = False


def in_own_process(lesson: Lesson, edited: Edited) -> record.Run:
    """Run a step whose effect would outlive it (`fresh`) in a process that ends with it."""
    done = subprocess.run(
        [sys.executable, "-m", "labs.kit.runner.mutants", lesson.import_name],
        input=json.dumps(asdict(edited)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"mutant {edited.edit!r} in its own process: {done.stderr.strip().splitlines()[-1:]}"
        )
    return record.Run.model_validate_json(done.stdout.splitlines()[-1])


def until_one_fails(claim: record.Claim) -> None:
    """End a run at the first claim that fails."""
    if claim.verdict == "failed":
        raise Settled


def load(import_name: str) -> Lesson:
    """Import a lab and read it."""
    module = importlib.import_module(import_name)
    return lessons.read(module.run, module.Config)


def _main(import_name: str, edited: Edited) -> None:
    lesson = load(import_name)
    bench = Bench(lesson, World())
    context = bench.replacing(edited.step, compiled(edited.source, lesson.steps[edited.step], edited.edit))
    if edited.settle:
        context = replace(context, on_claim=until_one_fails)
    print(bench.run(context, edited.limit_s).model_dump_json())


if __name__ == "__main__":
    _main(sys.argv[1], Edited(**json.load(sys.stdin)))
