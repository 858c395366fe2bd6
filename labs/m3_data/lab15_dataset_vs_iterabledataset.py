"""Lab 15 · Dataset vs. IterableDataset · Dataset a IterableDataset

Question:
    How do you train on data that does not fit in memory?

You will see:
    - A memory map: every sample of a large file is read, and the process's own memory grows by less than an eighth of the file.
    - The pages of the file do show up, in a count of their own. They belong to the kernel, which takes them back when it needs room.
    - A stream, from disk and from a web server: the same little memory, but no way to ask for sample 7.
    - The classic bug: an unsharded stream with W workers on R ranks gives every sample W·R times. You write the rule that deals them out.
    - What a shuffle buffer of K is worth: samples move by 2K(1 - 1/K)ᴷ places, about 0.74·K, however long the stream is.
    - An epoch that stops in the middle and goes on with the very sample that comes next, two workers and shuffling included.

Run:
    make lab-15
    make lab-15 NODES=2 PROCS=2
    python -m labs.m3_data.lab15_dataset_vs_iterabledataset --smoke

Needs:
    1 process or more, no GPU, 1 GiB of memory, 1 minute

Builds on:
    nothing; the ranks that share the data here train together in lab 43

Sources:
    - PyTorch documentation: torch.utils.data, sections Dataset Types and Multi-process data loading; torchdata: Stateful DataLoader
    - Linux manual pages: proc_pid_status(5), on RssAnon, RssFile and RssShmem; mmap(2)
    - P. Diaconis, R. L. Graham, "Spearman's Footrule as a Measure of Disarray", JRSS B 1977: mean and variance of the displacement

Notebook:
    15_Dataset_vs_IterableDataset.ipynb
"""

import io
import multiprocessing
import os
import random
import shutil
import tempfile
import urllib.request
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler
from multiprocessing.context import BaseContext
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info
from torchdata.stateful_dataloader import StatefulDataLoader

from labs.kit import Lab, Mutant, exercise, main
from labs.kit.measure.memory import process_bytes

# Shape letters: N samples, F numbers of a sample, B samples of a batch.

Share = Sequence[int]  # the numbers of the samples that one worker reads
FILE, FLOAT_BYTES = "samples.bin", 4
BATCH, STOP = 64, 10  # samples B; batches after which an epoch is interrupted


@dataclass(frozen=True)
class Config:
    """Sizes of this lab. The numbers of samples are primes, so that no number of workers divides them."""

    samples: int = 65_537  # samples N of the file; below 2**24, so that float32 can hold their numbers
    features: int = 1024  # numbers F of a sample, 4 bytes each
    workers: int = 2  # DataLoader workers of each rank
    buffer: int = 64  # samples K of the shuffle buffer, far fewer than N

    @classmethod
    def smoke(cls) -> "Config":
        return cls(samples=32_771)


class Stored:
    """A file of samples in a temporary folder of its own, which goes when nobody holds this object any more."""

    def __init__(self, samples: int, features: int) -> None:
        self.samples, self.features, self.row_bytes = samples, features, features * FLOAT_BYTES
        self.nbytes = samples * self.row_bytes
        self.folder = tempfile.mkdtemp(prefix="lab15-")
        self.path = os.path.join(self.folder, FILE)
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


class Read(NamedTuple):
    """What a loader gave, and by how many bytes memory had grown at most; `mapped` is None where nobody counts it."""

    numbers_N: Tensor
    anonymous: int
    mapped: int | None


class MappedSamples(Dataset[Tensor]):
    """Map-style: it knows how many samples there are and gives the one that is asked for."""

    def __init__(self, rows_NF: np.ndarray) -> None:
        self.rows_NF = rows_NF

    def __len__(self) -> int:
        return len(self.rows_NF)

    def __getitem__(self, index: int) -> Tensor:
        return torch.tensor(self.rows_NF[index])


class StreamedSamples(IterableDataset[Tensor]):
    """Iterable: it opens a stream and gives one sample after the other, until nothing comes."""

    def __init__(self, opened: Callable[[], Any], row_bytes: int) -> None:
        self.opened, self.row_bytes = opened, row_bytes

    def __iter__(self) -> Iterator[Tensor]:
        with self.opened() as stream:
            while row := stream.read(self.row_bytes):
                yield torch.frombuffer(bytearray(row), dtype=torch.float32)


