"""What lab 33 does with inductor, torch's own backend: its own cache, new processes, work that is counted."""

import atexit
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from labs.kit import Lab
from labs.kit.measure.memory import allocations
from labs.kit.measure.timing import in_turn, torch_threads
from labs.kit.topics.quiet_libraries import quiet_libraries

Function = Callable[..., Tensor]
Call = Callable[[], object]
PROGRAM = """
import torch
from labs.m5_training import lab33_torch_compile_intro as lab33
from labs.m5_training._lab33_inductor import tell_first_calls
tell_first_calls(torch.linspace(-2, 2, 4096, device={!r}), {})
"""


class Work(NamedTuple):
    """What one call takes: how many kernels are run, and how many bytes they allocate in all."""

    kernels: int
    nbytes: int


class FirstCall(NamedTuple):
    """The first call of a compiled function: its seconds, and how many graphs the cache had and had not."""

    seconds: float
    hits: int
    misses: int


class Fused(NamedTuple):
    """What a call takes, eager and compiled, results for some sizes, and the kernel that inductor wrote."""

    eager: Work
    compiled: Work
    results_N: Tensor
    kernel: str
    language: str


class Price(NamedTuple):
    """Seconds of the first call, in which a function is compiled, and of a later one, eager and compiled."""

    first: float
    eager: float
    compiled: float


PRICES = [
    Price(*price)
    for price in (
        (10, 3, 1),
        (11, 3, 1),
        (10, 3, 3),
        (9, 3, 0),
        (0.5, 2, 1),
        (7, 1, 2),
        (100, 5, 2),
        (1, 1, 0.75),
    )
]

# A cache of its own -----------------------------------------------------------------------------------------


@cache
def own_cache(vectors: bool) -> str:
    """Keep what this process and its children compile in a folder that goes with it; return the folder.

    Where a folder was handed down by the process that started this one, that one is used, and left alone. It
    lies where you want compiled code (`TORCHINDUCTOR_CACHE_DIR`): not every temporary folder lets code run.
    Without `vectors` inductor does not look for vector instructions; trying them out takes six runs of the
    C++ compiler.
    """
    folder = os.environ.get("LABS_COMPILE_CACHE", "")
    if not folder:
        wanted = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or tempfile.gettempdir()
        os.makedirs(wanted, exist_ok=True)
        folder = tempfile.mkdtemp(prefix="labs-compile-", dir=wanted)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ.update(settings(folder, vectors))
    hold_to_settings(folder)
    return folder


def settings(folder: str, vectors: bool) -> dict[str, str]:
    """Return the variables by which a process has its cache in this folder, and starts no pool of workers."""
    where = {
        "LABS_COMPILE_CACHE": folder,
        "TORCHINDUCTOR_CACHE_DIR": folder,
        "TRITON_CACHE_DIR": os.path.join(folder, "triton"),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }
    return where if vectors else {**where, "TORCHINDUCTOR_VEC_ISA_OK": "0"}


def hold_to_settings(folder: str) -> None:
    """Tell inductor, if it was imported before the variables were set; see to a path with a space."""
    config: Any = sys.modules.get("torch._inductor.config")
    if config is not None:
        config.compile_threads = 1
        if os.environ.get("TORCHINDUCTOR_VEC_ISA_OK") == "0":
            config.cpp.vec_isa_ok = False
    if " " in torch.__file__:
        name_without_spaces(folder)


def name_without_spaces(folder: str) -> None:
    """Link to torch's libraries from this folder where their path has a space: inductor does not quote it."""
    from torch.utils import cpp_extension

    if " " in cpp_extension.TORCH_LIB_PATH:
        link = os.path.join(folder, "torch-libraries")
        with suppress(FileExistsError):
            os.symlink(cpp_extension.TORCH_LIB_PATH, link)
        cpp_extension.TORCH_LIB_PATH = link


@cache
def by_inductor(function: Function, vectors: bool) -> Function:
    """Return a function compiled by inductor for every size at once; the same one for the same function."""
    own_cache(vectors)
    with quiet_libraries():  # this imports inductor
        compiled: Function = torch.compile(function, dynamic=True)
    return compiled


# What it takes ----------------------------------------------------------------------------------------------


