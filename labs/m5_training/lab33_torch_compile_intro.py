"""Lab 33 · torch.compile introduction · Wprowadzenie do torch.compile

Question:
    What does `torch.compile` do to your model, and when does it pay?

You will see:
    - Your Python turned into a graph: where it breaks in two, what it is guarded by, and when it is compiled anew. Exact counts, before
      and after the cure.
    - 24 operators become one loop: one allocation for 24, one trip through memory for 24. The loop itself, as it was generated.
    - Seconds that the compiler takes beside those that it saves, and the number of calls after which it has paid.
    - A second process that finds the compiled code in the cache, and does not compile at all.
    - DDP and `torch.compile`, both ways round: as many graphs as buckets, and a break that is named.

Run:
    make lab-33, or on several processes: make lab-33 PROCS=2
    python -m labs.m5_training.lab33_torch_compile_intro --smoke

Needs:
    1 process or more, no GPU, 2 GiB of memory, 2 minutes

Builds on:
    lab 43 for buckets

Sources:
    - J. Ansel et al., "PyTorch 2: Faster Machine Learning Through Dynamic Python Bytecode Transformation and Graph Compilation",
      ASPLOS 2024, sections 3 (TorchDynamo) and 4 (TorchInductor)
    - PyTorch documentation: torch.compiler, pages Dynamo Overview, Dynamic Shapes, Compile Time Caching, Regional Compilation
    - PyTorch documentation: DistributedDataParallel, Internal Design, section TorchDynamo DDPOptimizer

Notebook:
    33_Torch_Compile_Intro.ipynb
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import count, repeat
from statistics import median
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from labs.kit import Lab, Mutant, exercise, main
from labs.kit.compiling import Counting, cache_counts, forgotten, missing_compiler, own_cache, reasons
from labs.kit.memory import allocations
from labs.kit.timing import in_turn, torch_threads

# Shape letters: N numbers, B batch, D width.

DEPTH, OPERATORS = 8, 24  # rounds of the chain, and its operators: each round multiplies, adds and cuts off below 0
MODES = {"default": 0.5625, "reduce-overhead": 0.625, "max-autotune": 0.6875}  # each with a factor that nobody compiled before
SAMPLE = 1024  # so many numbers of a long result are compared
MIB = 2**20
AGAIN = "from labs.m5_training.lab33_torch_compile_intro import first_call_here; first_call_here({}, {!r})"
Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    numbers: int = 2**24  # numbers N of the chain; 64 MiB, more than most caches hold
    blocks: int = 12  # equal blocks of a network
    width: int = 512  # width D of the layers under DDP; each holds 1 MiB

    @classmethod
    def smoke(cls) -> "Config":
        return cls(numbers=2**16, blocks=4)


class Blocks(nn.Module):
    """Equal blocks, one after the other, as in a transformer."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width) for _ in range(count))

    def forward(self, x_BD: Tensor) -> Tensor:
        for block in self.blocks:
            x_BD = block(x_BD)
        return x_BD


class Block(nn.Module):
    """One linear layer and a shortcut around it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)

    def forward(self, x_BD: Tensor) -> Tensor:
        return x_BD + self.linear(x_BD).relu()


class Counted(nn.Module):
    """Multiplies by the number of its call: kept as a Python number, or in a tensor."""

    def __init__(self, *, in_tensor: bool) -> None:
        super().__init__()
        self.calls: Any = torch.zeros(()) if in_tensor else 0

    def forward(self, x_N: Tensor) -> Tensor:
        self.calls = self.calls + 1
        return x_N * self.calls


class Generated(NamedTuple):
    """How many kernels inductor made of a function, the source of the first, and seconds of the first call."""

    kernels: int
    source: str
    seconds: float


class Price(NamedTuple):
    """Seconds of the first call, in which a function is compiled, and of a later one, eager and compiled."""

    first: float
    eager: float
    compiled: float


def with_break(x_N: Tensor) -> Tensor:
    """Double what is positive as a whole, else subtract one. Python's `if` needs the number, and there the graph ends."""
    if x_N.sum() > 0:
        return x_N * 2
    return x_N - 1


@exercise(
    "An `if` on a tensor's content asks for its number while the graph is still being written. Let the graph hold both answers.",
    "`torch.where(condition, this, that)` chooses when the graph runs. The condition may be a tensor of no dims.",
    "`torch.where(x_N.sum() > 0, x_N * 2, x_N - 1)`",
)
def without_break(x_N: Tensor) -> Tensor:
    """Say the same with no `if`: return x·2 where the sum of all x is positive, else x - 1.

    `torch.compile` reads the bytecode of your function and writes down the tensor operators in it. It holds no numbers, only
    shapes and types. What depends on a tensor's content cannot be decided: the graph breaks, Python decides, and a second
    graph begins. The result stays right. But nothing is fused across the gap, and a GPU waits there.
    """
    chosen_N = torch.where(x_N.sum() > 0, x_N * 2, x_N - 1)
    return chosen_N


