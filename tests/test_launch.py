"""Where a run goes when nobody says where: to the cluster, to this machine, or nowhere."""

from pathlib import Path

import pytest

from labs import launch
from labs.errors import UsageError

UNCONFIGURED = "scontrol: error: fetch_config: DNS SRV lookup failed\nscontrol: fatal: Could not establish a configuration source"
OF_A_JOB = ("SLURM_JOB_ID", "SLURMD_NODENAME", "SLURM_CONF")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no Slurm on it."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin-of-nobody")
    for name in OF_A_JOB:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def install(machine: Path, ping: str, status: int = 0) -> None:
    """Put Slurm's commands there, of which scontrol says this."""
    for name in ("sbatch", "scontrol"):
        (machine / name).write_text(f"#!/bin/sh\necho '{ping}' >&{1 + bool(status)}\nexit {status}\n")
        (machine / name).chmod(0o755)


def test_without_slurm_it_runs_here() -> None:
    assert launch.choose(None).name == "local"


def test_with_a_controller_it_runs_on_the_cluster(machine: Path) -> None:
    install(machine, "Slurmctld(primary) at ctl is UP")
    assert launch.choose(None).name == "slurm"


@pytest.mark.parametrize(
    ("ping", "status"),
    [
        ("Slurmctld(primary) at ctl is DOWN", 0),
        ("slurm_load_ctl_conf error: Unable to contact slurm controller", 1),
    ],
)
def test_a_login_node_without_a_controller_runs_nothing_unasked(
    machine: Path, ping: str, status: int
) -> None:
    install(machine, ping, status)
    with pytest.raises(UsageError, match="sbatch is here, but no controller answers") as caught:
        launch.choose(None)
    assert "add LAUNCHER=local" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3
    assert launch.choose("local").name == "local"


def test_a_wrong_slurm_conf_is_named(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(machine, UNCONFIGURED, 1)
    monkeypatch.setenv("SLURM_CONF", "/nowhere/slurm.conf")
    with pytest.raises(UsageError, match=r"SLURM_CONF=/nowhere/slurm\.conf names no file"):
        launch.choose(None)


def test_a_package_that_nobody_has_set_up_is_no_cluster(machine: Path) -> None:
    install(machine, UNCONFIGURED, 1)
    assert launch.choose(None).name == "local"


def test_inside_a_job_its_node_is_used_and_no_other_one(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(machine, "Slurmctld(primary) at ctl is UP")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURMD_NODENAME", "node1")
    here = launch.choose(None)
    assert (here.name, here.why()) == ("local", "inside job 7, on its node")
    with pytest.raises(UsageError, match="NODES=2: inside job 7 a lab runs on this one node") as caught:
        launch.choose(None, nodes=2)
    assert "add LAUNCHER=slurm" in str(caught.value)


def test_a_shell_that_has_outlived_its_job_is_in_none(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of tmux, begun in a job: to say that the job holds nodes would be wrong."""
    install(machine, "Slurmctld(primary) at ctl is UP JobId=7 JobState=COMPLETED")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert launch.choose(None).name == "slurm"
    install(machine, "Slurmctld(primary) at ctl is UP JobId=7 JobState=RUNNING")
    with pytest.raises(UsageError, match="job 7 holds nodes"):
        launch.choose(None)


def test_a_shell_that_holds_nodes_and_is_on_none_of_them_runs_nothing(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(machine, "Slurmctld(primary) at ctl is UP")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(UsageError, match="job 7 holds nodes, but this shell is not on one of them") as caught:
        launch.choose(None)
    assert "srun --nodes=1 --pty bash" in str(caught.value)
    assert launch.choose("slurm").name == "slurm"
