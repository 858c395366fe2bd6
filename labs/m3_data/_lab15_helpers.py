"""What lab 15 needs beside its lesson: a file of samples, a web server, counts of memory."""

import os
import shutil
import tempfile
import urllib.request
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any, NamedTuple

import psutil
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from labs.kit.measure.memory import process_bytes

FILE, FLOAT_BYTES = "samples.bin", 4
BATCH = 64  # samples B of a full batch
LOOK_EVERY = 4  # batches


class Stored:
    """A file of samples in a temporary folder of its own, which goes when this object goes."""

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


class _Handler(SimpleHTTPRequestHandler):
    """Gives files of a folder, and notes what it was asked for where others would write a line."""

    def __init__(self, *args: Any, asked: list[str], **kwargs: Any) -> None:
        self.asked = asked
        super().__init__(*args, **kwargs)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        self.asked.append(f"{self.command} {self.path} {int(code)}")

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""


@contextmanager
def serving(folder: str) -> Iterator[tuple[Callable[[], Any], list[str]]]:
    """Run a web server in a thread; yield what opens the file there, and the list of what it has been asked.

    A proxy that may be set for this machine is passed by.
    """
    asked = list[str]()
    server = ThreadingTCPServer(("127.0.0.1", 0), partial(_Handler, directory=folder, asked=asked))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        yield partial(direct.open, f"http://127.0.0.1:{server.server_address[1]}/{FILE}", timeout=30), asked
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
