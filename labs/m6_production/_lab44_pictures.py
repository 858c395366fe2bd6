"""The pictures and tables of lab 44: what they show is read off the messages and the memory of a step."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from labs.kit.distributed.shards import Held
from labs.kit.draw.diagrams import WARN, Bars, Cell, Cells, Row, Span, Timeline
from labs.m6_production._lab44_helpers import Schedule, Trained

GATHER, COMPUTE, REDUCE, WHOLE = 1, 2, 3, 4  # tones
LEGEND = {
    GATHER: "all-gather of block n",
    COMPUTE: "F n forward, B n backward",
    REDUCE: "reduce-scatter of its gradients",
    WHOLE: "all of its weights are here",
}
Table = tuple[list[str], list[list[Any]]]


def cut_rows(rows: int, cut: Sequence[tuple[int, int]]) -> Cells:
    """Draw which rows each rank holds, and its padding; `cut` has for each rank its rows and its room."""
    numbers = iter(range(rows))
    drawn = []
    for rank, (held, room) in enumerate(cut):
        own = [Cell(f"row {next(numbers, '?')}", 1) for _ in range(held)]
        drawn.append(Row(f"rank {rank}", [*own, *[Cell("–", WARN)] * (room - held)]))
    return Cells(drawn, legend={1: "a row of the weight", WARN: "padding"})


def timeline_of(schedule: Schedule, blocks: int) -> Timeline:
    """Draw a step, one event after another: what is sent, what computes, and which blocks are whole."""
    events = [(what, there) for (what, _), there in zip(schedule.log, schedule.whole, strict=True)]
    events = [(what, there) for what, there in events if what != "backward"]
    numbers = {"gather": iter(_arrivals(schedule)), "reduce-scatter": _backward_order(schedule)}
    lanes: dict[str, list[Span]] = {"messages": [], "computes": []}
    for time, (what, _) in enumerate(events):
        if what in numbers:
            tone = GATHER if what == "gather" else REDUCE
            lanes["messages"].append(Span(time, time + 1, str(next(numbers[what], "")), tone))
        else:
            kind, _, place = what.partition(" ")
            letter = "F" if kind == "block" else "B"
            lanes["computes"].append(Span(time, time + 1, f"{letter}{place}", COMPUTE))
    for block in range(blocks):
        there = [block in found for _, found in events]
        lanes[f"block {block}"] = [Span(first, end, "whole", WHOLE) for first, end in _runs(there)]
    return Timeline(lanes, unit="events", legend=LEGEND)


def _arrivals(schedule: Schedule) -> list[int]:
    """Return the blocks in the order in which they become whole."""
    before: set[int] = set()
    found = []
    for there in schedule.whole:
        found += sorted(there - before)
        before = there
    return found


def _backward_order(schedule: Schedule) -> Iterator[int]:
    return (int(what.partition(" ")[2]) for what in schedule.order if what.startswith("back "))


def _runs(there: Sequence[bool]) -> list[tuple[int, int]]:
    """Return where each run of True begins and ends."""
    runs = []
    first = 0
    for value, group in groupby(there):
        end = first + len(list(group))
        if value:
            runs.append((first, end))
        first = end
    return runs


def whole_weights(plain: Schedule, kept: Schedule) -> tuple[str, list[int], dict[str, list[float]]]:
    """Return title, turns and series of a plot: the KiB of whole weights while each block computes."""
    series = {"let go after forward": plain, "kept until backward": kept}
    kib = {name: [size / 1024 for size in schedule.while_computing()] for name, schedule in series.items()}
    turns = list(range(1, len(plain.while_computing()) + 1))
    return "Whole weights while each block computes, forward and then backward", turns, kib


def bars_of(held: Mapping[str, Held]) -> Bars:
    """Draw what a rank holds, without padding and counters."""
    kinds = ("weights", "gradients", "moments")
    return Bars({name: {kind: getattr(bytes_, kind) for kind in kinds} for name, bytes_ in held.items()})


def sent_table(runs: Mapping[str, Trained], sent: Sequence[int], weights: int) -> Table:
    """Show what a rank sends, by a ring's price and by the kernel's count."""
    rows = [
        [name, ring, f"{ring / weights:.2f} ×", "not told" if run.wire is None else run.wire]
        for (name, run), ring in zip(runs.items(), sent, strict=True)
    ]
    return ["", "in a ring", "of the weights", "through its sockets"], rows


def told_of_sockets(wire: int | None, ring: int) -> str:
    """Say how far what FSDP really sent lies above a ring's price, and why."""
    if wire is None or wire < ring / 2:
        return (
            "What really left this rank cannot be told here: the messages do not go through sockets of Linux."
        )
    excess = f"Under `fully_shard` {wire / ring:.2f} × the bytes of a ring left the sockets of rank 0."
    if wire > 1.2 * ring:
        return (
            f"{excess} That is gloo's doing, which carries messages between CPUs: it makes a reduce-scatter "
            "out of a whole all-reduce and drops the rows that are not asked for. NCCL, between GPUs, has a "
            "reduce-scatter of its own."
        )
    return f"{excess} What goes beyond the ring are the headers of small messages."
