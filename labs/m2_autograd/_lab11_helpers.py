"""What lab 11 needs beside its lesson: functions to differentiate, counters of walks, and measured errors."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, hessian, jvp
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from labs.m2_autograd._lab11_tools import Curve, Example, Product, Products, drawn, quadratic, state_of


def errors(differentiate: Callable[..., Tensor], examples: Sequence[Example], **options: Any) -> Tensor:
    """Compare answers with what is known: for each number the difference, in units of the dtype's precision.

    An answer of another shape or dtype, and one for which an argument or a parameter was changed, is
    infinitely far away.
    """
    found = []
    for f, at, known in examples:
        before = state_of((*at, A_N))
        answer = differentiate(f, *at, **options).detach()
        alike = (answer.shape, answer.dtype) == (known.shape, at[0].dtype)
        kept = state_of((*at, A_N)) == before
        scale = max([1.0, *known.abs().flatten().tolist()]) * torch.finfo(at[0].dtype).eps
        gap = (
            (answer.double() - known).abs()
            if alike and kept
            else torch.full((known.numel() or 1,), torch.inf)
        )
        found.append(gap.flatten().double() / scale)
    return torch.cat(found)


# Functions --------------------------------------------------------------------------------------------------


def five_of_three(x_N: Tensor) -> Tensor:
    """Make five numbers of three: products, a wave, a growth, and one that depends on nothing."""
    a, b, c = x_N
    return torch.stack([a * b, torch.sin(c), a * a * c, b * torch.exp(a), 0 * a + 7])


def by_formula(x_N: Tensor) -> Tensor:
    """Write the Jacobian of the five numbers down as the rules of differentiation give it, in float64."""
    a, b, c = x_N.detach().double()
    zero, growth = torch.zeros_like(a), torch.exp(a)
    rows = [[b, a, zero], [zero, zero, torch.cos(c)], [2 * a * c, zero, a * a], [b * growth, growth, zero]]
    jacobian_MN = torch.stack([torch.stack(row) for row in (*rows, [zero] * 3)])
    return jacobian_MN


def odd_jacobians() -> list[Example]:
    """Make functions with known Jacobians: the one on paper, one to one, of no input, to no output."""

    def on_paper(x_N: Tensor) -> Tensor:
        return torch.stack([x_N[0] * x_N[1], x_N[0], x_N[1] ** 2])

    def cube(x_N: Tensor) -> Tensor:
        return x_N**3

    def two_of_none(x_N: Tensor) -> Tensor:
        return x_N.sum() + x_N.new_ones(2)

    def none_of_four(x_N: Tensor) -> Tensor:
        return x_N[:0] ** 2

    return [
        Example(on_paper, (torch.tensor([2.0, 3.0]),), torch.tensor([[3.0, 2.0], [1.0, 0.0], [0.0, 6.0]])),
        Example(cube, (torch.full((1,), 2.0),), torch.full((1, 1), 12.0)),
        Example(two_of_none, (drawn(0),), torch.zeros(2, 0)),
        Example(none_of_four, (drawn(4),), torch.zeros(0, 4)),
    ]


def net(inputs: int, hidden: int, outputs: int) -> Curve:
    """Make a net of two layers with fixed weights: y = W₂·tanh(W₁·x)."""
    w_KN, w_MK = drawn(hidden, inputs) / inputs**0.5, drawn(outputs, hidden) / hidden**0.5

    def two_layers(x_N: Tensor) -> Tensor:
        y_M: Tensor = w_MK @ torch.tanh(w_KN @ x_N)
        return y_M

    return two_layers


def net_and_place(inputs: int, hidden: int, outputs: int) -> tuple[Curve, Tensor]:
    """Make a net of two layers, and an input for it."""
    return net(inputs, hidden, outputs), drawn(inputs)


def loss_of_net(n: int) -> Curve:
    """Make the loss Σ(W₂·tanh(W₁·x))² of N numbers, with two matrices of N × N."""
    layers = net(n, n, n)

    def loss(x_N: Tensor) -> Tensor:
        y_N = layers(x_N)
        return (y_N * y_N).sum()

    return loss


def net_of_squares(inputs: int, hidden: int, outputs: int) -> tuple[Curve, Curve]:
    """Make a net of whole numbers, y = W₂·(W₁·x)², and the formula of its Jacobian, W₂·diag(2·W₁·x)·W₁."""
    w_KN = torch.arange(1.0, hidden * inputs + 1, dtype=torch.float64).view(hidden, inputs)
    w_MK = torch.arange(outputs * hidden, 0.0, -1, dtype=torch.float64).view(outputs, hidden)

    def formula(x_N: Tensor) -> Tensor:
        return w_MK @ (2 * (w_KN @ x_N)[:, None] * w_KN)

    return lambda x_BN: (x_BN @ w_KN.t()).square() @ w_MK.t(), formula


A_N = torch.tensor([0.5, -1.5, 1.0], dtype=torch.float64, requires_grad=True)  # a parameter of the next


def other_products() -> list[Example]:
    """Make products with known Hessians: of a line, of (a·x)⁴ with a parameter a, of x₀x₁ where x learns."""
    learning_N = drawn(2).requires_grad_()
    learning_N.grad = drawn(2, seed=14)
    fixed_N, x_N, v_N = A_N.detach(), drawn(3), drawn(3, seed=13)
    power_N = 12 * (fixed_N @ x_N) ** 2 * (fixed_N @ v_N) * fixed_N

    def line(x_N: Tensor) -> Tensor:
        return (fixed_N * x_N).sum()

    def fourth_power(x_N: Tensor) -> Tensor:
        return (A_N @ x_N) ** 4

    def product(x_N: Tensor) -> Tensor:
        return x_N[0] * x_N[1]

    return [
        Example(line, (x_N, v_N), torch.zeros(3)),
        Example(fourth_power, (x_N, v_N), power_N),
        Example(product, (learning_N, v_N[:2]), v_N[:2].flip(0)),
    ]


def quadratics() -> list[Example]:
    """Make quadratics (x − c)ᵀA(x − c)/2, with full A and known c, which curve up, or up and down."""
    found = []
    for size, sign, dtype in ((4, 1, torch.float64), (7, -1, torch.float64), (1, 1, torch.float32)):
        turned_NN, _ = torch.linalg.qr(drawn(size, size))
        curvatures_N = torch.linspace(9, 1, size, dtype=torch.float64) * sign ** torch.arange(size)
        a_NN, c_N = (turned_NN * curvatures_N @ turned_NN.t()).to(dtype), drawn(size, dtype=dtype, seed=12)
        found.append(Example(quadratic(a_NN, c_N), (10 * drawn(size, dtype=dtype),), c_N.double()))
    return found


def rosenbrock(x_N: Tensor) -> Tensor:
    """Compute Rosenbrock's function, a bent valley: Σ 100·(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²."""
    steep_N = x_N[1:] - x_N[:-1] ** 2
    height = (100 * steep_N**2).sum() + ((1 - x_N[:-1]) ** 2).sum()
    return height


