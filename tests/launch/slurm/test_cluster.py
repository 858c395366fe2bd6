"""Slurm's answers, as Slurm 22.05 gives them, and limits held against them. The real commands are asked on the test cluster."""

import dataclasses
from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.launch import Request, RunSpec
from labs.launch.slurm import cluster, limits, live

PARTITIONS = """\
PartitionName=lab AllowGroups=ALL Default=YES MaxNodes=UNLIMITED MaxTime=01:00:00 TotalNodes=3 State=UP
PartitionName=long AllowGroups=ALL Default=NO MaxNodes=1 MaxTime=UNLIMITED TotalNodes=3 State=UP
"""
NODES = "lab|gpu:h100:2(S:0-1)|2|4000\nlab|(null)|4|8000+\nlong|(null)|2|4000\n"
JOB = "JobId=7 JobName=lab43 JobState=PENDING Reason=Resources Dependency=(null) Restarts=1 NodeList=(null) Partition=lab"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    given = {
        "scontrol show partition": PARTITIONS,
        "sinfo": NODES,
        "scontrol show job": JOB,
        "scontrol ping": "Slurmctld(primary) at ctl is UP",
    }

    def ask(*words: str, patience_s: float = 0) -> str:
        answer = next(text for command, text in given.items() if " ".join(words).startswith(command))
        if answer.startswith("error: "):
            raise UsageError(answer)
        return answer

    monkeypatch.setattr(cluster, "ask", ask)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    return given


def spec(nodes: int = 1, procs: int = 1, gpus: str = "auto", **wishes: str) -> RunSpec:
    return RunSpec(43, "m", "slurm", None, nodes, procs, gpus, request=Request(**wishes))


def test_partitions_are_read_with_their_largest_node(answers: dict[str, str]) -> None:
    lab, long = cluster.partitions().values()
    assert lab == cluster.Partition("lab", 3, None, 60, True, 2, 4, 8000)
    assert (long.most_nodes, long.most_minutes, long.default, long.gpus_of_node) == (1, None, False, 0)


def test_a_job_is_read_and_why_it_waits_is_said_in_words(answers: dict[str, str]) -> None:
    job = cluster.job("7")
    assert job is not None
    assert (job.state, job.restarts, job.ended) == ("PENDING", 1, False)
    assert job.waits == "all nodes that fit are busy (Resources)"
    assert (
        dataclasses.replace(job, reason="QOSMaxGRESPerUser").waits
        == "a limit of its QOS is reached (QOSMaxGRESPerUser)"
    )
    assert dataclasses.replace(job, reason="Strange").waits == "Strange"


def test_a_job_that_nobody_knows_is_lost(answers: dict[str, str]) -> None:
    answers["scontrol show job"] = "error: scontrol failed: slurm_load_jobs error: Invalid job id specified"
    answers["sacct"] = "error: Slurm accounting storage is disabled"
    assert cluster.job("7") == cluster.Job("7", cluster.LOST)
    answers["sacct"] = "RUNNING|node[1-2]\n"
    assert cluster.job("7") == cluster.Job("7", cluster.LOST, nodes="node[1-2]")
    answers["sacct"] = "CANCELLED by 0|node[1-2]\n"
    assert cluster.job("7") == cluster.Job("7", "CANCELLED", nodes="node[1-2]")


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("UNLIMITED", None), ("01:00:00", 60), ("1-00:00:00", 1440), ("00:30", 1), ("10:00", 10)],
)
def test_time_limits_are_read(text: str, minutes: int | None) -> None:
    assert cluster.minutes(text) == minutes


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


def test_no_sbatch_and_no_controller_are_told_apart(
    answers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster.why_not() == ""
    answers["scontrol ping"] = "Slurmctld(primary) at ctl is DOWN"
    assert "no controller answers: Slurmctld(primary) at ctl is DOWN" in cluster.why_not()
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert cluster.why_not() == "there is no Slurm here: no sbatch on the PATH"


@pytest.mark.parametrize(
    ("state", "notes", "status", "words"),
    [
        ("COMPLETED", {}, 0, ""),
        ("TIMEOUT", {}, 143, "reached its time limit"),
        ("CANCELLED", {}, 143, "was cancelled"),
        ("NODE_FAIL", {}, 1, "a node failed"),
        ("OUT_OF_MEMORY", {1: 137}, 137, "out of memory on node1 (host h1)"),
        ("FAILED", {0: 1}, 1, ""),
        ("FAILED", {1: 137, 0: 143}, 137, "node1 (host h1) ended with status 137"),
        ("FAILED", {1: 1, 0: 137}, 137, "node0 (host h0) ended with status 137"),
        ("FAILED", {}, 1, "the job left not even a log"),
        (cluster.LOST, {0: 0, 1: 0}, 0, ""),
        (cluster.LOST, {0: 0, 1: 3}, 3, "node1 (host h1) ended with status 3"),
        (cluster.LOST, {0: 143}, 1, "Slurm has lost the job"),
        (cluster.LOST, {}, 1, "Slurm has lost the job"),
    ],
)
def test_an_ended_job_has_a_status_and_words(
    tmp_path: Path, state: str, notes: dict[int, int], status: int, words: str
) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "job.json").write_text('{"nodes": 2}')
    for order, (node, ended) in enumerate(notes.items()):
        note = f'{{"host": "h{node}", "status": {ended}, "ended": {order}}}'
        (tmp_path / "slurm" / f"node{node}.json").write_text(note)
    found, said = live.verdict(tmp_path, cluster.Job("7", state, nodes="node[1-2]"))
    assert found == status
    assert words in said
    assert bool(words) == bool(said)


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("srun: error: h1: task 1: Out Of Memory", 137, "out of memory on node1 (host h1)"),
        ("srun: error: h[1-2]: tasks 1-2: Out Of Memory", 137, "out of memory on node1 (host h[1-2])"),
        ("srun: error: h1: task 1: Killed", 137, "the starter of node1 (host h1) was killed"),
        ("srun: error: h0: task 0: Killed", 143, "node0 (host h0) ended with status 143"),
    ],
)
def test_what_srun_saw_of_a_task_counts_where_the_task_could_note_nothing(
    tmp_path: Path, line: str, status: int, words: str
) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "node0.json").write_text('{"host": "h0", "status": 143, "ended": 1}')
    (tmp_path / "slurm" / "7_0_log.err").write_text(f"{line}\n")
    found, said = live.verdict(tmp_path, cluster.Job("7", "FAILED", nodes="h[0-1]"))
    assert found == status
    assert words in said
