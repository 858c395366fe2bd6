"""What inductor lacks on a machine is said by name."""

from pathlib import Path

import pytest
import torch

from labs.kit.topics.compiling import missing_compiler

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, with nothing in it."""
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str) -> Path:
    file = folder / name
    file.write_text("#!/bin/sh\n", encoding="utf-8")
    file.chmod(0o755)
    return file


def test_without_a_compiler_it_says_which(bare_path: Path) -> None:
    assert missing_compiler(CPU) == "no C++ compiler"
    assert missing_compiler(GPU) == "no C compiler"


def test_a_compiler_for_the_one_is_none_for_the_other(bare_path: Path) -> None:
    program(bare_path, "g++")
    assert missing_compiler(CPU) == ""
    assert missing_compiler(GPU) == "no C compiler"


def test_one_that_is_named_by_a_variable_will_do(bare_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", str(program(bare_path, "icpx")))
    assert missing_compiler(CPU) == ""
