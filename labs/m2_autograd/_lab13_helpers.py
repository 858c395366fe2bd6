"""What lab 13 needs beside its lesson: steps that only measure, and shares of a batch for each rank."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

import labs.m2_autograd._lab13_tools as tools
from labs.kit.measure.memory import peak_bytes, saved_bytes
from labs.kit.measure.traffic import Traffic
from labs.m2_autograd._lab13_tools import Batch, Train

# Memory -----------------------------------------------------------------------------------------------------


def kept_bytes(size: int, hidden: int) -> int:
    """Measure what autograd keeps between the forward and the backward pass of one micro-batch."""
    model = tools.tower(hidden)
    ((inputs_BI, labels_B),) = tools.micro_batches((size,), dtype=torch.float32)
    weights = tuple(model.parameters())
    kept = saved_bytes(lambda: functional.cross_entropy(model(inputs_BI), labels_B), besides=weights)
    return kept


def ready(pieces: int, size: int, hidden: int) -> tuple[nn.Module, list[Batch]]:
    """Return a model whose gradients have their memory already, and equal micro-batches for it."""
    model = tools.tower(hidden)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    return model, tools.micro_batches((size,) * pieces, dtype=torch.float32)


def peak(train: Train, pieces: int, size: int, hidden: int) -> int:
    """Measure the peak of memory while gradients of equal micro-batches are accumulated."""
    model, batches = ready(pieces, size, hidden)
    peak = peak_bytes(partial(train, model, batches))
    return peak


def memory(train: Train, pieces: int, size: int, hidden: int) -> list[float]:
    """Follow the memory through the same step: the highest level in each of 40 shares of its time."""
    model, batches = ready(pieces, size, hidden)
    levels = [level / 1024 for level in tools.live_bytes(partial(train, model, batches), 40)]
    return levels


# Averages ---------------------------------------------------------------------------------------------------


def nothing_to_learn(size: int) -> tuple[float, Tensor]:
    """Walk through a micro-batch without a label that counts: return its mean loss and its gradient."""
    model = tools.classifier()
    ((inputs_BI, labels_B),) = tools.micro_batches((size,), ignored=size)
    loss = functional.cross_entropy(model(inputs_BI), labels_B)
    loss.backward()
    return loss.item(), tools.gradient_row(model)


Optimizers = dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]]
OPTIMIZERS: Optimizers = {
    "SGD": lambda weights: torch.optim.SGD(weights, lr=0.1),
    "SGD, momentum": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
    "Adam": lambda weights: torch.optim.Adam(weights, lr=0.1, eps=1e-12),
    "RMSprop": lambda weights: torch.optim.RMSprop(weights, lr=0.1, eps=1e-12),
    "SGD, clipped": lambda weights: torch.optim.SGD(weights, lr=0.1),
}


def first_step(name: str, factor: float) -> Tensor:
    """Take one step with the gradient times a factor, and return how far each weight went."""
    model = tools.classifier()
    optimizer = OPTIMIZERS[name](list(model.parameters()))
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    ((inputs_BI, labels_B),) = tools.micro_batches((32,))
    (functional.cross_entropy(model(inputs_BI), labels_B) * factor).backward()
    if "clipped" in name:
        nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    optimizer.step()
    moved = nn.utils.parameters_to_vector(model.parameters()).detach() - before
    return moved


# Layers that see the batch ----------------------------------------------------------------------------------

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "BatchNorm1d": nn.BatchNorm1d,
    "LayerNorm": nn.LayerNorm,
    "GroupNorm": partial(nn.GroupNorm, 2),
}


def normed(name: str, sizes: tuple[int, ...], train: Train) -> tuple[Tensor, Tensor]:
    """Accumulate the gradient of a model with a norm; return it, and what the norm has noted, in one row."""
    model = tools.classifier(12, norm=NORMS[name])
    train(model, tools.micro_batches(sizes))
    noted = [buffer.flatten().double() for buffer in model.buffers()]
    return tools.gradient_row(model), torch.cat(noted) if noted else torch.zeros(0)


# Ranks ------------------------------------------------------------------------------------------------------

OnRanks = Callable[[DistributedDataParallel, list[Batch]], None]


def left_on_ranks(train: OnRanks) -> Tensor:
    """Accumulate three batches over the ranks, one after the other, and return what is left of each."""
    gradients = []
    for turn in range(tools.TURNS):
        model = tools.copied_to_all()
        train(model, tools.share_of(dist.get_rank(), turn))
        gradients.append(tools.gradient_row(model))
    gradients_P = torch.stack(gradients)
    return gradients_P


def messages(train: OnRanks, batches: list[Batch]) -> list[int]:
    """Note the bytes of every all-reduce of an accumulation over ranks."""
    model = tools.copied_to_all()
    with Traffic() as traffic:
        train(model, batches)
    sizes: list[int] = traffic.sizes("all-reduce")
    return sizes


SILENT = {
    "both passes": (True, True),
    "the forward pass": (True, False),
    "the backward pass": (False, True),
    "nothing": (False, False),
}


def reductions(quiet: str) -> tuple[int, Tensor]:
    """Accumulate four micro-batches, three of them with `no_sync` somewhere, and count all-reduces."""
    model = DistributedDataParallel(nn.Linear(3, 2, bias=False).double())
    with Traffic() as traffic:
        for place in range(tools.PIECES):
            inputs_BI, above_BO = tools.whole_numbers(place, dist.get_rank())
            forward, backward = (silent and place < tools.PIECES - 1 for silent in SILENT[quiet])
            with model.no_sync() if forward else nullcontext():
                out_BO = model(inputs_BI)
            with model.no_sync() if backward else nullcontext():
                out_BO.backward(above_BO)
    return len(traffic.sizes("all-reduce")), tools.gradient_row(model)
