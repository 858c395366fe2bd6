"""A learner's way, as real processes."""

from pathlib import Path

import pytest

from tests.commands.conftest import files_in, refused
from tests.conftest import Command


def test_an_exercise_from_its_stub_to_its_pass(labs: Command, tiny_checkout: Path, labs_home: Path) -> None:
    work = labs_home / "work" / "lab99.py"

    assert "made" in labs("exercise", "99", cwd=tiny_checkout).stdout
    stub = work.read_text(encoding="utf-8")
    unwritten = labs("check", "99", "--smoke", cwd=tiny_checkout)
    assert unwritten.returncode == 1
    assert unwritten.stdout.count("not written yet") == 3
    assert files_in(labs_home / "runs") == {}

    hints = [labs("hint", "99.1", cwd=tiny_checkout).stdout for _ in range(4)]
    assert [text.count("hint ") for text in hints] == [1, 2, 3, 3]

    first, second = (labs("solution", "99.1", cwd=tiny_checkout) for _ in range(2))
    assert (first.returncode, second.returncode) == (1, 0)
    assert "ask again" in first.stdout
    assert "twice_N = 2 * x_N" not in first.stdout
    assert "twice_N = 2 * x_N" in second.stdout

    work.write_text(
        stub.replace('raise NotImplementedError("exercise 99.1")', "return 2 * x_N"), encoding="utf-8"
    )
    checked = labs("check", "99", "--smoke", cwd=tiny_checkout)
    assert checked.stdout.splitlines()[0] == "99.1 doubled   passed"
    assert checked.returncode == 0
    assert "99.1 doubled (passed)" in labs("show", "99", cwd=tiny_checkout).stdout
    assert "exercise 99.2" in labs("hint", "99", cwd=tiny_checkout).stdout
    assert labs("solution", "99.1", cwd=tiny_checkout).returncode == 0

    mine = work.read_text(encoding="utf-8")
    assert "left as it is" in labs("exercise", "99", cwd=tiny_checkout).stdout
    assert work.read_text(encoding="utf-8") == mine
    assert "is fresh" in labs("reset", "99", cwd=tiny_checkout).stdout
    assert work.read_text(encoding="utf-8") == stub
    assert [path.read_text(encoding="utf-8") for path in work.parent.glob("lab99-*.py")] == [mine]


def test_check_passes_when_all_pass_and_fails_when_one_fails(
    labs: Command, tiny_checkout: Path, labs_home: Path
) -> None:
    work = labs_home / "work" / "lab99.py"
    work.parent.mkdir(parents=True)
    right = (
        "import torch\ndef doubled(x_N): return 2 * x_N\n"
        "def total(x_N): return x_N.sum()\ndef long_row(count): return torch.ones(count)\n"
    )
    work.write_text(right, encoding="utf-8")
    passed = labs("check", "99", cwd=tiny_checkout)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    work.write_text(right.replace("2 *", "3 *"), encoding="utf-8")
    failed = labs("check", "99", "--smoke", cwd=tiny_checkout)
    assert failed.returncode == 1
    assert failed.stdout.startswith("99.1 doubled   the example of its contract gives something else\n")
    assert "    claim 99.doubled: twice as much is the sum of both " in failed.stdout
    assert "    It looks like a known mistake: triples.\n" in failed.stdout
    assert "    next: labs hint 99.1   (3 of 3 hints left)\n" in failed.stdout
    one = labs("check", "99.2", "--smoke", cwd=tiny_checkout)
    assert one.returncode == 0
    assert "99.1" not in one.stdout
    assert one.stdout.startswith("99.2 total  passed\n")


def test_one_exercise_that_is_not_there_is_refused(labs: Command, tiny_checkout: Path) -> None:
    refused(labs("check", "99.7", cwd=tiny_checkout), "lab 99 has: 99.1, 99.2, 99.3")


def test_a_learner_who_leaves_early_has_not_passed(
    labs: Command, tiny_checkout: Path, labs_home: Path
) -> None:
    work = labs_home / "work" / "lab99.py"
    work.parent.mkdir(parents=True)
    work.write_text("raise SystemExit(0)\n", encoding="utf-8")
    assert labs("check", "99", "--smoke", cwd=tiny_checkout).returncode != 0


def test_a_work_file_that_cannot_be_read_is_refused(labs: Command, labs_home: Path) -> None:
    work = labs_home / "work" / "lab01.py"
    work.parent.mkdir(parents=True)
    work.write_text("def read_by_address(view:\n", encoding="utf-8")
    before = files_in(labs_home)
    refused(labs("check", "1", "--smoke"), "lab01.py, line 1: SyntaxError")
    assert files_in(labs_home) == before


@pytest.mark.parametrize("content", ["{", "[]"])
@pytest.mark.parametrize("command", ["hint", "solution", "show"])
def test_a_corrupt_progress_file_is_said_in_one_sentence(
    labs: Command, labs_home: Path, command: str, content: str
) -> None:
    progress = labs_home / "work" / "progress.json"
    progress.parent.mkdir(parents=True)
    progress.write_text(content)
    ended = labs(command, "1")
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3
    assert ended.returncode in (0, 1, 2)
