"""What lab 15 needs beside its lesson: a file of samples, a web server, memory counts, one pass over a share, its picture."""

import multiprocessing
import os
import random
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from multiprocessing.context import BaseContext
from socketserver import ThreadingTCPServer
from statistics import median
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from labs.kit.draw.diagrams import WARN, Cell, Cells, Row
from labs.kit.measure.memory import process_bytes
from labs.kit.measure.timing import seconds

FILE, FLOAT_BYTES = "samples.bin", 4
BATCH = 64  # samples B of a full batch
LOOK_EVERY = 4  # batches

Share = Sequence[int]  # the numbers of the samples that one worker reads
Origin = tuple[int, int, int]  # the rank and the worker that read a sample, and the sample's number


class Stored:
    """A file of samples in a temporary folder of its own, which goes when nobody holds this object any more."""

    def __init__(self, samples: int, features: int) -> None:
        self.samples, self.features, self.row_bytes = samples, features, features * FLOAT_BYTES
        self.nbytes = samples * self.row_bytes
        self.folder = tempfile.mkdtemp(prefix="lab15-")
        self.path = os.path.join(self.folder, FILE)
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


class Read(NamedTuple):
    """What a loader gave, and by how many bytes two counts of memory had grown at most."""

    numbers: list[int]
    own: int
    others: int


class Trained(NamedTuple):
    """What a training leaves: the weights, and the loss of each batch before the model learnt from it."""

    weights_D: Tensor
    losses: list[float]


def stored_samples(samples: int, features: int) -> Stored:
    """Write the samples to a file, a batch at a time; each rank has a file of its own.

    A sample is a row of F float32 numbers: its own number, its target, and D = F − 2 random features. The
    target is a fixed sum of the features, with weights of norm 1.
    """
    stored = Stored(samples, features)
    weights_D = torch.nn.functional.normalize(torch.randn(features - 2), dim=0)
    with open(stored.path, "wb") as file:
        for numbers_B in torch.arange(samples, dtype=torch.float32).split(BATCH):
            rows_BF = torch.randn(len(numbers_B), features)
            rows_BF[:, 0] = numbers_B
            rows_BF[:, 1] = rows_BF[:, 2:] @ weights_D
            file.write(rows_BF.numpy().tobytes())
    return stored


def held() -> tuple[int, int]:
    """Return the bytes in memory that are this process's own, and those that are resident but not its own.

    Of the second kind are the pages of mapped files: the kernel can drop them, since the file still has them.
    """
    own = process_bytes()
    return own, psutil.Process().memory_info().rss - own


def watched(batches: Iterable[Tensor], before: tuple[int, int]) -> Read:
    """Take every batch, keep its samples' numbers alone, and look every few batches how much memory has grown."""
    numbers, looks = list[int](), []
    for place, batch_BF in enumerate(batches):
        numbers += batch_BF[:, 0].long().tolist()
        looks += [held()] if place % LOOK_EVERY == 0 else []
    own, others = (max(counts) - was for counts, was in zip(zip(*looks, strict=True), before, strict=True))
    return Read(numbers, own, others)


class _Handler(SimpleHTTPRequestHandler):
    """Gives files of a folder, and notes what it was asked for where others would write a line to the screen."""

    def __init__(self, *args: Any, asked: list[str], **kwargs: Any) -> None:
        self.asked = asked
        super().__init__(*args, **kwargs)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        self.asked.append(f"{self.command} {self.path} {int(code)}")

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""


@contextmanager
def serving(folder: str) -> Iterator[tuple[str, list[str]]]:
    """Run a web server on loopback, in a thread; yield its address and the list of what it has been asked."""
    asked = list[str]()
    server = ThreadingTCPServer(("127.0.0.1", 0), partial(_Handler, directory=folder, asked=asked))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Announced(IterableDataset[int]):
    """A stream that says how many samples it has, rightly or not."""

    def __init__(self, said: int, given: int) -> None:
        self.said, self.given = said, given

    def __len__(self) -> int:
        return self.said

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.given))


