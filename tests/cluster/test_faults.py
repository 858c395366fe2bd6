"""What goes wrong on clusters, caused for real. Each ends in time, with what happened and where, and leaves nothing on any node."""

import re
import signal
import time

from scripts.slurm_cluster import daemons, network
from scripts.slurm_cluster.cluster import Cluster
from tests.cluster.desk import Desk, Started, until

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
    assert "cancelled" in ended.err
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
    assert "Slurm has lost the job" in ended.err or "the job was cancelled" in ended.err  # as the accounting saw it
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


def test_a_preempted_job_makes_room_is_requeued_and_goes_on(ada: Desk) -> None:
    low = ada.begin("train:50", nodes=3, qos="low", memory="3900M")
    _has_begun(ada)
    high = ada.begin("wait:3", nodes=3, qos="high", memory="3900M", environment={"STAND_IN_NOTES": "/home/ada"})
    low.says("was requeued, since it had to make room", NOTICED_S)
    low.says("Slurm says that this job ends soon")
    assert high.ended(60).status == 0
    _goes_on(ada, low)


def test_after_a_nodes_death_the_job_goes_on_from_its_checkpoint(ada: Desk, cluster: Cluster) -> None:
    run = ada.begin("train:150")  # half a minute: longer than Slurm takes to notice
    _has_begun(ada)
    node = cluster.node("node2")
    node.kill()
    try:
        run.says("was requeued, since node2 failed", NOTICED_S)
    finally:
        cluster.start_node(node)
    _goes_on(ada, run)


def _has_begun(desk: Desk) -> None:
    checkpoint = desk.notes / "step0"
    until(lambda: checkpoint.exists() and int(checkpoint.read_text() or 0) > 2, "a checkpoint")


def _goes_on(desk: Desk, run: Started) -> None:
    """See that a requeued run ends well, behind its checkpoint. Slurm would let it wait for two minutes first.

    It does so for a reason: what it still kills of the first attempt it finds by the job's id, which the second one has too.
    """
    until(lambda: desk.state(run.job) == "PENDING", "the job waits again")
    desk.nothing_left()
    desk.slurm("scontrol", "update", f"jobid={run.job}", "starttime=now")
    ended = run.ended(60)
    assert ended.status == 0, ended
    begun = [int(step) for step in re.findall(r"^rank 0 begins at step (\d+)$", ended.out, re.MULTILINE)]
    assert len(begun) == 2
    assert begun[0] == 0 < begun[1]
    assert "rank 0 is done" in ended.out
    assert "rank 1 is done" in ended.err
