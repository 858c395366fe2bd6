"""What lab 06 tries its sentences on, how it writes a tensor down and draws it, and how it times a call."""

import math
import random
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from types import FrameType
from typing import Any, NamedTuple

import torch
from einops import einsum, pack, rearrange, reduce, repeat, unpack
from einops.layers.torch import EinMix, Rearrange
from torch import Tensor, nn

from labs.kit.draw.diagrams import Cell, Cells, Row
from labs.kit.measure.timing import in_turn

LARGE = 2**40  # whole numbers above it do not survive a detour through float32
DTYPES = (torch.int64, torch.float32, torch.float64)


def numbered(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
    """Fill a tensor with numbers that are all different; whole ones lie above 2⁴⁰."""
    numbers = torch.arange(math.prod(shape)).view(shape)
    return numbers + LARGE if dtype == torch.int64 else numbers.to(dtype)


def told(tensor: Tensor) -> tuple[list[int], torch.dtype, list[Any]]:
    """Return all that a rearrangement could get wrong: shape, dtype and every number."""
    return list(tensor.shape), tensor.dtype, tensor.flatten().tolist()


def seen(y: Tensor, *arguments: Tensor) -> list[Any]:
    """Return a result in full, and each argument as it is now, with how often it was written to."""
    return [told(y), *((told(argument), argument._version) for argument in arguments)]


def by_head(label: str, y_BAND: Tensor) -> dict[str, Tensor]:
    """Name the heads of the first sample, as rows to draw."""
    return {f"{label}: head {place}": head_ND for place, head_ND in enumerate(y_BAND[0])}


def as_cells(rows: dict[str, Tensor], owner: list[int], what: str) -> Cells:
    """Draw tensors in the order of reading, each number coloured by its owner: a head, or a patch."""
    drawn = [
        Row(name, [Cell(str(number), 1 + owner[number]) for number in tensor.flatten().int().tolist()])
        for name, tensor in rows.items()
    ]
    return Cells(drawn, legend={1 + place: f"{what} {place}" for place in range(max(owner) + 1)})


# Tokens and images ------------------------------------------------------------------------------------------


class Split(NamedTuple):
    """Tokens, and into how many heads each of them is to be split."""

    x_BNE: Tensor
    heads: int


def sequences() -> list[Split]:
    """Make tokens of many sizes: one batch without samples, one without tokens, one token alone, one head."""
    sizes = [(2, 3, 4, 2), (1, 5, 6, 3), (3, 1, 10, 5), (2, 7, 9, 1), (1, 9, 20, 5), (0, 3, 4, 2)]
    sizes += [(2, 0, 6, 3), (3, 4, 7, 7), (5, 3, 8, 4)]
    return [
        Split(numbered(*shape, dtype=DTYPES[place % 3]), heads) for place, (*shape, heads) in enumerate(sizes)
    ]


def images() -> list[Tensor]:
    """Make images whose sizes do not divide one another: one alone, one transposed, one without rows."""
    transposed_BCHW = numbered(5, 8, 9, 6, dtype=torch.float32).mT
    return [
        numbered(5, 8, 6, 9, dtype=torch.float64).remainder(101) - 50,
        numbered(1, 4, 10, 15) - LARGE + 2**26,
        transposed_BCHW.remainder(97),
        torch.zeros(2, 4, 0, 6),
    ]


def to_cut() -> list[tuple[Tensor, int, int]]:
    """Return images and the rows and columns of the patches into which they are to be cut."""
    small_BCHW = numbered(1, 2, 4, 2) - LARGE
    sizes = [(3, 1), (1, 5), (1, 3), (2, 3), (2, 1), (1, 2)]
    cut = [*images(), small_BCHW, small_BCHW[:, 1:]]
    return [(x_BCHW, p, q) for x_BCHW, (p, q) in zip(cut, sizes, strict=True)]


def tilings() -> list[tuple[Tensor, int]]:
    """Make images to tile once, twice, three times: a column, a number, one without rows, one transposed."""
    images_HW = [numbered(2, 3), numbered(4, 1), numbered(1, 1), numbered(0, 3)]
    images_HW.append(numbered(5, 2, dtype=torch.float64).t())
    return [(x_HW, r) for x_HW in images_HW for r in (1, 2, 3)]


# Patterns ---------------------------------------------------------------------------------------------------


class Pattern(NamedTuple):
    """A tensor, a pattern for it, sizes that must be given and all of them, and what torch is told for it."""

    tensor: Tensor
    text: str
    given: dict[str, int]
    sizes: dict[str, int]
    order: list[int]
    merged: list[int]


def random_patterns(count: int, *, empty: bool = True) -> list[Pattern]:
    """Draw patterns of up to five names, which stand alone or in brackets, in any order, a 1 among them.

    Sizes are 1 to 4 and now and then 0; of each bracket one size is left open where that is allowed. A third
    of the tensors are transposed.
    """
    drawn, found = random.Random(6), list[Pattern]()
    for place in range(count):
        names = drawn.sample("abcde", *drawn.choices(range(6), (1, 2, 3, 4, 4, 4)))
        weights = (1 if empty else 0, 2, 5, 5, 5)
        size = dict(zip(names, drawn.choices(range(5), weights, k=len(names)), strict=True))
        left = _grouped(names, drawn)
        moved = drawn.sample(names, len(names))
        right = _grouped(moved, drawn)
        shape = [math.prod(size[name] for name in group) for group in left]
        open_ = {group[-1] for group in left if group and all(size[name] for name in group[:-1])}
        given = {name: size[name] for name in names if name not in open_}
        tensor = numbered(*reversed(shape)) if place % 3 == 0 else numbered(*shape, dtype=DTYPES[place % 2])
        tensor = tensor.permute(list(range(len(shape)))[::-1]) if place % 3 == 0 else tensor
        text = f"{_written(left)} -> {_written(right)}"
        merged = [math.prod(size[name] for name in group) for group in right]
        found.append(Pattern(tensor, text, given, size, [names.index(name) for name in moved], merged))
    return found


def _grouped(names: Sequence[str], drawn: random.Random) -> list[list[str]]:
    """Cut names into neighbours that share a bracket; an empty bracket is a dim of size 1."""
    inner = range(1, len(names))
    cuts = sorted(drawn.sample(inner, drawn.randint(len(inner) // 2, len(inner))))
    cuts = [0] * (drawn.random() < 0.15) + cuts + [len(names)] * (drawn.random() < 0.15)
    groups = [list(names[start:stop]) for start, stop in pairwise([0, *cuts, len(names)])]
    return groups if names or drawn.random() < 0.5 else []


def _written(groups: list[list[str]]) -> str:
    """Write groups down as one side of a pattern."""
    return " ".join("1" if not g else g[0] if len(g) == 1 else f"({' '.join(g)})" for g in groups)


# What is wrong, a pattern for tokens of shape (2, 3, 4), the sizes given, and why einops refuses it.
MISTAKES: list[tuple[str, str, dict[str, int], str]] = [
    ("too many names", "b n h d -> b n (h d)", {}, "Wrong shape: expected 4 dims. Received 3-dim tensor."),
    (
        "a name on one side",
        "b n e -> b n",
        {},
        "Identifiers only on one side of expression (should be on both): {'e'}",
    ),
    ("a name twice", "b n n -> b n", {}, 'Indexing expression contains duplicate dimension "n"'),
    ("two sizes left open", "b n (h d) -> b h n d", {}, "Could not infer sizes for {'d', 'h'}"),
    (
        "a size that does not divide",
        "b n (h d) -> b h n d",
        {"h": 3},
        "Shape mismatch, can't divide axis of length 4 in chunks of 3",
    ),
    ("a size that is another", "b n e -> n b e", {"e": 5}, "Shape mismatch, 4 != 5"),
    ("a size of no name", "b n e -> n b e", {"h": 2}, "Axis h is not used in transform"),
    ("nothing", "b n (h d) -> b h n d", {"h": 2}, ""),
]


# Calls ------------------------------------------------------------------------------------------------------


def packed(x_BNE: Tensor, y_BE: Tensor) -> list[Tensor]:
    """Pack tokens and one token more into one tensor, and unpack them again."""
    all_BNE, shapes = pack([x_BNE, y_BE], "b * e")
    return [all_BNE, *unpack(all_BNE, shapes, "b * e")]


def compiled_calls() -> dict[str, tuple[Callable[..., Any], tuple[Tensor, ...], list[str]]]:
    """List calls of einops, their inputs, and the operators of torch that each stands for."""
    x_BNE, y_BE = torch.rand(2, 3, 4), torch.rand(2, 4)
    split, merge = "b n (heads d) -> b heads n d", "b n e -> n (b e)"
    layer: nn.Module = EinMix("b n e -> b n f", weight_shape="e f", e=4, f=5)
    return {
        "rearrange, split": (lambda x: rearrange(x, split, heads=2), (x_BNE,), ["reshape", "permute"]),
        "rearrange, merge": (lambda x: rearrange(x, merge), (x_BNE,), ["permute", "reshape"]),
        "reduce": (lambda x: reduce(x, "b n e -> b e", "mean"), (x_BNE,), ["permute", "mean"]),
        "repeat": (
            lambda x: repeat(x, "b n e -> b (n r) e", r=3),
            (x_BNE,),
            ["unsqueeze", "expand", "reshape"],
        ),
        "einsum": (lambda x: einsum(x, x, "b i e, b j e -> b i j"), (x_BNE,), ["einsum"]),
        "pack, unpack": (
            packed,
            (x_BNE, y_BE),
            ["reshape", "reshape", "cat", "__getitem__", "reshape", "__getitem__", "reshape"],
        ),
        "Rearrange, a layer": (Rearrange(split, heads=2), (x_BNE,), ["reshape", "permute"]),
        "EinMix, a layer": (layer, (x_BNE,), ["einsum"]),
    }


def keywords(sizes: dict[str, int]) -> str:
    """Write sizes down as they are handed to einops."""
    return ", ".join(f"{name}={size}" for name, size in sizes.items())


def calls_in_python(action: Callable[[], Any]) -> int:
    """Count the functions of Python that run in an action, once it has been run before."""
    action()
    count = [0]

    def note(frame: FrameType, event: str, _: Any) -> None:
        count[0] += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count[0]


def prices(sizes: Sequence[int]) -> dict[str, list[float]]:
    """Time how heads are merged again, which copies every number: the best of many calls, in µs."""
    found: dict[str, list[float]] = {"torch": [], "einops": []}
    for size in sizes:
        y_BAND = torch.rand(1, 4, size // 256, 64)
        native = partial(lambda y: y.permute(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1), y_BAND)
        arms = in_turn(native, partial(rearrange, y_BAND, "b heads n d -> b n (heads d)"), min_sample_s=5e-4)
        for samples, durations in zip(found.values(), arms, strict=True):
            samples.append(min(durations) * 1e6)
    return found
