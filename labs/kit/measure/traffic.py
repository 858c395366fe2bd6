"""Note the collectives that a piece of code starts."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode


class Traffic(TorchDispatchMode):
    """Notes every gather and reduce-scatter within its `with` block, in order, and the bytes that this rank puts into each.

    Of modules in `blocks` it notes when they begin to compute. torch's own `CommDebugMode` counts collectives too, but knows
    neither their order nor their size.
    """

    def __init__(self, blocks: Iterable[nn.Module] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.log: list[tuple[str, int]] = []
        for place, block in enumerate(blocks):
            layer = next(block.children())  # the block's own hooks run in no certain order with those of FSDP
            layer.register_forward_pre_hook(
                lambda module, inputs, place=place: self.log.append((f"block {place}", 0))
            )

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.namespace == "c10d":
            self.log.append(("gather" if "gather" in str(func) else "reduce-scatter", args[1].nbytes))
        return func(*args, **(kwargs or {}))

    @property
    def order(self) -> list[str]:
        """Return what happened, without sizes."""
        return [what for what, _ in self.log]

    def sizes(self, kind: str) -> list[int]:
        """Return the bytes of each collective of a kind."""
        return [size for what, size in self.log if what == kind]


class Sent(NamedTuple):
    """What one step sends, and what it leaves in between."""

    log: Traffic
    calls: tuple[int, int, int]  # gathers forward, gathers backward, reduce-scatters
    resident: int  # bytes of weights on this rank between the two passes


def counted(mode: Any) -> tuple[int, int]:
    """Return how many gathers and reduce-scatters a `CommDebugMode` has seen; their ops are named unlike in torch's versions."""
    counts = mode.get_comm_counts().items()
    gathers, scatters = (
        sum(count for op, count in counts if kind in str(op)) for kind in ("gather", "reduce_scatter")
    )
    return gathers, scatters
