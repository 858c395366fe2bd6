"""Lab 33 · torch.compile introduction · Wprowadzenie do torch.compile

Question:
    What does `torch.compile` do to your model, and when does it pay?

You will see:
    - Your Python as graphs: where a graph ends, what it is guarded by, and what makes torch compile again.
      These are exact counts by a backend that compiles nothing, so no compiler is needed for them.
    - The backward pass as a graph of its own, which keeps one tensor where autograd keeps six.
    - Twelve operators in one loop, one trip through memory instead of twelve, and the loop as it was written.
    - The number of calls after which compiling has paid: a few, or hundreds of thousands, depending on the
      size of the tensors and on what the cache holds.
    - A model compiled inside DDP: where its graph is cut, and when those cuts are not DDP's buckets.

Run:
    make lab-33, or on several processes: make lab-33 PROCS=2
    python -m labs.m5_training.lab33_torch_compile_intro --smoke

Needs:
    1 process or more, a GPU for one of the claims, 2 GiB of memory, 2 minutes

Builds on:
    lab 27 for what the backward pass keeps, lab 43 for buckets

Remember:
    `torch.compile` reads your Python with tensors that hold no numbers, writes the operators into graphs, and
    guards each graph by all that it relied on. A number that Python needs ends a graph, and a guard that
    fails makes another one: look at both (`TORCH_LOGS=graph_breaks,recompiles`) before you look at the speed.
    Compiling pays where operators are many and cheap, because it saves memory traffic and launches; it takes
    seconds first, and fewer where a cache is warm. Under DDP compile the model inside and leave
    `bucket_cap_mb` alone. This lab compiles no optimizer, and no product of large matrices, where little can
    be fused. Next comes lab 34, which finds the layer that is worth it.

Sources:
    - J. Ansel et al., "PyTorch 2: Faster Machine Learning Through Dynamic Python Bytecode Transformation and
      Graph Compilation", ASPLOS 2024, sections 3 (TorchDynamo) and 4 (TorchInductor):
      https://doi.org/10.1145/3620665.3640366
    - PyTorch documentation, Dynamo Overview:
      https://docs.pytorch.org/docs/stable/torch.compiler_dynamo_overview.html
    - PyTorch documentation, Dynamic Shapes:
      https://docs.pytorch.org/docs/stable/user_guide/torch_compiler/torch.compiler_dynamic_shapes.html
    - H. He, "Min-cut optimal recomputation with AOTAutograd", 2022: https://dev-discuss.pytorch.org/t/467
    - PyTorch recipes, Compile Time Caching and Regional Compilation:
      https://docs.pytorch.org/tutorials/recipes/torch_compile_caching_tutorial.html
      https://docs.pytorch.org/tutorials/recipes/regional_compilation.html
    - PyTorch documentation, Distributed Data Parallel, Internal Design, on TorchDynamo's DDPOptimizer:
      https://docs.pytorch.org/docs/stable/notes/ddp.html

Notebook:
    33_Torch_Compile_Intro.ipynb
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

import labs.m5_training._lab33_helpers as helpers
import labs.m5_training._lab33_inductor as inductor
from labs.kit import Lab, Tolerance, exercise, main, needs
from labs.kit.measure.memory import saved_bytes
from labs.kit.measure.timing import torch_threads
from labs.kit.topics.compiling import fresh_compiler
from labs.m5_training._lab33_changes import CAUSES, changes
from labs.m5_training._lab33_helpers import Argument, Counting, Training
from labs.m5_training._lab33_inductor import FirstCall, Fused, Price, Work

# Shape letters: N numbers; B rows of a batch, I inputs of a layer.

OPERATORS = 12  # of the chain: four rounds of three
Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    numbers: int = 2**24  # numbers N of the chain; 64 MiB, more than most caches hold

    @classmethod
    def smoke(cls) -> "Config":
        return cls(numbers=2**16)


def with_break(x_N: Tensor) -> Tensor:
    """Double a row whose sum is positive, and subtract one from any other."""
    if x_N.sum() > 0:
        return x_N * 2
    return x_N - 1


def graphs_of(function: Function, inputs: list[Tensor], whole: bool) -> list[list[str]]:
    """Capture a function that is called with each of these inputs, and return the operators of its graphs."""
    backend = Counting()
    with fresh_compiler():
        compiled = torch.compile(function, backend=backend, fullgraph=whole)
        for x_N in inputs:
            compiled(x_N)
    return backend.operators


@exercise(
    "An `if` on a tensor's content asks for its number while the graph is still being written. Let the graph "
    "hold both answers.",
    "`torch.where(condition, this, that)` chooses when the graph runs; its condition may have no dims.",
    "`torch.where(x_N.sum() > 0, x_N * 2, x_N - 1)`",
    contract="""
        `x_N` is a tensor of any shape, of a float or int dtype; it stays as it is. Return 2·x where the sum
        of all its numbers is positive, else x − 1, in its shape and dtype. `torch.compile` must make one
        graph of your function, so nothing in Python may depend on a tensor's content.

        >>> without_break(torch.tensor([3.0, -1.0])), without_break(torch.tensor([-3.0, 1.0]))
        (tensor([ 6., -2.]), tensor([-4.,  0.]))
        """,
    insight=(
        "Both branches are now computed on every call: that is the price of a graph without a hole. Where "
        "branches are expensive, `torch.cond` puts each into a graph of its own."
    ),
)
def without_break(x_N: Tensor) -> Tensor:
    """Say the same without an `if`.

    An operator that takes the condition as a tensor stays in the graph, and decides when the graph runs.
    """
    chosen_N = torch.where(x_N.sum() > 0, x_N * 2, x_N - 1)
    return chosen_N


GRAPH_GUESSES = {
    "1": "A graph holds operators and no numbers. Nobody can say yet which of the branches belongs in it.",
    "2": "One for each branch would do if Python knew the sum beforehand. But the sum is an operator too.",
    "3": "**Yes.** The sum and its comparison are the first, and each branch is one more.",
    "4": "The second call finds the guards of the first graph fulfilled, so the sum is not captured again.",
}


def capture(cfg: Config, lab: Lab) -> None:
    """What does the compiler see of your function?

    You write `torch.compile(f)`, and nothing happens. The work begins with the first call. Before Python runs
    the bytecode of `f`, *Dynamo* reads it with stand-ins for your tensors, which have a shape and a dtype but
    no numbers, and writes down each operator on tensors that it meets. What it has written is a *graph*, and
    a *backend* turns the graph into something that runs. The backend of this part compiles nothing. It keeps
    each graph and gives it back, which is enough for counting.

    Python between the operators is simply carried out while Dynamo reads: a loop over three layers leaves
    three layers in the graph and no loop. That works as long as nobody needs a number. `if x.sum() > 0` does
    need one, and there is none yet. So the graph ends, Python runs it and decides, and what follows is
    captured as the next graph. This is a *graph break*.

    A break changes no result, and that makes it treacherous. Nothing is fused across it, a GPU stands still
    there until Python has read the number, and nobody tells you. `fullgraph=True` makes an error of it.
    """
    question = (
        "A function doubles `x` if `x.sum() > 0`, else it subtracts one. It is called twice, with a positive "
        "sum and with a negative one. How many graphs does torch make?"
    )
    lab.predict("33.broken", question, GRAPH_GUESSES, answer="3")
    broken = lab.step_on_first(graphs_of, with_break, helpers.SIGNS, whole=False)
    cured = lab.step_on_first(graphs_of, without_break, helpers.SIGNS, whole=False)
    upper = helpers.drawn("with_break", "float32, shape (3,)", broken)
    lower = helpers.drawn("without_break", "float32, shape (3,)", cured)
    lab.diagram("From a frame of Python to graphs", upper, lower)
    lab.equal(
        "33.broken",
        "An `if` on a tensor's content makes three graphs of a function, and `where` in its place makes one.",
        [len(broken), len(cured)],
        [3, 1],
        unit="functions",
        because="the sum is a graph, and so is each branch; `where` is an operator like any other",
    )
    # Not on the first rank alone, for whom the others would wait in vain: it raises.
    whole = partial(lab.step, graphs_of, with_break, helpers.SIGNS, whole=True)
    named = "Data-dependent branching"
    lab.raises(
        "33.named", "`fullgraph=True` makes the break an error with a name.", whole, RuntimeError, named
    )
    chosen = [lab.step(without_break, x_N) for x_N in helpers.INPUTS]
    wanted = [with_break(x_N) for x_N in helpers.INPUTS]
    lab.equal(
        "33.cured-same", "A function with `where` returns what the `if` did.", chosen, wanted, unit="inputs"
    )
    rows = [(cause, *lab.step_on_first(helpers.explained, cause)) for cause in CAUSES]
    lab.table("What breaks a graph", ["in the function", "graphs", "torch's reason"], rows)
    lab.say(
        "The table comes from `torch._dynamo.explain(f)(x)`. In a program of your own "
        "`TORCH_LOGS=graph_breaks python train.py` prints each break with its line. Where you do want Python "
        "(a logger, a metric) put it into a function and mark that with `torch.compiler.disable`: then the "
        "break is there on purpose, and Dynamo does not try in vain."
    )


@exercise(
    "Which properties of a tensor must be known so that a graph for it can be written, and which are only "
    "there when the graph runs?",
    "Code is made for one dtype, one shape and one way of lying in memory, and whether autograd listens "
    "decides what is kept. The numbers, and the address of the first, are handed over in each call.",
    "Compare `kind`, `dtype`, `shape`, `stride` and `requires_grad`; leave `offset` and `content` alone.",
    contract="""
        `captured` describes the tensor with which a function was captured, `now` the one with which it is
        called next. Return True where the graph of the first serves the second too, with `dynamic=False`, so
        that no size has become a symbol. An `Argument` has the fields shape, stride, dtype, requires_grad,
        kind (`Tensor` or `nn.Parameter`), offset (where its first number lies in the storage) and content
        (the number in it).

        >>> table = Argument(shape=(4, 3), stride=(3, 1))
        >>> guards_hold(table, table._replace(content=2.0)), guards_hold(table, table._replace(stride=(1, 4)))
        (True, False)
        """,
    insight=(
        "A transposed batch, a stray `.double()`, an evaluation whose input needs no gradient: each compiles "
        "once more, and none of them tells you."
    ),
)
def guards_hold(captured: Argument, now: Argument) -> bool:
    """Check the guards of a graph by hand."""
    guarded = {"kind", "dtype", "shape", "stride", "requires_grad"}
    held = all(getattr(captured, name) == getattr(now, name) for name in guarded)
    return held


COUNTER_GUESSES = {
    "once": "That is so if the counter is a tensor. What lies in a tensor is not guarded.",
    "twice": "So it is with a float, which becomes a symbol at its second value. Such an int does not.",
    "8 times": "**Yes.** Each value is another constant, and after 8 graphs torch gives up and runs eagerly.",
    "10 times": "It would be, without a limit. `recompile_limit` is 8, and after that torch runs eagerly.",
}


def recompile(cfg: Config, lab: Lab) -> None:
    """When does it compile again?

    Your training is compiled, and yet the last batch of the epoch takes seconds. What happened? A graph
    is right for a second call only if that call looks like the first. So torch keeps with each graph what it
    relied on, its *guards*, and checks them before each call, within microseconds. If one fails, torch tries
    the other graphs of this function, and if none fits it captures another and compiles that.

    Of a tensor the graph relies on the class, the device, the dtype, the sizes, the strides and
    `requires_grad`. Take one of shape (4, 3) and strides (3, 1). Its numbers may change, and it may lie
    elsewhere in memory. A tensor of the same shape and numbers with the strides (1, 4) needs a graph of its
    own, since the generated loop walks through memory step by step.

    Values of Python are constants in the graph, guarded by equality. Does each batch size then compile again?
    The second does and the third does not: at its second value torch makes a *symbol* of a size, an int
    argument or a float, and that graph serves all values (*automatic dynamic shapes*). Sizes 0 and 1 stay
    apart: a 1 broadcasts, and a 0 leaves nothing to compute. A few things never become symbols, and they are
    the ones that hurt.
    """
    question = "A module multiplies by its int `self.calls` and adds 1 to it. How often do ten calls compile?"
    lab.predict("33.values", question, COUNTER_GUESSES, answer="8 times")
    pairs = helpers.pairs_of_arguments()
    lab.equal(
        "33.guards",
        "The guards checked by hand and torch agree on each pair of tensors whether one graph serves both.",
        [lab.step(guards_hold, *pair) for pair in pairs],
        [lab.step_on_first(helpers.served_by_one_graph, *pair) for pair in pairs],
        unit="pairs",
    )
    by_rule = {name: change.graphs for name, change in changes().items()}
    counted = {name: lab.step_on_first(helpers.compiles_per_call, name) for name in by_rule}
    rows = [(name, " ".join(map(str, graphs)), guard) for name, (graphs, guard) in counted.items()]
    columns = ["what changes from call to call", "graphs made by each call", "the first guard that failed"]
    lab.table("What compiles again", columns, rows)
    lab.equal(
        "33.values",
        "Content compiles once, what can become a symbol twice, and all else at each new value, up to 8.",
        [count for graphs, _ in counted.values() for count in graphs],
        [count for graphs in by_rule.values() for count in graphs],
        unit="calls",
        because="a first value is a constant, a second may make a symbol, and `recompile_limit` is 8",
    )
    lab.say(
        "So the last, smaller batch compiled once more. `drop_last=True` spares you that, and so does "
        "`torch._dynamo.mark_dynamic(x, 0)` before the first call. Keep counters and schedules in tensors. "
        "The right column is what `TORCH_LOGS=recompiles` prints. Look there first when a compiled program "
        "is slow: after 8 graphs of one function torch runs it eagerly, and says so only in the log."
    )


def gelu(x_N: Tensor) -> Tensor:
    """Compute the GELU by its formula with tanh."""
    inner_N = 0.8 * (x_N + 0.044715 * x_N * x_N * x_N)
    return 0.5 * x_N * (1 + torch.tanh(inner_N))


def trained(function: Function, x_N: Tensor, incoming_N: Tensor, ahead: bool) -> Training:
    """Go forward and backward through a function, eagerly or by two graphs that AOTAutograd wrote before.

    The cut between the two is inductor's own: the fewest bytes, where operators that work number by number
    may be computed again.
    """
    x_N, code = x_N.clone().requires_grad_(), list[str]()
    with fresh_compiler():
        called = torch.compile(function, backend=helpers.ahead_of_time(code)) if ahead else function
        (gradient_N,) = torch.autograd.grad(called(x_N), x_N, incoming_N)
        kept = saved_bytes(lambda: called(x_N))
    return Training(kept, gradient_N, code)


KEPT_GUESSES = {
    "6": "It could. But a compiler sees both directions at once, and may compute again what it did not keep.",
    "2": "The input and the tanh would save one evaluation of tanh, and cost twice the memory.",
    "1": "**Yes.** From the input alone all the others can be computed again, number by number.",
    "0": "The derivative depends on the input, and nothing can be computed from nothing.",
}


def training(cfg: Config, lab: Lab) -> None:
    """Who compiles the backward pass?

    You call `loss.backward()`, and Dynamo has never seen it: it read the bytecode of your forward pass, and
    the derivative stands nowhere in Python. *AOTAutograd* gets it by sending the captured graph through
    autograd ahead of time, again with tensors that hold no numbers, and writing down all that autograd does.
    The result is one joint graph, and it is cut in two. The first half runs when you call the function, the
    second when its gradient arrives.

    Where to cut is a choice, for whatever crosses the cut stays in memory in between. Eager autograd has no
    such choice, because each operator keeps what its own derivative needs. Count it for a GELU by its
    formula: the products of two tensors keep both factors, which are x, 0.044715·x, 0.044715·x², 0.5·x and 1
    + tanh, and tanh keeps its result. That makes six tensors. All of them follow from x, and the compiler
    sees both halves. It looks for the *minimum cut*, over which the fewest bytes pass, and computes the rest
    again. Inside a fused loop that costs arithmetic and no memory traffic. In lab 27 you do the same by hand.
    """
    question = (
        "Eager autograd keeps six tensors of a GELU for its backward pass. How many do two graphs keep?"
    )
    lab.predict("33.recomputed", question, KEPT_GUESSES, answer="1")
    x_N = torch.linspace(-3, 3, 1003, dtype=torch.float64)
    incoming_N = torch.linspace(-1, 2, 1003, dtype=torch.float64).square() - 0.7
    eager = lab.step(trained, gelu, x_N, incoming_N, ahead=False)
    compiled = lab.step_on_first(trained, gelu, x_N, incoming_N, ahead=True)
    lab.listing("The forward and the backward graph", "\n\n".join(compiled.code), language="python")
    lab.close(
        "33.gradient",
        "Autograd and the compiled backward graph both return the derivative times the incoming gradient.",
        torch.stack([eager.gradient_N, compiled.gradient_N]),
        torch.stack([helpers.gelu_slope(x_N) * incoming_N] * 2),
        within=Tolerance(1e-13, "some 30 operators on numbers below 32 round by 2⁻⁴⁹ each: 5·10⁻¹⁴"),
    )
    lab.equal(
        "33.recomputed",
        "Eager autograd keeps six tensors of a GELU for the backward pass, and compiled graphs its input.",
        [eager.kept / x_N.nbytes, compiled.kept / x_N.nbytes],
        [6, 1],
        unit="ways",
        because="three products keep five different factors, and tanh its result; all of them follow from x",
    )
    lab.say(
        "So a compiled training saves memory as well as time, and nobody wrote `checkpoint`. It also means "
        "that the first `backward` compiles: time a training from its second step on."
    )


def chain(x_N: Tensor, rounds: int = OPERATORS // 3) -> Tensor:
    """Go through rounds of three operators, each of which does little with what it reads."""
    for _ in range(rounds):
        x_N = torch.relu(0.5 * x_N + 0.25)
    return x_N


def fused(numbers: int, sizes: list[int], device: torch.device, vectors: bool) -> Fused:
    """Compile the chain by inductor, count what a call takes, and call it with rows of other sizes."""
    x_N, compiled = torch.linspace(-2, 2, numbers, device=device), inductor.by_inductor(chain, vectors)
    with fresh_compiler(), torch_threads(1):
        kernels, kernel = inductor.generated_for(compiled, x_N)
        work = Work(kernels, inductor.allocated_by(compiled, x_N))
        results_N = torch.cat([compiled(torch.linspace(-2, 2, size, device=device)).cpu() for size in sizes])
    return Fused(inductor.work_of(chain, x_N), work, results_N, kernel, inductor.language_for(device))


@needs("a C++ compiler")
def one_loop(cfg: Config, lab: Lab) -> None:
    """What becomes of one graph?

    A graph by itself is no faster than your function. Speed is the business of *inductor*, torch's own
    backend, which writes C++ for a CPU and Triton for a GPU and has it compiled. Its chief means is *fusion*.
    Eager torch finishes one operator before it begins the next, so each operator of `relu(0.5·x + 0.25)`
    writes N numbers to memory and the next one reads them again. The arithmetic is nothing beside that.

    Count it for four rounds, twelve operators on N floats. Eager torch reads 4N bytes and writes 4N bytes
    twelve times, 96N in all, and allocates twelve tensors. Fused, a number is loaded once, goes through all
    twelve operators in registers, and is stored: 8N bytes. A plain copy moves as much, so a fused chain
    should take about as long as a copy, whatever it computes. We measure both on one thread.
    """
    device, sizes = lab.world.device, [4099, 17, 3]
    made = lab.step_on_first(fused, cfg.numbers, sizes, device, vectors=not lab.smoke)
    lab.listing("Twelve operators in one loop, as inductor wrote it", made.kernel, language=made.language)
    lab.table(f"One call on {cfg.numbers:,} numbers", *inductor.table_of(made))
    lab.equal(
        "33.fused",
        "Eager torch runs twelve kernels with twelve results, and inductor makes one kernel with one result.",
        [(work.kernels, round(work.nbytes / (4 * cfg.numbers))) for work in (made.eager, made.compiled)],
        [(OPERATORS, OPERATORS), (1, 1)],
        unit="ways",
        because="all twelve work number by number, so a number stays in a register all the way",
    )
    lab.equal(
        "33.same",
        "The compiled chain returns what eager torch does, to the last bit.",
        made.results_N,
        torch.cat([chain(torch.linspace(-2, 2, size, device=device)).cpu() for size in sizes]),
        unit="numbers",
        because="0.5·x is exact, so a round rounds once, in its sum, whether it is fused or not",
    )
    eager, compiled, copy = inductor.eager_compiled_copy(chain, cfg.numbers, lab)
    lab.ratio(
        "33.fast-default",
        "The compiled chain is at least twice as fast as eager torch.",
        eager,
        compiled,
        at_least=2,
        rounds=5,
        because="twelve trips through memory against one; we require a sixth, as a cache may hold some of x",
    )
    lab.ratio(
        "33.bandwidth",
        "The compiled chain takes about as long as one copy of its numbers, not as twelve.",
        compiled,
        copy,
        at_most=OPERATORS**0.5,
        rounds=5,
        because="a copy moves the same 8N bytes and computes nothing; √12 is midway between 1 and 12 copies",
    )


@exercise(
    "After n calls eager torch has spent n·e. Compiled code has spent its first seconds and n·c.",
    "They meet where n·(e − c) makes up for the first seconds. If c is not below e, they never meet.",
    "`math.ceil(first / (eager - compiled))` where that difference is positive, else `math.inf`",
    contract="""
        `price` has the seconds of the first call (more than 0), and of a later call in eager torch and
        compiled. Return the smallest number n of calls with first + n·compiled ≤ n·eager, an int, or
        `math.inf` where there is none.

        >>> break_even(Price(first=10, eager=3, compiled=1)), break_even(Price(first=10, eager=2, compiled=2))
        (5, inf)
        """,
    insight=(
        "Only the difference counts: twice as fast pays a thousand times later where a call takes 5 µs than "
        "where it takes 5 ms."
    ),
)
def break_even(price: Price) -> float:
    """Find the number of calls after which compiling has paid.

    It is the smallest n with

        first + n·compiled ≤ n·eager
    """
    gained = price.eager - price.compiled
    calls = math.ceil(price.first / gained) if gained > 0 else math.inf
    return calls


def paid(cfg: Config, lab: Lab) -> None:
    """When has it paid?

    Compiling takes seconds and saves microseconds, so everything depends on how often you call. If the first
    call takes `first` seconds, and a later one e seconds in eager torch and c compiled, then after n calls
    you compare first + n·c with n·e. With 10 s, 3 s and 1 s they are even after 5 calls.

    Which first call, though? They lie far apart. A process that has compiled something before captures,
    writes code and waits until that is compiled. A new process must import the compiler first, and on a CPU
    try out which vector instructions this machine has. Whoever finds the code in the *cache* on disk captures
    too, but then loads machine code that is ready. The cache's key is the graph, the properties of its
    inputs, inductor's settings and its version. On a cluster put the folder (`TORCHINDUCTOR_CACHE_DIR`) where
    all nodes see it, or carry it along with `torch.compiler.save_cache_artifacts`.
    """
    lab.equal(
        "33.break-even",
        "The number of calls found by division is the first that pays when one tries them all.",
        [lab.step(break_even, price) for price in inductor.PRICES],
        [inductor.first_that_pays(price) for price in inductor.PRICES],
        unit="prices",
    )
    calls = dict[str, FirstCall]()
    if lab.has("a C++ compiler"):
        device, sizes = lab.world.device, [max(2, cfg.numbers >> shift) for shift in (12, 8, 4, 0)]
        calls = lab.step_on_first(helpers.first_calls, chain, device, thorough=not lab.smoke)
        firsts = [(name, *call) for name, call in calls.items()]
        lab.table("The first call", ["", "seconds", "found in the cache", "not found"], firsts)
        times = lab.step_on_first(inductor.seconds_per_call, chain, sizes, device, vectors=not lab.smoke)
        until = inductor.until_paid(times, calls, break_even)
        columns = ["numbers", "eager, µs", "compiled, µs", *calls]
        lab.table("A later call, and how many it takes until compiling has paid", columns, until)
    lab.equal(
        "33.cache",
        "First calls find in the cache what was compiled before, and nothing in an empty one.",
        [(call.hits, call.misses) for call in calls.values()],
        [(0, 1) if helpers.EMPTY in name else (1, 0) for name in calls],
        unit="first calls",
        because="the same graph is captured under the same settings, and that is the key",
        needs="a C++ compiler",
    )
    lab.say(
        "What a call saves grows with the tensors, and the first call does not. So a short script on small "
        "tensors had better stay eager; a training of hours wins in any case. (With `--smoke` no new process "
        "is started, and no vector instructions are looked for, so the loop is slower than the usual one.)"
    )


@needs("cuda")
def modes(cfg: Config, lab: Lab) -> None:
    """What are the modes for?

    `default` fuses, and then launches one kernel after another. A launch costs the processor some
    microseconds. If the kernels themselves take no longer than that, the GPU waits for its orders, and fusing
    does not help across products of matrices. `reduce-overhead` records all launches of a call once, as a
    *CUDA graph*, and replays them by a single order. So it is for many small kernels. Its price is memory: an
    input that may move is copied to a fixed place, and beside one large fused loop that copy doubles the
    traffic.

    `max-autotune` tries several kernels for each product and keeps the fastest. On an H100 it searched 6 to
    42 seconds for a single product and found nothing that cuBLAS lacked, so we claim no speed for it.
    """
    network = inductor.small_layers(lab.world.device)
    x_BI = torch.randn(16, 256, device=lab.world.device)
    compiled = [torch.compile(network, mode=mode) for mode in ("default", "reduce-overhead")]
    default, replay = (inductor.on_first(lab, partial(called, x_BI)) for called in compiled)
    with torch.no_grad():
        inductor.warm_up(default, replay)
        lab.ratio(
            "33.fast-reduce-overhead",
            "For many small kernels `reduce-overhead` is at least twice as fast as `default`.",
            default,
            replay,
            at_least=2,
            because="60 launches against one, of kernels that take less time than a launch; we require 2 ×",
        )


def compiled_inside_ddp(quarters: tuple[int, ...], cap_mb: float | None) -> tuple[list[int], list[int]]:
    """Put a compiled model into DDP; return the bytes in its graphs, the last one first, and in buckets."""
    backend, sent = Counting(), list[int]()
    with fresh_compiler():
        model = DistributedDataParallel(helpers.Chained(quarters), bucket_cap_mb=cap_mb)
        model.register_comm_hook(sent, helpers.noted)
        model.module.compile(backend=backend)
        for _ in range(2):  # DDP puts its buckets into the order of the first backward pass
            sent.clear()
            model(torch.ones(2, 256)).square().mean().backward()
    return [helpers.weights_in(inputs) for inputs in reversed(backend.inputs)], sent


def under_ddp(cfg: Config, lab: Lab) -> None:
    """What becomes of DDP's buckets?

    DDP sends gradients in buckets while the backward pass still runs. A compiled model has one backward
    graph, and a graph hands over its results at its end. No gradient would be ready before all are, and
    nothing would overlap. So when Dynamo runs inside the forward pass of DDP, the captured graph is cut into
    several, each with a backward graph of its own.

    Where? From the end of the graph, where gradients come from first, the compiler adds up weights. It cuts
    after 1 MiB, and then after each `bucket_cap_mb`, which is 25 by default. DDP fills its buckets by the
    same two numbers as long as you name no cap. If you do, its first bucket is as large as the others, and
    the compiler still begins with 1 MiB. Take weights of 0.75, 0.5, 0.75 and 1.25 MiB and a cap of 1.5: the
    graphs hold 1.25 and 2 MiB, and DDP sends 2 and 1.25. Two of each, and yet no bucket is full when the
    first graph is done.

    If you compile the DDP wrapper instead, Dynamo meets Python that talks to a C++ reducer. It breaks there
    and compiles the model inside, cut in the same way. Wrapping last says what you mean.
    """
    models = helpers.SMALL_MODELS if lab.smoke else helpers.ALL_MODELS
    cuts = [lab.step(compiled_inside_ddp, *model) for model in models]
    rows = [(cap or "none", *map(helpers.in_mib, both)) for (_, cap), both in zip(models, cuts, strict=True)]
    lab.table(
        "MiB of weights, the last layer first", ["bucket_cap_mb", "in graphs", "in DDP's buckets"], rows
    )
    lab.equal(
        "33.ddp-graphs",
        "Inside DDP graphs end after 1 MiB of weights and then each cap, and buckets too if no cap is named.",
        cuts,
        [helpers.cut_by_rule(*model) for model in models],
        unit="models",
    )
    reasons = lab.step(helpers.compiled_around_ddp, models[0][0])
    lab.count(
        "33.ddp-around",
        "Around DDP the graph breaks at DDP's own forward pass.",
        sum("_inside_ddp_forward" in reason for reason in reasons),
        want=1,
        because="DDP marks the function that talks to its reducer as not to be traced, and calls it once",
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (capture, recompile, training, one_loop, paid, modes, under_ddp):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
