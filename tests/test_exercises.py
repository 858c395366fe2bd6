"""Exercises, read from a lab's source."""

import ast
import builtins
import json
import runpy
from pathlib import Path

import pytest

from labs import catalog
from labs.errors import UsageError
from labs.exercises import Progress, Source, begin, select, set_aside

READY = [entry for entry in catalog.all_labs().values() if entry.ready]


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
    assert doubled.stub == (
        'def doubled(x_N: Tensor) -> Tensor:\n    """Double every number."""\n    raise NotImplementedError("exercise 99.1")'
    )
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
    solutions = ast.parse("\n\n".join(exercise.solution for exercise in source.exercises))
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
    tiny_file.write_text(
        "\n".join(line for line in text.splitlines() if not line.startswith("@exercise")), encoding="utf-8"
    )
    with pytest.raises(UsageError, match="lab 99 has no exercises"):
        select(Source(catalog.read_header(tiny_file)), "99")


class TestProgress:
    def test_of_a_newcomer_nothing_is_known(self, labs_home: Path) -> None:
        done = Progress()
        assert not done.passed("1.1")
        assert done.of("1.1") == {"hints": 0, "asked": 0}
        assert not labs_home.exists()

    def test_it_is_remembered(self) -> None:
        done = Progress()
        done.of("1.1")["hints"] = 2
        done.note_pass("1.2")
        done.save()
        again = Progress()
        assert again.of("1.1")["hints"] == 2
        assert [again.passed(id_) for id_ in ("1.1", "1.2", "1.3")] == [False, True, False]

    def test_the_first_pass_counts(self) -> None:
        done = Progress()
        done.of("1.1")["passed"] = "long ago"
        done.note_pass("1.1")
        assert done.of("1.1")["passed"] == "long ago"

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
        done.note_pass("1.1")
        done.save()
        text = (labs_home / "work" / "progress.json").read_text(encoding="utf-8")
        assert json.loads(text) == done.entries
        assert text.count("\n") > 3
