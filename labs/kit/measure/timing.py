"""Time two things against each other: in turn, in one process, so that both meet the same weather."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

MIN_SAMPLE_S = 2e-3  # a sample shorter than this is mostly the clock and the scheduler


class Arms(NamedTuple):
    """Seconds per call of two functions, one entry per round; entry i of both was measured back to back."""

    first: list[float]
    second: list[float]


def in_turn(
    first: Callable[[], Any],
    second: Callable[[], Any],
    *,
    rounds: int = 15,
    min_sample_s: float = MIN_SAMPLE_S,
    threads: int = 1,
    agree: Callable[[float], float] = float,
) -> Arms:
    """Time two functions in turn, swapping who goes first in every round, and return seconds per call.

    On one thread by default, as torch.utils.benchmark does: with several, one busy core elsewhere makes every call wait.
    `agree` makes one duration of all processes', so that functions with collectives in them are called equally often.
    """
    arms = Arms([], [])
    with torch_threads(threads):
        order = [
            (function, samples, calls_per_sample(function, min_sample_s, agree))
            for function, samples in zip((first, second), arms, strict=True)
        ]
        for _ in range(rounds):
            for function, samples, calls in order:
                samples.append(seconds(function, calls))
            order.reverse()
    return arms


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute on so many threads, and put back how many it had."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def calls_per_sample(
    function: Callable[[], Any], min_sample_s: float, agree: Callable[[float], float] = float
) -> int:
    """Warm the function up and return how many calls fill one sample."""
    function()
    calls = 1
    while (took := agree(seconds(function, calls) * calls)) < min_sample_s:
        calls = max(calls * 2, int(calls * min_sample_s / max(took, 1e-7)))
    return calls


def seconds(function: Callable[[], Any], calls: int) -> float:
    """Return the mean duration of one call in seconds: by CUDA's own events where there is CUDA, else by the clock."""
    if torch.cuda.is_available():
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(calls):
            function()
        end.record()
        torch.cuda.synchronize()
        return float(start.elapsed_time(end)) / 1e3 / calls
    begun = time.perf_counter()
    for _ in range(calls):
        function()
    if torch.backends.mps.is_available():
        torch.mps.synchronize()
    return (time.perf_counter() - begun) / calls
