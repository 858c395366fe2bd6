"""The batch script, as a whole text, and what a node's task starts."""

import dataclasses
import shlex
import sys
from pathlib import Path

import pytest

from labs.launch import Request, RunSpec
from labs.launch.slurm.script import script
from labs.launch.slurm.task import NodeTask, port_of

FOLDER = Path("/shared/runs/lab43/now-slurm")
SPEC = RunSpec(
    43,
    "labs.m6_production.lab43_ddp_concepts",
    "slurm",
    FOLDER,
    nodes=2,
    procs=4,
    gpus="0",
    request=Request(time="15", cpus="4"),
)

PYTHON = shlex.quote(sys.executable)
WHOLE = f"""\
#!/bin/bash
#SBATCH --job-name=lab43
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --time=15
#SBATCH --signal=USR2@60
#SBATCH --open-mode=append
#SBATCH --output=/shared/runs/lab43/now-slurm/slurm/%j_0_log.out
#SBATCH --error=/shared/runs/lab43/now-slurm/slurm/%j_0_log.err
#SBATCH --cpus-per-task=4
#SBATCH --requeue

export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --cpu-bind=none --kill-on-bad-exit=1 --output=/shared/runs/lab43/now-slurm/slurm/%j_%t_log.out \
--error=/shared/runs/lab43/now-slurm/slurm/%j_%t_log.err {PYTHON} -u -m submitit.core._submit /shared/runs/lab43/now-slurm/slurm
"""


def test_the_whole_script() -> None:
    assert script(SPEC) == WHOLE


def test_the_last_command_decides_on_the_jobs_exit_code() -> None:
    """A line behind srun, such as a teardown, would hide its status."""
    assert script(SPEC).rstrip().splitlines()[-1].startswith("srun ")


@pytest.mark.parametrize(
    ("wish", "line"),
    [
        ({"memory": "8G"}, "--mem=8G"),
        ({"partition": "gpu"}, "--partition=gpu"),
        ({"account": "physics"}, "--account=physics"),
        ({"qos": "high"}, "--qos=high"),
        ({"reservation": "workshop day"}, "--reservation='workshop day'"),
        ({"constraint": "a&b"}, "--constraint='a&b'"),
    ],
    ids=str,
)
def test_every_wish_becomes_a_line(wish: dict[str, str], line: str) -> None:
    asked = script(dataclasses.replace(SPEC, request=dataclasses.replace(SPEC.request, **wish)))
    assert f"#SBATCH {line}\n" in asked
    assert f"#SBATCH {line}\n" not in script(SPEC)


@pytest.mark.parametrize(("gpus", "lines"), [("0", 0), ("auto", 0), ("2", 1)])
def test_gpus_are_asked_for_by_node(gpus: str, lines: int) -> None:
    assert script(dataclasses.replace(SPEC, gpus=gpus)).count("--gpus-per-node=2\n") == lines


def test_a_folder_with_a_space_is_quoted() -> None:
    folder = Path("/shared/two words")
    assert "'/shared/two words/slurm'" in script(dataclasses.replace(SPEC, folder=folder)).splitlines()[-1]


def test_a_nodes_task_starts_the_node_starter() -> None:
    command = NodeTask(SPEC).command("1", "node1", "20012")
    assert command[:3] == [sys.executable, "-m", "labs.launch.node"]
    assert " ".join(command[3:13]) == "--nodes 2 --node 1 --procs 4 --master node1 --port 20012"
    assert command[command.index("--") + 1] == SPEC.module


def test_jobs_on_one_node_get_ports_of_their_own() -> None:
    ports = {int(port_of(str(number))) for number in range(1, 2001)}
    assert len(ports) == 2000
    assert min(ports) >= 20000
    assert max(ports) < 32768, "above, Linux gives ports out by itself"
