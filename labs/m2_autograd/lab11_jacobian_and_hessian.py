"""Lab 11 · Jacobian and Hessian · Jakobian i hesjan

Question:
    What do second derivatives cost, and how do you get only the part that you need?

You will see:
    - A Jacobian filled in column by column and row by row, and which of the two you should choose.
    - Eight megabytes of memory for a Jacobian of 96 kilobytes, and one of which four fifths are zeros.
    - A product with the Hessian for the price of two gradients, however large the Hessian is.
    - A recommended way to it that is the slower one in torch: a third of its work is to multiply zeros.
    - Newton's method, which solves a quadratic in one step and walks straight to a saddle.

Run:
    make lab-11
    python -m labs.m2_autograd.lab11_jacobian_and_hessian --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 10 for what a backward pass multiplies

Remember:
    Ask for products and not for matrices: a Jacobian or a Hessian times a vector is one walk, and the whole
    matrix is one walk for each of its rows or columns. Push columns where there are few inputs, pull rows
    where there are few outputs, and map over the samples of a batch. In torch the gradient of gradient·v is
    the cheapest product with a Hessian; count before you believe a rule. Newton's method looks for a
    stationary point, and that need not be a minimum. This lab does not show how large models approximate
    the Hessian, by Kronecker factors for example. Next comes lab 12, on graphs that live longer than one
    backward pass.

Sources:
    - B. Pearlmutter, "Fast Exact Multiplication by the Hessian", Neural Computation 6(1), 1994:
      https://doi.org/10.1162/neco.1994.6.1.147
    - PyTorch tutorial, Jacobians, Hessians, hvp, vhp:
      https://docs.pytorch.org/tutorials/intermediate/jacobians_hessians.html
    - PyTorch documentation, torch.func.hessian:
      https://docs.pytorch.org/docs/stable/generated/torch.func.hessian.html
    - C. Finn, P. Abbeel, S. Levine, "Model-Agnostic Meta-Learning", 2017, section 2.2:
      https://arxiv.org/abs/1703.03400

Notebook:
    11_Jacobian_and_Hessian.ipynb
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.autograd import functional
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from labs.kit import Lab, Tolerance, exercise, main
from labs.kit.measure.memory import peak_bytes
from labs.kit.topics.quiet_libraries import quiet_libraries
from labs.m2_autograd._lab11_helpers import (
    by_formula,
    counted,
    double_well,
    errors,
    five_of_three,
    loss_of_net,
    net_and_place,
    net_of_squares,
    odd_jacobians,
    operators,
    other_products,
    quadratics,
    rosenbrock,
    second_derivative,
    walks_of,
    ways_of,
)
from labs.m2_autograd._lab11_tools import (
    Curve,
    Example,
    drawn,
    filled_by_walks,
    heights_of,
    hessian_and_product,
    in_gradients,
    single_bars,
    walked,
)

# Shape letters: N inputs, M outputs, K hidden numbers of a net, B samples of a batch.

COUNTED = (5, 12, 31, 64)  # numbers of inputs N for which products are counted
PLOTTED = ("gradient", "H·v, pulled", "H·v, pushed", "Hessian")


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    few: int = 12  # inputs of the tall Jacobian, outputs of the wide one
    many: int = 1000  # outputs of the tall Jacobian, inputs of the wide one
    hidden: int = 310  # hidden numbers K between them
    chunk: int = 90  # rows that are pulled at once where memory is short
    batch: int = 5  # samples B of a batch

    @classmethod
    def smoke(cls) -> "Config":
        return cls(few=7, many=301, hidden=33, chunk=20)


@exercise(
    "Push along the axes and you get columns, pull from the outputs and you get rows. How many are there of "
    "each?",
    "`jvp(f, (x_N,), (e_N,))[1]` is column n where `e_N` is 1 at n and 0 elsewhere. `vjp(f, x_N)` gives the "
    "value and a function that pulls.",
    "`for n, e_N in enumerate(torch.eye(len(x_N), dtype=x_N.dtype))`: fill `jacobian_MN[:, n]`; the rows "
    "likewise, `jacobian_MN[m] = pull(e_M)[0]`.",
    contract="""
        `f` turns a vector of N numbers into one of M, in the same floating dtype; N and M may be 1 or 0. `f`
        may itself be a gradient, such as `torch.func.grad(loss)`. Return its Jacobian (M, N) at `x_N`, in
        the dtype of `x_N`: where `forward` is True by N pushes, one for each input, else by M pulls, one for
        each output. `x_N` stays as it is, its `requires_grad` and its `grad` too.

        >>> f = lambda x_N: torch.stack([x_N[0] * x_N[1], x_N[0], x_N[1] ** 2])
        >>> jacobian(f, torch.tensor([2.0, 3.0]), forward=True)
        tensor([[3., 2.],
                [1., 0.],
                [0., 6.]])
        """,
    insight="Each walk costs about as much as the function does, so you have just paid for the whole matrix.",
)
def jacobian(f: Curve, x_N: Tensor, forward: bool) -> Tensor:
    """Fill in a Jacobian by walks: columns by pushes, or rows by pulls.

        J·eₙ = column n        eₘ·J = row m

    where e is 1 at one place and 0 elsewhere.
    """
    y_M, pull = vjp(f, x_N)  # type: ignore[misc]
    jacobian_MN = x_N.new_zeros(len(y_M), len(x_N))
    if forward:
        for n, e_N in enumerate(torch.eye(len(x_N), dtype=x_N.dtype)):
            jacobian_MN[:, n] = jvp(f, (x_N,), (e_N,))[1]
    else:
        for m, e_M in enumerate(torch.eye(len(y_M), dtype=x_N.dtype)):
            jacobian_MN[m] = pull(e_M)[0]
    return jacobian_MN


def by_columns(f: Curve, x_N: Tensor) -> Tensor:
    """Compute a Jacobian by pushes, all of them at once: one for each input."""
    jacobian_MN: Tensor = jacfwd(f)(x_N)
    return jacobian_MN


def by_rows(f: Curve, x_N: Tensor, chunk: int | None = None) -> Tensor:
    """Compute a Jacobian by pulls, all of them or `chunk` of them at once: one for each output."""
    jacobian_MN: Tensor = jacrev(f, chunk_size=chunk)(x_N)
    return jacobian_MN


def two_walks(cfg: Config, lab: Lab) -> None:
    """What is the derivative of five numbers with respect to three?

    `backward()` starts from a single number. Your function turns three numbers into five, so what is its
    derivative? It is a matrix: the *Jacobian*, with a row for each output and a column for each input. The
    entry in row m and column n says how fast output m grows with input n.

    Autograd never writes that matrix down. It offers two walks along the graph. A *push* (`jvp`, Jacobian
    times vector) goes forward with the computation: you say in which direction v the inputs move, and it says
    how fast each output moves. That is J·v. A *pull* (`vjp`, vector times Jacobian) goes backward, as
    `backward()` does: you say how much each output counts, and it says how fast the weighted sum grows with
    each input. That is u·J.

    Take (x₀x₁, x₀, x₁²) at (2, 3). Push v = (1, 0), and (3, 1, 0) comes out, which is the first column. Pull
    u = (1, 0, 0), and (3, 2) comes back, the first row. So N pushes fill the matrix in column by column, and
    M pulls row by row. `torch.func` has both: `jacfwd` pushes and `jacrev` pulls.
    """
    places = [drawn(3), drawn(3, dtype=torch.float32), drawn(3, seed=12).requires_grad_()]
    examples = [Example(five_of_three, (x_N,), lab.step(by_formula, x_N)) for x_N in places]
    examples += odd_jacobians()
    with quiet_libraries():  # the first push loads what torch itself calls deprecated
        on_paper, (two_and_three_N,), _ = odd_jacobians()[0]
        lab.diagram("Columns by pushes, rows by pulls", *filled_by_walks(jacobian, on_paper, two_and_three_N))
        ways = [partial(jacobian, forward=True), partial(jacobian, forward=False)]
        found = [lab.step(errors, way, examples) for way in ways]
        found += [lab.step(errors, way, examples[:5]) for way in (by_columns, by_rows, functional.jacobian)]
        walks = [walk for sizes in ((3, 31), (31, 3)) for walk in walks_of(jacobian, *sizes)]
    lab.close(
        "11.walks",
        "Filled in by pushes or by pulls, by hand or by torch, a Jacobian is the one that the formulas give.",
        torch.cat(found),
        torch.zeros_like(torch.cat(found)),
        within=Tolerance(5, "in units of the dtype's eps: 3 products, a sum and a sine, each off by 1"),
    )
    lab.equal(
        "11.count",
        "Pushing takes one walk for each input, and pulling one for each output.",
        walks,
        ["3 walks", "31 walks", "31 walks", "3 walks"],
        unit="Jacobians",
        because="31 outputs of 3 inputs and 3 of 31, pushed and pulled; read off the matrix products",
    )


def cheaper_walk(cfg: Config, lab: Lab) -> None:
    """Which of the two should you choose?

    The matrix is the same, so only the number of walks differs. With few inputs and many outputs the
    Jacobian is tall: push its few columns. With many inputs and few outputs it is wide: pull its few rows. A
    loss has a single output, and that is why training pulls.

    Neither `jacfwd` nor `jacrev` loops. `vmap` takes all walks at once, in a few large products, and that has
    a price. To pull M rows at once, `jacrev` starts from all M vectors eₘ, and together these are an identity
    matrix of M × M. For 1000 outputs in float64 it takes 8 MB, even where the Jacobian has 12 columns and
    takes 96 KB. `chunk_size` says how many rows are pulled at a time, and so how many the identity has.
    """
    tall = net_and_place(cfg.few, cfg.hidden, cfg.many)
    wide = net_and_place(cfg.many, cfg.hidden, cfg.few)
    whole, chunked = (peak_bytes(partial(by_rows, *tall, chunk=chunk)) for chunk in (None, cfg.chunk))
    entries = 8 * cfg.many * cfg.few
    bars = {"the Jacobian itself": entries, "all rows at once": whole, f"{cfg.chunk} at a time": chunked}
    lab.diagram("Bytes at the peak of pulling a tall Jacobian", single_bars(bars))
    lab.bytes(
        "11.identity",
        "Pulling all rows of a tall Jacobian at once takes an identity matrix of M × M numbers.",
        whole,
        at_least=cfg.many * cfg.many * 8,
        at_most=cfg.many * 8 * (cfg.many + 2 * (cfg.hidden + cfg.few)),
        because="8·M² bytes, and for each row at most two tensors of K + N numbers on its way back",
    )
    lab.bytes(
        "11.chunks",
        "`chunk_size` cuts the identity matrix down to as many rows as are pulled at a time.",
        chunked,
        at_least=cfg.chunk * cfg.many * 8,
        at_most=2 * cfg.chunk * 8 * (cfg.many + 2 * (cfg.hidden + cfg.few)) + 2 * entries,
        because=f"{cfg.chunk} rows of 8·M bytes; at most two chunks live at once, and the results twice",
    )
    share = f"{cfg.many} walks for {cfg.few}; we require 2 ×, as large products use a processor better"
    lab.ratio(
        "11.tall",
        "A tall Jacobian takes longer by rows than by columns.",
        partial(by_rows, *tall),
        partial(by_columns, *tall),
        at_least=2,
        because=share,
    )
    lab.ratio(
        "11.wide",
        "A wide Jacobian takes longer by columns than by rows.",
        partial(by_columns, *wide),
        partial(by_rows, *wide),
        at_least=2,
        because=share,
    )


def of_a_batch(f: Curve, x_BN: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the Jacobian of a whole batch, (B, M, B, N), and one for each sample, (B, M, N)."""
    together_BMBN = jacrev(f)(x_BN)
    each_BMN = vmap(jacrev(f))(x_BN)
    return together_BMBN, each_BMN


