"""Prove that claims can fail: put known mistakes into a lab's steps and see which claims notice."""

import ast
import importlib
import inspect
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

from labs import record
from labs.kit.distributed.world import World
from labs.kit.runner import lesson as lessons
from labs.kit.runner.bench import Bench, until_one_fails
from labs.kit.runner.edits import compiled
from labs.kit.runner.lesson import Function, Lesson
from labs.kit.runner.marks import Mutant, marks_of
from labs.kit.runner.proof import Proof


@dataclass(frozen=True)
class Trial:
    """What one mutant did: the claims that failed because of it, or why it does not count."""

    name: str
    step: str
    killed: frozenset[str] = frozenset()
    fault: str = ""
    passed_over: frozenset[str] = frozenset()  # claims that were not looked at


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
    lesson: Lesson,
    world: World | None = None,
    progress: Callable[[str], None] = lambda name: None,
    *,
    brief: bool = False,
) -> Matrix:
    """Run the lab's mutants on its smoke Config. Raises DoesNotHold where the lab itself does not hold there.

    With several processes all of them go through the mutants together, each time in a new process group. A `brief` matrix
    passes over what could prove nothing more. It begins with the last mutant: early steps reach the most parts, and by then
    most claims were seen to fail.
    """
    bench = Bench(lesson, world or World())
    progress("the lab itself")
    notes = bench.reference()
    proof = Proof(notes) if brief else None
    tried = {}
    for mutant in reversed(lesson.mutants) if brief else lesson.mutants:
        progress(mutant.name)
        tried[mutant] = _trial(bench, mutant, notes, proof)
    trials = [tried[mutant] for mutant in lesson.mutants]
    held = [claim for claim in notes.claims if claim.verdict == "held"]
    timed = frozenset(notes.parts_named(claim.part for claim in held if claim.kind == "ratio"))
    if timed:
        progress("both arms the same")
        trials.append(_verdict("both arms the same", "(timing)", notes, bench.with_same_arms(timed)))
    unmeasured = {claim.id: claim.reason for claim in notes.claims if claim.verdict == "not measured here"}
    judges = {claim.id: tuple(claim.judges) for claim in held}
    return Matrix(lesson.entry.number, tuple(claim.id for claim in held), unmeasured, tuple(trials), judges)


def _trial(bench: Bench, mutant: Mutant, notes: record.Run, proof: Proof | None = None) -> Trial:
    """Try one mutant; an edit that is not a fair one is a fault of the mutant."""
    name = mutant.step.__name__
    try:
        if proof is None:
            return _verdict(mutant.name, name, notes, _with_mutant(bench, mutant))
        proof.begin(name)
        trial = _verdict(mutant.name, name, notes, _with_mutant(bench, mutant, proof))
        return replace(trial, passed_over=proof.end(trial.killed))
    except ValueError as error:
        return Trial(mutant.name, name, fault=str(error))


def _with_mutant(bench: Bench, mutant: Mutant, proof: Proof | None = None) -> record.Run:
    name = mutant.step.__name__
    if marks_of(mutant.step).fresh:
        edited = Edited(name, mutated_source(mutant), mutant.name, bench.patience_s)
        return in_own_process(bench.lesson, edited)
    context = bench.replacing(name, mutated(mutant))
    if proof:
        context = replace(context, on_claim=proof.told, passes_over=proof.passes_over)
    return bench.run(context)


def _verdict(name: str, step: str, notes: record.Run, mutant_notes: record.Run) -> Trial:
    if mutant_notes.status == "broke":
        return Trial(name, step, fault=f"it does not run to the end: {mutant_notes.error}")
    held = {claim.id for claim in notes.claims if claim.verdict == "held"}
    now = {claim.id: claim.verdict for claim in mutant_notes.claims}
    killed = frozenset(id_ for id_ in held if now.get(id_) == "failed")
    if killed == held:
        return Trial(name, step, fault="not one claim still holds, so it proves nothing about any of them")
    return Trial(name, step, killed)


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
    work_s: float
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
    print(bench.run(context, edited.work_s).model_dump_json())


if __name__ == "__main__":
    _main(sys.argv[1], Edited(**json.load(sys.stdin)))
