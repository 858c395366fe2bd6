"""Runs held against what a partition has."""

import dataclasses
from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.launch import Request, RunSpec
from labs.launch.slurm import limits


def spec(nodes: int = 1, procs: int = 1, gpus: str = "auto", **wishes: str) -> RunSpec:
    return RunSpec(43, "m", "slurm", None, nodes, procs, gpus, request=Request(**wishes))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (spec(nodes=4), "NODES=4 is more than partition lab has: 3 nodes"),
        (spec(nodes=2, partition="long"), "NODES=2 is more than partition long has: 1 nodes"),
        (spec(gpus="3"), "GPUS=3 is more than partition lab has: 2 GPUs on a node"),
        (spec(cpus="5"), "CPUS=5 is more than partition lab has: 4 cores on a node"),
        (spec(memory="9G"), "MEMORY=9G is more than partition lab has: 8000 MiB of memory on a node"),
        (spec(time="61"), "TIME=61 is more than partition lab has: 60 minutes for a job"),
        (spec(time="1:30:00"), "TIME=1:30:00 is more than partition lab has: 60 minutes"),
        (spec(partition="nope"), "PARTITION=nope is not there; choose from: lab, long"),
        (spec(time="soon"), "TIME=soon is not possible; give minutes"),
        (spec(time="0"), "TIME=0 is not possible"),
        (spec(memory="lots"), "MEMORY=lots is not possible; give a number with K, M, G or T"),
        (spec(cpus="0"), "CPUS=0 is not possible"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_more_than_there_is_is_refused_before_anything_is_submitted(
    answers: dict[str, str], asked: RunSpec, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        limits.check(asked)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_what_was_not_said_is_filled_in_from_the_partition(answers: dict[str, str]) -> None:
    found = limits.resolved(spec(procs=4))
    assert (found.gpus, found.request.time, found.request.cpus) == ("2", "15", "4")
    asked = limits.resolved(spec(gpus="0", time="1:00:00", cpus="1"))
    assert (asked.gpus, asked.request.time, asked.request.cpus) == ("0", "60", "1")
    assert limits.resolved(spec(partition="long")).gpus == "0"


def test_a_folder_in_a_nodes_own_memory_is_refused(
    answers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_file_system", lambda place: ("tmpfs", "/tmp"))
    with pytest.raises(UsageError, match="lies on /tmp, a tmpfs that no other node sees"):
        limits.check(dataclasses.replace(spec(), folder=Path("/tmp/x/y")))


def test_without_a_controller_it_says_where_to_go(answers: dict[str, str]) -> None:
    answers["scontrol ping"] = "error: slurm_load_ctl: cannot connect"
    with pytest.raises(
        UsageError, match="cannot connect\nlog in to the cluster, or run here with LAUNCHER=local"
    ):
        limits.check(spec())


def test_a_cluster_without_a_default_partition_asks_for_one(answers: dict[str, str]) -> None:
    answers["scontrol show partition"] = answers["scontrol show partition"].replace(
        "Default=YES", "Default=NO"
    )
    with pytest.raises(UsageError, match="no default partition\nadd PARTITION=, one of: lab, long"):
        limits.check(spec())
