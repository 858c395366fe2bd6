"""What lab 05 needs beside its lesson: ways to write, operations and their derivatives, awkward inputs."""

import inspect
import math
import re
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from labs.kit.draw.diagrams import WARN, Edge, Graph, Node
from labs.kit.measure.memory import peak_bytes, saved_bytes

Write = Callable[[Tensor], object]

SEED = 5
NO_TENSOR = (
    64  # bytes: a number that takes part in an operation may be wrapped into a small tensor of its own
)
SMALL = 1000  # elements of tensors on which verdicts are tried: 4,000 bytes, far more than that


def refusal(error: RuntimeError) -> str:
    """Return torch's message up to its first stop or colon, with a node's name as torch has it since 2.13."""
    words = re.split(r"[.:]\s", str(error), maxsplit=1)[0].rstrip(".")
    return words.replace("UnbindBackward0", "Unbind")


# What a write changes ---------------------------------------------------------------------------------------


def _augmented(x: Tensor) -> Tensor:
    x += 1
    return x


def _through_a_slice(x: Tensor) -> Tensor:
    x[:] = x + 1
    return x


def _assigned(x: Tensor) -> Tensor:
    x = x + 1
    return x


# Ways to add one within a function, and whether the result lies where x lay.
STATEMENTS: dict[str, tuple[Callable[[Tensor], Tensor], bool]] = {
    "x += 1": (_augmented, True),
    "x.add_(1)": (lambda x: x.add_(1), True),
    "x[:] = x + 1": (_through_a_slice, True),
    "torch.add(x, 1, out=x)": (lambda x: torch.add(x, 1, out=x), True),
    "x = x + 1": (_assigned, False),
    "x = x.add(1)": (lambda x: x.add(1), False),
    "x = x.clone().add_(1)": (lambda x: x.clone().add_(1), False),
}
DTYPES = (torch.bool, torch.int32, torch.int64, torch.bfloat16, torch.float32, torch.float64)


def fits(ours: torch.dtype, theirs: torch.dtype) -> str:
    """Say by the rules what becomes of x += y: x keeps its dtype, if the sum's may be cast to it."""
    summed = torch.promote_types(ours, theirs)
    return str(ours if torch.can_cast(summed, ours) else "refused")


def odd_means() -> list[tuple[Tensor, Tensor, float]]:
    """Draw running means, new values and rates: one number, none, a column of a matrix, two dtypes."""
    draw = torch.Generator().manual_seed(SEED)

    def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return 2 * torch.rand(shape, generator=draw, dtype=dtype) - 1

    double = torch.float64
    return [
        (drawn(7), drawn(7), 0.3),
        (drawn(5, 3)[:, 1], drawn(5), 0.1),
        (drawn(11, dtype=double), drawn(22, dtype=double)[::2], 0.3),
        (drawn(1), drawn(1), 1.0),
        (drawn(3), drawn(3), 0.0),
        (drawn(0), drawn(0), 0.3),
    ]


def errors_of_means(update: Callable[..., object]) -> Tensor:
    """Update running means and compare them with true ones, in roundings of numbers near 1.

    An update is infinitely far away where it returned something, where it changed x or what lies beside the
    mean, and where the version counter did not move.
    """
    found = []
    for (mean_N, x_N, rate), (old_N, new_N, _) in zip(odd_means(), odd_means(), strict=True):
        version = mean_N._version
        returned = update(mean_N, x_N, rate)
        true_N = (1 - rate) * old_N.double() + rate * new_N.double()
        whole, old = (t if t._base is None else t._base for t in (mean_N, old_N))
        beside = whole.numel() - int((whole == old).sum()) <= len(mean_N)
        fair = returned is None and torch.equal(x_N, new_N) and beside and mean_N._version > version
        gaps = (mean_N.double() - true_N).abs() if fair and mean_N.dtype == old_N.dtype else None
        rounding = torch.finfo(old_N.dtype).eps / 2
        found.append(math.inf if gaps is None else float(gaps.max()) / rounding if len(gaps) else 0.0)
    return torch.tensor(found)


# Who counts -------------------------------------------------------------------------------------------------


def _element_by_element(x: Tensor) -> None:
    x[0] += 1


def _by_a_list(x: Tensor) -> None:
    x[[0, 1]] += 1


def _without_grad(x: Tensor) -> None:
    with torch.no_grad():
        x.add_(1)


def _step(optimizer: Any, **flags: bool) -> Write:
    """Return one step of an optimizer whose only parameter is x, with a gradient of ones."""

    def stepped(x: Tensor) -> None:
        x.requires_grad_().grad = torch.ones_like(x)
        optimizer([x], lr=0.5, **flags).step()

    return stepped


