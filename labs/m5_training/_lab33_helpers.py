"""What lab 33 needs beside its lesson: backends that count, tensors in words, a model for DDP, a picture."""

import math
import re
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, fx, nn
from torch.nn.parallel import DistributedDataParallel

import labs.m5_training._lab33_inductor as inductor
from labs.kit.draw.diagrams import WARN, Edge, Graph, Node
from labs.kit.measure.timing import torch_threads
from labs.kit.topics.compiling import fresh_compiler
from labs.m5_training._lab33_changes import CAUSES, changes, doubled

Function = Callable[..., Any]
MIB = 2**20

# Capturing --------------------------------------------------------------------------------------------------


class Counting:
    """A backend that compiles nothing: it keeps each graph that it gets, and lets that be run as it is."""

    def __init__(self) -> None:
        self.graphs: list[fx.GraphModule] = []
        self.inputs: list[list[Any]] = []

    def __call__(self, graph: fx.GraphModule, inputs: list[Any]) -> Function:
        self.graphs.append(graph)
        self.inputs.append(inputs)
        return graph.forward

    @property
    def operators(self) -> list[list[str]]:
        """Return the names of the operators that each graph calls."""
        called = [[node.target for node in graph.graph.nodes if "call" in node.op] for graph in self.graphs]
        return [[str(getattr(target, "__name__", target)) for target in targets] for targets in called]


def ahead_of_time(codes: list[str]) -> Function:
    """Return a backend that has AOTAutograd make two graphs, as inductor does, and keeps their code."""
    from torch._dynamo.backends.common import aot_autograd
    from torch._functorch import partitioners
    from torch._functorch.aot_autograd import make_boxed_func
    from torch._inductor.decomposition import select_decomp_table

    def keep(graph: fx.GraphModule, inputs: list[Any]) -> Function:
        lines = [re.sub(r";  .*", "", line).rstrip() for line in graph.code.strip().splitlines()]
        short = re.sub(r"torch\.ops\.aten\.|\.(default|Tensor|Scalar|self)(?=\()", "", "\n".join(lines))
        codes.append(short)
        boxed: Function = make_boxed_func(graph.forward)
        return boxed

    cut = partitioners.min_cut_rematerialization_partition
    table = select_decomp_table()
    made: Function = aot_autograd(fw_compiler=keep, bw_compiler=keep, partition_fn=cut, decompositions=table)
    return made


def why_broken() -> list[str]:
    """Return why graphs broke since the last call, each reason as torch words it."""
    from torch._dynamo.utils import counters

    found = list(counters["graph_break"])
    counters["graph_break"].clear()
    return found


def recompile_reasons() -> list[str]:
    """Return which guards failed since the last call: what `TORCH_LOGS=recompiles` prints."""
    from torch._dynamo.utils import clear_compilation_metrics, get_compilation_metrics

    told = [str(metrics.recompile_reason or "") for metrics in get_compilation_metrics()]
    clear_compilation_metrics()
    return [reason.partition(": ")[2].partition("  ")[0].partition("\n")[0] for reason in told if reason]


# What breaks a graph, and what does not ---------------------------------------------------------------------

SIGNS = [torch.tensor([2.0, -1.5, 0.0]), torch.tensor([-2.0, 1.5, 0.0])]
INPUTS = [
    *SIGNS,
    torch.zeros(3),
    torch.tensor([[1, -3], [4, 2]]),
    torch.tensor([5, -7, 1]),
    torch.tensor([math.inf, -1.0]),
    torch.tensor([-math.inf, 1.0]),
    torch.tensor(-0.5, dtype=torch.float64),
    torch.tensor([3e-60, -1e-60], dtype=torch.float64),  # its sum is 0 in float32
    torch.tensor([100, 100], dtype=torch.int8),  # its sum is no int8
    torch.ones(0, 2),
]


def explained(cause: str) -> tuple[int, str]:
    """Let torch explain how many graphs it makes of a function, and why."""
    with fresh_compiler():
        explanation = torch._dynamo.explain(CAUSES[cause])(SIGNS[0])
    reasons = [broken.reason.strip().partition("\n")[0] for broken in explanation.break_reasons]
    return explanation.graph_count, reasons[0] if reasons else ""


