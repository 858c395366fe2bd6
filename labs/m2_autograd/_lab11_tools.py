"""What lab 11 measures and draws with: numbers to start from, a counter of products, a clock, pictures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import grad, jacrev
from torch.utils._python_dispatch import TorchDispatchMode

from labs.kit.draw.diagrams import Bars, Cell, Cells, Row
from labs.kit.measure.timing import in_turn

Curve = Callable[[Tensor], Tensor]
Product = Callable[[Curve, Tensor, Tensor], Tensor]
PRODUCTS = ("mv", "mm", "bmm", "addmm", "addmv", "baddbmm")  # the names of torch's matrix products


class Example(NamedTuple):
    """A function, where it is differentiated (a place, and a direction for some), and the known answer."""

    f: Curve
    at: tuple[Tensor, ...]
    known: Tensor


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 11) -> Tensor:
    """Draw numbers between −2 and 2, the same for the same shape and seed."""
    draw = torch.Generator().manual_seed(100 * seed + sum(shape))
    return 4 * torch.rand(shape, generator=draw, dtype=torch.float64).to(dtype) - 2


def quadratic(a_NN: Tensor, c_N: Tensor) -> Curve:
    """Make (x − c)ᵀA(x − c)/2."""

    def parabola(x_N: Tensor) -> Tensor:
        height: Tensor = (x_N - c_N) @ (a_NN @ (x_N - c_N)) / 2
        return height

    return parabola


def state_of(tensors: Sequence[Tensor]) -> list[Any]:
    """Note by what a changed argument is recognised: values, in-place writes, `requires_grad`, `grad`."""
    grads = [None if t.grad is None else t.grad.tolist() for t in tensors]
    return [(t.tolist(), t._version, t.requires_grad, g) for t, g in zip(tensors, grads, strict=True)]


class Products(TorchDispatchMode):
    """Counts multiplications in matrix products, and those of them in which one factor is all zeros."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.made = self.with_zeros = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket.__name__ in PRODUCTS:
            left, right = args[-2:]
            made = left.numel() * (right.shape[-1] if right.dim() == left.dim() else 1)
            self.made += made
            self.with_zeros += made * (not left.any() or not right.any())
        return func(*args, **(kwargs or {}))


def walked(step: Curve, x_N: Tensor, count: int) -> list[Tensor]:
    """Repeat a step, and note each place on the way."""
    path = [x_N]
    for _ in range(count):
        path.append(step(path[-1]))
    return path


def heights_of(f: Curve, path: Sequence[Tensor]) -> list[float]:
    """Compute f at each place, cut off at −1 and 1 for a plot."""
    return [max(-1.0, min(1.0, float(f(x_N)))) for x_N in path]


def in_gradients(ways: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Time each of these ways against the one called "gradient", in turn; the best rounds are compared."""
    found = {}
    for way in ways.keys() - {"gradient"}:
        arms = in_turn(ways[way], ways["gradient"], rounds=5)
        found[way] = min(arms.first) / min(arms.second)
    return found


def single_bars(sizes: Mapping[str, int]) -> Bars:
    """Draw a bar of bytes for each name."""
    return Bars({name: {"": size} for name, size in sizes.items()}, unit="bytes")


def filled_by_walks(jacobian: Callable[..., Tensor], f: Curve, x_N: Tensor) -> list[Cells]:
    """Draw a small Jacobian twice, coloured by the push that made a column, the pull that made a row."""
    drawings = []
    for name, forward in (("push", True), ("pull", False)):
        entries = jacobian(f, x_N, forward=forward).tolist()
        rows = [
            Row(f"row {m}", [Cell(f"{entry:g}", (n if forward else m) + 1) for n, entry in enumerate(row)])
            for m, row in enumerate(entries)
        ]
        walks = len(entries[0]) if forward else len(entries)
        drawings.append(Cells(rows, legend={walk + 1: f"{name} {walk}" for walk in range(walks)}))
    return drawings


def hessian_and_product(f: Curve, multiply: Product) -> Cells:
    """Draw a Hessian row by row, what is not zero in colour, and below it a direction and their product."""
    x_N = torch.tensor([1.0, 2.0, -1.0, 3.0, 0.0], dtype=torch.float64)
    v_N = torch.tensor([1.0, 0.0, -1.0, 2.0, 0.0], dtype=torch.float64)
    rows = [
        Row(f"row {place} of H", [Cell(_written(entry), tone=1 if entry else 0) for entry in row])
        for place, row in enumerate(jacrev(grad(f))(x_N).tolist())
    ]
    for name, numbers_N, tone in (("v", v_N, 0), ("H·v", multiply(f, x_N, v_N), 2)):
        rows.append(Row(name, [Cell(_written(number), tone=tone) for number in numbers_N.tolist()]))
    return Cells(rows, legend={1: "not zero; five walks, one for each row", 2: "one walk, for all of H·v"})


def _written(number: float) -> str:
    return f"{number:g}".replace("-", "−")
