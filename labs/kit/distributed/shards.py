"""Models whose weights may be sharded over ranks: one rank's part of them, the whole, and the bytes of either."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Held(NamedTuple):
    """Bytes of a training on one rank. `room` is what its weights' storage takes, padding included."""

    weights: int
    room: int
    gradients: int
    moments: int
    counters: int


def local(tensor: Tensor) -> Tensor:
    """Return this rank's part of a tensor that may be sharded."""
    own: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return own


def rows_in(tensor: Tensor) -> Tensor:
    """Return the rows that `torch.chunk` gives to this rank, as a view; none where it gives fewer chunks than there are ranks."""
    chunks = [*tensor.detach().chunk(dist.get_world_size()), tensor.detach()[:0]]
    return chunks[min(dist.get_rank(), len(chunks) - 1)]


def own_rows(tensor: Tensor) -> Tensor:
    """Return a copy of this rank's rows."""
    return rows_in(tensor).clone()


def there_and_back(
    tensor: Tensor, there: Callable[..., Tensor], back: Callable[[Tensor], Tensor], *args: Any
) -> Tensor:
    """Return `there(tensor, *args)`; on the backward pass its gradient goes through `back`."""

    class ThereAndBack(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, tensor: Tensor) -> Tensor:
            return there(tensor, *args)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Tensor:
            return back(grads[0])

    result: Tensor = ThereAndBack.apply(tensor)  # type: ignore[no-untyped-call]
    return result


def whole(tensor: Tensor) -> Tensor:
    """Return all of a tensor that may be sharded. All ranks call it together."""
    everything: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return everything


def weights_of(model: nn.Module) -> Tensor:
    """Return a model's weights, whole, in one row."""
    return torch.cat([whole(weight.detach()).flatten() for weight in model.parameters()])


def gradients_of(model: nn.Module) -> list[Tensor]:
    """Return the gradients that are there, as they are."""
    return [weight.grad for weight in model.parameters() if weight.grad is not None]


def held_by(model: nn.Module, optimizer: torch.optim.Optimizer) -> Held:
    """Count the bytes that this rank holds. An optimizer's state of no dims, such as Adam's step, is a counter."""
    weights = [local(weight) for weight in model.parameters()]
    state = [
        local(value)
        for entries in optimizer.state.values()
        for value in entries.values()
        if isinstance(value, Tensor)
    ]
    return Held(
        weights=sum(weight.nbytes for weight in weights),
        room=sum(weight.untyped_storage().nbytes() for weight in weights),
        gradients=sum(local(gradient).nbytes for gradient in gradients_of(model)),
        moments=sum(value.nbytes for value in state if value.ndim),
        counters=sum(value.nbytes for value in state if not value.ndim),
    )
