"""What tests of commands share: a run that has ended (with those of reports), and looks at what a command left and said."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labs import catalog
from tests.report.conftest import run, run_folder

__all__ = ["run", "run_folder"]

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


def refused(ended: subprocess.CompletedProcess[str], said: str) -> None:
    assert ended.returncode == 2, ended.stdout + ended.stderr
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("launcher: ")]
    assert 1 <= len(lines) <= 3, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.fixture
def full_disk(disk_of: Callable[[str], Path]) -> Path:
    """A disk of one MiB."""
    return disk_of("1m")
