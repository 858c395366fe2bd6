"""What lab 03 needs beside its lesson: strings, what torch runs for them, and a picture of two orders."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from labs.kit.draw.canvas import LINE, WIDTH, Canvas, width_of

Shape = tuple[int, ...]
Spelled = tuple[str, tuple[Shape, ...]]
Order = Sequence[tuple[int, int]]

SMALL = dict(zip("kijlabcdefo", (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31), strict=True))
LETTERS = {"a": 2, "b": 3, "c": 5, "d": 7}  # and their sizes
COMPUTING = ("sum", "mul", "bmm", "clone")  # what of an einsum computes or copies; the rest is views


def random_specs(count: int) -> list[Spelled]:
    """Draw strings of one to three operands, and the shapes of these.

    Words have up to four letters, of which some stand twice. The output has some of the letters, in any
    order, or none. Now and then a size is 0, or an operand has a 1 where others have the letter's size.
    """
    found = []
    for _ in range(count):
        sizes = {**LETTERS, random.choice("abcd" + "-" * 30): 0}
        words = ["".join(random.choices("abcd", k=random.randint(0, 4))) for _ in range(random.randint(1, 3))]
        letters = sorted(set("".join(words)))
        output = "".join(random.sample(letters, random.randint(0, len(letters))))
        shapes = [
            tuple(
                1 if word.count(letter) == 1 and random.random() < 0.1 else sizes[letter] for letter in word
            )
            for word in words
        ]
        found.append((f"{','.join(words)}->{output}", tuple(shapes)))
    return found


def pairs_among(specs: list[Spelled]) -> list[Spelled]:
    """Return the strings of two operands in which no word has a letter twice, with sizes above 1."""
    found = []
    for spec, _ in specs:
        words = spec.partition("->")[0].split(",")
        if len(words) == 2 and all(len(set(word)) == len(word) for word in words):
            found.append((spec, tuple(tuple(LETTERS[letter] for letter in word) for word in words)))
    return found


def whole_numbers(shapes: Sequence[Shape], dtype: torch.dtype) -> list[Tensor]:
    """Draw whole numbers: up to 2³¹ in int64, up to 9 in floating point, where every sum is exact."""
    most = 2**31 if dtype == torch.int64 else 9
    return [torch.randint(-most, most + 1, shape).to(dtype) for shape in shapes]


def operands_of(spec: str) -> list[Tensor]:
    """Draw operands of whole numbers in int64 for a string, each letter of a size of its own."""
    words = spec.partition("->")[0].split(",")
    return whole_numbers([tuple(SMALL[letter] for letter in word) for word in words], torch.int64)


class _Log(TorchDispatchMode):
    """Notes the names of the operators that torch runs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def operators(action: Callable[[], Any]) -> list[str]:
    """Return the operators that an action runs, without those that only make views."""
    with _Log() as log:
        action()
    return [name for name in log.names if name in COMPUTING]


def flops(action: Callable[[], Any]) -> int:
    """Count the multiplications and additions of the matrix products that an action runs."""
    with FlopCounterMode(display=False) as counter:
        action()
    return int(counter.get_total_flops())


class Contraction(NamedTuple):
    """A string of several operands, the sizes of its letters, an order, and the string of each step."""

    spec: str
    sizes: dict[str, int]
    order: Order
    steps: tuple[str, ...]

    def operands(self) -> list[Tensor]:
        words = self.spec.partition("->")[0].split(",")
        return [torch.rand([self.sizes[letter] for letter in word]) for word in words]


CHAIN = "ij,jk,kl->il"
FROM_LEFT, FROM_RIGHT = ((0, 1), (0, 1)), ((1, 2), (0, 1))


def contractions(long: int, short: int) -> list[Contraction]:
    """Spell orders out whose steps are all matrix products; the first two are one chain in both orders."""
    tall = {"i": long, "j": short, "k": long, "l": short}
    left, right = ("ij,jk->ik", "kl,ik->il"), ("jk,kl->jl", "ij,jl->il")
    return [
        Contraction(CHAIN, tall, FROM_LEFT, left),
        Contraction(CHAIN, tall, FROM_RIGHT, right),
        Contraction(CHAIN, SMALL, FROM_LEFT, left),
        Contraction(CHAIN, SMALL, ((2, 1), (1, 0)), ("kl,jk->jl", "jl,ij->il")),
        Contraction("ij,jk->ik", SMALL, ((0, 1),), ("ij,jk->ik",)),
        Contraction("ij,ij->", SMALL, ((1, 0),), ("ij,ij->",)),
        Contraction("ij,j->i", SMALL, ((0, 1),), ("ij,j->i",)),
        Contraction("bij,bjk,bkl->bli", SMALL, FROM_RIGHT, ("bjk,bkl->bjl", "bij,bjl->bli")),
        Contraction(
            "aij,jk,kl,al->il", SMALL, ((0, 1), (0, 2), (0, 1)), ("aij,jk->aik", "kl,aik->ail", "al,ail->il")
        ),
        Contraction(
            "ab,bc,cd,de,ef->af",
            SMALL,
            ((1, 2), (0, 3), (0, 1), (0, 1)),
            ("bc,cd->bd", "ab,bd->ad", "de,ef->df", "ad,df->af"),
        ),
    ]


