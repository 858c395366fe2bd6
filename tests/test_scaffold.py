"""`labs new` in a copy of the package: the skeleton runs, its claims can fail, and a refusal leaves nothing behind."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from labs import catalog, scaffold
from labs.errors import UsageError

ROOT = Path(__file__).parents[1]
EXTRA = ("--title", "Odd Things", "--title-pl", "Dziwne rzeczy", "--module", "m7_bonus")


class Labs(Protocol):
    def __call__(self, *words: str) -> "subprocess.CompletedProcess[str]": ...


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy with lab 1 alone and the others planned."""
    copy = tmp_path / "copy"
    written = shutil.ignore_patterns("__pycache__", "m[2-7]_*", "lab0[2-9]*", "_lab0[2-9]*")
    shutil.copytree(ROOT / "labs", copy / "labs", ignore=written)
    shutil.copy(ROOT / "Makefile", copy)
    rows = [
        f"{n},m{1 if n < 8 else 2}_tensors,{n:02d}_Some_Thing_{n},Some thing {n},Jakaś rzecz {n},cpu gpu"
        for n in (2, 3, 4)
    ]
    row_of_another_folder = (
        "10,m2_autograd,10_Custom_Autograd_Function,Custom autograd Function,Własna funkcja autogradu,dist"
    )
    header = "number,module,notebook,title_en,title_pl,where"
    (copy / "labs" / "planned.csv").chmod(0o644)
    (copy / "labs" / "planned.csv").write_text(
        "\n".join([header, *rows, row_of_another_folder, ""]), encoding="utf-8"
    )
    return copy


@pytest.fixture
def labs(checkout: Path, labs_home: Path) -> Labs:
    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        environ = os.environ | {"PYTHONPATH": str(checkout), "LABS_HOME": str(labs_home)}
        command = [sys.executable, "-m", "labs", *words]
        return subprocess.run(command, env=environ, cwd=checkout, capture_output=True, text=True, timeout=120)

    return run


def files_of(checkout: Path) -> dict[str, str]:
    kept = (path for path in checkout.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(checkout)): path.read_text(encoding="utf-8") for path in kept}


def run(checkout: Path, *command: str) -> None:
    environ = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=checkout,
        env=environ,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_planned_lab_becomes_one_that_runs(labs: Labs, checkout: Path) -> None:
    before = files_of(checkout)
    done = labs("new", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("made")] == [
        "labs/m1_tensors/lab02_some_thing_2.py",
        "labs/m1_tensors/_lab02_mutants.py",
        "tests/m1_tensors/test_lab02_some_thing_2.py",
    ]
    row = next(line for line in before["labs/planned.csv"].splitlines(keepends=True) if line.startswith("2,"))
    assert files_of(checkout)["labs/planned.csv"] == before["labs/planned.csv"].replace(row, "")
    assert "  02  Some thing 2 " in labs("list").stdout
    assert "not run yet" in next(line for line in labs("list").stdout.splitlines() if line.startswith("  02"))
    shown = labs("show", "2", "--lang", "pl").stdout
    assert "Jakaś rzecz 2" in shown
    assert "1 process, a GPU for some of the claims" in shown

    smoke = labs("run", "2", "--smoke")
    assert (smoke.returncode, "8 held" in smoke.stdout) == (0, True), smoke.stdout + smoke.stderr
    full = labs("run", "2")
    assert (full.returncode, "8 held" in full.stdout) == (0, True)
    mutants = labs("mutants", "2")
    assert (mutants.returncode, mutants.stdout.splitlines()[-1]) == (0, "8 of 8 claims can fail"), (
        mutants.stdout + mutants.stderr
    )


