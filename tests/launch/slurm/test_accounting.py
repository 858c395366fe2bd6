"""What sacct says, read. The real one is asked in tests/cluster/test_ends.py."""

import pytest

from labs.errors import UsageError
from labs.launch.slurm import accounting, cluster

ENDED = """\
COMPLETED|00:01:10|00:07.279|billing=2,cpu=2,gres/gpu=2,mem=1000M,node=2|
COMPLETED|00:01:10|00:00.011|cpu=1,gres/gpu=1,mem=500M,node=1|0
COMPLETED|00:01:10|00:07.267|cpu=2,gres/gpu=2,mem=1000M,node=2|524288K
"""


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A cluster whose commands say what is put here; sacct fails where nothing is."""
    said = {
        "scontrol": "AccountingStorageType = accounting_storage/slurmdbd",
        "sinfo": "node1 idle\nnode2 down*",
    }

    def ask(*words: str, patience_s: float = 0) -> str:
        if words[0] not in said:
            raise UsageError("Slurm accounting storage is disabled")
        return said[words[0]]

    monkeypatch.setattr(cluster, "ask", ask)
    monkeypatch.setattr(accounting, "BEHIND_S", 0.5)
    return said


def test_what_a_job_took_is_one_line(slurm: dict[str, str]) -> None:
    slurm["sacct"] = ENDED
    assert accounting.summary("7") == (
        "job 7 took 1:10 min, 512 MiB of memory at most on one node, 7.3 s of CPU time, 2:20 min of GPU time"
    )


def test_what_is_not_known_is_left_out(slurm: dict[str, str]) -> None:
    slurm["sacct"] = "FAILED|00:00:03|00:01.2|billing=1,cpu=1|\nFAILED|00:00:03|00:01.2|cpu=1|0\n"
    assert accounting.summary("7") == "job 7 took 3.0 s, 1.2 s of CPU time"


@pytest.mark.parametrize("said", [None, "", "RUNNING|00:00:03|00:01.2|cpu=1|\n"])
def test_without_an_accounting_that_knows_the_end_nothing_is_said(
    said: str | None, slurm: dict[str, str]
) -> None:
    slurm.update({} if said is None else {"sacct": said})
    assert accounting.summary("7") == ""


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("PREEMPTED\nPENDING\n", "since it had to make room for one that goes first"),
        ("REQUEUED\nPREEMPTED\nRUNNING\n", "since it had to make room for one that goes first"),
        ("REQUEUED\n", "since somebody asked for it, as Slurm says"),
        ("NODE_FAIL\nPENDING\n", "since node2 failed"),
        ("BOOT_FAIL\n", "since its state was BOOT_FAIL, as Slurm says"),
        ("PENDING\n", "for a cause that is not known (node2 does not answer)"),
        (None, "for a cause that is not known (node2 does not answer)"),
    ],
)
def test_a_requeues_cause_is_what_slurm_says(said: str | None, cause: str, slurm: dict[str, str]) -> None:
    slurm.update({} if said is None else {"sacct": said})
    assert accounting.cause_of_requeue("7", "node[1-2]") == cause


def test_no_cause_is_guessed(slurm: dict[str, str]) -> None:
    slurm["sinfo"] = "node1 idle\nnode2 idle\n"
    assert accounting.cause_of_requeue("7", "node[1-2]") == "for a cause that is not known"


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:07.279", 7.279), ("02:03:04", 7384), ("1-00:00:01", 86401), ("", 0)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert accounting._seconds(text) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(7.28, "7.3 s"), (70, "1:10 min"), (3725, "1:02:05")])
def test_durations_are_written(seconds: float, text: str) -> None:
    assert accounting._clock(seconds) == text


@pytest.mark.parametrize(
    ("said", "by"),
    [
        ("CANCELLED by 0\n", " by root"),
        ("CANCELLED by 4294967\n", " by user 4294967"),
        ("CANCELLED\n", ""),
        (None, ""),
    ],
)
def test_who_cancelled_is_who_slurm_says(said: str | None, by: str, slurm: dict[str, str]) -> None:
    slurm.update({} if said is None else {"sacct": said})
    assert accounting.canceller("7") == by