class _Operators(TorchDispatchMode):
    """Counts the operators that are run within its `with` block."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def work_of(function: Function, x_N: Tensor) -> Work:
    """Count what a call takes in eager torch."""
    with _Operators() as operators:
        function(x_N)
    return Work(operators.count, allocated_by(function, x_N))


def allocated_by(function: Function, x_N: Tensor) -> int:
    """Return the bytes that a call allocates in all, once it is warm."""
    function(x_N)
    if x_N.device.type == "cuda":
        before = torch.cuda.memory_stats()["allocated_bytes.all.allocated"]
        function(x_N)
        return int(torch.cuda.memory_stats()["allocated_bytes.all.allocated"] - before)
    return sum(change for change in allocations(lambda: function(x_N)) if change > 0)


def generated_for(compiled: Function, x_N: Tensor) -> tuple[int, str]:
    """Call a compiled function for the first time; return how many kernels it is made of, and the first."""
    from torch._inductor import metrics
    from torch._inductor.utils import run_and_get_code

    metrics.reset()
    _, codes = run_and_get_code(compiled, x_N)
    return metrics.generated_kernel_count, kernel_in("".join(codes))


def kernel_in(code: str) -> str:
    """Cut the first kernel out of the module that inductor wrote, without what is not about the loop."""
    begun = max(code.find('extern "C"'), code.find("@triton.jit"), 0)
    kernel, tail, _ = code[begun : code.find("'''", begun)].partition("if(C10_UNLIKELY")
    lines = re.sub(r"static_cast<int64_t>\((-?\w+?)L?\)", r"\1", kernel).replace("    ", "  ").splitlines()
    kept = [line.rstrip() for line in lines if "inductor_cpu_integer_div_error" not in line]
    return "\n".join(
        [*kept, "    … and the same for the rest, of fewer numbers than a vector holds"] if tail else kept
    )


def language_for(device: torch.device) -> str:
    """Return in what language inductor writes kernels, as Pygments calls it."""
    return "cpp" if device.type == "cpu" else "python"


def table_of(made: Fused) -> tuple[list[str], list[tuple[str, int, int]]]:
    """Return columns and rows that show what a call takes."""
    return ["", "kernels", "bytes allocated"], [("eager", *made.eager), ("compiled", *made.compiled)]


def on_first(lab: Lab, call: Call) -> Call:
    """Return what is timed: on rank 0 the call, elsewhere nothing, so that ranks leave each other alone."""
    return call if lab.world.first else lambda: None


def warm_up(*calls: Call) -> None:
    """Make calls in turn until they are alike: the first one compiles, the second is recorded.

    The compiler says to all who multiply float32 on a new GPU that TF32 would be faster; it is not heard.
    """
    with quiet_libraries():
        for call in calls * 4:
            call()


def eager_compiled_copy(function: Function, numbers: int, lab: Lab) -> list[Call]:
    """Return what is timed, each call on a row of so many numbers: eager, compiled, and a plain copy."""
    x_N = torch.linspace(-2, 2, numbers, device=lab.world.device)
    compiled = by_inductor(function, vectors=not lab.smoke)
    calls: list[Call] = [partial(function, x_N), partial(compiled, x_N), x_N.clone]
    return [on_first(lab, call) for call in calls]


def seconds_per_call(
    function: Function, sizes: list[int], device: torch.device, vectors: bool
) -> list[tuple[int, float, float]]:
    """Time a call for each size, eager and compiled, in turn."""
    times, compiled = [], by_inductor(function, vectors)
    for size in sizes:
        x_N = torch.linspace(-2, 2, size, device=device)
        arms = in_turn(partial(function, x_N), partial(compiled, x_N), rounds=5, device=device)
        times.append((size, median(arms.first), median(arms.second)))
    return times


def first_that_pays(price: Price) -> float:
    """Try one number of calls after the other, up to a thousand."""
    return next((n for n in range(1000) if price.first + n * price.compiled <= n * price.eager), math.inf)


def until_paid(
    times: list[tuple[int, float, float]], calls: dict[str, FirstCall], break_even: Callable[[Price], float]
) -> list[tuple[str, ...]]:
    """Return a table's row for each size: a later call in µs, and how many until a first call has paid."""
    rows = []
    for size, eager, compiled in times:
        counts = [break_even(Price(call.seconds, eager, compiled)) for call in calls.values()]
        paid = [f"{count:,}" if math.isfinite(count) else "never" for count in counts]
        rows.append((f"{size:,}", f"{1e6 * eager:,.0f}", f"{1e6 * compiled:,.0f}", *paid))
    return rows


# New processes ----------------------------------------------------------------------------------------------


def calls_in_new_process(functions: str, folder: str, device: torch.device, vectors: bool) -> list[FirstCall]:
    """Let a new process, whose cache is in this folder, compile and call functions one after another."""
    program = PROGRAM.format(str(device), functions)
    everything = {**os.environ, **settings(folder, vectors)}
    command = [sys.executable, "-P", "-c", program]
    ended = subprocess.run(command, env=everything, capture_output=True, text=True, timeout=300, check=True)
    return [FirstCall(*call) for call in json.loads(ended.stdout.splitlines()[-1])]


def tell_first_calls(x_N: Tensor, *functions: Function) -> None:
    """Print the first call of each function in this process as one line of JSON."""
    hold_to_settings(os.environ["LABS_COMPILE_CACHE"])
    calls = []
    with torch_threads(1), quiet_libraries():
        for function in functions:
            begun = time.perf_counter()
            compiled = torch.compile(function, dynamic=True)  # this imports inductor
            calls.append(first_call(compiled, x_N, begun))
    print(json.dumps(calls))


def first_call(compiled: Function, x_N: Tensor, begun: float | None = None) -> FirstCall:
    """Time the first call of a compiled function, and ask inductor what its cache had."""
    begun = begun or time.perf_counter()
    earlier = _cache_counts()
    float(compiled(x_N)[-1])  # once Python has a number, all is done
    seconds = time.perf_counter() - begun
    hits, misses = (now - before for now, before in zip(_cache_counts(), earlier, strict=True))
    return FirstCall(seconds, hits, misses)


def _cache_counts() -> tuple[int, int]:
    from torch._dynamo.utils import counters

    return counters["inductor"]["fxgraph_cache_hit"], counters["inductor"]["fxgraph_cache_miss"]


# A network for a GPU ----------------------------------------------------------------------------------------


def small_layers(device: torch.device) -> nn.Module:
    """Return thirty narrow blocks of a product, a normalization and a GELU: many short kernels."""
    torch.manual_seed(0)
    blocks = [nn.Sequential(nn.Linear(256, 256), nn.LayerNorm(256), nn.GELU()) for _ in range(30)]
    return nn.Sequential(*blocks).eval().to(device)
