"""What is to be run, and the words in which it is asked for."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labs import launch
from labs.errors import UsageError
from labs.launch import Request, RunSpec, gpu_count, noted_job, one_of, whole_number
from labs.launch.spec import note_job

FOLDER = Path("/runs/lab01/now-local")
KEPT = ["--launcher", "local", "--folder", "/runs/lab01/now-local"]


@pytest.mark.parametrize(
    ("more", "arguments"),
    [
        ({}, KEPT),
        ({"smoke": True}, ["--smoke", *KEPT]),
        ({"attempt": Path("/elsewhere/lab01.py")}, ["--attempt", "/elsewhere/lab01.py", *KEPT]),
        ({"flags": ("--rows=3", "--loud")}, [*KEPT, "--rows=3", "--loud"]),
        ({"gpus": "0"}, KEPT),
    ],
    ids=str,
)
def test_a_spec_becomes_the_command_line_of_the_labs_file(more: dict[str, Any], arguments: list[str]) -> None:
    assert RunSpec(1, "labs.m1.lab01", "local", FOLDER, **more).arguments == arguments


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("2", 2), ("007", 7), ("100", 100)])
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert whole_number("NODES", text) == number


@pytest.mark.parametrize("text", ["0", "-1", "two", "", " ", "1.5", "1e3", "2 ", "²", "0x2", "9" * 5000])
def test_another_number_is_refused_by_the_variables_name(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"NODES=.* is not possible; give a whole number from 1 up, such as NODES=2"
    ):
        whole_number("NODES", text)


@pytest.mark.parametrize("text", ["auto", "0", "1", "8"])
def test_gpus_are_a_number_or_auto(text: str) -> None:
    assert gpu_count(text) == text


@pytest.mark.parametrize("text", ["", "many", "-1", "AUTO", "1.0"])
def test_other_gpus_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"GPUS=.* is not possible; give auto or a whole number from 0 up"):
        gpu_count(text)


def test_one_of_several_words_is_chosen() -> None:
    assert one_of("LAUNCHER", "local", ["local", "docker"]) == "local"
    with pytest.raises(UsageError, match="LAUNCHER=nope is not there; choose from: local, docker"):
        one_of("LAUNCHER", "nope", ["local", "docker"])


def test_a_wish_that_a_launcher_does_not_know_is_refused_by_its_name() -> None:
    with pytest.raises(
        UsageError, match=r"QOS=high means nothing to LAUNCHER=docker, which takes: IMAGE=, SHM="
    ):
        Request(image="x", qos="high").check("docker", frozenset({"shm", "image"}))
    Request(image="x").check("docker", frozenset({"shm", "image"}))


def test_one_that_was_not_typed_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_FROM_ENVIRONMENT", "TORCH TIME")
    Request(time="%E").check("local", frozenset())
    with pytest.raises(UsageError, match="QOS=high means nothing"):
        Request(time="%E", qos="high").check("local", frozenset())


def test_every_launcher_takes_wishes_that_exist() -> None:
    for launcher in launch.LAUNCHERS.values():
        assert launcher.takes <= {wish.name for wish in dataclasses.fields(Request)}


def test_every_launcher_is_found_by_its_name() -> None:
    for name, launcher in launch.LAUNCHERS.items():
        assert launch.choose(name) is launcher
        assert launcher.name == name
        assert launcher.why()


def test_neither_torch_nor_the_kit_is_imported() -> None:
    program = "import sys, labs.launch; print(*sorted({'torch', 'numpy', 'rich', 'labs.kit', 'labs.m1_tensors'} & sys.modules.keys()))"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.strip() == ""


@pytest.mark.parametrize(
    ("id_", "known"), [("7", "7"), ("labs-0123abcd", "labs-0123abcd"), ("7; rm -rf /", ""), ("--all", "")]
)
def test_an_id_that_no_launcher_gives_is_none(tmp_path: Path, id_: str, known: str) -> None:
    assert noted_job(tmp_path) == {}
    note_job(RunSpec(1, "m", "slurm", tmp_path), id_)
    assert (noted_job(tmp_path)["id"], noted_job(tmp_path)["launcher"]) == (known, "slurm")
