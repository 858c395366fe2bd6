"""What lab 12 looks at graphs with: their nodes, what these keep, which of them a walk visits, a picture."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from labs.kit.draw.diagrams import Cell, Cells, Row
from labs.kit.measure.memory import peak_bytes

Loss = Callable[[Tensor], Tensor]
RecurrentCell = Callable[[Tensor, Tensor], Tensor]  # from an input and a state to the next state
Look = Callable[[Tensor], float]
SLOT = "_raw_saved_"  # what the names of a node's slots for tensors begin with
CELL = ("MmBackward0", "AddBackward0", "TanhBackward0")  # the nodes of a cell tanh(x·W + h·U)


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 12) -> Tensor:
    """Draw numbers between −1 and 1, the same for the same shape and seed, and in float32 and float64."""
    draw = torch.Generator().manual_seed(100 * seed + sum(shape))
    return (2 * torch.rand(shape, generator=draw) - 1).to(dtype)


def state_of(*tensors: Tensor) -> list[Any]:
    """Note by what a changed argument is recognised."""
    return [(t.tolist(), t._version, t.requires_grad, t.grad is None if t.is_leaf else None) for t in tensors]


def nodes_of(*roots: Tensor) -> list[Any]:
    """List the nodes of the graph behind these tensors, each once."""
    found: dict[Any, None] = {}
    waiting: list[Any] = [root.grad_fn for root in roots]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found[node] = None
            waiting += [before for before, _ in node.next_functions]
    return list(found)


def size_of(loss: Tensor) -> int:
    """Count the nodes of the graph behind a loss."""
    return len(nodes_of(loss))


def kept_by(*nodes: Any) -> list[str]:
    """Name what these nodes keep: their slots for tensors that are not empty."""
    return [
        f"{name_of(node)} keeps {slot.removeprefix(SLOT)}"
        for node in nodes
        for slot in dir(node)
        if slot.startswith(SLOT) and getattr(node, slot.replace("_raw", "")) is not None
    ]


def is_freed(node: Any) -> bool:
    """Tell whether what a node kept is gone: then torch refuses to show it."""
    slots = [slot for slot in dir(node) if slot.startswith(SLOT)]
    try:
        for slot in slots:
            getattr(node, slot.replace("_raw", ""))
    except RuntimeError:
        return True
    return False


def name_of(node: Any) -> str:
    """Return a node's name without its ending."""
    return str(node.name()).removesuffix("Backward0").lower()


class Visits:
    """Notes which nodes each backward pass visits. `look` is called with each loss, before its pass.

    The nodes are told apart by the step in which they came into being.
    """

    def __init__(self, among: Sequence[str] = CELL) -> None:
        self.among = among
        self.steps: list[list[Any]] = []
        self.passes: list[list[int]] = []

    def look(self, loss: Tensor) -> int:
        """Get ready for the pass that begins at this loss, and tell how many nodes are new."""
        known = [node for nodes in self.steps for node in nodes]
        new = [node for node in nodes_of(loss) if node not in known and node.name() in self.among]
        for node in new:
            node.register_prehook(self._visited_of(len(self.steps)))
        self.steps.append(new)
        self.passes.append([0] * len(self.steps))
        return len(new)

    def _visited_of(self, step: int) -> Callable[[Any], None]:
        def visited(grads: Any) -> None:
            self.passes[-1][step] += 1

        return visited


def passes_of(run: Callable[..., object]) -> list[list[int]]:
    """Run backward passes, and return how many of each step's nodes every one of them visits."""
    visits = Visits()
    run(look=visits.look)
    return visits.passes


def visited_nodes(walk: Callable[[], object], nodes: Iterable[Any]) -> list[Any]:
    """Walk, and return those of the nodes that were visited."""
    seen: list[Any] = []

    def visited_as(node: Any) -> Callable[[Any], None]:
        return lambda grads: seen.append(node)

    for node in nodes:
        node.register_prehook(visited_as(node))
    walk()
    return seen


def strip(name: str, passes: Sequence[Sequence[int]]) -> Cells:
    """Draw which step's nodes each backward pass visits: a row for each pass, a cell for each step."""
    rows = [Row(f"{name}: nodes of", [f"step {step}" for step in range(1, len(passes) + 1)])]
    for place, visits in enumerate(passes, 1):
        cells = [Cell(f"{count} nodes" if count else "–", tone=1 if count else 0) for count in visits]
        rows.append(Row(f"pass {place}", [*cells, *[""] * (len(passes) - place)]))
    return Cells(rows, legend={1: "visited"})


def answer(action: Callable[[], object]) -> str:
    """Run something that torch may refuse, and say in a few words what came of it."""
    try:
        action()
    except RuntimeError as error:
        return "refused: modified in place" if "inplace operation" in str(error) else f"refused: {error}"
    return "runs"


def joined(gradients: Iterable[Iterable[Tensor]]) -> Tensor:
    """Lay all these gradients side by side."""
    return torch.cat([gradient.flatten() for some in gradients for gradient in some])


def classifier(samples: int, hidden: int) -> Callable[[], Tensor]:
    """Build the forward pass of a small network on one batch: it returns a loss."""
    x_BI, w_IH = (
        drawn(samples, 5, dtype=torch.float32),
        drawn(5, hidden, dtype=torch.float32).requires_grad_(),
    )
    w_IH.grad = torch.zeros_like(w_IH)
    return lambda: torch.tanh(x_BI @ w_IH).square().mean()


def peaks_of_steps(run: Callable[[Tensor], object]) -> list[int]:
    """Run 4, 8, 16 and 32 steps, and tell by how many bytes the peak grows each time."""
    peaks = [peak_bytes(partial(run, drawn(steps, 3, 5))) for steps in (4, 8, 16, 32)]
    return [after - before for before, after in pairwise(peaks)]


def per_step(add: Callable[..., Tensor], count: int) -> tuple[float, float]:
    """Tell how many bytes the peak, and how many nodes the graph, of a total grows by with each step."""
    peaks = [peak_bytes(partial(add, count=count)) for count in (count, 2 * count)]
    sizes = [size_of(add(count=count)) for count in (count, 2 * count)]
    return (peaks[1] - peaks[0]) / count, (sizes[1] - sizes[0]) / count
