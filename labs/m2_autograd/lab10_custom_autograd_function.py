"""Lab 10 · Custom autograd Function · Własna funkcja autogradu

Question:
    How do you give autograd a derivative that it does not know, or a better one?

You will see:
    - A solver differentiated by its answer: 20 rounds of Newton forward, one formula backward, and one saved tensor in place of 20.
    - `gradcheck` and `gradgradcheck` as referees: they pass true derivatives and catch a planted wrong one.
    - Two gradients that are wrong on purpose, straight-through and reversal: the referee objects, their promise holds exactly.
    - A backward that skips the half nobody asked for: half the floating-point operations, counted.
    - An activation that saves a quarter of the memory by computing it again, and the price: it can be differentiated only once.
    - The same function as a registered operator, which NumPy computes and `torch.compile` takes without a break.

Run:
    make lab-10
    python -m labs.m2_autograd.lab10_custom_autograd_function --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 01 for strides and storages; nothing else

Sources:
    - PyTorch documentation: Extending PyTorch; Extending torch.func with autograd.Function; Gradcheck mechanics; torch.library
    - S. Krantz and H. Parks, "The Implicit Function Theorem", 2002, section 1: the derivative of a solution
    - Y. Bengio, N. Léonard, A. Courville, arXiv:1308.3432, section 3.1: the straight-through estimator
    - Y. Ganin, V. Lempitsky, arXiv:1409.7495, section 3: gradient reversal
    - D. Hendrycks, K. Gimpel, arXiv:1606.08415, section 2: GELU and its tanh form

Notebook:
    10_Custom_Autograd_Function.ipynb
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function, gradcheck, gradgradcheck
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.autograd.gradcheck import GradcheckError
from torch.func import grad, vmap
from torch.library import custom_op, opcheck
from torch.utils.flop_counter import FlopCounterMode

from labs.kit import Lab, Mutant, exercise, fresh, main
from labs.kit.measure.memory import saved_bytes

# Shape letters: N elements, B batch, I inputs, O outputs.

Curve = Callable[[Tensor], Tensor]
Pair = Callable[[Tensor, Tensor], Tensor]
DIGITS = 1e-12
ROUNDING = "float64 carries 16 digits; a few dozen roundings cost fewer than four of them"
MISMATCH = "Jacobian mismatch"
POINTS = torch.linspace(
    -2.75, 2.75, 10, dtype=torch.float64
)  # few, since gradcheck tries each; none half-way, where rounding jumps


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    size: int = 2**18  # elements N of the tensors whose memory and time are measured
    rounds: int = 20  # Newton rounds of the solver
    batch: int = 64  # batch B of the linear layer
    strength: float = 0.5  # λ of the gradient reversal

    @classmethod
    def smoke(cls) -> "Config":
        return cls(size=2**10, batch=8)


def solved_by_unrolling(x_N: Tensor, rounds: int) -> Tensor:
    """Solve y³ + y = x by Newton's method and let autograd watch.

    There is one real root for each x, and twenty rounds find it to the last digits. Autograd can differentiate this: it
    records every round, keeps every intermediate y, and walks all of it back. That is correct, and a waste: the answer does
    not depend on the path that led to it.
    """
    y_N = x_N
    for _ in range(rounds):
        y_N = y_N - (y_N * y_N * y_N + y_N - x_N) / (3 * y_N * y_N + 1)
    return y_N


@exercise(
    "Differentiate y³ + y = x on both sides with respect to x. What is dy/dx, written with y alone?",
    "`setup_context(ctx, inputs, output)` sees the finished y: save that. `backward` gets it back from `ctx.saved_tensors`.",
    "3y²·y′ + y′ = 1, so y′ = 1/(1 + 3y²); `backward` multiplies it by the gradient that comes in.",
)
def implicit_root(rounds: int) -> Curve:
    """Differentiate the answer, not the solver.

    Take the equation itself and differentiate both sides by x:

        (3y² + 1) · dy/dx = 1

    That is all the backward pass needs, and it needs only y. `forward` runs without a graph, so the twenty rounds leave
    nothing behind. `backward` is made of ordinary torch operations, so autograd can differentiate *it* again: second
    derivatives come for free. `generate_vmap_rule` lets `vmap` and the other transforms of `torch.func` through.
    """

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
            y_N: Tensor = ctx.saved_tensors[-1]
            return grad_N / (1 + 3 * y_N * y_N)

    root: Curve = Root.apply
    return root


def declared(forward: Curve, keep: Pair, backward: Pair) -> Curve:
    """Make a Function of any formulas: y = forward(x), kept = keep(x, y), gradient = backward(incoming, kept).

    Autograd takes your word for it. It never asks whether the one formula is the derivative of the other.
    """

    class Declared(Function):
        generate_vmap_rule = False  # as it is where nobody thinks of it

        @staticmethod
        def forward(x_N: Tensor) -> Tensor:
            return forward(x_N)

        @staticmethod
        def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor], output: Tensor) -> None:
            ctx.save_for_backward(keep(*inputs, output))

        @staticmethod
        def backward(ctx: Any, grad_N: Tensor) -> Tensor:
            return backward(grad_N, *ctx.saved_tensors)

    curve: Curve = Declared.apply
    return curve


def root_with_a_mistake(rounds: int) -> Curve:
    """Plant a plausible mistake: the derivative at x in the place of y.

    Shapes fit, types fit, training would even go down for a while. Only a comparison with finite differences shows it.
    There is no vmap rule either, which is the second thing that people forget.
    """
    keep: Pair = lambda x_N, y_N: x_N  # noqa: E731
    wrong = declared(
        lambda x_N: solved_by_unrolling(x_N, rounds),
        keep,
        lambda grad_N, kept_N: grad_N / (1 + 3 * kept_N * kept_N),
    )
    return wrong


def slopes_per_sample(root: Curve, x_BN: Tensor) -> Tensor:
    """Take one gradient for each sample of a batch, all at once.

    `grad` differentiates the sum over one sample, `vmap` maps that over the batch. Both are transforms that must look inside
    the Function; the vmap rule is what lets them.
    """
    slopes_BN: Tensor = vmap(grad(lambda x_N: root(x_N).sum()))(x_BN)
    return slopes_BN


@exercise(
    "Two inputs, two gradients: one matrix product each. Which of the two does the caller want?",
    "`ctx.needs_input_grad` is a tuple of booleans in the order of forward's arguments; for what is not needed return None.",
    "For y = x·wᵀ: grad_x = grad·w if `ctx.needs_input_grad[0]`, grad_w = gradᵀ·x if `ctx.needs_input_grad[1]`.",
)
def frugal_linear() -> Pair:
    """Compute only the gradients that somebody needs.

    A linear layer y = x·wᵀ has two gradients, and each costs as much as the forward pass: 2·B·I·O operations. The first layer
    of a network gets data, which needs none; a frozen layer's weight needs none. `ctx.needs_input_grad` says so.
    """

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


def backward_flops(linear: Pair, x_BI: Tensor, w_OI: Tensor) -> int:
    """Count the floating-point operations of one backward pass, by torch's own counter."""
    y_BO = linear(x_BI, w_OI)
    with FlopCounterMode(display=False) as counter:
        y_BO.sum().backward()
    operations: int = counter.get_total_flops()
    return operations