# Writes that autograd sees, and by how much each moves the version counter.
SEEN: dict[str, tuple[Write, int]] = {
    "x += 1": (_augmented, 1),
    "x.mul_(2).add_(1)": (lambda x: x.mul_(2).add_(1), 2),
    "x.zero_()": (lambda x: x.zero_(), 1),
    "x.copy_(y)": (lambda x: x.copy_(torch.ones(2, 3)), 1),
    "x[0] = 7": (lambda x: x.__setitem__(0, 7), 1),
    "x[0] += 1": (_element_by_element, 2),
    "x[[0, 1]] += 1": (_by_a_list, 1),
    "x[x > 2] = 0": (lambda x: x.__setitem__(x > 2, 0), 1),
    "x.view(-1).add_(1)": (lambda x: x.view(-1).add_(1), 1),
    "x.detach().add_(1)": (lambda x: x.detach().add_(1), 1),
    "torch.add(x, 1, out=x)": (lambda x: torch.add(x, 1, out=x), 1),
    "torch._foreach_add_([x], 1)": (lambda x: torch._foreach_add_([x], 1), 1),
    "relu(x, inplace=True)": (lambda x: functional.relu(x, inplace=True), 1),
    "x.t_()": (lambda x: x.t_(), 1),
    "under no_grad: x.add_(1)": (_without_grad, 1),
    "SGD([x]).step()": (_step(torch.optim.SGD), 1),
}
UNSEEN: dict[str, Write] = {
    "x.data.add_(1)": lambda x: x.data.add_(1),
    "x.numpy()[...] += 1": lambda x: x.numpy().__iadd__(1),
    "from_dlpack(x).add_(1)": lambda x: torch.from_dlpack(x).add_(1),
    "empty(0).set_(x.untyped_storage()).zero_()": lambda x: torch.empty(0).set_(x.untyped_storage()).zero_(),
    "SGD([x], fused=True).step()": _step(torch.optim.SGD, fused=True),
    "Adam([x], fused=True).step()": _step(torch.optim.Adam, fused=True),
    "AdamW([x], fused=True).step()": _step(torch.optim.AdamW, fused=True),
    "Adagrad([x], fused=True).step()": _step(torch.optim.Adagrad, fused=True),
}


# What a derivative needs ------------------------------------------------------------------------------------


class Operation(NamedTuple):
    """A write in place, and its derivative as torch computes it, from the input, the result or neither."""

    name: str
    write: Write
    formula: str
    derivative: Callable[..., Tensor | float]
    low: float = -1.2  # the least number on which it is tried; the largest is 1.2

    @property
    def uses(self) -> set[str]:
        """Return what the derivative is computed from."""
        return set(inspect.signature(self.derivative).parameters)


OPERATIONS = (
    Operation("add_(3)", lambda y: y.add_(3), "1", lambda: 1.0),
    Operation("mul_(0.3)", lambda y: y.mul_(0.3), "0.3", lambda: 0.3),
    Operation("neg_()", lambda y: y.neg_(), "−1", lambda: -1.0),
    Operation("exp_()", lambda y: y.exp_(), "result", lambda result: result),
    Operation(
        "sigmoid_()", lambda y: y.sigmoid_(), "result·(1 − result)", lambda result: result * (1 - result)
    ),
    Operation("tanh_()", lambda y: y.tanh_(), "1 − result²", lambda result: 1 - result**2),
    Operation("relu_()", lambda y: y.relu_(), "1 where result > 0", lambda result: 1.0 * (result > 0)),
    Operation("sqrt_()", lambda y: y.sqrt_(), "1/(2·result)", lambda result: 0.5 / result, 0.3),
    Operation("reciprocal_()", lambda y: y.reciprocal_(), "−result²", lambda result: -(result**2), 0.3),
    Operation("tan_()", lambda y: y.tan_(), "1 + result²", lambda result: 1 + result**2),
    Operation("sin_()", lambda y: y.sin_(), "cos(input)", lambda input: input.cos()),
    Operation("cos_()", lambda y: y.cos_(), "−sin(input)", lambda input: -input.sin()),
    Operation("log_()", lambda y: y.log_(), "1/input", lambda input: 1 / input, 0.3),
    Operation("square_()", lambda y: y.square_(), "2·input", lambda input: 2 * input),
    Operation("pow_(3)", lambda y: y.pow_(3), "3·input²", lambda input: 3 * input**2),
    Operation("abs_()", lambda y: y.abs_(), "sign(input)", lambda input: input.sign()),
    Operation(
        "clamp_(max=1)", lambda y: y.clamp_(max=1), "1 where input ≤ 1", lambda input: 1.0 * (input <= 1)
    ),
    Operation(
        "silu(inplace=True)",
        lambda y: functional.silu(y, inplace=True),
        "σ·(1 + input·(1 − σ))",
        lambda input: input.sigmoid() * (1 + input * (1 - input.sigmoid())),
    ),
)
SITUATIONS = tuple(product((False, True), repeat=3))  # saved elsewhere, leaf, grad


