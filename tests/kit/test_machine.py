"""What is said about the machine."""

import subprocess
from pathlib import Path

import pytest

from labs.kit import machine


def test_hardware_and_versions_are_there() -> None:
    found = machine.hardware()
    assert found["cores"] >= 1
    assert found["memory_bytes"] > 2**28
    assert found["processor"]
    assert {"python", "torch"} <= set(machine.versions())


def test_revision_names_the_commit_and_says_where_files_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CHECKOUT", tmp_path)
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    file = tmp_path / "file"
    file.write_text("one")
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    clean = machine.revision()
    assert len(clean) == 12
    file.write_text("two")
    assert machine.revision() == f"{clean}-dirty"


def test_without_git_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.revision() == ""


def test_outside_a_repository_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CHECKOUT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert machine.revision() == ""
