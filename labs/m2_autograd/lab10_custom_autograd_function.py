"""Lab 10 · Custom autograd Function · Własna funkcja autogradu

Question:
    How do you give autograd a derivative that it does not know, or a better one?

You will see:
    - A solver differentiated by its answer: of 100 tensors that autograd keeps, one is enough.
    - Gradients that are wrong on purpose, one that is wrong by mistake, and a training that notices nothing.
    - Two referees, each of which is blind for what the other one finds.
    - A backward pass at half the price, and an activation that keeps a quarter and computes the rest again.
    - What `grad`, `jacrev`, `vmap` and `jvp` ask of a Function, and how a compiler makes NaN of a cube root.

Run:
    make lab-10
    python -m labs.m2_autograd.lab10_custom_autograd_function --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 01 for strides and storages; nothing else

Remember:
    A Function is one node of the graph: `forward` computes without a graph, `setup_context` says what is
    kept, `backward` multiplies the gradient that comes in. Autograd believes what you return, so let
    `gradcheck` and `gradgradcheck` try it in float64, and test what is wrong on purpose with random incoming
    gradients. Save inputs and outputs only. Always write `setup_context`; add a vmap rule and a `jvp` where
    somebody will map or push forward, and register an operator where a compiler must not look inside. This
    lab shows neither several outputs nor writing into arguments. Next comes lab 11, on whole Jacobians.

Sources:
    - PyTorch, Extending PyTorch: https://docs.pytorch.org/docs/stable/notes/extending.html
    - PyTorch, Extending torch.func: https://docs.pytorch.org/docs/stable/notes/extending.func.html
    - PyTorch, Gradcheck mechanics: https://docs.pytorch.org/docs/stable/notes/gradcheck.html
    - PyTorch, torch.library: https://docs.pytorch.org/docs/stable/library.html
    - Y. Bengio, N. Léonard, A. Courville, 2013, on the straight-through estimator: arXiv:1308.3432
    - Y. Ganin, V. Lempitsky, 2015, section 3, on the reversal of gradients: arXiv:1409.7495
    - D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units", 2016, section 2: arXiv:1606.08415

Notebook:
    10_Custom_Autograd_Function.ipynb
"""

import math
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.library import custom_op, opcheck
from torch.nn import functional

from labs.kit import Lab, Tolerance, exercise, fresh, main
from labs.kit.measure.memory import saved_bytes
from labs.m2_autograd._lab10_helpers import (
    POINTS,
    Curve,
    Pair,
    answers,
    backward_passes,
    cardano,
    errors,
    expected,
    fitted,
    in_one_function,
    in_one_graph,
    judged,
    memory_of_stacks,
    memory_over_time,
    odd_inputs,
    operations,
    second_slope,
    slope_times,
    value_and_slope,
    written,
)

# Shape letters: N elements, B samples of a batch, I inputs and O outputs of a layer.


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    size: int = 2**18  # elements N of the tensors whose memory is measured
    rounds: int = 20  # rounds of Newton's method
    batch: int = 61  # samples B that go through the linear layer
    strength: float = 0.3  # λ, by which a reversed gradient is multiplied

    @classmethod
    def smoke(cls) -> "Config":
        return cls(size=1000, batch=11)


def solved_by_unrolling(x_N: Tensor, rounds: int) -> Tensor:
    """Solve y³ + y = x by Newton's method and let autograd watch: y ← y − (y³ + y − x) / (3y² + 1)."""
    y_N = x_N
    for _ in range(rounds):
        y_N = y_N - (y_N * y_N * y_N + y_N - x_N) / (3 * y_N * y_N + 1)
    return y_N


