"""What becomes of a run that Slurm does not take. On a real cluster: tests/cluster."""

from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.launch import LAUNCHERS, RunSpec
from labs.launch.slurm import cluster
from labs.launch.slurm.cluster import Partition


def test_what_slurm_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sbatch", "srun"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'sbatch: error: Invalid account' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    lab = Partition("lab", 4, None, None, default=True, gpus_of_node=0, cores_of_node=8, memory_of_node=16000)
    monkeypatch.setattr(cluster, "partitions", lambda: {"lab": lab})
    folder = tmp_path / "runs" / "lab43" / "now-slurm"
    with pytest.raises(UsageError, match=r"^Slurm refused the job: Invalid account\nnothing was submitted$"):
        LAUNCHERS["slurm"].submit(RunSpec(43, "m", "slurm", folder, nodes=2))
    assert list(folder.parent.iterdir()) == []