def slopes(operation: Operation) -> tuple[Tensor, Tensor]:
    """Write in place, and return the gradient: from autograd, and the incoming one times the formula."""
    draw = torch.Generator().manual_seed(SEED)
    x_N, g_N = torch.rand(2, 13, generator=draw, dtype=torch.float64)
    x_N = (operation.low + (1.2 - operation.low) * x_N).requires_grad_()
    y_N = x_N * 1
    operation.write(y_N)
    (slope_N,) = torch.autograd.grad(y_N, x_N, g_N)
    known = {"input": x_N.detach(), "result": y_N.detach()}
    return slope_N, g_N * operation.derivative(**{name: known[name] for name in operation.uses})


def points_to(write: Write, saving: Write | None = None) -> str:
    """Write into a tensor, and say what the node that keeps a tensor for the way back points to.

    That node is the writing operation's own, or that of `saving`, which made the tensor.
    """
    x_N = torch.rand(SMALL).requires_grad_()
    y_N: Any = saving(x_N) if saving else x_N * 1
    node = y_N.grad_fn
    before = y_N.data_ptr()
    write(y_N)
    node = node if saving else y_N.grad_fn
    try:
        kept = [getattr(node, name, None) for name in ("_saved_self", "_saved_result")]
    except RuntimeError as error:
        return "gone" if "modified by an inplace operation" in str(error) else str(error)
    tensors = [tensor for tensor in kept if isinstance(tensor, Tensor)]
    return "nothing" if not tensors else "y" if tensors[0].data_ptr() == before else "a clone"


def nodes_drawn() -> Graph:
    """Draw for five writes which tensor a node needs on the way back, as found at the node."""
    by_name = {operation.name: operation for operation in OPERATIONS}
    found = {name: points_to(by_name[name].write) for name in ("add_(3)", "exp_()", "relu_()", "sin_()")}
    found["sigmoid, then mul_(2)"] = points_to(lambda y: y.mul_(2), torch.sigmoid)
    targets = {"nothing": (0, "nothing"), "y": (1, "y, as it is now"), "a clone": (3, "a clone of the old y")}
    nodes = {name: Node(0, row, name, 1) for row, name in enumerate(found)}
    nodes |= {name: Node(1, row, text) for name, (row, text) in targets.items() if name in found.values()}
    nodes["gone"] = Node(1, 4, "the old y, which is gone", WARN)
    edges = [Edge(name, to, "", WARN if to == "gone" else 1) for name, to in found.items()]
    return Graph(nodes, edges)


# Writes that are refused, or not ----------------------------------------------------------------------------

GONE = "one of the variables needed for gradient computation has been modified by an inplace operation"
REFUSALS = {
    "a leaf": ("at once", "a leaf Variable that requires grad is being used in an in-place operation"),
    "a view of a leaf": (
        "at once",
        "a view of a leaf Variable that requires grad is being used in an in-place operation",
    ),
    "a view made under no_grad": (
        "at once",
        "A view was created in no_grad mode and is being modified inplace with grad mode enabled",
    ),
    "an output of unbind": ("at once", "Output 0 of Unbind is a view and is being modified inplace"),
    "a twin made by detach()": ("in backward", GONE),
}


def odd_writes() -> list[tuple[Tensor, float, Tensor]]:
    """Draw small whole numbers x, a factor, and incoming gradients: none to three dims, one number, none."""
    draw = torch.Generator().manual_seed(SEED)
    shapes = [((), 10.0), ((7,), 10.0), ((1,), -0.5), ((3, 5), 3.0), ((2, 1, 3), 0.0), ((0, 4), 10.0)]
    return [
        (
            torch.randint(-9, 10, shape, generator=draw).to(dtype),
            factor,
            torch.randint(-9, 10, shape, generator=draw).to(dtype),
        )
        for shape, factor in shapes
        for dtype in (torch.float32, torch.float64)
    ]


