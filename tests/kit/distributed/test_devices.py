"""A GPU for every rank, or the CPU for all: the choice itself, on machines of every size, none of which need be here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from labs import record
from labs.kit.distributed import devices
from labs.kit.distributed.world import World
from tests.conftest import ROOT
from tests.kit.distributed.ranks import together


def seen_by_all(gpus_of_node: list[int], ranks: int) -> list[list[str]]:
    """What each rank sees where a node has so many GPUs, and all of its ranks see them all."""
    names = [[f"GPU-{node}-{place}" for place in range(gpus)] for node, gpus in enumerate(gpus_of_node)]
    return [names[node] for node in range(len(gpus_of_node)) for _ in range(ranks)]


def dealt_out(gpus_of_node: list[int], ranks: int) -> list[list[str]]:
    """What each rank sees where a scheduler gives it its own GPU, and none to those who come too late."""
    return [
        [f"GPU-{node}-{place}"] if place < gpus else []
        for node, gpus in enumerate(gpus_of_node)
        for place in range(ranks)
    ]


COUNTS = (0, 1, 2, 8)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize(
    "gpus_of_node", [[one] for one in COUNTS] + [[one, two] for one in COUNTS for two in COUNTS]
)
def test_all_ranks_get_a_gpu_of_their_own_or_none_does(gpus_of_node: list[int], ranks: int) -> None:
    enough = all(gpus >= ranks for gpus in gpus_of_node)
    every = len(gpus_of_node) * ranks
    places = list(range(ranks)) * len(gpus_of_node) if enough else [None] * every
    assert devices.shared_out(seen_by_all(gpus_of_node, ranks)) == places
    assert devices.shared_out(dealt_out(gpus_of_node, ranks)) == ([0] * every if enough else [None] * every)
    kinds = {devices.chosen(seen_by_all(gpus_of_node, ranks), rank).type for rank in range(every)}
    assert kinds == ({"cuda"} if enough else {"cpu"})


@pytest.mark.parametrize(("gpus", "places"), [(1, [None, None]), (2, [0, 1]), (8, [0, 1])])
def test_two_nodes_that_are_one_machine_do_not_take_the_same_gpu(gpus: int, places: list[int | None]) -> None:
    assert devices.shared_out(seen_by_all([gpus], 1) * 2) == places


@pytest.mark.parametrize(
    ("gpus_of_node", "ranks", "words"),
    [
        ([0], 1, "1 process, no GPU: on the CPU"),
        ([1], 1, "1 process, 1 GPU: on cuda:0"),
        ([8], 1, "1 process, 8 GPUs: on cuda:0"),
        ([0], 3, "3 processes, no GPU: all on the CPU"),
        ([1], 2, "2 processes, 1 GPU: all on the CPU"),
        ([2], 2, "2 processes, 2 GPUs: each on a GPU of its own"),
        ([0, 0], 1, "2 processes on 2 nodes, no GPU: all on the CPU"),
        ([1, 1], 1, "2 processes on 2 nodes, 2 GPUs: each on a GPU of its own"),
        ([8, 1], 2, "4 processes on 2 nodes, 9 GPUs (8, 1): all on the CPU"),
    ],
)
def test_the_choice_in_words(gpus_of_node: list[int], ranks: int, words: str) -> None:
    assert devices.in_words(seen_by_all(gpus_of_node, ranks), len(gpus_of_node)) == words


def test_gpus_that_a_lab_does_not_use_are_not_counted() -> None:
    assert devices.in_words(seen_by_all([1], 1), 1, used=False) == "1 process: on the CPU"
    assert devices.in_words(seen_by_all([8], 2), 1, used=False) == "2 processes: all on the CPU"


def test_two_nodes_on_one_machine_have_its_one_gpu_between_them() -> None:
    words = devices.in_words(seen_by_all([1], 1) * 2, 2)
    assert words == "2 processes on 2 nodes, 1 GPU: all on the CPU"


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine with one GPU; what was asked of CUDA that starts it."""
    started: list[str] = []

    def properties(place: int) -> SimpleNamespace:
        started.append("properties")
        return SimpleNamespace(uuid="GPU-7")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: started.append(str(device)))
    return started


def test_two_ranks_on_a_machine_with_one_gpu_both_take_the_cpu(one_gpu: list[str]) -> None:
    assert together(2, lambda world: str(world.device)) == ["cpu", "cpu"]


def test_a_gpu_whose_driver_is_too_old_for_torch_is_none(
    one_gpu: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert str(World().device) == "cpu"
    assert together(2, lambda world: str(world.device)) == ["cpu", "cpu"]


def test_one_process_takes_the_gpu_and_starts_nothing_before_it_is_used(one_gpu: list[str]) -> None:
    assert str(World().device) == "cuda:0"
    assert one_gpu == []


# It is not there, so nobody may compute on it.
ONE_GPU = "\n\ndef visible(ranks: int) -> list[str]:\n    return ['GPU-7']\n"


def on_one_gpu(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `labs` for real, in a copy of the package in which every process sees one GPU, the same one."""
    shutil.copytree(ROOT / "labs", folder / "labs")
    with (folder / "labs" / "kit" / "distributed" / "devices.py").open("a") as devices_:
        devices_.write(ONE_GPU)
    return subprocess.run(
        [sys.executable, "-m", "labs", *words],
        env=os.environ | {"LABS_TIMEOUT": "20"}, cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_preflight_of_two_processes_and_one_gpu_is_ready_and_says_where_they_compute(tmp_path: Path) -> None:
    ended = on_one_gpu(tmp_path, "preflight", "--procs", "2")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "devices        2 processes, 1 GPU: all on the CPU" in ended.stdout
    assert ended.stdout.endswith("ready\n")


@pytest.mark.parametrize(
    ("number", "where", "words"),
    [
        (33, ["--nodes", "2"], "2 processes on 2 nodes, 1 GPU: all on the CPU"),
        (44, [], "3 processes, 1 GPU: all on the CPU"),
    ],
)
def test_a_run_of_more_processes_than_gpus_holds_says_where_and_keeps_it(
    number: int, where: list[str], words: str, labs_home: Path, tmp_path: Path
) -> None:
    ended = on_one_gpu(tmp_path, "run", str(number), "--smoke", *where)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert words in ended.stdout.splitlines()[:5]
    (folder,) = (labs_home / "runs" / f"lab{number}").iterdir()
    notes = record.load(folder)
    assert [rank.device for rank in notes.ranks] == ["cpu"] * len(notes.ranks)
    assert {claim.device for claim in notes.claims} == {"cpu"}


def test_each_rank_enters_its_own_gpu(one_gpu: list[str]) -> None:
    devices.enter(devices.CPU)
    devices.enter(torch.device("cuda", 1))
    assert one_gpu == ["cuda:1"]
