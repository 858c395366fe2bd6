"""What lab 44 predicts, held against torch and DeepSpeed, and its training, broken off and started again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from labs import record
from labs.home import CHECKOUT
from labs.kit.distributed.checkpoints import ShardedState
from labs.kit.distributed.shards import Held
from labs.kit.distributed.subgroup import by_node_starter, events_apart
from labs.kit.distributed.world import World
from labs.kit.runner.context import RunContext
from labs.kit.runner.lesson import read
from labs.kit.runner.session import rehearse
from labs.kit.topics.tasks import Stack
from labs.m6_production import _lab44_pictures as pictures
from labs.m6_production import lab44_fsdp_concepts as lab
from labs.m6_production._lab44_helpers import Schedule, Trained, predicted_held
from labs.m6_production._lab44_pictures import told_of_sockets
from labs.m6_production._lab44_tools import predicted_columns

CPU = torch.device("cpu")

rows = st.integers(1, 200)
ranks = st.integers(1, 17)
shapes = st.lists(st.tuples(rows, st.integers(1, 9)), min_size=1, max_size=5)


@given(rows, ranks)
def test_ranks_hold_the_rows_of_torch_chunk_and_nobody_more_than_there_is_room_for(
    rows: int, ranks: int
) -> None:
    held = [lab.rows_of(rows, ranks, rank)[0] for rank in range(ranks)]
    room = {lab.rows_of(rows, ranks, rank)[1] for rank in range(ranks)}
    chunks = [len(chunk) for chunk in torch.arange(rows).chunk(ranks)]
    assert held == chunks + [0] * (ranks - len(chunks))
    assert room == {max(held)}


def held_by_all(model: nn.Module, ranks: int, stage: int) -> list[Held]:
    lengths = [len(weight) for weight in model.parameters()]
    cuts = [[lab.rows_of(length, ranks, rank) for length in lengths] for rank in range(ranks)]
    return [predicted_held(model, cut, stage) for cut in cuts]


@given(shapes, ranks)
def test_all_ranks_together_hold_every_byte_that_is_cut_once(
    shapes: list[tuple[int, int]], ranks: int
) -> None:
    model = nn.ParameterList(torch.empty(shape) for shape in shapes)
    whole = sum(weight.nbytes for weight in model)
    ddp, zero_1, zero_2, zero_3 = (held_by_all(model, ranks, stage) for stage in range(4))
    assert {(held.weights, held.gradients, held.moments) for held in ddp} == {(whole, whole, 2 * whole)}
    assert sum(held.moments for held in zero_1) == 2 * whole
    assert sum(held.gradients for held in zero_2) == whole
    assert sum(held.weights for held in zero_3) == whole
    assert all(held.weights <= held.room for held in zero_3)


@given(shapes, ranks)
def test_where_the_ranks_divide_every_dim_0_each_holds_one_part_of_as_many(
    shapes: list[tuple[int, int]], ranks: int
) -> None:
    model = nn.ParameterList(torch.empty(length * ranks, width) for length, width in shapes)
    own = sum(weight.nbytes for weight in model) // ranks
    counters = 4 * len(shapes)
    assert set(held_by_all(model, ranks, 3)) == {Held(own, own, own, 2 * own, counters)}


@given(st.lists(st.integers(1, 500), min_size=1, max_size=9), ranks, st.sampled_from([1, 2, 3]))
def test_deepspeed_pads_by_less_than_a_row_and_never_loses_an_element(
    sizes: list[int], ranks: int, stage: int
) -> None:
    resident, part, master = predicted_columns(sizes, ranks, stage)
    assert master == 2 * part
    padding = ranks * part // 2 - sum(sizes)
    assert 0 <= padding < (2 * ranks if stage < 3 else ranks * len(sizes))
    assert resident == (0 if stage == 3 else ranks * part)


def test_deepspeed_holds_what_is_predicted_and_from_stage_2_on_lets_go_of_gradients() -> None:
    pytest.importorskip("deepspeed")
    events = events_apart(by_node_starter(2), "labs.m6_production.zero_stages")
    assert {event["device"] for event in events} == {"cpu"}
    assert not (CHECKOUT / "meetings").exists(), "the group's secret lay in its own folder"
    sizes = [weight.numel() for weight in Stack(3, hidden=9).parameters()]
    assert sorted((event["stage"], event["rank"]) for event in events) == [
        (stage, rank) for stage in (1, 2, 3) for rank in (0, 1)
    ]
    for event in events:
        columns = event["resident"], event["partition"], event["master"]
        assert columns == predicted_columns(sizes, 2, event["stage"])
        assert (event["gradients"] < 2 * sum(sizes)) is (event["stage"] > 1)


def test_a_ring_sends_all_but_one_part_and_an_all_reduce_sends_twice_that() -> None:
    assert lab.ring_bytes([("gather", 8)], 3) == 16
    assert lab.ring_bytes([("reduce-scatter", 24)], 3) == 16
    assert lab.ring_bytes([("all-reduce", 24)], 3) == 32
    assert lab.ring_bytes([("all-reduce", 24), ("block 0", 0)], 1) == 0


def test_what_the_sockets_say_is_told_as_it_is() -> None:
    assert "cannot be told" in told_of_sockets(None, 100)
    assert "cannot be told" in told_of_sockets(3, 100)
    assert "1.35 ×" in told_of_sockets(135, 100)
    assert "gloo" in told_of_sockets(135, 100)
    assert "headers" in told_of_sockets(103, 100)


# What is drawn --------------------------------------------------------------------------------------------------------


def test_rows_are_drawn_on_the_rank_that_holds_them() -> None:
    rows = pictures.cut_rows(5, [(2, 2), (2, 2), (1, 2), (0, 2)]).rows
    assert [(row.label, [cell.text for cell in row.filled()]) for row in rows] == [
        ("rank 0", ["row 0", "row 1"]),
        ("rank 1", ["row 2", "row 3"]),
        ("rank 2", ["row 4", "–"]),
        ("rank 3", ["–", "–"]),
    ]


def step_of(block_bytes: int) -> Schedule:
    """A step over two blocks, the second of which is kept whole between its two passes."""
    happened: list[tuple[str, set[int]]] = [("gather", set()), ("block 0", {0}), ("gather", set())]
    happened += [("block 1", {1}), ("backward", {1}), ("gather", {1}), ("back 1", {1})]
    happened += [("reduce-scatter", set()), ("back 0", {0}), ("reduce-scatter", set())]
    schedule = Schedule([])
    schedule.log = [(what, 0) for what, _ in happened]
    schedule.whole = [there for _, there in happened]
    schedule.bytes = [block_bytes * len(there) for there in schedule.whole]
    return schedule


def test_a_step_is_drawn_event_by_event() -> None:
    lanes = pictures.timeline_of(step_of(1024), 2).lanes
    assert {name: [(span.start, span.end, span.text) for span in lane] for name, lane in lanes.items()} == {
        "messages": [(0, 1, "0"), (2, 3, "1"), (4, 5, "0"), (6, 7, "1"), (8, 9, "0")],
        "computes": [(1, 2, "F0"), (3, 4, "F1"), (5, 6, "B1"), (7, 8, "B0")],
        "block 0": [(1, 2, "whole"), (7, 8, "whole")],
        "block 1": [(3, 6, "whole")],
    }
    tones = [span.tone for span in lanes["messages"]]
    assert [pictures.LEGEND[tone].partition(" ")[0] for tone in tones] == [
        *["all-gather"] * 3,
        *["reduce-scatter"] * 2,
    ]
    _, turns, kib = pictures.whole_weights(step_of(1024), step_of(4096))
    assert turns == [1, 2, 3, 4]
    assert kib == {"let go after forward": [1] * 4, "kept until backward": [4] * 4}


def test_what_is_held_and_sent_is_shown_as_it_is() -> None:
    bars = pictures.bars_of({"DDP": Held(weights=1, room=9, gradients=2, moments=3, counters=9)}).bars
    assert bars == {"DDP": {"weights": 1, "gradients": 2, "moments": 3}}
    told, silent = (Trained(torch.ones(1), Held(0, 0, 0, 0, 0), [], wire) for wire in (170, None))
    titles, rows = pictures.sent_table({"DDP": told, "ZeRO-3": silent}, [150, 200], 100)
    assert titles == ["", "in a ring", "of the weights", "through its sockets"]
    assert rows == [["DDP", 150, "1.50 ×", 170], ["ZeRO-3", 200, "2.00 ×", "not told"]]


def test_the_large_model_takes_memory_as_the_table_says_and_is_made_without_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made_on = []

    def made(*sizes: int, device: str, **options: Any) -> Stack:
        made_on.append(device)
        return Stack(*sizes, device=device, **options)

    monkeypatch.setattr(lab, "Stack", made)
    with World().group():
        whole = lab.peak_of_training(16, CPU, cut=False)
        begun, cut = (lab.peak_of_training(16, CPU, cut=True, steps=steps) for steps in (0, 2))
    count = sum(weight.numel() for weight in Stack(lab.LARGE_BLOCKS, 16, 63, device="meta").parameters())
    assert made_on == ["meta"] * 3
    assert 4 * count <= begun < 5 * count
    assert 16 * count <= whole < cut < 24 * count


# Broken off and started again, on one process -------------------------------------------------------------------------


def trained_on(folder: Path) -> record.Run:
    """The last part of the lab alone: 12 steps, of which every fifth is kept."""
    cfg = replace(lab.Config.smoke(), train_steps=12, every=5)
    context = RunContext(folder=folder, only=frozenset({"goes_on"}))
    return rehearse(read(lab.run, lab.Config), cfg, context, smoke=True)


def broken_off(folder: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Begin, and be interrupted once so many steps are done."""
    steps = iter(range(1, after + 1))

    def sleep(seconds: float) -> None:
        if next(steps) == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("labs.m6_production.lab44_fsdp_concepts.time.sleep", sleep)
        with pytest.raises(KeyboardInterrupt):
            trained_on(folder)


def judged(notes: record.Run) -> dict[str, tuple[str, Any]]:
    assert notes.error == ""
    return {claim.id: (claim.verdict, claim.value) for claim in notes.claims}


def test_a_training_that_is_broken_off_twice_goes_on_and_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_off(tmp_path, monkeypatch, after=7)
    broken_off(tmp_path, monkeypatch, after=6)  # from step 5 to step 11: the checkpoint of step 10 is there
    notes = trained_on(tmp_path)
    assert notes.resumed == 10
    found = judged(notes)
    assert found["44.same"] == ("held", 1)
    assert found["44.repeated"] == ("held", 2 + 1)
    assert found["44.same-within"][0] == "held"
    assert found["44.resharded"][0] == "not measured here"


def test_one_that_forgets_adams_moments_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_off(tmp_path, monkeypatch, after=7)
    whole = ShardedState.read

    def without_moments(state: ShardedState, folder: Path) -> None:
        whole(state, folder)
        state.optimizer.state.clear()

    monkeypatch.setattr(ShardedState, "read", without_moments)
    found = judged(trained_on(tmp_path))
    assert (found["44.same"][0], found["44.same-within"][0]) == ("failed", "failed")
    assert found["44.repeated"] == ("held", 2)
