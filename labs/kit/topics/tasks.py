"""A small thing to train, for labs that are about how it is trained: a network, batches that follow from their number, a step."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

INPUTS, HIDDEN, CLASSES = 16, 32, 4
LEARNING_RATE = 0.1


def batch_of(number: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return inputs (B, I) and labels (B,) that follow from the batch's number alone."""
    generator = torch.Generator().manual_seed(number)
    inputs_BI = torch.randn(size, INPUTS, dtype=torch.float64, generator=generator)
    labels_B = torch.randint(CLASSES, (size,), generator=generator)
    return inputs_BI.to(device), labels_B.to(device)


def share_of(number: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return this rank's part, `size` samples, of a batch that all ranks share."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    inputs_BI, labels_B = batch_of(number, size * ranks, device)
    return inputs_BI.chunk(ranks)[rank], labels_B.chunk(ranks)[rank]


def loss_of(model: nn.Module, inputs_BI: Tensor, labels_B: Tensor) -> Tensor:
    """Return the mean cross-entropy of a batch."""
    return nn.functional.cross_entropy(model(inputs_BI), labels_B)


def losses_of(
    forward: Callable[[Tensor], Tensor],
    weights: Iterable[Tensor],
    steps: int,
    share: int,
    device: torch.device,
) -> Tensor:
    """Train by gradient descent with momentum on shares of batches, and return the whole batches' losses, step by step."""
    optimizer = torch.optim.SGD(weights, lr=LEARNING_RATE, momentum=0.9)
    losses = []
    for step in range(steps):
        inputs_BI, labels_B = share_of(step, share, device)
        loss = nn.functional.cross_entropy(forward(inputs_BI), labels_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    losses_S = torch.stack(losses)
    dist.all_reduce(losses_S)
    return losses_S / dist.get_world_size()


def steps_of(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    numbers: Iterable[int],
    share: int,
    device: torch.device,
) -> Iterator[int]:
    """Train on the batches of these numbers, and after each say how many steps that makes."""
    for number in numbers:
        optimizer.zero_grad()
        loss_of(model, *share_of(number, share, device)).backward()
        optimizer.step()
        yield number + 1


class Block(nn.Module):
    """Two linear layers beside a shortcut, as in a transformer's feed-forward part."""

    def __init__(self, width: int, hidden: int, **options: Any) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, hidden, **options), nn.Linear(hidden, width, **options)

    def forward(self, x_BI: Tensor) -> Tensor:
        out: Tensor = x_BI + self.down(torch.tanh(self.up(x_BI)))
        return out


class Stack(nn.Module):
    """Blocks one after another, with a layer of its own before them where `entry` asks for one; the same weights every time."""

    def __init__(
        self, blocks: int, width: int = INPUTS, hidden: int = HIDDEN, *, entry: bool = False, **options: Any
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.width = width
        options = {"dtype": torch.float64, **options}
        self.entry = nn.Linear(width, width, **options) if entry else None
        self.blocks = nn.ModuleList(Block(width, hidden, **options) for _ in range(blocks))

    def example(self, rows: int = 4) -> Tensor:
        """Return inputs of this model's width, type and device."""
        weight = next(self.parameters())
        return torch.ones(rows, self.width, dtype=weight.dtype, device=weight.device, requires_grad=True)

    def forward(self, x_BI: Tensor) -> Tensor:
        if self.entry is not None:
            x_BI = self.entry(x_BI)
        for block in self.blocks:
            x_BI = block(x_BI)
        return nn.functional.layer_norm(x_BI, x_BI.shape[-1:])


def stacked(layers: int, width: int) -> Stack:
    """Return a stack of so many linear layers without bias, two in each block, so that every parameter has width² elements of float32."""
    return Stack(layers // 2, width, width, dtype=torch.float32, bias=False)


def fingerprint(weights_P: Tensor) -> str:
    """Return a short hash of weights, to the last bit."""
    return hashlib.sha256(weights_P.detach().cpu().contiguous().numpy().tobytes()).hexdigest()[:16]
