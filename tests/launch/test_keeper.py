"""Runs whose command is killed, or whose terminal is closed: nobody is left to say so, and yet their records are closed."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labs import presence, record
from labs.launch.keeper import kept
from tests.launch.conftest import until

LIMIT_S = 60.0  # torch is imported first
Begin = Callable[..., "subprocess.Popen[bytes]"]
HOLD = """
import sys, time
from pathlib import Path
from labs.launch.keeper import kept

with kept(Path(sys.argv[1])):
    print("kept", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def begin(tiny_checkout: Path) -> Iterator[Begin]:
    """Start the tiny lab as a person does; it falls asleep in its first step."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str, before: tuple[str, ...] = (), **options: Any) -> subprocess.Popen[bytes]:
        command = [*before, sys.executable, "-m", "labs", "run", "99", "--mood=asleep", *words]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process: Any = subprocess.Popen(command, cwd=tiny_checkout, **(quiet | options))
        started.append(process)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def asleep(home: Path) -> Path:
    """Return the folder of the run, once it sleeps."""

    def logs() -> list[Path]:
        return [log for log in home.glob("runs/lab99/*/log.txt") if "Count from zero" in log.read_text()]

    until(lambda: bool(logs()), "a sleeping lab", LIMIT_S)
    return logs()[0].parent


def test_a_killed_command_has_its_record_closed_and_its_page(begin: Begin, labs_home: Path) -> None:
    process = begin()
    folder = asleep(labs_home)
    assert record.load(folder).status == "running"
    process.kill()
    until((folder / "report.html").exists, "its page", LIMIT_S)
    notes = record.load(folder)
    assert (notes.status, notes.error) == (
        "broke",
        "it ended without a word: it was killed, or its machine went down",
    )
    assert json.loads((folder / "job.json").read_text())["ended"]["status"] == 1


def test_a_closed_terminal_interrupts_the_run(begin: Begin, labs_home: Path) -> None:
    ours, theirs = pty.openpty()
    begin(before=("setsid", "--ctty"), stdin=theirs, stdout=theirs, stderr=theirs)
    folder = asleep(labs_home)
    os.close(theirs)
    os.close(ours)
    until(lambda: record.load(folder).status != "running", "the end", LIMIT_S)
    assert record.load(folder).status == "interrupted"


def test_under_nohup_a_closed_terminal_is_no_end(begin: Begin, labs_home: Path) -> None:
    process = begin(before=("nohup",))
    folder = asleep(labs_home)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_S) == 128 + signal.SIGTERM
    assert record.load(folder).status == "interrupted"


def test_killed_before_anything_was_kept_it_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "lab99" / "run"
    folder.mkdir(parents=True)
    (folder / presence.LOG).touch()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"kept\n"
        process.kill()
    until(lambda: not folder.exists(), "that the folder is gone", LIMIT_S)


def test_what_ends_by_itself_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"status": "running"}')
    with kept(tmp_path):
        pass
    assert (tmp_path / "run.json").read_text() == '{"status": "running"}'