def straight_through() -> Curve:
    """Round, and pretend in the backward pass that you did not.

    The derivative of rounding is zero almost everywhere: true, and useless, since nothing below it would ever learn. The
    straight-through estimator passes the gradient on unchanged. It is no derivative; it is a decision.
    """
    rounded = declared(torch.round, lambda x_N, y_N: y_N, lambda grad_N, _: grad_N * 1)
    return rounded


def reversal(strength: float) -> Curve:
    """Do nothing forward, and turn the gradient round on the way back.

    Above this layer a critic learns to tell two domains apart; below it, with the gradient times -λ, the features learn to
    make that impossible. One backward pass trains both against each other.
    """
    reverse = declared(
        lambda x_N: x_N.view_as(x_N), lambda x_N, y_N: y_N, lambda grad_N, _: -strength * grad_N
    )
    return reverse


def composed_gelu(x_N: Tensor) -> Tensor:
    """Write the activation GELU, in its tanh form, as a chain of torch operations.

    Autograd saves what each formula needs: a product both factors, a power its base, tanh its own result. For this line that
    makes four tensors of the size of x: x, x/2, the tanh, and 1 + tanh.
    """
    inner_N = 0.79788456 * (x_N + 0.044715 * x_N**3)
    y_N = (0.5 * x_N) * (1 + torch.tanh(inner_N))
    return y_N