def graphs_of(function: Function, inputs: list[Tensor]) -> tuple[list[str], list[str], Tensor]:
    """Capture a function, for some inputs; return the code of its graphs, why they broke, and the results.

    The backend here compiles nothing. It is handed each graph, keeps it, and gives back the graph itself as what to run.
    """
    backend = Counting()
    with forgotten():
        reasons()
        compiled = torch.compile(function, backend=backend)
        results = torch.stack([compiled(x_N) for x_N in inputs])
        why = reasons()
    return [graph.code for graph in backend.graphs], why, results


def compiles_after(changes: dict[str, Tensor]) -> dict[str, int]:
    """Call one compiled function with one input after the other, and count for each how often it is compiled anew.

    A graph is only right for inputs like those it was captured with. What it relies on are its *guards*: type, dtype,
    device, shape, strides, `requires_grad`, and any Python value that was read. They are checked before every call, within
    microseconds. If one fails, the older graphs are tried, then a new one is made.
    """
    backend, counts = Counting(), {}
    with forgotten():
        compiled = torch.compile(chain, backend=backend)
        for change, x in changes.items():
            before = len(backend.graphs)
            compiled(x)
            counts[change] = len(backend.graphs) - before
    return counts


def compiles_of_a_counter(calls: int, in_tensor: bool) -> tuple[int, list[float]]:
    """Compile a module that counts its calls, and count the compiles; return also what it gave.

    A Python number on a module is part of the guards. If it changes in every call, every call compiles, until after 8 of
    them torch gives up and runs eager, with a warning in the log. A tensor's content is not guarded.
    """
    backend = Counting()
    with forgotten():
        compiled = torch.compile(Counted(in_tensor=in_tensor), backend=backend)
        given = [compiled(torch.ones(1)).item() for _ in range(calls)]
    return len(backend.graphs), given


def compiles_over_sizes(sizes: tuple[int, ...], dynamic: bool | None) -> int:
    """Compile for one size after the other, and count the compiles.

    `dynamic=False` makes a graph for each size. By default the first is made for its size alone. When a second size comes, the
    dim becomes a symbol, and that graph serves all sizes from 2 on. `dynamic=True` begins with the symbol. The sizes 0 and 1
    always get graphs of their own: they change what broadcasts.
    """
    backend = Counting()
    with forgotten():
        compiled = torch.compile(chain, backend=backend, dynamic=dynamic)
        for size in sizes:
            compiled(torch.ones(size, 3))
    return len(backend.graphs)


def operators_captured(count: int, regional: bool) -> list[int]:
    """Compile a network of equal blocks, as a whole or block by block, and count the operators of each graph.

    The compiler's time grows with the graph. Blocks of a transformer are one and the same code with other weights, and weights
    are inputs of the graph. So compile one block, and all others find its guards fulfilled.
    """
    backend, network = Counting(), Blocks(count, 8)
    with forgotten():
        for module in network.blocks if regional else [network]:
            module.compile(backend=backend)
        network(torch.ones(2, 8, requires_grad=True))
    return backend.operators


def generated(numbers: int, device: torch.device) -> Generated:
    """Generate code for the chain by inductor, torch's own backend, and time it, with an empty cache.

    Inductor writes C++ with OpenMP and vector instructions for a CPU, Triton for a GPU. It *fuses*: what is read and written
    point by point becomes one loop, in which a number is loaded once, goes through all operators in registers, and is stored.
    """
    from torch._inductor import metrics
    from torch._inductor.utils import run_and_get_code

    own_cache()
    x_N = torch.linspace(-2, 2, numbers, device=device)
    with forgotten(), torch_threads(1):
        metrics.reset()
        begun = time.perf_counter()
        _, codes = run_and_get_code(torch.compile(chain), x_N)
        seconds, kernels = time.perf_counter() - begun, metrics.generated_kernel_count
    return Generated(kernels, kernel_in(codes[0]), seconds)


def allocated(numbers: int) -> dict[str, int]:
    """Count the bytes that one call of the chain allocates, eager and compiled.

    Eager torch finishes each operator before it begins the next, so each writes all N numbers to a new tensor, and the next one
    reads them again: 2·24·4N bytes through memory. Fused it is 2·4N.
    """
    x_N = torch.randn(numbers)
    calls = {"eager": partial(chain, x_N), "compiled": partial(chain_in("default"), x_N)}
    return {name: sum(change for change in warm_allocations(call) if change > 0) for name, call in calls.items()}