@exercise(
    "Differentiate y³ + y = x on both sides by x. What is dy/dx, written with y alone?",
    "`setup_context(ctx, inputs, output)` sees the finished y: save that, and multiply by the slope at it.",
    "With `y_N = ctx.saved_tensors[0]`, `grad_N / (1 + 3 * y_N * y_N)`; above, `generate_vmap_rule = True`.",
    contract="""
        Return a function of one tensor x, of any shape and floating dtype, that gives the root y of y³ + y =
        x in that shape and dtype, by `solved_by_unrolling(x, rounds)`. It keeps y alone for the way back, can
        be differentiated twice, by `torch.func.grad` too, and mapped by `torch.func.vmap`. Neither x nor the
        gradient that comes in is changed.

        >>> x_N = torch.tensor([2.0, 10.0], requires_grad=True)
        >>> torch.autograd.grad(implicit_root(20)(x_N), x_N, torch.tensor([4.0, 26.0]))
        (tensor([1., 2.]),)
        """,
    insight="Nothing in `backward` knows how y was found: by a table or a bisection it would be as right.",
)
def implicit_root(rounds: int) -> Curve:
    """Differentiate the answer in the place of the solver: its rounds leave nothing behind."""

    class Root(Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x_N: Tensor) -> Tensor:
            return solved_by_unrolling(x_N, rounds)

        @staticmethod
        def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
            ctx.save_for_backward(output)

        @staticmethod
        def backward(ctx: Any, grad_N: Tensor) -> Tensor:
            y_N: Tensor = ctx.saved_tensors[0]
            return grad_N / (1 + 3 * y_N * y_N)

    root: Curve = Root.apply
    return root


SAVED = {
    "1": "One is enough, as this part shows. But autograd was told the rounds, and not the equation.",
    "20": "It is not y that a round keeps, but all that the derivatives of its operations use.",
    "100": "**Yes.** A round keeps y, y², 3y, and the fraction's numerator and denominator: 20 · 5.",
    "160": "So often something is saved: y four times a round, the others once. Each is kept once.",
}


def implicit(cfg: Config, lab: Lab) -> None:
    """Must autograd walk back through every round of a solver?

    Your network needs the root y of y³ + y = x. torch has no operator for it, so you write Newton's method,
    20 rounds of one line. Autograd records every operation and walks all of them back. The gradient is right,
    and the price is memory: in every round autograd keeps what the derivatives of products and fractions use.

    But the answer does not depend on the path that led to it. At x = 10 the root is 2, after seven rounds or
    after twenty. So differentiate the *equation* by x: 3y²·y′ + y′ = 1, and y′ = 1/(1 + 3y²), which is 1/13
    at x = 10. This needs y and nothing else.

    A `torch.autograd.Function` tells autograd so. It is one node of the graph. `forward` computes y while
    nothing is recorded, `setup_context` puts on `ctx` what is to be kept, and `backward` is handed the
    gradient for y and returns the one for x.
    """
    lab.predict("10.saved", "How many tensors of x's size do 20 recorded rounds keep?", SAVED, "100")
    x_N = torch.linspace(-3, 3, cfg.size, dtype=torch.float64).requires_grad_()
    ten, rows = torch.tensor(10.0), []
    for rounds in (1, 7, cfg.rounds):
        y, formula = lab.step(solved_by_unrolling, ten, rounds).item(), lab.step(implicit_root, rounds)
        recorded = saved_bytes(partial(solved_by_unrolling, x_N, rounds))
        rows.append((rounds, y, recorded, formula(ten).item(), saved_bytes(partial(formula, x_N))))
    lab.table("One answer and its price", ["rounds", "y at 10", "bytes", "formula: y", "its bytes"], rows)
    lab.equal(
        "10.saved",
        "A recorded round keeps five tensors, and the formula keeps one for all rounds together.",
        rows,
        [(rounds, y, 5 * rounds * x_N.nbytes, y, x_N.nbytes) for rounds, y, *_ in rows],
        unit="solvers",
        because="y, y², 3y, numerator and denominator of 8·N bytes each; of the formula the same y alone",
    )
    lab.close(
        "10.same-slope",
        "One formula and all recorded rounds give the same gradient.",
        errors(lab.step(implicit_root, cfg.rounds), partial(solved_by_unrolling, rounds=cfg.rounds)),
        torch.zeros(6),
        within=Tolerance(16, "in units of the dtype's precision: 20 roundings of numbers up to 1.2 make 12"),
    )


