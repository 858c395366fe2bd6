"""What lab 08 watches torch's engine with."""

from torch import Tensor

from labs.m2_autograd._lab08_graphs import Recording


def order_of_torch(recording: Recording, grad: Tensor, *, leaves: bool = False) -> list[str]:
    """Let torch walk back, and note by a hook on each node which of them it calls, in order."""
    order: list[str] = []
    for node, label in recording.labels.items():
        if leaves or label not in recording.leaves:
            node.register_prehook(lambda grads, label=label: order.append(label))
    recording.result.backward(grad)
    return order


def kept_while_walking(recording: Recording, grad: Tensor) -> list[tuple[str, int]]:
    """Let torch walk back, and note before each operation, and at the end, how many bytes the graph keeps."""
    bytes_kept: list[tuple[str, int]] = []
    for node, label in recording.labels.items():
        if label not in recording.leaves:
            node.register_prehook(
                lambda grads, label=label: bytes_kept.append((label, recording.kept_bytes()))
            )
    recording.result.backward(grad)
    return [*bytes_kept, ("the end", recording.kept_bytes())]
