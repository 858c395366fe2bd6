"""What lab 07 tries its names on: random names, forty operations, three planted mistakes, and a picture."""

import itertools
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from labs.kit.draw.diagrams import WARN, Cell, Cells, Row

Names = tuple[str | None, ...]
Pairs = list[tuple[Names, Names]]
Reduction = tuple[str, Names, str | int | None, bool]  # the operation, names, the dim, keepdim
Order = tuple[Tensor, Names, Names]  # a tensor, its names, and the order asked for
Clash = Callable[[Names, Names], list[set[str]]]  # of two tensors' names: those that do not fit
Make = Callable[..., Any]  # of a tensor and its names

BUILT_IN = hasattr(Tensor, "refine_names")  # torch had names of its own before 2.13
PRIMES: dict[str | None, int] = {None: 1, "B": 2, "C": 3, "H": 5, "W": 7, "N": 11}
# What computes each number of its result from one number of each operand, by the name that torch has for it.
ELEMENTWISE = frozenset(
    re.findall(
        r"\w+",
        "add sub mul div pow __rsub__ __rdiv__ __rpow__ neg abs exp log sqrt tanh sigmoid relu gelu clamp "
        "dropout maximum minimum where gt ge lt le __eq__ __ne__ clone contiguous detach double float to",
    )
)
CARRIED, REFUSED, LOST = "carried", "refused", "lost"
TONES = {CARRIED: 3, REFUSED: 5, LOST: WARN}


class Tagged(Tensor):
    """A tensor with an attribute, and nothing that would hand it on."""

    names: Any = None  # of a tensor on which nobody has hung any


def tagged(x: Tensor, *names: str | None) -> Any:
    """Hang names on a tensor as an attribute."""
    tensor = x.as_subclass(Tagged)
    tensor.names = names
    return tensor


def hung(x: Tensor, *names: str | None) -> Any:
    """Hang names on a tensor of torch's own class."""
    tensor: Any = x.view_as(x)
    tensor.names = names
    return tensor


# What makes a new tensor of one, and the tensor itself.
NEW: dict[str, Callable[[Any], Any]] = {
    "x itself": lambda x: x,
    "x + 1": lambda x: x + 1,
    "x.clone()": lambda x: x.clone(),
    "x[:]": lambda x: x[:],
    "x.detach()": lambda x: x.detach(),
    "x.t()": lambda x: x.t(),
}


def a_program(x: Any) -> object:
    """Call eight operations of torch, of all kinds."""
    return functional.relu(torch.cat([2 * x + 1, -x]) @ x).sum(1).shape


BY_STRING: dict[str, Callable[[Any], Any]] = {
    'torch.sum(x, "C")': lambda x: torch.sum(x, "C"),  # type: ignore[call-overload]
    'x.sum(dim="C")': lambda x: x.sum(dim="C"),
    'x.softmax("C")': lambda x: x.softmax("C"),
    'functional.softmax(x, "C")': lambda x: functional.softmax(x, "C"),  # type: ignore[arg-type]
}


def whose(image_CHW: Tensor, centred_CHW: Tensor, mean_C: Tensor) -> Cells:
    """Find out which channel's mean was subtracted in each column of each channel, and draw it."""
    taken = (image_CHW - centred_CHW)[:, 0]
    found = (taken[..., None] - mean_C).abs().argmin(-1).tolist()
    rows = [
        Row(f"channel {own}", [Cell(f"mean {other}", 3 if own == other else WARN) for other in others])
        for own, others in enumerate(found)
    ]
    return Cells(rows, legend={3: "its own mean", WARN: "another channel's mean"})


def told(tensor: Tensor) -> tuple[list[int], torch.dtype, list[Any]]:
    """Return shape, dtype and every number of a tensor."""
    return list(tensor.shape), tensor.dtype, tensor.flatten().tolist()


def random_names(count: int) -> Pairs:
    """Draw pairs of names of up to four dims; often one is a part of the other, and some names are None."""
    drawn, pairs = random.Random(7), list[tuple[Names, Names]]()
    for _ in range(count):
        first, second = (drawn.sample("BCHWN", drawn.randint(0, 4)) for _ in range(2))
        if drawn.random() < 0.6:
            second = first[drawn.randint(0, len(first)) :]
        pair = [
            tuple(None if drawn.random() < 0.2 else name for name in names)
            for names in drawn.sample([first, second], 2)
        ]
        pairs.append((pair[0], pair[1]))
    return pairs


