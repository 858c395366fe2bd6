"""What Ctrl-C comes to, with real signals and a stand-in for scancel. The real one: tests/cluster/test_cancel.py."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.launch.slurm import cancelling, cluster
from labs.launch.slurm.cancelling import Cancelling

SLURM = """#!/bin/sh
case "$0 $*" in
*scancel*) echo "$1" >>{notes}/noted
  test -e {notes}/answers || { echo "scancel: error: Unable to contact slurm controller" >&2; exit 8; } ;;
*scontrol*) echo "JobId=7 JobState=CANCELLED" ;;
esac
"""
PROGRAM = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from labs.launch.slurm.cancelling import Cancelling

def submit():
    print("submitting", flush=True)
    time.sleep(float(sys.argv[1]))
    return "7"

def follow():
    print("following", flush=True)
    while True:
        time.sleep(0.1)

with Cancelling("lab43") as cancelling:
    cancelling.submitted(submit, lambda id_: None)
    follow()
sys.exit(cancelling.status)
"""


class Follower:
    """A command that follows job 7, where Slurm answers from the moment at which `answers` is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("scancel", "scontrol"):
            (folder / name).write_text(SLURM.replace("{notes}", str(folder)))
            (folder / name).chmod(0o755)

    def start(self, submission_s: float = 0, until: bytes = b"following") -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}"}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(submission_s)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        while until not in process.stdout.readline():
            assert process.poll() is None
        return process

    def answer(self) -> None:
        (self.folder / "answers").touch()

    def wait_for_tries(self, count: int = 1) -> None:
        end = time.monotonic() + 30
        while self.tries() < count:
            assert time.monotonic() < end
            time.sleep(0.02)

    def tries(self) -> int:
        path = self.folder / "noted"
        return path.read_text().count("7\n") if path.exists() else 0


@pytest.fixture
def follower(tmp_path: Path) -> Follower:
    return Follower(tmp_path)


def end_of(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, err = process.communicate(timeout=30)
    return process.returncode, err.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_job_and_is_in_the_status(follower: Follower, number: int) -> None:
    follower.answer()
    process = follower.start()
    process.send_signal(number)
    assert end_of(process) == (128 + number, "cancelling job 7\n")


def test_where_nobody_answers_it_is_tried_until_somebody_does(follower: Follower) -> None:
    process = follower.start()
    process.send_signal(signal.SIGINT)
    follower.wait_for_tries(2)
    follower.answer()
    status, said = end_of(process)
    assert status == 130
    assert said.count("Unable to contact slurm controller") == 1
    assert "it is tried again until Slurm answers; Ctrl-C once more leaves at once" in said


def test_ctrl_c_once_more_leaves_at_once_and_says_what_goes_on(follower: Follower) -> None:
    process = follower.start()
    process.send_signal(signal.SIGINT)
    follower.wait_for_tries()
    process.send_signal(signal.SIGINT)
    status, said = end_of(process)
    assert status == 130
    assert said.endswith("job 7 may go on: end it with labs cancel 7, or scancel 7\n")


def test_sigterm_once_more_is_no_reason_to_give_up(follower: Follower) -> None:
    """A service manager, or make, may send it to each process of a group, and again."""
    process = follower.start()
    process.send_signal(signal.SIGTERM)
    follower.wait_for_tries()
    process.send_signal(signal.SIGTERM)
    follower.answer()
    assert end_of(process)[0] == 143


def test_a_hang_up_right_after_it_does_not_save_the_job(follower: Follower) -> None:
    process = follower.start()
    process.send_signal(signal.SIGSTOP)  # so that both signals are there when it looks
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGHUP)
    follower.answer()
    process.send_signal(signal.SIGCONT)
    assert end_of(process)[0] == 130
    assert follower.tries() == 1


def test_a_hang_up_alone_leaves_the_job_alone(follower: Follower) -> None:
    process = follower.start()
    process.send_signal(signal.SIGHUP)
    assert end_of(process) == (129, "")
    assert follower.tries() == 0


def test_ctrl_c_while_it_is_submitted_cancels_it_as_soon_as_it_has_a_number(follower: Follower) -> None:
    follower.answer()
    process = follower.start(submission_s=1, until=b"submitting")
    process.send_signal(signal.SIGINT)
    status, said = end_of(process)
    assert (status, follower.tries()) == (130, 1)
    assert "once Slurm has said the job's number" in said


def test_ctrl_c_twice_while_it_is_submitted_says_how_to_find_it(follower: Follower) -> None:
    process = follower.start(submission_s=60, until=b"submitting")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    status, said = end_of(process)
    assert status == 130
    assert "squeue --me --name=lab43 shows it" in said


def test_a_job_that_cannot_be_noted_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(cluster, "ask", lambda *words, patience_s=0: asked.append(words))
    monkeypatch.setattr(cluster, "job", lambda id_: cluster.Job(id_, "CANCELLED"))

    def fail(id_: str) -> None:
        raise UsageError("cannot write job.json: No space left on device")

    with pytest.raises(UsageError, match="No space left"), Cancelling("lab43") as context:
        context.submitted(lambda: "7", fail)
    assert asked == [("scancel", "7")]


def test_what_breaks_beside_is_raised_here() -> None:
    def broken() -> str:
        raise UsageError("Slurm refused the job")

    with pytest.raises(UsageError, match="refused"):
        cancelling.unhurried(broken)


def test_a_cancelled_job_that_does_not_go_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "ask", lambda *words, patience_s=0: "")
    monkeypatch.setattr(cancelling, "GONE_S", 0.5)
    monkeypatch.setattr(cluster, "job", lambda id_: cluster.Job(id_, "CANCELLED"))
    cancelling.cancel("7")
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(cluster, "job", lambda id_: cluster.Job(id_, "COMPLETING"))
    cancelling.cancel("7")
    assert "still clears the nodes of job 7" in capfd.readouterr().err