def declared(forward: Curve, keep: Pair, backward: Pair, mapped: bool = False, pushed: bool = False) -> Curve:
    """Make a Function of three formulas: y = forward(x), kept = keep(x, y), gradient = backward(g, kept)."""

    class Declared(Function):
        generate_vmap_rule = mapped

        @staticmethod
        def forward(x_N: Tensor) -> Tensor:
            return forward(x_N)

        @staticmethod
        def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor], output: Tensor) -> None:
            kept_N = keep(*inputs, output)
            ctx.save_for_backward(kept_N)
            ctx.save_for_forward(kept_N)

        @staticmethod
        def backward(ctx: Any, grad_N: Tensor) -> Tensor:
            return backward(grad_N, *ctx.saved_tensors)

    class Pushed(Declared):
        @staticmethod
        def jvp(ctx: Any, tangent_N: Tensor) -> Tensor:
            return backward(tangent_N, *ctx.saved_tensors)

    curve: Curve = (Pushed if pushed else Declared).apply
    return curve


def wrong_on_purpose(cfg: Config, lab: Lab) -> None:
    """May a gradient be wrong?

    A network's weights are to be whole numbers, so you round them. The derivative of rounding is 0 wherever
    it exists: true and useless, for nothing below ever learns. So one lies to autograd, and passes the
    gradient on as it came. This is the *straight-through estimator*. At x = 1.7 the value is 2, and where 0.5
    comes in, rounding sends 0 back and the estimator sends 0.5.

    The *gradient reversal layer* lies as well. Above it a critic learns to tell two kinds of images apart.
    Below it every gradient arrives times −λ, so the features learn to make that impossible.

    Autograd does not object. It never compares `backward` with `forward`; what you return is what it uses. So
    what you promised is yours to test, and not with a plain sum as the loss. Under `y.sum()` all incoming
    gradients are 1, and a backward that forgets to multiply by them passes. We send random ones.
    """
    output: Pair = lambda x_N, y_N: y_N  # noqa: E731
    rounded = lab.step(declared, torch.round, output, lambda grad_N, y_N: grad_N)
    reverse = lab.step(declared, torch.clone, output, lambda grad_N, y_N: -cfg.strength * grad_N)
    lab.equal(
        "10.straight-through",
        "The straight-through estimator rounds, and hands the incoming gradient on unchanged.",
        [written(*value_and_slope(rounded, x, g)) for x, g in odd_inputs()],
        [written(x.round(), g) for x, g in odd_inputs()],
        unit="inputs",
    )
    lab.equal(
        "10.reversal",
        "Gradient reversal changes no value, and hands the incoming gradient on times −λ.",
        [written(*value_and_slope(reverse, x, g)) for x, g in odd_inputs()],
        [written(x, -cfg.strength * g) for x, g in odd_inputs()],
        unit="inputs",
    )