def dims_to_reduce() -> list[Reduction]:
    """Write down reductions: along each dim by name and from either end, along all, and by a wrong name."""
    found: list[Reduction] = []
    names: Names
    for names in (("C",), ("C", "H"), ("W", None, "C"), ("N", "C", "H", "W"), ()):
        places = range(-len(names), len(names))
        dims: list[str | int | None] = [*(name for name in names if name), *places, "B"]
        for op in ("sum", "mean", "argmax", "softmax"):
            over = dims if op == "softmax" else [*dims, None]
            found += [(op, names, dim, keepdim) for dim in over for keepdim in (False, True)]
    return found


def random_factors(count: int) -> Pairs:
    """Draw pairs of names to multiply: of one to four dims and one to three, which often fit."""
    drawn, pairs = random.Random(8), list[tuple[Names, Names]]()
    for _ in range(count):
        a = drawn.sample("BCHWN", drawn.randint(1, 4))
        b = drawn.sample("BCHWN", drawn.randint(1, 3))
        if drawn.random() < 0.8:
            others = [name for name in "BCHWN" if name not in a]
            b = [*a[:-2][: drawn.randint(0, 2)], a[-1], *drawn.sample(others, 1)][-len(b) :]
        pairs.append((tuple(a), tuple(b)))
    return pairs


def dims_to_align() -> list[Order]:
    """Write down tensors, their names, and all orders of them, with a new name at each place."""
    found: list[Order] = []
    shapes = {"": (), "C": (3,), "CH": (2, 3), "CHW": (2, 1, 3), "BCHW": (2, 5, 0, 3), "NCHW": (2, 5, 4, 3)}
    found.append((torch.zeros(2, 3), ("C", "H"), ("H", "W")))
    for letters, shape in shapes.items():
        x = torch.arange(math.prod(shape)).view(shape) + 2**40
        for order in itertools.permutations(letters):
            found.append((x, tuple(letters), order))
            for place in range(len(order) + 1):
                found.append((x, tuple(letters), (*order[:place], "new", *order[place:])))
    return found


ATTRIBUTE = {
    "it raises": "A tensor is a Python object like others, and takes any attribute.",
    "it is kept, also by x + 1": "x + 1 is another object. torch makes it, and has not heard of names.",
    "it is kept, but not by x + 1": "**Yes.** It hangs on one object, and every operation makes another one.",
}
STRING = {
    "yes, with the string": "So it was up to torch 2.12, when a dim could be given by its name.",
    "yes, but only as `dim=`": "Both spellings are taken apart by the same code, before anybody is asked.",
    "no, an error comes first": "**Yes.** torch takes the arguments apart first, and finds no number.",
}
WHO = {
    "torch": "Both products are fine, (6, 2) by (2, 6), and both results have the shape (6, 6).",
    "the annotations": "They say N D, M D, N M. With N = M = 6 the wrong result fits, with 5 and 7 not.",
    "the names": "**Yes.** The dims of the result are called key, query, and query, key was promised.",
    "nobody": "So it is in torch alone: the result is the transpose of what it should be, and as large.",
}


class Operation(NamedTuple):
    """An operation, the names that its result ought to have, and what our class makes of it."""

    name: str
    run: Callable[[Any, Any, Any, Any], Any]  # of x (B, C), y (B, C), v (C) and w (C, O)
    names: Names
    fate: str = CARRIED