ZEROS = {
    "none": "So it would be, if each output depended on all samples, as behind a batch norm.",
    "half of them": "Of B samples each output sees one, and not half of them.",
    "80 %": "**Yes.** Of five blocks in a row, four belong to other samples.",
}


def batch(cfg: Config, lab: Lab) -> None:
    """What is the Jacobian of a batch?

    You want the Jacobian of a net for each of five samples, and you hand all of them to `jacrev`. What comes
    back has four dims, (B, M, B, N). It contains how the outputs of sample 2 depend on the inputs of sample
    4, because nobody told `jacrev` that they do not.

    These entries are zero, and yet each was computed: there were B·M pulls through the whole batch. Say
    instead what you mean. `jacrev(f)` is the function from one sample to its Jacobian, and `vmap` runs it for
    each sample. The result is (B, M, N), and nothing in it is superfluous.

    The net here has whole numbers for weights, and squares in the place of tanh, so every entry is exact and
    can be compared with the formula to the last bit.
    """
    lab.predict(
        "11.batch",
        "A net maps 5 samples. What share of `jacrev(net)(batch)` is bound to be zero?",
        ZEROS,
        "80 %",
    )
    inputs, outputs = 3, 4
    f, formula = net_of_squares(inputs, 2, outputs)
    x_BN = torch.arange(1.0, cfg.batch * inputs + 1, dtype=torch.float64).view(cfg.batch, inputs)
    together_BMBN, each_BMN = lab.step(of_a_batch, f, x_BN)
    blocks = torch.stack([formula(x_N) for x_N in x_BN])
    apart = torch.eye(cfg.batch, dtype=torch.float64)[:, None, :, None] * blocks[:, :, None, :]
    zeros = [int((jacobian == 0).sum()) for jacobian in (together_BMBN, each_BMN)]
    lab.equal(
        "11.batch",
        "In the Jacobian of a batch all entries between two samples are zero, and `vmap` computes just the "
        "others.",
        [together_BMBN, each_BMN, *zeros],
        [apart, blocks, cfg.batch * (cfg.batch - 1) * inputs * outputs, 0],
        cases=apart.numel() + blocks.numel(),
        unit="entries",
        because=f"B·(B − 1)·M·N = {zeros[0]} of {apart.numel()} entries are zero, a share of 1 − 1/B",
    )