class Numbers(IterableDataset[int]):
    """Iterable, for several workers: each reads its share (all, where none were dealt) and stirs it in a buffer.

    Every worker holds a copy of this object; which of them it is, only `get_worker_info()` can tell.
    """

    def __init__(self, stored: Stored, shares: tuple[Share, ...], size: int = 1) -> None:
        self.path, self.row_bytes, self.samples, self.shares = (
            stored.path,
            stored.row_bytes,
            stored.samples,
            shares,
        )
        self.size, self.place, self.buffer, self.rng = size, 0, list[int](), random.Random(0)

    def __iter__(self) -> Iterator[int]:
        worker = get_worker_info()
        share = self.shares[worker.id if worker else 0] if self.shares else range(self.samples)
        with open(self.path, "rb") as file:
            for number in share[self.place :]:
                file.seek(number * self.row_bytes)
                self.buffer.append(int(np.frombuffer(file.read(FLOAT_BYTES), np.float32)[0]))
                self.place += 1
                if len(self.buffer) == self.size:
                    yield self.buffer.pop(self.rng.randrange(self.size))
        while self.buffer:
            yield self.buffer.pop(self.rng.randrange(len(self.buffer)))

    def state_dict(self) -> dict[str, Any]:
        return {"place": self.place, "buffer": list(self.buffer), "rng": self.rng.getstate()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.place, self.buffer = state["place"], list(state["buffer"])
        self.rng.setstate(state["rng"])


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Write no line for a request."""


def stored_samples(samples: int, features: int) -> Stored:
    """Write the samples to a file, a few at a time.

    Sample i is a row of F float32 numbers, all of them i, so it tells its own number. Each rank writes a file of its own.
    """
    stored = Stored(samples, features)
    with open(stored.path, "wb") as file:
        for start in range(0, samples, BATCH):
            numbers_B = np.arange(start, min(start + BATCH, samples), dtype=np.float32)
            file.write(np.repeat(numbers_B, features).tobytes())
    return stored


@exercise(
    "Do not read the file. Ask the operating system to lay it into your address space; it fetches a page when you touch it.",
    "`np.memmap` is an array over such a mapping. How many rows there are follows from the file's length.",
    "`np.memmap(path, dtype=np.float32, mode='r')` is one long row of numbers; `.reshape(-1, features)` copies nothing.",
)
def mapped_rows(path: str, features: int) -> np.ndarray:
    """Open a file of float32 numbers as an array (N, F) without reading it.

    A mapped page costs nothing until it is touched. Then the kernel reads it into its cache, one copy for all processes, and
    may drop it at any time, because the file still has it. An array of your own has no file behind it: the kernel must keep it.
    """
    numbers = np.memmap(path, dtype=np.float32, mode="r")
    rows_NF = numbers.reshape(-1, features)
    return rows_NF


def read_through_map(stored: Stored) -> Read:
    """Read every sample through the map, in batches, and watch the memory.

    A map-style dataset leaves the order to the loader, which can shuffle perfectly and deal indices to its workers. Jumping
    about must be cheap, though. And give workers the path: an open map goes by pickle, as a full copy of the data.
    """
    before = held()
    rows_NF = mapped_rows(stored.path, stored.features)
    read = watched(DataLoader(MappedSamples(rows_NF), batch_size=BATCH), before)
    return read


def read_as_stream(stored: Stored) -> Read:
    """Read every sample as a stream from disk, and watch the memory.

    `read` copies into a buffer of ours, so the file's pages never appear in this process. A stream cannot give its length,
    start in the middle, or be shuffled and dealt to workers by the loader.
    """
    before = held()
    opened = partial(open, stored.path, "rb")
    read = watched(DataLoader(StreamedSamples(opened, stored.row_bytes), batch_size=BATCH), before)
    return read


def read_over_http(stored: Stored) -> Read:
    """Read the same stream from a web server, which runs in a thread of this process for as long as it takes.

    To the dataset nothing changes. Data that does not even fit on the disk is read this way, from object storage.
    """
    before = held()
    server = ThreadingTCPServer(("127.0.0.1", 0), partial(Quiet, directory=stored.folder))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}/{FILE}"
        opened = partial(
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open, address, timeout=30
        )
        read = watched(DataLoader(StreamedSamples(opened, stored.row_bytes), batch_size=BATCH), before)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    return read


@exercise(
    "Number all workers of all ranks from 0 up: the third worker of the second rank is one place in that row.",
    "There are ranks · workers places. Deal the samples like cards: the place takes every such-and-such sample, from its own on.",
    "`range(rank * workers + worker, samples, ranks * workers)`",
)
def share_of(samples: int, rank: int, ranks: int, worker: int, workers: int) -> Share:
    """Name the samples that one worker of one rank reads.

    Nobody needs to be asked: who knows its rank and its worker's number knows its share. All shares together must be all
    samples, each once, and no two shares may differ by more than one sample, for any N, also where N is small or prime.
    Ranks may still get unequal numbers of batches, which in training is a hang; lab 43 shows the cure.
    """
    place, places = rank * workers + worker, ranks * workers
    share = range(place, samples, places)
    return share


def read_by_workers(stored: Stored, workers: int, shares: tuple[Share, ...]) -> list[int]:
    """Read the stream with several workers on every rank, and collect from all ranks the numbers of what came.

    The loader runs the same iterator in each worker and joins what they give. It cannot know that they give the same: no
    error is raised, the epoch is only W times as long.
    """
    loader = DataLoader(
        Numbers(stored, shares),
        BATCH,
        num_workers=workers,
        collate_fn=list,
        multiprocessing_context=worker_start(),
    )
    own = [number for batch in loader for number in batch]
    parts: list[list[int]] = [[]] * dist.get_world_size()
    dist.all_gather_object(parts, own)
    numbers = [number for part in parts for number in part]
    return numbers


@exercise(
    "Keep at most K numbers. Whenever there are K, one of them, drawn by chance, goes out and makes room.",
    "The numbers come in order, from `range(samples)`. At the end the buffer still holds some: they too go out in a random order.",
    "`buffer.pop(random.randrange(len(buffer)))` draws one; do it whenever `len(buffer) == size`, and after the loop until it is empty.",
)
def through_buffer(samples: int, size: int) -> list[int]:
    """Shuffle a stream of the numbers 0 … N - 1 by a buffer of K places, and return the order in which they come out.

    A stream cannot be shuffled, but it can be stirred. The next to go out is drawn from the K that are here, the one that has
    just come among them. So none comes more than K - 1 places early; being late has no limit. K = 1 changes nothing, K ≥ N
    is a perfect shuffle. `random` is already seeded.
    """
    buffer, order = list[int](), list[int]()
    for number in range(samples):
        buffer.append(number)
        if len(buffer) == size:
            order.append(buffer.pop(random.randrange(size)))
    while buffer:
        order.append(buffer.pop(random.randrange(len(buffer))))
    return order


def mean_displacement(order: list[int]) -> float:
    """Measure by how many places a sample moved, on average.

    A sample in the buffer leaves with chance 1/K at each step, so its stay G is geometric: P(G = g) = (1 - 1/K)ᵍ/K, with mean
    K - 1. It entered K - 1 places early. So for N much larger than K it moves on average by

        E|G - (K - 1)| = 2K·(1 - 1/K)ᴷ ≈ 2K/e ≈ 0.74·K

    A perfect shuffle moves it by (N² - 1)/(3N), a third of the stream. Where all cats come before all dogs a small buffer
    does not mix them: shuffle once when you write the data, and let the buffer stir it anew in each epoch.
    """
    order_N = torch.tensor(order, dtype=torch.float64)
    moved = (order_N - torch.arange(len(order))).abs().mean().item()
    return moved


def part_of_epoch(
    stored: Stored, shares: tuple[Share, ...], size: int, stop: int, state: bytes
) -> tuple[list[int], bytes]:
    """Go through a shuffled epoch with workers, from a saved state on where there is one, and stop after so many batches.

    Asking the dataset how far it is would be wrong: workers run ahead of what has been trained on. `StatefulDataLoader` sends
    their states along with their batches, so its own state is that of the last batch you got. It asks the dataset for its
    `state_dict`; without one it would count, and read everything again up to there. Each rank saves its own, as bytes.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "'set_vital' is deprecated"
        )  # torchdata 0.11 calls it; torch 2.13 warns
        several: Any = {"num_workers": len(shares), "multiprocessing_context": worker_start()}
        loader = StatefulDataLoader(Numbers(stored, shares, size), BATCH, collate_fn=list, **several)
    if state:
        loader.load_state_dict(torch.load(io.BytesIO(state), weights_only=True))
    numbers, saved = list[int](), io.BytesIO()
    for count, batch in enumerate(loader, 1):
        numbers += batch
        if count == stop:
            torch.save(loader.state_dict(), saved)
            break
    return numbers, saved.getvalue()


