"""Slurm's own variables: which hold, which give way, and what sbatch gets to see."""

import os

import pytest

from labs.launch import Request
from labs.launch.slurm import defaults


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("SBATCH_", "SLURM_"))]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("wish", defaults.WISHES)
def test_a_default_holds_where_nobody_says_otherwise(wish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(defaults.WISHES[wish], "7")
    assert getattr(defaults.filled(Request()), wish) == "7"
    assert defaults.gives_way(Request()) == []


def test_a_default_that_gives_way_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBATCH_QOS", "low")
    assert defaults.filled(Request(qos="high")).qos == "high"
    assert defaults.gives_way(Request(qos="high")) == ["SBATCH_QOS=low gives way to QOS=high"]
    assert defaults.gives_way(Request(qos="low")) == []


def test_a_time_limit_is_read_as_slurm_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBATCH_TIMELIMIT", "1-00:30:00")
    assert defaults.filled(Request()).time == "1470"


def test_what_a_labs_job_decides_itself_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBATCH_EXPORT", "NONE")
    assert defaults.gives_way(Request()) == [
        "SBATCH_EXPORT=NONE is not heeded: a lab's job decides that by itself"
    ]


def test_sbatch_sees_what_it_is_to_heed_and_nothing_of_an_outer_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_CONF", "SBATCH_WCKEY", "SBATCH_QOS", "SBATCH_EXPORT", "SLURM_JOB_ID", "SLURM_NNODES"):
        monkeypatch.setenv(name, "x")
    with defaults.passed_on():
        seen = {name for name in os.environ if name.startswith(("SBATCH_", "SLURM_"))}
    assert seen == {"SLURM_CONF", "SBATCH_WCKEY"}
    assert os.environ["SLURM_JOB_ID"] == "x"
