"""The learner's file: what of it counts."""

from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.exercises import Source
from labs.kit.attempt import work_file
from labs.kit.attempt.work_file import WorkFile
from labs.kit.runner.lesson import Lesson
from tests.kit.attempt.conftest import DOUBLED, TOTAL, write


def test_the_untouched_stubs_are_not_written_yet(tiny: Lesson, file: Path) -> None:
    file.write_text(Source(tiny.entry).work_text, encoding="utf-8")
    assert WorkFile(tiny, file).written == {}


def test_a_function_that_is_no_exercise_is_none_of_our_business(tiny: Lesson, file: Path) -> None:
    others = "def numbers(count, mood):\n    return None\n", "def own() -> None: ...\n"
    write(file, DOUBLED.format("2 * x_N"), *others)
    assert list(WorkFile(tiny, file).written) == ["doubled"]


def test_a_function_that_was_imported_is_not_the_learners(tiny: Lesson, file: Path) -> None:
    file.write_text(f"from {tiny.import_name} import doubled, total\n", encoding="utf-8")
    assert WorkFile(tiny, file).written == {}


def test_what_used_to_be_a_stub_may_talk_of_it(tiny: Lesson, file: Path) -> None:
    comment = '# raise NotImplementedError("exercise 99.1")'
    write(file, f"def doubled(x_N):\n    {comment}\n    return 2 * x_N\n")
    assert list(WorkFile(tiny, file).written) == ["doubled"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ndef doubled(:\n", "lab99.py, line 2: SyntaxError: invalid syntax"),
        (
            "x = 1\n\nimport no_such_package\n",
            "lab99.py, line 3: ModuleNotFoundError: No module named 'no_such_package'",
        ),
        (
            "def helper():\n    return 1 / 0\n\nhelper()\n",
            "lab99.py, line 2: ZeroDivisionError: division by zero",
        ),
        ("raise SystemExit(0)\n", "lab99.py, line 1: SystemExit"),
        ("def doubled(x_N):\nreturn 2\n", "lab99.py, line 2: IndentationError"),
        ("raise ValueError('one\\ntwo\\nthree\\nfour')\n", "lab99.py, line 1: ValueError: one"),
        ("from labs.m7_bonus.lab99_tiny_things import gone\n", "lab99.py, line 1: ImportError"),
        ("while True: pass\n", "lab99.py cannot be loaded: it did not end within 1 s"),
    ],
    ids=["syntax", "import", "division", "exit", "indent", "long message", "no such name", "endless"],
)
def test_a_file_that_cannot_be_read_is_said_in_a_few_lines(
    tiny: Lesson, file: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setattr(work_file, "LOADING_S", 1.0 if "while" in text else 60.0)
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        WorkFile(tiny, file)
    assert str(caught.value).startswith(said)
    assert len(str(caught.value).splitlines()) <= 3
    assert "labs reset 99" in str(caught.value)


def test_bytes_that_are_no_text_are_said_too(tiny: Lesson, file: Path) -> None:
    file.write_bytes(b"x = '\xff\xfe'\n")
    with pytest.raises(UsageError, match=r"lab99.py, line"):
        WorkFile(tiny, file)


def test_no_file_is_said_with_what_makes_one(tiny: Lesson, file: Path) -> None:
    with pytest.raises(UsageError, match="make it with: labs exercise 99"):
        WorkFile(tiny, file)


def test_where_another_exercise_is_called_the_labs_own_step_is_found(tiny: Lesson, file: Path) -> None:
    write(file, DOUBLED.format("None"), TOTAL.format("doubled(x_N)"))
    loaded = WorkFile(tiny, file)
    with loaded.only("total"):
        assert loaded.written["total"](3) == 6
    with loaded.only("total", "doubled"):
        assert loaded.written["total"](3) is None
    assert loaded.names["doubled"] is loaded.written["doubled"]


def test_what_was_raised_is_said_with_the_line_of_this_file(tiny: Lesson, file: Path) -> None:
    write(file, "def doubled(x_N):\n    y = 1\n    return x_N.view(-1, 7)\n")
    loaded = WorkFile(tiny, file)
    with pytest.raises(TypeError) as caught:
        loaded.written["doubled"](*[1, 2])
    assert loaded.raised(caught.value).startswith(
        "it raised TypeError: doubled() takes 1 positional argument"
    )
    with pytest.raises(AttributeError) as other:
        loaded.written["doubled"](1)
    assert (
        loaded.raised(other.value)
        == "it raised AttributeError: 'int' object has no attribute 'view' (lab99.py, line 5)"
    )
