"""Ctrl-C on the cluster: it cancels, also where no controller answers, and whatever lies between the keyboard and the command."""

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from scripts.slurm_cluster import daemons
from scripts.slurm_cluster.cluster import Cluster
from scripts.slurm_cluster.host import CHECKOUT
from tests.cluster.desk import SOON_S, Desk, until

AWAY_S = 60.0  # Slurm's own commands need nine seconds to give up, each time


@contextmanager
def no_controller(cluster: Cluster) -> Iterator[None]:
    daemons.stop(cluster.controller, "slurmctld")
    try:
        yield
    finally:
        if cluster.controller.run("pgrep", "-x", "slurmctld").returncode:
            daemons.slurmctld(cluster.controller)


def test_with_the_controller_away_it_is_tried_again_until_one_answers(ada: Desk, cluster: Cluster) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    with no_controller(cluster):
        run.send(signal.SIGINT)
        run.says("it is tried again until Slurm answers", AWAY_S)
        assert run.process.poll() is None
    ended = run.ended(AWAY_S)
    assert ended.status == 130, ended
    assert ada.state(run.job) == "CANCELLED"
    ada.nothing_left()


def test_with_the_controller_away_ctrl_c_once_more_leaves_at_once(ada: Desk, cluster: Cluster) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    with no_controller(cluster):
        run.send(signal.SIGINT)
        run.says("cancelling job")
        run.send(signal.SIGINT)
        ended = run.ended(5)
    assert ended.status == 130, ended
    assert f"job {run.job} may go on: end it with labs cancel {run.job}" in ended.err
    until(lambda: ada.state(run.job) == "RUNNING", "a controller that knows the job")
    assert ada.labs("cancel", run.job).status == 0
    ada.nothing_left()


def test_a_hang_up_right_after_it_does_not_save_the_job(ada: Desk, cluster: Cluster) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    with no_controller(cluster):
        run.send(signal.SIGINT)
        run.send(signal.SIGHUP)
        time.sleep(1)
    assert run.ended(AWAY_S).status == 130
    assert ada.state(run.job) == "CANCELLED"


class Terminal:
    """`make slurm-exec` at a terminal of its own, as somebody at the keyboard has it."""

    def __init__(self, desk: Desk, command: str) -> None:
        self.keyboard, inside = pty.openpty()
        environment = {**os.environ, "SLURM_CLUSTER": desk.cluster.name, "CMD": command, "WHO": "ada"}
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", "make", "-o", ".venv/.stamp", "slurm-exec"],
            stdin=inside, stdout=inside, stderr=inside, env=environment, cwd=CHECKOUT,
        )  # fmt: skip
        os.close(inside)
        os.set_blocking(self.keyboard, False)
        self._seen = b""

    def seen(self) -> str:
        with suppress(OSError):  # nothing new, or nobody there any more
            self._seen += os.read(self.keyboard, 2**16)
        return self._seen.decode(errors="replace")

    def says(self, text: str) -> None:
        until(lambda: text in self.seen(), f"it says {text}", SOON_S, self.seen)

    def press_ctrl_c(self) -> None:
        """Press it, and wait until the terminal has sent its signal to all that stand in the foreground."""
        os.write(self.keyboard, b"\x03")
        self.says("^C")

    def close(self) -> None:
        """Close the window."""
        os.close(self.keyboard)

    def ended(self) -> int:
        """Wait for the end of make, and return its status."""
        until(lambda: self.process.poll() is not None, "the end of make", SOON_S, self.seen)
        return int(self.process.returncode)


def begin_in_terminal(desk: Desk, path: str = "$PATH") -> Terminal:
    """Run a stand-in lab that stays, in a terminal."""
    sizes, wishes = json.dumps({"nodes": 2, "procs": 1, "gpus": "0"}), json.dumps({"memory": "500M"})
    command = [sys.executable, str(Path(__file__).with_name("command.py")), sizes, wishes, "stay"]
    notes = f"PATH={path} STAND_IN_NOTES={desk.person.home}/{desk.notes.name} PYTHONPATH={CHECKOUT}"
    return Terminal(desk, f"LABS_HOME=/home/ada/labs {notes} {shlex.join(command)}")


def in_terminal(desk: Desk) -> Terminal:
    """Run it up to the moment at which its ranks are there."""
    terminal = begin_in_terminal(desk)
    until(lambda: (desk.notes / "rank1.json").exists(), "ranks", SOON_S, terminal.seen)
    return terminal


def newest_job(desk: Desk) -> str:
    noted: dict[str, str] = json.loads((desk.runs()[-1] / "job.json").read_text())
    return noted["id"]


def test_through_make_slurm_exec_it_cancels_and_the_prompt_waits_for_it(ada: Desk) -> None:
    terminal = in_terminal(ada)
    terminal.press_ctrl_c()
    assert terminal.ended() != 0
    assert ada.state(newest_job(ada)) == "CANCELLED", "make has ended before the job"
    terminal.close()
    ada.nothing_left()


def test_through_make_slurm_exec_a_closed_window_after_it_does_not_save_the_job(
    ada: Desk, cluster: Cluster
) -> None:
    terminal = in_terminal(ada)
    with no_controller(cluster):
        terminal.press_ctrl_c()
        terminal.close()
        time.sleep(1)
    until(lambda: ada.state(newest_job(ada)) == "CANCELLED", "the job's end", AWAY_S)
    assert terminal.ended() != 0
    ada.nothing_left()


def test_ctrl_c_while_it_is_submitted_leaves_no_job(ada: Desk, cluster: Cluster) -> None:
    slow = ada.home / "slow" / "sbatch"  # as a site's own wrapper may be
    slow.parent.mkdir()
    slow.write_text('#!/bin/sh\nsleep 3\nexec /usr/bin/sbatch "$@"\n')
    slow.chmod(0o755)
    terminal = begin_in_terminal(ada, path="/home/ada/slow:$PATH")
    until(lambda: bool(ada.on(cluster.login, "slow/sbatch")), "sbatch", SOON_S, terminal.seen)
    terminal.press_ctrl_c()
    terminal.says("once Slurm has said the job's number")
    assert terminal.ended() != 0
    assert ada.state(newest_job(ada)) == "CANCELLED"
    terminal.close()


@pytest.mark.parametrize("which", ["99", "the job", "--all"])
def test_labs_cancel_takes_a_lab_a_job_or_all(ada: Desk, which: str) -> None:
    first = ada.begin("stay", nodes=1, detach="1")
    first.ended()
    second = ada.begin("stay", nodes=1, detach="1")
    second.ended()
    ended = ada.labs("cancel", first.job if which == "the job" else which)
    assert ended.status == 0, ended
    gone = {"99": [second.job], "the job": [first.job], "--all": [first.job, second.job]}[which]
    for run in (first, second):
        assert (ada.state(run.job) == "CANCELLED") == (run.job in gone), run.job
