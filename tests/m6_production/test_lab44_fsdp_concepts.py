"""What lab 44 predicts, held against torch for sizes that the lab itself does not try."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from labs.kit.topics.tasks import Stack
from labs.m6_production.lab44_fsdp_concepts import predicted_bytes, predicted_zero, rows_of

rows = st.integers(1, 200)
ranks = st.integers(1, 17)


@given(rows, ranks)
def test_ranks_hold_the_rows_of_torch_chunk_and_nobody_more_than_there_is_room_for(
    rows: int, ranks: int
) -> None:
    held = [rows_of(rows, ranks, rank)[0] for rank in range(ranks)]
    room = {rows_of(rows, ranks, rank)[1] for rank in range(ranks)}
    chunks = [len(chunk) for chunk in torch.arange(rows).chunk(ranks)]
    assert held == chunks + [0] * (ranks - len(chunks))
    assert room == {max(held)}


@given(st.lists(st.tuples(rows, st.integers(1, 9)), min_size=1, max_size=5), ranks)
def test_all_ranks_together_hold_every_byte_once(shapes: list[tuple[int, int]], ranks: int) -> None:
    model = nn.ParameterList(torch.empty(shape) for shape in shapes)
    held = [predicted_bytes(model, ranks, rank) for rank in range(ranks)]
    assert sum(own for own, _ in held) == sum(weight.nbytes for weight in model)
    assert all(own <= room for own, room in held)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=9), ranks, st.sampled_from([1, 2, 3]))
def test_zero_pads_by_less_than_a_row_and_never_loses_an_element(
    sizes: list[int], ranks: int, stage: int
) -> None:
    resident, part, master = predicted_zero(sizes, ranks, stage)
    assert master == 2 * part
    padding = ranks * part // 2 - sum(sizes)
    assert 0 <= padding < (2 * ranks if stage < 3 else ranks * len(sizes))
    assert resident == (0 if stage == 3 else ranks * part)


def test_a_stack_has_the_same_weights_every_time() -> None:
    ours, theirs = Stack(2), Stack(2)
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


COMMAND = ["labs", "run"]
TRAINING = ["--train-steps", "60", "--every", "10", "--pause", "0.05"]


def started(number: str, folder: Path) -> subprocess.Popen[str]:
    """A smoke run on two processes whose training can be killed half-way, in a folder of our own."""
    command = [
        sys.executable,
        "-m",
        *COMMAND,
        number,
        "--procs",
        "2",
        "--smoke",
        "--",
        *TRAINING,
        "--folder",
        str(folder),
    ]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def await_file(path: Path, process: subprocess.Popen[str], patience_s: float = 90.0) -> None:
    deadline = time.monotonic() + patience_s
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def record_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("number", ["44"])
def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_weights(
    number: str, tmp_path: Path
) -> None:
    first = started(number, tmp_path)
    await_file(tmp_path / "checkpoints" / "step-000030", first)
    os.kill(record_of(tmp_path)["ranks"][1]["pid"], signal.SIGKILL)
    said = first.communicate(timeout=60)[0]
    assert first.returncode == 137
    assert "rank 1 on node0" in said
    assert "was killed by signal 9 (SIGKILL)" in said
    second = started(number, tmp_path)
    said = second.communicate(timeout=200)[0]
    assert second.returncode == 0, said
    notes = record_of(tmp_path)
    assert notes["resumed"] in (30, 40, 50)
    assert f"resumed from step {notes['resumed']}, where" in said
    verdicts = {claim["id"]: (claim["verdict"], claim["value"]) for claim in notes["claims"]}
    assert verdicts[f"{number}.same"] == ("held", 0)
    verdict, repeated = verdicts[f"{number}.repeated"]
    assert verdict == "held"
    assert 0 <= repeated <= 10
