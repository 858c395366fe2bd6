"""The `labs` command, as real processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jsonschema
import pytest

from labs import catalog, record
from tests.conftest import ROOT, Command

LAB01 = "labs.m1_tensors.lab01_storage_vs_view"
PLANNED = (
    next(number for number, entry in catalog.all_labs().items() if not entry.ready)
    if len(catalog.all_labs()) > 2
    else 0
)
SCHEMA = json.loads((catalog.PACKAGE / "run.schema.json").read_text(encoding="utf-8"))
SCRIPT = Path(sys.executable).with_name("labs")


def files_in(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text("utf-8", "replace")
        for path in folder.rglob("*")
        if path.is_file()
    }


def only_run_of(home: Path, number: int) -> Path:
    (folder,) = (home / "runs" / f"lab{number:02d}").iterdir()
    return folder


# What a person types -------------------------------------------------------------------------------------------------


def test_list_has_all_labs_and_how_their_last_run_ended(labs: Command, labs_home: Path) -> None:
    ended = labs("list")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.findall(r"^  (\d\d)  ", ended.stdout, re.MULTILINE) == [
        f"{number:02d}" for number in range(1, 51)
    ]
    assert re.search(r"^  01  Storage vs. view +not run yet$", ended.stdout, re.MULTILINE)
    folder = labs_home / "runs" / "lab01" / "2030-01-01T00-00-00-local"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"status": "held"}')
    assert re.search(r"^  01  Storage vs. view +held$", labs("list").stdout, re.MULTILINE)


@pytest.mark.parametrize("content", ["", "[]"])
def test_list_survives_a_broken_record(labs: Command, labs_home: Path, content: str) -> None:
    folder = labs_home / "runs" / "lab01" / "2030-01-01T00-00-00-local"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(content)
    ended = labs("list")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_titles_come_in_polish_too(labs: Command) -> None:
    assert "Magazyn danych a widok" in labs("list", "--lang", "pl").stdout
    assert "Magazyn danych a widok" in labs("show", "1", "--lang", "pl").stdout


def test_show_has_the_whole_header_and_the_exercises(labs: Command) -> None:
    shown = labs("show", "01").stdout
    entry = catalog.find("1")
    for name, text in entry.sections.items():
        assert f"\n{name}\n" in shown
        assert all(line.strip() in shown for line in text.splitlines())
    assert "1.1 read_by_address" in shown


@pytest.mark.skipif(not PLANNED, reason="every lab is written")
def test_show_says_of_a_planned_lab_that_it_is_planned(labs: Command) -> None:
    ended = labs("show", str(PLANNED))
    assert ended.returncode == 0
    assert "planned, not written yet" in ended.stdout


def test_a_dry_run_prints_what_would_run_and_makes_nothing(labs: Command, labs_home: Path) -> None:
    ended = labs("run", "1", "--smoke", "--dry-run", "--rows", "32", "--gpus", "0")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("\n") == 1
    for words in (
        "CUDA_VISIBLE_DEVICES= ",
        f"-m {LAB01} --smoke",
        "--launcher local",
        "--rows 32",
        str(labs_home),
    ):
        assert words in ended.stdout
    assert not labs_home.exists()


def test_what_a_dry_run_prints_can_be_run(labs: Command, tiny_checkout: Path, labs_home: Path) -> None:
    line = labs("run", "99", "--smoke", "--dry-run", cwd=tiny_checkout).stdout
    ended = subprocess.run(
        line, shell=True, cwd=tiny_checkout, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert record.load(only_run_of(labs_home, 99)).status == "held"


def test_run_keeps_a_valid_record_and_a_log(labs: Command, tiny_checkout: Path, labs_home: Path) -> None:
    ended = labs("run", "99", "--smoke", "--count=5", "--loud", cwd=tiny_checkout)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == "launcher: local (no cluster was asked for, and no Slurm answers here)\n"
    folder = only_run_of(labs_home, 99)
    found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, SCHEMA)
    assert (found["status"], found["launcher"], found["config"]["count"]) == ("held", "local", 5)
    assert (folder / "figures" / "twice-as-much.svg").exists()
    assert "99.doubled" in (folder / "log.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("mood", "status", "recorded"), [("well", 0, "held"), ("wrong", 1, "failed"), ("broken", 1, "broke")]
)
def test_the_exit_status_says_how_it_ended(
    labs: Command, tiny_checkout: Path, labs_home: Path, mood: str, status: int, recorded: str
) -> None:
    ended = labs("run", "99", "--smoke", f"--mood={mood}", cwd=tiny_checkout)
    assert ended.returncode == status
    assert record.load(only_run_of(labs_home, 99)).status == recorded
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_lab_that_breaks_says_so_in_two_lines_and_keeps_its_traceback(
    tiny_checkout: Path, labs_home: Path
) -> None:
    command = [sys.executable, "-m", "labs.m7_bonus.lab99_tiny_things", "--smoke", "--mood=broken"]
    ended = subprocess.run(
        command, cwd=tiny_checkout, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) <= 3
    assert ended.stderr.startswith("lab 99 broke in step numbers: OSError: the tiny lab broke")
    assert "Traceback" not in ended.stdout + ended.stderr
    log = (only_run_of(labs_home, 99) / "log.txt").read_text(encoding="utf-8")
    assert "Traceback (most recent call last):" in log
    assert "OSError: the tiny lab broke\nas it was asked to" in log


def test_a_folder_can_be_chosen(tiny_checkout: Path, tmp_path: Path, labs_home: Path) -> None:
    chosen = tmp_path / "my run"
    command = [sys.executable, "-m", "labs.m7_bonus.lab99_tiny_things", "--smoke", "--folder", str(chosen)]
    subprocess.run(command, cwd=tiny_checkout, capture_output=True, timeout=60, check=True)
    assert record.load(chosen).status == "held"
    assert not labs_home.exists()


def test_a_reader_that_goes_away_gets_no_traceback(tiny_checkout: Path) -> None:
    command = [sys.executable, "-u", "-m", "labs.m7_bonus.lab99_tiny_things", "--smoke"]
    with subprocess.Popen(
        command, cwd=tiny_checkout, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(60) == 1
    assert "Traceback" not in said
    assert "Broken pipe" not in said


# A learner's way -----------------------------------------------------------------------------------------------------


def test_an_exercise_from_its_stub_to_its_pass(labs: Command, tiny_checkout: Path, labs_home: Path) -> None:
    work = labs_home / "work" / "lab99.py"

    assert "made" in labs("exercise", "99", cwd=tiny_checkout).stdout
    stub = work.read_text(encoding="utf-8")
    unwritten = labs("check", "99", "--smoke", cwd=tiny_checkout)
    assert unwritten.returncode == 1
    assert unwritten.stdout.count("not written yet") == 3
    assert files_in(labs_home / "runs") == {}

    hints = [labs("hint", "99.1", cwd=tiny_checkout).stdout for _ in range(4)]
    assert [text.count("hint ") for text in hints] == [1, 2, 3, 3]

    first, second = (labs("solution", "99.1", cwd=tiny_checkout) for _ in range(2))
    assert (first.returncode, second.returncode) == (1, 0)
    assert "ask again" in first.stdout
    assert "twice_N = 2 * x_N" not in first.stdout
    assert "twice_N = 2 * x_N" in second.stdout

    work.write_text(
        stub.replace('raise NotImplementedError("exercise 99.1")', "return 2 * x_N"), encoding="utf-8"
    )
    checked = labs("check", "99", "--smoke", cwd=tiny_checkout)
    assert "exercise 99.1 passed" in checked.stdout
    assert checked.returncode == 1
    assert "99.1 doubled (passed)" in labs("show", "99", cwd=tiny_checkout).stdout
    assert "exercise 99.2" in labs("hint", "99", cwd=tiny_checkout).stdout
    assert labs("solution", "99.1", cwd=tiny_checkout).returncode == 0

    mine = work.read_text(encoding="utf-8")
    assert "left as it is" in labs("exercise", "99", cwd=tiny_checkout).stdout
    assert work.read_text(encoding="utf-8") == mine
    assert "is fresh" in labs("reset", "99", cwd=tiny_checkout).stdout
    assert work.read_text(encoding="utf-8") == stub
    assert [path.read_text(encoding="utf-8") for path in work.parent.glob("lab99-*.py")] == [mine]


def test_check_passes_when_all_pass_and_fails_when_one_fails(
    labs: Command, tiny_checkout: Path, labs_home: Path
) -> None:
    work = labs_home / "work" / "lab99.py"
    work.parent.mkdir(parents=True)
    right = (
        "import torch\ndef doubled(x_N): return 2 * x_N\n"
        "def total(x_N): return x_N.sum()\ndef long_row(count): return torch.ones(count)\n"
    )
    work.write_text(right, encoding="utf-8")
    passed = labs("check", "99", cwd=tiny_checkout)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    work.write_text(right.replace("2 *", "3 *"), encoding="utf-8")
    failed = labs("check", "99", "--smoke", cwd=tiny_checkout)
    assert failed.returncode == 1
    assert "exercise 99.1 failed: claim 99.doubled" in failed.stdout
    assert "a known mistake: triples" in failed.stdout


def test_a_learner_who_leaves_early_has_not_passed(
    labs: Command, tiny_checkout: Path, labs_home: Path
) -> None:
    work = labs_home / "work" / "lab99.py"
    work.parent.mkdir(parents=True)
    work.write_text("raise SystemExit(0)\n", encoding="utf-8")
    assert labs("check", "99", "--smoke", cwd=tiny_checkout).returncode != 0


def test_the_matrix_of_the_tiny_lab_is_complete(labs: Command, tiny_checkout: Path) -> None:
    ended = labs("mutants", "99", cwd=tiny_checkout)
    assert ended.returncode == 0, ended.stderr
    assert "6 of 6 claims can fail" in ended.stdout


# Without torch -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["show", "1"],
        ["--help"],
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


# Bad input -----------------------------------------------------------------------------------------------------------

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


def refused(ended: subprocess.CompletedProcess[str], said: str) -> None:
    assert ended.returncode == 2, ended.stdout + ended.stderr
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("launcher: ")]
    assert 1 <= len(lines) <= 3, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_three_lines_and_leaves_nothing(
    labs: Command, labs_home: Path, case: str
) -> None:
    words, said = BAD[case]
    refused(labs(*words), said)
    assert not labs_home.exists() or files_in(labs_home) == {}
    assert not list(labs_home.glob("*/*/*"))


def test_a_work_file_that_cannot_be_read_is_refused(labs: Command, labs_home: Path) -> None:
    work = labs_home / "work" / "lab01.py"
    work.parent.mkdir(parents=True)
    work.write_text("def read_by_address(view:\n", encoding="utf-8")
    before = files_in(labs_home)
    refused(labs("check", "1", "--smoke"), "lab01.py, line 1: SyntaxError")
    assert files_in(labs_home) == before


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


@pytest.fixture
def full_disk(disk_of: Callable[[str], Path]) -> Path:
    """A disk of one MiB."""
    return disk_of("1m")


@pytest.mark.parametrize("words", [["run", "1", "--smoke"], ["exercise", "1"], ["hint", "1"]], ids=" ".join)
def test_a_full_disk_is_refused(labs: Command, full_disk: Path, words: list[str]) -> None:
    refused(labs(*words, LABS_HOME=str(full_disk)), "MiB are free")
    assert files_in(full_disk) == {}


def test_a_disk_that_fills_up_during_a_run_is_refused(tiny_checkout: Path, full_disk: Path) -> None:
    lab = "labs.m7_bonus.lab99_tiny_things"
    program = f"import runpy, labs.home; labs.home.MIN_FREE_BYTES = 0; runpy.run_module('{lab}', run_name='__main__', alter_sys=True)"
    (full_disk / "filler").write_bytes(b"x" * (2**20 - 3 * 4096))
    command = [sys.executable, "-c", program, "--smoke", "--loud"]
    ended = subprocess.run(
        command,
        cwd=tiny_checkout,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "LABS_HOME": str(full_disk)},
        check=False,
    )
    refused(ended, "free some space")


@pytest.mark.parametrize("content", ["{", "[]"])
@pytest.mark.parametrize("command", ["hint", "solution", "show"])
def test_a_corrupt_progress_file_is_said_in_one_sentence(
    labs: Command, labs_home: Path, command: str, content: str
) -> None:
    progress = labs_home / "work" / "progress.json"
    progress.parent.mkdir(parents=True)
    progress.write_text(content)
    ended = labs(command, "1")
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3
    assert ended.returncode in (0, 1, 2)


# Ctrl-C --------------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("after_s", [0.05, 0.3, 0.5, 1.5, 3.5])
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
        time.sleep(after_s)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    if "labs" not in said and after_s < 0.1:
        return  # the interpreter itself was still starting
    assert process.returncode in (130, -signal.SIGINT), said  # a shell calls both 130
    assert "Traceback" not in said
    for path in labs_home.glob("runs/*/*/run.json"):
        notes = record.load(path.parent)
        jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), SCHEMA)
        assert notes.status == "interrupted"


def test_ctrl_c_in_the_middle_of_a_step_is_recorded(tiny_checkout: Path, labs_home: Path) -> None:
    command = [sys.executable, "-m", "labs", "run", "99", "--mood=asleep"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=tiny_checkout,
    ) as process:
        logs: list[Path] = []
        while not logs or "Count from zero" not in logs[0].read_text(encoding="utf-8"):
            time.sleep(0.05)
            logs = list(labs_home.glob("runs/lab99/*/log.txt"))
            assert process.poll() is None
        assert record.load(logs[0].parent).status == "running"
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    notes = record.load(logs[0].parent)
    assert (notes.status, notes.error) == ("interrupted", "interrupted")
    assert [step.name for step in notes.steps] == ["numbers"]
