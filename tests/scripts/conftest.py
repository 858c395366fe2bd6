"""A copy of what set-up reads, in a folder with a space in its name, cut off from every network."""

import os
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLOSED = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    copy = tmp_path / "my labs"
    copy.mkdir()
    for name in ("Makefile", "versions.env", "pyproject.toml", "constraints.txt", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "scripts", copy / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "labs").mkdir()
    versions = (copy / "versions.env").read_text(encoding="utf-8")
    (copy / "versions.env").write_text(versions.replace("https://", f"{CLOSED}/"), encoding="utf-8")
    return copy


@pytest.fixture
def offline() -> dict[str, str]:
    """The environment without the variables of `make test`, and with an index that refuses."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    taken = re.findall(r"^(?:USER_VARIABLES|WISHES) := (.+)$", makefile, re.MULTILINE)
    make = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", *" ".join(taken).split()}
    ours = {
        name: value for name, value in os.environ.items() if name not in make and not name.startswith("PIP_")
    }
    return ours | {
        "PIP_INDEX_URL": f"{CLOSED}/simple",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
        "TORCH": "cpu",
    }