def loaded(said: int, given: int, batch: int) -> tuple[int, int, int]:
    """Load a stream that says how long it is; return the loader's length, the batches, and the warnings."""
    loader = DataLoader(Announced(said, given), batch_size=batch)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        length, batches = len(loader), len([*loader])
    complaints = [warning for warning in warned if "Length of IterableDataset" in str(warning.message)]
    return length, batches, len(complaints)


def seconds_per_epoch(
    train: Callable[[str, Stored], Trained], ways: tuple[str, ...], stored: Stored
) -> dict[str, float]:
    """Time an epoch of training in each way, in turn, and take the median of three."""
    rounds = [[seconds(partial(train, way, stored), calls=1) for way in ways] for _ in range(3)]
    return dict(zip(ways, map(median, zip(*rounds, strict=True)), strict=True))


class OwnIterator(IterableDataset[tuple[int, int]]):
    """A stream that is its own iterator: whenever an epoch begins it returns the same one."""

    def __init__(self, stored: Stored) -> None:
        self.pairs = enumerate(range(stored.samples))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return self.pairs


MODES: dict[str, dict[str, Any]] = {
    "no worker": {},
    "a new worker": {"num_workers": 1},
    "a persistent worker": {"num_workers": 1, "persistent_workers": True},
}


def two_epochs(
    stored: Stored, make: Callable[[Stored], IterableDataset[tuple[int, int]]], mode: str
) -> tuple[list[int], list[int]]:
    """Go through a stream twice, with one loader."""
    start = worker_start() if MODES[mode] else None
    loader = DataLoader(make(stored), 4, collate_fn=list, multiprocessing_context=start, **MODES[mode])
    first, second = ([number for batch in loader for _, number in batch] for _ in range(2))
    return first, second


def mean_displacement(order: list[int]) -> float:
    """Measure by how many places the samples 0, 1, 2 … moved, on average."""
    order_N = torch.tensor(order, dtype=torch.float64)
    moved = (order_N - torch.arange(len(order))).abs().mean().item()
    return moved


class Pass(Iterator[tuple[int, int]]):
    """One pass over a share, through a buffer that stirs it: gives each sample's number, and who read it.

    It can say how far it is, and a new one can go on from there: the next place in the share, what waits in
    the buffer, and the state of the random numbers.
    """

    def __init__(self, path: str, features: int, share: Share, size: int, seed: int, worker: int) -> None:
        self.rows_NF = np.memmap(path, dtype=np.float32, mode="r").reshape(-1, features)
        self.share, self.size, self.worker = share, size, worker
        self.place, self.buffer, self.rng = 0, list[int](), random.Random(seed)

    def __next__(self) -> tuple[int, int]:
        while len(self.buffer) < self.size and self.place < len(self.share):
            self.buffer.append(int(self.rows_NF[self.share[self.place], 0]))
            self.place += 1
        if not self.buffer:
            raise StopIteration
        return self.worker, self.buffer.pop(self.rng.randrange(len(self.buffer)))

    def state_dict(self) -> dict[str, Any]:
        return {"place": self.place, "buffer": list(self.buffer), "rng": self.rng.getstate()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.place, self.buffer = state["place"], list(state["buffer"])
        self.rng.setstate(state["rng"])


def worker_start() -> BaseContext:
    """Choose how workers are started: from a clean server process where there is one, else anew.

    Two workers took 2.7 s by `spawn`, seen on two cores, since each imports torch. The server imports it
    once, in 1.3 s, and each worker is a fork of that: 0.07 s for two. Its own name stands for this lab's
    file.
    """
    clean = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if clean else "spawn")
    context.set_forkserver_preload(["torchdata.stateful_dataloader", __name__])
    return context


def who_reads(title: str, origins: list[Origin], ranks: int, workers: int) -> Cells:
    """Draw who read which sample: a row for each worker of each rank, in its colour; read before: a warning."""
    rows, seen = [], set[int]()
    for place in range(ranks * workers):
        rank, worker = divmod(place, workers)
        own = [number for *reader, number in origins if reader == [rank, worker]]
        cells = [Cell(str(number), tone=WARN if number in seen else place % 6 + 1) for number in own]
        seen.update(own)
        rows.append(Row(f"{title}, r{rank} w{worker}", cells))
    return Cells(rows)
