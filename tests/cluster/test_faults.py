"""What goes wrong on clusters, caused for real. Each ends in time, with what happened and where, and leaves nothing on any node."""

import signal
import time

from scripts.slurm_cluster import daemons, network
from scripts.slurm_cluster.cluster import Cluster
from tests.cluster.desk import Desk

NOTICED_S = 40.0  # SlurmdTimeout=10 here, and Slurm's own polls


def test_ctrl_c_cancels_the_job_at_once(ada: Desk) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    run.send(signal.SIGINT)
    ended = run.ended(15)
    assert ended.status == 130
    assert f"cancelling job {run.job}" in ended.err
    assert ada.state(run.job) == "CANCELLED"
    ada.nothing_left()


def test_ctrl_c_while_it_waits_cancels_it_too(ada: Desk) -> None:
    ada.slurm("scontrol", "update", "nodename=node[1-3]", "state=drain", "reason=test")
    try:
        run = ada.begin("note")
        run.says("waits: ")
        run.send(signal.SIGINT)
        assert run.ended(15).status == 130
        assert ada.state(run.job) == "CANCELLED"
    finally:
        ada.slurm("scontrol", "update", "nodename=node[1-3]", "state=resume")


def test_a_closed_terminal_leaves_the_job_alone(ada: Desk) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    run.send(signal.SIGHUP)
    run.ended()
    assert ada.state(run.job) == "RUNNING"
    assert ada.labs("cancel", "99").status == 0
    ada.nothing_left()


def test_a_killed_rank_is_named_with_its_node_and_signal(ada: Desk) -> None:
    run = ada.begin("follow")
    ended = run.ended(30)
    assert ended.status == 137, ended
    assert "rank 1 on node1 (host node2) was killed by signal 9 (SIGKILL)" in ended.err
    ada.nothing_left()


def test_a_killed_node_starter_ends_the_job(ada: Desk, cluster: Cluster) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    node = cluster.node("node2")
    for pid in ada.on(node, "labs.launch.node"):
        node.run("kill", "-KILL", str(pid))
    ended = run.ended(30)
    assert ended.status == 137, ended
    assert "node1 (host node2)" in ended.err
    ada.nothing_left()


def test_a_killed_slurm_task_ends_the_job(ada: Desk, cluster: Cluster) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    node = cluster.node("node2")
    for pid in ada.on(node, "submitit.core._submit"):
        node.run("kill", "-KILL", str(pid))
    ended = run.ended(30)
    assert ended.status == 137, ended
    assert "the starter of node1 (host node2) was killed by signal 9" in ended.err
    ada.nothing_left()


def test_a_cut_link_is_noticed(ada: Desk, cluster: Cluster) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    network.cut(cluster.controller, cluster.node("node2"))
    try:
        run.says("was requeued, since node2 failed", NOTICED_S)
    finally:
        network.heal(cluster.controller, cluster.node("node2"))
    run.send(signal.SIGINT)
    run.ended(20)
    ada.nothing_left()


def test_a_drained_cluster_says_why_the_job_waits(ada: Desk) -> None:
    ada.slurm("scontrol", "update", "nodename=node[2-3]", "state=drain", "reason=test")
    try:
        run = ada.begin("note")
        run.says("job \\d+ waits: .*(down, drained or reserved|busy)")
    finally:
        ada.slurm("scontrol", "update", "nodename=node[2-3]", "state=resume")
    assert run.ended().status == 0


def test_a_time_limit_is_named(ada: Desk) -> None:
    run = ada.begin("wait:300", time="1")
    ada.ranks(2)
    ended = run.ended(130)
    assert ended.status == 143, ended
    assert "time limit" in ended.err
    ada.nothing_left()


def test_out_of_memory_is_named_with_its_node(ada: Desk) -> None:
    run = ada.begin("eat:1", memory="150M")
    ended = run.ended(60)
    assert ended.status == 137, ended
    assert "out of memory on node1 (host node2)" in ended.err
    ada.nothing_left()


def test_cancelled_by_somebody_else(ada: Desk) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    ada.slurm("scancel", run.job)
    ended = run.ended(30)
    assert ended.status == 143, ended
    assert "the job was cancelled by root, and not by this command" in ended.err
    ada.nothing_left()


def test_a_restarted_controller_disturbs_nobody(ada: Desk, cluster: Cluster) -> None:
    run = ada.begin("wait:8")
    ada.ranks(2)
    daemons.stop(cluster.controller, "slurmctld")
    time.sleep(3)
    daemons.slurmctld(cluster.controller)
    ended = run.ended(60)
    assert ended.status == 0, ended


def test_a_controller_that_forgot_the_job_is_no_reason_to_wait_for_ever(ada: Desk, cluster: Cluster) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    ada.forget_jobs("KILL")
    ended = run.ended(60)
    assert (
        "Slurm has lost the job" in ended.err or "the job was cancelled" in ended.err
    )  # as the accounting saw it
    assert ended.status in (1, 143), ended
    ada.nothing_left()


def test_no_controller_is_said_at_once(ada: Desk, cluster: Cluster) -> None:
    daemons.stop(cluster.controller, "slurmctld")
    try:
        ended = ada.begin("note").ended(30)
        assert ended.status == 2
        assert "sbatch is here, but no controller answers" in ended.err
        assert len(ended.err.splitlines()) <= 3
    finally:
        daemons.slurmctld(cluster.controller)
