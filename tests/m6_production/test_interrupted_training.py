"""The training that lab 43 kills: what it makes of a corrupt checkpoint and of a full disk. The kills are the lab's own claims."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from labs.m6_production import interrupted_training as training


def trained_on(folder: Path) -> tuple[nn.Module, list[torch.Tensor]]:
    """A network and its momenta, as they are after ten steps, with the checkpoints of steps 10 and 5 in the folder."""
    network = training.network_of(seed=0)
    momenta = training.momenta_of(network)
    for step in (5, 10):
        with torch.no_grad():
            for thing in (*network.parameters(), *momenta):
                thing.fill_(step)
        training.save(folder, network, momenta, step)
    return network, momenta


@pytest.mark.parametrize(
    ("corrupt", "begins"), [([], 10), (["checkpoint.pt"], 5), (["checkpoint.pt", "checkpoint.before.pt"], 0)]
)
def test_a_corrupt_checkpoint_is_passed_over(tmp_path: Path, corrupt: list[str], begins: int) -> None:
    trained_on(tmp_path)
    for name in corrupt:
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    network = training.network_of(seed=0)
    momenta = training.momenta_of(network)
    assert training.load(tmp_path, network, momenta) == begins
    noted = (tmp_path / "events.jsonl").read_text().splitlines() if corrupt else []
    assert [json.loads(line)["file"] for line in noted] == corrupt

    # Weights and momenta are those of that step; without any checkpoint they are what they were.
    found = [set(thing.flatten().tolist()) for thing in (*network.parameters(), *momenta)]
    if begins:
        assert found == [{begins}] * 8
    else:
        assert training.hash_of(network) == training.hash_of(training.network_of(seed=0))
        assert found[4:] == [{0}] * 4


def test_a_full_disk_leaves_the_checkpoint_that_was_there(disk_of: Callable[[str], Path]) -> None:
    small_disk = disk_of("256k")
    model = nn.Linear(100, 100)
    momenta = training.momenta_of(model)
    training.save(small_disk, model, momenta, 5)
    (small_disk / "filler").write_bytes(bytes(130 * 1024))
    with pytest.raises((RuntimeError, OSError)):
        training.save(small_disk, model, momenta, 10)
    assert training.load(small_disk, nn.Linear(100, 100), momenta) == 5
