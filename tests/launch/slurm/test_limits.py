"""Runs held against what a partition has."""

import dataclasses
from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.launch import Request, RunSpec
from labs.launch.slurm import limits


def spec(
    nodes: int = 1, procs: int = 1, gpus: str = "auto", needs: str = "", uses_gpu: bool = True, **wishes: str
) -> RunSpec:
    request = Request(**wishes)
    return RunSpec(
        43, "m", "slurm", None, nodes, procs, gpus, request=request, memory=needs, uses_gpu=uses_gpu
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            spec(nodes=4),
            "NODES=4 is more than partition lab has: 3 nodes\nask for less, or for another PARTITION=",
        ),
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
        (
            spec(procs=8, needs="9G"),
            "MEMORY=9G, which PROCS=8 needs, is more than partition lab has: 8000 MiB",
        ),
        (spec(procs=33), "PROCS=33 is more than partition lab has: 32 processes on 4 cores of a node"),
        (spec(procs=9, cpus="1"), "PROCS=9 is more than partition lab has: 8 processes on 1 cores of a node"),
        (spec(partition="lab,nope"), "PARTITION=nope is not there; choose from: lab, long"),
        (spec(nodes=4, partition="lab,long"), "NODES=4 is more than partition lab has: 3 nodes"),
        (spec(sbatch_args="--qos=high"), "SBATCH_ARGS: --qos=high has a variable of its own\nsay QOS="),
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
    found = limits.resolved(spec(procs=2))
    assert (found.gpus, found.request.time, found.request.cpus) == ("2", "15", "2")
    asked = limits.resolved(spec(gpus="0", time="1:00:00", cpus="1"))
    assert (asked.gpus, asked.request.time, asked.request.cpus) == ("0", "60", "1")
    assert limits.resolved(spec(partition="long")).gpus == "0"


def test_one_partition_of_a_list_is_enough(answers: dict[str, str]) -> None:
    limits.check(spec(nodes=3, partition="long,lab"))
    found = limits.resolved(spec(procs=4, partition="lab,long"))
    assert (found.gpus, found.request.cpus, found.request.time) == ("0", "2", "15"), "what all of them have"


def test_a_lab_that_needs_no_gpu_takes_none(answers: dict[str, str]) -> None:
    assert limits.resolved(spec(procs=2, uses_gpu=False)).gpus == "0"
    assert limits.resolved(spec(procs=2)).gpus == "2"
    assert limits.resolved(spec(procs=3)).gpus == "0", (
        "where one rank would go without, all compute on the CPU"
    )
    assert limits.resolved(spec(procs=2, gpus="1", uses_gpu=False)).gpus == "1", "unless somebody asks"


def test_memory_is_what_the_lab_needs_unless_somebody_asks(
    answers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.resolved(spec(needs="6G")).request.memory == "6G"
    monkeypatch.setenv("SBATCH_MEM_PER_NODE", "7G")
    assert limits.resolved(spec(needs="6G")).request.memory == "7G"
    assert limits.resolved(spec(needs="6G", memory="1G")).request.memory == "1G"


def test_more_processes_than_cores_are_said(answers: dict[str, str]) -> None:
    assert limits.crowding(limits.resolved(spec(procs=8))) == ["8 processes share 4 cores on each node"]
    assert limits.crowding(limits.resolved(spec(procs=4))) == []


def test_without_a_cluster_what_only_one_could_say_is_named(answers: dict[str, str]) -> None:
    answers["scontrol ping"] = "error: slurm_load_ctl: cannot connect"
    imagined, unsaid = limits.imagined(spec(procs=2))
    assert (imagined.gpus, imagined.request.time, imagined.request.cpus) == ("2", "15", "2")
    assert len(unsaid) == 4
    assert limits.imagined(spec(gpus="0", time="5", cpus="1", partition="lab"))[1] == []


def test_a_folder_in_a_nodes_own_memory_is_refused(
    answers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_file_system", lambda place: ("tmpfs", "/tmp"))
    with pytest.raises(UsageError, match="lies on /tmp, a tmpfs that no other node sees"):
        limits.check(dataclasses.replace(spec(), folder=Path("/tmp/x/y")))


@pytest.mark.parametrize("odd", ["\\", "\n", "%j", "%t"])
def test_a_folder_that_slurm_would_read_as_another_one_is_refused(answers: dict[str, str], odd: str) -> None:
    folder = Path(f"/shared/my{odd}runs/x")
    with pytest.raises(UsageError, match="in its name, which Slurm does not take as it stands") as caught:
        limits.check(dataclasses.replace(spec(), folder=folder))
    assert repr(odd) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


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
