"""What lab 15 needs for its workers: their start, a pass over a share, two epochs, a part of one."""

import io
import multiprocessing
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset
from torchdata.stateful_dataloader import StatefulDataLoader

from labs.m3_data._lab15_helpers import Stored

Share = Sequence[int]  # the numbers of the samples that one worker reads


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
    stored: Stored, make: Callable[[Stored], IterableDataset[tuple[int, int]]]
) -> dict[str, tuple[list[int], list[int]]]:
    """Go through a stream twice with one loader: without a worker, with new ones, and with one that stays."""
    found = {}
    for mode, workers in MODES.items():
        start = worker_start() if workers else None
        loader = DataLoader(make(stored), 4, collate_fn=list, multiprocessing_context=start, **workers)
        first, second = ([number for batch in loader for _, number in batch] for _ in range(2))
        found[mode] = (first, second)
    return found


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


def part_of_epoch(
    stream: IterableDataset[tuple[int, int]], workers: int, stop: int, state: bytes
) -> tuple[list[int], bytes]:
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


def worker_start() -> BaseContext:
    """Choose how workers are started: from a clean server process where there is one, else anew.

    Two workers took 2.7 s by `spawn`, seen on two cores, since each imports torch. The server imports it
    once, in 1.3 s, and each worker is a fork of that: 0.07 s for two.
    """
    clean = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if clean else "spawn")
    context.set_forkserver_preload([__name__])
    return context
