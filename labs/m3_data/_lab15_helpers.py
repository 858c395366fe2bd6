"""What lab 15 needs beside its lesson: a file of samples, and steps that would be in the way there."""

import io
import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import psutil
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from torchdata.stateful_dataloader import StatefulDataLoader

from labs.kit.measure.memory import process_bytes
from labs.m3_data._lab15_workers import worker_start

FLOAT_BYTES = 4
BATCH = 64  # samples B of a full batch
LOOK_EVERY = 4  # batches

Stream = IterableDataset[tuple[int, int]]  # of the number of the worker that reads, and that of the sample


class Stored:
    """A file of samples in a temporary folder of its own, which goes when this object goes."""

    def __init__(self, samples: int, features: int) -> None:
        self.samples, self.features, self.row_bytes = samples, features, features * FLOAT_BYTES
        self.nbytes = samples * self.row_bytes
        self.folder = tempfile.mkdtemp(prefix="lab15-")
        self.path = os.path.join(self.folder, "samples.bin")
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


def watched(batches: Iterable[Tensor]) -> Read:
    """Take every batch, keep its samples' numbers alone, and look now and then how much memory grew.

    Growth is counted from the lowest level, since the memory of earlier parts may go in the meantime.
    """
    numbers, looks = list[int](), [held()]
    for place, batch_BF in enumerate(batches):
        numbers += batch_BF[:, 0].long().tolist()
        looks += [held()] if place % LOOK_EVERY == 0 else []
    own, others = (max(counts) - min(counts) for counts in zip(*looks, strict=True))
    return Read(numbers, own, others)


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


def trained(loader: DataLoader[Tensor], features: int) -> Trained:
    """Train a linear model for one epoch on what a loader gives.

    Squares are summed and divided by B in every batch, also in the short last one, so that no sample counts
    more than another. With the rate η = B/(B + D + 1) a batch of random features leaves of the loss

        1 − 2η + η²·(1 + (D + 1)/B) = 1 − η,   on average.
    """
    model = torch.nn.Linear(features, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    rate = BATCH / (BATCH + features + 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate / 2)
    losses = []
    for batch_BF in loader:
        error_B = model(batch_BF[:, 2:]).squeeze(1) - batch_BF[:, 1]
        losses.append(error_B.detach().square().mean().item())
        optimizer.zero_grad()
        (error_B.square().sum() / BATCH).backward()
        optimizer.step()
    return Trained(model.weight.detach().squeeze(0), losses)


MODES: dict[str, dict[str, Any]] = {
    "no worker": {},
    "a new worker": {"num_workers": 1},
    "a persistent worker": {"num_workers": 1, "persistent_workers": True},
}


def two_epochs(stored: Stored, make: Callable[[Stored], Stream]) -> dict[str, tuple[list[int], list[int]]]:
    """Go through a stream twice with one loader: without a worker, with new ones, and with one that stays."""
    found = {}
    for mode, workers in MODES.items():
        start = worker_start() if workers else None
        loader = DataLoader(make(stored), 4, collate_fn=list, multiprocessing_context=start, **workers)
        first, second = ([number for batch in loader for _, number in batch] for _ in range(2))
        found[mode] = (first, second)
    return found


def mean_displacement(order: list[int]) -> float:
    """Measure by how many places the samples 0, 1, 2 … moved, on average."""
    order_N = torch.tensor(order, dtype=torch.float64)
    moved = (order_N - torch.arange(len(order))).abs().mean().item()
    return moved


def part_of_epoch(stream: Stream, workers: int, stop: int, state: bytes) -> tuple[list[int], bytes]:
    """Go through a shuffled epoch, from a saved state on if there is one, and stop after so many batches."""
    several: dict[str, Any] = {"num_workers": workers, "multiprocessing_context": worker_start()}
    with warnings.catch_warnings():  # torchdata 0.11 calls what torch 2.13 warns of
        warnings.filterwarnings("ignore", "'set_vital' is deprecated")
        loader = StatefulDataLoader(stream, 4, collate_fn=list, **several)
    if state:
        loader.load_state_dict(torch.load(io.BytesIO(state), weights_only=True))
    numbers, saved = list[int](), io.BytesIO()
    for count, batch in enumerate(loader, 1):
        numbers += [number for _, number in batch]
        if count == stop:
            torch.save(loader.state_dict(), saved)
            break
    return numbers, saved.getvalue()
