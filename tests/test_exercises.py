"""Exercises, read from a lab's source."""

import ast
import builtins
import doctest
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from labs import catalog, exercises
from labs.errors import UsageError
from labs.exercises import Progress, Source, begin, select, set_aside

READY = [entry for entry in catalog.all_labs().values() if entry.ready]


DOUBLED_STUB = '''\
def doubled(x_N: Tensor) -> Tensor:
    """Double every number.

    `x_N` is a row of N numbers; it stays as it is. Return the N numbers, each of them doubled.

    >>> doubled(torch.tensor([1.0, 2.5]))
    tensor([2., 5.])
    """
    raise NotImplementedError("exercise 99.1")'''


@pytest.fixture
def source(tiny_file: Path) -> Source:
    return Source(catalog.read_header(tiny_file))


def test_exercises_have_number_step_hints_stub_and_solution(source: Source) -> None:
    assert [(exercise.id, exercise.step) for exercise in source.exercises] == [
        ("99.1", "doubled"),
        ("99.2", "total"),
        ("99.3", "long_row"),
    ]
    doubled, total, _ = source.exercises
    assert doubled.hints == ("Add it to itself.", "Twice as much.", "`2 * x_N`")
    assert doubled.contract.splitlines()[-2:] == [">>> doubled(torch.tensor([1.0, 2.5]))", "tensor([2., 5.])"]
    assert doubled.insight == "Two times a number is the number plus itself."
    assert doubled.stub == DOUBLED_STUB
    assert doubled.solution.endswith("    twice_N = 2 * x_N\n    return twice_N")
    assert "Their sum is known since Gauss" in total.stub
    assert "@exercise" not in doubled.solution


def test_the_work_file_has_what_the_steps_need_and_nothing_else(source: Source) -> None:
    tree = ast.parse(source.work_text)
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports == ["import torch", "from torch import Tensor"]
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == [
        "doubled",
        "total",
        "long_row",
    ]
    assert "labs check 99" in source.work_text


def test_what_only_an_example_uses_is_imported_too(tiny_file: Path) -> None:
    text = tiny_file.read_text(encoding="utf-8")
    edited = text.replace(">>> long_row(3)", ">>> time.time() and long_row(3)")
    assert edited != text
    tiny_file.write_text(edited, encoding="utf-8")
    assert "\nimport time\n" in Source(catalog.read_header(tiny_file)).work_text


def test_exercises_of_the_labs_helpers_come_last_and_bring_their_imports(tiny_file: Path) -> None:
    helpers = """import math
from labs.kit import exercise

LIMIT = 3

@exercise("a", "b", "c", contract="Return it.", insight="So.")
def limited(x: float) -> float:
    '''Cut it off.'''
    return min(math.ceil(x), LIMIT)
"""
    tiny_file.with_name("_lab99_helpers.py").write_text(helpers, encoding="utf-8")
    source = Source(catalog.read_header(tiny_file))
    assert [(exercise.id, exercise.step) for exercise in source.exercises][-1] == ("99.4", "limited")
    assert "\nimport math\nfrom labs.m7_bonus._lab99_helpers import LIMIT\n" in source.work_text
    assert source.work_text.count("import torch\n") == 1


@pytest.mark.parametrize(
    "text", ["One line.", 'Says "so".', "Two\n\nlines.", r"A \sum of \n.", ""], ids=ascii
)
def test_a_docstring_reads_back_as_it_was(text: str) -> None:
    function = ast.parse(f"def f():\n{exercises._as_docstring(text)}    pass\n").body[0]
    assert isinstance(function, ast.FunctionDef)
    assert (ast.get_docstring(function) or "") == text


def solved_file(entry: catalog.Entry, file: Path) -> Path:
    text = Source(entry).work_text
    for exercise in Source(entry).exercises:
        told = exercise.stub.rpartition("\n")[0]
        body = ast.parse(exercise.solution).body[0].body  # type: ignore[attr-defined]
        text = text.replace(exercise.stub, "\n".join([told, *(f"    {line}" for line in _lines(body))]))
    file.write_text(text, encoding="utf-8")
    return file


def _lines(body: list[ast.stmt]) -> list[str]:
    return "\n".join(ast.unparse(node) for node in body[1:]).splitlines()


