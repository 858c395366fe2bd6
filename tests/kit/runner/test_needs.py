"""What a claim or a part may need, and whether it is there."""

import sys
from pathlib import Path

import pytest

from labs import compiler
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
    assert needs.lacking(need, World(size=size, nodes=nodes)) == ("" if met else f"needs {need}")


@pytest.mark.parametrize(
    ("package", "met"),
    [("json", True), ("torch.nn", True), ("no_such_package", False), ("no_such_package.part", False)],
)
def test_a_package_is_there_where_it_can_be_imported(package: str, met: bool) -> None:
    need = f"the package {package}"
    assert needs.lacking(need, World()) == ("" if met else f"needs {need}")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise OSError('libx.so: cannot open')", "OSError: libx.so: cannot open"),
        ("import os; os._exit(3)", "Python ended with status 3"),
    ],
)
def test_a_package_that_is_there_and_broken_is_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    name = f"broken_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(body, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    need = f"the package {name}"
    assert needs.lacking(need, World()) == f"needs {need}: it cannot be imported: {said}"
    assert name not in sys.modules


def with_gpus(count: int) -> World:
    return World(_gpus=[[f"GPU-{place}" for place in range(count)]])


def test_a_compiler_for_processors_is_none_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    why = {compiler.CPP: None, compiler.C: "cc has a bad day"}
    monkeypatch.setattr(compiler, "why_not", lambda language: why[language])
    need = "a C++ compiler"
    assert needs.lacking(need, with_gpus(0)) == ""
    assert needs.lacking(need, with_gpus(1)) == "needs a C++ compiler: cc has a bad day"
    why[compiler.CPP] = ""
    assert needs.lacking(need, with_gpus(0)) == "needs a C++ compiler"


def test_cuda_is_what_this_process_computes_on() -> None:
    for count, met in ((0, False), (1, True)):
        assert needs.lacking("cuda", with_gpus(count)) == ("" if met else "needs cuda")


@pytest.mark.parametrize(
    ("gpus", "providers", "lacks"),
    [
        (1, ["CUDAExecutionProvider", "CPUExecutionProvider"], ""),
        (1, ["CPUExecutionProvider"], "needs cuda in onnxruntime: its providers are CPUExecutionProvider"),
        (0, ["CUDAExecutionProvider", "CPUExecutionProvider"], "needs cuda in onnxruntime"),
    ],
)
def test_onnxruntime_is_asked_what_it_was_built_for(
    monkeypatch: pytest.MonkeyPatch, gpus: int, providers: list[str], lacks: str
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    assert needs.lacking("cuda in onnxruntime", with_gpus(gpus)) == lacks


def test_one_process_that_lacks_it_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(needs.NEEDS, "an even rank", lambda world, _: "odd" if world.rank % 2 else None)
    assert together(2, lambda world: needs.lacking("an even rank", world)) == ["needs an even rank: odd"] * 2
    assert together(1, lambda world: needs.lacking("an even rank", world)) == [""]


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
        needs.lacking(need, World())
