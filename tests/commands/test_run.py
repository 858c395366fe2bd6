"""From what was typed to a run, in real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from labs import record
from tests.commands.conftest import LAB01, SCHEMA, only_run_of, refused
from tests.conftest import Command


def test_a_dry_run_prints_what_would_run_and_makes_nothing(labs: Command, labs_home: Path) -> None:
    ended = labs("run", "1", "--smoke", "--dry-run", "--rows", "32", "--gpus", "0")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("\n") == 1
    for words in (
        "CUDA_VISIBLE_DEVICES= ",
        f"-m {LAB01} --smoke",
        "--launcher local",
        "--rows 32",
        str(labs_home),
    ):
        assert words in ended.stdout
    assert not labs_home.exists()


def test_what_a_dry_run_prints_can_be_run(labs: Command, tiny_checkout: Path, labs_home: Path) -> None:
    line = labs("run", "99", "--smoke", "--dry-run", cwd=tiny_checkout).stdout
    ended = subprocess.run(
        line, shell=True, cwd=tiny_checkout, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert record.load(only_run_of(labs_home, 99)).status == "held"


def test_run_keeps_a_valid_record_and_a_log(labs: Command, tiny_checkout: Path, labs_home: Path) -> None:
    ended = labs("run", "99", "--smoke", "--count=5", "--loud", cwd=tiny_checkout)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == "launcher: local (no cluster was asked for, and no Slurm answers here)\n"
    folder = only_run_of(labs_home, 99)
    found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, SCHEMA)
    assert (found["status"], found["launcher"], found["config"]["count"]) == ("held", "local", 5)
    assert (folder / "figures" / "twice-as-much.svg").exists()
    assert "99.doubled" in (folder / "log.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("mood", "status", "recorded"), [("well", 0, "held"), ("wrong", 1, "failed"), ("broken", 1, "broke")]
)
def test_the_exit_status_says_how_it_ended(
    labs: Command, tiny_checkout: Path, labs_home: Path, mood: str, status: int, recorded: str
) -> None:
    ended = labs("run", "99", "--smoke", f"--mood={mood}", cwd=tiny_checkout)
    assert ended.returncode == status
    assert record.load(only_run_of(labs_home, 99)).status == recorded
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_lab_that_breaks_says_so_in_two_lines_and_keeps_its_traceback(
    tiny_checkout: Path, labs_home: Path
) -> None:
    command = [sys.executable, "-m", "labs.m7_bonus.lab99_tiny_things", "--smoke", "--mood=broken"]
    ended = subprocess.run(
        command, cwd=tiny_checkout, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) <= 3
    assert ended.stderr.startswith("lab 99 broke in step numbers: OSError: the tiny lab broke")
    assert "Traceback" not in ended.stdout + ended.stderr
    log = (only_run_of(labs_home, 99) / "log.txt").read_text(encoding="utf-8")
    assert "Traceback (most recent call last):" in log
    assert "OSError: the tiny lab broke\nas it was asked to" in log


def test_a_folder_can_be_chosen(tiny_checkout: Path, tmp_path: Path, labs_home: Path) -> None:
    chosen = tmp_path / "my run"
    command = [sys.executable, "-m", "labs.m7_bonus.lab99_tiny_things", "--smoke", "--folder", str(chosen)]
    subprocess.run(command, cwd=tiny_checkout, capture_output=True, timeout=60, check=True)
    assert record.load(chosen).status == "held"
    assert not labs_home.exists()


def test_a_reader_that_goes_away_gets_no_traceback(tiny_checkout: Path) -> None:
    command = [sys.executable, "-u", "-m", "labs.m7_bonus.lab99_tiny_things", "--smoke"]
    with subprocess.Popen(
        command, cwd=tiny_checkout, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(60) == 1
    assert "Traceback" not in said
    assert "Broken pipe" not in said


def test_a_disk_that_fills_up_during_a_run_is_refused(tiny_checkout: Path, full_disk: Path) -> None:
    lab = "labs.m7_bonus.lab99_tiny_things"
    program = f"import runpy, labs.files; labs.files.MIN_FREE_BYTES = 0; runpy.run_module('{lab}', run_name='__main__', alter_sys=True)"
    (full_disk / "filler").write_bytes(b"x" * (2**20 - 3 * 4096))
    command = [sys.executable, "-c", program, "--smoke", "--loud"]
    ended = subprocess.run(
        command,
        cwd=tiny_checkout,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "LABS_HOME": str(full_disk)},
        check=False,
    )
    refused(ended, "free some space")


def test_ctrl_c_in_the_middle_of_a_step_is_recorded(tiny_checkout: Path, labs_home: Path) -> None:
    command = [sys.executable, "-m", "labs", "run", "99", "--mood=asleep"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=tiny_checkout,
    ) as process:
        logs: list[Path] = []
        while not logs or "Count from zero" not in logs[0].read_text(encoding="utf-8"):
            time.sleep(0.05)
            logs = list(labs_home.glob("runs/lab99/*/log.txt"))
            assert process.poll() is None
        assert record.load(logs[0].parent).status == "running"
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    notes = record.load(logs[0].parent)
    assert (notes.status, notes.error) == ("interrupted", "interrupted")
    assert [step.name for step in notes.steps] == ["numbers"]
