"""What becomes of a run that Slurm does not take. On a real cluster: tests/cluster."""

import json
from pathlib import Path

import pytest

from labs.errors import OutOfReach, UsageError
from labs.launch import LAUNCHERS, RunSpec, slurm
from labs.launch.claim import claimed
from labs.launch.slurm import cluster
from labs.launch.slurm.cluster import Partition

SAID = """sbatch: error: QOSMaxWallDurationPerJobLimit
sbatch: error: Batch job submission failed: Job violates accounting/QOS policy"""
FOLDER = Path("/shared/runs/lab43/now-slurm")


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        (
            SAID,
            "QOSMaxWallDurationPerJobLimit; Batch job submission failed: Job violates accounting/QOS policy",
        ),
        ("sbatch: error: Invalid account\nsbatch: error: Invalid account", "Invalid account"),
        ("", "it gave no reason"),
    ],
)
def test_a_refusal_is_said_once_with_the_line_that_names_the_limit(said: str, refusal: str) -> None:
    assert slurm._refusal(said) == refusal


def test_a_laptop_without_slurm_prints_the_script_and_marks_what_only_a_cluster_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutOfReach, match="no sbatch on the PATH"):
        LAUNCHERS["slurm"].check(RunSpec(43, "m", "slurm", FOLDER))
    text = LAUNCHERS["slurm"].render(RunSpec(43, "m", "slurm", FOLDER, nodes=2, procs=2))
    assert text.startswith("#!/bin/bash\n")
    assert "#SBATCH --time=15\n" in text
    assert "\n# no cluster was asked, and only one could say:\n# --time=15: less where the partition" in text


@pytest.mark.parametrize(
    ("sbatch", "said"),
    [
        (
            "echo 'sbatch: error: Invalid account' >&2; exit 1",
            r"^Slurm refused the job: Invalid account\nnothing was submitted$",
        ),
        ("exit 1", r"^Slurm refused the job: it gave no reason\nnothing was submitted$"),
        ("exec sleep 60", r"^Slurm did not answer to sbatch in time\nshould it take the job after all, "),
    ],
)
def test_what_slurm_does_not_take_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sbatch: str, said: str
) -> None:
    for name in ("sbatch", "srun"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{sbatch}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(cluster, "ANSWER_S", 0.5)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    lab = Partition("lab", 4, None, None, default=True, gpus_of_node=0, cores_of_node=8, memory_of_node=16000)
    monkeypatch.setattr(cluster, "partitions", lambda: {"lab": lab})
    folder = tmp_path / "runs" / "lab43" / "now-slurm"
    with pytest.raises(UsageError, match=said), claimed(RunSpec(43, "m", "slurm", folder, nodes=2)) as own:
        LAUNCHERS["slurm"].submit(own)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("id_", ["", "7; rm -rf /", "labs-12ab"])
def test_a_run_without_a_number_of_a_job_is_never_asked_about(tmp_path: Path, id_: str) -> None:
    (tmp_path / "job.json").write_text(json.dumps({"launcher": "slurm", "id": id_, "nodes": 1}))
    place = LAUNCHERS["slurm"]
    with pytest.raises(UsageError, match="has no job yet that could be ended\nlook again"):
        place.cancel(tmp_path)
    with pytest.raises(UsageError, match="has no job yet that could be followed\nlook again"):
        place.follow(tmp_path)


def test_a_run_that_was_never_submitted_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "jobs", lambda ids: {})
    with claimed(RunSpec(43, "m", "slurm", tmp_path / "run")) as own:
        assert own.folder
        assert LAUNCHERS["slurm"].states([own.folder])[own.folder].word == "being submitted"
        (own.folder / "slurm").mkdir()
    state = LAUNCHERS["slurm"].states([own.folder])[own.folder]
    assert (state.word, state.ended) == ("never submitted", True)
