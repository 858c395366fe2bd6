"""Lab 33 · torch.compile introduction · Wprowadzenie do torch.compile

Question:
    What does `torch.compile` do to your model, and when does it pay?

You will see:
    - Your Python turned into a graph: where it breaks in two, what it is guarded by, and when it is compiled anew. Exact counts, before
      and after the cure.
    - 12 operators become one loop: one allocation for 12, one trip through memory for 12. The loop itself, as it was generated.
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
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from labs.kit import Lab, Mutant, exercise, main
from labs.kit.measure.timing import in_turn, torch_threads
from labs.kit.runner.lab import Kind
from labs.kit.topics import compiling
from labs.kit.topics.compiling import (
    Counted,
    Counting,
    compiled_in,
    fresh_compiler,
    missing_compiler,
    own_cache,
    reasons,
)
from labs.kit.topics.tasks import Stack, stacked

# Shape letters: N numbers, B batch, D width.

DEPTH, OPERATORS = (
    4,
    12,
)  # rounds of the chain, and its operators: each round multiplies, adds and cuts off below 0
MODES = {
    "default": 0.5625,
    "reduce-overhead": 0.625,
    "max-autotune": 0.6875,
}  # each with a factor that nobody compiled before
SAMPLE = 1024  # so many numbers of a long result are compared
LIMIT = 8  # recompiles of one function before torch gives up, by default
FRESH = 0.125  # a factor that nobody compiled before
AGAIN = """
import torch
from labs.kit.topics.compiling import told_first_call
from labs.m5_training.lab33_torch_compile_intro import chain
told_first_call(chain, torch.linspace(-2, 2, {}, device={!r}))
"""
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


class Price(NamedTuple):
    """Seconds of the first call, in which a function is compiled, and of a later one, eager and compiled."""

    first: float
    eager: float
    compiled: float


def with_break(x_N: Tensor) -> Tensor:
    """Double what is positive as a whole, else subtract one. Python's `if` needs the number, and there the graph ends."""
    return x_N * 2 if x_N.sum() > 0 else x_N - 1


def graphs_of(function: Function, inputs: list[Tensor]) -> tuple[list[str], Tensor]:
    """Capture a function, for some inputs; return the code of its graphs, and the results.

    `torch.compile` reads the bytecode of your function and writes down the tensor operators in it. Such a graph holds no
    numbers, only shapes and types. A *backend* turns it into something to run. The one here compiles nothing: it is handed
    each graph, keeps it, and gives back the graph itself.
    """
    backend = Counting()
    with fresh_compiler():
        compiled = torch.compile(function, backend=backend)
        results = torch.stack([compiled(x_N) for x_N in inputs])
    return [graph.code for graph in backend.graphs], results


def captured_whole(function: Function, x_N: Tensor) -> Tensor:
    """Ask for one graph or none: `fullgraph=True` turns a break into an error that names it.

    Without it a break is silent. The result stays right, but nothing is fused across the gap, and a GPU waits there for Python.
    """
    with fresh_compiler():
        given_N = torch.compile(function, backend=Counting(), fullgraph=True)(x_N)
    return given_N


@exercise(
    "An `if` on a tensor's content asks for its number while the graph is still being written. Let the graph hold both answers.",
    "`torch.where(condition, this, that)` chooses when the graph runs. The condition may be a tensor of no dims.",
    "`torch.where(x_N.sum() > 0, x_N * 2, x_N - 1)`",
)
def without_break(x_N: Tensor) -> Tensor:
    """Say the same with no `if`: return x·2 where the sum of all x is positive, else x - 1.

    While the graph is written nobody knows what a tensor will hold, so Python's `if` cannot be decided: the graph breaks,
    Python decides, and another graph begins. An operator that takes the condition as a tensor stays in the graph.
    """
    chosen_N = torch.where(x_N.sum() > 0, x_N * 2, x_N - 1)
    return chosen_N


def compiles_after(changes: dict[str, Tensor]) -> dict[str, int]:
    """Call one compiled function with one input after the other, and count for each how often it is compiled anew.

    A graph is only right for inputs like those it was captured with. What it relies on are its *guards*: type, dtype,
    device, shape, strides, `requires_grad`, and any Python value that was read. They are checked before every call, within
    microseconds. If one fails, the older graphs are tried, then a new one is made.
    """
    backend, counts = Counting(), {}
    with fresh_compiler():
        compiled = torch.compile(chain, backend=backend)
        for change, x in changes.items():
            before = len(backend.graphs)
            compiled(x)
            counts[change] = len(backend.graphs) - before
    return counts


