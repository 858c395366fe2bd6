"""The command line of a lab's own file, in this process; tests/commands starts real ones."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labs import record
from labs.errors import UsageError
from labs.kit.runner import main as runner
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.main import command, main


def only_run(home: Path) -> record.Run:
    (folder,) = (home / "runs" / "lab99").iterdir()
    return record.load(folder)


@pytest.mark.parametrize(
    ("mood", "status", "recorded"), [("well", 0, "held"), ("wrong", 1, "failed"), ("broken", 1, "broke")]
)
def test_the_status_follows_from_the_claims(
    tiny: Lesson, labs_home: Path, mood: str, status: int, recorded: str
) -> None:
    assert command(tiny, ["--smoke", f"--mood={mood}"]) == status
    run = only_run(labs_home)
    assert run.status == recorded
    assert run.machine
    assert run.versions


def test_a_run_ends_with_its_counts_its_folder_and_what_comes_next(
    tiny: Lesson, capsys: pytest.CaptureFixture[str]
) -> None:
    command(tiny, ["--smoke"])
    summary, turn = capsys.readouterr().out.splitlines()[-2:]
    assert summary.startswith("5 held · 2 not measured here  ")
    assert "kept in " in summary
    assert turn == "your turn: labs exercise 99"


def test_a_folder_below_here_is_named_from_here(
    tiny: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command(tiny, ["--smoke", "--folder", str(tmp_path / "here")])
    assert "kept in here\n" in capsys.readouterr().out
    assert record.load(tmp_path / "here").status == "held"


def test_a_relative_folder_is_one_too(tiny: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(tiny, ["--smoke", "--folder", "here"]) == 0
    assert record.load(tmp_path / "here").launcher == "local"


def test_flags_reach_the_lab(tiny: Lesson, labs_home: Path) -> None:
    command(tiny, ["--smoke", "--count=5", "--launcher", "docker", "--loud"])
    run = only_run(labs_home)
    assert (run.config["count"], run.config["loud"], run.launcher, run.smoke) == (5, True, "docker", True)


@pytest.mark.parametrize("flag", ["--count=0", "--count=x", "--colour=red", "--attempt=/no/such/file.py"])
def test_bad_usage_leaves_nothing(tiny: Lesson, labs_home: Path, flag: str) -> None:
    with pytest.raises(UsageError):
        command(tiny, ["--smoke", flag])
    assert not labs_home.exists()


def test_a_learners_steps_are_judged_and_nothing_else_is_shown(
    tiny: Lesson, tmp_path: Path, labs_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = tmp_path / "mine.py"
    steps.write_text("def doubled(x_N):\n    return x_N + x_N\n")
    assert command(tiny, ["--smoke", "--attempt", str(steps)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["99.1", "Two", "99.2", "99.3", "kept"]
    run = only_run(labs_home)
    assert {exercise.id: exercise.judgement for exercise in run.exercises} == {
        "99.1": "passed", "99.2": "not written yet", "99.3": "not written yet",
    }  # fmt: skip
    (mine,) = [step for step in run.steps if step.by == "learner"]
    assert "x_N + x_N" in mine.source
    (folder,) = (labs_home / "runs" / "lab99").iterdir()
    log = (folder / "log.txt").read_text(encoding="utf-8")
    assert "Double every number  doubled  exercise 99.1  (yours)" in log
    assert "99.1 doubled   passed" in log


def test_one_exercise_can_be_named(
    tiny: Lesson, tmp_path: Path, labs_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = tmp_path / "mine.py"
    steps.write_text("def doubled(x_N):\n    return None\n\n\ndef total(x_N):\n    return x_N.sum()\n")
    assert command(tiny, ["--smoke", "--attempt", str(steps), "--exercise", "99.2"]) == 0
    assert "99.1" not in capsys.readouterr().out
    assert command(tiny, ["--smoke", "--attempt", str(steps)]) == 1
    assert command(tiny, ["--smoke", "--attempt", str(steps), "--exercise", "99.3"]) == 1
    with pytest.raises(UsageError, match=r"there is no exercise 99\.7; this lab has: 99\.1"):
        command(tiny, ["--smoke", "--attempt", str(steps), "--exercise", "99.7"])


def test_help_has_the_question_and_the_flags(tiny: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command(tiny, ["--help"])
    assert ended.value.code == 0
    output = capsys.readouterr().out
    assert "What does the kit make of the *smallest* lab" in output
    assert "numbers N (default 8)" in output
    assert "--folder" not in output


@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        (["--smoke"], 0, ""),
        (["--smoke", "--mood=wrong"], 1, ""),
        (["--count=x"], 2, "invalid int value"),
        (["--count=0"], 2, "give 1 or more"),
    ],
)
def test_main_exits_with_the_status(
    tiny: Lesson,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    status: int,
    said: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["lab99", *flags])
    with pytest.raises(SystemExit) as ended:
        main(tiny.run, tiny.config)
    assert ended.value.code == status
    assert said in capsys.readouterr().err


def test_a_sigterm_while_a_reason_is_told_takes_nothing_of_it(
    tiny: Lesson, labs_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes where another rank broke too and was quicker to say so, while rank 0 still writes its record."""
    monkeypatch.setattr(runner, "describe_machine", lambda notes: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr(sys, "argv", ["lab99", "--smoke", "--mood=broken"])
    with pytest.raises(SystemExit) as ended:
        main(tiny.run, tiny.config)
    assert (ended.value.code, only_run(labs_home).status) == (1, "broke")
    assert "lab 99 broke" in capsys.readouterr().err


def test_the_record_on_disk_is_whole_while_the_run_goes_on(tiny: Lesson, tmp_path: Path) -> None:
    seen = []
    original = tiny.steps["doubled"]

    def looking(x_N: object) -> object:
        seen.append(json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["status"])
        return original(x_N)

    looking.__name__ = "doubled"
    with tiny.replaced({"doubled": looking}):
        command(tiny, ["--smoke", "--folder", str(tmp_path / "run")])
    assert seen == ["running"]


def test_a_ctrl_c_that_python_ignores_comes_again() -> None:
    """It falls into a finalizer, where nothing can be raised."""
    says = """
import signal, sys, time
from labs.kit.runner import main

class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.unraisablehook = main._deliver_again
try:
    Finalized()
    time.sleep(3600)
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""
    ended = subprocess.run(
        [sys.executable, "-c", says], capture_output=True, text=True, timeout=60, check=True
    )
    assert (ended.stdout, ended.stderr) == ("interrupted\n", "")
