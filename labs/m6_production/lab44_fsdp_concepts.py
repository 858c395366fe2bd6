"""Lab 44 · FSDP concepts · Idea FSDP

Question:
    How do you train a model that does not fit on one card?

You will see:
    - Sharded training from nothing but all-gather and reduce-scatter, with the very losses of DDP; then `fully_shard`.
    - Weights, gradients and optimizer state on each rank, to the byte: ⌈rows / N⌉ rows of each parameter, padding beside it.
    - What it costs: two gathers and one reduce-scatter a block and step; and what trades memory for fewer, or smaller, ones.
    - A model of 16 bytes a parameter that trains on ranks with room for 12.
    - A training that goes on where it was killed, and whose checkpoint of 2 ranks loads on 1 and on 4.
    - DeepSpeed's ZeRO-1, 2 and 3 beside it, in three columns.

Run:
    make lab-44, or on two nodes: make lab-44 NODES=2 PROCS=2
    python -m labs.m6_production.lab44_fsdp_concepts --smoke
    torchrun --standalone --nproc-per-node=4 -m labs.m6_production.lab44_fsdp_concepts --smoke

Needs:
    2 processes or more, no GPU, 2 GiB of memory, 2 minutes

Builds on:
    lab 43 for data-parallel training and all-reduce

Sources:
    - S. Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", SC 2020, arXiv:1910.02054, section 5
    - Y. Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel", VLDB 2023, arXiv:2304.11277, sections 3 and 4
    - PyTorch documentation: torch.distributed.fsdp.fully_shard; torch.distributed.checkpoint
    - DeepSpeed documentation: ZeRO, configuration of `zero_optimization`

Notebook:
    44_FSDP_Concepts.ipynb
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from labs.kit import Lab, Mutant, exercise, main
from labs.kit.checkpoints import Checkpoints, Sharded
from labs.kit.memory import peak_bytes
from labs.kit.tasks import Stack, batch_of, fingerprint, loss_of, share_of

# Shape letters: B batch, I inputs, P parameters, S steps.

WIDTH = 16  # inputs of the small models, whose blocks have `hidden` units
DIGITS = 1e-12
ROUNDING = "float64: 16 digits, of which a few dozen sums in another order cost fewer than four"
CHUNKS = "the rows that the chunk rule gives to this rank"


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    steps: int = 20  # training steps S whose losses are compared
    share: int = 8  # samples of a batch on each rank
    blocks: int = 3  # blocks of the small models
    hidden: int = 27  # hidden units of a block; not divisible, so that there is padding
    width: int = 512  # width of the model that is too large for one rank
    train_steps: int = 40  # steps of the training that writes checkpoints
    every: int = 5  # steps between two checkpoints
    pause: float = 0.0  # seconds of rest after each of these steps

    @classmethod
    def smoke(cls) -> "Config":
        return cls(steps=5, width=128, train_steps=12)


class Held(NamedTuple):
    """Bytes on one rank. `room` is what its weights' storage takes, padding included."""

    weights: int
    room: int
    gradients: int
    moments: int
    counters: int