def referees(cfg: Config, lab: Lab) -> None:
    """Who notices a wrong backward?

    Training does not. Take the slope at x in the place of y: 1/(1 + 3x²), which at x = 10 is 1/301 and not
    1/13. Shapes and types fit, and the sign is right, so each number still moves the right way. The loss
    falls, only more slowly.

    `gradcheck` moves each input by ±ε and compares (f(x + ε) − f(x − ε)) / 2ε with your backward. It does so
    in float64, since float32 leaves too few digits in such a difference. `gradgradcheck` does the same one
    level up: it compares the derivative *of your backward* with finite differences of your backward.

    So each is blind for what the other sees. The second mistake is to keep the finished slope 1/(1 + 3y²) in
    the place of y. The first derivative is right. But nothing was recorded when the slope was computed, so
    for autograd it is a constant, and the second derivative is lost. Save inputs and outputs only.
    """
    root = lab.step(implicit_root, cfg.rounds)
    solve: Curve = partial(solved_by_unrolling, rounds=cfg.rounds)
    finished: Pair = lambda x_N, y_N: 1 / (1 + 3 * y_N * y_N)  # noqa: E731
    curves = {
        "root": root,
        "slope at x": lab.step(declared, solve, lambda x_N, y_N: x_N, slope_times),
        "finished slope": lab.step(declared, solve, finished, lambda grad_N, slope_N: grad_N * slope_N),
        "straight-through": lab.step(declared, torch.round, finished, lambda grad_N, _: grad_N),
        "reversal": lab.step(declared, torch.clone, finished, lambda grad_N, _: -cfg.strength * grad_N),
    }
    true, slow = fitted(root), fitted(curves["slope at x"])
    losses = {"slope at y, right": true[::6], "slope at x, mistaken": slow[::6]}
    lab.plot("Two trainings", range(0, 31, 6), losses, x_label="step", y_label="loss")
    lab.count(
        "10.trains",
        "The mistaken slope lowers the loss in each step of training all the same.",
        sum(later < earlier for earlier, later in pairwise(slow)),
        want=30,
        unit="steps",
        because="slopes lie between 0 and 1, so |Δy| ≤ 0.4·2·|y − t|: each y comes nearer to its t",
    )
    rows = judged(curves)
    lab.table("What the referees say", ["function", "gradcheck", "gradgradcheck"], rows)
    lab.equal(
        "10.gradcheck",
        "`gradcheck` passes true first derivatives, and refuses mistaken and declared ones.",
        [first for _, first, _ in rows],
        ["passed", "refused", "passed", "refused", "refused"],
        unit="verdicts",
    )
    lab.equal(
        "10.gradgradcheck",
        "`gradgradcheck` refuses only the backward that hides from the graph what it depends on.",
        [second for _, _, second in rows],
        ["passed", "passed", "refused", "passed", "passed"],
        unit="verdicts",
    )


@exercise(
    "Two inputs, two gradients, and each is one matrix product. Which of the two does the caller want?",
    "`ctx.needs_input_grad` has a boolean for each argument of `forward`. Where it is False return None.",
    "For x `grad_BO @ w_OI if ctx.needs_input_grad[0] else None`, for w `grad_BO.t() @ x_BI` likewise.",
    contract="""
        Return a function of `x_BI` and `w_OI`, matrices of one floating dtype, that gives x·wᵀ and can be
        differentiated twice. Its backward pass computes the gradients that are required, and no other
        product. The batch may be empty; what comes in may be laid out in any way, and stays as it is.

        >>> x_BI, w_OI = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]], requires_grad=True)
        >>> frugal_linear()(x_BI, w_OI).backward(torch.tensor([[10.0]]))
        >>> w_OI.grad
        tensor([[10., 20.]])
        """,
    insight="A network's first layer is always in this position. torch's own `linear` leaves it out too.",
)
def frugal_linear() -> Pair:
    """Compute only the gradients that somebody needs: each costs 2·B·I·O operations, as forward does."""

    class Linear(Function):
        @staticmethod
        def forward(x_BI: Tensor, w_OI: Tensor) -> Tensor:
            return x_BI @ w_OI.t()

        @staticmethod
        def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, grad_BO: Tensor) -> tuple[Tensor | None, Tensor | None]:
            x_BI, w_OI = ctx.saved_tensors
            grad_x_BI = grad_BO @ w_OI if ctx.needs_input_grad[0] else None
            grad_w_OI = grad_BO.t() @ x_BI if ctx.needs_input_grad[1] else None
            return grad_x_BI, grad_w_OI

    linear: Pair = Linear.apply
    return linear


