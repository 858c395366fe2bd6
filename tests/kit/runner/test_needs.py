"""What a claim or a part may need, and whether it is there."""

from pathlib import Path

import pytest
import torch

from labs.kit.distributed.world import World
from labs.kit.runner import needs
from tests.kit.distributed.ranks import together


@pytest.mark.parametrize(
    ("need", "size", "nodes", "met"),
    [
        ("1 processes", 1, 1, True),
        ("2 processes", 1, 1, False),
        ("3 processes", 3, 1, True),
        ("3 processes", 12, 1, True),
        ("2 processes or fewer", 2, 1, True),
        ("2 processes or fewer", 3, 1, False),
        ("2 nodes", 4, 1, False),
        ("2 nodes", 4, 2, True),
    ],
)
def test_processes_and_nodes_are_counted(need: str, size: int, nodes: int, met: bool) -> None:
    assert needs.met(need, World(size=size, nodes=nodes)) is met


@pytest.mark.parametrize(
    ("package", "met"),
    [("json", True), ("torch.nn", True), ("no_such_package", False), ("no_such_package.part", False)],
)
def test_packages_are_found_without_importing_them(package: str, met: bool) -> None:
    assert needs.met(f"the package {package}", World()) is met


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


def test_a_compiler_for_processors_is_none_for_gpus(bare_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def met(gpus: int) -> bool:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        return needs.met("a C++ compiler", World())

    assert (met(gpus=0), met(gpus=1)) == (False, False)
    program(bare_path, "g++")
    assert (met(gpus=0), met(gpus=1)) == (True, False)
    program(bare_path, "cc")
    assert (met(gpus=0), met(gpus=1)) == (True, True)


def test_a_compiler_that_a_variable_names_will_do(bare_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", str(program(bare_path, "icpx")))
    assert needs.met("a C++ compiler", World())


def test_cuda_is_what_this_process_computes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for count, met in ((0, False), (1, True)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        assert needs.met("cuda", World()) is met


def test_one_process_that_lacks_it_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(needs.NEEDS, "an even rank", lambda world, _: world.rank % 2 == 0)
    assert together(2, lambda world: needs.met("an even rank", world)) == [False, False]
    assert together(1, lambda world: needs.met("an even rank", world)) == [True]


@pytest.mark.parametrize(
    "need",
    [
        "",
        "gpu",
        "CUDA",
        "3 process",
        "x processes",
        "N processes",
        "the package",
        "the package a b",
        "cuda, 2 nodes",
    ],
)
def test_a_need_that_is_not_on_the_list_is_a_mistake(need: str) -> None:
    with pytest.raises(
        ValueError, match=r"is no known need; the list in needs.py has: N processes, .*, the package NAME$"
    ):
        needs.met(need, World())
