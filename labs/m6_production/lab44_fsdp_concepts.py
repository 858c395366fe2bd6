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

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from labs.kit import Lab, Mutant, exercise, main
from labs.kit.checkpoints import Checkpoints, Sharded
from labs.kit.elsewhere import by_node_starter, events_of
from labs.kit.memory import peak_bytes
from labs.kit.tasks import Stack, batch_of, fingerprint, local, loss_of, share_of, weights_of, whole
from labs.kit.traffic import Traffic

# Shape letters: B batch, I inputs, P parameters, S steps.

WIDTH = 16  # inputs of the small models, whose blocks have `hidden` units
BUDGET = 12  # bytes that a rank has for each parameter of the large model; it needs 16
LARGE_BLOCKS = 12  # blocks of the model that is too large for one rank
DIGITS = 1e-12
ROUNDING = "float64: 16 digits, of which a few dozen sums in another order cost fewer than four"
CHUNKS = "the rows that the chunk rule gives to this rank"
TRAINING = "labs.m6_production.sharded_training"
ZERO_HIDDEN = 9  # hidden units of the blocks that DeepSpeed trains; of 313 parameters, so that one row and single parts are padded unlike
Event = dict[str, Any]


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
    everything = torch.cat(parts)[:rows]
    return everything


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


def sharded(model: Stack, mesh: DeviceMesh, keep: bool = False, **options: Any) -> Stack:
    """Wrap every block, then the whole: each call makes one group of parameters that is gathered, and let go, together."""
    for block in model.blocks:
        fully_shard(block, mesh=mesh, reshard_after_forward=not keep, **options)
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


def bytes_held(model: Stack, mesh: DeviceMesh, device: torch.device) -> Held:
    """Count the bytes that a rank holds after one step of Adam.

    Weights, gradients and the two moments are DTensors, of which each rank holds its rows. Adam's step counters are not
    sharded: a number for each parameter, on every rank.
    """
    model = sharded(model.to(device), mesh)
    optimizer = torch.optim.AdamW(model.parameters())
    loss_of(
        model, torch.ones(4, model.blocks[0].up.in_features, dtype=torch.float64, device=device), torch.arange(4, device=device)
    ).backward()
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


def some_inputs(device: torch.device) -> Tensor:
    return torch.ones(4, WIDTH, dtype=torch.float64, device=device, requires_grad=True)


def collectives(model: Stack, mesh: DeviceMesh, keep: bool, device: torch.device) -> list[int]:
    """Count the gathers on the way forward, the gathers on the way back, and the reduce-scatters, by torch's `CommDebugMode`.

    `reshard_after_forward=False` keeps a gathered block until its backward pass: no second gather, but more memory. Parameters
    that belong to no block are the root's: gathered first, needed until the end, and so never let go in between.
    """
    from torch.distributed.tensor.debug import CommDebugMode

    model = sharded(model.to(device), mesh, keep)
    with CommDebugMode() as forward:
        loss = model(some_inputs(device)).sum()
    with CommDebugMode() as backward:
        loss.backward()
    kinds = ((forward, "gather"), (backward, "gather"), (backward, "reduce_scatter"))
    counts = [sum(count for name, count in mode.get_comm_counts().items() if kind in str(name)) for mode, kind in kinds]
    return counts


def resident_bytes(model: Stack, mesh: DeviceMesh, keep: bool, device: torch.device) -> int:
    """Count the bytes of weights that a rank holds between the forward and the backward pass."""
    model = sharded(model.to(device), mesh, keep)
    out_BI = model(some_inputs(device))
    resident = sum(local(weight).nbytes for weight in model.parameters())
    out_BI.sum().backward()
    return resident


