"""One contract over all labs: what every file in the modules keeps, whatever it is about."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import jsonschema
import pytest

from labs import catalog, record
from labs.catalog import Entry
from labs.errors import UsageError
from labs.exercises import Source
from labs.kit.runner import config as flags
from labs.kit.runner.attempt import Attempt
from labs.kit.runner.context import RunContext
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.mutants import distinct_arms, load, matrix, mutated_source
from labs.kit.runner.session import rehearse
from labs.kit.runner.step_cache import StepCache, callers_of
from scripts.measure import measuring
from tests.solutions import solved

READY = [entry for entry in catalog.all_labs().values() if entry.ready]
MAX_LINES = 680
MAX_FIELDS = 8
MAX_SMOKE_S = 60
MAX_SMOKE_BYTES = 2 * 2**30
HEAVY = (
    "matplotlib",
    "sklearn",
    "torchvision",
    "lightning",
    "onnx",
    "onnxruntime",
    "deepspeed",
    "kornia",
    "tensorboard",
)
ANY_SHAPE = {
    "tensor",
    "view",
    "x",
    "y",
    "t",
    "tensors",
    "grad",
    "loss",
    "value",
}  # tensors of any shape, and scalars
NO_ORDERS = {"a", "an", "the", "this", "it", "we", "you", "how", "what", "why", "when"}

MUTANT_PROCESSES = 3
MAX_MATRIX_S = 300


def name_of(entry: Entry) -> str:
    return f"lab{entry.number:02d}"


every_lab = pytest.mark.parametrize("entry", READY, ids=name_of)
every_lab_of_one_process = pytest.mark.parametrize(
    "entry", [entry for entry in READY if not entry.distributed], ids=name_of
)
every_distributed_lab = pytest.mark.parametrize(
    "entry", [entry for entry in READY if entry.distributed], ids=name_of
)


@cache
def lesson_of(entry_number: int) -> Lesson:
    return load(catalog.all_labs()[entry_number].import_name)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def source_of(entry: Entry) -> str:
    assert entry.path is not None
    return entry.path.read_text(encoding="utf-8")


def functions_of(entry: Entry) -> dict[str, ast.FunctionDef]:
    assert entry.path is not None
    return {node.name: node for node in tree_of(entry.path).body if isinstance(node, ast.FunctionDef)}


def steps_of(entry: Entry) -> dict[str, ast.FunctionDef]:
    """The functions that `run` hands to `lab.step`; helpers are not among them."""
    functions = functions_of(entry)
    called = {
        call.args[0].id
        for call in ast.walk(functions["run"])
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) == "lab.step"
        and isinstance(call.args[0], ast.Name)
    }
    return {name: node for name, node in functions.items() if name in called}


def arguments_of(step: ast.FunctionDef) -> list[ast.arg]:
    return [*step.args.posonlyargs, *step.args.args, *step.args.kwonlyargs]


def own_returns(step: ast.FunctionDef) -> Iterator[ast.Return]:
    """The step's own return statements, without those of functions inside it."""
    waiting: list[ast.AST] = list(step.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


# The file ------------------------------------------------------------------------------------------------------------


@every_lab
def test_the_header_is_complete_and_its_lines_are_short(entry: Entry) -> None:
    assert set(entry.sections) == set(catalog.SECTIONS)
    assert all(entry.sections.values())
    assert entry.title != ""
    assert entry.title_pl not in ("", entry.title)
    assert (
        max(
            map(
                len,
                source_of(entry).splitlines()[
                    : source_of(entry)[: source_of(entry).index('"""', 3)].count("\n")
                ],
            )
        )
        <= 140
    )
    assert f"make lab-{entry.number:02d}" in entry.sections["Run"]
    assert f"python -m {entry.import_name}" in entry.sections["Run"]


@every_lab
def test_the_file_is_not_too_long(entry: Entry) -> None:
    assert len(source_of(entry).splitlines()) <= MAX_LINES


@every_lab
def test_of_ours_only_the_kit_is_imported(entry: Entry) -> None:
    assert entry.path is not None
    nodes = [node for node in ast.walk(tree_of(entry.path)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        name
        for node in nodes
        for name in (
            [node.module or "."] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        )
    }
    relative = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level]
    assert not relative
    assert {
        name for name in names if re.match(r"labs(\.|$)", name) and not re.match(r"labs\.kit(\.|$)", name)
    } == set()


@every_lab
def test_importing_it_is_silent_and_light(entry: Entry) -> None:
    program = f"""
import sys
opened = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+") and "__pycache__" not in str(arguments[0]):
        opened.append(arguments[0])
import torch, labs.kit, labs.kit.measure.memory, labs.kit.topics.data
before = set(sys.modules)
sys.addaudithook(watch)
import {entry.import_name}
assert not opened, opened
assert not torch.cuda.is_initialized()
heavy = set({HEAVY!r}) & {{name.partition(".")[0] for name in set(sys.modules) - before}}
assert not heavy, heavy
assert "labs.launch" not in sys.modules
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@every_lab
def test_the_config_is_small_and_every_field_is_explained(entry: Entry) -> None:
    lesson = lesson_of(entry.number)
    fields = flags.flags_of(lesson.config)
    assert len(fields) <= MAX_FIELDS
    assert [flag.name for flag in fields if not flag.help] == []
    smoke = lesson.config.smoke()  # type: ignore[attr-defined]
    assert isinstance(smoke, lesson.config)
    assert smoke != lesson.config()
    with pytest.raises((AttributeError, TypeError)):
        smoke.anything = 1  # type: ignore[attr-defined]


# The steps -----------------------------------------------------------------------------------------------------------


@every_lab
def test_there_are_some_steps_and_not_too_many(entry: Entry) -> None:
    assert 4 <= len(steps_of(entry)) <= (18 if entry.distributed else 12)


@every_lab
def test_every_step_begins_with_an_order(entry: Entry) -> None:
    wrong = {}
    for name, step in steps_of(entry).items():
        first = (ast.get_docstring(step) or "").partition("\n")[0]
        word = first.partition(" ")[0].rstrip(",:")
        third_person = word.endswith("s") and not word.endswith("ss")
        if not first.endswith(".") or not word[:1].isupper() or word.lower() in NO_ORDERS or third_person:
            wrong[name] = first
    assert wrong == {}


@every_lab
def test_every_step_is_annotated(entry: Entry) -> None:
    bare = [
        name
        for name, step in steps_of(entry).items()
        if step.returns is None or any(arg.annotation is None for arg in arguments_of(step))
    ]
    assert bare == []


@every_lab
def test_shapes_stand_in_names_and_their_letters_in_the_legend(entry: Entry) -> None:
    legend = re.search(r"^# Shape letters:((?:.*\n#)*.*)", source_of(entry), re.MULTILINE)
    assert legend is not None
    letters = set(re.findall(r"\b[A-Z]\b", legend[1]))
    wrong = []
    for name, step in functions_of(entry).items():
        for argument in arguments_of(step):
            suffix = re.search(r"_([A-Z]+)$", argument.arg)
            of_tensors = argument.annotation is not None and ast.unparse(argument.annotation) in (
                "Tensor",
                "torch.Tensor",
            )
            if of_tensors and not suffix and argument.arg not in ANY_SHAPE:
                wrong.append(f"{name}({argument.arg}) has no shape in its name")
    assert entry.path is not None
    names = {node.id for node in ast.walk(tree_of(entry.path)) if isinstance(node, ast.Name)}
    names |= {node.arg for node in ast.walk(tree_of(entry.path)) if isinstance(node, ast.arg)}
    for name in names:
        suffix = re.search(r"^[a-z]\w*?_([A-Z]+)$", name)
        if suffix and not set(suffix[1]) <= letters:
            wrong.append(f"{name} has letters that the legend lacks")
    assert wrong == []


@every_lab
def test_a_step_does_not_print_judge_or_look_around(entry: Entry) -> None:
    wrong = []
    for name, step in steps_of(entry).items():
        names = {node.id for node in ast.walk(step) if isinstance(node, ast.Name)}
        attributes = {node.attr for node in ast.walk(step) if isinstance(node, ast.Attribute)}
        wrong += [
            f"{name} uses {used}"
            for used in sorted(
                names & {"print", "lab", "input", "argparse"} | attributes & {"environ", "getenv", "argv"}
            )
        ]
    assert wrong == []


@every_lab
def test_a_step_returns_the_thing_itself_and_no_verdict(entry: Entry) -> None:
    verdicts = [
        f"{name}: {ast.unparse(found)}"
        for name, step in steps_of(entry).items()
        for found in own_returns(step)
        if isinstance(found.value, ast.Compare | ast.BoolOp)
        or (isinstance(found.value, ast.UnaryOp) and isinstance(found.value.op, ast.Not))
    ]
    assert verdicts == []


@every_lab
def test_there_are_one_to_three_exercises_and_their_hints_do_not_repeat(entry: Entry) -> None:
    exercises = Source(entry).exercises
    assert 1 <= len(exercises) <= 3
    assert {exercise.id: exercise.step for exercise in exercises} == lesson_of(entry.number).exercises
    hints = [hint for exercise in exercises for hint in exercise.hints]
    assert len(hints) == len(set(hints)) == 3 * len(exercises)
    assert all(len(hint) > 10 for hint in hints)


# The run -------------------------------------------------------------------------------------------------------------


class Ended(NamedTuple):
    """A process that has ended. `peak_bytes` is the most memory that it held at once."""

    status: int
    stdout: str
    stderr: str
    peak_bytes: float


def surroundings(folder: Path) -> dict[str, str]:
    return {**os.environ, "LABS_HOME": str(folder / "home"), "PYTHONWARNINGS": "always"}


def to_its_end(command: list[str], folder: Path) -> Ended:
    """Run a command with a bound on its time, and return what it said and how much memory it took."""
    with (
        (folder / "stdout").open("w+") as stdout,
        (folder / "stderr").open("w+") as stderr,
        TemporaryFile() as report,
    ):
        files: dict[str, Any] = {"stdout": stdout, "stderr": stderr, "pass_fds": [report.fileno()]}
        process = subprocess.Popen(
            measuring(report.fileno(), command),
            cwd=folder,
            env=surroundings(folder),
            process_group=0,
            **files,
        )
        watchdog = threading.Timer(MAX_SMOKE_S, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.start()
        try:
            process.wait()
        finally:
            watchdog.cancel()
        for file in (stdout, stderr, report):
            file.seek(0)
        *_, peak_mib, status = json.loads(report.read() or f"[0, {-signal.SIGKILL}]")
        return Ended(status, stdout.read(), stderr.read(), peak_mib * 2**20)


@every_lab
def test_a_smoke_run_holds_in_little_time_and_memory_without_a_warning(
    entry: Entry, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("lab", entry.number)
    command = ["labs", "run", str(entry.number)] if entry.distributed else [entry.import_name]
    ended = to_its_end([sys.executable, "-m", *command, "--smoke"], tmp_path)
    assert ended.status == 0, ended.stdout + ended.stderr
    assert ended.peak_bytes <= MAX_SMOKE_BYTES
    assert str(entry.path) not in ended.stderr
    assert "\x1b" not in ended.stdout
    (folder,) = (tmp_path / "home" / "runs" / f"lab{entry.number:02d}").iterdir()
    found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, json.loads((catalog.PACKAGE / "run.schema.json").read_text(encoding="utf-8")))
    notes = record.load(folder)
    assert (notes.lab, notes.status, notes.smoke) == (entry.number, "held", True)
    elsewhere = [
        claim.id
        for claim in notes.claims
        if claim.verdict == "not measured here" and not claim.reason.startswith("smoke")
    ]
    assert len(elsewhere) <= len(notes.claims) / 3, elsewhere
    assert {claim.id.partition(".")[0] for claim in notes.claims} == {f"{entry.number:02d}"}
    called = [step.name for step in notes.steps]
    assert called == [name for name in functions_of(entry) if name in called], (
        "the steps' order in the file is the lesson's order"
    )
    missing = [
        thing.path
        for step in notes.steps
        for thing in step.content
        if thing.type in ("figure", "picture") and not (folder / thing.path).exists()
    ]
    assert missing == []
    assert {path.name for path in tmp_path.iterdir()} == {"home", "stdout", "stderr"}


@every_distributed_lab
def test_it_runs_unchanged_under_plain_torchrun(entry: Entry, tmp_path: Path) -> None:
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    ended = to_its_end([sys.executable, "-m", *torchrun, entry.import_name, "--smoke"], tmp_path)
    assert ended.status == 0, ended.stdout + ended.stderr
    (folder,) = (tmp_path / "home" / "runs" / f"lab{entry.number:02d}").iterdir()
    notes = record.load(folder)
    assert (notes.status, notes.nodes, [rank.rank for rank in notes.ranks]) == ("held", 1, [0, 1])


@every_lab
@pytest.mark.parametrize("flag", ["--no-such-flag=1", "bad value"])
def test_a_bad_flag_is_refused_with_the_valid_ones(entry: Entry, flag: str) -> None:
    fields = flags.flags_of(lesson_of(entry.number).config)
    number = next(field for field in fields if field.type in (int, float))
    typed = flag if flag.startswith("--") else f"--{number.name.replace('_', '-')}=many"
    with pytest.raises(UsageError) as caught:
        flags.parser_of(lesson_of(entry.number).config, "").parse_args([typed])
    assert len(str(caught.value).splitlines()) <= 3
    assert all(f"--{field.name.replace('_', '-')}=" in str(caught.value) for field in fields)


# Claims, mutants, exercises ------------------------------------------------------------------------------------------


@every_lab_of_one_process
def test_every_claim_can_fail_and_every_mutant_counts(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(catalog.PACKAGE.parent)  # steps that are `fresh` start from here
    result = matrix(lesson_of(entry.number))
    assert result.survivors == []
    assert result.faults == []
    assert len(result.claims) >= 3


@every_distributed_lab
def test_so_it_is_on_several_processes_and_two_mistakes_fail_in_each_exercise(
    entry: Entry, tmp_path: Path
) -> None:
    target = tmp_path / "matrix.json"
    command = [sys.executable, "-m", "labs", "mutants", str(entry.number)]
    ended = subprocess.run(
        command, env={**surroundings(tmp_path), "LABS_MATRIX": str(target)}, timeout=MAX_MATRIX_S, check=False
    )
    found = json.loads(target.read_text(encoding="utf-8"))
    assert [trial for trial in found["trials"] if trial["fault"] or not trial["killed"]] == []
    assert ended.returncode == 0
    judged_by = {
        step: {id_ for id_, steps in found["judges"].items() if step in steps}
        for step in lesson_of(entry.number).exercises.values()
    }
    for step, claims in judged_by.items():
        assert (
            len(
                [
                    trial
                    for trial in found["trials"]
                    if trial["step"] == step and claims & set(trial["killed"])
                ]
            )
            >= 2
        ), step


@every_distributed_lab
def test_the_labs_own_steps_pass_as_a_solution_on_several_processes(entry: Entry, tmp_path: Path) -> None:
    work = tmp_path / "home" / "work" / f"{name_of(entry)}.py"
    work.parent.mkdir(parents=True)
    work.write_text(solved(entry.number), encoding="utf-8")
    ended = to_its_end(
        [
            sys.executable,
            "-m",
            "labs",
            "check",
            str(entry.number),
            "--smoke",
            "--procs",
            str(MUTANT_PROCESSES),
        ],
        tmp_path,
    )
    assert ended.status == 0, ended.stdout + ended.stderr
    assert ended.stdout.count(" passed") == len(Source(entry).exercises)


@cache
def reference_of(entry_number: int) -> tuple[Any, StepCache]:
    """The smoke Config, and what the lab's own steps return with it."""
    lesson, cache = lesson_of(entry_number), StepCache()
    cfg = lesson.config.smoke()  # type: ignore[attr-defined]
    rehearse(lesson, cfg, RunContext(timer=distinct_arms, cache=cache), smoke=True)
    return cfg, cache


def attempted(entry: Entry, file: Path, bodies: str) -> Attempt:
    """An attempt with these functions behind the head of the file that learners get."""
    head = Source(entry).work_text.partition("\n\n\ndef ")[0]
    file.write_text(f"{head}\n\n\n{bodies}\n", encoding="utf-8")
    return Attempt(lesson_of(entry.number), file)


@every_lab_of_one_process
def test_at_least_two_wrong_solutions_of_each_exercise_fail_on_a_claim(entry: Entry, tmp_path: Path) -> None:
    lesson = lesson_of(entry.number)
    cfg, reference = reference_of(entry.number)
    caught: dict[str, list[str]] = {step: [] for step in lesson.exercises.values()}
    for place, mutant in enumerate(lesson.mutants):
        step = mutant.step.__name__
        if step in caught:
            attempt = attempted(entry, tmp_path / f"attempt{place}.py", mutated_source(mutant))
            assert list(attempt.written) == [step]
            cache = StepCache(reference, callers_of(step, lesson.steps))
            context = RunContext(timer=distinct_arms, cache=cache, replacements=attempt.replacements())
            notes = rehearse(lesson, cfg, context, smoke=True)
            assert attempt.troubles == {}
            if any(claim.verdict == "failed" and step in claim.judges for claim in notes.claims):
                caught[step].append(mutant.name)
    assert {step: names for step, names in caught.items() if len(names) < 2} == {}


@every_lab
def test_the_untouched_stubs_are_not_written_yet(entry: Entry, tmp_path: Path) -> None:
    lesson = lesson_of(entry.number)
    file = tmp_path / f"lab{entry.number:02d}.py"
    file.write_text(Source(entry).work_text, encoding="utf-8")
    attempt = Attempt(lesson, file)
    assert attempt.written == {}
    nothing = record.Run.model_construct(status="held", claims=[])
    assert {exercise.judgement for exercise in attempt.judge(nothing, lesson.config())} == {"not written yet"}


@every_lab_of_one_process
def test_the_labs_own_steps_pass_as_a_solution(entry: Entry, tmp_path: Path) -> None:
    lesson = lesson_of(entry.number)
    cfg, reference = reference_of(entry.number)
    solutions = "\n\n\n".join(exercise.solution for exercise in Source(entry).exercises)
    attempt = attempted(entry, tmp_path / f"lab{entry.number:02d}.py", solutions)
    context = RunContext(timer=distinct_arms, cache=StepCache(reference), replacements=attempt.replacements())
    notes = rehearse(lesson, cfg, context, smoke=True)
    judged = {exercise.step: (exercise.judgement, exercise.reason) for exercise in attempt.judge(notes, cfg)}
    assert judged == dict.fromkeys(lesson.exercises.values(), ("passed", ""))
