"""Our own commands, and what they start, find their modules wherever the person happens to be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labs import isolation
from scripts.environment.command import write_command
from tests.conftest import ROOT

# Of the standard library and of other packages: what a person's own files may be called.
TAKEN = (
    "random",
    "typing_extensions",
    "types",
    "tokenize",
    "signal",
    "pydantic",
    "submitit",
    "torch",
    "labs",
    "scripts",
)
STRANGE = {"PYTHONHOME": "/nowhere", "PYTHONOPTIMIZE": "2", "PYTHONINSPECT": "1", "PYTHONWARNINGS": "error"}


@pytest.fixture
def astray(tmp_path: Path) -> Path:
    """A folder whose files have the names of modules, and end whoever imports them."""
    folder = tmp_path / "a person's folder"
    folder.mkdir()
    for name in TAKEN:
        (folder / f"{name}.py").write_text("raise SystemExit('a module of the person was imported')\n")
    return folder


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A .venv beside this checkout's labs, with this Python and the command that set-up writes."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "labs").symlink_to(ROOT / "labs")
    bin_ = checkout / ".venv" / "bin"
    bin_.mkdir(parents=True)
    # A link to a virtual environment's Python would be the Python of the system: pyvenv.cfg stands beside the first link.
    (bin_ / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (bin_ / "python").chmod(0o755)
    write_command(bin_.parent)
    return bin_.parent


def ended(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_command_heeds_neither_where_it_is_called_nor_pythons_variables(astray: Path, venv: Path) -> None:
    for place in (astray, ROOT):
        done = ended(place, str(venv / "bin" / "labs"), "list", PYTHONPATH=str(astray), **STRANGE)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Storage vs. view" in done.stdout


def test_the_command_is_found_by_links_and_by_the_path(astray: Path, venv: Path, tmp_path: Path) -> None:
    (tmp_path / "near").symlink_to("checkout/.venv/bin/labs")
    (tmp_path / "far").symlink_to(tmp_path / "near")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    for command in ("./near", "./far", "near", "../" + tmp_path.name + "/far"):
        assert ended(tmp_path, command, "--help", PATH=path).stdout.startswith("Usage: labs "), command


def test_all_processes_of_a_run_are_the_labs_own(astray: Path, venv: Path) -> None:
    """Two starters, their ranks, the keeper: none of them sees the folder, nor the variables."""
    words = ("preflight", "--nodes", "2", "--launcher", "local")
    done = ended(astray, str(venv / "bin" / "labs"), *words, PYTHONPATH=str(astray), **STRANGE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("ready\n")


@pytest.mark.parametrize("module", ["labs", "labs.launch.node"])
def test_a_module_that_is_started_by_hand_drops_what_is_strange(astray: Path, module: str) -> None:
    done = ended(
        ROOT, sys.executable, "-m", module, "--help", PYTHONPATH=str(astray / "..") + os.pathsep + "/nowhere"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_labs_that_run_are_those_that_they_start(tmp_path: Path) -> None:
    """Another checkout's Python may have other labs installed: those beside the command go on."""
    rest = ["/lib/python399.zip", "/lib/python3.99", str(ROOT / "scripts")]
    assert isolation._own_path(["/here", "/there", *rest]) == ([*rest, isolation.OWN], False)
    assert isolation._own_path(["/here", *rest, isolation.OWN]) == ([*rest, isolation.OWN], True)
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs" / "__init__.py").touch()
    others = [*rest, str(tmp_path), isolation.OWN]
    assert isolation._own_path(["/here", *others])[0] == [*rest, isolation.OWN, str(tmp_path), isolation.OWN]
    assert isolation._own_path(["no archive"])[0] == ["no archive", isolation.OWN]


def test_what_is_set_aside_is_named_to_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in (*isolation.STRANGE, isolation.SAID, "PYTHONSAFEPATH"):
        monkeypatch.delenv(name, raising=False)
    assert isolation.set_aside() is None
    monkeypatch.setenv("PYTHONPATH", "/old modules")
    monkeypatch.setenv("PYTHONHOME", "/old")
    isolation.isolate()
    said = f"PYTHONPATH=/old modules, PYTHONHOME=/old: not heeded, modules come from {sys.prefix} alone"
    assert isolation.set_aside() == said
    assert {"PYTHONPATH", "PYTHONHOME"} & os.environ.keys() in (set(), {"PYTHONPATH"})
    isolation.isolate()  # once more, in a process that was started from here
    assert isolation.set_aside() == said


def test_what_is_harmless_is_heeded_all_the_same(venv: Path, tmp_path: Path) -> None:
    show = (
        "import sys; from labs import isolation; isolation._heed_harmless();"
        "print(sys.dont_write_bytecode, sys.pycache_prefix, sys.stdout.encoding, sys.stderr.errors)"
    )
    heeded = {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPYCACHEPREFIX": str(tmp_path),
        "PYTHONIOENCODING": "latin-1:replace",
    }
    done = ended(ROOT, sys.executable, "-I", "-c", show, **heeded)
    assert done.stdout == f"True {tmp_path} latin-1 replace\n", done.stderr
    assert ended(ROOT, sys.executable, "-I", "-c", show, PYTHONUTF8="1").stdout.split()[2:] == [
        "utf-8",
        "backslashreplace",
    ]
    assert ended(ROOT, sys.executable, "-I", "-c", show, PYTHONIOENCODING="none such").returncode == 0
