"""What lab 02 needs beside its lesson: shapes and points to try its rules on, and a picture."""

import math
import random
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from labs.kit.draw.canvas import GAP, WIDTH, Canvas
from labs.kit.measure.memory import allocations

Shape = tuple[int, ...]

# The modes of `cdist`.
BY_DIFFERENCES = "donot_use_mm_for_euclid_dist"
BY_PRODUCT = "use_mm_for_euclid_dist"
AS_IT_LIKES = "use_mm_for_euclid_dist_if_necessary"

# Operands of `@`, named by their sizes and filled with random numbers where they are used.
PRODUCTS: tuple[tuple[Shape, Shape], ...] = (
    ((16, 1, 64, 64), (8, 64, 64)),
    ((5, 1, 33, 21), (7, 21, 18)),
    ((5, 7, 33, 21), (7, 21, 18)),
    ((5, 3, 33, 21), (5, 1, 21, 18)),
    ((1, 1, 33, 21), (5, 7, 21, 18)),
    ((2, 5, 7, 33, 21), (2, 1, 1, 21, 18)),
    ((11, 33, 21), (1, 21, 18)),
    ((11, 33, 21), (21, 18)),
    ((5, 1, 33, 21), (1, 21, 18)),
)


def random_pairs(count: int) -> list[tuple[Shape, Shape]]:
    """Draw pairs of shapes, of which about half fit together.

    Up to four dims of 0 to 5 each. Half of the second shape's sizes follow the first from the right: they are
    the same, or 1. The others are anything. Either of the two may be the longer.
    """
    pairs = []
    for _ in range(count):
        first, second = (
            random.choices((0, 1, 2, 3, 4, 5), weights=(1, 4, 3, 3, 3, 3), k=random.randint(0, 4))
            for _ in range(2)
        )
        for place in range(1, min(len(first), len(second)) + 1):
            if random.random() < 0.4:
                second[-place] = random.choice((first[-place], 1))
        pairs.append((tuple(first), tuple(second)))
    return pairs


def shape_of_sum(a: Shape, b: Shape) -> Shape:
    """Add two tensors of these shapes, and return the shape of the sum."""
    total = torch.empty(a) + torch.empty(b)
    return tuple(total.shape)


def asked_of_torch(a: Shape, b: Shape) -> Shape | None:
    """Ask torch for the shape of a sum, and take a refusal as None."""
    try:
        return shape_of_sum(a, b)
    except RuntimeError:
        return None


def operand(shape: Shape) -> Tensor:
    """Make a tensor of whole numbers above 2⁴⁰, its dims in reversed order.

    No two of them are the same, and the storage begins before the first and ends after the last.
    """
    turned = [size + 1 for size in reversed(shape)]
    numbers = 2**40 + torch.arange(math.prod(turned)).view(turned)
    return numbers.permute(list(range(len(shape)))[::-1])[tuple(slice(1, None) for _ in shape)]


def fitting(pairs: list[tuple[Shape, Shape]]) -> list[tuple[Shape, Shape]]:
    """Return those pairs of shapes that torch lets fit."""
    found = []
    for first, second in pairs:
        with suppress(RuntimeError):
            torch.broadcast_shapes(first, second)
            found.append((first, second))
    return found


def operands(pairs: list[tuple[Shape, Shape]]) -> list[tuple[Tensor, Tensor, Shape]]:
    """Make two operands for each pair of shapes, and say what shape they have together."""
    return [(operand(a), operand(b), tuple(torch.broadcast_shapes(a, b))) for a, b in pairs]


def note_of(view: Tensor) -> tuple[list[int], int]:
    """Read a tensor's note: the strides of dims with a step to take, and where its storage begins."""
    strides = [step for size, step in zip(view.shape, view.stride(), strict=True) if size > 1]
    return strides, view.untyped_storage().data_ptr()


def kept_and_peak(action: Callable[[], Any]) -> tuple[int, int]:
    """Return the bytes that an action leaves allocated with its result, and the most that it held."""
    levels = list(accumulate(allocations(action), initial=0))
    return levels[-1], max(levels)


