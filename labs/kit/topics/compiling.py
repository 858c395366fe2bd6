"""What labs about `torch.compile` lean on: things to compile, a backend that counts, a cache of their own, a C++ compiler or its lack."""

import atexit
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, fx, nn

from labs.kit.measure.memory import allocations
from labs.kit.measure.timing import torch_threads
from labs.kit.topics.quiet_libraries import quiet_libraries

Function = Callable[..., Tensor]


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
def fresh_compiler() -> Iterator[None]:
    """Begin and end without any compiled code, and keep the compiler's own messages off the screen."""
    torch.compiler.reset()
    with quiet_libraries():
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
    folder = os.environ.get("LABS_COMPILE_CACHE", "")
    if not folder:
        folder = tempfile.mkdtemp(prefix="labs-compile-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ.update(
            LABS_COMPILE_CACHE=folder,
            TORCHINDUCTOR_CACHE_DIR=folder,
            TRITON_CACHE_DIR=os.path.join(folder, "triton"),
        )
    name_without_spaces(folder)
    return folder


def name_without_spaces(folder: str) -> None:
    """Give torch's libraries another name, a link in this folder, where theirs has a space: inductor does not quote it for the linker."""
    from torch.utils import cpp_extension

    if " " in cpp_extension.TORCH_LIB_PATH:
        link = os.path.join(folder, "torch-libraries")
        with suppress(FileExistsError):
            os.symlink(cpp_extension.TORCH_LIB_PATH, link)
        cpp_extension.TORCH_LIB_PATH = link


def missing_compiler(device: torch.device) -> str:
    """Say what inductor lacks here, or return an empty string."""
    names = (
        (os.environ.get("CXX"), "g++", "c++", "clang++")
        if device.type == "cpu"
        else (os.environ.get("CC"), "gcc", "cc", "clang")
    )
    return (
        ""
        if any(shutil.which(name) for name in names if name)
        else f"no {'C++' if device.type == 'cpu' else 'C'} compiler"
    )


@cache
def compiled_in(function: Function, mode: str) -> Function:
    """Return a function compiled by inductor in a mode; the same one for the same mode."""
    own_cache()
    return torch.compile(function, mode=mode)


def compiled_anew(function: Function, *arguments: Any) -> None:
    """Compile and call a function as if it were the first time in this process."""
    with fresh_compiler():
        torch.compile(function)(*arguments)


def told_first_call(function: Function, *arguments: Any) -> None:
    """Print the seconds of the first call in this process, and what the cache gave, as one line of JSON."""
    own_cache()
    with torch_threads(1):
        begun = time.perf_counter()
        torch.compile(function)(*arguments)
        seconds = time.perf_counter() - begun
    hits, misses = cache_counts()
    print(json.dumps({"seconds": seconds, "hits": hits, "misses": misses}))


def allocated_by(call: Callable[[], object]) -> int:
    """Return the bytes that a call allocates in all, once it is warm."""
    call()
    return sum(change for change in allocations(call) if change > 0)


def kernel_in(code: str) -> str:
    """Cut the first kernel out of the module that inductor wrote."""
    begin = max(code.find('extern "C"'), code.find("@triton.jit"), 0)
    return code[begin : code.find("''')", begin)].replace("    ", "  ")


def noted(sent: list[int], bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    """Note a bucket's bytes, and add it up over all ranks, as a communication hook of DDP."""
    sent.append(bucket.buffer().nbytes)
    summed: torch.futures.Future[Any] = dist.all_reduce(bucket.buffer(), async_op=True).get_future()
    return summed.then(lambda done: done.value()[0])


class Counted(nn.Module):
    """Multiplies by the number of its call: kept as a Python number, or in a tensor."""

    def __init__(self, *, in_tensor: bool) -> None:
        super().__init__()
        self.calls: Any = torch.zeros(()) if in_tensor else 0

    def forward(self, x_N: Tensor) -> Tensor:
        self.calls = self.calls + 1
        out: Tensor = x_N * self.calls
        return out
