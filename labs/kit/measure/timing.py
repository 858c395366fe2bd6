"""Time two things against each other: in turn, in one process, so that both meet the same weather."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

CPU = torch.device("cpu")
MIN_SAMPLE_S = 2e-3  # a sample shorter than this is mostly the clock and the scheduler …
MIN_SAMPLE_GPU_S = 20e-3  # … and on a GPU the host's way into the first call, behind which the queue is empty
WARM_CALLS = 4  # the fewest: torch.compile compiles at the first call and records a CUDA graph at the second
MOST_WARM_CALLS = 50
STEADY = 0.9  # of the fastest call so far: whoever takes more gets no faster
ROOM = 1.25  # a sample is meant to be a little longer than it must, so that few have to be taken again


class Arms(NamedTuple):
    """Seconds per call of two functions, one entry per round; entry i of both was measured back to back."""

    first: list[float]
    second: list[float]


def in_turn(
    first: Callable[[], Any],
    second: Callable[[], Any],
    *,
    rounds: int = 15,
    min_sample_s: float | None = None,
    threads: int = 1,
    agree: Callable[[float], float] = float,
    device: torch.device = CPU,
) -> Arms:
    """Time two functions in turn, swapping who goes first in every round, and return seconds per call.

    On one thread by default, as torch's own Timer does: with several, one busy core elsewhere makes every call wait.
    `agree` makes one duration of all processes', so that functions with collectives in them are called equally often.
    `device` is where they compute: a sample on a GPU is longer, and timed by events.
    """
    if min_sample_s is None:
        min_sample_s = MIN_SAMPLE_GPU_S if device.type == "cuda" else MIN_SAMPLE_S
    arms = Arms([], [])
    with torch_threads(threads):
        order = [
            (_Sampler(function, min_sample_s, agree, device), samples)
            for function, samples in zip((first, second), arms, strict=True)
        ]
        for sampler, _ in order:
            sampler.warm_up()
        for _ in range(rounds):
            for sampler, samples in order:
                samples.append(sampler.sample())
            order.reverse()
    return arms


@dataclass
class _Sampler:
    """One function, and how many calls of it fill a sample."""

    function: Callable[[], Any]
    min_sample_s: float
    agree: Callable[[float], float]
    device: torch.device
    calls: int = 1

    def warm_up(self) -> None:
        """Call the function until it gets no faster, and only then find out how many calls fill a sample."""
        fastest = math.inf
        for call in range(1, MOST_WARM_CALLS + 1):
            took = self._take()
            if call >= WARM_CALLS and took > STEADY * fastest:
                break
            fastest = min(took, fastest)
        self._fill(min(took, fastest))

    def sample(self) -> float:
        """Return seconds per call over one sample. One that is shorter than meant is taken anew, of more calls."""
        while (took := self._take()) < self.min_sample_s:
            self._fill(took)
        return took / self.calls

    def _take(self) -> float:
        return self.agree(seconds(self.function, self.calls, self.device) * self.calls)

    def _fill(self, took: float) -> None:
        if took < self.min_sample_s:
            wanted = ROOM * self.min_sample_s * self.calls / max(took, 1e-7)
            self.calls = max(self.calls + 1, math.ceil(wanted))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute on so many threads, and put back how many it had."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seconds(function: Callable[[], Any], calls: int, device: torch.device = CPU) -> float:
    """Return the mean duration of one call in seconds: on a GPU by CUDA's own events, on a CPU by the clock.

    Events would time work on a CPU wrongly, since nothing is on the GPU's stream between them.
    """
    if device.type == "cuda":
        return _seconds_by_events(function, calls)
    begun = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - begun) / calls


def _seconds_by_events(function: Callable[[], Any], calls: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(calls):
        function()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1e3 / calls