def bytes_by_rule(x: Tensor, y: Tensor) -> int:
    """Say by the rule for `view` what a matrix product of floats allocates.

    Its result, and every operand, stretched, whose batch dims no view can merge into one.
    """
    batch = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    expected = 4 * batch.numel() * x.shape[-2] * y.shape[-1]
    for factor in (x, y):
        whole = factor.expand(*batch, *factor.shape[-2:])
        try:
            whole.view(-1, *factor.shape[-2:])
        except RuntimeError:
            expected += 4 * whole.numel()
    return int(expected)


def slopes_of_products(pairs: list[tuple[Shape, Shape]]) -> list[tuple[Tensor, Tensor]]:
    """Multiply two factors of each pair of shapes that fits, and send a random gradient in.

    For each factor: the incoming gradient times the other factor, and what autograd returns, in float64 and
    the same in int64. All are whole numbers, so small that every sum of them is exact in either.
    """
    found = []
    for first, second in pairs:
        x, y = (torch.randint(-9, 10, shape).double().requires_grad_() for shape in (first, second))
        total = x * y
        grad = torch.randint(-(2**30), 2**30, total.shape).double()
        slopes = torch.autograd.grad(total, (x, y), grad)
        arrived = [(grad * y.detach(), slopes[0]), (grad * x.detach(), slopes[1])]
        found += [*arrived, *((product.long(), slope.long()) for product, slope in arrived)]
    return found


def gradient_of_sum(x: Tensor, dims: Shape, grad: Tensor) -> Tensor:
    """Sum a tensor over some of its dims, and ask for its gradient."""
    leaf = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(leaf.sum(dims), leaf, grad)
    return slope