def only_what_is_needed(cfg: Config, lab: Lab) -> None:
    """Does every backward pass have to compute every gradient?

    A linear layer y = x·wᵀ has two gradients, each a matrix product of 2·B·I·O operations, so the backward
    pass costs twice the forward pass. But in the first layer of a network x is data, and nobody wants its
    gradient. In a frozen layer nobody wants that of w. Half of the work is thrown away.

    When the node is made autograd knows which inputs require a gradient, and says so on `ctx`, as
    `needs_input_grad`. Leaving out the product is up to you. We count, and compare with torch's own layer
    on whole numbers: their sums are exact in any order, so every bit must agree.
    """
    linear = lab.step(frugal_linear)
    lab.equal(
        "10.linear",
        "Value, gradients and second derivatives are those of torch's own layer, whichever are needed.",
        backward_passes(linear),
        backward_passes(functional.linear),
        unit="backward passes",
    )
    product = 2 * cfg.batch * 33 * 7
    lab.equal(
        "10.frugal",
        "A backward pass computes one product where one argument requires a gradient, two where both do.",
        operations(linear, cfg.batch, 33, 7),
        [product, product, 2 * product],
        unit="backward passes",
        because=f"2·B·I·O = 2·{cfg.batch}·33·7 = {product:,} operations for each product",
    )


def composed_gelu(x_N: Tensor) -> Tensor:
    """Write the activation GELU, in its tanh form, as a chain of torch operations."""
    inner_N = math.sqrt(2 / math.pi) * (x_N + 0.044715 * x_N**3)
    y_N = (0.5 * x_N) * (1 + torch.tanh(inner_N))
    return y_N


@exercise(
    "What is the least from which everything else can be computed again?",
    "Save x. In `backward` run `composed_gelu` again, with the graph switched on, and ask for its gradient.",
    "`x_N = ctx.saved_tensors[0].detach().requires_grad_()`, then under `torch.enable_grad()` "
    "`torch.autograd.grad(composed_gelu(x_N), x_N, grad_N)`; `@once_differentiable` stands next to `def`.",
    contract="""
        Return a function of one tensor x, of any shape and floating dtype, that gives `composed_gelu(x)` and
        its gradient, and keeps x alone for the way back. Where the incoming gradient has a graph of its own,
        `once_differentiable` refuses a second derivative. No argument is changed, and hooks are called once.

        >>> x_N = torch.tensor([0.0, 0.0], requires_grad=True)
        >>> torch.autograd.grad(lean_gelu()(x_N), x_N, torch.tensor([4.0, -6.0]))
        (tensor([ 2., -3.]),)
        """,
    insight="A finished slope would be one tensor too. But x often lives anyway, as the result before it.",
)
def lean_gelu() -> Curve:
    """Keep the input alone, and compute the rest again, from a detached x: its hooks are not called twice."""

    class Gelu(Function):
        @staticmethod
        def forward(x_N: Tensor) -> Tensor:
            return composed_gelu(x_N)

        @staticmethod
        def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, grad_N: Tensor) -> Tensor:
            x_N = ctx.saved_tensors[0].detach().requires_grad_()
            with torch.enable_grad():
                slope_N: Tensor = torch.autograd.grad(composed_gelu(x_N), x_N, grad_N)[0]
            return slope_N

    gelu: Curve = Gelu.apply
    return gelu


TWICE = {
    "2.62, which is right": "The lean backward returns a finished number, without how it hangs on x.",
    "an error": "`once_differentiable` refuses only where the incoming gradient has a graph itself.",
    "2.00": "**Yes**, without a word: x² gives 2, and the 0.62 that GELU should add are gone.",
}