@exercise(
    "Where 27 rows go to 4 ranks, the first three hold 7 and the last holds 6. Which division gives 7?",
    "All ranks make room for ⌈rows / ranks⌉ rows. They are filled from the first rank on, until no row is left.",
    "room = -(-rows // ranks); before this rank stand rank * room rows; it holds what is left, but at most `room` and at least 0.",
)
def rows_of(rows: int, ranks: int, rank: int) -> tuple[int, int]:
    """Predict how many rows of a parameter a rank holds, and for how many it makes room.

    FSDP2 cuts every parameter along dim 0 as `torch.chunk` does. The last ranks may get less, or nothing at all; they make
    room for a whole chunk all the same, since an all-gather takes equal parts.
    """
    room = -(-rows // ranks)
    held = max(0, min(room, rows - rank * room))
    return held, room


@exercise(
    "An all-gather hands every rank the parts of all. What must be true of the parts' shapes?",
    "Pad your rows with zeros to ⌈rows / N⌉. All padding stands at the end of the whole, since only the last ranks lack rows.",
    "padded[:len(tensor)] = tensor; dist.all_gather(parts, padded) into a list of N empty tensors; then torch.cat(parts)[:rows].",
)
def gathered(tensor: Tensor, rows: int) -> Tensor:
    """Put a whole parameter together from every rank's rows of it.

    `dist.all_gather(parts, tensor)` fills a list of N tensors, in rank order, all of one shape.
    """
    size = dist.get_world_size()
    padded = tensor.new_zeros(-(-rows // size), *tensor.shape[1:])
    padded[: len(tensor)] = tensor
    parts = [torch.empty_like(padded) for _ in range(size)]
    dist.all_gather(parts, padded)
    whole = torch.cat(parts)[:rows]
    return whole


@exercise(
    "Each rank has the gradient of the whole parameter, from its own share of the batch. Who needs which rows of their mean?",
    "Pad to N equal chunks of rows; a reduce-scatter sums them over all ranks and leaves each rank its own chunk.",
    "dist.reduce_scatter(mine, list(padded.chunk(N))), then mine[:held] / N, with `held` from the chunk rule.",
)
def scattered(grad: Tensor) -> Tensor:
    """Average a whole gradient over all ranks, and keep the rows that belong to this one.

    It is the first half of lab 43's ring; the second half, the all-gather, waits until the weights are needed again.
    `dist.reduce_scatter(out, parts)` sums N tensors of one shape over the ranks, and leaves the r-th in rank r's `out`.
    """
    size, rank = dist.get_world_size(), dist.get_rank()
    held, room = rows_of(len(grad), size, rank)
    padded = grad.new_zeros(room * size, *grad.shape[1:])
    padded[: len(grad)] = grad
    mine = torch.empty_like(padded[:room])
    dist.reduce_scatter(mine, list(padded.chunk(size)))
    own = mine[:held] / size
    return own


class Unshard(torch.autograd.Function):
    """Gather on the way forward, reduce and scatter on the way back: the whole idea."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, rows: int) -> Tensor:
        return gathered(tensor, rows)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None]:
        return scattered(grads[0]), None


def losses_of(forward: Callable[[Tensor], Tensor], weights: Iterable[Tensor], steps: int, share: int, device: torch.device) -> Tensor:
    """Train by gradient descent with momentum, and return the mean loss over all ranks at each step."""
    optimizer = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
    losses = []
    for step in range(steps):
        x_BI, y_B = share_of(step, share, device)
        loss = nn.functional.cross_entropy(forward(x_BI), y_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    losses_S = torch.stack(losses)
    dist.all_reduce(losses_S)
    return losses_S / dist.get_world_size()


def losses_by_ddp(cfg: Config, device: torch.device) -> Tensor:
    """Train under DDP, where every rank holds everything: the losses to reach."""
    model = DistributedDataParallel(Stack(cfg.blocks, WIDTH, cfg.hidden).to(device))
    losses_S = losses_of(model, model.parameters(), cfg.steps, cfg.share, device)
    return losses_S


def losses_by_hand(cfg: Config, device: torch.device) -> Tensor:
    """Train with a few rows of each parameter on each rank, and gather the whole only while it is used.

    The optimizer sees the shards alone, so its state is sharded too, without a word about it.
    """
    model, size, rank = Stack(cfg.blocks, WIDTH, cfg.hidden).to(device), dist.get_world_size(), dist.get_rank()
    rows = {name: len(weight) for name, weight in model.named_parameters()}
    shards = {}
    for name, weight in model.named_parameters():
        held, room = rows_of(len(weight), size, rank)
        shards[name] = weight.detach()[rank * room :][:held].clone().requires_grad_()

    def forward(x_BI: Tensor) -> Tensor:
        whole = {name: Unshard.apply(shard, rows[name]) for name, shard in shards.items()}
        out: Tensor = torch.func.functional_call(model, whole, (x_BI,))
        return out

    losses_S = losses_of(forward, shards.values(), cfg.steps, cfg.share, device)
    return losses_S


def sharded(model: Stack, mesh: DeviceMesh, **options: Any) -> Stack:
    """Wrap every block, then the whole: each call makes one group of parameters that is gathered, and let go, together."""
    for block in model.blocks:
        fully_shard(block, mesh=mesh, **options)
    fully_shard(model, mesh=mesh, **options)
    return model


def all_ranks(device: torch.device) -> DeviceMesh:
    return init_device_mesh(device.type, (dist.get_world_size(),))


def losses_by_fsdp(cfg: Config, device: torch.device, offload: bool = False) -> Tensor:
    """Train under `fully_shard`, which does the same for block after block.

    A block's weights are gathered before its forward pass, let go after it, and gathered again for its backward pass. With
    `CPUOffloadPolicy` the shards and the optimizer live in the CPU's memory, and visit the GPU to be gathered.
    """
    options = {"offload_policy": CPUOffloadPolicy(pin_memory=False)} if offload else {}
    model = sharded(Stack(cfg.blocks, WIDTH, cfg.hidden).to(device), all_ranks(device), **options)
    losses_S = losses_of(model, model.parameters(), cfg.steps, cfg.share, device)
    return losses_S


def predicted_bytes(model: nn.Module, ranks: int, rank: int) -> tuple[int, int]:
    """Predict a rank's bytes of weights, and the bytes that it makes room for: the chunk rule, summed over the parameters."""
    bytes_of_a_row = [weight.nbytes // len(weight) for weight in model.parameters()]
    rows = [rows_of(len(weight), ranks, rank) for weight in model.parameters()]
    held = sum(size * held for size, (held, _) in zip(bytes_of_a_row, rows, strict=True))
    room = sum(size * room for size, (_, room) in zip(bytes_of_a_row, rows, strict=True))
    return held, room


def local(tensor: Tensor) -> Tensor:
    """Return this rank's part of a tensor that may be sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def bytes_held(model: Stack, mesh: DeviceMesh, device: torch.device) -> Held:
    """Count the bytes that a rank holds after one step of Adam.

    Weights, gradients and the two moments are DTensors, of which each rank holds its rows. Adam's step counters are not
    sharded: a number for each parameter, on every rank.
    """
    model = sharded(model.to(device), mesh)
    optimizer = torch.optim.AdamW(model.parameters())
    loss_of(model, torch.ones(4, model.blocks[0].up.in_features, dtype=torch.float64, device=device), torch.arange(4, device=device)).backward()
    optimizer.step()
    weights = [local(weight) for weight in model.parameters()]
    state = [value for entries in optimizer.state.values() for value in entries.values()]
    return Held(
        weights=sum(weight.nbytes for weight in weights),
        room=sum(weight.untyped_storage().nbytes() for weight in weights),
        gradients=sum(local(weight.grad).nbytes for weight in model.parameters() if weight.grad is not None),
        moments=sum(local(value).nbytes for value in state if isinstance(value, DTensor)),
        counters=sum(value.nbytes for value in state if not isinstance(value, DTensor)),
    )


def run(cfg: Config, lab: Lab) -> None:
    rank, size, device = lab.world.rank, lab.world.size, lab.world.device
    mesh = all_ranks(device)
    cases = [(rows, ranks) for rows in range(1, 41) for ranks in range(1, 9)]
    cut = [[lab.step(rows_of, rows, ranks, place)[0] for place in range(ranks)] for rows, ranks in cases]
    chunks = [[len(chunk) for chunk in torch.arange(rows).chunk(ranks)] for rows, ranks in cases]
    by_torch = [[*held, *[0] * (ranks - len(held))] for held, (_, ranks) in zip(chunks, cases, strict=True)]
    lab.equal("44.chunks", "every rank's rows are those of `torch.chunk`", cut, by_torch)

    whole = torch.arange(cfg.hidden * 2.0, device=device).view(-1, 2)
    held, room = rows_of(len(whole), size, rank)
    own = whole[rank * room :][:held]
    lab.equal("44.gather", "the parts of all ranks are the whole", lab.step(gathered, own, len(whole)), whole)
    means = lab.step(scattered, whole * (rank + 1)), own * (size + 1) / 2
    lab.close("44.scatter", "each rank gets its rows of the mean", *means, tolerance=1e-3, because="float32: N sums of numbers below 2⁶·N")
    ddp_S, hand_S = lab.step(losses_by_ddp, cfg, device), lab.step(losses_by_hand, cfg, device)
    fsdp_S, offloaded_S = lab.step(losses_by_fsdp, cfg, device), lab.step(losses_by_fsdp, cfg, device, offload=True)
    lab.close("44.by-hand", "sharded by hand, training has the losses of DDP", hand_S, ddp_S, tolerance=DIGITS, because=ROUNDING)
    lab.close("44.by-fsdp", "and so it has under `fully_shard`", fsdp_S, ddp_S, tolerance=DIGITS, because=ROUNDING)
    lab.close("44.offloaded", "and with the shards in the CPU's memory", offloaded_S, ddp_S, tolerance=DIGITS, because=ROUNDING)

    uneven, even = Stack(cfg.blocks, WIDTH, cfg.hidden), Stack(cfg.blocks, 8 * size, 16 * size)
    want, padded = lab.step(predicted_bytes, uneven, size, rank)
    held_here = lab.step(bytes_held, uneven, mesh, device)
    lab.bytes("44.weights", "a rank holds its rows of the weights", held_here.weights, want=want, because=CHUNKS)


MUTANTS = ()


if __name__ == "__main__":
    main(run, Config)
