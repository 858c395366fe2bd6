"""What other work leaves in an environment: each condition is caused, and named; and where there is none, nothing is said."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labs import home, interfaces, switches
from labs.doctor import conditions
from labs.doctor.conditions import LOOKS, all_looks, packages_elsewhere
from labs.doctor.programs import Programs
from labs.isolation import SAID
from labs.rank_variables import VARIABLES

Set = Callable[..., None]
OURS = ("SLURM_", "SBATCH_", "SLURMD_", "PIP_", "LABS_", "TORCH", "GLOO_", "NCCL_")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment that is as everywhere."""
    for name in os.environ:
        if name.startswith((*OURS, *VARIABLES)) or name in conditions.SIZES or name in ("TMPDIR", "TIME"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Set:
    def given(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return given


def test_where_all_is_plain_nothing_is_said() -> None:
    assert {name: said for name, look in LOOKS.items() if (said := look()) and name != "IPv6"} == {}


@pytest.mark.parametrize(
    ("name", "variables", "said"),
    [
        ("other launcher", {"RANK": "0", "WORLD_SIZE": "8"}, "RANK=0, WORLD_SIZE=8: of another launcher"),
        (
            "Python's own",
            {SAID: "PYTHONPATH=/old\nPYTHONHOME=/x"},
            "PYTHONPATH=/old, PYTHONHOME=/x: not heeded",
        ),
        (
            "Slurm's own",
            {"SLURM_CONF": "/my/slurm.conf"},
            "SLURM_CONF=/my/slurm.conf: set for Slurm, and followed",
        ),
        ("Slurm job", {"SLURM_JOB_ID": "7"}, "this shell holds job 7, and is not on one of its nodes"),
        (
            "Slurm job",
            {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1"},
            "this shell is inside job 7, on its node",
        ),
        (
            "in whose hands",
            {"LABS_HOME": "~no_such_person/labs"},
            "LABS_HOME=~no_such_person/labs leads nowhere",
        ),
        ("interfaces", {"GLOO_SOCKET_IFNAME": "ib0"}, "GLOO_SOCKET_IFNAME=ib0 names no network interface"),
        ("torch's switches", {switches.SAID: "TORCHDYNAMO_DISABLE=1"}, "TORCHDYNAMO_DISABLE=1 is set aside"),
        ("folders", {"TORCH_HOME": "/proc/nothing"}, "choose another place with TORCH_HOME=/some/folder"),
        ("folders", {"TMPDIR": "/proc/nothing"}, "choose another place with TMPDIR=/some/folder"),
        ("TMPDIR", {"TMPDIR": "/tmp/" + "x" * 90}, "TMPDIR has 95 characters"),
        ("exported", {"TIME": "%E", "NODES": "4"}, "NODES=4, TIME=%E: exported, so make takes it for a wish"),
        ("exported", {"TIME": "%E", "QOS": "x", "LABS_FROM_ENVIRONMENT": "TIME"}, "TIME=%E: exported"),
    ],
)
def test_a_condition_is_named(name: str, variables: dict[str, str], said: str, given: Set) -> None:
    given(**variables)
    assert said in (LOOKS[name]() or "nothing")


def test_what_make_was_told_is_not_exported(given: Set) -> None:
    given(NODES="4", LABS_FROM_ENVIRONMENT="")
    assert LOOKS["exported"]() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_home_in_somebody_elses_hands_is_named(tmp_path: Path) -> None:
    (tmp_path / "home" / "runs").mkdir(parents=True)
    os.chown(tmp_path / "home" / "runs", 65534, 65534)
    assert f"{tmp_path}/home/runs belongs to nobody" in (LOOKS["in whose hands"]() or "nothing")


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (
            {"lo": ["127.0.0.1", "::1"], "eth0": ["2001:db8::5", "fe80::1"]},
            "this host has IPv6 alone (2001:db8::5)",
        ),
        ({"lo": ["127.0.0.1"], "eth0": ["198.18.0.1", "2001:db8::5"]}, None),
        ({"lo": ["127.0.0.1", "::1"]}, None),
    ],
)
def test_a_host_without_ipv4(
    there: dict[str, list[str]], said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interfaces, "usable", lambda: there)
    found = LOOKS["IPv6"]()
    assert (found is None) == (said is None)
    assert (found or "").startswith(said or "")


def checkout(folder: Path, made_in: Path | None = None) -> Path:
    (folder / "labs").mkdir(parents=True)
    for name in home.OF_A_CHECKOUT:
        (folder / name).touch()
    (folder / ".venv").mkdir()
    (folder / ".venv" / ".stamp").write_text(f"cpu digest\n{made_in or folder}\n")
    return folder


def test_a_venv_of_another_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = checkout(tmp_path / "copy", made_in=tmp_path / "old")
    monkeypatch.setattr(home, "CHECKOUT", copy)
    monkeypatch.setattr(sys, "prefix", str(copy / ".venv"))
    monkeypatch.chdir(tmp_path)
    assert f"its .venv was made in {tmp_path}/old" in (LOOKS[".venv"]() or "nothing")
    (copy / ".venv" / ".stamp").write_text(f"cpu digest\n{copy}\n")
    assert LOOKS[".venv"]() is None
    other = checkout(tmp_path / "other")
    monkeypatch.chdir(other)
    assert (LOOKS[".venv"]() or "").startswith(f"you are in {other}, and these are the labs of {copy}")
    monkeypatch.setattr(sys, "prefix", str(other / ".venv"))
    assert LOOKS[".venv"]() == f"this Python is {other}/.venv, the labs are {copy}: say make setup there"


def test_a_terminal_that_lacks_signs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="iso-8859-2"))
    assert (LOOKS["terminal"]() or "").startswith("the locale's encoding is iso")


@pytest.mark.parametrize(
    ("variables", "configured", "said"),
    [
        ({}, "", None),
        (
            {"PIP_TARGET": "/tmp/t"},
            "",
            "PIP_TARGET=/tmp/t: would send packages elsewhere, and is set aside by make setup",
        ),
        (
            {},
            "[global]\ntarget = /tmp/t\n",
            "pip's configuration says global.target='/tmp/t': make setup cannot work",
        ),
    ],
)
def test_a_pip_that_sends_packages_elsewhere_is_named(
    variables: dict[str, str], configured: str, said: str | None, given: Set, tmp_path: Path
) -> None:
    (tmp_path / "pip.conf").write_text(configured)
    given(PIP_CONFIG_FILE=str(tmp_path / "pip.conf"), **variables)
    found = packages_elsewhere(Programs(), seconds=60)
    assert (found is None) == (said is None)
    assert (said or "") in (found or "")


def test_each_look_is_made_and_only_what_is_there_is_noted(given: Set) -> None:
    given(TIME="%E")
    looks = list(all_looks(Programs()))
    assert len(looks) == len(LOOKS) + 1
    found = [check for look in looks if (check := look())]
    assert [(check.name, check.verdict) for check in found if check.name != "IPv6"] == [("exported", "noted")]
