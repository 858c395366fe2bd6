"""How runs end, and what is said of it: true words, which Slurm and the ranks themselves have said, or none."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.slurm_cluster import daemons
from scripts.slurm_cluster.cluster import Cluster
from tests.cluster.desk import Desk, until


def test_what_a_job_took_is_said_at_its_end(ada: Desk) -> None:
    run = ada.begin("wait:4", gpus="1", sbatch_args="--acctg-freq=task=1")
    ended = run.ended(60)
    assert ended.status == 0, ended
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"job {run.job} took "), ended.err
    for what in (" MiB of memory at most on one node", " of CPU time", " of GPU time"):
        assert what in line


def test_a_requeue_by_command_is_no_preemption(ada: Desk) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    ada.slurm("scontrol", "requeue", run.job)
    run.says("was requeued, since somebody asked for it, as Slurm says")


def test_without_accounting_a_requeues_cause_is_not_guessed(ada: Desk, cluster: Cluster) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    daemons.stop(cluster.controller, "slurmdbd", "KILL")
    try:
        ada.slurm("scontrol", "requeue", run.job)
        run.says("was requeued, for a cause that is not known")
    finally:
        cluster.controller.ask("slurmdbd")
        until(lambda: cluster.controller.run("sacctmgr", "-n", "list", "qos").returncode == 0, "slurmdbd")


@pytest.mark.parametrize("name", ["100%users", 'it\'s "ours" #1', "zażółć; $HOME"])
def test_odd_characters_in_a_path_lead_no_log_astray(ada: Desk, name: str) -> None:
    run = ada.begin("end:3:1", environment={"LABS_HOME": f"/home/ada/{name}"})
    ended = run.ended()
    assert ended.status == 3, ended
    (folder,) = (ada.home / name / "runs" / "lab99").iterdir()
    assert (folder / "slurm" / f"{run.job}_0_log.err").exists()


def test_a_killed_srun_is_named(ada: Desk, cluster: Cluster) -> None:
    run = ada.begin("stay")
    ada.ranks(2)
    node = cluster.node("node1")
    for pid in ada.on(node, "^srun "):
        node.run("kill", "-KILL", str(pid))
    ended = run.ended(60)
    assert ended.status == 137, ended
    assert "srun, which starts the nodes' tasks, was ended from outside (Killed)" in ended.err
    ada.nothing_left()


@pytest.mark.parametrize("name", ["node1", "node2"])
def test_a_killed_step_daemon_leaves_no_rank_behind(ada: Desk, cluster: Cluster, name: str) -> None:
    run = ada.begin("wait:300")
    ada.ranks(2)
    node = cluster.node(name)
    daemons_of_steps = ada.on(node, "^slurmstepd")
    assert daemons_of_steps
    for pid in daemons_of_steps:
        node.run("kill", "-KILL", str(pid))
    until(lambda: not ada.on(node, "stand_in"), f"no rank on {name}", 60, lambda: run.err)
    ada.slurm("scancel", run.job)
    run.ended(60)
    ada.nothing_left()


@pytest.mark.parametrize("nodes", [1, 2])
def test_the_reason_of_rank_0_is_heard_though_another_rank_ended_earlier(ada: Desk, nodes: int) -> None:
    ended = ada.begin("late:4", nodes=nodes, procs=2 // nodes).ended(60)
    assert ended.status == 1, ended
    assert "the reason of rank 1" in ended.err
    assert "the reason of rank 0" in ended.out


def test_a_maintenance_ahead_is_named(ada: Desk) -> None:
    ada.slurm(
        "scontrol", "create", "reservation", "reservationname=repair", "starttime=now+3minutes", "duration=60", "nodes=ALL",
        "flags=maint", "users=root",
    )  # fmt: skip
    try:
        run = ada.begin("note")
        run.says("waits: a maintenance is ahead: ask for less with TIME=")
    finally:
        ada.slurm("scontrol", "delete", "reservation", "repair")


@pytest.fixture
def small_disk(ada: Desk, cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    """A disk of four MiB beyond what a run must find free, which the login node and all nodes see."""
    image, place = tmp_path / "image", ada.home / "small"
    with image.open("wb") as file:
        file.truncate(48 * 2**20)
    subprocess.run(["mkfs.ext2", "-q", "-m0", str(image)], check=True)
    device = subprocess.run(
        ["losetup", "-f", "--show", str(image)], check=True, capture_output=True, text=True
    ).stdout.strip()
    place.mkdir()
    hosts = [cluster.login, *cluster.nodes]
    try:
        for host in hosts:
            host.ask("mount", device, "/home/ada/small")
        cluster.login.ask("chown", "ada", "/home/ada/small")
        yield place
    finally:
        for host in hosts:
            host.run("umount", "--lazy", "/home/ada/small")
        subprocess.run(["losetup", "-d", device], check=True)


def test_a_disk_that_fills_up_before_the_start_is_named(
    ada: Desk, cluster: Cluster, small_disk: Path
) -> None:
    ada.slurm("scontrol", "update", "nodename=node[1-3]", "state=drain", "reason=test")
    try:
        run = ada.begin("note", environment={"LABS_HOME": "/home/ada/small/labs"})
        run.says("waits: ")
        for size in ("64k", "1k"):  # to the last block
            cluster.login.run("dd", "if=/dev/zero", f"of=/home/ada/small/full{size}", f"bs={size}")
    finally:
        ada.slurm("scontrol", "update", "nodename=node[1-3]", "state=resume")
    ended = run.ended(60)
    assert ended.status == 1, ended
    assert "is full, so that the job could not even write its log" in ended.err


def test_who_shares_a_checkout_is_told_whom_to_ask(ada: Desk) -> None:
    ended = ada.start("make", "-W", "versions.env", "lab-01").ended()
    assert ended.status == 2, ended
    assert (
        "is older than its checkout, and you may not change it: ask root to run `make setup` there"
        in ended.err
    )
