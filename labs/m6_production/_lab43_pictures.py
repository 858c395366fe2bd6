"""The pictures and tables of lab 43: what they show is read off messages, backward passes and events."""

import json
import math
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from labs.kit.draw.diagrams import WARN, Cell, Cells, Row, Span, Timeline

Event = dict[str, Any]  # a line that interrupted_training.py writes


def from_all(value: Any) -> list[Any]:
    """Return what every rank has, in the order of ranks."""
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


# The ring ---------------------------------------------------------------------------------------------------


def marked(rank: int, ranks: int) -> Tensor:
    """Return R chunks of R numbers in one row, in which a sum still shows whose numbers are in it.

    Number `rank` of chunk c is c + 1, the others are 0.
    """
    chunks = torch.zeros(ranks, ranks, dtype=torch.int64)
    chunks[:, rank] = torch.arange(1, ranks + 1)
    return chunks.flatten()


def turns_of_ring(sent: list[Tensor]) -> Cells:
    """Draw rank 0's chunks after each turn of a ring over `marked` rows, from what its left one sent."""
    arrivals, ranks = from_all(sent)[-1], dist.get_world_size()
    chunks = [{0} for _ in range(ranks)]
    rows = [Row("at first", [_chunk(chunk) for chunk in chunks])]
    for turn, message in enumerate(arrivals, 1):
        place, whose = (int(message.max()) - 1) % ranks, set(message.nonzero().flatten().tolist())
        done = "passed on" if 0 in whose else "added"
        chunks[place] = whose | {0}
        rows.append(Row(f"turn {turn}: {done}", [_chunk(chunk) for chunk in chunks]))
    counts = range(1, min(ranks, 6) + 1)
    return Cells(rows, legend={count: f"numbers of {count} of {ranks} ranks" for count in counts})


def _chunk(whose: set[int]) -> Cell:
    text = "+".join(map(str, sorted(whose))) if len(whose) < 5 else f"{len(whose)} ranks"
    return Cell(text, tone=len(whose))


# A backward pass under DDP ----------------------------------------------------------------------------------


class Noted(NamedTuple):
    """One thing that happened: a gradient is ready, a bucket is sent, a bucket is averaged."""

    what: str
    size: int  # bytes
    at: float  # seconds

    @classmethod
    def now(cls, what: str, size: int) -> "Noted":
        return cls(what, size, time.perf_counter())


def sizes_of(what: str, events: list[Noted]) -> list[int]:
    """Return the bytes of everything of a kind, in the order of time."""
    return [event.size for event in events if event.what == what]


def sent_early(events: list[Noted]) -> tuple[int, int]:
    """Count the buckets that were sent before the last gradient was ready, and all buckets."""
    last = max(place for place, event in enumerate(events) if event.what == "gradient")
    return len(sizes_of("bucket", events[:last])), len(sizes_of("bucket", events))


def bucket_rows(caps: Sequence[float | None], sent: list[list[int]]) -> list[tuple[str, int, str]]:
    """Return a table's rows: the cap, how many buckets, and the bytes of the first four."""
    texts = [", ".join(f"{size:,}" for size in sizes[:4]) + ", …" * (len(sizes) > 4) for sizes in sent]
    return [
        (str(cap or "default"), len(sizes), text) for cap, sizes, text in zip(caps, sent, texts, strict=True)
    ]


def overlap(step: str, events: list[Noted]) -> Timeline:
    """Draw a backward pass, gradient by gradient, and below it each bucket on its way."""
    begin = events[0].at
    ready = [begin, *(event.at for event in events if event.what == "gradient")]
    spans = [Span((start - begin) * 1e3, (end - begin) * 1e3) for start, end in pairwise(ready)]
    lanes = {f"{step}: backward": spans}
    for number, sent in enumerate(event for event in events if event.what == "bucket"):
        done = next(event.at for event in events if event.what == f"averaged {number}")
        text = f"{sent.size / 2**20:.1f} MiB"
        lanes[f"bucket {number + 1}"] = [Span((sent.at - begin) * 1e3, (done - begin) * 1e3, text, tone=2)]
    return Timeline(lanes, unit="ms", legend={1: "computing gradients", 2: "a bucket on its way"})