def test_the_examples_can_be_tried_by_running_the_file(tiny_file: Path, tmp_path: Path) -> None:
    file = solved_file(catalog.read_header(tiny_file), tmp_path / "work.py")
    command = [sys.executable, str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout == "TestResults(failed=0, attempted=3)\n"
    file.write_text(file.read_text(encoding="utf-8").replace("2 * x_N", "3 * x_N"), encoding="utf-8")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "TestResults(failed=1, attempted=3)" in ended.stdout


def test_the_examples_of_a_lab_of_several_processes_run_in_a_group_of_one(tiny_file: Path) -> None:
    text = tiny_file.read_text(encoding="utf-8").replace("    1 process,", "    1 process or more,")
    tiny_file.write_text(text, encoding="utf-8")
    assert "    with World().group():\n" in Source(catalog.read_header(tiny_file)).work_text


@pytest.mark.parametrize("entry", READY, ids=lambda entry: f"lab{entry.number:02d}")
def test_a_labs_own_steps_keep_what_its_contracts_show(entry: catalog.Entry, tmp_path: Path) -> None:
    if not any(">>>" in exercise.contract for exercise in Source(entry).exercises):
        pytest.skip("its exercises have no contract yet")
    file = solved_file(entry, tmp_path / "work.py")
    ended = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "TestResults(failed=0, " in ended.stdout, ended.stdout


def test_own_types_and_constants_are_imported_from_the_lab(tiny_file: Path) -> None:
    text = tiny_file.read_text(encoding="utf-8")
    tiny_file.write_text(
        text.replace("added = x_N.sum()", "added = x_N.sum() + len(MEMORY) * Config().scale + time.time()"),
        encoding="utf-8",
    )
    work = Source(catalog.read_header(tiny_file)).work_text
    assert "\nfrom labs.m7_bonus.lab99_tiny_things import Config, MEMORY\n" in work
    assert "\nimport time\n" in work


@pytest.mark.parametrize("entry", READY, ids=lambda entry: f"lab{entry.number:02d}")
def test_a_labs_work_file_runs_and_uses_all_that_it_imports(entry: catalog.Entry, tmp_path: Path) -> None:
    source = Source(entry)
    file = tmp_path / "work.py"
    file.write_text(source.work_text, encoding="utf-8")
    names = runpy.run_path(str(file))
    parser = doctest.DocTestParser()
    examples = [
        example.source for exercise in source.exercises for example in parser.get_examples(exercise.contract)
    ]
    solutions = ast.parse("\n\n".join([*(exercise.solution for exercise in source.exercises), *examples]))
    used = {node.id for node in ast.walk(solutions) if isinstance(node, ast.Name)}
    imported = [alias.asname or alias.name.partition(".")[0] for node in ast.parse(source.work_text).body
                if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]  # fmt: skip
    assert set(imported) <= used
    for exercise in source.exercises:
        assert callable(names[exercise.step])
        assert f'raise NotImplementedError("exercise {exercise.id}")' in source.work_text


@pytest.mark.parametrize("entry", READY, ids=lambda entry: f"lab{entry.number:02d}")
def test_a_labs_solutions_run_behind_the_head_of_its_work_file(entry: catalog.Entry, tmp_path: Path) -> None:
    head = Source(entry).work_text.partition("\n\n\ndef ")[0]
    file = tmp_path / "solved.py"
    file.write_text(
        "\n\n\n".join([head, *(exercise.solution for exercise in Source(entry).exercises)]), encoding="utf-8"
    )
    names = runpy.run_path(str(file))
    for exercise in Source(entry).exercises:
        code = names[exercise.step].__code__
        read = {
            node.id
            for node in ast.walk(ast.parse(exercise.solution))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        read -= {
            node.id
            for node in ast.walk(ast.parse(exercise.solution))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        outside = (read & set(code.co_names)) - set(code.co_varnames) - set(code.co_cellvars)
        assert outside <= names.keys() | set(dir(builtins))


def test_a_work_file_is_written_once_and_never_over(source: Source, labs_home: Path) -> None:
    path, new = begin(source)
    assert (path, new) == (labs_home / "work" / "lab99.py", True)
    path.write_text("mine", encoding="utf-8")
    assert begin(source) == (path, False)
    assert path.read_text(encoding="utf-8") == "mine"


def test_what_is_set_aside_is_kept(source: Source) -> None:
    assert set_aside(99) is None
    path, _ = begin(source)
    path.write_text("mine", encoding="utf-8")
    kept = set_aside(99)
    assert kept is not None
    assert not path.exists()
    assert kept.read_text(encoding="utf-8") == "mine"
    assert kept.parent == path.parent


def test_what_is_set_aside_twice_in_a_second_is_kept_twice(source: Source, labs_home: Path) -> None:
    for text in ("first", "second", "third"):
        path, _ = begin(source)
        path.write_text(text, encoding="utf-8")
        set_aside(99)
    assert sorted(path.read_text(encoding="utf-8") for path in (labs_home / "work").glob("lab99-*.py")) == [
        "first",
        "second",
        "third",
    ]


def test_exercises_are_selected_by_lab_or_by_number(source: Source) -> None:
    assert select(source, "99") == source.exercises
    assert select(source, "99.2") == [source.exercises[1]]
    assert select(source, "lab99.2") == [source.exercises[1]]


@pytest.mark.parametrize("wanted", ["99.0", "99.4", "99.x", "99.", "99.1.1"])
def test_another_exercise_is_refused_with_those_there_are(source: Source, wanted: str) -> None:
    with pytest.raises(UsageError, match=r"there is no exercise .*; lab 99 has: 99.1, 99.2, 99.3"):
        select(source, wanted)


def test_a_lab_without_exercises_says_so(tiny_file: Path) -> None:
    text = tiny_file.read_text(encoding="utf-8")
    tiny_file.write_text(text.replace("@exercise(", "@no_exercise("), encoding="utf-8")
    with pytest.raises(UsageError, match="lab 99 has no exercises"):
        select(Source(catalog.read_header(tiny_file)), "99")


def judged_in(folder: Path, exercise: str, judgement: str) -> None:
    """Leave the record of a run that judged an exercise."""
    folder.mkdir(parents=True)
    found = {"status": "held", "exercises": [{"id": exercise, "judgement": judgement}]}
    (folder / "run.json").write_text(json.dumps(found, indent=2))


class TestProgress:
    def test_of_a_newcomer_nothing_is_known(self, labs_home: Path) -> None:
        done = Progress()
        assert not done.passed("1.1")
        assert done.of("1.1") == {"hints": 0, "asked": 0}
        assert not labs_home.exists()

    def test_what_was_asked_for_is_remembered(self) -> None:
        done = Progress()
        done.of("1.1")["hints"] = 2
        done.save()
        assert Progress().of("1.1") == {"hints": 2, "asked": 0}
        assert not Progress().passed("1.1")

    def test_a_pass_counts_wherever_it_was_judged(self, labs_home: Path) -> None:
        judged_in(labs_home / "runs" / "lab01" / "then-slurm", "1.1", "failed")
        judged_in(labs_home / "runs" / "lab01" / "then-docker", "1.2", "passed")
        judged_in(labs_home / "runs" / "lab43" / "then-slurm", "43.1", "passed")
        judged_in(labs_home / "runs" / "lab01" / "later-local", "1.2", "failed")
        assert Progress().passed_ones == {"1.2", "43.1"}
        assert Progress(1).passed_ones == {"1.2"}
        assert not (labs_home / "work").exists()

    def test_what_older_versions_noted_counts_and_is_kept(self, labs_home: Path) -> None:
        path = labs_home / "work" / "progress.json"
        path.parent.mkdir(parents=True)
        path.write_text('{"1.1": {"hints": 1, "asked": 0, "passed": "2026-01-02 12:00"}}')
        done = Progress()
        assert done.passed("1.1")
        done.of("1.2")["hints"] = 1
        done.save()
        assert json.loads(path.read_text())["1.1"]["passed"] == "2026-01-02 12:00"
        assert Progress().passed("1.1")

    @pytest.mark.parametrize(
        "content", ["{", "[]", '{"exercises": 3}', '{"exercises": [3, {}]}', '{"exercises": {}}']
    )
    def test_a_damaged_record_proves_no_pass(self, labs_home: Path, content: str) -> None:
        folder = labs_home / "runs" / "lab01" / "then-local"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(content + ' "judgement": "passed"')
        assert Progress().passed_ones == set()
        (folder / "run.json").write_text(content)
        assert Progress().passed_ones == set()

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"[]", b"null", b"\xff", b'{"1.1": 3}', b'{"1.1": {}}', b'{"1.1": {"hints": "x"}}'],
    )
    def test_a_corrupt_file_is_said_in_one_sentence_and_left_alone(
        self, labs_home: Path, content: bytes
    ) -> None:
        path = labs_home / "work" / "progress.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        with pytest.raises(
            UsageError, match=r"cannot read .*progress.json: .*\nmend it, or move it away to start anew"
        ):
            Progress()
        assert path.read_bytes() == content

    def test_it_is_json_that_a_person_can_read(self, labs_home: Path) -> None:
        done = Progress()
        done.of("1.1")["hints"] = 1
        done.save()
        text = (labs_home / "work" / "progress.json").read_text(encoding="utf-8")
        assert json.loads(text) == done.entries
        assert text.count("\n") > 3
