"""What lab 14 needs beside its lesson: a Jacobian multiplied out, and what it measures."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

import labs.m2_autograd._lab14_tools as tools
from labs.kit.measure.memory import peak_bytes
from labs.m2_autograd._lab14_tools import Curve, Network, Pass, network

Push = Callable[[Curve, Tensor, Tensor], Tensor]  # a direction through a function


def multiplied_out(case: Network) -> tuple[Tensor, Tensor, Tensor]:
    """Build each sample's Jacobian as a product of matrices, in float64; return the outputs, J·v and uᵀ·J."""
    rows = []
    for x, v, u in zip(case.x_BI.double(), case.v_BI.double(), case.u_BO.double(), strict=True):
        value, jacobian_OI = x, torch.eye(len(x), dtype=torch.float64)
        for w_OI in case.weights:
            value = (w_OI.double() @ value).tanh()
            jacobian_OI = torch.diag(1 - value**2) @ w_OI.double() @ jacobian_OI
        rows.append((value, jacobian_OI @ v, u @ jacobian_OI))
    if not rows:
        empty_BO, empty_BI = case.u_BO.double(), case.x_BI.double()
        return empty_BO, empty_BO, empty_BI
    value_BO, moved_BO, pulled_BI = (torch.stack(column) for column in zip(*rows, strict=True))
    return value_BO, moved_BO, pulled_BI


def even_network(depth: int, batch: int, width: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """Draw a network whose layers all have one width, a batch and what is sent through beside it."""
    x_BI, v_BI = torch.randn(2, batch, width, generator=torch.Generator().manual_seed(depth)).unbind()
    weights = network(*[width] * (depth + 1))
    return weights, x_BI.clone(), v_BI.clone()


# Memory and products ----------------------------------------------------------------------------------------


def peak(way: Pass, depth: int, batch: int, width: int) -> int:
    """Measure the peak of a pass through so many layers, in whole tensors of x's size."""
    weights, x_BI, v_BI = even_network(depth, batch, width)
    tensors = peak_bytes(partial(way, weights, x_BI, v_BI)) / x_BI.nbytes
    return round(tensors)


def products_per_layer(way: Pass, depth: int, batch: int, width: int) -> float:
    """Count the matrix products of a pass by torch's own counter, for each layer."""
    passed = even_network(depth, batch, width)
    with FlopCounterMode(display=False) as counter:
        way(*passed)
    products: float = counter.get_total_flops() / (2 * batch * width * width) / depth
    return products


WAYS: dict[str, Curve] = {
    "no_grad": torch.no_grad()(torch.sin),
    "inference_mode": torch.inference_mode()(torch.sin),
    "detach": lambda x_N: x_N.detach().sin(),
    "NumPy": lambda x_N: torch.from_numpy(x_N.numpy()).sin(),
}


def tangent_after(way: str, x_N: Tensor, v_N: Tensor) -> Tensor | None:
    """Send a dual tensor through the sine in one of four ways, and look for its tangent behind it."""
    with forward_ad.dual_level():
        tangent_N: Tensor | None = forward_ad.unpack_dual(WAYS[way](forward_ad.make_dual(x_N, v_N))).tangent
    return tangent_N


# Operations -------------------------------------------------------------------------------------------------


def pushed_once(run: Curve, x: Tensor, t: Tensor) -> Tensor:
    """Push a direction t through an operation."""
    with torch.no_grad(), forward_ad.dual_level():
        slope: Tensor = forward_ad.unpack_dual(run(forward_ad.make_dual(x, t))).tangent
    return slope


def pulled_twice(run: Curve, x: Tensor, t: Tensor) -> Tensor:
    """Pull any u through an operation, and t through what came out: that is J·t without a push."""
    x = x.detach().requires_grad_()
    y = run(x)
    u = torch.zeros_like(y).requires_grad_()
    (pulled,) = torch.autograd.grad(y, x, u, create_graph=True)
    (slope,) = torch.autograd.grad(pulled, u, t)
    return slope


def answer(ask: Push, name: str) -> str:
    """Say whether an operation has the rule that this needs, in each dtype in which it is asked."""
    for dtype in tools.operations()[name].dtypes:
        try:
            ask(tools.operations()[name].run, *tools.point(name, dtype))
        except (NotImplementedError, RuntimeError) as error:
            if "not implemented" in str(error) or "has not been implemented" in str(error):
                return tools.NO
            raise
    return tools.YES


def tried(name: str) -> tuple[str, str, str]:
    """Ask an operation whether it can be pushed, and whether it can be pulled twice."""
    answers = answer(pushed_once, name), answer(pulled_twice, name)
    return name, *answers


def slope_error(name: str) -> float:
    """Compare what a push gives, and what two pulls give, where they are possible, with a central difference.

    The difference is one of float64; the slopes are asked in the first of the operation's dtypes.
    """
    (x, v), asked, h = tools.point(name, torch.float64), tools.operations()[name], 1e-5
    difference = (asked.run(x + h * v) - asked.run(x - h * v)) / (2 * h)
    at = tools.point(name, asked.dtypes[0])
    found = [way(asked.run, *at) for way in (pushed_once, pulled_twice) if answer(way, name) == tools.YES]
    return max([0.0, *((slope - difference).abs().max().item() for slope in found)])


# Forward gradients ------------------------------------------------------------------------------------------


def estimated(
    estimate: Callable[[Curve, Tensor, int], Tensor],
    size: int,
    samples: int,
    dtype: torch.dtype,
    repeats: int,
) -> tuple[float, float]:
    """Estimate one gradient again and again.

    Return the mean squared error, as a share of the gradient's square, and the mean cosine of its angle.
    """
    matrix_NN, x_N = torch.randn(size, size, dtype=dtype), torch.randn(size, dtype=dtype)
    g_N = matrix_NN.t() @ (1 - torch.tanh(matrix_NN @ x_N) ** 2) + 3 * x_N**2
    before = x_N.clone()
    errors, cosines = [], []
    for _ in range(repeats):
        got_N = estimate(lambda x: torch.tanh(matrix_NN @ x).sum() + (x**3).sum(), x_N, samples)
        if (got_N.shape, got_N.dtype) != (x_N.shape, dtype) or not torch.equal(x_N, before):
            return float("inf"), float("inf")
        errors.append(float((got_N - g_N).square().sum() / g_N.square().sum()))
        cosines.append(float(torch.cosine_similarity(got_N, g_N, dim=0)))
    return sum(errors) / repeats, sum(cosines) / repeats


def descended(estimate: Callable[[Curve, Tensor, int], Tensor], size: int, steps: int) -> list[float]:
    """Walk towards a target with one random direction for each step, and note the squared distances."""
    target_N = torch.randn(size, dtype=torch.float64)
    x_N = torch.zeros_like(target_N)
    distances = [float(target_N @ target_N)]
    for _ in range(steps):
        x_N = x_N - estimate(lambda x: 0.5 * (x - target_N).square().sum(), x_N, 1) / (size + 2)
        distances.append(float((x_N - target_N).square().sum()))
    return distances
