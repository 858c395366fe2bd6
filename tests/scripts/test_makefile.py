"""The Makefile, in a checkout with a space in its path, around a command that prints its arguments."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Make = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def make(checkout: Path, offline: dict[str, str]) -> Make:
    """Run make where set-up is done, with stand-ins for `labs` and for set-up that say what they were given."""
    for name, body in {"labs": "printf '[%s]' \"$@\"", "python": ""}.items():
        (checkout / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
        (checkout / ".venv" / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (checkout / ".venv" / "bin" / name).chmod(0o755)
    (checkout / "scripts" / "setup.py").write_text("import os; print('set up for', os.environ['TORCH'])\n")
    (checkout / ".venv" / ".stamp").write_text("cpu 0123\n")

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(["make", *arguments], cwd=checkout, env=offline, capture_output=True, text=True)

    return run


def test_help_lists_every_target_and_every_variable(make: Make) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    taken = re.findall(r"^(?:USER_VARIABLES|WISHES) := (.+)$", makefile, re.MULTILINE)
    assert phony
    assert taken
    shown = make("help").stdout
    for target in set(phony[1].split()) - {"FORCE", "help"} | {"lab-01"}:
        assert re.search(rf"^  {target}\b", shown, re.MULTILINE), target
    for name in " ".join(taken).replace("$(WISHES)", "").split():
        assert f"{name}=" in shown, name
    assert make().stdout == shown


def test_only_what_is_set_is_passed_on(make: Make) -> None:
    assert make("lab-01").stdout == "[run][01]"
    every = make(
        "lab-7",
        "NODES=2",
        "PROCS=4",
        "GPUS=auto",
        "LAUNCHER=slurm",
        "SMOKE=1",
        "DRYRUN=1",
        "ARGS=--rows 8 --cols 9",
    )
    assert every.stdout == (
        "[run][7][--nodes][2][--procs][4][--gpus][auto][--launcher][slurm][--dry-run][--smoke][--][--rows][8][--cols][9]"
    )
    assert make("lab-01", "SMOKE=0", "DRYRUN=").stdout == "[run][01]"


def test_tools_come_where_they_are_needed_and_nowhere_else(make: Make, checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "python $@"; touch .venv/.tools\n')
    (checkout / ".venv" / ".stamp").write_text("cpu 0123\n")  # newer than the Python
    (checkout / ".venv" / "bin" / "pytest").symlink_to("/bin/true")
    assert make("lab-01").stdout == "[run][01]"
    assert make("test").stdout == "python -I scripts/setup.py tools\n"
    assert make("test").stdout == ""


def test_wishes_of_a_place_are_passed_on(make: Make) -> None:
    assert (
        make("lab-43", "TIME=30", "QOS=high", "MEMORY=8G").stdout
        == "[run][43][--time][30][--memory][8G][--qos][high]"
    )
    assert make("preflight", "NODES=2", "PARTITION=lab").stdout == "[preflight][--nodes][2][--partition][lab]"


def test_what_comes_from_the_environment_is_told_apart(
    make: Make, checkout: Path, offline: dict[str, str]
) -> None:
    (checkout / ".venv" / "bin" / "labs").write_text('#!/bin/sh\necho "[$LABS_FROM_ENVIRONMENT] $@"\n')
    # A make within a make gets every variable of the outer one, most of them empty: those are nobody's wish.
    offline |= {"TIME": "%E", "QOS": "high", "TORCH": "cpu", "PORT": "", "DETACH": ""}
    assert (
        make("lab-01", "QOS=low", "NODES=1").stdout == "[TORCH TIME] run 01 --nodes 1 --time %E --qos low\n"
    )


def test_the_command_itself_judges_what_was_typed(make: Make) -> None:
    assert make("lab-abc", "NODES=two").stdout == "[run][abc][--nodes][two]"
    assert make("lab-77", "NODES=0").stdout == "[run][77][--nodes][0]"


@pytest.mark.parametrize(
    "value",
    [
        "2; touch x",
        "$(touch x)",
        "$(shell touch x)",
        "`touch x`",
        "' ; touch x; '",
        '"; touch x; "',
        "a  b",
        "*",
    ],
)
def test_a_value_is_never_run(make: Make, checkout: Path, value: str) -> None:
    assert make("lab-01", f"NODES={value}").stdout == f"[run][01][--nodes][{value}]"
    make("lab-01", f"ARGS={value}")
    make("mutants", f"LAB={value}")
    make("setup", f"TORCH={value}")
    make("setup", f"PYTHON={value}", "-B")
    assert not (checkout / "x").exists()
    assert "touch" not in make("-n", "lab-01", f"NODES={value}").stdout


def test_a_labs_name_is_never_run(make: Make, checkout: Path) -> None:
    assert make("lab-1;touch x'").stdout == "[run][1;touch x']"
    assert not (checkout / "x").exists()


def test_arguments_are_words_not_patterns(make: Make) -> None:
    assert make("lab-01", "ARGS=* ?").stdout == "[run][01][--][*][?]"


def test_set_up_is_done_only_if_needed(make: Make, checkout: Path) -> None:
    assert "Nothing to be done" in make("setup", "TORCH=cpu").stdout
    assert make("lab-01", "TORCH=cuda").stdout == "set up for cuda\n[run][01]"
    (checkout / ".venv" / "bin" / "python").unlink()
    assert make("setup").stdout == "set up for cpu\n"


def test_a_venv_of_another_folder_is_a_reason_to_set_up(make: Make, checkout: Path, tmp_path: Path) -> None:
    stamp = checkout / ".venv" / ".stamp"
    (tmp_path / "same").symlink_to(checkout)
    for folder, done in {
        tmp_path: False,
        tmp_path / "gone": False,
        checkout: True,
        tmp_path / "same": True,
    }.items():
        stamp.write_text(f"cpu 0123\n{folder}\n")
        assert ("Nothing to be done" in make("setup").stdout) is done, folder


def test_a_missing_python_is_one_sentence(make: Make, checkout: Path) -> None:
    (checkout / ".venv" / ".stamp").unlink()
    done = make("setup", "PYTHON=/no/python")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        "set-up: there is no /no/python here: install Python 3.11 or newer, or name one with PYTHON=."
    )


def test_distclean_leaves_a_learners_work(make: Make, checkout: Path) -> None:
    for folder in ("runs", "work", ".mypy_cache", "labs/__pycache__"):
        (checkout / folder).mkdir()
    assert make("distclean").returncode == 0
    left = {entry.name for entry in checkout.iterdir()}
    assert {"runs", "work", "labs"} <= left
    assert not left & {".venv", ".mypy_cache"}
    assert not (checkout / "labs" / "__pycache__").exists()
