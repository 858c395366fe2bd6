"""What records say of runs whose ranks, nodes or commands were killed, and what is asked of Slurm to tell how runs are doing."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.slurm_cluster import daemons
from scripts.slurm_cluster.cluster import Cluster
from tests.cluster.desk import Desk, Ended, Started, until

NOTICED_S = 60.0  # SlurmdTimeout=10 here, and Slurm's own polls
HANGS_S = 90.0  # so long a command may take at the most where the controller hangs
COUNTED = ("squeue", "scontrol", "sacct", "sinfo")


def record(ada: Desk) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ada.runs()[-1] / "run.json").read_text())
    return found


def begun(ada: Desk) -> Started:
    """Begin a run that nobody follows, and wait until its record says that it runs."""
    run = ada.begin("record", detach="1")
    assert run.ended().status == 0
    ada.ranks(2)
    assert record(ada)["status"] == "running"
    return run


def closed(ada: Desk) -> dict[str, Any]:
    """Return the record once it does not say any more that the run goes on. Nobody asks, nobody follows."""
    until(lambda: record(ada)["status"] != "running", "the record's end")
    return record(ada)


def test_a_killed_rank_0_leaves_a_record_that_says_so(ada: Desk, cluster: Cluster) -> None:
    begun(ada)
    cluster.node("node1").run("kill", "-KILL", str(ada.ranks(2)[0]["pid"]))
    found = closed(ada)
    assert (found["status"], found["error"]) == ("broke", "ended with status 137 before it could say why")
    until((ada.runs()[-1] / "report.html").exists, "its page")
    ada.nothing_left()


def test_a_killed_starter_leaves_a_record_that_says_so(ada: Desk, cluster: Cluster) -> None:
    begun(ada)
    for pid in ada.on(cluster.node("node1"), "labs.launch.node"):
        cluster.node("node1").run("kill", "-KILL", str(pid))
    assert closed(ada)["status"] == "broke"


def test_a_cancelled_run_is_interrupted_and_counts_as_ended(ada: Desk) -> None:
    run = begun(ada)
    ada.slurm("scancel", run.job)
    assert closed(ada)["status"] == "interrupted"
    until(lambda: ada.state(run.job) == "CANCELLED", "the job's end")
    assert f"{run.job} cancelled" in ada.labs("status", "99").out
    assert "no run of yours" in ada.labs("status").out


def test_a_killed_node_is_told_by_whoever_looks_later(ada: Desk, cluster: Cluster) -> None:
    run = begun(ada)
    ada.slurm("scontrol", "update", f"jobid={run.job}", "requeue=0")
    cluster.node("node1").kill()
    try:
        until(lambda: ada.state(run.job) == "NODE_FAIL", "the node's failure", NOTICED_S)
        assert f"{run.job} node_fail: a node failed" in ada.labs("status", "99").out
    finally:
        cluster.start_node(cluster.node("node1"))
    found = record(ada)
    assert (found["status"], found["error"]) == ("broke", "a node failed under the job: one of node[1-2]")
    assert ada.labs("logs", "99").status == 1


def test_a_requeued_run_waits_and_is_not_said_to_run(ada: Desk) -> None:
    run = begun(ada)
    ada.slurm("scontrol", "requeue", run.job)
    until(lambda: ada.state(run.job) == "PENDING", "the job waits again")
    assert f"{run.job} pending: " in ada.labs("status").out
    ada.nothing_left()
    note = ada.runs()[-1] / "job.json"
    lost = {
        "id": "",
        "ended": {"word": "cancelled", "detail": "", "status": 143},
    }  # as if its command had been killed
    note.write_text(json.dumps(json.loads(note.read_text()) | lost))
    ada.slurm("scontrol", "update", f"jobid={run.job}", "starttime=now")
    until(lambda: "ended" not in json.loads(note.read_text()), "that the run has begun again")
    assert f"{run.job} running: node[1-2]" in ada.labs("status").out


@pytest.fixture
def counting(ada: Desk, tmp_path: Path) -> Iterator[Callable[..., tuple[Ended, list[str]]]]:
    """Run `labs` where each question to Slurm is noted before it is asked."""
    place, noted = ada.home / "counting", ada.home / "counting" / "asked"
    place.mkdir()
    for name in COUNTED:
        real = shutil.which(name)
        (place / name).write_text(
            f'#!/bin/sh\necho {name} "$@" >> /home/ada/counting/asked\nexec {real} "$@"\n'
        )
        (place / name).chmod(0o755)

    def labs(*words: str) -> tuple[Ended, list[str]]:
        noted.write_text("")
        noted.chmod(0o666)
        ended = ada.labs(*words, PATH="/home/ada/counting:/usr/bin:/bin", limit_s=HANGS_S)
        return ended, noted.read_text().splitlines()

    yield labs
    shutil.rmtree(place)


def test_the_next_day_all_runs_are_told_by_two_questions_and_then_by_none(
    ada: Desk, cluster: Cluster, counting: Callable[..., tuple[Ended, list[str]]]
) -> None:
    assert ada.labs("status").status == 0  # which notes the ends of all earlier runs
    started = [ada.begin(verb, detach="1") for verb in ("note", "end:3:all")]
    jobs = [one.job for one in started if one.ended().status == 0]
    until(
        lambda: all(
            re.search("COMPLETED|FAILED", ada.slurm("sacct", "-n", "-X", "-j", job, "-o", "State"))
            for job in jobs
        ),
        "the accounting",
    )
    ada.forget_jobs()
    daemons.wait_idle(cluster.controller, cluster.nodes)
    waits = ada.begin("stay", detach="1")
    waits.ended()
    said, asked = counting("status")
    assert [line.split()[0] for line in asked] == ["squeue", "sacct"], asked
    assert [line.split()[1] for line in said.out.splitlines()] == [waits.job]
    said, asked = counting("status")
    assert [line.split()[0] for line in asked] == ["squeue"], asked
    assert "cancelled" in ada.labs("cancel", "99").out
    counting("status")
    said, asked = counting("status")
    assert (said.out, asked) == ("no run of yours waits or goes on\n", [])
    failed = next(run for run in ada.runs() if json.loads((run / "job.json").read_text())["id"] == jobs[1])
    ended, asked = counting("logs", failed.name)
    assert (ended.status, asked) == (3, [])


def asked_at_once(ada: Desk) -> list[Ended]:
    """Ask for status and list, and begin to follow, cancel and submit, all at once; return how each of them ended."""
    started = [ada.begin_labs(*words) for words in (["status"], ["list"], ["logs", "99"], ["cancel", "99"])]
    ended = [one.ended(HANGS_S) for one in [*started, ada.begin("note")]]
    for one in ended:
        assert len(one.err.splitlines()) <= 4, one
        assert "Traceback" not in one.err
    return ended


@pytest.mark.parametrize("trouble", ["hangs", "is away"])
def test_a_controller_that_does_not_answer_is_waited_for_a_while_and_said(
    ada: Desk, cluster: Cluster, trouble: str
) -> None:
    run = begun(ada)
    if trouble == "hangs":
        cluster.controller.run("pkill", "-STOP", "-x", "slurmctld")
    else:
        daemons.stop(cluster.controller, "slurmctld")
    try:
        status, list_, logs, cancel, submit = asked_at_once(ada)
    finally:
        cluster.controller.run("pkill", "-CONT", "-x", "slurmctld")
        daemons.stop(cluster.controller, "slurmctld")
        daemons.slurmctld(cluster.controller)
        daemons.wait_idle(cluster.controller, cluster.nodes)
    assert (status.status, list_.status) == (0, 0)
    assert f"{run.job} unknown: squeue failed: " in status.out
    assert logs.status == 2
    assert f"Slurm does not answer; job {run.job} may go on" in logs.err
    assert cancel.status == 2
    assert f"job {run.job} may go on; try again" in cancel.err
    assert submit.status == 2
    assert "no controller answers" in submit.err
    if trouble == "hangs":
        assert status.err == "Slurm has not answered yet; it is waited for, 20 s at the most\n"