def rosenbrock_hessian(x_N: Tensor) -> Tensor:
    """Write the Hessian of Rosenbrock's function down by hand, in float64: a band of three diagonals.

        ∂²f/∂xᵢ² = 1200·xᵢ² − 400·xᵢ₊₁ + 2        ∂²f/∂xᵢ∂xᵢ₊₁ = −400·xᵢ

    On the diagonal all but the first have 200 more, and the last has nothing else.
    """
    here_N, next_N = x_N.detach().double()[:-1], x_N.detach().double()[1:]
    main_N = torch.zeros(len(x_N), dtype=torch.float64)
    main_N[:-1] += 1200 * here_N**2 - 400 * next_N + 2
    main_N[1:] += 200
    beside_N = -400 * here_N
    hessian_NN = main_N.diag() + beside_N.diag(1) + beside_N.diag(-1)
    return hessian_NN


@exercise(
    "H·v is the derivative of the gradient in the direction v. Which walk through the gradient is that?",
    "H is symmetric, so H·v is v·H: one pull through the function `grad(f)`, and no push.",
    "`pull = vjp(grad(f), x_N)[1]`, and `pull(v_N)` is a tuple of one.",
    contract="""
        `f` turns a vector of N numbers (also 1 or 0) into one. It may be linear in x, and may use parameters
        of its own. Return its Hessian at `x_N` times `v_N`, (N,), in the dtype of `x_N`, for the price of two
        gradients and without the Hessian. `x_N`, `v_N` and the parameters of `f` stay as they are, their
        `requires_grad` and their `grad` too.

        >>> hvp(lambda x_N: (x_N**3).sum(), torch.ones(2), torch.tensor([2.0, 0.0]))
        tensor([12.,  0.])
        """,
    insight="A linear function needs no case of its own: its gradient is constant, and the pull gives zeros.",
)
def hvp(f: Curve, x_N: Tensor, v_N: Tensor) -> Tensor:
    """Multiply the Hessian by a vector, without the Hessian: pull v through the gradient.

        H·v = ∇(∇f · v)

    where v stays as it is.
    """
    pull = vjp(grad(f), x_N)[1]
    product_N: Tensor = pull(v_N)[0]
    return product_N


