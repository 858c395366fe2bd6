"""What the workers of lab 15 need: their start, a stream that is its own iterator, a pass over a share."""

import multiprocessing
import random
from collections.abc import Iterator, Sequence
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np
from torch.utils.data import IterableDataset

Share = Sequence[int]  # the numbers of the samples that one worker reads


class OwnIterator(IterableDataset[tuple[int, int]]):
    """A stream that is its own iterator: whenever an epoch begins it returns the same one."""

    def __init__(self, samples: int) -> None:
        self.pairs = enumerate(range(samples))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return self.pairs


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
    once, in 1.3 s, and each worker is a fork of that: 0.07 s for two.
    """
    clean = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if clean else "spawn")
    context.set_forkserver_preload(["labs.kit", "labs.m3_data._lab15_helpers"])
    return context
