"""The training that lab 43 kills: what it makes of a corrupt checkpoint and of a full disk. The kills are the lab's own claims."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from labs.kit.distributed.subgroup import by_node_starter, events_of
from labs.m6_production import interrupted_training as training

MODULE = "labs.m6_production.interrupted_training"


def run(folder: Path, *flags: str) -> list[dict[str, Any]]:
    return events_of(by_node_starter(2), MODULE, folder, *flags)


def of_kind(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == kind]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with the checkpoints of steps 10 and 5, and the weights with which the training ended."""
    folder = tmp_path_factory.mktemp("trained")
    ends = of_kind(run(folder), "end")
    assert len(ends) == 2
    return folder, ends[0]["weights"]


@pytest.mark.parametrize(
    ("corrupt", "begins"), [(["checkpoint.pt"], 5), (["checkpoint.pt", "checkpoint.before.pt"], 0)]
)
def test_a_corrupt_checkpoint_is_passed_over(
    trained: tuple[Path, str], tmp_path: Path, corrupt: list[str], begins: int
) -> None:
    folder, weights = trained
    for name in training.CHECKPOINTS:
        content = (folder / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2] if name in corrupt else content)
    events = run(tmp_path)
    assert {event["file"] for event in of_kind(events, "corrupt")} == set(corrupt)
    assert {event["step"] for event in of_kind(events, "begin")} == {begins}
    assert {event["weights"] for event in of_kind(events, "end")} == {weights}


def test_a_full_disk_leaves_the_checkpoint_that_was_there(disk_of: Callable[[str], Path]) -> None:
    small_disk = disk_of("256k")
    model = nn.Linear(100, 100)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    training.save(small_disk, model, optimizer, 5)
    (small_disk / "filler").write_bytes(bytes(190 * 1024))
    with pytest.raises((RuntimeError, OSError)):
        training.save(small_disk, model, optimizer, 10)
    assert training.load(small_disk, nn.Linear(100, 100), optimizer) == 5
