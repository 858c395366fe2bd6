"""Checkpoints in a run folder: whole or not at all, and the newest that is whole is the one to go on from."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from labs.kit.distributed.checkpoints import Checkpoints, FullState

STEPS, EVERY = 12, 5


def network() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def trained(
    folder: Path | None, upto: int, said: list[tuple[int, str]] | None = None
) -> tuple[Checkpoints, torch.Tensor]:
    """One attempt: train up to a step, as a run that is killed there does."""
    model, optimizer = network()
    kept = Checkpoints(
        folder, EVERY, lambda step, text: said.append((step, text)) if said is not None else None
    )
    form = FullState(model=model, optimizer=optimizer)
    for step in range(kept.resume(form), upto):
        optimizer.zero_grad()
        model(torch.full((3, 4), float(step))).square().sum().backward()
        optimizer.step()
        kept.after(step + 1, form)
    return kept, torch.cat([weight.detach().flatten() for weight in model.parameters()])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def test_an_undisturbed_training_keeps_its_two_newest_checkpoints(tmp_path: Path) -> None:
    kept, weights = trained(tmp_path / "c", 3 * EVERY)
    assert names(tmp_path / "c") == ["step-000010", "step-000015"]
    assert (kept.begun, kept.restarts, kept.steps_done, kept.passed_over) == (0, 0, 3 * EVERY, 0)
    assert torch.equal(weights, trained(None, 3 * EVERY)[1])


def test_without_a_folder_nothing_is_kept_but_steps_are_counted() -> None:
    kept, _ = trained(None, STEPS)
    assert (kept.begun, kept.steps_done) == (0, STEPS)


@pytest.mark.parametrize(("killed_at", "begins"), [(3, 0), (5, 5), (8, 5), (12, 10)])
def test_the_next_attempt_goes_on_from_the_newest_and_ends_with_the_same_weights(
    tmp_path: Path, killed_at: int, begins: int
) -> None:
    trained(tmp_path, killed_at)
    said: list[tuple[int, str]] = []
    kept, weights = trained(tmp_path, STEPS, said)
    assert kept.begun == begins
    assert kept.restarts == 1
    assert STEPS <= kept.steps_done <= STEPS + EVERY
    assert torch.equal(weights, trained(None, STEPS)[1])
    assert said == (
        [(begins, f"resumed from step {begins}, where the checkpoint of an earlier attempt stands")]
        if begins
        else []
    )


@pytest.mark.parametrize("damage", ["cut short", "another byte", "a file less", "no hashes", "empty"])
def test_a_damaged_checkpoint_is_passed_over_with_a_sentence(tmp_path: Path, damage: str) -> None:
    trained(tmp_path, STEPS)
    newest = tmp_path / "step-000010"
    state, whole = newest / "state.pt", newest / "whole.json"
    content = state.read_bytes()
    if damage == "cut short":
        state.write_bytes(content[: len(content) // 2])
    elif damage == "another byte":
        state.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "a file less":
        state.unlink()
    else:
        whole.write_text("" if damage == "no hashes" else "{}")
    said: list[tuple[int, str]] = []
    kept, weights = trained(tmp_path, STEPS, said)
    assert kept.begun == 5
    assert said[0][1] == "the checkpoint step-000010 is damaged and is passed over"
    assert len(said) == 2
    assert torch.equal(weights, trained(None, STEPS)[1])


def test_where_none_is_whole_training_begins_anew(tmp_path: Path) -> None:
    trained(tmp_path, STEPS)
    for place in tmp_path.glob("step-*"):
        (place / "state.pt").write_bytes(b"nothing")
    said: list[tuple[int, str]] = []
    kept, _ = trained(tmp_path, STEPS, said)
    assert (kept.begun, kept.passed_over, len(said)) == (0, 2, 2)


def test_what_a_killed_attempt_had_begun_to_write_is_cleared_away(tmp_path: Path) -> None:
    trained(tmp_path, EVERY)
    (tmp_path / "part-000010-0").mkdir()
    (tmp_path / "part-000010-0" / "state.pt").write_bytes(b"half")
    assert trained(tmp_path, EVERY)[0].begun == EVERY
    assert names(tmp_path) == ["step-000005"]


def test_a_rank_that_cannot_write_ends_the_training_with_one_sentence(tmp_path: Path) -> None:
    class Broken(FullState):
        def write(self, folder: Path) -> None:
            super().write(folder)
            raise OSError(28, "No space left on device")

    model, _ = network()
    trained(tmp_path, EVERY)
    kept = Checkpoints(tmp_path, EVERY)
    with pytest.raises(
        OSError, match="checkpoint of step 10 could not be written, those before it are kept"
    ) as caught:
        kept.after(10, Broken(model=model))
    assert caught.value.errno == 28
    assert names(tmp_path) == ["step-000005"]


def test_a_full_disk_leaves_the_checkpoint_that_was_there(disk_of: Callable[[str], Path]) -> None:
    small_disk = disk_of("256k")
    model = nn.Linear(100, 100)
    form, kept = FullState(model=model), Checkpoints(small_disk, EVERY)
    kept.resume(form)
    kept.after(5, form)
    (small_disk / "filler").write_bytes(bytes(190 * 1024))
    with pytest.raises(OSError, match="those before it are kept"):
        kept.after(10, form)
    (small_disk / "filler").unlink()
    assert Checkpoints(small_disk, EVERY).resume(FullState(model=nn.Linear(100, 100))) == 5
