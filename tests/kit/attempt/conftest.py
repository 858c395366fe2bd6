"""What tests of attempts share: a learner's file, and how it is judged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labs import record
from labs.kit.attempt.judge import Judge
from labs.kit.attempt.work_file import WorkFile
from labs.kit.distributed.world import World
from labs.kit.runner.context import RunContext
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.session import blank

HEAD = "import torch\nfrom torch import Tensor\n"
DOUBLED = "def doubled(x_N: Tensor) -> Tensor:\n    return {}\n"
TOTAL = "def total(x_N: Tensor) -> Tensor:\n    return {}\n"
LONG_ROW = "def long_row(count: int) -> Tensor:\n    return {}\n"

Judged = Callable[..., dict[str, record.Exercise]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lab99.py"


def write(file: Path, *functions: str) -> Path:
    file.write_text(HEAD + "\n\n".join(functions), encoding="utf-8")
    return file


def judge_of(lesson: Lesson, file: Path, *, only: str = "", smoke: bool = True, **config: Any) -> Judge:
    cfg = lesson.config(**{"count": 4, **config})
    return Judge(WorkFile(lesson, file), World(), cfg, [only] if only else lesson.exercises, smoke=smoke)


def run_of(lesson: Lesson, judge: Judge, *, smoke: bool = True) -> record.Run:
    """Judge, and return the record of it."""
    notes = blank(lesson, judge.runs.cfg, smoke=smoke)
    judge.run(notes, RunContext())
    return notes


def judged(
    lesson: Lesson, file: Path, *functions: str, smoke: bool = True, **more: Any
) -> dict[str, record.Exercise]:
    """Judge a learner's file with these functions, or as it is where there are none."""
    if functions:
        write(file, *functions)
    judge = judge_of(lesson, file, smoke=smoke, **more)
    return {exercise.id: exercise for exercise in run_of(lesson, judge, smoke=smoke).exercises}