def held() -> tuple[int, int | None]:
    """Return the bytes that this process holds: anonymous ones, and pages of files, which only Linux counts apart (as "shared")."""
    shared = getattr(psutil.Process().memory_info(), "shared", None)
    return process_bytes(), shared


def watched(batches: Iterable[Tensor], before: tuple[int, int | None]) -> Read:
    """Take every batch, keep its samples' numbers alone, and look at every eighth batch how much memory has grown."""
    numbers, looks = list[int](), []
    for place, batch_BF in enumerate(batches):
        numbers += (
            batch_BF[:, 0].long().tolist()
        )  # no small tensors that stay between large ones that go: the heap would be full of holes
        looks += [held()] if place % 8 == 0 else []
    anonymous = max(now for now, _ in looks) - before[0]
    mapped = None if before[1] is None else max(now or 0 for _, now in looks) - before[1]
    return Read(torch.tensor(numbers), anonymous, mapped)


def worker_start() -> BaseContext:
    """Choose how workers are started.

    `fork` copies a process in which gloo's threads run, and a lock that one of them holds stays locked in the copy for ever.
    `spawn` is safe and imports torch in each worker: 2.7 s for two workers, seen on two cores. `forkserver` is safe too: one
    clean process imports torch, 1.3 s once, and every worker is a fork of that, 0.07 s for two.
    """
    clean = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if clean else "spawn")
    context.set_forkserver_preload(["torch.utils.data", "torchdata.stateful_dataloader"])
    return context


