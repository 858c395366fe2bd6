"""What lab 27 needs beside its lesson: the network, ways to run it, and the picture of what lives when."""

import random
import warnings
import weakref
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from labs.kit.draw.diagrams import Span, Timeline

Way = Callable[[nn.Sequential, Tensor], Tensor]  # how a segment is run

DROPOUT = 0.2


class Layer(nn.Module):
    """A residual layer: x + W·dropout(tanh(x)) + b. Of this autograd keeps tanh(x), if nothing drops."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(width, width), nn.Dropout(dropout)

    def forward(self, x_RD: Tensor) -> Tensor:
        out_RD: Tensor = x_RD + self.linear(self.dropout(torch.tanh(x_RD)))
        return out_RD


class SkippingLayer(Layer):
    """A layer that the toss of a coin leaves in or out, as stochastic depth does."""

    def __init__(self, width: int, coin: Callable[[], float]) -> None:
        super().__init__(width, 0.0)
        self.coin = coin

    def forward(self, x_RD: Tensor) -> Tensor:
        return super().forward(x_RD) if self.coin() < 0.5 else x_RD


def plain(segment: nn.Sequential, x_RD: Tensor) -> Tensor:
    """Run a segment as it is."""
    out_RD: Tensor = segment(x_RD)
    return out_RD


as_torch_does: Way = partial(checkpoint, use_reentrant=False)
without_dice: Way = partial(
    checkpoint, use_reentrant=False, preserve_rng_state=False
)  # where nothing is random
keep_products = partial(create_selective_checkpoint_contexts, [torch.ops.aten.addmm.default])
selectively: Way = partial(checkpoint, use_reentrant=False, context_fn=keep_products)


def reentrantly(segment: nn.Sequential, x_RD: Tensor) -> Tensor:
    """Run a segment under the older kind of checkpoint, which warns of the very thing that the lab shows."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "None of the inputs have requires_grad=True")
        out_RD: Tensor = checkpoint(segment, x_RD, use_reentrant=True)
    return out_RD


def network(layers: int, width: int, dropout: float = 0.0, device: str = "cpu") -> nn.Sequential:
    """Stack layers, with room for their gradients made beforehand: a step then makes activations alone."""
    model: nn.Sequential = nn.Sequential(*[Layer(width, dropout) for _ in range(layers)]).to(device)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return model


def batch(rows: int, width: int, device: str = "cpu") -> Tensor:
    """Draw a batch that needs a gradient, with room for it."""
    x_RD = torch.randn(rows, width, device=device, requires_grad=True)
    x_RD.grad = torch.zeros_like(x_RD)
    return x_RD


def segments_of(model: nn.Sequential, length: int) -> list[nn.Sequential]:
    """Cut a network into segments; the last may be shorter."""
    layers = list(model)
    return [nn.Sequential(*layers[start : start + length]) for start in range(0, len(layers), length)]


def masks_of_dropout(rows: int, width: int) -> list[Tensor]:
    """Look at the mask of a dropout in the forward pass, and again when its random state was not kept."""
    seen, dropout = list[Tensor](), nn.Dropout(DROPOUT)

    def segment(x_RD: Tensor) -> Tensor:
        dropped_RD: Tensor = dropout(torch.tanh(x_RD))
        seen.append(dropped_RD.detach() == 0)
        return dropped_RD**2

    x_RD = batch(rows, width)
    out_RD = checkpoint(segment, x_RD, use_reentrant=False, preserve_rng_state=False)
    out_RD.backward(x_RD.detach())
    return seen


SKIPPING = 8  # layers that a coin leaves in or out


def layers_taken(seed: int) -> tuple[int, int]:
    """Toss the same coins apart from the network: how many layers are taken at first, and how many again?"""
    coin = random.Random(seed).random
    return sum(coin() < 0.5 for _ in range(SKIPPING)), sum(coin() < 0.5 for _ in range(SKIPPING))


GRADIENTS = 99  # in the place of a segment's number: made by backward, in no segment


class Life(NamedTuple):
    """From which operation of a step to which one a tensor lived, and in which segment it was made."""

    segment: int
    birth: int
    death: int


class _Births(TorchDispatchMode):
    """Notes when storages of a batch's size come into being and when they are let go, counted in operations.

    Segments run with gradients enabled, also when they are recomputed; backward's own operations do not.
    """

    def __init__(self, x_RD: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nbytes, self.known = x_RD.nbytes, x_RD.untyped_storage().data_ptr()
        self.now = self.segment = 0
        self.births: dict[int, tuple[int, int]] = {}
        self.lives: list[Life] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.now += 1
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            storage = leaf.untyped_storage() if isinstance(leaf, Tensor) else None
            if (
                storage is not None
                and storage.nbytes() == self.nbytes
                and storage.data_ptr() not in (self.known, *self.births)
            ):
                segment = self.segment if torch.is_grad_enabled() else GRADIENTS
                self.births[storage.data_ptr()] = segment, self.now
                weakref.finalize(storage, self._ended, storage.data_ptr())
        return result

    def _ended(self, address: int) -> None:
        if address in self.births:
            segment, birth = self.births.pop(address)
            self.lives.append(Life(segment, birth, self.now + 1))


def lifetimes(layers: int, length: int, rows: int, width: int, way: Way) -> list[Life]:
    """Take a training step, and note in which segment each activation was made and how long it lived."""
    model, x_RD = network(layers, width), batch(rows, width)
    births = _Births(x_RD)

    def labelled(number: int, segment: nn.Sequential) -> nn.Sequential:
        def note(module: nn.Module, inputs: Any) -> None:
            births.segment = number

        segment.register_forward_pre_hook(note)
        return segment

    segments = [labelled(number, segment) for number, segment in enumerate(segments_of(model, length))]
    with births:
        out_RD = x_RD
        for segment in segments:
            out_RD = way(segment, out_RD)
        out_RD.backward(x_RD.detach())
    del out_RD
    return births.lives


def timeline(lives: list[Life]) -> Timeline:
    """Draw how many tensors of each segment live, operation by operation; what dies at once is left out."""
    lasting = [life for life in lives if life.death - life.birth > 4]
    lanes = {}
    for segment in sorted({life.segment for life in lasting}):
        own = [life for life in lasting if life.segment == segment]
        changes = sorted({time for life in own for time in (life.birth, life.death)})
        spans = []
        for start, end in pairwise(changes):
            alive = sum(life.birth <= start < life.death for life in own)
            if alive:
                spans.append(Span(start, end, str(alive), tone=1 if alive == 1 else 2))
        lanes["gradients" if segment == GRADIENTS else f"segment {segment + 1}"] = spans
    return Timeline(lanes, unit="operations")
