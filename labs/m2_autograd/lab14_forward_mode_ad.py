"""Lab 14 · Forward-mode AD · Różniczkowanie w przód

Question:
    When is it cheaper to push a derivative forward than to pull it back?

You will see:
    - Numbers that know their own slope: product, quotient and sine in 15 lines, and they agree with torch.
    - Two ways through the same layers: a pull needs memory for each of them, a push for one alone.
    - A switch that you have to know: without `no_grad` a push keeps nearly three times as much as a pull.
    - A Jacobian of 2,000 numbers in one push or 2,000 pulls, and one for which it is the other way round.
    - Training without any backward pass, and why it takes n + 2 times as many steps.

Run:
    make lab-14
    python -m labs.m2_autograd.lab14_forward_mode_ad --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 10 for what a backward pass keeps, lab 11 for Jacobians

Remember:
    Forward mode is for few inputs. It needs no memory for the depth, and answers how everything changes when
    you move one way. Put it under `no_grad`, which keeps tangents; `detach` loses them. Reverse mode is for
    one loss and many weights. Forward gradients need about n directions to be worth one backward pass. Where
    an operation cannot be pushed, look for another kernel of the same function, or pull twice. This lab shows
    neither higher orders in one pass, as Taylor mode computes them, nor `torch.func.linearize`. Next comes
    lab 15, where the data come from.

Sources:
    - PyTorch tutorial, Forward-mode automatic differentiation:
      https://docs.pytorch.org/tutorials/intermediate/forward_ad_usage.html
    - A. Baydin et al., "Automatic differentiation in machine learning: a survey", 2018, section 3.1:
      https://arxiv.org/abs/1502.05767
    - A. Baydin et al., "Gradients without Backpropagation", 2022, section 3:
      https://arxiv.org/abs/2202.08587

Notebook:
    14_Forward_Mode_AD.ipynb
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import mean

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import jacfwd, jacrev, jvp, vmap

import labs.m2_autograd._lab14_helpers as helpers
import labs.m2_autograd._lab14_tools as tools
from labs.kit import Lab, Tolerance, exercise, main

# Shape letters: B samples of a batch, I inputs and O outputs of a layer or a network, N numbers of a vector,
# S directions.


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    batch: int = 1024  # samples B whose passes are measured
    width: int = 61  # inputs I and outputs O of each of these layers
    many: int = 2000  # outputs, or inputs, of the networks whose Jacobians are timed
    size: int = 50  # numbers N of the vector that is trained without a backward pass
    repeats: int = 400  # forward gradients of which a mean is taken
    steps: int = 600  # steps of that training

    @classmethod
    def smoke(cls) -> "Config":
        return cls(batch=64, width=31, many=200, repeats=200, steps=300)


@dataclass(frozen=True, repr=False)
class Dual:
    """A number and its tangent, x + x′ε with ε² = 0. Plain numbers beside it have the tangent 0."""

    value: Tensor
    tangent: Tensor

    def _lifted(self, other: "Dual | float") -> "Dual":
        if isinstance(other, Dual):
            return other
        return Dual(self.value.new_tensor(other), self.value.new_tensor(0))

    def __add__(self, other: "Dual | float") -> "Dual":
        other = self._lifted(other)
        return Dual(self.value + other.value, self.tangent + other.tangent)

    def __mul__(self, other: "Dual | float") -> "Dual":
        return through("*", self, self._lifted(other))

    def __truediv__(self, other: "Dual | float") -> "Dual":
        return through("/", self, self._lifted(other))

    def __rtruediv__(self, other: float) -> "Dual":
        return through("/", self._lifted(other), self)

    def sin(self) -> "Dual":
        return through("sin", self)

    def __repr__(self) -> str:
        return f"Dual({self.value.tolist()}, {self.tangent.tolist()})"


@exercise(
    "Write x + x′ε and y + y′ε, calculate as at school, and strike out what has ε². What stands beside ε?",
    "The product rule and the quotient rule. The sine multiplies its slope, the cosine, by the tangent that "
    "comes in.",
    "For `*` the tangent is `x.tangent * y.value + x.value * y.tangent`, for `/` it is `(x.tangent - value * "
    "y.tangent) / y.value` with the quotient's own value, for `sin` `x.value.cos() * x.tangent`.",
    contract="""
        `operation` is "*", "/" or "sin". `numbers` are the two dual numbers that it takes, or the one; their
        values and tangents are tensors of one dtype, of any shapes that fit together, and stay as they are.
        Return the result as a new `Dual`. Products of whole numbers are whole; they may lie beyond 2⁴⁰.

        >>> x, y = Dual(torch.tensor(2.0), torch.tensor(1.0)), Dual(torch.tensor(3.0), torch.tensor(0.0))
        >>> through("*", x, y)
        Dual(6.0, 3.0)
        """,
    insight="No rule looks beyond its own operation, so nothing has to be recorded: that is forward mode.",
)
def through(operation: str, *numbers: Dual) -> Dual:
    """Carry dual numbers through one operation.

    What stands beside ε is the tangent. A fraction gets a plain number below when it is expanded by y − y′ε:

        (x + x′ε)·(y + y′ε) = xy + (x′y + xy′)ε
        (y + y′ε)·(y − y′ε) = y²
        f(x + x′ε) = f(x) + f′(x)·x′ε
    """
    if operation == "sin":
        (x,) = numbers
        value = x.value.sin()
        tangent = x.value.cos() * x.tangent
    elif operation == "*":
        x, y = numbers
        value = x.value * y.value
        tangent = x.tangent * y.value + x.value * y.tangent
    else:
        x, y = numbers
        value = x.value / y.value
        tangent = (x.tangent - value * y.tangent) / y.value
    return Dual(value, tangent)


def dual_numbers(cfg: Config, lab: Lab) -> None:
    """Can a number know its own slope?

    You have code that computes f(x), and you want the slope at one point. The difference (f(x + h) − f(x))/h
    loses half of the digits: with a large h the curve bends, with a small one the difference drowns in
    rounding. `backward` loses none, but it first records the whole computation and then walks back through
    it. Could the slope not come along from the beginning?

    Give every number a companion, its *tangent*: how fast the number changes when x does. Such a pair is
    called a *dual number* and written x + x′ε, where ε is a symbol with ε² = 0. Multiply two of them as at
    school: (x + x′ε)(y + y′ε) = xy + (x′y + xy′)ε + x′y′ε². The last term is zero, and what stands beside ε
    is the product rule. A quotient is found in the same way. A function such as the sine multiplies the
    tangent that comes in by its own slope, which is the chain rule.

    Begin with the tangent 1, since x changes as fast as itself, and with 0 for what does not change. The
    table follows (x·x + 1)/x from x = 2. Its last line says 0.75. By the usual rules the slope of x + 1/x is
    1 − 1/x², and that is 3/4.
    """
    tools.load_quietly()
    x = Dual(torch.tensor(2.0), torch.tensor(1.0))
    lines = {"x": x, "x·x": x * x, "x·x + 1": x * x + 1, "(x·x + 1)/x": (x * x + 1) / x}
    rows = [(line, number.value.item(), number.tangent.item()) for line, number in lines.items()]
    lab.table("One evaluation, line by line", ["line", "value", "tangent"], rows)

    pairs = tools.operands()
    results = [lab.step(through, name, *(Dual(*number) for number in numbers)) for name, numbers in pairs]
    # Whole formulas too, in which the tangents that come in are neither 0 nor 1.
    x_N, y_N = (Dual(*number) for number in tools.two_numbers())
    whole = [formula(x_N, y_N) for formula in tools.FORMULAS]
    errors = [
        *tools.operation_errors(pairs, [(dual.value, dual.tangent) for dual in results]),
        *tools.formula_errors([(dual.value, dual.tangent) for dual in whole]),
    ]
    lab.close(
        "14.dual",
        "Values and tangents of dual numbers are those of torch, in one operation and in whole formulas.",
        errors,
        [0.0] * len(errors),
        within=Tolerance(32, "in units of the dtype's precision: 8 roundings of numbers up to 4"),
    )


def mlp(weights: list[Tensor], x_BI: Tensor) -> Tensor:
    """Run a network of tanh layers. A bias would add nothing to a tangent, so there is none."""
    for w_OI in weights:
        x_BI = torch.tanh(x_BI @ w_OI.t())
    return x_BI


def only_values(weights: list[Tensor], x_BI: Tensor, v_BI: Tensor) -> Tensor:
    """Run the network, and move nothing."""
    return mlp(weights, x_BI)


@exercise(
    "Take one layer. Its input changes in the direction v. In which direction does x·Wᵀ change, and in which "
    "tanh of it?",
    "The product is linear, so the tangent goes through the same product. Then tanh multiplies it by its "
    "slope, 1 − tanh², which its own value tells.",
    "In a loop over the weights: `x_BI = torch.tanh(x_BI @ w_OI.t())`, and then `v_BI = (1 - x_BI * x_BI) * "
    "(v_BI @ w_OI.t())`.",
    contract="""
        `weights` has a matrix (O, I) for each layer, `x_BI` is a batch of inputs, which may be empty, and
        `v_BI` the direction in which each of them moves; all have one floating dtype and stay as they are.
        Return the network's output and the direction in which that moves. Both go through the layers
        together: two products for each layer, and no memory that grows with their number.

        >>> mlp_jvp([torch.tensor([[2.0]])], torch.tensor([[0.0]]), torch.tensor([[1.0]]))
        (tensor([[0.]]), tensor([[2.]]))
        """,
    insight="Weights that change too would add one term, x·W′ᵀ. That is the third product which torch makes.",
)
def mlp_jvp(weights: list[Tensor], x_BI: Tensor, v_BI: Tensor) -> tuple[Tensor, Tensor]:
    """Push a direction through all layers, beside the values.

    Each layer needs its own value to know its slopes D, and after that nothing of what came before:

        J·v = D₂·(W₂·(D₁·(W₁·v)))
    """
    for w_OI in weights:
        x_BI = torch.tanh(x_BI @ w_OI.t())
        v_BI = (1 - x_BI * x_BI) * (v_BI @ w_OI.t())
    return x_BI, v_BI


def pushed(weights: list[Tensor], x_BI: Tensor, v_BI: Tensor) -> tuple[Tensor, Tensor]:
    """Push a direction through all layers by torch: run the usual code on a dual tensor."""
    with forward_ad.dual_level():
        y_BO = mlp(weights, forward_ad.make_dual(x_BI, v_BI))
        value_BO, tangent_BO = forward_ad.unpack_dual(y_BO)
    return value_BO, tangent_BO


def pulled(weights: list[Tensor], x_BI: Tensor, u_BO: Tensor) -> tuple[Tensor, Tensor]:
    """Pull weights of the outputs back through all layers: the backward pass."""
    x_BI = x_BI.detach().requires_grad_()
    y_BO = mlp(weights, x_BI)
    (pulled_BI,) = torch.autograd.grad(y_BO, x_BI, u_BO)
    return y_BO.detach(), pulled_BI


def push_or_pull(cfg: Config, lab: Lab) -> None:
    """In which direction does one walk through a Jacobian?

    You want to know how all outputs answer when you move the inputs a little, or how one loss hangs on each
    input. A function with I inputs and O outputs has I·O slopes. They make a matrix of O rows and I columns,
    the *Jacobian* J, and nobody wants to build it: for a layer of 4,096 inputs and outputs it has 16.8
    million numbers for each sample. What one wants is a product with it, and there are two. J·v says how all
    outputs move when the inputs move in the direction v: the *Jacobian-vector product*, jvp. uᵀ·J says how
    one weighted sum of the outputs depends on each input: the *vector-Jacobian product*, vjp.

    For a chain of layers J is itself a product, J = D₂·W₂ · D₁·W₁, where W are a layer's weights and D has
    the slopes of its tanh on the diagonal. Beginning at the right, with v, one goes the way of the forward
    pass, and each factor is used as soon as it is there: v is *pushed* through. Beginning at the left, with
    uᵀ, one has to know the last layer first, so the forward pass must be over: u is *pulled* back. This is
    what `backward` does, with the gradient that comes in for u. Two layers of one number, with the weights 2
    and 3 and slopes of 1 at x = 0, push v to 2v and 6v, and pull u back to 3u and 6u.

    The push by hand takes two lines. We hold all three against a J that is multiplied out.
    """
    tools.load_quietly()
    cases = tools.networks()
    by_hand = [lab.step(mlp_jvp, case.weights, case.x_BI, case.v_BI) for case in cases]
    by_torch = [lab.step(pushed, case.weights, case.x_BI, case.v_BI) for case in cases]
    back = [lab.step(pulled, case.weights, case.x_BI, case.u_BO) for case in cases]
    truths = [helpers.multiplied_out(case) for case in cases]
    moved, weighed = [(y, jv) for y, jv, _ in truths], [(y, uj) for y, _, uj in truths]
    rounding = Tolerance(
        90,
        "in units of the dtype's precision: weights whose rows sum up to 1 let nothing grow, and 3 layers "
        "round 10 times each, in the value, in the slope that follows from it, and in the product: 90",
    )
    errors = [*tools.pass_errors(cases, by_hand, moved), *tools.pass_errors(cases, by_torch, moved)]
    lab.close(
        "14.push",
        "A push gives the outputs and J·v, by hand and by torch.",
        errors,
        [0.0] * len(errors),
        within=rounding,
    )
    errors = tools.pass_errors(cases, back, weighed)
    lab.close("14.pull", "A pull gives the outputs and uᵀ·J.", errors, [0.0] * len(errors), within=rounding)
    by_push, by_pull = (cases[0].u_BO * by_torch[0][1]).sum(), (back[0][1] * cases[0].v_BI).sum()
    lab.say(
        f"Both products lead to one number. For the first network u·(J·v) is {by_push:.6f} by the push, and "
        f"(uᵀ·J)·v is {by_pull:.6f} by the pull. Whoever writes a derivative by hand can test it so, without "
        "any finite difference."
    )


DEPTHS = (2, 4, 8, 16, 32)  # layers


def memory(cfg: Config, lab: Lab) -> None:
    """What has to be kept, and for how long?

    The pull needs the slope of every layer, the last one first. So the forward pass has to leave something
    behind in each of them: for tanh its value. The push needs a layer's slope while it is in that layer, and
    never again. Its memory should not know how deep the network is.

    The picture shows both in a network of eight layers. Every bar is a tensor of x's size, from the operation
    that makes it to the last one before it is freed, and every row a place in memory. The push goes through
    the same six places again and again. Two of them hold products that nobody expects; part 5 comes back to
    them. The pull builds a staircase, and takes it down again from the top.
    """
    tools.load_quietly()
    eight = helpers.even_network(8, cfg.batch, cfg.width)
    lab.diagram("Tensors of x's size, in eight layers", *tools.drawn_lives(pushed, pulled, eight))
    ways = {"push by torch": pushed, "push by hand": mlp_jvp, "pull": pulled}
    peaks = [
        [lab.step(helpers.peak, way, depth, cfg.batch, cfg.width) for depth in DEPTHS]
        for way in ways.values()
    ]
    rows = [(name, *row) for name, row in zip(ways, peaks, strict=True)]
    lab.table("Peak, in tensors of x's size", ["layers", *map(str, DEPTHS)], rows)
    by_torch, by_hand, back = peaks
    lab.equal(
        "14.flat",
        "A push peaks as high in two layers as in 32, by torch and by hand.",
        [*by_torch, *by_hand],
        [6, 6, 6, 6, 6, *by_hand[:1] * len(DEPTHS)],
        unit="peaks",
        because="by torch 6: value and tangent that come in, the new value, and two products with their sum",
    )
    lab.equal(
        "14.linear",
        "A pull peaks one tensor higher for each layer more.",
        back,
        [depth + 2 for depth in DEPTHS],
        unit="peaks",
        because="the value of each layer, and on the way back a gradient before and behind an operation",
    )


def watched_push(weights: list[Tensor], x_BI: Tensor, v_BI: Tensor, *, recorded: bool) -> tools.Pair:
    """Push through weights that require grad, as those of every `nn.Module` do."""
    learning = [w_OI.detach().requires_grad_() for w_OI in weights]
    with torch.set_grad_enabled(recorded):
        moved = pushed(learning, x_BI, v_BI)
    return moved


def recording(cfg: Config, lab: Lab) -> None:
    """What if the weights want a gradient?

    They usually do: every weight of an `nn.Module` requires grad. A push does not switch recording off, and
    autograd records what it sees. It sees the operations on the values *and* those on the tangents, and keeps
    what their derivatives would need, for a backward pass that never comes. The memory that forward mode was
    to save is gone, and more than that.

    One would like to switch that off, and torch has several switches: `no_grad`, `inference_mode`, `detach`,
    or a detour through NumPy. But a tangent is a derivative too. Which of them stop the recording and let it
    pass? We send a dual tensor through the sine in each of these ways, and look for its tangent behind it.
    """
    tools.load_quietly()
    lab.predict("14.recorded", *tools.RECORDED)
    peaks = {}
    for recorded in (True, False):
        way = partial(watched_push, recorded=recorded)
        peaks[recorded] = [lab.step(helpers.peak, way, depth, cfg.batch, cfg.width) for depth in DEPTHS]
    rows = [("recorded", *peaks[True]), ("in no_grad", *peaks[False])]
    lab.table("Peak of a push, in tensors of x's size", ["layers", *map(str, DEPTHS)], rows)
    lab.equal(
        "14.recorded",
        "A push that is recorded keeps three tensors for each layer; one in `no_grad` peaks at six in all.",
        [*peaks[True], *peaks[False]],
        [*(3 * depth + 1 for depth in DEPTHS), 6, 6, 6, 6, 6],
        unit="peaks",
        because="each layer's value, and its tangent before and behind tanh, with one product under way",
    )
    lab.predict("14.no-grad", *tools.KEPT)
    x_N, v_N = tools.two_numbers()[0]
    tangents = [lab.step(helpers.tangent_after, way, x_N, v_N) for way in helpers.WAYS]
    found = ["lost" if tangent_N is None else "kept" for tangent_N in tangents]
    lab.table("A tangent on its way through", list(helpers.WAYS), [found])
    lab.equal(
        "14.no-grad",
        "A tangent passes through `no_grad`, and is lost without a word in `inference_mode`, `detach` and "
        "NumPy.",
        tangents,
        [x_N.cos() * v_N, None, None, None],
        unit="ways",
    )
    lab.say(
        "So `no_grad` it is. It stops the graph, and a tangent is no part of a graph: it is a second tensor "
        "that travels with the first. The other three mean something else. `inference_mode` promises that "
        "nobody will differentiate, `detach` cuts off derivatives of both kinds, and NumPy knows of none. A "
        "tangent that is lost counts as zero from then on, as if the number were a constant."
    )


def price(cfg: Config, lab: Lab) -> None:
    """What does a push cost, and when does it pay?

    A layer's value is one matrix product. The tangent goes through the same weights, so by hand a push makes
    two. torch makes three, because the product rule has two terms: x′·Wᵀ + x·W′ᵀ. The weights do not change,
    so their tangent W′ is zero, and torch multiplies by that zero for real. These are the products with zeros
    in the picture above. A pull makes two: one for the value, and one that takes the gradient back.

    So one push costs about as much as one pull, and what matters is how many of them one needs. A push gives
    one column of J, a pull one row. With one input and many outputs, such as a curve over time, one push has
    all of J. With many inputs and one output, such as a loss, one pull has it, and that is why networks are
    trained with `backward`. `jacfwd` and `jacrev` build J in these two ways: they send all columns, or all
    rows, through at once with `vmap`.
    """
    tools.load_quietly()
    ways = {"forward pass": only_values, "push by torch": pushed, "push by hand": mlp_jvp, "pull": pulled}
    counted = [lab.step(helpers.products_per_layer, way, 5, cfg.batch, cfg.width) for way in ways.values()]
    lab.table("Matrix products for each layer", list(ways), [counted])
    lab.equal(
        "14.products",
        "A layer is one matrix product, a push by torch makes it three, a push by hand two, a pull two.",
        counted,
        [1.0, 3.0, 2.0, 2.0],
        unit="ways",
        because="x·Wᵀ; torch's push adds x′·Wᵀ and x·0ᵀ, that by hand x′·Wᵀ, and the pull u·W",
    )
    wide, wide_I = tools.network(1, 256, cfg.many), torch.rand(1)
    tall, tall_I = tools.network(cfg.many, 256, 1), torch.rand(cfg.many)
    lab.ratio(
        "14.wide",
        "The Jacobian of one input and many outputs takes longer by pulls than by a push.",
        lambda: jacrev(partial(mlp, wide))(wide_I),
        lambda: jacfwd(partial(mlp, wide))(wide_I),
        at_least=2,
        because=(
            f"{cfg.many:,} pulls against one push: hundreds of times the products. We require 2 ×, since one "
            "push is so small that it mostly waits for Python"
        ),
    )
    lab.ratio(
        "14.tall",
        "The Jacobian of many inputs and one output takes longer by pushes than by a pull.",
        lambda: jacfwd(partial(mlp, tall))(tall_I),
        lambda: jacrev(partial(mlp, tall))(tall_I),
        at_least=2,
        because=f"{cfg.many:,} pushes against one pull, and the same 2 ×",
    )


def refusals(cfg: Config, lab: Lab) -> None:
    """Which operations cannot be pushed?

    Nearly every operation of torch has its rule for the way back. The rules for the way forward came years
    later, and some are missing. Then a push ends with `NotImplementedError: Trying to use forward AD with …`,
    and what it names is not what you called. You wrote `nn.LSTM`, and it speaks of `mkldnn_rnn_layer`.

    That is a hint. A function of torch chooses among several *kernels*, and the rule belongs to the kernel.
    In float32 on a CPU an LSTM runs in a library, oneDNN, as one operation; in float64 it is put together
    from products and sigmoids, each of which has a rule. Attention has a fast kernel without a rule and a
    slow one with it, `sdpa_kernel(SDPBackend.MATH)`. So first look for another kernel, or write the function
    in simpler operations.

    If there is none, pull twice. A pull g(u) = uᵀ·J is linear in u, so its own slope is J again: pull v
    through g, and out comes J·v. It costs a graph of the backward pass, and works where that pass has rules
    of its own. Each version of torch adds some, so whether `grid_sample` and `cdist` can be pulled twice is
    shown here, and not judged.
    """
    tools.load_quietly()
    asked = tools.operations()
    rows = [lab.step(helpers.tried, name) for name in asked]
    lab.table("Who can be pushed", ["operation", "pushed", "pulled twice"], rows)
    lab.equal(
        "14.refused",
        "Flash attention, `cdist`, oneDNN's LSTM, `embedding_bag`, `grid_sample` and `ctc_loss` refuse to be "
        "pushed, and four of them have a double that does not.",
        [(name, pushes) for name, pushes, _ in rows],
        [(name, operation.push) for name, operation in asked.items()],
        unit="operations",
    )
    lab.equal(
        "14.pulled-twice",
        "Two pulls take the place of a push in an LSTM, but not in flash attention, `embedding_bag` and "
        "`ctc_loss`.",
        [(name, pulls) for name, _, pulls in rows if asked[name].pulls != tools.OPEN],
        [(name, operation.pulls) for name, operation in asked.items() if operation.pulls != tools.OPEN],
        unit="operations",
    )
    lab.close(
        "14.granted",
        "What comes out of a push, or of two pulls, is the slope that the difference of two values shows.",
        [lab.step(helpers.slope_error, name) for name, *_ in rows],
        [0.0] * len(rows),
        within=Tolerance(
            1e-5,
            "float32 has 7 digits, of which 5 steps of an LSTM leave 5; the differences are float64's, and "
            "h = 10⁻⁵ bends them by h² and rounds them by 10⁻¹⁶/h",
        ),
    )


@exercise(
    "Along a random direction v the slope is g·v, a single number. Which vector do you make of it, so that "
    "its mean is g?",
    "Multiply v by its slope. For a normal v the mean of v·vᵀ is the identity, so the mean of (g·v)·v is g.",
    "`v_SN = torch.randn(samples, *x_N.shape, dtype=x_N.dtype)`; `vmap(lambda v_N: jvp(f, (x_N,), (v_N,))[1])"
    "(v_SN)` has all slopes; multiply each by its v and take the mean over the first dim.",
    contract="""
        `f` takes a vector of N numbers and returns a single one, and `x_N` is the point, in a floating dtype.
        Draw `samples` directions v from the standard normal distribution, all different, by one call of
        `torch.randn` for a matrix with a row for each, so that your result can be compared. Return the mean
        of (g·v)·v over them, where g·v is the slope of f at x along v. Nothing is pulled back, and `x_N`
        stays as it is. For f(x) = 3x the result is 3 times the mean of v².

        >>> forward_gradient(lambda x_N: (0 * x_N).sum(), torch.tensor([5.0, 7.0]), 4)
        tensor([0., 0.])
        """,
    insight="Every component of v measures its own slope, and takes those of all others for noise.",
)
def forward_gradient(f: Callable[[Tensor], Tensor], x_N: Tensor, samples: int) -> Tensor:
    """Estimate a gradient from slopes along random directions, without a backward pass.

    The mean of v·vᵀ is the identity, and so the mean of this one is g:

        ĝ = mean over S directions of (g·v)·v,   v ~ N(0, 1)
    """
    v_SN = torch.randn(samples, *x_N.shape, dtype=x_N.dtype)
    slopes_S = vmap(lambda v_N: jvp(f, (x_N,), (v_N,))[1])(v_SN)
    gradient_N: Tensor = (slopes_S[:, None] * v_SN).mean(0)
    return gradient_N


def without_backward(cfg: Config, lab: Lab) -> None:
    """Can one train without a backward pass?

    One push through the loss gives g·v, the slope along one direction, and keeps nothing. Multiply v by that
    number. If v is drawn from a normal distribution, the mean of (g·v)·v is the gradient itself. Its
    component i is the mean of Σⱼ gⱼ·vⱼ·vᵢ: there vᵢ² has the mean 1, so that gᵢ is left, and every other
    product has the mean 0. This is a *forward gradient*, and it is unbiased.

    It is also noisy, because each component takes all the others for its own. The mean of the squared error
    of one sample is (n + 1)·‖g‖², so that of S samples is (n + 1)/S of the gradient's square. One sample
    alone points nearly at right angles to the gradient: its cosine is √(2/πn) on average, 0.11 for 50
    numbers.

    It goes downhill nevertheless. Let the loss be half the squared distance to a target. A step against the
    gradient arrives at once. A step along one direction, times η, leaves 1 − 2η + (n + 2)·η² of the squared
    distance on average. The best η is 1/(n + 2), and then 1/(n + 2) is gained: 52 such steps for 50 numbers
    leave 0.36 of it.
    """
    tools.load_quietly()
    lab.predict("14.rate", *tools.RATE)
    n, repeats = cfg.size, cfg.repeats
    few, single, double = repeats // 20, torch.float32, torch.float64
    asked = [(3, 10, double, repeats), (n, 100, double, few), (n, 100, single, few), (n, 1, double, repeats)]
    found = [lab.step(helpers.estimated, forward_gradient, *one) for one in asked]
    rows = [(*one[:3], error, (one[0] + 1) / one[1]) for one, (error, _) in zip(asked, found, strict=True)]
    lab.table("Mean squared error", ["n", "S", "dtype", "measured", "(n + 1)/S"], rows)
    lab.close(
        "14.rate",
        "The squared error of a forward gradient is (n + 1)/S of the gradient's square.",
        [error / expected for *_, error, expected in rows[:3]],
        [1.0] * 3,
        within=tools.spread_of_errors(repeats),
    )
    lab.close(
        "14.cosine",
        "One random direction makes an angle with the gradient whose cosine is √(2/πn) on average.",
        found[3][1],
        math.sqrt(2 / math.pi / n),
        within=tools.spread_of_cosines(n, repeats),
    )
    distances = lab.step(helpers.descended, forward_gradient, n, cfg.steps)
    places = range(0, cfg.steps + 1, cfg.steps // 20)
    series = {
        "measured": [distances[place] for place in places],
        "expected": [distances[0] * (1 - 1 / (n + 2)) ** place for place in places],
    }
    title, y_label = "One direction for each step", "squared distance to the target"
    lab.plot(title, places, series, x_label="step", y_label=y_label, log_y=True)
    lab.close(
        "14.descent",
        "A step along one random direction gains 1/(n + 2) of the squared distance on average.",
        (n + 2) * mean(1 - after / before for before, after in pairwise(distances)),
        1.0,
        within=Tolerance(
            4 * 1.4 / cfg.steps**0.5, "4 standard errors: one gain has a deviation of 1.4/(n + 2)"
        ),
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (dual_numbers, push_or_pull, memory, recording, price, refusals, without_backward):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