def second_derivatives(cfg: Config, lab: Lab) -> None:
    """Do you need the whole matrix of second derivatives?

    The gradient of a loss is a function too, with N numbers in and N numbers out. Its Jacobian is the
    *Hessian*. Row i says how the slope along xᵢ changes as you move. For a million weights it has 10¹²
    entries, and nobody writes it down. What one wants of it is nearly always a product: how does the
    gradient change if I move in *this* direction v? That is H·v. It has N numbers, and one walk through the
    gradient gives them.

    Rosenbrock's function is a good place to check this, because its Hessian can be written by hand. Every
    xᵢ meets only its two neighbours, so the matrix is a band of three diagonals, and in the picture 13 of its
    25 entries are not zero. It is drawn at (1, 2, −1, 3, 0). Check one beside the diagonal: −400·x₀ is −400.
    """
    places = [drawn(0), drawn(1), drawn(2), drawn(7), drawn(5, dtype=torch.float32)]
    matrices = [lab.step(rosenbrock_hessian, x_N) for x_N in places]
    examples = [Example(rosenbrock, (x_N,), h_NN) for x_N, h_NN in zip(places, matrices, strict=True)]
    slopes = [Example(grad(f), at, h_NN) for f, at, h_NN in examples]
    with quiet_libraries():
        found = [lab.step(errors, jacobian, slopes, forward=way) for way in (True, False)]
        found += [lab.step(errors, lambda f, x_N: hessian(f)(x_N), examples)]
    lab.close(
        "11.hessian",
        "The Jacobian of the gradient, pushed or pulled, is the Hessian written by hand.",
        torch.cat(found),
        torch.zeros_like(torch.cat(found)),
        within=Tolerance(30, "in units of the dtype's eps: 20 roundings of eps/2, terms up to 3 × as large"),
    )
    full_NN = lab.step(jacobian, grad(loss_of_net(7)), drawn(7), forward=False)
    lab.close(
        "11.symmetric",
        "The Hessian of a net's loss equals its transpose.",
        full_NN,
        full_NN.t(),
        within=Tolerance(1e-12, "16 digits of entries below 100, of which some 100 roundings cost two"),
    )
    lab.diagram("25 numbers, and the 5 that one walk returns", hessian_and_product(rosenbrock, hvp))
    directions = [drawn(len(x_N), dtype=x_N.dtype, seed=13) for x_N in places]
    tried = zip(places, directions, matrices, strict=True)
    examples = [Example(rosenbrock, (x_N, v_N), h_NN @ v_N.double()) for x_N, v_N, h_NN in tried]
    found_of_hvp = lab.step(errors, hvp, examples + other_products())
    lab.close(
        "11.hvp",
        "A direction pulled through the gradient comes back as the Hessian times that direction.",
        found_of_hvp,
        torch.zeros_like(found_of_hvp),
        within=Tolerance(60, "in units of the dtype's eps: 3 terms, up to 2 × the sum, of 20 roundings each"),
    )


