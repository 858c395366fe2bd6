"""The commands that look before a lab is run, as real processes; tests/test_doctor.py has what the doctor looks at."""

import json
from pathlib import Path

import pytest

from tests.commands.conftest import refused
from tests.conftest import Command


def test_the_doctor_says_whether_labs_can_run_here(labs: Command) -> None:
    ended = labs("doctor", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["ready"] is True


def test_preflight_lets_two_processes_meet_and_leaves_nothing(labs: Command, labs_home: Path) -> None:
    ended = labs("preflight", "--procs", "2", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)
    assert not labs_home.exists()


def test_a_dry_run_only_prints_it(labs: Command, labs_home: Path) -> None:
    ended = labs("preflight", "--nodes", "2", "--dry-run")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("-- labs.kit.distributed.preflight") == 2
    assert not labs_home.exists()


@pytest.mark.parametrize(
    "words", [["--nodes", "0"], ["--procs", "x"], ["--gpus", "-1"], ["--launcher", "moon"]]
)
def test_what_makes_no_sense_is_refused(labs: Command, words: list[str]) -> None:
    refused(labs("preflight", *words), f"{words[0].removeprefix('--').upper()}={words[1]} is not")
