"""What lab 06 compares its sentences with: places read one by one, formulas, and the same said in torch."""

import math
import re
from collections.abc import Callable
from typing import Any

import torch
from einops import EinopsError, rearrange, repeat
from torch import Tensor, fx
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from labs.kit.measure.memory import peak_bytes
from labs.kit.topics.compiling import fresh_compiler
from labs.m1_tensors._lab06_inputs import Pattern

# Heads ------------------------------------------------------------------------------------------------------


def read_heads(x_BNE: Tensor, heads: int) -> Tensor:
    """Read every number of every head at its place: number d of head a is number a·D + d of its token."""
    batch, tokens, numbers = x_BNE.shape
    width = numbers // heads
    counts = [torch.arange(count) for count in (batch, heads, tokens, width)]
    b, a, n, d = torch.meshgrid(*counts, indexing="ij")
    return x_BNE[b, n, a * width + d]


def fixed(rows: int, columns: int) -> int:
    """Count the places of a table that hold the same when it is written down column by column.

    Entry (r, c) lies at r·columns + c in one order and at c·rows + r in the other. Both are equal where
    r·(columns − 1) = c·(rows − 1): on the diagonal of a grid of rows − 1 by columns − 1 steps, which meets
    gcd + 1 crossings.
    """
    return math.gcd(rows - 1, columns - 1) + 1 if rows and columns else 0


def misplaced(y: Tensor, t: Tensor) -> tuple[list[int], torch.dtype, int]:
    """Return shape and dtype of a tensor y, and how many of its numbers are not where the true ones are."""
    count = int((y != t).sum()) if y.shape == t.shape else y.numel()
    return list(y.shape), y.dtype, count


def foretold(x_BNE: Tensor, heads: int, *, by_view: bool) -> tuple[list[int], torch.dtype, int]:
    """Say beforehand, by the formula, what `misplaced` finds in heads by `view`, or by numbers taking turns.

    A sample is a table of N rows and A columns whose entries are pieces of D numbers. A token is a table of A
    rows and D columns whose entries are numbers.
    """
    batch, tokens, numbers = x_BNE.shape
    width = numbers // heads
    moved = (tokens * heads - fixed(tokens, heads)) * width
    in_turns = (heads * width - fixed(heads, width)) * tokens
    return [batch, heads, tokens, width], x_BNE.dtype, batch * (moved if by_view else in_turns)


# Images -----------------------------------------------------------------------------------------------------


def in_torch(x_BCHW: Tensor) -> dict[str, Tensor]:
    """Say in torch's own words what the lab says in einops'."""
    batch, channels, height, width = x_BCHW.shape
    flat_BCN = x_BCHW.flatten(2)
    return {
        "channels last": x_BCHW.permute(0, 2, 3, 1),
        "side by side": x_BCHW.permute(1, 2, 0, 3).reshape(channels, height, batch * width),
        "pixel shuffle": functional.pixel_shuffle(x_BCHW, 2),
        "max pooling": functional.max_pool2d(x_BCHW, (2, 3)) if x_BCHW.numel() else x_BCHW[..., ::3],
        "sums of channels": x_BCHW.sum((2, 3)),
        "enlarged": x_BCHW.repeat_interleave(2, 2).repeat_interleave(3, 3),
        "Gram matrix": torch.bmm(flat_BCN, flat_BCN.mT),
        "sums as first pixel": torch.cat([flat_BCN.sum(2)[:, None], flat_BCN.mT], 1),
    }


def foretold_flat(x_BHWC: Tensor) -> tuple[list[int], torch.dtype, int]:
    """Say beforehand what `misplaced` finds in images whose pixels are taken for channels."""
    batch, height, width, channels = x_BHWC.shape
    numbers = height * width * channels
    return [batch, numbers], x_BHWC.dtype, batch * (numbers - fixed(height * width, channels))


def patches_in_torch(x_BCHW: Tensor, p: int, q: int) -> Tensor:
    """Cut patches by `reshape` and `permute`, and put the channels last."""
    batch, channels, height, width = x_BCHW.shape
    cut = x_BCHW.reshape(batch, channels, height // p, p, width // q, q).permute(0, 2, 4, 3, 5, 1)
    return cut.reshape(batch, height // p * (width // q), p * q * channels)


# Patterns ---------------------------------------------------------------------------------------------------


def refusal(pattern: str, sizes: dict[str, int]) -> str:
    """Try a pattern on tokens of shape (2, 3, 4), and return the reason that einops gives against it."""
    x_BNE = torch.zeros(2, 3, 4)
    try:
        rearrange(x_BNE, pattern, **sizes)
        reason = ""
    except EinopsError as error:
        last = str(error).splitlines()[-1].strip()
        reason = re.sub(r"{(.*)}", lambda names: f"{{{', '.join(sorted(names[1].split(', ')))}}}", last)
    return reason


# Copies -----------------------------------------------------------------------------------------------------


def is_view(pattern: Pattern) -> bool:
    """Tell whether `rearrange` leaves the numbers where they are."""
    moved = rearrange(pattern.tensor, pattern.text, **pattern.given)
    shares = moved.untyped_storage().data_ptr() == pattern.tensor.untyped_storage().data_ptr()
    return shares


def views_do(pattern: Pattern) -> bool:
    """Ask torch for the same by `view`, `permute` and `view`, none of which ever copies."""
    try:
        split = pattern.tensor.view(tuple(pattern.sizes.values()))
        split.permute(pattern.order).view(pattern.merged)
    except RuntimeError:
        return False
    return True


def bytes_of_repeats(y_HW: Tensor) -> tuple[int, int]:
    """Measure what five repeats allocate: along a dim of their own, and merged into the rows."""
    apart = peak_bytes(lambda: repeat(y_HW, "h w -> c h w", c=5))
    merged = peak_bytes(lambda: repeat(y_HW, "h w -> (c h) w", c=5))
    return apart, merged


# Cost -------------------------------------------------------------------------------------------------------


class Recording(TorchFunctionMode):
    """Notes which operators of torch return a tensor within its `with` block."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operators += [func.__name__] * isinstance(result, Tensor)
        return result


def graphs_of(function: Callable[..., Any], inputs: tuple[Tensor, ...]) -> list[list[str]]:
    """Compile a function with a backend that generates no code, and note what each graph runs."""
    graphs: list[list[str]] = []

    def noting(graph: fx.GraphModule, _: list[Tensor]) -> Callable[..., Any]:
        def run(*tensors: Tensor) -> Any:
            with Recording() as seen:
                result = graph(*tensors)
            graphs.append(seen.operators)
            return result

        return run

    with fresh_compiler():
        torch.compile(function, backend=noting)(*inputs)
    return graphs