BC: Names = ("B", "C")
OPERATIONS = [
    Operation("x + 1", lambda x, y, v, w: x + 1, BC),
    Operation("x − v", lambda x, y, v, w: x - v, BC),
    Operation("x · y", lambda x, y, v, w: x * y, BC),
    Operation("1 / x", lambda x, y, v, w: 1 / x, BC),
    Operation("x ** 2", lambda x, y, v, w: x**2, BC),
    Operation("−x", lambda x, y, v, w: -x, BC),
    Operation("abs", lambda x, y, v, w: abs(x), BC),
    Operation("exp", lambda x, y, v, w: x.exp(), BC),
    Operation("log", lambda x, y, v, w: torch.log(x), BC),
    Operation("sqrt", lambda x, y, v, w: x.sqrt(), BC),
    Operation("tanh", lambda x, y, v, w: torch.tanh(x), BC),
    Operation("sigmoid", lambda x, y, v, w: x.sigmoid(), BC),
    Operation("relu", lambda x, y, v, w: functional.relu(x), BC),
    Operation("gelu", lambda x, y, v, w: functional.gelu(x), BC),
    Operation("dropout", lambda x, y, v, w: functional.dropout(x, 1.0), BC),
    Operation("clamp", lambda x, y, v, w: x.clamp(0.3, 0.6), BC),
    Operation("maximum", lambda x, y, v, w: torch.maximum(v, x), BC),
    Operation("x > y", lambda x, y, v, w: x > y, BC),
    Operation("where", lambda x, y, v, w: torch.where(x > y, x, v), BC),
    Operation("clone", lambda x, y, v, w: x.clone(), BC),
    Operation("double", lambda x, y, v, w: x.double(), BC),
    Operation("sum", lambda x, y, v, w: x.sum(1), ("B",)),
    Operation("mean", lambda x, y, v, w: torch.mean(x, 0, keepdim=True), BC),
    Operation("argmax", lambda x, y, v, w: x.argmax(-1), ("B",)),
    Operation("softmax", lambda x, y, v, w: functional.softmax(x, dim=1), BC),
    Operation("x @ w", lambda x, y, v, w: x @ w, ("B", "O")),
    Operation("linear", lambda x, y, v, w: functional.linear(x, y), ("B", "B"), REFUSED),
    Operation("einsum", lambda x, y, v, w: torch.einsum("bc,co->ob", x, w), ("O", "B"), REFUSED),
    Operation("t", lambda x, y, v, w: x.t(), ("C", "B"), REFUSED),
    Operation("permute", lambda x, y, v, w: x.permute(1, 0), ("C", "B"), REFUSED),
    Operation("x[0]", lambda x, y, v, w: x[0], ("C",), REFUSED),
    Operation("x.T", lambda x, y, v, w: x.T, ("C", "B"), REFUSED),
    Operation("view", lambda x, y, v, w: x.view(-1), (None,), REFUSED),
    Operation("expand", lambda x, y, v, w: v.expand(5, -1), (None, "C"), REFUSED),
    Operation("cat", lambda x, y, v, w: torch.cat([x, y]), BC, REFUSED),
    Operation("stack", lambda x, y, v, w: torch.stack([x, y]), (None, "B", "C"), REFUSED),
    Operation("gather", lambda x, y, v, w: x.gather(1, torch.zeros(2, 1).long()), BC, REFUSED),
    Operation("topk", lambda x, y, v, w: x.topk(2)[0], BC, REFUSED),
    Operation("cumsum", lambda x, y, v, w: x.cumsum(0), BC, REFUSED),
    Operation("x.add_(y)", lambda x, y, v, w: x.add_(y), BC, REFUSED),
]


def operands(make: Make) -> tuple[list[Tensor], list[Any]]:
    """Draw the four tensors of an operation, and make ones with names of them."""
    draw = torch.Generator().manual_seed(7)
    shapes: list[tuple[tuple[int, ...], Names]] = [
        ((2, 3), BC),
        ((2, 3), BC),
        ((3,), ("C",)),
        ((3, 5), ("C", "O")),
    ]
    plain = [torch.rand(shape, generator=draw) for shape, _ in shapes]
    return plain, [make(x.clone(), *names) for x, (_, names) in zip(plain, shapes, strict=True)]


def strip(label: str, fates: Sequence[str]) -> Row:
    """Draw what became of the names in each operation as a cell."""
    cells = [
        Cell(operation.name, TONES.get(fate, WARN)) for operation, fate in zip(OPERATIONS, fates, strict=True)
    ]
    return Row(label, cells)


def strips(rows: Mapping[str, Sequence[str]]) -> list[Cells]:
    """Draw a strip for each way to keep names."""
    legend = {tone: text for text, tone in TONES.items()}
    return [Cells([strip(label, fates)], legend=legend) for label, fates in rows.items()]


class Bug(NamedTuple):
    """A program with a mistake and without, by places and by names, and what three checks make of it."""

    name: str
    tensors: Callable[[bool], list[Tensor]]  # of sizes that agree by chance, or that all differ
    names: list[Names]
    result: Names
    wrong: Callable[..., Any]
    right: Callable[..., Any]
    wrong_by_name: Callable[..., Any]
    right_by_name: Callable[..., Any]
    words: tuple[str, str, str]  # the program with the mistake and without, and its annotations
    verdicts: list[
        tuple[str, str, str]
    ]  # of torch, annotations and names, on sizes that agree and that differ


