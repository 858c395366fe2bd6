"""What a run can ask Slurm for, and what it is refused, before anything is submitted where possible."""

import re
import time
from typing import Any

import pytest

from tests.cluster.desk import Desk


@pytest.mark.parametrize(
    ("wish", "field", "value"),
    [
        ({"partition": "solo"}, "Partition", "solo"),
        ({"account": "guests"}, "Account", "guests"),
        ({"qos": "high"}, "QOS", "high"),
        ({"constraint": "n3"}, "NodeList", "node3"),
        ({"time": "0:07:00"}, "TimeLimit", "00:07:00"),
        ({"memory": "300M"}, "MinMemoryNode", "300M"),
        ({"cpus": "2"}, "NumCPUs", "2"),
    ],
    ids=str,
)
def test_a_wish_reaches_slurm(ada: Desk, wish: dict[str, Any], field: str, value: str) -> None:
    run = ada.begin("note", nodes=1, **wish)
    assert run.ended().status == 0, run.err
    found = re.search(rf"\b{field}=(\S+)", ada.slurm("scontrol", "show", "job", run.job, "--oneliner"))
    assert found
    assert found[1] == value


def described(ada: Desk, job: str) -> str:
    """Return what the controller says of a job."""
    return ada.slurm("scontrol", "show", "job", job, "--oneliner")


def test_defaults_of_the_environment_hold_or_give_way_aloud(ada: Desk) -> None:
    theirs = {"SBATCH_PARTITION": "solo", "SBATCH_ACCOUNT": "guests", "SBATCH_QOS": "low"}
    run = ada.begin("note", nodes=1, environment=theirs, qos="high")
    assert run.ended().status == 0, run.err
    for field in ("Partition=solo", "Account=guests", "QOS=high"):
        assert field in described(ada, run.job)
    assert "SBATCH_QOS=low gives way to QOS=high" in run.err


def test_further_options_are_passed_on(ada: Desk) -> None:
    run = ada.begin("note", nodes=1, sbatch_args="--exclude=node1,node2 --comment 'for the course'")
    assert run.ended().status == 0, run.err
    assert "NodeList=node3" in described(ada, run.job)
    assert "Comment=for the course" in described(ada, run.job)


def test_through_make_too(ada: Desk) -> None:
    ended = ada.start(
        "make", "-o", ".venv/.stamp", "lab-01", "DRYRUN=1", "SBATCH_ARGS=--exclude=node1 --mail-type=END"
    ).ended()
    assert ended.status == 0, ended
    assert "#SBATCH --exclude=node1 --mail-type=END\n" in ended.out


def test_a_list_of_partitions_is_taken(ada: Desk) -> None:
    run = ada.begin("note", nodes=2, partition="solo,lab")
    assert run.ended().status == 0, run.err
    assert "Partition=lab" in described(ada, run.job)


def test_a_lab_that_needs_no_gpu_takes_none(ada: Desk) -> None:
    script = ada.labs("run", "1", "--dry-run").out
    assert "gpus-per-node" not in script
    assert "--mem=1G" in script
    assert "gpus-per-node=1" in ada.labs("run", "27", "--dry-run").out


def test_memory_grows_with_the_processes_and_crowds_are_said(ada: Desk) -> None:
    refused = ada.labs("run", "43", "--procs", "8")
    assert (refused.status, "MEMORY=6G, which PROCS=8 needs, is more" in refused.err) == (2, True), refused
    run = ada.begin("note", nodes=1, procs=4)
    assert run.ended().status == 0, run.err
    assert f"4 processes share {ada.cluster.size.cores} cores on each node" in run.err


def test_a_reservation_is_used(ada: Desk) -> None:
    ada.slurm(
        "scontrol",
        "create",
        "reservation",
        "reservationname=today",
        "starttime=now",
        "duration=5",
        "users=ada",
        "nodes=node3",
    )
    try:
        run = ada.begin("note", nodes=1, reservation="today")
        assert run.ended().status == 0, run.err
        assert "NodeList=node3" in ada.slurm("scontrol", "show", "job", run.job, "--oneliner")
    finally:
        ada.slurm("scontrol", "delete", "reservation", "today")


@pytest.mark.parametrize("gpus", ["0", "1", "2"])
def test_gpus_are_handed_out(ada: Desk, gpus: str) -> None:
    run = ada.begin("note", nodes=1, procs=1, gpus=gpus)
    assert run.ended().status == 0, run.err
    environment = ada.ranks(1)[0]["environment"]
    assert environment.get("CUDA_VISIBLE_DEVICES", "") == {"0": "", "1": "0", "2": "0,1"}[gpus]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--nodes", "4"], "NODES=4 is more than partition lab has: 3 nodes"),
        (["--nodes", "2", "--partition", "solo"], "NODES=2 is more than partition solo has: 1 nodes"),
        (["--gpus", "3"], "GPUS=3 is more than partition lab has: 2 GPUs on a node"),
        (["--memory", "5G"], "MEMORY=5G is more than partition lab has: 4000 MiB"),
        (["--cpus", "999"], "CPUS=999 is more than partition lab has"),
        (["--time", "61"], "TIME=61 is more than partition lab has: 60 minutes"),
        (["--partition", "nope"], "PARTITION=nope is not there; choose from: lab, solo"),
        (["--qos", "nope"], "Invalid qos"),
        (["--account", "nope"], "Invalid account"),
        (["--reservation", "nope"], "reservation"),
        (["--constraint", "nope"], "Invalid feature"),
        (["--", "--rows=many"], "--rows: invalid int value: 'many'"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_refused_at_once(ada: Desk, asked: list[str], said: str) -> None:
    ended = ada.labs("run", "43", "--smoke", *asked)
    assert ended.status == 2, ended
    assert ended.err.count(said) == 1, ended.err
    refusal = [line for line in ended.err.splitlines() if not line.startswith("launcher:")]
    assert len(refusal) <= 3, ended.err
    assert "Traceback" not in ended.err
    assert not ada.slurm("squeue", "-h").strip()
    assert not [folder for folder in ada.runs(43) if folder.stat().st_mtime > time.time() - 5], (
        "nothing half-done is left"
    )


def test_a_refusal_names_the_limit_once(ada: Desk) -> None:
    ada.slurm("sacctmgr", "-i", "modify", "qos", "low", "set", "MaxWall=00:01:00", "Flags=DenyOnLimit")
    try:
        ended = ada.begin("note", nodes=1, qos="low", time="5").ended()
    finally:
        ada.slurm("sacctmgr", "-i", "modify", "qos", "low", "set", "MaxWall=-1", "Flags-=DenyOnLimit")
    assert ended.status == 2, ended
    assert ended.err.count("QOSMaxWallDurationPerJobLimit") == 1, ended.err
    assert ended.err.count("Job violates accounting/QOS policy") == 1