def recomputed(cfg: Config, lab: Lab) -> None:
    """Can an activation keep less, and what does it cost?

    GELU is a chain of eight operations. For each product autograd keeps both factors, for the power its base,
    for tanh its result: x, x/2, tanh and 1 + tanh, four tensors in each layer. But all of them follow from x.
    Keep x, and compute the chain again in the backward pass. For whole blocks this is *checkpointing*.

    Look at the picture (where mul makes x/2, and add 1 + tanh) before you praise it. In its backward pass a
    single lean layer makes the same tensors again, and a second y with them, so that its peak is *higher*.
    The gain lies in the stack: of L layers one at a time is unfolded, and the others keep one tensor each.

    The second price is the graph. `backward` returned a finished number, and how that depends on x is lost.
    `once_differentiable` is there to refuse a second derivative.
    """
    lab.predict("10.lean-no-graph", "What is (x² + GELU(x))″ at 0.5, if GELU is lean?", TWICE, "2.00")
    gelu = lab.step(lean_gelu)
    versions = {"composed": composed_gelu, "lean": gelu}
    lab.close(
        "10.lean-slope",
        "The lean GELU has the value and the gradient of torch's own.",
        errors(gelu, partial(functional.gelu, approximate="tanh")),
        torch.zeros(6),
        within=Tolerance(32, "in units of the dtype's precision: 20 roundings of numbers up to 3 make 30"),
    )
    lab.diagram("Which tensors live when, in one layer", *memory_over_time(versions, cfg.size))
    columns, rows = memory_of_stacks(versions, cfg.size)
    lab.table("Stacks of GELU, in tensors of x's size", columns, rows)
    lab.equal(
        "10.lean-saves",
        "Composed, a layer of GELU keeps four tensors; lean it keeps a quarter of that, its input alone.",
        [kept for row in rows for kept in (row[1:3], row[4:6])],
        [kept for layers in (1, 2, 5) for kept in ((4 * layers, 4 * layers - 1), (layers, layers - 1))],
        unit="stacks",
        because="x, x/2, tanh and 1 + tanh of each layer, or x alone; the first layer's x lives anyway",
    )
    x_N, g_N, v_N = torch.rand(3, 7, dtype=torch.float64)
    lab.equal(
        "10.lean-no-graph",
        "The first derivative of the lean GELU has no graph behind it, so nothing can be differentiated "
        "again.",
        [second_slope(gelu, power, x_N, g_N, v_N) for power in (1, 2)],
        [2 * g_N * v_N] * 2,
        unit="second derivatives",
        because="asked for x² + GELU(x) and x² + GELU(x)²: what is left is that of x², which is 2",
    )
    lab.raises(
        "10.once",
        "`once_differentiable` refuses a second backward pass where the incoming gradient has a graph.",
        partial(second_slope, gelu, 2, x_N, g_N, v_N, everywhere=True),
        RuntimeError,
        "marked with @once_differentiable",
        because="only `backward()` meets it: `torch.autograd.grad(…, x)` walks to x alone and passes it by",
    )


JACREV = {
    "nothing more": "All of `torch.func` refuses a `forward` that takes `ctx`, even a plain `grad`.",
    "`setup_context`": "**Yes.** `vmap` maps over `backward` alone: operations that torch knows.",
    "`setup_context` and a vmap rule": "So it is with `vmap` of `grad`: that maps over `forward`.",
    "all of that and a `jvp`": "That is `jacfwd`, which pushes all columns forward at once.",
}


def transforms(cfg: Config, lab: Lab) -> None:
    """What do the transforms of torch.func ask of a Function?

    `torch.func` differentiates functions in the place of tensors: `grad`, `jacrev`, `vmap` and `jvp` take one
    and return another. They wrap tensors before they run `forward`, and unwrap those that are kept. So
    computing and keeping must be two functions. A `forward` that takes `ctx` does both, and they refuse it.

    `jacrev` computes a whole Jacobian. It has a row for each output, and `vmap` gets all rows at once. `vmap`
    of `grad` gets one gradient for each sample of a batch. Does your Function have to say how it is mapped?
    Then one line is enough, `generate_vmap_rule = True`. But does `vmap` meet your Function in both?

    `jvp` pushes a derivative along with the forward pass, and never calls `backward`. For it a Function needs
    another formula, a static method `jvp`, which is handed the derivative of x and returns that of y. What it
    uses is kept by `save_for_forward`. Here the formula is the same: a slope is a number.
    """
    lab.predict("10.transforms", "What does `jacrev` need, besides `backward`?", JACREV, "`setup_context`")
    solve: Curve = partial(solved_by_unrolling, rounds=cfg.rounds)
    make = partial(declared, solve, lambda x_N, y_N: y_N, slope_times)
    kinds = {
        "forward(ctx, x)": in_one_function(solve, slope_times),
        "setup_context": make(),
        "and a vmap rule": lab.step(implicit_root, cfg.rounds),
        "and a jvp": make(pushed=True),
        "and both": make(mapped=True, pushed=True),
    }
    rows = answers(kinds, solve)
    lab.table("What each transform answers", ["transform", *kinds], rows)
    lab.equal(
        "10.transforms",
        "`grad`, `vjp`, `vmap`, `jvp` and what is built of them need `setup_context`; what maps over "
        "`forward` needs a vmap rule, and what pushes derivatives forward needs a `jvp`.",
        rows,
        expected(),
        unit="transforms of five Functions",
        because="right means: as in a loop over samples through the recorded rounds, to 12 digits",
    )
    lab.say("`jacrev` ran `forward` once, and mapped over `backward` alone. `vmap` of `grad` mapped both.")


