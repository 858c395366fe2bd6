"""Models whose weights are sharded, and those whose are not."""

from pathlib import Path

import pytest
import torch
from torch import nn

from labs.kit.distributed.shards import held_by, there_and_back
from labs.kit.distributed.subgroup import by_node_starter, events_apart


def test_a_training_that_is_not_sharded_holds_everything() -> None:
    model = nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert held_by(model, optimizer) == (60, 60, 60, 120, 8)


def test_a_tensor_goes_there_and_its_gradient_back() -> None:
    x = torch.ones(3, requires_grad=True)
    there_and_back(x, lambda tensor, factor: tensor * factor, lambda grad: grad - 1, 5).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0] * 3


def test_two_ranks_hold_their_rows_and_gather_block_after_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('a module of the person was imported')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    events = events_apart(by_node_starter(2), "tests.kit.distributed.two_ranks")
    assert len(events) == 2
    for event in events:
        assert event["own"] == [True] * 8
        assert event["order"][:4] == ["gather", "block 0", "gather", "block 1"]
        assert event["order"].count("reduce-scatter") == 2
        assert event["same"]
        assert event["gpus"] == "", "a group on the CPU sees no GPU, whatever its starter sees"
