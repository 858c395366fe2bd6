"""Compilers, headers and temporary folders as strangers have them."""

import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from labs import compiler

Compiler = Callable[[str], Path]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CC", "CXX", compiler.FOLDER):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def as_cxx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """Make these lines of a shell the compiler that CXX names."""

    def made(script: str) -> Path:
        path = tmp_path / "my-c++"
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))
        return path

    return made


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    return lambda folder: monkeypatch.setattr(tempfile, "tempdir", str(folder))


@pytest.mark.parametrize("language", [compiler.CPP, compiler.C], ids=["C++", "C"])
def test_a_compiler_that_does_it_will_do(language: compiler.Language) -> None:
    assert compiler.why_not(language) is None


def test_where_there_is_none_there_is_nothing_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler.why_not() == ""


@pytest.mark.skipif(sys.platform == "darwin", reason="there torch takes clang++")
def test_only_a_compiler_that_torch_looks_for_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("c++", "clang++", "icpx"):
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler.why_not() == ""


def test_a_name_that_is_no_program_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "ccache g++")
    assert compiler.why_not() == "CXX=ccache g++ is no program"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'a.cpp:3: error: what is this?' >&2; exit 1", "my-c++ fails: a.cpp:3: error: what is this?"),
        ("echo 'no license today' >&2; exit 7", "my-c++ fails: no license today"),
        ("exit 3", "my-c++ fails: exit status 3"),
        ("exit 0", "my-c++ fails: exit status 0"),
        ("for last; do :; done; echo no library > $last", "compiled code cannot be run from"),
        ("sleep 20", "my-c++ needs more than 0.3 s for ten lines here"),
    ],
)
def test_a_compiler_that_cannot_do_it_says_why(
    as_cxx: Compiler, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    as_cxx(script)
    if "sleep" in script:
        monkeypatch.setattr(compiler, "PATIENCE_S", 0.3)
    assert said in (compiler.why_not() or "nothing")


def test_without_pythons_headers_their_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: Callable[[Path], None]
) -> None:
    temporary(tmp_path)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "include"))
    said = compiler.why_not()
    assert (
        said
        == f"Python.h is not in {tmp_path}/include: install Python's headers (python3-dev, python3-devel)"
    )


def test_a_folder_that_lets_no_code_run_is_named_with_what_moves_it(
    disk_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: Callable[[Path], None]
) -> None:  # fmt: skip
    disk = disk_of("8m,noexec")
    temporary(disk)
    said = compiler.why_not()
    assert said is not None
    assert said.startswith(f"compiled code cannot be run from {disk} (")
    assert said.endswith("name another folder with TORCHINDUCTOR_CACHE_DIR=")
    assert not list(disk.iterdir())
    monkeypatch.setenv(compiler.FOLDER, str(tmp_path / "not" / "there yet"))
    assert compiler.why_not() is None


def test_a_folder_that_takes_no_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(compiler.FOLDER, str(tmp_path / "file"))
    assert compiler.why_not() == f"{tmp_path}/file: File exists; name another folder with {compiler.FOLDER}="