def autograd_after_data_write(x: Tensor, factor: float, grad: Tensor) -> Tensor:
    """Square y = x · 1, multiply y by a factor behind autograd's back, and ask for the gradient."""
    leaf = x.detach().clone().requires_grad_()
    y = leaf * 1
    z = y**2
    y.data.mul_(factor)
    (slope,) = torch.autograd.grad(z, leaf, grad)
    return slope


# What is kept in the end ------------------------------------------------------------------------------------


CHAINS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "add": (lambda y: y.add_(1), lambda y: y.add(1)),
    "sin": (lambda y: y.sin_(), lambda y: y.sin()),
}


def peaks_of_chain(name: str, length: int, grad: bool, size: int) -> tuple[float, float]:
    """Measure the peak of y = step(step(… x · 1)) in place and out of place, in tensors of x's size.

    x itself is counted too. A few bytes of wrapped numbers are rounded away.
    """

    def chain(step: Callable[[Tensor], Tensor]) -> Tensor:
        x_N = torch.rand(size, requires_grad=grad)
        y_N = x_N * 1
        for _ in range(length):
            y_N = step(y_N)
        return y_N

    inside, outside = (round(peak_bytes(partial(chain, step)) / (4 * size), 2) for step in CHAINS[name])
    return inside, outside


def by_place(peaks: dict[str, list[tuple[float, float]]]) -> dict[str, list[float]]:
    """Part peaks in place from those out of place, for a plot."""
    return {
        f"{place}{name}": [pair[column] for pair in pairs]
        for name, pairs in peaks.items()
        for column, place in enumerate(("in place", "out of place"))
    }


def network(kind: str, layers: int, inplace: bool) -> nn.Sequential:
    """Build layers that do not change the size of what goes through, each with a ReLU behind it."""
    made: list[nn.Module] = []
    for _ in range(layers):
        made += [nn.Conv2d(3, 3, 3, padding=1)] if kind == "conv" else [nn.Linear(17, 17)]
        made += [nn.ReLU(inplace=inplace)]
    return nn.Sequential(*made)


def kept_by(kind: str, layers: int, inplace: bool, images: int) -> float:
    """Return how many tensors of its input's size a network keeps, besides that and its weights."""
    net, x_BCHW = network(kind, layers, inplace), torch.randn(images, 3, 19, 17)
    kept = saved_bytes(lambda: net(x_BCHW), besides=(x_BCHW, *net.parameters()))
    return kept / x_BCHW.nbytes


# The graph behind a view ------------------------------------------------------------------------------------


HISTORY = ["MulBackward0", "AccumulateGrad", "CopySlices", "CopySlices", "MulBackward0", "AccumulateGrad"]


def history(y: Tensor) -> list[str]:
    """Return the names of the nodes from a tensor back to its leaf, along the first input of each."""
    names, node = [], y.grad_fn
    while node is not None:
        names.append(node.name().rpartition("::")[2])
        node = node.next_functions[0][0] if node.next_functions else None
    return names


def history_drawn() -> Graph:
    """Draw the nodes of y before a write and after two of them."""
    y_N = torch.ones(3, 2, requires_grad=True) * 1
    rows = [history(y_N)]
    y_N[:2].mul_(3)
    y_N.t()[-1].square_()
    rows.append(history(y_N))
    nodes, edges = {}, []
    for row, names in enumerate(rows):
        for column, name in enumerate(["y", *names]):
            nodes[f"{row} {column}"] = Node(
                len(rows[1]) - len(names) + column, row, name, int("Copy" in name)
            )
            if column:
                edges.append(Edge(f"{row} {column - 1}", f"{row} {column}"))
    return Graph(nodes, edges)


def odd_tables() -> list[tuple[Tensor, Tensor]]:
    """Draw tables of small whole numbers and incoming gradients: long, wide, one row, one number."""
    draw = torch.Generator().manual_seed(SEED)
    return [
        (
            torch.randint(-9, 10, shape, generator=draw).to(dtype),
            torch.randint(-9, 10, shape, generator=draw).to(dtype),
        )
        for shape, dtype in (
            ((5, 3), torch.float32),
            ((3, 7), torch.float64),
            ((1, 4), torch.float32),
            ((1, 1), torch.float64),
        )
    ]


def slope_of_views(x: Tensor, grad: Tensor) -> Tensor:
    """Compute the gradient of those two writes by hand, from the last one back."""
    scale = torch.ones_like(x)
    scale[:2] = 3
    slope = grad.clone()
    slope[:, -1] *= 2 * (x * scale)[:, -1]
    return slope * scale
