"""The right place for a run, or none: what is refused on a login node, and inside another job."""

from scripts.slurm_cluster import daemons
from scripts.slurm_cluster.cluster import Cluster
from tests.cluster.desk import Desk

RUN = ".venv/bin/labs run"


def test_without_a_controller_nothing_runs_on_the_login_node(ada: Desk, cluster: Cluster) -> None:
    before = ada.runs(1)
    daemons.stop(cluster.controller, "slurmctld")
    try:
        ended = ada.labs("run", "1", "--smoke", limit_s=60)
    finally:
        daemons.slurmctld(cluster.controller)
    assert ended.status == 2, ended
    assert "no controller answers" in ended.err
    assert "LAUNCHER=local" in ended.err
    assert ada.runs(1) == before


def test_with_a_wrong_slurm_conf_nothing_runs_on_the_login_node(ada: Desk) -> None:
    before = ada.runs(1)
    ended = ada.labs("run", "1", "--smoke", SLURM_CONF="/etc/slurm/nope.conf")
    assert (ended.status, "SLURM_CONF=/etc/slurm/nope.conf names no file" in ended.err) == (2, True), ended
    assert ada.runs(1) == before


def test_a_shell_of_salloc_stays_on_the_login_node_and_runs_nothing_there(ada: Desk) -> None:
    before = ada.runs(1)
    ended = ada.start("salloc", "-N2", "--mem=500M", "bash", "-c", f"{RUN} 1 --smoke").ended()
    assert ended.status == 2, ended
    assert "this shell is not on one of them (login)" in ended.err
    assert ada.runs(1) == before


def test_inside_a_job_more_than_its_node_is_refused(ada: Desk) -> None:
    command = f"{RUN} 43 --nodes 2 --smoke"
    ended = ada.start("srun", "-N1", "--mem=500M", "bash", "-c", command).ended()
    assert ended.status == 2, ended
    assert "inside job" in ended.err
    assert "add LAUNCHER=slurm" in ended.err


def test_inside_a_job_its_node_is_used(ada: Desk) -> None:
    ended = ada.start("srun", "-N1", "--mem=1G", "bash", "-c", f"{RUN} 1 --smoke --dry-run").ended()
    assert ended.status == 0, ended
    assert "SBATCH" not in ended.out