def contracted(contraction: Contraction, operands: list[Tensor]) -> list[Tensor]:
    """Take two operands out at a time and put their product at the end; return all products."""
    left, products = list(operands), []
    for (first, second), step in zip(contraction.order, contraction.steps, strict=True):
        products.append(torch.einsum(step, left[first], left[second]))
        left = [tensor for place, tensor in enumerate(left) if place not in (first, second)]
        left.append(products[-1])
    return products


def counted(contraction: Contraction) -> list[int]:
    """Count the multiplications and additions that torch runs for each product."""
    operands, totals = contraction.operands(), []
    for steps in range(1, len(contraction.steps) + 1):
        begun = contraction._replace(order=contraction.order[:steps], steps=contraction.steps[:steps])
        totals.append(flops(partial(contracted, begun, operands)))
    return [total - before for before, total in pairwise([0, *totals])]


LARGE, ROW = 78.0, 136.0  # the longest side of a tensor, and the height of a row with its labels
OPERAND, BETWEEN, RESULT = 1, 2, 3  # tones


@dataclass(frozen=True)
class Tree:
    """Three operands contracted in one order: the shapes of all tensors, and what both products cost."""

    shapes: tuple[Shape, ...]
    operations: tuple[int, ...]
    from_left: bool

    @classmethod
    def of(cls, contraction: Contraction) -> "Tree":
        operands = contraction.operands()
        tensors = [*operands, *contracted(contraction, operands)]
        shapes = tuple(tuple(tensor.shape) for tensor in tensors)
        return cls(shapes, tuple(counted(contraction)), contraction.order[0] == (0, 1))

    @property
    def name(self) -> str:
        return "(A·B)·C" if self.from_left else "A·(B·C)"

    @property
    def names(self) -> tuple[str, ...]:
        return "A", "B", "C", "A·B" if self.from_left else "B·C", self.name

    @property
    def arrows(self) -> tuple[tuple[int, int], ...]:
        """Which tensor goes into which product."""
        return ((0, 3), (1, 3), (2, 4), (3, 4)) if self.from_left else ((1, 3), (2, 3), (0, 4), (3, 4))

    def told(self, place: int) -> list[str]:
        """What is written under a tensor: its name, and its sizes, or its numbers and their cost."""
        shape = self.shapes[place]
        if place < 3:
            return [self.names[place], " × ".join(map(str, shape))]
        operations = self.operations[place - 3]
        return [self.names[place], f"{math.prod(shape):,} numbers", f"{operations:,} operations"]


@dataclass(frozen=True)
class Trees:
    """Trees side by side, each tensor a rectangle whose sides are in proportion to its sizes."""

    trees: tuple[Tree, Tree]

    def describe(self) -> str:
        """Say in words what it shows."""
        return " ".join(f"{', '.join(tree.told(place))}." for tree in self.trees for place in range(5))

    def lines(self) -> list[str]:
        """Return it in characters, for a terminal."""
        columns = [tree.told(place) for tree in self.trees for place in (3, 4)]
        return [f"{name:<9}{numbers:>18}{operations:>24}" for name, numbers, operations in columns]

    def paint(self, canvas: Canvas, top: float) -> float:
        """Paint it from `top` downwards and return where it ends."""
        longest = max(size for tree in self.trees for shape in tree.shapes for size in shape)
        for place, tree in enumerate(self.trees):
            self._paint_tree(canvas, tree, top, place * WIDTH / 2, LARGE / longest)
        bottom = top + 2 * LINE + 3 * ROW
        return canvas.legend(bottom, {OPERAND: "operand", BETWEEN: "product in between", RESULT: "result"})

    def _paint_tree(self, canvas: Canvas, tree: Tree, top: float, left: float, scale: float) -> None:
        room = WIDTH / 2 - 4
        title = [tree.name, f"{sum(tree.operations):,} operations"]
        canvas.lines(left + room / 2, top, title[:1], bold=True)
        canvas.lines(left + room / 2, top + LINE, title[1:])
        between, end = (44, 120) if tree.from_left else (120, 44)
        middles = [left + x for x in (26, 82, 138, between, end)]
        boxes = []
        for place, (rows, cols) in enumerate(tree.shapes):
            width, height = max(cols * scale, 1.5), max(rows * scale, 1.5)
            y = top + 2 * LINE + 4 + max(0, place - 2) * ROW + (LARGE - height) / 2
            canvas.box(middles[place] - width / 2, y, width, height, max(OPERAND, place - 1))
            told = tree.told(place)
            half = max(map(width_of, told)) / 2
            x = min(max(middles[place], left + half), left + room - half)
            boxes.append((middles[place], y - 2, canvas.lines(x, y + height + 2, told)))
        for first, second in tree.arrows:
            canvas.arrow([(boxes[first][0], boxes[first][2] + 1), boxes[second][:2]])
