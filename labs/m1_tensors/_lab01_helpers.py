"""What lab 01 needs beside its lesson: layouts to try a rule on, and the picture of a walk through it."""

import math
import random
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor

from labs.kit.draw.diagrams import WARN, Arrow, Cells, Row


class Layout(NamedTuple):
    """Sizes and strides of a tensor, and the shape that somebody asks `view` for."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    target: tuple[int, ...]


def random_layouts(count: int) -> list[Layout]:
    """Draw tensors of all kinds, and shapes to view them in.

    Sizes of 0 to 4 in up to four dims; strides of a plain tensor that are then shuffled, stretched or set to
    0, each now and then; targets that hold as many elements. The table counts both answers, so that you see
    that neither is a safe guess.
    """
    layouts = []
    for _ in range(count):
        shape = random.choices((0, 1, 2, 3, 4), weights=(1, 8, 8, 8, 8), k=random.randint(1, 4))
        stride = [math.prod(shape[dim + 1 :]) for dim in range(len(shape))]
        if random.random() < 0.4:
            order = random.sample(range(len(shape)), len(shape))
            shape, stride = [shape[dim] for dim in order], [stride[dim] for dim in order]
        if random.random() < 0.3:
            stretched = random.randrange(len(shape))
            stride[stretched] *= random.choice((0, 2))
        factors = [factor for size in shape for factor in ((2, 2) if size == 4 else (size,)) if factor != 1]
        if random.random() < 0.25:  # a target that cuts the dims elsewhere, so that few fit
            random.shuffle(factors)
        cuts = sorted(random.choices(range(len(factors) + 1), k=random.randint(0, 3)))
        pieces = [factors[start:stop] for start, stop in pairwise([0, *cuts, len(factors)])]
        layouts.append(Layout(tuple(shape), tuple(stride), tuple(math.prod(piece) for piece in pieces)))
    return layouts


def storage_of(tensor: Tensor) -> int:
    """Return where a tensor's storage begins in memory."""
    return tensor.untyped_storage().data_ptr()


def walked(name: str, view: Tensor) -> Cells:
    """Draw the storage 0, 1, 2 … as cells, and each step of a view to its next element as an arrow."""
    addresses = view.flatten().tolist()
    steps = [
        Arrow(0, start, end, f"{end - start:+d}", tone=WARN if end < start else 1)
        for start, end in pairwise(addresses)
    ]
    return Cells([Row(name, [str(address) for address in sorted(addresses)])], arrows=steps)
