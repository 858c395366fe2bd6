"""What labs about `torch.compile` lean on: a backend that counts, a cache of their own, a C++ compiler or the lack of one."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx

from labs.kit.unheard import unheard


class Counting:
    """A backend that compiles nothing: it keeps each graph that it gets and runs it as it is."""

    def __init__(self) -> None:
        self.graphs: list[fx.GraphModule] = []

    def __call__(self, graph: fx.GraphModule, example: list[Tensor]) -> Callable[..., Any]:
        self.graphs.append(graph)
        return graph.forward

    @property
    def operators(self) -> list[int]:
        """Return how many operators each graph calls."""
        return [sum(node.op.startswith("call_") for node in graph.graph.nodes) for graph in self.graphs]


@contextmanager
def forgotten() -> Iterator[None]:
    """Begin and end without any compiled code, and keep the compiler's own messages off the screen."""
    torch.compiler.reset()
    with unheard():
        yield
    torch.compiler.reset()


def reasons() -> list[str]:
    """Return why graphs broke since the last call, each reason as torch words it."""
    from torch._dynamo.utils import counters

    found = list(counters["graph_break"])
    counters["graph_break"].clear()
    return found


def cache_counts() -> tuple[int, int]:
    """Return how many compiled graphs were found in the cache, and how many were not, since the last call."""
    from torch._dynamo.utils import counters

    found = counters["inductor"]["fxgraph_cache_hit"], counters["inductor"]["fxgraph_cache_miss"]
    counters["inductor"].clear()
    return found


@cache
def own_cache() -> str:
    """Let this process, and those that it starts, keep compiled code in a folder that goes when it ends; return the folder.

    Where a folder was handed down by the process that started this one, that one is used, and left alone. All is compiled
    in the process itself: no pool of workers is started, which would outlive what asked for it.
    """
    import torch._inductor.config

    torch._inductor.config.compile_threads = 1
    if folder := os.environ.get("LABS_COMPILE_CACHE"):
        return folder
    folder = tempfile.mkdtemp(prefix="labs-compile-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ.update(LABS_COMPILE_CACHE=folder, TORCHINDUCTOR_CACHE_DIR=folder, TRITON_CACHE_DIR=os.path.join(folder, "triton"))
    return folder


def missing_compiler(device: torch.device) -> str:
    """Say what inductor lacks here, or return an empty string."""
    names = (os.environ.get("CXX"), "g++", "c++", "clang++") if device.type == "cpu" else (os.environ.get("CC"), "gcc", "cc", "clang")
    return "" if any(shutil.which(name) for name in names if name) else f"no {'C++' if device.type == 'cpu' else 'C'} compiler"