def drawn(name: str, guards: str, graphs: list[list[str]]) -> Graph:
    """Draw how calls run through a function's graphs; if there are several, Python decides after one."""
    nodes = {"call": Node(0, 0, f"{name}(x)"), "guards": Node(1, 0, f"guards: {guards}", 5)}
    edges = [Edge("call", "guards")]
    if len(graphs) > 1:
        nodes["break"] = Node(3, 0, "Python: if", WARN)
        edges.append(Edge("graph 0", "break", tone=WARN))
    middle = (len(graphs) - 2) / 2
    for place, operators in enumerate(graphs):
        column, row = (4, place - 1 - middle) if place else (2, 0)
        nodes[f"graph {place}"] = Node(column, row, f"graph {place + 1}: {', '.join(operators)}", 1 + place)
        edges.append(Edge("break" if place else "guards", f"graph {place}"))
    return Graph(nodes, edges)


# What is guarded, and how -----------------------------------------------------------------------------------


class Argument(NamedTuple):
    """A tensor in words: all that a guard could look at."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    requires_grad: bool = False
    kind: type[Tensor] = Tensor
    offset: int = 0
    content: float = 1.0


def tensor_of(argument: Argument) -> Tensor:
    """Make the tensor."""
    steps = zip(argument.shape, argument.stride, strict=True)
    room = argument.offset + 1 + sum(max(size - 1, 0) * step for size, step in steps)
    row_N = torch.full((room,), argument.content, dtype=argument.dtype)
    tensor = row_N.as_strided(argument.shape, argument.stride, argument.offset)
    if argument.kind is nn.Parameter:
        return nn.Parameter(tensor, requires_grad=argument.requires_grad)
    return tensor.requires_grad_(argument.requires_grad)


def pairs_of_arguments() -> list[tuple[Argument, Argument]]:
    """List what a function is captured with and called with next: alike, or different in a thing or two."""
    table, row = Argument((4, 3), (3, 1)), Argument((1, 4), (4, 1))
    weight = table._replace(requires_grad=True, kind=nn.Parameter)
    scalar, empty = Argument((), (), torch.float64), Argument((0, 4), (4, 1))
    changed: list[tuple[Argument, dict[str, Any]]] = [
        (table, {"content": 2.0}),
        (table, {"offset": 5}),
        (table, {"offset": 7, "content": -1.0}),
        (table, {"dtype": torch.float64}),
        (table, {"dtype": torch.int32, "content": 2.0}),
        (table, {"requires_grad": True}),
        (table, {"kind": nn.Parameter}),
        (table, {"stride": (1, 4)}),
        (table, {"stride": (6, 2)}),
        (table, {"shape": (5, 3)}),
        (table, {"shape": (3, 4), "stride": (4, 1)}),
        (table, {"shape": (12,), "stride": (1,)}),
        (table, {"shape": (6, 2)}),
        (table._replace(stride=(1, 4)), {"stride": (6, 2)}),
        (row, {}),
        (row, {"stride": (9, 1)}),
        (weight, {"content": 3.0}),
        (weight, {"requires_grad": False}),
        (weight, {"kind": Tensor}),
        (scalar, {"content": 0.0}),
        (scalar, {"shape": (1,), "stride": (1,)}),
        (empty, {"offset": 3}),
        (empty, {"shape": (0, 5), "stride": (5, 1)}),
    ]
    return [(captured, captured._replace(**change)) for captured, change in changed]


def served_by_one_graph(captured: Argument, now: Argument) -> bool:
    """Call a compiled function with one tensor, then with another, and tell whether one graph was enough."""
    backend = Counting()
    with fresh_compiler():
        compiled = torch.compile(doubled, backend=backend, dynamic=False)
        for argument in (captured, now):
            compiled(tensor_of(argument))
    served = len(backend.graphs) == 1
    return served


def compiles_per_call(name: str) -> tuple[list[int], str]:
    """Change one thing from call to call; count the graphs of each, and return the first guard to fail."""
    change, backend, counts = changes()[name], Counting(), list[int]()
    with fresh_compiler():
        recompile_reasons()
        compiled = torch.compile(change.function, backend=backend, dynamic=change.dynamic)
        for value in change.values:
            before = len(backend.graphs)
            change.call(compiled, value)
            counts.append(len(backend.graphs) - before)
        reasons = recompile_reasons()
    return counts, reasons[0] if reasons else ""


class Training(NamedTuple):
    """Forward and backward through a function: bytes kept between, the gradient, the code of its graphs."""

    kept: int
    gradient_N: Tensor
    code: list[str]


def gelu_slope(x_N: Tensor) -> Tensor:
    """Compute the derivative of the GELU by its formula, with 0.8 for the root of 2/π."""
    tanh_N = torch.tanh(0.8 * (x_N + 0.044715 * x_N**3))
    return 0.5 * (1 + tanh_N) + 0.4 * x_N * (1 - tanh_N**2) * (1 + 3 * 0.044715 * x_N**2)


EMPTY = "empty cache"

# First calls ------------------------------------------------------------------------------------------------


def first_calls(function: Function, device: torch.device, thorough: bool) -> dict[str, inductor.FirstCall]:
    """Time the first call of a compiled function, here after all was forgotten, and in new processes."""
    name, x_N = f"lab33.{function.__name__}", torch.linspace(-2, 2, 4096, device=device)
    compiled = inductor.by_inductor(function, thorough)
    with fresh_compiler(), torch_threads(1):
        compiled(x_N)
        torch.compiler.reset()
        calls = {"this process, all forgotten": inductor.first_call(compiled, x_N)}
    if thorough:
        cache = inductor.own_cache(thorough)
        found = inductor.calls_in_new_process(name, cache, device, thorough)
        with tempfile.TemporaryDirectory(dir=cache) as empty:
            both = f"{name}, lambda x_N: {name}(x_N + 1)"
            first, second = inductor.calls_in_new_process(both, empty, device, thorough)
        calls |= {
            "new process": found[0],
            f"new process, {EMPTY}": first,
            f"another function, {EMPTY}": second,
        }
    return calls


# DDP --------------------------------------------------------------------------------------------------------


class Chained(nn.Module):
    """Layers of 256 inputs whose weights hold so many quarters of a MiB; 256 sums of their outputs go on."""

    def __init__(self, quarters: tuple[int, ...]) -> None:
        super().__init__()
        torch.manual_seed(0)
        sizes = [256 * count for count in quarters]
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(256, size) / 16) for size in sizes])

    def forward(self, x_BI: Tensor) -> Tensor:
        for weight_IO in self.weights:
            x_BI = torch.tanh(x_BI @ weight_IO).unflatten(-1, (-1, 256)).sum(1)
        return x_BI


def weights_in(inputs: list[Any]) -> int:
    """Return the bytes of a graph's inputs that are weights of `Chained`."""
    return sum(thing.nbytes for thing in inputs if isinstance(thing, Tensor) and thing.shape[:1] == (256,))


