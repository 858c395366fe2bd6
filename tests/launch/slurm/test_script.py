"""The batch script, as a whole text, and what a node's task starts."""

import dataclasses
import shlex
import sys
from pathlib import Path

import pytest

from labs.launch import Request, RunSpec
from labs.launch.slurm.script import script
from labs.launch.slurm.task import NodeTask, meeting_of

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
export CUDA_VISIBLE_DEVICES=
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
        ({"sbatch_args": "--mail-type=END --exclude=node7"}, "--mail-type=END --exclude=node7"),
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
    command = NodeTask(SPEC).command("1", "node1", "/shared/port-12-0")
    assert command[:3] == [sys.executable, "-m", "labs.launch.node"]
    assert " ".join(command[3:13]) == "--nodes 2 --node 1 --procs 4 --master node1 --meet /shared/port-12-0"
    assert command[command.index("--") + 1] == SPEC.module


def test_each_start_of_a_job_meets_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    first = meeting_of(tmp_path, "12")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert len({first, meeting_of(tmp_path, "12"), meeting_of(tmp_path, "13")}) == 3


def test_a_percent_sign_in_a_path_is_no_code_of_slurms() -> None:
    text = script(dataclasses.replace(SPEC, folder=Path("/shared/100% mine/x")))
    assert "#SBATCH --output='/shared/100%% mine/x/slurm/%j_0_log.out'\n" in text
    assert "'--error=/shared/100%% mine/x/slurm/%j_%t_log.err'" in text