BUGS = [
    Bug(
        "image minus its channels' means",
        lambda agree: [torch.rand(4, 3, 4 if agree else 5), torch.rand(4)],
        [("C", "H", "W"), ("C",)],
        ("C", "H", "W"),
        lambda image, mean: image - mean,
        lambda image, mean: image - mean[:, None, None],
        lambda image, mean: image - mean,
        lambda image, mean: image - mean.align_as(image),
        ("image - mean", "image - mean[:, None, None]", "(C H W), (C) → (C H W)"),
        [("wrong", "wrong", "raises"), ("raises", "raises", "raises")],
    ),
    Bug(
        "scores, queries and keys exchanged",
        lambda agree: [torch.rand(6 if agree else 5, 2), torch.rand(6 if agree else 7, 2)],
        [("query", "D"), ("key", "D")],
        ("query", "key"),
        lambda q, k: k @ q.t(),
        lambda q, k: q @ k.t(),
        lambda q, k: k @ q.align_to("D", "query"),
        lambda q, k: q @ k.align_to("D", "key"),
        ("k @ q.t()", "q @ k.t()", "(N D), (M D) → (N M)"),
        [("wrong", "wrong", "raises"), ("wrong", "raises", "raises")],
    ),
    Bug(
        "channel means, channels stored last",
        lambda agree: [torch.rand(2, 3 if agree else 4, 5, 3)],
        [("B", "H", "W", "C")],
        ("B", "C"),
        lambda image: image.mean((2, 3)),
        lambda image: image.mean((1, 2)),
        lambda image: image.mean(3).mean(2),
        lambda image: image.mean("W").mean("H"),
        ("image.mean((2, 3))", "image.mean((1, 2))", "(B 3 H W) → (B 3)"),
        [("wrong", "wrong", "raises"), ("wrong", "raises", "raises")],
    ),
]


# What becomes of them ---------------------------------------------------------------------------------------


def tried(action: Callable[..., Any], *arguments: Any) -> Any:
    """Return what an action returns, or what it raises, in words."""
    try:
        return action(*arguments)
    except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def plain_of(x: Tensor) -> Tensor:
    """Return a tensor of any class as one of torch's own."""
    with torch._C.DisableTorchFunctionSubclass():
        return x.as_subclass(Tensor)


def sizes_of(names: Names) -> tuple[int, ...]:
    """Put a prime of its own in the place of each name, and 1 in the place of None."""
    return tuple(PRIMES[name] for name in names)


def names_of(sizes: tuple[int, ...]) -> Names:
    """Read names off sizes."""
    meant = {size: name for name, size in PRIMES.items()}
    return tuple(meant[size] for size in sizes)


def product_of_sizes(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the product of two tensors of these shapes."""
    return tuple((torch.zeros(a) @ torch.zeros(b)).shape)


def conflicts(a: Names, b: Names) -> list[set[str]]:
    """List the pairs of names that cannot meet in a broadcast; if all can, names that could stand twice."""
    pairs = [{x, y} for x, y in zip(a[::-1], b[::-1], strict=False) if x and y and x != y]
    return pairs or [{x} for x in {*a, *b} if x]


def conflicts_in_product(a: Names, b: Names) -> list[set[str]]:
    """List the pairs of names that cannot meet in a product; if all can, names that could stand twice."""
    inner = b[-2] if len(b) > 1 else b[-1]
    pairs = conflicts((*a[:-2], a[-1]), (*b[:-2], inner))
    return pairs if len(pairs[0]) == 2 else [{x} for x in {*a, *b} if x]


def outcomes(rule: Callable[[Names, Names], Names], pairs: Pairs, clash: Clash) -> list[Names | str]:
    """Ask a rule about the names of two tensors, and see whether a refusal says which names do not fit."""
    found: list[Names | str] = []
    for a, b in pairs:
        try:
            found.append(rule(a, b))
        except ValueError as error:
            said = set(re.findall(r"\b[A-Z]\b", str(error)))
            well_told = any(pair <= said for pair in clash(a, b))
            found.append("refused" if well_told else f"refused, but told: {error}")
    return found


def outcomes_along(rule: Callable[..., Names], reductions: list[Reduction]) -> list[Names | str]:
    """Ask a rule about reductions, and see whether a refusal says which dim there is not."""
    found: list[Names | str] = []
    for op, names, dim, keepdim in reductions:
        try:
            found.append(rule(op, names, dim, keepdim))
        except ValueError as error:
            found.append("refused" if str(dim) in str(error) else f"refused, but told: {error}")
    return found


def named_told(x: Any) -> Any:
    """Return the names of a tensor beside the tensor in full; words as they are."""
    return x if isinstance(x, str) else (x.names, told(plain_of(x)))