def noted(sent: list[int], bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    """Note a bucket's bytes, and add it up over all ranks, as a communication hook of DDP."""
    sent.append(bucket.buffer().nbytes)
    summed: torch.futures.Future[Any] = dist.all_reduce(bucket.buffer(), async_op=True).get_future()
    return summed.then(lambda done: done.value()[0])


# Quarters of a MiB that the weights hold, from the first layer to the last, and `bucket_cap_mb`.
Model = tuple[tuple[int, ...], float | None]
SMALL_MODELS: list[Model] = [((3, 2, 3, 5), None), ((3, 2, 3, 5), 1.5), ((3, 2, 3, 5), 25.0)]
ALL_MODELS: list[Model] = [*SMALL_MODELS, ((3, 50, 60, 5), None)]


def cut_by_rule(quarters: tuple[int, ...], cap_mb: float | None) -> tuple[list[int], list[int]]:
    """Return the bytes of weights in the compiler's graphs, and in DDP's buckets, the last weight first."""
    others_mb = cap_mb or 25
    return _groups(quarters, 1, others_mb), _groups(quarters, cap_mb or 1, others_mb)


def _groups(quarters: tuple[int, ...], first_mb: float, others_mb: float) -> list[int]:
    """Go through the weights from the last to the first and close a group once it is full."""
    groups = [0]
    for count in reversed(quarters):
        if groups[-1] >= MIB * (first_mb if len(groups) == 1 else others_mb):
            groups.append(0)
        groups[-1] += count * MIB // 4
    return groups


def in_mib(groups: list[int]) -> str:
    """Write groups of bytes as MiB."""
    return " | ".join(f"{size / MIB:g}" for size in groups)


def compiled_around_ddp(quarters: tuple[int, ...]) -> list[str]:
    """Compile the DDP wrapper itself, and return why the graph broke."""
    with fresh_compiler():
        why_broken()
        model = torch.compile(DistributedDataParallel(Chained(quarters)), backend=Counting())
        model(torch.ones(2, 256)).square().mean().backward()
        reasons = why_broken()
    return reasons