PRICE = {
    "4": "That is the gradient alone: 2 products forward and 2 backward.",
    "8": "**Yes.** The gradient is 4 products, and walking back through these four takes 4 more.",
    "4·N": "That many products fill the Hessian's N rows in. One direction needs one walk.",
    "N²": "So many entries the Hessian has. But nobody has to look at them.",
}
PUSHED = {
    "6": "Then the push would cost as little as the loss. It has to go along the backward pass as well.",
    "8": "So the theory says: 4 products for the gradient, 4 for its derivative in the direction v.",
    "12": "**Yes.** The push asks each matrix how it changes. It does not, and torch multiplies that zero.",
}


def price(cfg: Config, lab: Lab) -> None:
    """What does a second derivative cost?

    Seconds depend on the machine, so we count matrix products. The loss of this net has two of them, W₁·x and
    W₂·tanh(W₁·x). The backward pass multiplies once by the transpose of each, so a gradient costs 4 products.
    To pull v through the gradient, autograd walks back through all of that, and for each product that it
    meets it multiplies by one transpose more. How many are that, and does N occur in it?

    The documentation of `torch.func.hessian` recommends the other order: *push* v through the gradient. That
    needs no second backward pass and keeps nothing for it, and on paper it takes no more products. Count
    before you believe it.
    """
    lab.predict("11.products", "A gradient costs 4 products here. What does H·v cost?", PRICE, "8")
    lab.predict("11.pushed", "What does H·v cost where v is pushed, by `jvp(grad(f))`?", PUSHED, "12")
    with quiet_libraries():
        found = {n: lab.step(counted, hvp, n) for n in COUNTED}
        times = in_gradients({way: ways_of(hvp, cfg.hidden)[way] for way in PLOTTED})
    rows = [(way, *(found[n][way][0] for n in COUNTED), zeros) for way, (_, zeros) in found[64].items()]
    lab.table("Matrix products", ["way", *(f"N = {n}" for n in COUNTED), "of these with zeros"], rows)
    lab.plot(
        "What a second derivative costs",
        COUNTED,
        {way: [found[n][way][0] for n in COUNTED] for way in PLOTTED},
        x_label="inputs N",
        y_label="matrix products",
        log_x=True,
        log_y=True,
    )
    lab.equal(
        "11.products",
        "A gradient costs 4 matrix products and a Hessian times a vector 8, whatever N is; the whole Hessian "
        "costs 4·N + 8.",
        [[found[n][way][0] for way in ("loss", "gradient", "H·v, pulled", "Hessian")] for n in COUNTED],
        [[2, 4, 8, 4 * n + 8] for n in COUNTED],
        unit="sizes",
        because="2 forward and 2 back, then 4 back through these; all of H: 4 as well, 4·N, and 4 with zeros",
    )
    lab.equal(
        "11.pushed",
        "Of the 12 products of a direction pushed through the gradient, 4 multiply a matrix of zeros.",
        [found[n]["H·v, pushed"] for n in COUNTED],
        [(12, 4)] * len(COUNTED),
        unit="sizes",
        because="torch gives each constant matrix a direction of zeros, and uses it forward and backward",
    )
    lab.say(
        f"By the clock, with N = {cfg.hidden}, H·v took as long as {times['H·v, pulled']:.1f} gradients "
        f"where v was pulled, {times['H·v, pushed']:.1f} where it was pushed, and all of H "
        f"as long as {times['Hessian']:.0f}. Such figures change from machine to machine."
    )