@exercise(
    "What is the least from which everything else can be computed again?",
    "Save x. In `backward`, run `composed_gelu` once more with the graph switched on, and ask autograd for its gradient.",
    "`x = saved.detach().requires_grad_()`, then under `torch.enable_grad()`: `torch.autograd.grad(composed_gelu(x), x, grad_N)`.",
)
def lean_gelu() -> Curve:
    """Save the input alone, and compute the rest a second time.

    The forward pass leaves one tensor in place of four; the backward pass pays with one more forward. This is what gradient
    checkpointing does for whole blocks of a network. But the gradient that comes out has no graph: how it depends on x is
    lost, and a second derivative would silently miss that part. `once_differentiable` makes it an error, as soon as the
    gradient that comes in has a graph of its own. Where it has none (under a plain sum) nothing is said: look at
    `requires_grad`.
    """

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


@fresh
def root_as_operator() -> Any:
    """Register the root as an operator of its own, computed by NumPy.

    torch has no cube root; NumPy has, and Cardano's formula needs no rounds at all. But a compiler cannot look into NumPy.
    `custom_op` makes the call opaque and gives it a schema; `register_fake` says what comes out, shape and type, without
    computing it; `register_autograd` brings the derivative. Now it is an operator like any other.
    """

    @custom_op("labs::cubic_root", mutates_args=())
    def cubic_root(x_N: Tensor) -> Tensor:
        half = x_N.detach().cpu().numpy() / 2
        spread = np.sqrt(half * half + 1 / 27)
        return torch.from_numpy(np.cbrt(half + spread) + np.cbrt(half - spread)).to(x_N)

    @cubic_root.register_fake
    def _(x_N: Tensor) -> Tensor:
        fake_N = torch.empty_like(x_N)
        return fake_N

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(output)

    def backward(ctx: Any, grad_N: Tensor) -> Tensor:
        (y_N,) = ctx.saved_tensors
        slope_N: Tensor = grad_N / (1 + 3 * y_N * y_N)
        return slope_N

    cubic_root.register_autograd(backward, setup_context=setup_context)
    return cubic_root


def examined(operator: Any) -> list[str]:
    """Let `opcheck` try the operator.

    It compares what was promised with what happens: that the schema names every argument that is changed (none), that the
    fake result has the real one's shape and type, that the derivative is registered where the compiler looks for it, and
    that tracing forward and backward with sizes left open gives the same numbers.
    """
    verdicts = opcheck(operator, (POINTS.clone().requires_grad_(),), raise_exception=False)
    return list(verdicts.values())


def value_and_slope(curve: Curve, x_N: Tensor) -> tuple[Tensor, Tensor]:
    """Run a function forward and backward once."""
    leaf_N = x_N.clone().requires_grad_()
    y_N = curve(leaf_N)
    (slope_N,) = torch.autograd.grad(y_N.sum(), leaf_N)
    return y_N.detach(), slope_N


