"""What every lab's exercises keep: contracts with an example that runs, hints, and the lab's own steps pass as a solution."""

import sys
from pathlib import Path

from labs.catalog import Entry
from labs.exercises import Source
from labs.kit.attempt.judge import UNTIMED, Judge
from labs.kit.attempt.work_file import WorkFile
from labs.kit.distributed.world import World
from labs.kit.runner.session import blank
from tests.contract.reading import (
    every_distributed_lab,
    every_lab,
    every_lab_without_ranks,
    lesson_of,
    name_of,
)
from tests.contract.running import to_its_end
from tests.solutions import solved


@every_lab
def test_there_are_two_or_three_exercises_and_their_hints_do_not_repeat(entry: Entry) -> None:
    exercises = Source(entry).exercises
    assert 2 <= len(exercises) <= 3
    assert {exercise.id: exercise.step for exercise in exercises} == lesson_of(entry.number).exercises
    hints = [hint for exercise in exercises for hint in exercise.hints]
    assert len(hints) == len(set(hints)) == 3 * len(exercises)
    assert all(len(hint) > 10 for hint in hints)


@every_lab
def test_a_contract_has_an_example_and_passing_an_insight(entry: Entry) -> None:
    for exercise in Source(entry).exercises:
        assert len(exercise.contract.partition(">>>")[0].split()) >= 10, exercise.id
        assert ">>>" in exercise.contract, exercise.id
        assert len(exercise.insight.split()) >= 5, exercise.id


@every_lab
def test_untouched_stubs_are_not_written_yet(entry: Entry, tmp_path: Path) -> None:
    file = tmp_path / f"{name_of(entry)}.py"
    file.write_text(Source(entry).work_text, encoding="utf-8")
    assert WorkFile(lesson_of(entry.number), file).written == {}


@every_lab_without_ranks
def test_the_labs_own_steps_pass_as_a_solution(entry: Entry, tmp_path: Path) -> None:
    lesson = lesson_of(entry.number)
    file = tmp_path / f"{name_of(entry)}.py"
    file.write_text(solved(entry.number), encoding="utf-8")
    cfg = lesson.config.smoke()  # type: ignore[attr-defined]
    notes = blank(lesson, cfg, smoke=True)
    Judge(WorkFile(lesson, file), World(), cfg, lesson.exercises, smoke=True).run(notes, UNTIMED)
    judged = {exercise.id: (exercise.judgement, exercise.reason) for exercise in notes.exercises}
    assert judged == dict.fromkeys(lesson.exercises, ("passed", ""))


@every_distributed_lab
def test_so_they_do_where_ranks_judge_together(entry: Entry, tmp_path: Path) -> None:
    work = tmp_path / "home" / "work" / f"{name_of(entry)}.py"
    work.parent.mkdir(parents=True)
    work.write_text(solved(entry.number), encoding="utf-8")
    command = ["labs", "check", str(entry.number), "--smoke", "--procs", str(entry.processes_to_judge)]
    ended = to_its_end([sys.executable, "-m", *command], tmp_path)
    assert ended.status == 0, ended.stdout + ended.stderr
    assert ended.stdout.count(" passed") == len(Source(entry).exercises)