@exercise(
    "Replace f by a parabola that has the same slope and the same curvature here. Where is that level?",
    "Where the slope ∇f + H·d is zero. This is a system of N linear equations for the step d.",
    "`x_N - torch.linalg.solve(hessian(f)(x_N), grad(f)(x_N))`.",
    contract="""
        `f` turns a vector of N numbers into one number. Its Hessian at `x_N` can be inverted, and its
        curvatures may have either sign. Return the place after one step of Newton's method from `x_N`, as it
        stands in the book: a whole step, without a line search. `x_N` stays as it is.

        >>> newton_step(lambda x_N: (2 * x_N**2 - 4 * x_N).sum(), torch.tensor([7.0]))
        tensor([1.])
        """,
    insight="Nothing here asks whether the place is a minimum. The equation is: the slope is zero.",
)
def newton_step(f: Curve, x_N: Tensor) -> Tensor:
    """Go to where the local parabola is level.

        x ← x − d        where H·d = ∇f

    The system of equations is solved, and no matrix is inverted.
    """
    slope_N = grad(f)(x_N)
    hessian_NN = hessian(f)(x_N)
    better_N: Tensor = x_N - torch.linalg.solve(hessian_NN, slope_N)
    return better_N


def newton(cfg: Config, lab: Lab) -> None:
    """Where does Newton's method go?

    Gradient descent knows the slope and guesses how far to go. With the Hessian one need not guess: replace
    f by the parabola that has the same slope and the same curvatures here, and go to where that one is level.
    If f is a parabola itself, one step is enough, from anywhere and in any number of dims.

    "Level" is the word to watch. A saddle is level too: it goes up in one direction and down in another.
    Take f = x₀⁴/4 − x₀²/2 + 3·(x₁ − x₀)²/2. It has minima at (1, 1) and (−1, −1), and between them, at
    (0, 0), a saddle. Start beside the saddle, at (0.3, 0.1). Gradient descent rolls away from it. What does
    Newton's method do?
    """
    with quiet_libraries():
        found = lab.step(errors, newton_step, quadratics())
    lab.close(
        "11.newton",
        "One step of Newton's method solves a quadratic, whatever the signs of its curvatures.",
        found,
        torch.zeros_like(found),
        within=Tolerance(4410, "in units of the dtype's eps: a start 10 × as far, condition 9, 49 roundings"),
    )
    start_N = torch.tensor([0.3, 0.1], dtype=torch.float64)
    newtons = walked(partial(newton_step, double_well), start_N, 24)
    downhill = walked(lambda x_N: x_N - 0.2 * grad(double_well)(x_N), start_N, 150)
    paths = {"Newton's method": newtons, "gradient descent": downhill}
    heights = {name: heights_of(double_well, path[:25:3]) for name, path in paths.items()}
    lab.plot("Two walks from beside a saddle", range(0, 25, 3), heights, x_label="step", y_label="height f")
    ends = [path[-1] for path in paths.values()]
    signs = [torch.linalg.eigvalsh(hessian(double_well)(x_N)).sign().tolist() for x_N in ends]
    lab.equal(
        "11.saddle",
        "Started beside a saddle, Newton's method ends at the saddle, and gradient descent in a minimum.",
        [([round(at, 6) for at in x_N.tolist()], sign) for x_N, sign in zip(ends, signs, strict=True)],
        [([0, 0], [-1, 1]), ([1, 1], [1, 1])],
        unit="walks",
        because="the slope is 0 at both places, and the curvatures have the signs − and +, or + and +",
    )
    lab.say(
        "So whoever uses second derivatives looks at the signs as well, or lets the step shrink until f "
        f"falls. The first step of Newton's method led from 0.3 to −{-newtons[1][0]:.3f}, across the saddle. "
        "You can check that: in this valley a step leads from x₀ to 2·x₀³/(3·x₀² − 1)."
    )