@fresh
def root_as_operator() -> Any:
    """Register the root, computed by NumPy, as an operator of torch: a schema, a fake, a derivative."""

    @custom_op("labs::cubic_root", mutates_args=())
    def cubic_root(x: Tensor) -> Tensor:
        return cardano(x).to(torch.result_type(x, 1.0))

    @cubic_root.register_fake
    def _(x: Tensor) -> Tensor:
        return torch.empty_like(x, dtype=torch.result_type(x, 1.0))

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(output)

    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return slope_times(grad, *ctx.saved_tensors)

    cubic_root.register_autograd(backward, setup_context=setup_context)
    return cubic_root


def opaque(cfg: Config, lab: Lab) -> None:
    """How do you keep a compiler from looking inside?

    torch has no cube root. NumPy has one, and with it Cardano's formula finds our root without any rounds. In
    a Function it works. Then somebody compiles the model. `torch.compile` reads Python, and it reads NumPy
    too, and puts operators of torch in the place of its calls. `np.cbrt` becomes x^(1/3), which is not a
    number where x is negative, and of Cardano's two cube roots one always is of a negative number.

    What it must not read has to be an operator. `custom_op` registers one, and the compiler sees a name. It
    asks `register_fake` for the shape of the result, and never looks inside. In exchange you promise a lot:
    that no argument is changed, that the fake result has the real one's shape, strides and dtype, also for
    whole numbers, and that a derivative is there. `opcheck` tries that, `gradcheck` whether it is right.
    """
    operator = lab.step(root_as_operator)
    inputs = [*(x.detach().requires_grad_() for x, _ in odd_inputs()), torch.arange(-3, 4)]
    lab.equal(
        "10.opcheck",
        "`opcheck` finds schema, fake result, derivative and tracing of the operator in order.",
        [list(opcheck(operator, (x,), raise_exception=False).values()) for x in inputs],
        [["SUCCESS"] * 4] * len(inputs),
        unit="inputs",
    )
    g = torch.randn_like(POINTS)
    curves = {"a Function": in_one_function(cardano, slope_times), "the operator": operator}
    compiled = {name: in_one_graph(curve, POINTS, g) for name, curve in curves.items()}
    rows = [(name, len(nodes), nodes[0], int(y.isnan().sum())) for name, (nodes, y, _) in compiled.items()]
    lab.table("What the compiler saw", ["compiled", "nodes", "the first", "not a number, of 10"], rows)
    lab.close(
        "10.compiled",
        "Compiled without a break, the operator has the value and the gradient of the recorded rounds.",
        torch.stack(compiled["the operator"][1:]),
        torch.stack(value_and_slope(partial(solved_by_unrolling, rounds=cfg.rounds), POINTS, g)),
        within=Tolerance(2**-44, "half − spread loses 7 of 53 bits at |x| = 2.75, the rest at most two"),
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (implicit, wrong_on_purpose, referees, only_what_is_needed, recomputed, transforms, opaque):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
