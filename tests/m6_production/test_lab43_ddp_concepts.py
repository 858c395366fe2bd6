"""What lab 43 shows without a claim, what its pictures are read off, and a run of it that is killed and started again."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed.run import parse_args

from labs.kit.distributed.subgroup import by_node_starter, events_apart
from labs.kit.draw.diagrams import WARN
from labs.kit.measure.timing import torch_threads
from labs.m6_production import _lab43_pictures as pictures
from labs.m6_production import interrupted_training as training
from labs.m6_production._lab43_helpers import (
    after_as_many_samples,
    all_reduce_ms,
    batch_of,
    loss_at,
    trained_alone,
    undisturbed,
)
from labs.m6_production.lab43_ddp_concepts import averaging_hook, missing_rank, predicted_buckets

sizes = st.integers(1, 50)
CPU = torch.device("cpu")


@given(st.lists(sizes, max_size=30), sizes, sizes)
def test_a_bucket_is_closed_by_the_gradient_that_fills_it(gradients: list[int], first: int, cap: int) -> None:
    found = predicted_buckets(gradients, first, cap)
    assert sum(found) == sum(gradients)
    left = list(gradients)
    for number, size in enumerate(found):
        limit = cap if number else first
        bucket = [left.pop(0)]
        while sum(bucket) < size:
            bucket.append(left.pop(0))
        assert sum(bucket) == size
        assert sum(bucket[:-1]) < limit
        assert size >= limit or not left


def test_training_lowers_the_loss_that_the_lab_tells() -> None:
    losses = [loss_at(weights_P, CPU) for weights_P in trained_alone(20, 21, 0.05, CPU)]
    assert losses[-1] < losses[0] - 0.3
    assert batch_of(0, 4, CPU)[0].tolist() != batch_of(1, 4, CPU)[0].tolist()
    inputs_BI, labels_B = batch_of(0, 4, CPU)
    assert all(row[label] == row[:4].max() for row, label in zip(inputs_BI, labels_B, strict=True))
    runs = trained_alone(15, 7, 0.05, CPU), trained_alone(5, 21, 0.05, CPU), trained_alone(5, 21, 0.15, CPU)
    assert after_as_many_samples(5, 7, 3, 0.05, CPU) == tuple(loss_at(run[-1], CPU) for run in runs)


def test_messages_of_all_sizes_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []

    def seconds(send: partial[Any], repeats: int, device: torch.device) -> float:
        sent.append(send.args[0].nbytes)
        return float(len(sent))

    monkeypatch.setattr("labs.m6_production._lab43_helpers.seconds", seconds)
    assert all_reduce_ms([1024, 4096], CPU) == [1e3, 10e3]
    assert sent == [1024] * 9 + [4096] * 9


def test_a_hook_does_not_wait_and_puts_back_what_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived: torch.futures.Future[list[torch.Tensor]] = torch.futures.Future()
    sent = []

    def all_reduce(message: torch.Tensor, *, async_op: bool) -> SimpleNamespace:
        sent.append(message)
        assert async_op
        return SimpleNamespace(get_future=lambda: SimpleNamespace(then=arrived.then))  # it has no `wait`

    monkeypatch.setattr("torch.distributed.all_reduce", all_reduce)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    whole, log = torch.tensor([3.0, 5.0]), list[pictures.Noted]()
    bucket: Any = SimpleNamespace(buffer=lambda: whole, index=lambda: 0)
    done = averaging_hook(torch.float16, log)(None, bucket)
    assert [(event.what, event.size) for event in log] == [("bucket", 4)]
    assert sent[0].tolist() == [1.5, 2.5]
    arrived.set_result([torch.tensor([4.0, 6.0], dtype=torch.float16)])
    assert done.wait() is whole
    assert whole.tolist() == [4, 6]
    assert [event.what for event in log] == ["bucket", "averaged 0"]


def test_an_undisturbed_training_has_the_same_bits_however_many_threads_its_process_has() -> None:
    hashes = set()
    for threads in (1, 2, 4):
        with torch_threads(threads):
            hashes.add(undisturbed())
    assert len(hashes) == 1
    shares = {training.share_of(step, 0, rank)[0].sum().item() for step in range(3) for rank in range(2)}
    assert len(shares) == 6, "each rank has data of its own in each step"


# On three ranks -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noted() -> dict[str, list[dict[str, Any]]]:
    """What three ranks noted, by event."""
    events = events_apart(by_node_starter(3), "tests.m6_production.three_ranks")
    kinds = ("ring", "experts", "norm", "skipped")
    return {kind: [event for event in events if event["event"] == kind] for kind in kinds}


def test_a_ring_sums_rows_of_any_length_and_pads_what_it_sends(
    noted: dict[str, list[dict[str, Any]]],
) -> None:
    assert sorted(event["length"] for event in noted["ring"]) == sorted([*range(8)] * 3)
    for event in noted["ring"]:
        assert event["total"] == [111 * number for number in range(1, event["length"] + 1)]
        assert event["dtype"] == "torch.int32"
        assert event["sent"] == [math.ceil(event["length"] / 3)] * 4
        assert event["untouched"]


def test_ddp_averages_nothing_where_a_layer_is_not_used_unless_it_is_told(
    noted: dict[str, list[dict[str, Any]]],
) -> None:
    assert len(noted["experts"]) == 3
    for event in noted["experts"]:
        assert event["frozen"]
        assert event["untouched"]
        assert event["options"] == [
            ["(neither)", "none", "Expected to have finished reduction"],
            ["find_unused_parameters", "all", "goes on"],
            ["static_graph", "all", "goes on"],
        ]


def test_each_rank_keeps_batchnorm_statistics_of_its_own_share(
    noted: dict[str, list[dict[str, Any]]],
) -> None:
    assert len(noted["norm"]) == 3
    for event in noted["norm"]:
        assert event["mean"] == pytest.approx(event["own"], abs=1e-12)
        assert event["second"] == pytest.approx(event["mixed"], abs=1e-12), "rank 0's, and a batch of its own"
    assert len({event["mean"][0] for event in noted["norm"]}) == 3


def test_the_rank_that_skips_a_collective_has_begun_one_less(noted: dict[str, list[dict[str, Any]]]) -> None:
    assert [event["begun"] for event in noted["skipped"]] in ([[1, 1, 0]] * 3, [[None, None, None]] * 3)


# What is read off events ----------------------------------------------------------------------------------------------


def event(rank: int, what: str, step: int, at: float = 0.0, **more: str) -> pictures.Event:
    return {"rank": rank, "event": what, "step": step, "time": at, **more}


KILLED = [
    event(0, "begin", 0),
    event(1, "begin", 0),
    event(1, "killed", 8, 10.0),
    event(0, "noticed", 8, 10.5),
]
ENDED = [
    event(0, "begin", 5),
    event(1, "begin", 5),
    event(0, "end", 12, weights="a"),
    event(1, "end", 12, weights="b"),
]


def test_attempts_are_told_apart() -> None:
    assert pictures.attempts_of(KILLED + ENDED) == [KILLED, ENDED]
    assert pictures.begins_and_ends(KILLED + ENDED) == [0, 5, "a", "b"]
    assert pictures.begins_and_ends(KILLED) == [0]
    lanes = pictures.attempts_drawn(KILLED + ENDED).lanes
    spans = {name: [(span.start, span.end) for span in lane] for name, lane in lanes.items()}
    assert spans == {"attempt 1": [(0, 5), (5, 8)], "attempt 2": [(5, 12)]}
    assert [span.tone == WARN for span in lanes["attempt 1"]] == [False, True], "what was lost is marked"


def test_a_kill_that_nobody_noticed_takes_for_ever() -> None:
    assert pictures.seconds_to_notice(KILLED + ENDED) == 0.5
    assert pictures.seconds_to_notice(KILLED[:3] + ENDED) == math.inf
    assert pictures.seconds_to_notice(ENDED) == math.inf


def test_a_rank_that_was_told_nothing_waits_for_ever() -> None:
    told, silent = pictures.Witness("Timed out", 1.5, 1), pictures.Witness("nothing", 0.1, 0)
    assert pictures.seconds_to_time_out([told, told, silent]) == 1.5
    assert pictures.seconds_to_time_out([told, silent, silent]) == math.inf
    assert pictures.witness_rows([told]) == [(0, "Timed out", "1.50", "1")]


def test_epochs_are_counted() -> None:
    assert pictures.epochs_in_words(5, [[0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 4, 0]]) == (6, 1, 0, "the same")
    assert pictures.epochs_in_words(5, [[0, 1, 2], [3, 1, 0]]) == (3, 0, 2, "another")


def test_the_ring_is_drawn_from_what_rank_0_receives(monkeypatch: pytest.MonkeyPatch) -> None:
    from_left = [
        torch.tensor([0, 2]),
        torch.tensor([1, 1]),
    ]  # the last rank's own chunk 1, and the sum of chunk 0
    monkeypatch.setattr(pictures, "from_all", lambda sent: [sent, from_left])
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    assert pictures.marked(1, 2).tolist() == [0, 1, 0, 2]
    rows = pictures.turns_of_ring([]).rows
    assert [(row.label, [cell.text for cell in row.filled()]) for row in rows] == [
        ("at first", ["0", "0"]),
        ("turn 1: added", ["0", "0+1"]),
        ("turn 2: passed on", ["0+1", "0+1"]),
    ]


def test_gradients_that_are_not_all_there_are_not_called_averaged() -> None:
    whole = torch.ones(3)
    passes = {"a": (whole.clone(), "goes on"), "b": (whole[:2], "stops"), "c": (2 * whole, "goes on")}
    rows = [("a", "all", "goes on"), ("b", "none", "stops"), ("c", "none", "goes on")]
    assert pictures.rows_of_passes(passes, whole) == rows


def test_a_buckets_way_is_drawn_from_its_sending_to_its_average() -> None:
    happened = [("begin", 0), ("gradient", 8), ("bucket", 8), ("gradient", 4), ("averaged 0", 8)]
    happened += [("bucket", 4), ("averaged 1", 4)]
    events = [pictures.Noted(what, size, float(at)) for at, (what, size) in enumerate(happened)]
    assert pictures.sizes_of("bucket", events) == [8, 4]
    assert pictures.sent_early(events) == (1, 2)
    lanes = pictures.overlap("1st", events).lanes
    spans = {name: [(span.start, span.end) for span in lane] for name, lane in lanes.items()}
    wanted = {"1st: backward": [(0, 1e3), (1e3, 3e3)], "bucket 1": [(2e3, 4e3)], "bucket 2": [(5e3, 6e3)]}
    assert spans == wanted
    assert pictures.bucket_rows([None, 0.5], [[8, 4], [1, 2, 3, 4, 5]]) == [
        ("default", 2, "8, 4"),
        ("0.5", 5, "1, 2, 3, 4, …"),
    ]


def test_the_command_for_torchrun_can_be_given_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = [line for line in str(missing_rank.__doc__).splitlines() if "torchrun --" in line]
    torchrun, *words = line.split()
    asked = parse_args(words)
    assert (torchrun, asked.module, asked.training_script) == ("torchrun", True, training.__name__)
    monkeypatch.setattr(sys, "argv", [asked.training_script, *asked.training_script_args])
    assert training.parse().folder == Path("kept")


# Killed, and started again --------------------------------------------------------------------------------------------

TRAINING = ("--train-steps", "60", "--every", "10", "--pause", "0.05")


def started(folder: Path) -> subprocess.Popen[str]:
    """A smoke run on two processes, in a folder of our own, whose training takes long enough to be killed."""
    words = ("labs", "run", "43", "--procs", "2", "--smoke", "--", *TRAINING, "--folder", str(folder))
    return subprocess.Popen(
        [sys.executable, "-m", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    first = started(tmp_path)
    deadline = time.monotonic() + 300
    while not (tmp_path / "checkpoints" / "step-000030").exists():
        assert first.poll() is None, first.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(json.loads((tmp_path / "run.json").read_text("utf-8"))["ranks"][1]["pid"], signal.SIGKILL)
    said = first.communicate(timeout=300)[0]
    assert first.returncode == 137
    assert "rank 1 on node0" in said
    assert "was killed by signal 9 (SIGKILL)" in said
    second = started(tmp_path)
    assert second.stdout is not None
    said = "".join(until("43.repeated", second.stdout))
    second.send_signal(signal.SIGINT)  # the part after it has tests of its own
    said += second.communicate(timeout=300)[0]
    assert second.returncode == 128 + signal.SIGINT, said
    notes = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert notes["resumed"] in (30, 40, 50)
    assert f"resumed from step {notes['resumed']}, where" in said
    claims = {claim["id"]: claim for claim in notes["claims"]}
    assert claims["43.same"]["verdict"] == "held"
    assert claims["43.same-within"]["value"] == 0
    assert claims["43.repeated"]["verdict"] == "held"
    assert 0 <= claims["43.repeated"]["value"] <= 10


def until(word: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield lines up to the one that holds this word."""
    for line in lines:
        yield line
        if word in line:
            return
