"""Slurm's answers, read. The real commands are asked on the test cluster."""

import dataclasses
import time
from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.launch.slurm import cluster


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
    answers["sacct"] = "7|RUNNING|node[1-2]\n"
    assert cluster.job("7") == cluster.Job("7", cluster.LOST, nodes="node[1-2]")
    answers["sacct"] = "7|CANCELLED by 0|node[1-2]\n"
    assert cluster.job("7") == cluster.Job("7", "CANCELLED", nodes="node[1-2]")


def test_a_job_is_not_lost_where_the_accounting_only_does_not_answer(answers: dict[str, str]) -> None:
    answers["scontrol show job"] = "error: scontrol failed: slurm_load_jobs error: Invalid job id specified"
    answers["sacct"] = "error: sacct failed: Problem talking to the database: Connection refused"
    assert cluster.job("7") is None


QUEUE = """\
7|PENDING|ReqNodeNotAvail, UnavailableNodes:node2|
8|RUNNING|None|node[1-2]
99|COMPLETED|None|node1
"""


def test_all_jobs_are_read_by_one_question_and_the_forgotten_by_one_more(answers: dict[str, str]) -> None:
    answers["squeue"] = QUEUE
    del answers["sacct"]
    assert set(cluster.jobs(["7", "8"])) == {"7", "8"}, "no accounting is asked"
    answers["sacct"] = "5|TIMEOUT|node3\n"
    found = cluster.jobs(["7", "8", "5", "6", "", "7; rm -rf /"])
    assert [found[id_].state for id_ in ("5", "6", "7", "8")] == [
        "TIMEOUT",
        cluster.LOST,
        "PENDING",
        "RUNNING",
    ]
    assert len(found) == 4
    assert found["7"].waits.startswith("its nodes are down, drained or reserved (ReqNodeNotAvail,")
    answers["sacct"] = "error: no answer"
    assert set(cluster.jobs(["7", "5"])) == {"7"}


def test_questions_share_one_patience_and_a_word_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "WORD_S", 0.1)
    begun = time.monotonic()
    with cluster.one_patience(1.0), cluster.one_patience():
        for _ in range(3):
            with pytest.raises(UsageError, match="sleep failed: no answer within"):
                cluster.ask("sleep", "60")
    assert time.monotonic() - begun < 30  # and not three times 20
    assert capsys.readouterr().err == "Slurm has not answered yet; it is waited for, 1 s at the most\n"
    monkeypatch.setattr(cluster, "WORD_S", 60.0)
    with cluster.one_patience():
        assert cluster.ask("echo", "quick") == "quick\n"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("UNLIMITED", None),
        ("01:00:00", 60),
        ("1-00:00:00", 1440),
        ("00:30", 1),
        ("10:00", 10),
        ("7", 7),
        ("1-12", 2160),
    ],
)
def test_time_limits_are_read(text: str, minutes: int | None) -> None:
    assert cluster.minutes(text) == minutes


def test_no_sbatch_and_no_controller_are_told_apart(
    answers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster.why_not() == ""
    answers["scontrol ping"] = "Slurmctld(primary) at ctl is DOWN"
    assert "no controller answers: Slurmctld(primary) at ctl is DOWN" in cluster.why_not()
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert cluster.why_not() == "there is no Slurm here: no sbatch on the PATH"


def test_a_command_that_may_not_be_run_is_not_called_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one for another kind of processor, or of a folder that is mounted noexec."""
    for name, content in {"squeue": "no program", "sinfo": "#!/no/such/shell"}.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="squeue failed: Exec format error"):
        cluster.ask("squeue")


def test_a_command_that_fails_or_is_not_there_or_hangs_is_named() -> None:
    with pytest.raises(UsageError, match=r"^sh failed: no such job$"):
        cluster.ask("sh", "-c", "echo no such job >&2; exit 1")
    with pytest.raises(UsageError, match=r"^sh failed: sh: fatal: no configuration$"):
        cluster.ask(
            "sh", "-c", "echo sh: error: one of many >&2; echo sh: fatal: no configuration >&2; exit 1"
        )
    with pytest.raises(UsageError, match=r"^sh failed: status 4$"):
        cluster.ask("sh", "-c", "exit 4")
    with pytest.raises(
        UsageError, match="no-such-squeue failed: it is not installed here\nSlurm's commands must work"
    ):
        cluster.ask("no-such-squeue")
    with pytest.raises(UsageError, match=r"sleep failed: no answer within 0\.1 s"):
        cluster.ask("sleep", "60", patience_s=0.1)