def order_of_gathers(model: Stack, mesh: DeviceMesh, ahead: bool, device: torch.device) -> list[str]:
    """Note in which order gathers start and blocks compute on the way forward.

    A gather that starts only when its block is due can hide behind nothing but the block before, which still computes on the
    GPU. `set_modules_to_forward_prefetch` starts the next block's gather first. On the way back FSDP does so by itself.
    """
    model = sharded(model.to(device), mesh)
    order: list[str] = []
    with Traffic() as traffic:
        for place, block in enumerate(model.blocks):
            block.up.register_forward_pre_hook(lambda module, args, place=place: traffic.log.append((f"block {place}", 0)))
            if ahead and place + 1 < len(model.blocks):
                block.set_modules_to_forward_prefetch([model.blocks[place + 1]])
        model(some_inputs(device))
    order = [what for what, _ in traffic.log]
    return order


def gathered_bytes(model: Stack, mesh: DeviceMesh, dtype: torch.dtype, device: torch.device) -> list[int]:
    """Count the bytes that a rank puts into each gather where the blocks compute in another type.

    The shards stay as they are, and the optimizer works on them. What is gathered is converted before it is sent, so
    bfloat16 saves traffic as well as time. `reduce_dtype` says in which type gradients are summed.
    """
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    model = sharded(model.to(device), mesh, mp_policy=policy)
    with Traffic() as traffic:
        model(some_inputs(device))
    sent = [size for what, size in traffic.log if what == "gather"]
    return sent


def accumulated(model: Stack, mesh: DeviceMesh, batches: int, quiet: bool, device: torch.device) -> tuple[int, Tensor]:
    """Accumulate gradients over several batches, and count the reduce-scatters that it takes.

    `set_requires_gradient_sync(False)` is FSDP's `no_sync`. It has a price that DDP's lacks: until the last batch every rank
    holds gradients of the whole model.
    """
    model = sharded(model.to(device), mesh)
    with Traffic() as traffic:
        for batch in range(batches):
            model.set_requires_gradient_sync(not quiet or batch == batches - 1)
            loss_of(model, *share_of(batch, 8, device)).backward()
    gradients = [whole(weight.grad).flatten() for weight in model.parameters() if weight.grad is not None]
    return traffic.count("reduce-scatter"), torch.cat(gradients)