def double_well(x_N: Tensor) -> Tensor:
    """Two valleys, at (1, 1) and (−1, −1), and a saddle between them: x₀⁴/4 − x₀²/2 + 3·(x₁ − x₀)²/2."""
    height = x_N[0] ** 4 / 4 - x_N[0] ** 2 / 2 + 1.5 * (x_N[1] - x_N[0]) ** 2
    return height


# Walks ------------------------------------------------------------------------------------------------------


def walks_of(differentiate: Callable[..., Tensor], inputs: int, outputs: int) -> list[str]:
    """Tell for both values of `forward` how many walks a Jacobian took, read off the products that it made.

    A pull makes one product, and a push up to three: of the numbers, of their direction, and of the
    direction of the weights, which is zero. One forward pass comes on top.
    """
    w_MN, x_N = drawn(outputs, inputs), drawn(inputs)

    def layer(x_N: Tensor) -> Tensor:
        return torch.sin(w_MN @ x_N)

    found = []
    for forward in (True, False):
        with Products() as seen:
            differentiate(layer, x_N, forward=forward)
        made = seen.made / w_MN.numel()
        fitting = [walks for walks in (inputs, outputs) if walks < made <= 3 * walks + 1]
        found.append(f"{fitting[0]} walks" if fitting else f"{made:g} products")
    return found


