"""How a job ended, in a status and in words. Jobs that end for real: tests/cluster/test_faults.py."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import pytest

from labs.launch import file_follower
from labs.launch.file_follower import FileFollower
from labs.launch.slurm import cluster, live
from labs.launch.states import end


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
        (
            "/x/job7/slurm_script: line 17: 12345 Killed                  srun --unbuffered",
            137,
            "srun, which starts",
        ),
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


@pytest.mark.parametrize(
    ("begun", "status", "words"),
    [(1, 3, "node0 (host h0) ended with status 3"), (2, 1, "no node could start: srun: error: no such step")],
    ids=["its newest attempt's", "an earlier attempt's"],
)
def test_what_nodes_noted_counts_for_their_own_attempt(
    tmp_path: Path, begun: int, status: int, words: str
) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "node1.json").write_text('{"host": "h1", "status": 9, "ended": 1}')
    (tmp_path / "slurm" / "node0.json").write_text('{"host": "h0", "status": 3, "ended": 2, "restarts": 1}')
    (tmp_path / "slurm" / "7_0_log.err").write_text("srun: error: no such step\n")
    found, said = live.verdict(tmp_path, cluster.Job("7", "FAILED", nodes="h[0-1]", restarts=begun))
    assert (found, said.startswith(words)) == (status, True), said


def test_what_nodes_print_is_shown_while_slurm_thinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "job.json").write_text('{"nodes": 1, "id": "7"}')
    printed = tmp_path / "slurm" / "node0.out"
    seen, in_time = Event(), list[bool]()

    def thinks(id_: str) -> cluster.Job:
        """Answer once what a node prints meanwhile was shown."""
        printed.write_text("printed meanwhile\n")
        in_time.append(seen.wait(30))
        return cluster.Job(id_, "COMPLETED")

    def pump(followers: Sequence[FileFollower]) -> bool:
        new = file_follower.pump(followers)
        if new:
            seen.set()
        return new

    monkeypatch.setattr(cluster, "job", thinks)
    monkeypatch.setattr(live, "pump", pump)
    assert live.follow(tmp_path) == 0
    assert in_time == [True]
    assert capfd.readouterr().out == "printed meanwhile\n"


@pytest.mark.parametrize(
    ("state", "notes", "detail", "shown"),
    [
        ("COMPLETED", {0: 0}, "node[1-2]", ""),
        ("FAILED", {0: 1}, "", ""),  # a claim that failed was told by rank 0
        (
            "FAILED",
            {0: 137},
            "node0 (host h) ended with status 137",
            "exit 137: node0 (host h) ended with status 137\n",
        ),
        (
            "TIMEOUT",
            {},
            "the job reached its time limit: ask for more with TIME=",
            "exit 143: the job reached its time",
        ),
    ],
)
def test_an_end_is_noted_and_told_again_without_asking(
    tmp_path: Path,
    state: str,
    notes: dict[int, int],
    detail: str,
    shown: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "job.json").write_text('{"nodes": 2, "id": "7"}')
    (tmp_path / "slurm" / "node0.out").write_text("what it printed\n")
    for node, status in notes.items():
        note = f'{{"host": "h", "status": {status}, "ended": 1}}'
        (tmp_path / "slurm" / f"node{node}.json").write_text(note)
    found = live.ended(tmp_path, cluster.Job("7", state, nodes="node[1-2]"))
    assert (found.word, found.detail, found.ended) == (state.lower(), detail, True)
    end(tmp_path, found)
    assert live.follow(tmp_path) == found.status
    said = capsys.readouterr().err
    assert (said.startswith(shown), bool(said)) == (True, bool(shown))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("OSError: [Errno 28] No space left on device", "no space for its files: No space left on device"),
        ("OSError: [Errno 122] Disk quota exceeded", "no space for its files: Disk quota exceeded"),
        ("ModuleNotFoundError: No module named 'submitit'", "no node could start: ModuleNotFoundError"),
    ],
)
def test_why_no_node_could_start_is_what_the_log_says(tmp_path: Path, line: str, words: str) -> None:
    folder = tmp_path / "runs" / "lab43" / "now-slurm"
    (folder / "slurm").mkdir(parents=True)
    (folder / "slurm" / "7_0_log.err").write_text(f"{line}\n")
    assert words in live.verdict(folder, cluster.Job("7", "FAILED"))[1]


def test_a_full_disk_is_no_folder_that_nodes_do_not_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda place: shutil._ntuple_diskusage(2**30, 2**30, 0))
    assert (
        "is full, so that the job could not even write its log"
        in live.verdict(tmp_path, cluster.Job("7", "FAILED"))[1]
    )