def price_of(mode: str, numbers: int, device: torch.device) -> tuple[Price, Tensor]:
    """Time the first call in a mode, and later ones beside eager torch; return also what it gave.

    `default` balances. `reduce-overhead` records CUDA graphs, so that a GPU need not be told each kernel anew; `max-autotune`
    tries several kernels for matrix products, and takes the fastest. Neither can help a fused loop on a CPU.
    """
    x_N, factor = torch.linspace(-2, 2, numbers, device=device), MODES[mode]
    with forgotten(), torch_threads(1):
        begun = time.perf_counter()
        given_N = chain_in(mode)(x_N, factor)[:: numbers // SAMPLE].clone()
        first = time.perf_counter() - begun
        arms = in_turn(partial(chain, x_N, factor), partial(chain_in(mode), x_N, factor), rounds=5)
    return Price(first, median(arms.first), median(arms.second)), given_N


@exercise(
    "After n calls eager torch has spent n·e, compiled code has spent its first seconds and n·c.",
    "They meet where n·(e - c) has paid for the first seconds. Take the next whole number. If c is not below e they never meet.",
    "`math.ceil(price.first / (price.eager - price.compiled))` where that difference is positive, else `math.inf`",
)
def break_even(price: Price) -> float:
    """Find the smallest number of calls n after which compiling has paid:

        first + n·compiled ≤ n·eager

    Return `math.inf` where it never does.
    """
    gained = price.eager - price.compiled
    calls = math.ceil(price.first / gained) if gained > 0 else math.inf
    return calls


def started_again(numbers: int, device: torch.device) -> dict[str, float]:
    """Start a second process that compiles the same function, and ask it what its cache gave.

    Inductor keys its cache by the graph, the inputs' properties, its own settings and version. Whoever finds the key loads
    finished machine code from disk; only capture and guards are made anew. On a cluster: put the folder where all nodes see
    it (`TORCHINDUCTOR_CACHE_DIR`), or carry it along (`torch.compiler.save_cache_artifacts`).
    """
    own_cache()
    program = AGAIN.format(numbers, device.type)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    told: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return told


def compiled_inside_ddp(layers: int, width: int, cap_mb: float | None) -> tuple[int, int]:
    """Wrap a compiled model in DDP; count the graphs that it is cut into, and the buckets that DDP sends.

    One graph would be one backward pass, and no gradient ready before its end: nothing to overlap with. So inside DDP's
    forward the captured graph is cut where a bucket is full, and each part becomes a graph of its own.
    """
    backend, sent = Counting(), list[int]()
    with forgotten():
        model = DistributedDataParallel(Blocks(layers, width), bucket_cap_mb=cap_mb)
        model.register_comm_hook(sent, noting)
        model.module.compile(backend=backend)
        for _ in range(3):
            sent.clear()
            model(torch.ones(2, width)).sum().backward()
    return len(backend.graphs), len(sent)


def compiled_around_ddp(layers: int, width: int) -> list[str]:
    """Compile the DDP wrapper itself, and return why the graph broke.

    DDP's own forward is Python that talks to its C++ reducer. Dynamo does not trace it: it breaks there, and compiles the model
    inside, cut into the same graphs. So the result is nearly the same; wrapping last says what you mean.
    """
    with forgotten():
        reasons()
        model = torch.compile(DistributedDataParallel(Blocks(layers, width)), backend=Counting())
        model(torch.ones(2, width)).sum().backward()
        why = reasons()
    return why


def chain(x: Tensor, factor: float = 0.5) -> Tensor:
    """Go through 8 rounds of three operators, each of which does little with what it reads."""
    for _ in range(DEPTH):
        x = torch.relu(factor * x + 0.25)
    return x


def compiled_anew(x_N: Tensor, factors: Iterator[float]) -> None:
    """Compile the chain as if it were the first time in this process."""
    with forgotten():
        torch.compile(chain)(x_N, next(factors))


@cache
def chain_in(mode: str) -> Function:
    own_cache()
    return torch.compile(chain, mode=mode)


def kernel_in(code: str) -> str:
    """Cut the first kernel out of the module that inductor wrote."""
    begin = max(code.find('extern "C"'), code.find("@triton.jit"), 0)
    return code[begin : code.find("''')", begin)].replace("    ", "  ")


def warm_allocations(call: Callable[[], object]) -> list[int]:
    call()
    return allocations(call)


def first_call_here(numbers: int, device: str) -> None:
    """Print the seconds of the first call in this process, and what the cache gave, as one line of JSON."""
    own_cache()
    x_N = torch.linspace(-2, 2, numbers, device=device)
    with torch_threads(1):
        begun = time.perf_counter()
        torch.compile(chain)(x_N)
        seconds = time.perf_counter() - begun
    hits, misses = cache_counts()
    print(json.dumps({"seconds": seconds, "hits": hits, "misses": misses}))


def noting(sent: list[int], bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    sent.append(bucket.buffer().nbytes)
    summed: torch.futures.Future[Any] = dist.all_reduce(bucket.buffer(), async_op=True).get_future()
    return summed.then(lambda done: done.value()[0])


def run(cfg: Config, lab: Lab) -> None:
    signs = [torch.ones(4), -torch.ones(4), torch.zeros(4)]
    broken, why, results = lab.step(graphs_of, with_break, signs)
    lab.listing("The first graph, as it was captured", broken[0].strip(), language="python")
    lab.count("33.broken", "an `if` on content breaks: one graph before it, one for each branch", len(broken), want=3, because="1 + 2")
    lab.count("33.named", "the reason is named: a jump that depends on a tensor", sum("jump" in each for each in why), want=1, because="one `if`")


if __name__ == "__main__":
    main(run, Config)
