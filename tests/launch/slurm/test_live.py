"""How a job ended, in a status and in words. Jobs that end for real: tests/cluster/test_faults.py."""

from pathlib import Path

import pytest

from labs.launch.slurm import cluster, live


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