def cloud(count: int, dims: int, offset: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Draw points in a cube of side 1 whose nearest corner is so far from the origin in each dim."""
    draw = torch.Generator().manual_seed(count * 1000 + dims)
    points_ND = torch.rand(count, dims, generator=draw, dtype=torch.float64) + offset
    return points_ND.to(dtype)


def odd_clouds() -> list[tuple[Tensor, Tensor]]:
    """Draw pairs of point sets: few, none, in one dim, one set twice, far away, far apart, with gaps."""
    wide = torch.float64
    same = cloud(31, 16, 100, wide)
    return [
        (cloud(5, 3, 0, wide), cloud(7, 3, 0, wide)),
        (cloud(1, 1, -3, wide), cloud(4, 1, 2, wide)),
        (cloud(0, 4, 0, wide), cloud(3, 4, 0, wide)),
        (cloud(3, 4, 0, wide), cloud(0, 4, 0, wide)),
        (same, same),
        (cloud(29, 16, 100, wide), cloud(26, 16, -3, wide)),
        (cloud(7, 10, 1, wide).t(), cloud(11, 14, 0, wide)[:, ::2]),
        (cloud(5, 3, 0), cloud(7, 3, 0)),
    ]


def rounding_of(squares_NM: Tensor, x_ND: Tensor, y_MD: Tensor, *, from_mean: bool = False) -> float:
    """Compare squared distances with torch's own in float64, in units of (D + 10)·u·(‖x − c‖ + ‖y − c‖)².

    u is half of the dtype's precision, and c the origin, or the mean of all points. Numbers of another shape
    or dtype are infinitely far away.
    """
    x, y = x_ND.double(), y_MD.double()
    centre_D = torch.cat([x, y]).mean(0) if from_mean else torch.zeros(x.shape[1])
    true = torch.cdist(x, y, compute_mode=BY_DIFFERENCES).square()
    if squares_NM.shape != true.shape or squares_NM.dtype != x_ND.dtype:
        return math.inf
    reach = ((x - centre_D).norm(dim=1)[:, None] + (y - centre_D).norm(dim=1)).square()
    unit = (x_ND.shape[1] + 10) * torch.finfo(x_ND.dtype).eps / 2
    off = (squares_NM.double() - true).abs() / (unit * reach)
    return torch.cat([off.flatten(), torch.zeros(1)]).max().item()


def moved(clouds: list[tuple[Tensor, Tensor]]) -> float:
    """Return by how much the odd clouds differ from what they were when they were drawn."""
    pairs = [
        pair for now, then in zip(clouds, odd_clouds(), strict=True) for pair in zip(now, then, strict=True)
    ]
    return max((x - y).abs().max().item() if x.numel() else 0.0 for x, y in pairs)


def self_distance(x_ND: Tensor, mode: str = AS_IT_LIKES) -> float:
    """Return the largest distance that `cdist` finds from a point to itself, in a mode of its choice."""
    distances_NN = torch.cdist(x_ND, x_ND, compute_mode=mode)
    return distances_NN.diagonal().max().item()


def mode_taken(x_ND: Tensor, y_MD: Tensor) -> str:
    """Find out which way `cdist` goes when nobody tells it: the one that gives the same bits."""
    chosen = torch.cdist(x_ND, y_MD)
    told = {mode: torch.cdist(x_ND, y_MD, compute_mode=mode) for mode in (BY_DIFFERENCES, BY_PRODUCT)}
    same = [mode for mode, distances in told.items() if torch.equal(distances, chosen)]
    return " and ".join(same)


def regression(samples: int) -> tuple[Tensor, Tensor]:
    """Draw three features of mean 0 and variance 1 that do not correlate, so XᵀX/N = 1, and noisy targets."""
    draw = torch.Generator().manual_seed(samples)
    columns = torch.randn(samples, 5, generator=draw, dtype=torch.float64)
    columns[:, 0] = 1
    x_ND = torch.linalg.qr(columns[:, :4]).Q[:, 1:] * samples**0.5
    t_N = x_ND @ torch.tensor([2.0, -3.0, 0.5], dtype=torch.float64) + 4 + 0.7 * columns[:, 4]
    return x_ND, t_N


def told(
    weights_D: Tensor, loss: Callable[[Tensor, Tensor], Tensor], x_ND: Tensor, t: Tensor
) -> tuple[Any, ...]:
    """Say of a fit its loss, what it learnt, and R²: which part of the targets' variance it explains."""
    y_N, t_N = x_ND @ weights_D[:-1] + weights_D[-1], t.flatten()
    left = (y_N - t_N).square().sum() / (t_N - t_N.mean()).square().sum()
    printed = loss(y_N[:, None], t).item()
    return "(N, 1)" if t.dim() == 2 else "(N,)", printed, *weights_D.tolist(), 1 - left.item()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse_loss": functional.mse_loss,
    "l1_loss": functional.l1_loss,
    "smooth_l1_loss": functional.smooth_l1_loss,
    "huber_loss": functional.huber_loss,
    "binary_cross_entropy": functional.binary_cross_entropy,
    "binary_cross_entropy_with_logits": functional.binary_cross_entropy_with_logits,
    "gaussian_nll_loss": lambda y, t: functional.gaussian_nll_loss(y, t, torch.ones_like(y)),
    "poisson_nll_loss": functional.poisson_nll_loss,
    "hinge_embedding_loss": functional.hinge_embedding_loss,
    "(y - t).square().mean()": lambda y, t: (y - t).square().mean(),
}


def said_of_the_bug() -> dict[str, list[str]]:
    """Hand a column of predictions and a row of targets to torch's losses, and sort them by what they say."""
    said: dict[str, list[str]] = {"raises": [], "warns": [], "says nothing": []}
    for name, loss in LOSSES.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                loss(torch.full((5, 1), 0.5), torch.full((5,), 0.5))
                answer = "warns" if caught else "says nothing"
            except (RuntimeError, ValueError):
                answer = "raises"
        said[answer].append(name)
    return said


STRIP, CELL, LANE, HEIGHT = (
    36.0,
    43.0,
    16.0,
    20.0,
)  # widths of a storage cell, a result, a gap; height of both
FIRST, SECOND = 1, 2  # tones


