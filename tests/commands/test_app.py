"""What holds for every verb of the `labs` command, as real processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import jsonschema
import psutil
import pytest
import typer

from labs import home, record
from labs.commands import app
from tests.commands.conftest import LAB01, PLANNED, SCHEMA, SCRIPT, files_in, refused
from tests.conftest import ROOT, Command

MANY_DIGITS = "9" * 5000
BAD: dict[str, tuple[list[str], str]] = {
    "no such lab": (["run", "51"], "labs are numbered 1 to 50"),
    "lab zero": (["run", "0"], "labs are numbered"),
    "no number": (["run", "x"], "there is no lab 'x'"),
    "a float": (["show", "1.5"], "there is no lab '1.5'"),
    "planned": (["run", str(PLANNED)], "is planned and not written yet"),
    "planned exercise": (["exercise", str(PLANNED)], "is planned and not written yet"),
    "no lab": (["run"], "N"),
    "no nodes": (["run", "1", "--nodes", "0"], "NODES=0 is not possible"),
    "nodes in words": (["run", "1", "--nodes", "two"], "NODES=two is not possible"),
    "negative nodes": (["run", "1", "--nodes=-1"], "NODES=-1 is not possible"),
    "very many nodes": (["run", "1", "--nodes", MANY_DIGITS], "NODES="),
    "no processes": (["run", "1", "--procs", "0"], "PROCS=0 is not possible"),
    "nodes for a lab of one process": (
        ["run", "1", "--nodes", "2"],
        "lab 01 runs in one process, and NODES=2 PROCS=1",
    ),
    "more processes than the machine could bear": (
        ["run", "43", "--procs", "99999"],
        "asks for 99999 processes on one machine",
    ),
    "launcher": (["run", "1", "--launcher", "nope"], "choose from: local"),
    "gpus": (["run", "1", "--gpus", "many"], "GPUS=many is not possible"),
    "option": (["list", "--colour"], "--colour"),
    "command": (["fly"], "fly"),
    "language": (["list", "--lang", "de"], "choose from: en, pl"),
    "lab flag": (["run", "1", "--rowz=3"], "valid flags, with their defaults: --smoke --rows="),
    "lab flag value": (["run", "1", "--rows=many"], "valid flags, with their defaults: --smoke --rows="),
    "lab flag as a word": (["run", "1", "3"], "valid flags, with their defaults: --smoke --rows="),
    "exercise": (["hint", "1.9"], "lab 01 has: 1.1"),
    "solution": (["solution", "1.x"], "lab 01 has: 1.1"),
    "nothing to check": (["check", "1"], "make it with: labs exercise 1"),
    "mutants": (["mutants", "77"], "labs are numbered 1 to 50"),
}


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["show", "1"],
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["run", "1", "--dry-run"],
        ["exercise", "1"],
        ["hint", "1"],
        ["solution", "1"],
        ["reset", "1"],
    ],
    ids=" ".join,
)
def test_torch_is_not_imported_for(words: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "labs", *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in ended.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "typer" in imported
    assert imported & {"torch", "numpy", "sklearn", "matplotlib"} == set()


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_three_lines_and_leaves_nothing(
    labs: Command, labs_home: Path, case: str
) -> None:
    words, said = BAD[case]
    refused(labs(*words), said)
    assert not labs_home.exists() or files_in(labs_home) == {}
    assert not list(labs_home.glob("*/*/*"))


@pytest.mark.parametrize(
    "words",
    [["run", "1", "--smoke"], ["exercise", "1"], ["hint", "1"], ["solution", "1"], ["reset", "1"]],
    ids=" ".join,
)
def test_a_file_in_the_place_of_labs_home_is_refused(labs: Command, tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "file"
    file.write_text("I am no folder")
    refused(labs(*words, LABS_HOME=str(file)), str(file))
    assert file.read_text() == "I am no folder"


def test_a_home_of_nobody_is_refused(labs: Command) -> None:
    refused(labs("exercise", "1", LABS_HOME="~no_such_person_here/labs"), "no_such_person_here")


@pytest.mark.parametrize("words", [["run", "1", "--smoke"], ["exercise", "1"], ["hint", "1"]], ids=" ".join)
def test_a_full_disk_is_refused(labs: Command, full_disk: Path, words: list[str]) -> None:
    refused(labs(*words, LABS_HOME=str(full_disk)), "MiB are free")
    assert files_in(full_disk) == {}


class Way(NamedTuple):
    """One way to start a lab."""

    name: str
    command: list[str]


LONG = ["--layouts", "40000"]  # a run that on no machine is over before the last of the moments below
WAYS = [
    Way("labs", [str(SCRIPT), "run", "1", *LONG]),
    Way("python -m labs", [sys.executable, "-m", "labs", "run", "1", *LONG]),
    Way("python -m lab01", [sys.executable, "-m", LAB01, *LONG]),
]


@pytest.mark.parametrize("after_s", [0.15, 0.3, 0.5, 1.5, 3.5])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_ctrl_c_ends_it_at_any_moment_without_a_traceback(way: Way, after_s: float, labs_home: Path) -> None:
    with subprocess.Popen(
        way.command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=ROOT,
    ) as process:
        work(process, after_s)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), said  # a shell calls both 130
    assert "Traceback" not in said
    for path in labs_home.glob("runs/*/*/run.json"):
        notes = record.load(path.parent)
        jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), SCHEMA)
        assert notes.status == "interrupted"


def work(process: subprocess.Popen[str], seconds: float) -> None:
    """Let a process work for so long: on a busy machine the clock says nothing of how far it has come."""
    seen = psutil.Process(process.pid)
    while sum(seen.cpu_times()[:2]) < seconds and process.poll() is None:
        time.sleep(0.01)


@pytest.mark.parametrize("words", [[], ["run"], ["report"], ["doctor"], ["new"], ["logs"]], ids=" ".join)
def test_help_comes_for_both_of_its_flags(labs: Command, words: list[str]) -> None:
    short, long = labs(*words, "-h"), labs(*words, "--help")
    assert (short.returncode, short.stderr) == (0, "")
    assert short.stdout == long.stdout
    assert re.match(rf"Usage: .*{' '.join(words)}", short.stdout)


def test_in_another_checkout_it_is_said_whose_labs_these_are(labs: Command, tmp_path: Path) -> None:
    (tmp_path / "labs").mkdir()
    for name in home.OF_A_CHECKOUT:
        (tmp_path / name).touch()
    ended = subprocess.run([SCRIPT, "list"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (
        ended.stderr == f"these are the labs of {ROOT}, not of {tmp_path}, where you are: see labs doctor\n"
    )
    assert labs("list").stderr == ""


def test_versions_are_said(labs: Command) -> None:
    said = labs("--version").stdout
    versions = metadata.version("pytorch-deep-dive-labs"), metadata.version("torch")
    assert said == f"labs {versions[0]}, torch {versions[1]}, revision {home.revision() or 'unknown'}\n"


def test_on_a_login_node_without_torch_the_version_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        app, "_version", lambda package, known=app._version: known(package.replace("torch", "no-torch"))
    )
    with pytest.raises(typer.Exit):
        app._show_version(True)
    assert ", torch not installed, revision " in capsys.readouterr().out