def through_a_step(f: Curve, x_N: Tensor, rate: float, recorded: bool) -> Tensor:
    """Differentiate one step of training, x − α·∇f(x), by x: the Jacobian (N, N)."""

    def trained(x_N: Tensor) -> Tensor:
        (slope_N,) = torch.autograd.grad(f(x_N), x_N, create_graph=recorded)
        return x_N - rate * slope_N

    jacobian_NN: Tensor = functional.jacobian(trained, x_N)
    return jacobian_NN


def lost(cfg: Config, lab: Lab) -> None:
    """Where does a second derivative get lost?

    A step of training, x − α·∇f(x), is a function like others. Meta-learning by MAML differentiates through
    it, and what it meets there is I − α·H. But inside the step stands a gradient. For whoever differentiates
    the step, that gradient is a constant unless it was computed with `create_graph=True`. Then H drops out, I
    is left, and no error tells you.

    Others do tell you. A fused operator is one node of the graph, and its backward pass is one more operator,
    for which somebody has to write a derivative. Nobody did for `ctc_loss`, for `hardsigmoid`, or for
    attention as torch computes it on a CPU. Ask for attention by plain products instead, with `sdpa_kernel`.

    And sometimes nothing was lost, for there was nothing. ReLU and max pooling consist of straight pieces, so
    their second derivatives are zero.
    """
    x_N, rate = drawn(5), 0.001
    known_NN = torch.eye(5, dtype=torch.float64) - rate * rosenbrock_hessian(x_N)
    recorded_NN, forgotten_NN = (
        lab.step(through_a_step, rosenbrock, x_N, rate, recorded=recorded) for recorded in (True, False)
    )
    by_func_NN = jacrev(lambda x_N: x_N - rate * grad(rosenbrock)(x_N))(x_N)
    lab.close(
        "11.step",
        "The Jacobian of a training step is I − α·H, and without `create_graph=True` it silently becomes I.",
        torch.stack([recorded_NN, by_func_NN, forgotten_NN]),
        torch.stack([known_NN, known_NN, torch.eye(5, dtype=torch.float64)]),
        within=Tolerance(1e-12, "16 digits of entries below 10, and some 20 roundings cost 2 of them"),
    )
    verdicts = {name: lab.step(second_derivative, f, x) for name, (f, x) in operators().items()}
    lab.table("Asked for a second derivative", ["operator", "answer"], list(verdicts.items()))
    refusals = ["refused: RuntimeError"] * 3 + ["refused: NotImplementedError"]
    lab.equal(
        "11.refused",
        "Fused attention, `ctc_loss`, `hardsigmoid` and `embedding_bag` refuse a second derivative.",
        list(verdicts.values()),
        ["right"] * 4 + ["right, and zero"] * 2 + refusals,
        unit="operators",
        because="their backward passes are operators without a derivative; the others agree with differences",
    )
    lab.say(
        "The list changes from version to version: torch 2.11 refused `grid_sample`, and torch 2.14 does not "
        "refuse `cdist` any more. Try an operator before you build on its second derivative."
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (two_walks, cheaper_walk, batch, second_derivatives, price, newton, lost):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
