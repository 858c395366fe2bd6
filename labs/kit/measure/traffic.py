"""Note the collectives that a piece of code starts, and what they cost."""

import os
import socket
import stat
import struct
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# torch's operators for collectives by what stands in their names, and which argument holds what this rank puts in.
COLLECTIVES = {
    "reduce_scatter": ("reduce-scatter", 1),
    "gather": ("gather", 1),
    "allreduce": ("all-reduce", 0),
}
BYTES_SENT = (
    200  # where `tcpi_bytes_sent` stands in Linux' `struct tcp_info`, which only ever grew at its end
)


class Traffic(TorchDispatchMode):
    """Notes every gather, reduce-scatter and all-reduce within its `with` block, in order, and the bytes that this rank puts into each.

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
            known = next((kind for name, kind in COLLECTIVES.items() if name in str(func)), None)
            if known is not None:
                kind, place = known
                self.log.append((kind, bytes_in(args[place])))
        return func(*args, **(kwargs or {}))

    @property
    def order(self) -> list[str]:
        """Return what happened, without sizes."""
        return [what for what, _ in self.log]

    def sizes(self, kind: str) -> list[int]:
        """Return the bytes of each collective of a kind."""
        return [size for what, size in self.log if what == kind]


def bytes_in(tensors: Any) -> int:
    """Return the bytes of a tensor, or of all in a nest of lists."""
    return sum(leaf.nbytes for leaf in tree_leaves(tensors) if isinstance(leaf, Tensor))


def bytes_sent() -> int | None:
    """Return how many bytes this process has sent through the TCP connections that it has open; None where no kernel tells.

    Linux counts them for each connection. gloo keeps its connections open, so the difference of two calls is what it sent.
    """
    folder = "/proc/self/fd"
    if not os.path.isdir(folder) or not hasattr(socket, "TCP_INFO"):
        return None
    return sum(_sent_through(int(number)) for number in os.listdir(folder))


def _sent_through(descriptor: int) -> int:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return 0
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_SENT + 8)
    except OSError:  # closed meanwhile, or no connection of TCP
        return 0
    return int(struct.unpack_from("Q", info, BYTES_SENT)[0]) if len(info) >= BYTES_SENT + 8 else 0
