"""Slurm's answers, as Slurm 22.05 gives them."""

import pytest

from labs.errors import UsageError
from labs.launch.slurm import cluster

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
        "sacct": "",
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