def compiles_of_a_counter(calls: int, in_tensor: bool) -> int:
    """Compile a module that counts its calls, and count the compiles.

    A Python number on a module is part of the guards. If it changes in every call, every call compiles, until after 8 of
    them torch gives up and runs eager, with a warning in the log. A tensor's content is not guarded.
    """
    backend = Counting()
    with fresh_compiler():
        compiled = torch.compile(Counted(in_tensor=in_tensor), backend=backend)
        for _ in range(calls):
            compiled(torch.ones(1))
    return len(backend.graphs)


def compiles_over_sizes(sizes: tuple[int, ...], dynamic: bool | None) -> int:
    """Compile for one size after the other, and count the compiles.

    `dynamic=False` makes a graph for each size. By default the first is made for its size alone. When a second size comes, the
    dim becomes a symbol, and that graph serves all sizes from 2 on. `dynamic=True` begins with the symbol. The sizes 0 and 1
    always get graphs of their own: they change what broadcasts.
    """
    backend = Counting()
    with fresh_compiler():
        compiled = torch.compile(chain, backend=backend, dynamic=dynamic)
        for size in sizes:
            compiled(torch.ones(size, 3))
    return len(backend.graphs)


def operators_captured(count: int, regional: bool) -> list[int]:
    """Compile a network of equal blocks, as a whole or block by block, and count the operators of each graph.

    The compiler's time grows with the graph. Blocks of a transformer are one and the same code with other weights, and weights
    are inputs of the graph. So compile one block, and all others find its guards fulfilled.
    """
    backend, network = Counting(), Stack(count)
    with fresh_compiler():
        for module in network.blocks if regional else [network]:
            module.compile(backend=backend)
        network(network.example())
    return backend.operators


def generated(numbers: int, device: torch.device) -> tuple[int, str]:
    """Generate code for the chain by inductor, torch's own backend; return how many kernels it is, and the first one's source.

    Inductor writes C++ with OpenMP and vector instructions for a CPU, Triton for a GPU. It *fuses*: what is read and written
    point by point becomes one loop, in which a number is loaded once, goes through all operators in registers, and is stored.
    """
    from torch._inductor import metrics
    from torch._inductor.utils import run_and_get_code

    own_cache()
    x_N = torch.linspace(-2, 2, numbers, device=device)
    with fresh_compiler(), torch_threads(1):
        metrics.reset()
        _, codes = run_and_get_code(torch.compile(chain), x_N)
    return metrics.generated_kernel_count, compiling.kernel_in(codes[0])


def allocated(numbers: int) -> dict[str, int]:
    """Count the bytes that one call of the chain allocates, eager and compiled.

    Eager torch finishes each operator before it begins the next, so each writes all N numbers to a new tensor, and the next one
    reads them again: 2·12·4N bytes through memory. Fused it is 2·4N.
    """
    x_N = torch.randn(numbers)
    calls = {"eager": partial(chain, x_N), "compiled": partial(compiled_in(chain, "default"), x_N)}
    return {name: compiling.allocated_by(call) for name, call in calls.items()}


