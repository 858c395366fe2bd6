"""Functions for lab 33 to compile: what breaks a graph in them, and what may change between two calls."""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from labs.kit.topics.tasks import Stack

Function = Callable[..., Any]
LOGGER = logging.getLogger(__name__)


def by_loop(x_N: Tensor) -> Tensor:
    for number in x_N:
        x_N = x_N + number
    return x_N


def by_logger(x_N: Tensor) -> Tensor:
    twice_N = x_N * 2
    LOGGER.debug("doubled")
    return twice_N + 1


@torch.compiler.disable  # type: ignore[untyped-decorator]
def left_to_python(x_N: Tensor) -> Tensor:
    return x_N * 2


CAUSES: dict[str, Callable[[Tensor], Tensor]] = {
    "`if` on a shape": lambda x_N: x_N * 2 if x_N.shape[0] > 3 else x_N - 1,
    "a loop over the rows": by_loop,
    "`if` on content": lambda x_N: x_N * 2 if x_N.sum() > 0 else x_N - 1,
    "`.item()`": lambda x_N: x_N * x_N.sum().item(),
    "a call of a logger": by_logger,
    "`torch.compiler.disable`": lambda x_N: left_to_python(x_N - 1) + 1,
}


class Change(NamedTuple):
    """What differs from call to call: what to compile, the values, and the graphs that each makes by rule."""

    function: Function
    values: list[Any]
    graphs: list[int]
    call: Callable[[Function, Any], object] = lambda compiled, value: compiled(value)
    dynamic: bool | None = None


FACTOR = 2  # a global number that a compiled function reads
ONCE, SYMBOL, ALWAYS = [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]


class Scaled(nn.Module):
    """Multiplies by a number that it keeps."""

    factor: Any = 2

    def forward(self, x_N: Tensor) -> Tensor:
        product_N: Tensor = x_N * self.factor
        return product_N


def doubled(x: Tensor) -> Tensor:
    return x * 2


def scaled(factor: Any) -> Tensor:
    scaled_N: Tensor = torch.ones(3) * factor
    return scaled_N


def scaled_by_length(things: list[int]) -> Tensor:
    return torch.ones(3) * len(things)


def scaled_by_name(name: str) -> Tensor:
    return torch.ones(3) * (2 if name == "a" else 3)


def scaled_by_global(x_N: Tensor) -> Tensor:
    return x_N * FACTOR


def keep_globally(compiled: Function, value: int) -> None:
    globals()["FACTOR"] = value
    compiled(torch.ones(3))


def marked(compiled: Function, x_ND: Tensor) -> None:
    torch._dynamo.mark_dynamic(x_ND, 0)
    compiled(x_ND)


def changes() -> dict[str, Change]:
    """Return what a program may change between two calls, and how many graphs each call makes by the rule.

    What lies in a tensor is not guarded, and weights are tensors. The first value of anything else is a
    constant; a size, an int or a float that comes with a second value becomes a symbol, and other things are
    another constant each time, up to 8.
    """
    return {**_changed_tensors(), **_changed_modules(), **_changed_values()}


def _changed_tensors() -> dict[str, Change]:
    rows = [torch.ones(size, 3) for size in (4, 5, 6, 7)]
    special = [torch.ones(size, 3) for size in (5, 1, 0, 7, 8)]
    types = [
        torch.ones(3, dtype=dtype) for dtype in (torch.float32, torch.float64, torch.float16, torch.int64)
    ]
    return {
        "numbers in a tensor": Change(
            doubled, [torch.full((3,), float(number)) for number in range(4)], ONCE
        ),
        "a dtype": Change(doubled, types, ALWAYS),
        "a size": Change(doubled, rows, SYMBOL),
        "a size, `mark_dynamic`": Change(doubled, rows, ONCE, marked),
        "a size, `dynamic=False`": Change(doubled, rows, ALWAYS, dynamic=False),
        "the sizes 5, 1, 0, 7, 8": Change(doubled, special, [1, 1, 1, 1, 0]),
    }


def _changed_modules() -> dict[str, Change]:
    module, network = Scaled(), Stack(4)
    x_BI = network.example()

    def keep(compiled: Function, value: Any) -> None:
        module.factor = value
        compiled(torch.ones(3))

    return {
        "the next of equal blocks": Change(lambda block: block(x_BI), list(network.blocks), ONCE),
        "a tensor on a module": Change(module, [torch.tensor(number) for number in range(4)], ONCE, keep),
        "a float on a module": Change(module, [0.25, 0.375, 0.5, 0.625], SYMBOL, keep),
        "an int on a module": Change(module, list(range(2, 12)), [1] * 8 + [0] * 2, keep),
    }


def _changed_values() -> dict[str, Change]:
    lists = [[0] * count for count in (2, 3, 4, 5)]
    return {
        "a float argument": Change(scaled, [0.25, 0.375, 0.5, 0.625], SYMBOL),
        "an int argument": Change(scaled, [2, 3, 4, 5], SYMBOL),
        "a global int": Change(scaled_by_global, [2, 3, 4, 5], ALWAYS, keep_globally),
        "the length of a list": Change(scaled_by_length, lists, ALWAYS),
        "a string": Change(scaled_by_name, ["a", "b", "c", "a"], [1, 1, 1, 0]),
    }