def clipped(model: Stack, mesh: DeviceMesh, limit: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Clip gradients by their norm, and return that norm and this rank's part of the clipped gradients.

    No rank can know the norm alone: it is the root of all ranks' squares. `clip_grad_norm_` sums them, and returns a DTensor,
    whose `full_tensor()` is the number.
    """
    model = sharded(model.to(device), mesh)
    loss_of(model, *share_of(0, 8, device)).backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), limit)
    own_P = torch.cat([local(weight.grad).flatten() for weight in model.parameters() if weight.grad is not None])
    return norm, own_P


def clipped_alone(model: Stack, samples: int, limit: float, device: torch.device) -> Tensor:
    """Return the norm that one rank finds with the whole batch and the whole model."""
    model = model.to(device)
    loss_of(model, *batch_of(0, samples, device)).backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), limit)
    return norm


def started_on_meta(width: int, device: torch.device, mesh: DeviceMesh | None) -> Stack:
    """Describe a large model without making it, and make what this rank holds of it.

    On the meta device a tensor has a shape and no memory. Cut first, and only the rows of this rank ever exist. Initialise
    after that: `to_empty` makes room and leaves it as it is.
    """
    with torch.device("meta"):
        model = Stack(LARGE_BLOCKS, width, 4 * width, dtype=torch.float32)
    if mesh:
        sharded(model, mesh)
    model.to_empty(device=device)
    for weight in model.parameters():
        nn.init.uniform_(local(weight.detach()), -0.01, 0.01)
    return model


def peak_of_training(steps: int, width: int, mesh: DeviceMesh | None, device: torch.device) -> int:
    """Measure a rank's peak of memory while the large model is made and takes so many steps of Adam, in bytes.

    Weight, gradient and two moments in float32 are 16 bytes a parameter. Cut over N ranks that is 16/N, and what is gathered
    at a time comes on top: a few blocks, not the model.
    """

    def train() -> None:
        model = started_on_meta(width, device, mesh)
        optimizer = torch.optim.AdamW(model.parameters(), foreach=False)
        for _ in range(steps):
            model(torch.ones(1, width, device=device)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    peak = peak_bytes(train, str(device))
    return peak


def hybrid(cfg: Config, device: torch.device) -> tuple[Tensor, int]:
    """Shard within pairs of ranks, and copy between the pairs: losses, and a rank's bytes of weights.

    On a mesh of two axes `fully_shard` cuts along the last one and keeps copies along the first. So gathers stay within a
    node, whose links are fast, and only the gradients' sums go between nodes.
    """
    mesh = init_device_mesh(device.type, (dist.get_world_size() // 2, 2), mesh_dim_names=("copies", "shards"))
    model = sharded(Stack(cfg.blocks, WIDTH, cfg.hidden).to(device), mesh)
    losses_S = losses_of(model, model.parameters(), cfg.steps, cfg.share, device)
    return losses_S, sum(local(weight).nbytes for weight in model.parameters())


def undisturbed(cfg: Config, mesh: DeviceMesh, device: torch.device) -> Tensor:
    """Train from beginning to end, and return the weights."""
    model = sharded(Stack(cfg.blocks, WIDTH, cfg.hidden).to(device), mesh)
    optimizer = torch.optim.AdamW(model.parameters())
    for step in range(cfg.train_steps):
        train_step(model, optimizer, step, cfg.share, device)
    weights_P = weights_of(model)
    return weights_P


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, step: int, share: int, device: torch.device) -> None:
    optimizer.zero_grad()
    loss_of(model, *share_of(step, share, device)).backward()
    optimizer.step()


def trained_with_checkpoints(cfg: Config, kept: Checkpoints, mesh: DeviceMesh, device: torch.device) -> Tensor:
    """Train the same with checkpoints in the run folder, from wherever an earlier attempt has left one.

    Each rank writes its own rows with `torch.distributed.checkpoint`: nothing is gathered. Kill this run and give the same
    command with the same folder, as a cluster's queue does: it loads the newest checkpoint and loses a few steps at most.
    """
    model = sharded(Stack(cfg.blocks, WIDTH, cfg.hidden).to(device), mesh)
    optimizer = torch.optim.AdamW(model.parameters())
    form = Sharded(model, optimizer)
    for step in range(kept.resume(form), cfg.train_steps):
        train_step(model, optimizer, step, cfg.share, device)
        kept.after(step + 1, form)
        time.sleep(cfg.pause)
    weights_P = weights_of(model)
    return weights_P


def resharded() -> list[Event]:
    """Save on 2 ranks, and load on 1 and on 4, each in a group of processes of its own.

    A checkpoint says of every block of rows where in the whole it belongs. So a rank reads what it now needs, whoever wrote it.
    """
    with tempfile.TemporaryDirectory() as folder:
        groups = [events_of(by_node_starter(ranks), TRAINING, Path(folder), "--steps", "5") for ranks in (2, 1, 4)]
    return [event for group in groups for event in group]


def zero_stages() -> list[Event]:
    """Train under DeepSpeed's ZeRO-1, 2 and 3, on 2 ranks of a group of their own.

    bfloat16 weights compute; Adam works on a float32 master copy, of which each rank holds a part. ZeRO-1 shards no more than
    that, ZeRO-2 the gradients too, ZeRO-3 the weights too, as FSDP does.
    """
    with tempfile.TemporaryDirectory() as folder:
        events = events_of(by_node_starter(2), "labs.m6_production.zero_stages", Path(folder), "--hidden", str(ZERO_HIDDEN))
    return events


def predicted_zero(sizes: list[int], ranks: int, stage: int) -> tuple[int, int, int]:
    """Predict a rank's bytes under ZeRO: of weights that it holds whole, of its part of them, of its part of the master copy.

    ZeRO-1 and 2 lay all parameters in one row, padded until 2N divides it, and every rank holds it whole. ZeRO-3 cuts each
    parameter, flat, into N parts; with a persistence threshold of 0 it keeps none whole.
    """
    row = -(-sum(sizes) // (2 * ranks)) * 2 * ranks
    part, resident = row // ranks, 2 * row
    if stage == 3:
        part, resident = sum(-(-size // ranks) for size in sizes), 0
    return resident, 2 * part, 4 * part


def run(cfg: Config, lab: Lab) -> None:
    rank, size, device = lab.world.rank, lab.world.size, lab.world.device
    mesh = all_ranks(device)
    cases = [(rows, ranks) for rows in range(1, 41) for ranks in range(1, 9)]
    cut = [[lab.step(rows_of, rows, ranks, place)[0] for place in range(ranks)] for rows, ranks in cases]
    chunks = [[len(chunk) for chunk in torch.arange(rows).chunk(ranks)] for rows, ranks in cases]
    by_torch = [[*held, *[0] * (ranks - len(held))] for held, (_, ranks) in zip(chunks, cases, strict=True)]
    lab.equal("44.chunks", "every rank's rows are those of `torch.chunk`", cut, by_torch)

    rows_R2 = torch.arange(4.0 * size - 2, dtype=torch.float64, device=device).view(-1, 2)
    own_Q2 = rows_R2[2 * rank : 2 * rank + 2]
    lab.equal("44.gather", "the parts of all ranks are the whole", lab.step(gathered, own_Q2, len(rows_R2)), rows_R2)
    mean, want_mean = lab.step(scattered, rows_R2 * (rank + 1)), own_Q2 * (size + 1) / 2
    lab.close("44.scatter", "each rank gets its rows of the mean", mean, want_mean, tolerance=DIGITS, because=ROUNDING)
    ddp_S, hand_S = lab.step(losses_by_ddp, cfg, device), lab.step(losses_by_hand, cfg, device)
    fsdp_S, offloaded_S = lab.step(losses_by_fsdp, cfg, device), lab.step(losses_by_fsdp, cfg, device, offload=True)
    lab.close("44.by-hand", "sharded by hand, training has the losses of DDP", hand_S, ddp_S, tolerance=DIGITS, because=ROUNDING)
    lab.close("44.by-fsdp", "and so it has under `fully_shard`", fsdp_S, ddp_S, tolerance=DIGITS, because=ROUNDING)
    lab.close("44.offloaded", "and with the shards in the CPU's memory", offloaded_S, ddp_S, tolerance=DIGITS, because=ROUNDING)

    def small(entry: bool = False, dtype: torch.dtype = torch.float64) -> Stack:
        return Stack(cfg.blocks, WIDTH, cfg.hidden, entry=entry, dtype=dtype)

    want, room = lab.step(predicted_bytes, small(), size, rank)
    held = lab.step(bytes_held, small(), mesh, device)
    lab.bytes("44.weights", "a rank holds its rows of the weights", held.weights, want=want, because=CHUNKS)
    lab.bytes("44.padding", "in a storage with room for whole chunks", held.room, want=room, because="⌈rows/N⌉ rows of each parameter")
    lab.bytes("44.gradients", "and the same rows of the gradients", held.gradients, want=want, because=CHUNKS)
    lab.bytes("44.moments", "and of Adam's two moments", held.moments, want=2 * want, because=CHUNKS)
    lab.bytes(
        "44.counters", "but all of its counters", held.counters, want=4 * len([*small().parameters()]), because="a float32 a parameter"
    )
    even = Stack(cfg.blocks, 8 * size, 16 * size)
    part = lab.step(bytes_held, even, mesh, device)
    shares = [part.weights, part.gradients, part.moments // 2]
    total = sum(weight.nbytes for weight in Stack(cfg.blocks, 8 * size, 16 * size).parameters())
    lab.equal("44.even", "where N divides every dim 0, a rank holds an N-th of each", shares, [total // size] * 3)

    n = cfg.blocks
    calls, rooted, kept_calls = (
        lab.step(collectives, small(entry), mesh, keep, device) for entry, keep in ((False, False), (True, False), (False, True))
    )
    lab.equal("44.calls", "n blocks take n + n gathers and n reduce-scatters", calls, [n, n, n])
    lab.equal("44.root", "parameters of the root: one gather forward and one reduce-scatter more", rooted, [n + 1, n, n + 1])
    lab.equal("44.kept", "without resharding there is no second gather", kept_calls, [n, 0, n])
    resident, whole_bytes = lab.step(resident_bytes, small(), mesh, False, device), sum(weight.nbytes for weight in small().parameters())
    lab.bytes("44.let-go", "after its forward pass a block is let go", resident, want=want, because=CHUNKS)
    resident = lab.step(resident_bytes, small(), mesh, True, device)
    lab.bytes("44.resident", "without resharding the whole model stays", resident, want=whole_bytes, because="8 bytes a parameter")
    late, ahead = lab.step(order_of_gathers, small(), mesh, False, device), lab.step(order_of_gathers, small(), mesh, True, device)
    on_demand = [what for block in range(n) for what in ("gather", f"block {block}")]
    lab.equal("44.on-demand", "each gather starts when its block is due", late, on_demand)
    in_advance = ["gather", *(what for block in range(n - 1) for what in ("gather", f"block {block}")), f"block {n - 1}"]
    lab.equal("44.prefetch", "or, told so, before the block ahead of it", ahead, in_advance)
    bf16 = lab.step(gathered_bytes, small(), mesh, torch.bfloat16, device)
    block_room = predicted_bytes(small().blocks[0], size, rank)[1]
    lab.equal("44.bfloat16", "in bfloat16 a gather moves 2 bytes for each of 8", bf16, [block_room // 4] * n)
    loud, quiet = lab.step(accumulated, small(), mesh, 3, False, device), lab.step(accumulated, small(), mesh, 3, True, device)
    lab.equal("44.no-sync", "three batches without sync take n reduce-scatters, not 3n", [quiet[0], loud[0]], [n, 3 * n])
    lab.close("44.no-sync-gradient", "with the same gradient", quiet[1], loud[1], tolerance=DIGITS, because=ROUNDING)
    limit = 0.01
    (norm, own_P), alone = lab.step(clipped, small(), mesh, limit, device), clipped_alone(small(), 8 * size, limit, device)
    lab.equal("44.norm-dtensor", "the norm is a DTensor", type(norm).__name__, "DTensor")
    lab.close(
        "44.norm", "whose full tensor is the norm of the whole gradient", norm.full_tensor(), alone, tolerance=DIGITS, because=ROUNDING
    )
    squares = own_P.square().sum()
    dist.all_reduce(squares)
    lab.close(
        "44.clipped",
        "the clipped gradients of all ranks have the norm asked for",
        squares.sqrt(),
        limit,
        tolerance=1e-6 * limit,
        because="`clip_grad_norm_` divides by the norm + 10⁻⁶",
    )

    with torch.device("meta"):
        large = Stack(LARGE_BLOCKS, cfg.width, 4 * cfg.width, dtype=torch.float32)
    parameters, shards = sum(weight.numel() for weight in large.parameters()), predicted_bytes(large, size, rank)[1]
    start, whole_peak, peak = (lab.step(peak_of_training, steps, cfg.width, m, device) for steps, m in ((0, mesh), (2, None), (2, mesh)))
    rounding = "the shards, each in up to 511 bytes more where the allocator rounds up"
    lab.bytes(
        "44.meta",
        "a start on the meta device makes the shards and no more",
        start,
        at_least=shards,
        at_most=shards + 511 * 48,
        because=rounding,
    )
    budget = BUDGET * parameters
    lab.table(
        "Peak of memory in training, bytes",
        ["model", "parameters", "budget", "peak"],
        [("whole", parameters, budget, whole_peak), ("sharded", parameters, budget, peak)],
    )
    lab.bytes(
        "44.too-large",
        "whole, training takes more than the budget",
        whole_peak,
        at_least=16 * parameters,
        because="4 bytes each for weight, gradient and two moments; the budget is 12",
    )
    fits = "sharded, it stays under the budget on every rank"
    if lab.available("2 processes", {"44.fits": ("bytes", fits)}):
        lab.bytes("44.fits", fits, peak, at_most=budget, because="12 bytes a parameter; 16/N are held")

    copies, pairs = "pairs of ranks with copies train as DDP does", "and each rank holds half of the model"
    if size % 2:
        lab.not_measured(
            "needs an even number of processes, 4 or more", {"44.hybrid": ("close", copies), "44.hybrid-bytes": ("bytes", pairs)}
        )
    elif lab.available("4 processes", {"44.hybrid": ("close", copies), "44.hybrid-bytes": ("bytes", pairs)}):
        hybrid_S, held_in_pair = lab.step(hybrid, cfg, device)
        lab.close("44.hybrid", copies, hybrid_S, ddp_S, tolerance=DIGITS, because=ROUNDING)
        lab.bytes(
            "44.hybrid-bytes", pairs, held_in_pair, want=predicted_bytes(small(), 2, rank % 2)[0], because="the chunk rule for 2 ranks"
        )

    kept = lab.checkpoints(cfg.every)
    calm_P, kept_P = undisturbed(cfg, mesh, device), lab.step(trained_with_checkpoints, cfg, kept, mesh, device)
    same = "with checkpoints, training ends with the weights of an undisturbed one"
    if size <= 2:
        lab.equal("44.same", f"{same}, by hash", fingerprint(kept_P), fingerprint(calm_P))
    else:
        drift = 1e-11 * cfg.train_steps
        lab.close(
            "44.same", same, kept_P, calm_P, tolerance=drift, because="Adam's rate 10⁻³ · a rounding of 10⁻¹⁶ / its ε of 10⁻⁸, a step"
        )
    allowed = cfg.every * (kept.restarts + kept.passed_over)
    lab.count(
        "44.steps-done",
        "all attempts together lose no more than the steps since a checkpoint",
        kept.steps_done,
        at_least=cfg.train_steps,
        at_most=cfg.train_steps + allowed,
        unit="steps",
        because="one interval for each restart",
    )

    events = lab.step_on_first(resharded)
    begun, hashes = {event["ranks"]: event["begun"] for event in events}, [event["weights"] for event in events]
    lab.equal("44.resharded", "a checkpoint of 2 ranks loads on 1 and on 4", begun, {2: 0, 1: 5, 4: 5})
    lab.equal("44.resharded-same", "with the very weights that were saved", hashes, hashes[:1] * 7)

    columns, stages = "whole weights, part and master copy have the bytes predicted, at each stage", (1, 2, 3)
    released = "ZeRO-1 holds all gradients at once; from ZeRO-2 on a rank lets go of those that are reduced"
    if not all(lab.world.gather("deepspeed", find_spec("deepspeed") is not None)):
        lab.not_measured("needs the package deepspeed", {"44.zero": ("exact", columns), "44.zero-gradients": ("exact", released)})
        return
    events = [event for event in lab.step_on_first(zero_stages) if event["rank"] == 0]
    model = Stack(3, WIDTH, ZERO_HIDDEN, dtype=torch.float32)
    sizes = [weight.numel() for weight in model.parameters()]
    got = [(event["resident"], event["partition"], event["master"]) for event in events]
    rows = [(f"ZeRO-{stage}", *bytes_) for stage, bytes_ in zip(stages, got, strict=True)]
    fsdp = predicted_bytes(model, 2, 0)[0]
    lab.table(
        "Bytes on rank 0 of 2, between two steps",
        ["", "resident", "partition", "master copy"],
        [*rows, ("FSDP2", 0, fsdp, "the partition")],
    )
    lab.equal("44.zero", columns, got, [lab.step(predicted_zero, sizes, 2, stage) for stage in stages])
    all_at_once = [event["gradients"] >= 2 * sum(sizes) for event in events]
    lab.equal("44.zero-gradients", released, all_at_once, [True, False, False])


MUTANTS = ()


if __name__ == "__main__":
    main(run, Config)