def price_of(mode: str, numbers: int, device: torch.device) -> tuple[Price, Tensor]:
    """Time the first call in a mode, and later ones beside eager torch; return also what it gave.

    `default` balances. `reduce-overhead` records CUDA graphs, so that a GPU need not be told each kernel anew; `max-autotune`
    tries several kernels for matrix products, and takes the fastest. Neither can help a fused loop on a CPU.
    """
    x_N, factor = torch.linspace(-2, 2, numbers, device=device), MODES[mode]
    with fresh_compiler(), torch_threads(1):
        begun = time.perf_counter()
        given_N = compiled_in(chain, mode)(x_N, factor)[:: numbers // SAMPLE].clone()
        first = time.perf_counter() - begun
        arms = in_turn(partial(chain, x_N, factor), partial(compiled_in(chain, mode), x_N, factor), rounds=5)
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
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    told: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return told


def compiled_inside_ddp(layers: int, width: int, cap_mb: float | None) -> tuple[int, int]:
    """Wrap a compiled model in DDP; count the graphs that it is cut into, and the buckets that DDP sends.

    One graph would be one backward pass, and no gradient ready before its end: nothing to overlap with. So inside DDP's
    forward the captured graph is cut where a bucket is full, and each part becomes a graph of its own.
    """
    backend, sent = Counting(), list[int]()
    with fresh_compiler():
        model = DistributedDataParallel(stacked(layers, width), bucket_cap_mb=cap_mb)
        model.register_comm_hook(sent, compiling.noted)
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
    with fresh_compiler():
        reasons()
        model = torch.compile(DistributedDataParallel(stacked(layers, width)), backend=Counting())
        model(torch.ones(2, width)).sum().backward()
        why = reasons()
    return why


def chain(x: Tensor, factor: float = 0.5) -> Tensor:
    """Go through 4 rounds of three operators, each of which does little with what it reads."""
    for _ in range(DEPTH):
        x = torch.relu(factor * x + 0.25)
    return x


def first_that_pays(price: Price) -> float:
    """Try one number of calls after the other, up to a thousand."""
    return next((n for n in range(1000) if price.first + n * price.compiled <= n * price.eager), math.inf)


def compiled_each(cfg: Config, lab: Lab, device: torch.device) -> None:
    """What inductor makes of the chain: claims that need a compiler. Where there are several ranks, one compiles, and is timed."""
    timed: Callable[[Callable[[], object]], Callable[[], object]] = (
        (lambda arm: arm) if lab.world.first else (lambda arm: lambda: None)
    )
    kernels, source = lab.step_on_first(generated, cfg.numbers, device)
    lab.listing(
        "All 12 operators in one loop, as inductor wrote it",
        source,
        language="cpp" if device.type == "cpu" else "python",
    )
    lab.count(
        "33.fused",
        "inductor makes one kernel of all 12 operators",
        kernels,
        want=1,
        because="each works point by point",
    )
    held = lab.step_on_first(allocated, cfg.numbers)
    size = 4 * cfg.numbers
    lab.bytes("33.eager-bytes", "eager, each operator allocates its result", held["eager"],
              at_least=OPERATORS * size, at_most=OPERATORS * (size + 8), because="12·4N bytes, and 8 for a number in each")  # fmt: skip
    lab.bytes(
        "33.fused-bytes",
        "fused, only the last result is ever written",
        held["compiled"],
        want=size,
        because="4N bytes",
    )

    prices, given = {}, []
    for mode in MODES:
        prices[mode], given_N = lab.step_on_first(price_of, mode, cfg.numbers, device)
        given.append(given_N)
    x_N = torch.linspace(-2, 2, cfg.numbers, device=device)
    expected = torch.stack([chain(x_N, factor)[:: cfg.numbers // SAMPLE] for factor in MODES.values()])
    lab.close("33.same", "in all three modes the results are those of eager torch", torch.stack(given), expected,
              tolerance=2 * OPERATORS * 2**-23, because="12 operators on numbers up to 2, each may round once more")  # fmt: skip
    for mode, factor in MODES.items():
        eager, compiled = partial(chain, x_N, factor), partial(compiled_in(chain, mode), x_N, factor)
        lab.ratio(f"33.fast-{mode}", f"`{mode}`: compiled is faster than eager", timed(eager), timed(compiled), at_least=2, rounds=5,
                  because="12 trips through memory against one; we ask for a sixth, since caches may hold x")  # fmt: skip
    fused, copy = timed(partial(compiled_in(chain, "default"), x_N)), timed(x_N.clone)
    lab.ratio("33.bandwidth", "the fused loop is nearer to one copy than to 12", fused, copy, rounds=5, at_most=OPERATORS**0.5,
              because="a copy moves the same 2·4N bytes and computes nothing; √12 lies midway to 12 copies")  # fmt: skip

    calls = [lab.step(break_even, price) for price in prices.values()]
    rows = [
        (mode, p.first, 1e3 * p.eager, 1e3 * p.compiled, f"{n:,}")
        for (mode, p), n in zip(prices.items(), calls, strict=True)
    ]
    lab.table(
        "What compiling costs, and gains",
        ["mode", "first call, s", "eager, ms", "compiled, ms", "has paid after calls"],
        rows,
    )
    tries = [
        Price(10, 3, 1),
        Price(10, 3, 3),
        Price(9, 3, 0),
        Price(0.5, 2, 1),
        Price(7, 1, 2),
        Price(100, 5, 2),
    ]
    lab.equal("33.break-even", "no earlier call has paid, and that one has", [lab.step(break_even, price) for price in tries],
              [first_that_pays(price) for price in tries])  # fmt: skip
    price, last = prices["default"], 2 * calls[0] if math.isfinite(calls[0]) else 1000
    counts = [part * last // 8 for part in range(9)]
    spent = {
        "eager": [n * price.eager for n in counts],
        "compiled": [price.first + n * price.compiled for n in counts],
    }
    lab.plot("When compiling has paid", counts, spent, x_label="calls", y_label="seconds so far")

    told = lab.step_on_first(started_again, cfg.numbers, device)
    lab.table(
        "The first call of a second process",
        ["seconds", "found in the cache", "not found"],
        [tuple(map(float, told.values()))],
    )
    lab.equal(
        "33.cache",
        "a second process finds the machine code in the cache",
        (told["hits"], told["misses"]),
        (1, 0),
    )
    cold = (FRESH + place / 2**12 for place in count(1))
    lab.ratio("33.cold", "compiling without the cache takes longer", timed(lambda: compiling.compiled_anew(chain, x_N, next(cold))),
              timed(lambda: compiling.compiled_anew(chain, x_N, FRESH)),
              at_least=1, rounds=1 if lab.smoke else 3, because="both capture and guard; one alone compiles C++")  # fmt: skip


def run(cfg: Config, lab: Lab) -> None:
    signs = [torch.ones(4), -torch.ones(4), torch.zeros(4), torch.tensor([4.0, -0.5, -0.5, -0.5])]
    broken, results = lab.step(graphs_of, with_break, signs)
    lab.listing("The first graph ends where Python needs a number", broken[0].strip(), language="python")
    lab.count(
        "33.broken",
        "an `if` on content: a graph before it, and one for each branch",
        len(broken),
        want=3,
        because="1 + 2",
    )
    lab.raises("33.named", "asked for one graph, torch names the break", lambda: lab.step(captured_whole, with_break, signs[0]),
               RuntimeError, "Data-dependent branching")  # fmt: skip
    cured_N = torch.stack([lab.step(without_break, x_N) for x_N in signs])
    whole, _ = lab.step(graphs_of, without_break, signs)
    lab.equal("33.cured-same", "without the `if` the results are the same", cured_N, results)
    lab.count(
        "33.cured",
        "and all of it is one graph",
        len(whole),
        want=1,
        because="nothing in it is decided by Python",
    )

    x = torch.ones(4, 3)
    changes = {"the first call": x, "other numbers": 2 * x, "float64": x.double(), "requires_grad": x.clone().requires_grad_(),
               "other strides": torch.ones(3, 4).t(), "a row more": torch.ones(5, 3), "two rows more": torch.ones(6, 3),
               "a dim more": torch.ones(2, 4, 3), "the first again": x}  # fmt: skip
    anew = lab.step(compiles_after, changes)
    lab.table("What is compiled anew", ["input", "compiles"], list(anew.items()))
    lab.equal("33.guards", "dtype, gradient, strides, a new size and dims are guarded; numbers are not, nor a third size",
              list(anew.values()), [1, 0, 1, 1, 1, 1, 0, 1, 0])  # fmt: skip
    in_python, in_tensor = (
        lab.step(compiles_of_a_counter, 4, kept_in_tensor) for kept_in_tensor in (False, True)
    )
    many = lab.step(compiles_of_a_counter, LIMIT + 4, False)
    lab.count(
        "33.counter",
        "a Python number that changes compiles in every call",
        in_python,
        want=4,
        because="its value is guarded",
    )
    lab.count(
        "33.counter-tensor",
        "the same number in a tensor compiles once",
        in_tensor,
        want=1,
        because="content is not guarded",
    )
    lab.count(
        "33.limit",
        "after 8 of them torch gives up",
        many,
        want=LIMIT,
        because="`torch._dynamo.config.recompile_limit`",
    )
    kinds = (False, None, True)
    larger = [lab.step(compiles_over_sizes, (2, 3, 4, 5, 6), dynamic) for dynamic in kinds]
    special = [lab.step(compiles_over_sizes, (2, 3, 1, 0, 4), dynamic) for dynamic in kinds]
    rows = [("2 3 4 5 6", *larger), ("2 3 1 0 4", *special)]
    lab.table("Compiles over five sizes", ["sizes", *(f"dynamic={kind}" for kind in kinds)], rows)
    lab.equal(
        "33.sizes",
        "five sizes: a graph for each, or a second one with a symbol, or a symbol at once",
        larger,
        [5, 2, 1],
    )
    lab.equal("33.zero-one", "sizes 0 and 1 get graphs of their own all the same", special, [5, 4, 3])
    as_one, by_block = (lab.step(operators_captured, cfg.blocks, regional) for regional in (False, True))
    lab.equal(
        "33.regional",
        "block by block the compiler sees one, else all of them",
        (as_one, by_block),
        ([4 * cfg.blocks + 1], [4]),
    )

    if why := missing_compiler(lab.world.device):
        lab.not_measured(why, NEED_A_COMPILER)
    else:
        compiled_each(cfg, lab, lab.world.device)

    caps = ((6, None), (30, None), (6, 2.0), (6, 25.0))
    counted = [lab.step(compiled_inside_ddp, layers, cfg.width, cap) for layers, cap in caps]
    lab.table("A compiled model inside DDP", ["layers of 1 MiB", "bucket_cap_mb", "graphs", "buckets"],
              [(layers, cap or "25, by default", *pair) for (layers, cap), pair in zip(caps, counted, strict=True)])  # fmt: skip
    graphs = [1 + math.ceil((layers - 1) / (cap or 25)) for layers, cap in caps]
    buckets = [
        math.ceil(layers / cap) if cap else cut for (layers, cap), cut in zip(caps, graphs, strict=True)
    ]
    lab.equal(
        "33.ddp-graphs",
        "graphs inside DDP: one of 1 MiB, the others as large as a bucket",
        [cut for cut, _ in counted],
        graphs,
    )
    lab.equal("33.ddp-buckets", "that is the number of buckets, unless a cap is named: then the first is as large as all others",
              [sent for _, sent in counted], buckets)  # fmt: skip
    reasons_given = lab.step(compiled_around_ddp, 6, cfg.width)
    lab.count("33.ddp-around", "around DDP the break is named", sum("_inside_ddp_forward" in reason for reason in reasons_given), want=1,
              because="DDP marks its inside as not to be traced, once")  # fmt: skip


NEED_A_COMPILER: dict[str, tuple[Kind, str]] = {
    "33.fused": ("count", "inductor makes one kernel of all 12 operators"),
    "33.fused-bytes": ("bytes", "fused, only the last result is ever written"),
    "33.same": ("close", "in all three modes the results are those of eager torch"),
    "33.fast-default": ("ratio", "compiled is faster than eager"),
    "33.bandwidth": ("ratio", "the fused loop is nearer to one copy than to 12"),
    "33.cache": ("exact", "a second process finds the machine code in the cache"),
    "33.cold": ("ratio", "compiling without the cache takes longer"),
}

MUTANTS = (
    Mutant("looks at one input only", graphs_of, "for x_N in inputs]", "for x_N in inputs[:1] * 4]"),
    Mutant("takes a break for granted", captured_whole, "fullgraph=True", "fullgraph=False"),
    Mutant(
        "asks Python again",
        without_break,
        "torch.where(x_N.sum() > 0, x_N * 2, x_N - 1)",
        "x_N * 2 if x_N.sum() > 0 else x_N - 1",
    ),
    Mutant("decides for each number by itself", without_break, "x_N.sum() > 0", "x_N > 0"),
    Mutant("counts 0 as positive", without_break, "> 0", ">= 0"),
    Mutant(
        "begins with a symbol",
        compiles_after,
        "chain, backend=backend",
        "chain, backend=backend, dynamic=True",
    ),
    Mutant("keeps every number in a tensor", compiles_of_a_counter, "in_tensor=in_tensor", "in_tensor=True"),
    Mutant("keeps every number in Python", compiles_of_a_counter, "in_tensor=in_tensor", "in_tensor=False"),
    Mutant("ignores what was said of sizes", compiles_over_sizes, "dynamic=dynamic", "dynamic=None"),
    Mutant("takes the whole for a region", operators_captured, "if regional", "if not regional"),
    Mutant(
        "puts a sum between two chains",
        generated,
        "torch.compile(chain)",
        "torch.compile(lambda x_N: chain(chain(x_N).cumsum(0)))",
    ),
    Mutant(
        "compiles neither", allocated, 'partial(compiled_in(chain, "default"), x_N)', "partial(chain, x_N)"
    ),
    Mutant(
        "compiles both",
        allocated,
        '"eager": partial(chain, x_N)',
        '"eager": partial(compiled_in(chain, "default"), x_N)',
    ),
    Mutant("compiles another factor", price_of, "(x_N, factor)[::", "(x_N, factor / 2)[::"),
    Mutant("rounds down", break_even, "math.ceil", "math.floor"),
    Mutant("forgets that compiled calls cost too", break_even, "price.eager - price.compiled", "price.eager"),
    Mutant("starts with another size", started_again, "AGAIN.format(numbers,", "AGAIN.format(numbers + 16,"),
    Mutant(
        "leaves buckets as they are by default",
        compiled_inside_ddp,
        "bucket_cap_mb=cap_mb",
        "bucket_cap_mb=None",
    ),
    Mutant(
        "compiles the bare model",
        compiled_around_ddp,
        "DistributedDataParallel(stacked(layers, width))",
        "stacked(layers, width)",
    ),
)


if __name__ == "__main__":
    main(run, Config)
