"""Which GPUs a node gets on a machine of which some are seen. For containers this shows in their commands: test_docker.py."""

from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.launch import LAUNCHERS, RunSpec, devices

LOCAL = LAUNCHERS["local"]


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's devices, none of them a GPU yet."""
    monkeypatch.setattr(devices, "DEV", tmp_path)
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    for name in ("nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    return tmp_path


def spec(gpus: str, nodes: int = 1, procs: int = 1) -> RunSpec:
    return RunSpec(43, "labs.x", "local", None, nodes, procs, gpus)


def with_gpus(dev: Path, count: int) -> None:
    for number in range(count):
        (dev / f"nvidia{number}").touch()


@pytest.mark.parametrize(
    ("asked", "nodes", "seen"),
    [
        ("auto", 2, [None, None]),
        ("0", 2, ["", ""]),
        ("1", 2, ["0", "1"]),
        ("2", 2, ["0,1", "2,3"]),
        ("3", 1, ["0,1,2"]),
    ],
)
def test_each_node_sees_gpus_of_its_own(dev: Path, asked: str, nodes: int, seen: list[str | None]) -> None:
    with_gpus(dev, 4)
    found = [devices.variables(spec(asked, nodes), node, {}).get(devices.VISIBLE) for node in range(nodes)]
    assert found == seen


def test_gpus_that_somebody_hides_are_neither_given_nor_counted(
    dev: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpus(dev, 4)
    monkeypatch.setenv(devices.VISIBLE, "3,GPU-8e2f")
    assert LOCAL.render(spec("1", 2, 1)).count("CUDA_VISIBLE_DEVICES=GPU-8e2f ") == 1
    LOCAL.check(spec("2"))
    with pytest.raises(UsageError, match="GPUS=3 on 1 node is more than the 2 that this machine has\n"):
        LOCAL.check(spec("3"))


def test_more_gpus_than_there_are_is_refused_without_a_container_too(dev: Path) -> None:
    with_gpus(dev, 1)
    LOCAL.check(spec("1"))
    with pytest.raises(UsageError, match="GPUS=1 on 2 nodes is more than the 1 that this machine has\n"):
        LOCAL.check(spec("1", nodes=2))


@pytest.mark.parametrize(
    ("told", "count"),
    [("GPU 0: A (UUID: 1)\nGPU 1: B (UUID: 2)\n  MIG 1g.10gb Device 0: (UUID: 3)\n", 2), ("", 0)],
)
def test_where_windows_keeps_the_gpus_the_driver_is_asked(
    dev: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, count: int
) -> None:
    (dev / "dxg").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.there() == 0
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ $1 = -L ] && printf '{told}'\n", encoding="utf-8")
    program.chmod(0o755)
    assert devices.there() == count