def test_the_new_files_are_clean_and_keep_the_contract(labs: Labs, checkout: Path) -> None:
    assert labs("new", "3").returncode == 0
    shutil.copytree(ROOT / "tests" / "contract", checkout / "tests" / "contract")
    others = ("tests/conftest.py", "tests/solutions.py", "scripts/__init__.py", "scripts/measure.py")
    for name in ("pyproject.toml", *others):
        (checkout / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    made = [
        "labs/m1_tensors/lab03_some_thing_3.py",
        "labs/m1_tensors/_lab03_mutants.py",
        "tests/m1_tensors/test_lab03_some_thing_3.py",
    ]
    run(checkout, "ruff", "check", *made)
    run(checkout, "ruff", "format", "--check", *made)
    run(checkout, "pytest", "-p", "no:cacheprovider", "-k", "lab03", "tests")


def test_the_learner_can_work_on_it(labs: Labs, labs_home: Path) -> None:
    labs("new", "3")
    assert labs("exercise", "3").returncode == 0
    work = labs_home / "work" / "lab03.py"
    assert re.search(r"3\.1 row_sums +not written yet", labs("check", "3", "--smoke").stdout)
    stub = work.read_text(encoding="utf-8")
    for body, status in (
        ("return x_MN.flip(0).sum(1)", 1),
        ("return x_MN.sum(0)", 1),
        ("return x_MN.sum(1)", 0),
    ):
        work.write_text(re.sub(r"raise NotImplementedError\(.exercise 3\.1.\)", body, stub), encoding="utf-8")
        assert labs("check", "3", "--smoke").returncode == status, body


def test_a_new_folder_becomes_a_package(labs: Labs, checkout: Path) -> None:
    assert labs("new", "10").returncode == 0
    assert (checkout / "labs" / "m2_autograd" / "__init__.py").read_text() == ""
    assert "2 processes or more, no GPU" in labs("show", "10").stdout
    assert labs("run", "10", "--smoke").returncode == 0


def test_a_number_that_is_not_planned(labs: Labs, checkout: Path) -> None:
    planned = (checkout / "labs" / "planned.csv").read_text(encoding="utf-8")
    assert labs("new", "lab-51", *EXTRA).returncode == 0
    assert (
        (checkout / "labs" / "m7_bonus" / "lab51_odd_things.py")
        .read_text(encoding="utf-8")
        .startswith('"""Lab 51 · Odd Things · Dziwne rzeczy\n')
    )
    assert (checkout / "labs" / "planned.csv").read_text(encoding="utf-8") == planned
    assert labs("run", "51", "--smoke").returncode == 0
    assert "m7_bonus · Experiments and curiosities\n  51  Odd Things" in labs("list").stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("1",), "lab 01, Storage vs. view, is already there: "),
        (("0",), "'0' is no number for a lab; give a whole number from 1 to 99, such as 51"),
        (("100",), "'100' is no number for a lab"),
        (("x",), "'x' is no number for a lab"),
        (("51",), "lab 51 is not among the planned ones, so give also --title, --title-pl, --module"),
        (("51", "--title", "T", "--module", "m7_bonus"), "so give also --title-pl"),
        (
            ("51", *EXTRA[:-1], "m9_more"),
            "--module=m9_more is not there; choose from: m1_tensors, m2_autograd, ",
        ),
        (("51", *EXTRA[:-1], "../../tmp"), "--module=../../tmp is not there; choose from: "),
        (("2", *EXTRA), "lab 02 is planned: Some thing 2, in m1_tensors\nleave titles and module out"),
        (("51", "--title", 'A "B"', *EXTRA[2:]), '--title=A "B" makes no good header'),
        (("51", "--title", "123", *EXTRA[2:]), "--title=123 makes no good header"),
        (("51", "--title", "A · B", *EXTRA[2:]), "--title=A · B makes no good header"),
    ],
)
def test_refusals(labs: Labs, checkout: Path, words: tuple[str, ...], sentence: str) -> None:
    before = files_of(checkout)
    done = labs("new", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert files_of(checkout) == before


def test_a_file_that_is_there_is_not_overwritten(labs: Labs, checkout: Path) -> None:
    mine = checkout / "tests" / "m1_tensors" / "test_lab02_some_thing_2.py"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    before = files_of(checkout)
    done = labs("new", "2")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"cannot write {mine}: File exists\nnothing was made\n"
    assert files_of(checkout) == before


def test_a_write_that_fails_undoes_those_before_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full_disk(path: Path, text: str) -> None:
        raise UsageError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(scaffold, "write_whole", full_disk)
    monkeypatch.setattr(catalog, "PLANNED", tmp_path / "planned.csv")
    with pytest.raises(UsageError, match="No space left"):
        scaffold._write({tmp_path / "a" / "x.py": "x", tmp_path / "b" / "c" / "y.py": "y"}, "number\n")
    assert not [path for path in tmp_path.iterdir() if path.name in "ab"]


def test_only_in_a_checkout(labs: Labs, checkout: Path) -> None:
    (checkout / "Makefile").unlink()
    done = labs("new", "2")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        f"{checkout} is no checkout of the labs, and only there a new lab makes sense",
    )


def test_needs_are_known_for_every_planned_lab() -> None:
    assert {entry.needs for entry in catalog.read_planned()} <= set(scaffold.NEEDS)
