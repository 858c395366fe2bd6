"""What lab 01 needs beside its lesson: layouts to try a rule on, and the picture of a walk through it."""

import math
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from labs.kit.draw.diagrams import WARN, Arrow, Cells, Row


class Layout(NamedTuple):
    """Sizes and strides of a tensor, and the shape that somebody asks `view` for."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    target: tuple[int, ...]


def random_layouts(count: int) -> list[Layout]:
    """Draw tensors of all kinds, and shapes to view them in.

    Sizes of 0 to 4 in up to four dims; strides of a plain tensor that are then shuffled, stretched or set to
    0, each now and then, the last two also in neighbouring dims; targets that hold as many elements, for a
    single one also the shape of no dims. The table counts both answers, so that you see that neither is a
    safe guess.
    """
    layouts = []
    for _ in range(count):
        dims = random.choice((0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4))
        shape = random.choices((0, 1, 2, 3, 4), weights=(1, 8, 8, 8, 8), k=dims)
        stride = [math.prod(shape[dim + 1 :]) for dim in range(dims)]
        if random.random() < 0.4:
            order = random.sample(range(dims), dims)
            shape, stride = [shape[dim] for dim in order], [stride[dim] for dim in order]
        if random.random() < 0.4:
            first, factor = random.randint(0, dims), random.choice((0, 0, 2))
            for dim in range(dims)[first : first + random.randint(1, 3)]:
                stride[dim] *= factor
        factors = [factor for size in shape for factor in ((2, 2) if size == 4 else (size,)) if factor != 1]
        if random.random() < 0.25:  # a target that cuts the dims elsewhere, so that few fit
            random.shuffle(factors)
        cuts = sorted(random.choices(range(len(factors) + 1), k=random.randint(0, 3)))
        pieces = [factors[start:stop] for start, stop in pairwise([0, *cuts, len(factors)])]
        if not factors and random.random() < 0.5:
            pieces = []
        layouts.append(Layout(tuple(shape), tuple(stride), tuple(math.prod(piece) for piece in pieces)))
    return layouts


def storage_of(tensor: Tensor) -> int:
    """Return where a tensor's storage begins in memory."""
    return tensor.untyped_storage().data_ptr()


FACTS = (bool, int, str, torch.dtype, torch.device, torch.layout, torch.UntypedStorage)


class _Touches(TorchFunctionMode):
    """Notes the functions of torch that are called, but for those that tell a single fact of a note."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, list[Any]]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not all(isinstance(part, FACTS) for part in (result if isinstance(result, tuple) else (result,))):
            self.calls.append((func.__name__, tree_leaves((args, kwargs))))
        return result


def touched(step: Callable[..., Any], *arguments: Any) -> list[str]:
    """Run a step and return by which functions it asked torch for more than sizes, strides and the like.

    Of a step that is handed a tensor those count which got that tensor, of another one all. One more word
    tells of a step that gives the tensor itself back.
    """
    with _Touches() as touches:
        result = step(*arguments)
    tensors = [argument for argument in arguments if isinstance(argument, Tensor)]
    itself = ["itself" for tensor in tensors if result is tensor]
    return itself + [
        name
        for name, handed in touches.calls
        if not tensors or any(one is other for one in handed for other in tensors)
    ]


def walked(name: str, view: Tensor) -> Cells:
    """Draw the storage 0, 1, 2 … as cells, and each step of a view to its next element as an arrow."""
    addresses = view.flatten().tolist()
    steps = [
        Arrow(0, start, end, f"{end - start:+d}", tone=WARN if end < start else 1)
        for start, end in pairwise(addresses)
    ]
    return Cells([Row(name, [str(address) for address in sorted(addresses)])], arrows=steps)
