"""What lab 15 needs to show things: a web server that counts, times, and a picture of who reads what."""

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from socketserver import ThreadingTCPServer
from statistics import median
from threading import Thread
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from labs.kit.draw.diagrams import WARN, Cell, Cells, Row
from labs.kit.measure.timing import seconds
from labs.m3_data._lab15_helpers import Stored, trained

HIGHEST = 1e6  # of what is drawn: a training that goes astray ends at infinity

Origin = tuple[int, int, int]  # the rank and the worker that read a sample, and the sample's number


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
        yield (
            partial(direct.open, f"http://127.0.0.1:{server.server_address[1]}/samples.bin", timeout=30),
            asked,
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def seconds_per_epoch(
    make: Callable[[str, Stored], DataLoader[Tensor]], stored: Stored, rounds: int
) -> dict[str, float]:
    """Time an epoch of training in each way, in turn, and take the median of several."""
    loaders = {way: make(way, stored) for way in ("array", "map", "stream")}
    epochs = {way: partial(trained, loader, stored.features - 2) for way, loader in loaders.items()}
    times = [[seconds(epoch, calls=1) for epoch in epochs.values()] for _ in range(rounds)]
    return dict(zip(epochs, map(median, zip(*times, strict=True)), strict=True))


def thinned(series: dict[str, list[float]], count: int) -> tuple[range, dict[str, list[float]]]:
    """Take 17 points or a few more of series of `count` or more."""
    places = range(0, count, count // 16)
    return places, {
        name: [min(HIGHEST, values[place]) for place in places] for name, values in series.items()
    }


def who_reads(title: str, origins: list[Origin], ranks: int, workers: int) -> Cells:
    """Draw who read which sample: each worker in its colour, what was read before in the warning's."""
    rows, seen = [], set[int]()
    for place in range(ranks * workers):
        rank, worker = divmod(place, workers)
        own = [number for *reader, number in origins if reader == [rank, worker]]
        cells = [Cell(str(number), tone=WARN if number in seen else place % 6 + 1) for number in own]
        seen.update(own)
        rows.append(Row(f"{title}, r{rank} w{worker}", cells))
    return Cells(rows)