def ways_of(multiply: Product, n: int) -> dict[str, Callable[[], object]]:
    """List ways to derivatives of a net's loss: the loss, its gradient, four products H·v, and all of H."""
    loss, x_N, v_N = loss_of_net(n), drawn(n), drawn(n, seed=13)
    ways: dict[str, Callable[[], object]] = {
        "loss": partial(loss, x_N),
        "gradient": partial(grad(loss), x_N),
        "H·v, pulled": partial(multiply, loss, x_N, v_N),
        "H·v by functional.vhp": partial(torch.autograd.functional.vhp, loss, x_N, v_N),
        "H·v by functional.hvp": partial(torch.autograd.functional.hvp, loss, x_N, v_N),
        "H·v, pushed": partial(jvp, grad(loss), (x_N,), (v_N,)),
        "Hessian": partial(hessian(loss), x_N),
    }
    return ways


def counted(multiply: Product, n: int) -> dict[str, tuple[float, float]]:
    """Count the matrix products on each way to a derivative, and those of them that multiply zeros."""
    found = {}
    for way, differentiate in ways_of(multiply, n).items():
        with Products() as seen:
            differentiate()
        found[way] = (seen.made / n**2, seen.with_zeros / n**2)
    return found


# Operators --------------------------------------------------------------------------------------------------


def operators() -> dict[str, tuple[Curve, Tensor]]:
    """List operators, each a function of one tensor that has a first derivative, and a place."""
    lstm = nn.LSTM(3, 2, dtype=torch.float64)
    for weight in lstm.parameters():
        weight.detach().copy_(drawn(*weight.shape) / 2)
    bags, text, lengths = torch.tensor([[0, 2], [1, 1]]), torch.tensor([[1, 2]]), torch.tensor([[6], [2]])
    listed: dict[str, tuple[Curve, Tensor]] = {
        "softplus": (functional.softplus, drawn(3, 5)),
        "LSTM": (lambda x: lstm(x)[0], drawn(4, 1, 3)),
        "layer_norm": (lambda x: functional.layer_norm(x, (5,)), drawn(3, 5)),
        "attention, by products": (partial(_attention, SDPBackend.MATH), drawn(1, 2, 5, 3)),
        "relu": (functional.relu, drawn(3, 5)),
        "max_pool1d": (lambda x: functional.max_pool1d(x, 2), drawn(1, 3, 6)),
        "attention, fused": (partial(_attention, SDPBackend.FLASH_ATTENTION), drawn(1, 2, 5, 3)),
        "ctc_loss": (lambda x: functional.ctc_loss(x.log_softmax(-1), text, *lengths), drawn(6, 1, 4)),
        "hardsigmoid": (functional.hardsigmoid, drawn(3, 5)),
        "embedding_bag, squared": (lambda x: functional.embedding_bag(bags, x, mode="sum") ** 2, drawn(4, 3)),
    }
    return listed


def _attention(backend: SDPBackend, x: Tensor) -> Tensor:
    """Let x attend to itself, with this kernel."""
    with sdpa_kernel(backend):
        return functional.scaled_dot_product_attention(x, x, x)


def second_derivative(f: Curve, x: Tensor) -> str:
    """Ask for the second derivative of Σ g·f(x) along v, and compare it with a difference of gradients."""
    g, v = torch.rand_like(f(x)) + 1, torch.rand_like(x) + 1

    def slope_at(x: Tensor) -> Tensor:
        return torch.autograd.grad(f(x), x, g, create_graph=True)[0]

    before, after = (slope_at((x + move * v).requires_grad_()) for move in (-1e-4, 1e-4))
    leaf = x.clone().requires_grad_()
    try:
        (second,) = torch.autograd.grad(slope_at(leaf), leaf, v)
    except RuntimeError as error:
        return f"refused: {type(error).__name__}"
    gap = (second - (after - before) / 2e-4).abs().max().item()
    verdict = f"wrong by {gap:.2g}" if gap > 1e-5 else "right" if second.any() else "right, and zero"
    return verdict