@dataclass(frozen=True)
class Reads:
    """Two operands stretched to one table: from where each sum takes its numbers, by strides and offsets."""

    x: Tensor
    y: Tensor

    def _sources(self, view: Tensor) -> list[tuple[int, int, int]]:
        """Return row, column and address in the storage of every read."""
        (down, right), start = view.stride(), int(view.storage_offset())
        rows, cols = view.shape
        return [(row, col, start + row * down + col * right) for row in range(rows) for col in range(cols)]

    def _storage(self, view: Tensor) -> list[str]:
        row = torch.empty(0, dtype=view.dtype).set_(view.untyped_storage())
        return [f"{number:g}" for number in row.tolist()]

    def _legend(self) -> dict[int, str]:
        return {
            tone: f"{name}: {len(self._storage(view))} numbers, read with the strides {tuple(view.stride())}"
            for tone, name, view in ((FIRST, "x", self.x), (SECOND, "y", self.y))
        }

    def describe(self) -> str:
        """Say in words what it shows."""
        parts = []
        for name, view in (("x", self.x), ("y", self.y)):
            sources = [address for _, _, address in self._sources(view)]
            counts = sorted({sources.count(address) for address in sources})
            parts.append(
                f"{name} is a storage of {len(set(sources))} numbers with the strides "
                f"{tuple(view.stride())}, and each is read {' or '.join(map(str, counts))} times."
            )
        rows, cols = self.x.shape
        return " ".join(
            [
                f"A table of {rows} × {cols} sums, with an arrow to each from a number of x and one of y.",
                *parts,
            ]
        )

    def lines(self) -> list[str]:
        """Return it in characters, for a terminal."""
        x, y = ({(row, col): at for row, col, at in self._sources(view)} for view in (self.x, self.y))
        rows, cols = self.x.shape
        head = "".join(f"{f'y[{at}] = {text}':^13}" for at, text in enumerate(self._storage(self.y)))
        found = [" " * 14 + head.rstrip()]
        for row in range(rows):
            cells = "".join(f"{f'x[{x[row, col]}] + y[{y[row, col]}]':^13}" for col in range(cols))
            found.append(f"{f'x[{row}] = {self._storage(self.x)[row]}':<14}{cells.rstrip()}")
        return [*found, *self._legend().values()]

    def paint(self, canvas: Canvas, top: float) -> float:
        """Paint it from `top` downwards and return where it ends."""
        rows, cols = self.x.shape
        wide = min(CELL, (WIDTH - STRIP) / cols - LANE)
        left = [STRIP + LANE + col * (wide + LANE) for col in range(cols)]
        tops = [top + (row + 1) * (HEIGHT + LANE) for row in range(rows)]
        for place, text in enumerate(self._storage(self.x)):
            canvas.box(0, tops[place], STRIP, HEIGHT, FIRST)
            canvas.text(STRIP / 2, tops[place] + HEIGHT / 2, text)
        for place, text in enumerate(self._storage(self.y)):
            canvas.box(left[place], top, wide, HEIGHT, SECOND)
            canvas.text(left[place] + wide / 2, top + HEIGHT / 2, text)
        for row, col, address in self._sources(self.x):
            lane, end = tops[row] - LANE / 2, left[col] + wide / 2
            way = [(STRIP / 2, tops[address]), (STRIP / 2, lane), (end, lane), (end, tops[row] - 0.5)]
            canvas.arrow(way, FIRST)
        for row, col, address in self._sources(self.y):
            lane, end = left[col] - LANE / 2, tops[row] + HEIGHT / 2
            beside = left[address], top + HEIGHT / 2
            canvas.arrow([beside, (lane, beside[1]), (lane, end), (left[col] - 0.5, end)], SECOND)
        for row, numbers in enumerate((self.x + self.y).tolist()):
            for col, number in enumerate(numbers):
                canvas.box(left[col], tops[row], wide, HEIGHT)
                canvas.text(left[col] + wide / 2, tops[row] + HEIGHT / 2, f"{number:g}")
        return canvas.legend(tops[-1] + HEIGHT + GAP, self._legend())