def in_one_graph(operator: Curve) -> tuple[list[str], Tensor, Tensor]:
    """Compile the operator without a break, and look at what the compiler got to see.

    `fullgraph=True` makes every break an error. The backend below notes which operators stand in the captured graph and
    hands it on to `aot_eager`, which traces the backward pass too but generates no code: enough to see that it works, and a
    hundred times quicker to build.
    """
    torch.compiler.reset()
    seen: list[str] = []

    def noting(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    compiled = torch.compile(operator, fullgraph=True, backend=noting)
    y_N, slope_N = value_and_slope(compiled, POINTS)
    return seen, y_N, slope_N


def run(cfg: Config, lab: Lab) -> None:
    x_N = POINTS.clone().requires_grad_()
    many_N = torch.linspace(-3, 3, cfg.size, dtype=torch.float64).requires_grad_()
    g_N = torch.randn_like(x_N)

    y_N = lab.step(solved_by_unrolling, x_N, cfg.rounds)
    lab.close(
        "10.solved",
        "the solver solves: y³ + y gives x back",
        y_N**3 + y_N,
        x_N,
        tolerance=DIGITS,
        because=ROUNDING,
    )
    root = lab.step(implicit_root, cfg.rounds)
    slopes = [torch.autograd.grad(curve.sum(), x_N)[0] for curve in (root(x_N), y_N)]
    lab.close(
        "10.same-slope",
        "one formula and twenty recorded rounds agree",
        *slopes,
        tolerance=DIGITS,
        because=ROUNDING,
    )
    first, second = (check(root, x_N, raise_exception=False) for check in (gradcheck, gradgradcheck))
    lab.equal("10.gradcheck", "`gradcheck` finds the first derivative true", first, True)
    lab.equal("10.gradgradcheck", "`gradgradcheck` finds the second one true", second, True)
    kept, recorded = (
        saved_bytes(lambda: root(many_N)),
        saved_bytes(lambda: solved_by_unrolling(many_N, cfg.rounds)),
    )
    lab.bytes(
        "10.saved",
        "the formula keeps one tensor for the backward pass",
        kept,
        want=many_N.nbytes,
        because="y alone: 8·N bytes",
    )
    every_round = cfg.rounds * many_N.nbytes
    lab.bytes(
        "10.saved-unrolled",
        "the recorded rounds keep one each at least",
        recorded,
        at_least=every_round,
        because="rounds·8·N bytes",
    )
    recording: Curve = lambda leaf_N: solved_by_unrolling(leaf_N, cfg.rounds)  # noqa: E731
    slow, quick = (lambda: value_and_slope(recording, many_N)), (lambda: value_and_slope(root, many_N))
    price = "the same work forward and as much again backward make 2; we ask for three quarters"
    lab.ratio(
        "10.faster",
        "walking back through the rounds costs time as well",
        slow,
        quick,
        at_least=1.5,
        because=price,
    )

    wrong = lab.step(root_with_a_mistake, cfg.rounds)
    lab.raises(
        "10.mistake",
        "`gradcheck` catches the planted mistake",
        lambda: gradcheck(wrong, x_N),
        GradcheckError,
        MISMATCH,
    )
    x_BN = x_N.detach().view(5, 2)
    per_sample = lab.step(slopes_per_sample, root, x_BN)
    in_turn = slopes[0].view(5, 2)
    lab.close(
        "10.vmap",
        "gradients per sample at once equal those of a loop",
        per_sample,
        in_turn,
        tolerance=DIGITS,
        because=ROUNDING,
    )
    lab.raises(
        "10.no-vmap-rule",
        "without a rule `vmap` refuses",
        lambda: vmap(wrong)(x_BN),
        RuntimeError,
        "does not have vmap support",
    )

    linear = lab.step(frugal_linear)
    x_BI, w_OI = (
        torch.randn(cfg.batch, 32, dtype=torch.float64),
        torch.randn(16, 32, dtype=torch.float64, requires_grad=True),
    )
    true = gradcheck(linear, (x_BI[:2].clone().requires_grad_(), w_OI), raise_exception=False)
    lab.equal("10.linear", "both gradients are true", true, True)
    operations = backward_flops(linear, x_BI, w_OI)
    product = 2 * cfg.batch * 32 * 16
    lab.count(
        "10.frugal",
        "for data, backward is one product of two",
        operations,
        want=product,
        unit="operations",
        because="2·B·I·O",
    )

    rounded = lab.step(straight_through)
    lab.equal(
        "10.straight-through",
        "the gradient goes through rounding unchanged",
        torch.autograd.grad(rounded(x_N), x_N, g_N)[0],
        g_N,
    )
    objection = lambda: gradcheck(rounded, x_N)  # noqa: E731
    lab.raises(
        "10.straight-through-untrue",
        "and `gradcheck` objects, by design",
        objection,
        GradcheckError,
        MISMATCH,
    )
    reverse = lab.step(reversal, cfg.strength)
    lab.equal(
        "10.reversal",
        "the gradient comes back times -λ",
        torch.autograd.grad(reverse(x_N), x_N, g_N)[0],
        -cfg.strength * g_N,
    )
    lab.raises(
        "10.reversal-untrue",
        "and `gradcheck` objects, by design",
        lambda: gradcheck(reverse, x_N),
        GradcheckError,
        MISMATCH,
    )

    slope_N = torch.autograd.grad(lab.step(composed_gelu, x_N).sum(), x_N)[0]
    composed = saved_bytes(lambda: composed_gelu(many_N))
    four = "x, x/2, tanh, 1 + tanh: what the derivatives of power, product and tanh use"
    lab.bytes(
        "10.composed-saves",
        "composed, GELU keeps four tensors",
        composed,
        want=4 * many_N.nbytes,
        because=four,
    )
    gelu = lab.step(lean_gelu)
    lean = saved_bytes(lambda: gelu(many_N))
    lab.bytes(
        "10.lean-saves", "recomputed, it keeps one", lean, want=many_N.nbytes, because="x alone: 8·N bytes"
    )
    (lean_N,) = torch.autograd.grad(gelu(x_N).sum(), x_N, create_graph=True)
    lab.close("10.lean-slope", "with the same gradient", lean_N, slope_N, tolerance=DIGITS, because=ROUNDING)
    lab.equal(
        "10.lean-no-graph",
        "which, under a plain sum, has no graph to go on from",
        lean_N.requires_grad,
        False,
    )
    twice = lambda: torch.autograd.grad((gelu(x_N) ** 2).sum(), x_N, create_graph=True)[0].sum().backward()  # noqa: E731
    lab.raises(
        "10.once",
        "and under a square is refused a second derivative",
        twice,
        RuntimeError,
        "marked with @once_differentiable",
    )

    operator = lab.step(root_as_operator)
    value, slope = value_and_slope(operator, POINTS)
    lab.close(
        "10.operator",
        "Cardano by NumPy and Newton by torch find the same roots",
        value,
        y_N,
        tolerance=DIGITS,
        because=ROUNDING,
    )
    lab.equal(
        "10.opcheck",
        "`opcheck` finds schema, fake and autograd in order",
        lab.step(examined, operator),
        ["SUCCESS"] * 4,
    )
    seen, value_compiled, slope_compiled = lab.step(in_one_graph, operator)
    lab.equal(
        "10.captured",
        "compiled without a break, the graph holds it as one node",
        seen,
        ["labs.cubic_root.default"],
    )
    lab.equal(
        "10.compiled",
        "and value and slope are the same to the last bit",
        [value_compiled, slope_compiled],
        [value, slope],
    )


MUTANTS = (
    Mutant("takes too short Newton steps", solved_by_unrolling, "y_N * y_N + 1)", "y_N * y_N + 9)"),
    Mutant("forgets the factor 3", implicit_root, "3 * y_N * y_N", "y_N * y_N"),
    Mutant(
        "saves x as well", implicit_root, "save_for_backward(output)", "save_for_backward(*inputs, output)"
    ),
    Mutant("records one round", solved_by_unrolling, "range(rounds)", "range(1)"),
    Mutant("has no mistake in it", root_with_a_mistake, "x_N, y_N: x_N", "x_N, y_N: y_N"),
    Mutant("has a vmap rule", declared, "generate_vmap_rule = False", "generate_vmap_rule = True"),
    Mutant("averages", slopes_per_sample, ".sum()", ".mean()"),
    Mutant("computes every gradient", frugal_linear, " if ctx.needs_input_grad[0] else None", ""),
    Mutant(
        "forgets to transpose back",
        frugal_linear,
        "grad_BO.t() @ x_BI",
        "(x_BI.t() @ grad_BO).reshape(w_OI.shape)",
    ),
    Mutant("rounds the gradient away", straight_through, "grad_N * 1", "grad_N * 0"),
    Mutant("passes the gradient on", reversal, "-strength * grad_N", "grad_N"),
    Mutant("multiplies where it could raise to a power", composed_gelu, "x_N**3", "x_N * x_N * x_N"),
    Mutant(
        "saves the output as well",
        lean_gelu,
        "save_for_backward(*inputs)",
        "save_for_backward(*inputs, output)",
    ),
    Mutant(
        "forgets the gradient that comes in", lean_gelu, "x_N, grad_N)", "x_N, torch.ones_like(grad_N) * 2)"
    ),
    Mutant("may be differentiated twice", lean_gelu, "@once_differentiable", "@staticmethod"),
    Mutant(
        "gives its gradient a graph",
        lean_gelu,
        "@once_differentiable",
        "@(lambda f: lambda ctx, g: f(ctx, g) + 0 * ctx.saved_tensors[0])",
    ),
    Mutant("solves another equation", root_as_operator, "1 / 27", "1 / 9"),
    Mutant(
        "promises another type",
        root_as_operator,
        "torch.empty_like(x_N)",
        "torch.empty_like(x_N, dtype=torch.float32)",
    ),
    Mutant(
        "compiles something around it",
        in_one_graph,
        "torch.compile(operator,",
        "torch.compile(lambda x_N: operator(x_N) + 1,",
    ),
)


if __name__ == "__main__":
    main(run, Config)