def rows_of_passes(passes: dict[str, tuple[Tensor, str]], whole_P: Tensor) -> list[tuple[str, str, str]]:
    """Return a table's rows: an option, whether the gradients are those of the whole batch, what was said."""
    rows = []
    for option, (found_P, said) in passes.items():
        averaged = found_P.shape == whole_P.shape and torch.allclose(found_P, whole_P)
        rows.append((option, "all" if averaged else "none", said))
    return rows


# Samples ----------------------------------------------------------------------------------------------------


def epochs_in_words(samples: int, epochs: list[list[int]]) -> tuple[int, int, int, str]:
    """Return of two epochs how many were drawn, drawn twice, and left out, and whether the order changed."""
    first, second = epochs
    different = len(set(first))
    order = "the same" if second == first else "another"
    return len(first), len(first) - different, samples - different, order


# A rank that is missing -------------------------------------------------------------------------------------


class Witness(NamedTuple):
    """What a rank saw of a collective that another one skipped."""

    said: str
    waited_s: float
    begun: int | None  # collectives of this rank, by the flight recorder


def collectives_begun(since_ns: int) -> int | None:
    """Return how many collectives this rank has begun since, by torch's flight recorder, if there is one."""
    dump = getattr(torch._C._distributed_c10d, "_dump_fr_trace_json", None)
    entries = json.loads(dump() or "{}").get("entries", []) if dump else []
    return sum(entry["time_created_ns"] >= since_ns for entry in entries) if entries else None


def witness_rows(seen: list[Witness]) -> list[tuple[int, str, str, str]]:
    """Return a table's rows, one for each rank."""
    return [(rank, one.said, f"{one.waited_s:.2f}", str(one.begun)) for rank, one in enumerate(seen)]


def seconds_to_time_out(seen: list[Witness]) -> float:
    """Return how long the others waited until they were told; infinity where one never was."""
    return max((one.waited_s if "imed out" in one.said else math.inf for one in seen[:-1]), default=0.0)


# A training that is killed ----------------------------------------------------------------------------------


def attempts_of(events: list[Event]) -> list[list[Event]]:
    """Divide the events of a training on two ranks into its attempts."""
    begins = [place for place, event in enumerate(events) if event["event"] == "begin"][::2]
    return [events[begin:end] for begin, end in zip(begins, [*begins[1:], None], strict=True)]


def begins_and_ends(events: list[Event]) -> list[object]:
    """Return the step at which each attempt began, and the hash of the weights with which each rank ended."""
    begins = [attempt[0]["step"] for attempt in attempts_of(events)]
    return [*begins, *(event["weights"] for event in events if event["event"] == "end")]


def seconds_to_notice(events: list[Event]) -> float:
    """Return after how long, at the most, the other rank noticed a kill; both have the same clock."""
    late = [math.inf]
    for attempt in attempts_of(events)[:-1]:
        at = {event["event"]: float(event["time"]) for event in attempt}
        late.append(at.get("noticed", math.inf) - at.get("killed", -math.inf))
    return max(late[1:], default=math.inf)


def attempts_drawn(events: list[Event]) -> Timeline:
    """Draw which steps each attempt did, and which of them were lost."""
    attempts = attempts_of(events)
    begins = [float(attempt[0]["step"]) for attempt in attempts]
    lanes = {}
    for number, (attempt, begin) in enumerate(zip(attempts, begins, strict=True)):
        end = max(float(event["step"]) for event in attempt)
        kept = begins[number + 1] if number + 1 < len(begins) else end
        lost = [Span(kept, end, tone=WARN)] if end > kept else []
        lanes[f"attempt {number + 1}"] = [Span(begin, kept), *lost]
    return Timeline(lanes, unit="steps", legend={1: "steps done", WARN: "done, lost, done again"})