def run(cfg: Config, lab: Lab) -> None:
    rank, ranks, N, K, W = lab.world.rank, lab.world.size, cfg.samples, cfg.buffer, cfg.workers
    stored = lab.step(stored_samples, N, cfg.features)
    everything_N = torch.arange(N)
    little, why = (
        stored.nbytes // 8,
        "an eighth of the file; what is held at once is a few batches, B·F·4 bytes each",
    )

    lab.step(mapped_rows, stored.path, cfg.features)
    by_map = lab.step(read_through_map, stored)
    lab.equal("15.map-once", "the map gives every sample exactly once", by_map.numbers_N, everything_N)
    lab.bytes(
        "15.map-memory",
        "and the process's own memory hardly grows",
        by_map.anonymous,
        at_most=little,
        because=why,
    )
    pages = "the file's pages are counted apart, and do grow"
    if by_map.mapped is not None:
        lab.bytes("15.map-pages", pages, by_map.mapped, at_least=stored.nbytes // 2,
                  because="each page was touched; half is asked for, since the kernel may take pages back")  # fmt: skip
    else:
        lab.not_measured("only Linux counts mapped pages apart", {"15.map-pages": ("bytes", pages)})

    streamed = lab.step(read_as_stream, stored)
    lab.equal(
        "15.stream-once",
        "a stream from disk gives every sample exactly once",
        streamed.numbers_N,
        everything_N,
    )
    lab.bytes("15.stream-memory", "with as little memory", streamed.anonymous, at_most=little, because=why)
    fetched = lab.step(read_over_http, stored)
    lab.equal("15.http-once", "so does a stream over HTTP", fetched.numbers_N, everything_N)
    lab.bytes(
        "15.http-memory",
        "with as little memory, the server's included",
        fetched.anonymous,
        at_most=little,
        because=why,
    )
    ways = {"memory map": by_map, "stream from disk": streamed, "stream over HTTP": fetched}
    rows = [
        (way, stored.nbytes, read.anonymous, "not counted" if read.mapped is None else read.mapped)
        for way, read in ways.items()
    ]
    lab.table("Bytes by which the process grew", ["read by", "file", "anonymous", "pages of files"], rows)

    cases = [
        (samples, size, workers) for samples in range(14) for size in range(1, 5) for workers in range(1, 4)
    ]
    dealt = [[lab.step(share_of, samples, place // workers, size, place % workers, workers) for place in range(size * workers)]
             for samples, size, workers in cases]  # fmt: skip
    together = [sorted(number for share in shares for number in share) for shares in dealt]
    wanted = [list(range(samples)) for samples, _, _ in cases]
    lab.equal("15.rule", "the shares of any ranks × workers are all samples, each once", together, wanted)
    uneven = max(max(map(len, shares)) - min(map(len, shares)) for shares in dealt)
    lab.count(
        "15.even",
        "and differ in length by one at most",
        uneven,
        at_most=1,
        unit="samples",
        because="N = q·R·W + r, r < R·W",
    )

    shares = tuple(lab.step(share_of, N, rank, ranks, worker, W) for worker in range(W))
    sharded = lab.step(read_by_workers, stored, W, shares)
    lab.equal(
        "15.partition",
        "all workers of all ranks together read every sample once",
        sorted(sharded),
        list(range(N)),
    )
    unsharded = lab.step(read_by_workers, stored, W, ())
    lab.equal(
        "15.duplicates",
        "unsharded, each worker of each rank reads every sample",
        sorted(unsharded),
        sorted([*range(N)] * W * ranks),
    )

    sizes = sorted({*(4**power for power in range(12) if 4**power < N // 2), K, N})
    orders = {size: lab.step(through_buffer, N, size) for size in sizes}
    came = [sorted(order) for order in orders.values()]
    lab.equal(
        "15.permutation", "whatever K, what comes out is what went in", came, [list(range(N))] * len(sizes)
    )
    lab.equal("15.buffer-one", "a buffer of one changes nothing", orders[1], list(range(N)))
    early = max(number - place for place, number in enumerate(orders[K]))
    lab.count(
        "15.early",
        f"a buffer of {K} lets none out K places early",
        early,
        at_most=K - 1,
        unit="places",
        because="K - 1 wait too",
    )
    moved = {size: lab.step(mean_displacement, order) for size, order in orders.items()}
    perfect = (N * N - 1) / (3 * N)
    lab.close("15.stirred", "and moves samples by 2K(1 - 1/K)ᴷ", moved[K], by_formula(K), tolerance=5 * K / N**0.5 + K * K / N,
              because="five standard errors of at most K/√N, and K of N samples at the ends")  # fmt: skip
    lab.close("15.shuffled", "a buffer of N moves them as a perfect shuffle does", moved[N], perfect,
              tolerance=5 * (2 * N / 45) ** 0.5, because="five standard errors, each √(2N/45): Diaconis and Graham")  # fmt: skip
    lines = {
        "by formula, K ≪ N": [by_formula(size) for size in sizes],
        "perfect shuffle": [perfect] * len(sizes),
    }
    series = {"measured": list(moved.values()), **lines}
    lab.plot(
        "What a shuffle buffer is worth",
        sizes,
        series,
        x_label="buffer K",
        y_label="mean displacement",
        log_x=True,
        log_y=True,
    )

    whole, _ = lab.step(part_of_epoch, stored, shares, K, 0, b"")
    first, state = lab.step(part_of_epoch, stored, shares, K, STOP, b"")
    rest, _ = lab.step(part_of_epoch, stored, shares, K, 0, state)
    lab.equal("15.resumed", "interrupted and resumed, an epoch keeps its order", first + rest, whole)
    lab.table(
        "An epoch of rank 0",
        ["samples before", "samples after", "bytes of state"],
        [(len(first), len(rest), len(state))],
    )


def by_formula(size: int) -> float:
    return float(2 * size * (1 - 1 / size) ** size)


MUTANTS = (
    Mutant(
        "reads the whole file",
        mapped_rows,
        'np.memmap(path, dtype=np.float32, mode="r")',
        "np.fromfile(path, dtype=np.float32)",
    ),
    Mutant("takes the numbers for integers", mapped_rows, "dtype=np.float32", "dtype=np.int32"),
    Mutant("makes one batch of the stream", read_as_stream, "batch_size=BATCH", "batch_size=stored.samples"),
    Mutant("cuts every sample in two", read_as_stream, "stored.row_bytes", "stored.row_bytes // 2"),
    Mutant(
        "makes one batch of the response", read_over_http, "batch_size=BATCH", "batch_size=stored.samples"
    ),
    Mutant("cuts the response in halves", read_over_http, "stored.row_bytes", "stored.row_bytes // 2"),
    Mutant("forgets the rank", share_of, "rank * workers + worker, ranks * workers", "worker, workers"),
    Mutant("mixes up ranks and workers", share_of, "rank * workers + worker", "rank + worker * workers"),
    Mutant("starts one worker", read_by_workers, "num_workers=workers", "num_workers=1"),
    Mutant(
        "lets each worker read everything", read_by_workers, "Numbers(stored, shares)", "Numbers(stored, ())"
    ),
    Mutant("lets the oldest out", through_buffer, "random.randrange(size)", "0"),
    Mutant(
        "forgets what is left in the buffer", through_buffer, "while buffer:", "while len(buffer) >= size:"
    ),
    Mutant("empties the buffer in order", through_buffer, "random.randrange(len(buffer))", "0"),
    Mutant("keeps twice as many", through_buffer, "len(buffer) == size", "len(buffer) == 2 * size"),
    Mutant("begins at the end", through_buffer, "range(samples)", "reversed(range(samples))"),
    Mutant("counts both ways", mean_displacement, ".abs()", ""),
    Mutant("begins anew", part_of_epoch, "if state:", "if False:"),
)


if __name__ == "__main__":
    main(run, Config)
