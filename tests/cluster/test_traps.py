"""What is known to go wrong with Slurm and submitit: each test fails where the launcher does not see to it."""

import re

from scripts.slurm_cluster import daemons
from scripts.slurm_cluster.cluster import Cluster
from tests.cluster.desk import Desk, until

WARNING = "Slurm says that this job ends soon"


def test_the_warning_requeues_nothing_and_is_passed_on_in_words(ada: Desk) -> None:
    """submitit would take it as a time-out, and requeue the job or give it up."""
    run = ada.begin("wait:6", procs=2)
    ada.ranks(4)
    ada.slurm("scancel", "--signal=USR2", run.job)
    run.says(WARNING)
    ended = run.ended()
    assert ended.status == 0, ended
    assert "Restarts=0" in ada.slurm("scontrol", "show", "job", run.job, "--oneliner")


def test_the_warning_kills_nobody_where_it_reaches_every_process(ada: Desk, cluster: Cluster) -> None:
    """It does so with proctrack/linuxproc, and with SignalChildrenProcesses=yes; by default it ends whoever does not handle it."""
    run = ada.begin("wait:6", procs=2)
    ada.ranks(4)
    for node in cluster.nodes[:2]:
        assert node.run("pkill", "-USR2", "-f", r"labs\.launch\.node|tests\.launch\.stand_in").returncode == 0
    ended = run.ended()
    assert ended.status == 0, ended


def test_a_variable_of_another_launcher_changes_nothing(ada: Desk) -> None:
    """MASTER_ADDR and others may be set already, by a profile or an outer job."""
    strange = {
        "MASTER_ADDR": "198.18.99.99",
        "MASTER_PORT": "1",
        "RANK": "7",
        "WORLD_SIZE": "9",
        "LOCAL_RANK": "3",
    }
    run = ada.begin("note", environment=strange)
    assert run.ended().status == 0
    found = [rank["environment"] for rank in ada.ranks(2)]
    assert [(one["RANK"], one["WORLD_SIZE"], one["LOCAL_RANK"]) for one in found] == [
        ("0", "2", "0"),
        ("1", "2", "0"),
    ]
    assert {one["MASTER_ADDR"] for one in found} == {"node1"}
    assert found[0]["MASTER_PORT"] == found[1]["MASTER_PORT"] != "1"


def test_the_variables_of_an_outer_job_change_nothing(ada: Desk) -> None:
    """Inside another job's shell Slurm's own variables would give the new job that one's size."""
    outer = {
        "SLURM_JOB_ID": "1",
        "SLURM_NNODES": "1",
        "SLURM_NTASKS": "5",
        "SLURM_MEM_PER_CPU": "1",
        "SLURM_CPUS_PER_TASK": "9",
    }
    run = ada.begin("note", environment=outer)
    assert run.ended().status == 0, run.err
    ada.ranks(2)


def test_ranks_share_all_cores_that_the_job_has(ada: Desk, cluster: Cluster) -> None:
    """Where a site binds tasks to cores, all ranks of a task would sit on its first one."""
    cores = cluster.size.cores
    conf = cluster.folder / "etc" / "slurm" / "slurm.conf"
    before = conf.read_text()
    conf.write_text(before + "TaskPluginParam=Cores\n")
    ada.slurm("scontrol", "reconfigure")
    try:
        run = ada.begin("note", nodes=1, procs=2, cpus=str(cores))
        assert run.ended().status == 0
        assert [rank["cores"] for rank in ada.ranks(2)] == [cores, cores]
    finally:
        conf.write_text(before)
        ada.slurm("scontrol", "reconfigure")


def test_a_job_gets_no_more_cores_than_it_asked_for(ada: Desk) -> None:
    run = ada.begin("note", nodes=1, cpus="1")
    assert run.ended().status == 0
    assert ada.ranks(1)[0]["cores"] == 1


def test_one_task_starts_all_ranks_of_its_node(ada: Desk, cluster: Cluster) -> None:
    run = ada.begin("stay", procs=2)
    ada.ranks(4)
    assert all(len(ada.on(node, r"^\S*python\S* -u -m submitit")) == 1 for node in cluster.nodes[:2])
    assert re.search(r"NumTasks=2\b", ada.slurm("scontrol", "show", "job", run.job, "--oneliner"))


def test_the_jobs_own_state_is_that_of_its_ranks(ada: Desk) -> None:
    """A line behind srun in the script would make every job COMPLETED."""
    run = ada.begin("end:3:all")
    assert run.ended().status == 3
    assert ada.state(run.job) == "FAILED"


def test_a_folder_that_other_nodes_do_not_see_is_refused(ada: Desk) -> None:
    ended = ada.labs("run", "1", "--smoke", LABS_HOME="/tmp/labs")
    assert (ended.status, "a tmpfs that no other node sees" in ended.err) == (2, True), ended
    assert not ada.slurm("squeue", "-h").strip()


def test_without_accounting_a_cancelled_job_still_ends(ada: Desk, cluster: Cluster) -> None:
    """submitit asks the accounting alone, and would wait for ever."""
    run = ada.begin("stay")
    ada.ranks(2)
    daemons.stop(cluster.controller, "slurmdbd", "KILL")
    try:
        ada.slurm("scancel", run.job)
        ended = run.ended(20)
    finally:
        cluster.controller.ask("slurmdbd")
        until(lambda: cluster.controller.run("sacctmgr", "-n", "list", "qos").returncode == 0, "slurmdbd")
    assert ended.status == 143, ended


def test_an_end_is_seen_within_seconds(ada: Desk) -> None:
    """submitit remembers a job's state for up to ten minutes."""
    run = ada.begin("note")
    assert run.ended(15).status == 0


def test_debians_127_0_1_1_is_found_before_the_ranks_start(ada: Desk, cluster: Cluster) -> None:
    """Where a node's own name means loopback, rank 0 would tell the others an address that leads to themselves."""
    hosts = cluster.folder / "etc" / "hosts"
    before = hosts.read_text()
    hosts.write_text(before.replace(f"{cluster.node('node1').address} node1", "127.0.1.1 node1"))
    try:
        ended = ada.begin("note").ended()
    finally:
        hosts.write_text(before)
    assert ended.status == 2, ended
    assert "127.0.1.1" in ended.err


def test_an_interface_that_no_node_has_is_one_sentence(ada: Desk) -> None:
    """gloo would end in a line of C++. The login node may have it, or not: only the nodes count."""
    words = ("run", "43", "--nodes", "2", "--smoke")
    ended = ada.labs(*words, limit_s=120, GLOO_SOCKET_IFNAME="ib0")
    assert ended.status == 2, ended
    assert (
        "GLOO_SOCKET_IFNAME=ib0 names no network interface of this host (node1), which has: eth0, lo"
        in ended.err
    )
    assert "(node2)" in ended.err
    assert "Traceback" not in ended.err
    ended = ada.labs("preflight", "--nodes", "2", limit_s=120, GLOO_SOCKET_IFNAME="ib0")
    assert (ended.status, "✘ interface" in ended.out) == (1, True), ended
