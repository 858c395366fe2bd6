"""Lab 44 · FSDP concepts · Idea FSDP

Question:
    How do you train a model that does not fit on one card?

You will see:
    - Sharded training from nothing but all-gather and reduce-scatter, with the very losses of DDP; then `fully_shard`.
    - Weights, gradients and optimizer state on each rank, to the byte: ⌈rows / N⌉ rows of each parameter, padding beside it.
    - What it costs: two gathers and one reduce-scatter a block and step; and what trades memory for fewer, or smaller, ones.
    - A model of 16 bytes a parameter that trains on ranks with room for 12.
    - A training that goes on where it was killed; a checkpoint of 2 ranks on 1 and on 4; DeepSpeed's ZeRO-1, 2 and 3 beside it.

Run:
    make lab-44, or on two nodes: make lab-44 NODES=2 PROCS=2
    python -m labs.m6_production.lab44_fsdp_concepts --smoke
    torchrun --standalone --nproc-per-node=4 -m labs.m6_production.lab44_fsdp_concepts --smoke

Needs:
    2 processes or more, no GPU, 3 GiB of memory, 1 minute

Builds on:
    lab 43 for data-parallel training and all-reduce

Sources:
    - S. Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", SC 2020, arXiv:1910.02054, section 5
    - Y. Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel", VLDB 2023, arXiv:2304.11277, sections 3 and 4
    - PyTorch documentation: torch.distributed.fsdp.fully_shard; torch.distributed.checkpoint. DeepSpeed documentation: ZeRO

Notebook:
    44_FSDP_Concepts.ipynb
"""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from labs.kit import Lab, Mutant, exercise, main
from labs.kit.distributed.checkpoints import Checkpoints, ShardedState
from labs.kit.distributed.restart import judge
from labs.kit.distributed.shards import (
    Held,
    gradients_of,
    held_by,
    local,
    own_rows,
    there_and_back,
    weights_of,
    whole,
)
from labs.kit.distributed.subgroup import by_node_starter, events_apart, events_of
from labs.kit.measure.memory import peak_tensor_bytes
from labs.kit.measure.traffic import Sent, Traffic, counted
from labs.kit.topics.tasks import Stack, batch_of, loss_of, losses_of, share_of, steps_of

# Shape letters: B batch, I inputs, P parameters, R rows, Q rows of this rank, S steps.

BUDGET = 12  # bytes that a rank has for each parameter of the large model, which takes 16
LARGE_BLOCKS = 12  # blocks of that model
LIMIT = 0.01  # norm that gradients are clipped to
DIGITS = 1e-12
ROUNDING = "float64: 16 digits, of which a few dozen sums in another order cost fewer than four"
ONE_BLOCK = "rows that are padded are copied, at most a block at a time"
CHUNKS = "the rows that the chunk rule gives to this rank"
TRAINING, ZERO = "labs.m6_production.sharded_training", "labs.m6_production.zero_stages"
Event = dict[str, Any]


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    steps: int = 20  # training steps S whose losses are compared
    share: int = 8  # samples of a batch on each rank
    blocks: int = 3  # blocks of the small models
    hidden: int = 27  # hidden units of a block; odd, so that there is padding
    width: int = 384  # width of the model that is too large for one rank
    train_steps: int = 40  # steps of the training that writes checkpoints
    every: int = 5  # steps between two checkpoints
    pause: float = 0.0  # seconds of rest after each of these steps

    @classmethod
    def smoke(cls) -> "Config":
        return cls(steps=5, width=128, train_steps=12)

    def model(self, **options: Any) -> Stack:
        return Stack(self.blocks, hidden=self.hidden, **options)


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
    "dist.reduce_scatter(mine, list(padded.chunk(N))); of its ⌈rows / N⌉ rows a rank keeps those that are none of the padding, over N.",
)
def scattered(grad: Tensor) -> Tensor:
    """Average a whole gradient over all ranks, and keep the rows that belong to this one.

    It is the first half of lab 43's ring; the second half, the all-gather, waits until the weights are needed again.
    `dist.reduce_scatter(out, parts)` sums N tensors of one shape over the ranks, and leaves the r-th in rank r's `out`.
    """
    size, rank = dist.get_world_size(), dist.get_rank()
    room = -(-len(grad) // size)
    padded = grad.new_zeros(room * size, *grad.shape[1:])
    padded[: len(grad)] = grad
    mine = torch.empty_like(padded[:room])
    dist.reduce_scatter(mine, list(padded.chunk(size)))
    own = mine[: max(0, len(grad) - rank * room)] / size
    return own


def losses_by_hand(cfg: Config, device: torch.device) -> Tensor:
    """Train with a few rows of each parameter on each rank, and gather the whole only while it is used.

    Gather on the way forward, reduce and scatter on the way back: the whole idea. The optimizer sees shards, so its state is sharded.
    """
    model = cfg.model().to(device)
    rows = {name: len(weight) for name, weight in model.named_parameters()}
    shards = {name: own_rows(weight).requires_grad_() for name, weight in model.named_parameters()}

    def forward(x_BI: Tensor) -> Tensor:
        unsharded = {
            name: there_and_back(shard, gathered, scattered, rows[name]) for name, shard in shards.items()
        }
        return torch.func.functional_call(model, unsharded, (x_BI,))  # type: ignore[no-any-return]

    return losses_of(forward, shards.values(), cfg.steps, cfg.share, device)


def mesh_of(device: torch.device, copies: int = 1) -> DeviceMesh:
    """Return all ranks in a row; or, for *hybrid sharding*, in as many rows as there are to be copies of the model."""
    axes = (
        {"copies": copies, "shards": dist.get_world_size() // copies}
        if copies > 1
        else {"shards": dist.get_world_size()}
    )
    return init_device_mesh(device.type, tuple(axes.values()), mesh_dim_names=tuple(axes))


def sharded(model: Stack, mesh: DeviceMesh, keep: bool = False, **options: Any) -> Stack:
    """Wrap every block, then the whole: each call makes one group of parameters that is gathered, and let go, together."""
    for block in model.blocks:
        fully_shard(block, mesh=mesh, reshard_after_forward=not keep, **options)
    fully_shard(model, mesh=mesh, **options)
    return model


def losses_by_fsdp(cfg: Config, device: torch.device, offload: bool = False, copies: int = 1) -> Tensor:
    """Train under `fully_shard`, which does the same for block after block.

    A block's weights are gathered before its forward pass, let go after it, and gathered again for its backward pass. With
    `CPUOffloadPolicy` shards and optimizer live in the CPU's memory. On a mesh of two axes the last one cuts, and along the first
    there are copies: gathers can stay within a node, whose links are fast.
    """
    options: dict[str, Any] = {"offload_policy": CPUOffloadPolicy(pin_memory=False)} if offload else {}
    model = sharded(cfg.model(), mesh_of(device, copies), **options)
    return losses_of(model, model.parameters(), cfg.steps, cfg.share, device)


def predicted_bytes(model: nn.Module, ranks: int, rank: int) -> tuple[int, int]:
    """Predict a rank's bytes of weights, and of the room that they take, by the chunk rule."""
    held = room = 0
    for weight in model.parameters():
        rows = rows_of(len(weight), ranks, rank)
        held, room = (
            total + count * weight[0].nbytes for total, count in zip((held, room), rows, strict=True)
        )
    return held, room


def bytes_held(cfg: Config, device: torch.device, copies: int = 1, **options: int) -> Held:
    """Count the bytes that a rank holds after one step of Adam.

    Weights, gradients and the two moments are DTensors, of which each rank holds its rows. Adam's step counters are not
    sharded: a number for each parameter, on every rank.
    """
    model = sharded(cfg.model(**options), mesh_of(device, copies))
    optimizer = torch.optim.AdamW(model.parameters())
    model(model.example()).sum().backward()
    optimizer.step()
    return held_by(model, optimizer)


def one_step(
    cfg: Config,
    device: torch.device,
    entry: bool = False,
    keep: bool = False,
    ahead: bool = False,
    half: bool = False,
) -> Sent:
    """Take one step, and note what is sent: how often, in which order, how much.

    `reshard_after_forward=False` keeps a block gathered until its backward pass: no second gather, but more memory. Parameters
    of no block are the root's: gathered first, needed last, and not let go in between. `set_modules_to_forward_prefetch` starts
    a gather one block earlier, to hide it. `MixedPrecisionPolicy` converts what is gathered before it is sent; shards stay as they are.
    """
    from torch.distributed.tensor.debug import CommDebugMode

    policy = (
        MixedPrecisionPolicy(torch.bfloat16, reduce_dtype=torch.float32) if half else MixedPrecisionPolicy()
    )
    model = sharded(cfg.model(entry=entry), mesh_of(device), keep, mp_policy=policy)
    for block, following in zip(model.blocks, model.blocks[1:], strict=False):
        block.set_modules_to_forward_prefetch([following] if ahead else [])  # type: ignore[operator]
    with Traffic(model.blocks) as traffic, CommDebugMode() as forward:
        loss = model(model.example()).sum()
    resident = sum(local(weight).nbytes for weight in model.parameters())
    with CommDebugMode() as backward:
        loss.backward()
    return Sent(traffic, (counted(forward)[0], *counted(backward)), resident)


def accumulated(cfg: Config, quiet: bool, device: torch.device) -> tuple[int, Tensor]:
    """Accumulate gradients over three batches, and count the reduce-scatters that it takes.

    `set_requires_gradient_sync(False)` is FSDP's `no_sync`, at a price: until the last batch a rank holds whole gradients.
    """
    model = sharded(cfg.model(), mesh_of(device))
    with Traffic() as traffic:
        for batch in range(3):
            model.set_requires_gradient_sync(not quiet or batch == 2)  # type: ignore[operator]
            loss_of(model, *share_of(batch, 8, device)).backward()
    gradient_P = torch.cat([whole(gradient).flatten() for gradient in gradients_of(model)])
    return len(traffic.sizes("reduce-scatter")), gradient_P


def clipped(cfg: Config, cut: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """Clip gradients by their norm, and return that norm and the squares of this rank's part of them.

    No rank can know the norm alone: it is the root of all ranks' squares. `clip_grad_norm_` sums them, and returns a DTensor,
    whose `full_tensor()` is the number.
    """
    model = sharded(cfg.model(), mesh_of(device)) if cut else cfg.model().to(device)
    batch = share_of(0, 8, device) if cut else batch_of(0, 8 * dist.get_world_size(), device)
    loss_of(model, *batch).backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), LIMIT)
    squares = sum(local(gradient).square().sum() for gradient in gradients_of(model))
    return norm, torch.as_tensor(squares)


def peak_of_training(steps: int, width: int, cut: bool, device: torch.device) -> int:
    """Measure a rank's peak of memory while a large model is made and takes so many steps of Adam, in bytes.

    Weight, gradient and two moments in float32 are 16 bytes a parameter: 16/N when cut, and a few gathered blocks on top. On the
    meta device a tensor has a shape and no memory. The model is cut there; then `to_empty` makes room for this rank's rows.
    """

    def train() -> None:
        model = Stack(LARGE_BLOCKS, width, 4 * width, dtype=torch.float32, device="meta")
        model = (sharded(model, mesh_of(device)) if cut else model).to_empty(device=device)
        for weight in model.parameters():
            nn.init.uniform_(local(weight.detach()), -0.01, 0.01)
        optimizer = torch.optim.AdamW(model.parameters(), foreach=False)
        for _ in range(steps):
            model(model.example()).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    peak = peak_tensor_bytes(train, str(device))
    return peak


def trained_with_checkpoints(cfg: Config, kept: Checkpoints, device: torch.device) -> Tensor:
    """Train the same with checkpoints in the run folder, from wherever an earlier attempt has left one.

    Each rank writes its own rows by `torch.distributed.checkpoint`: nothing is gathered. Kill this run and give the same
    command with the same folder, as a cluster's queue does: it loads the newest checkpoint and repeats a few steps at most.
    """
    model = sharded(cfg.model(), mesh_of(device))
    optimizer = torch.optim.AdamW(model.parameters())
    form = ShardedState(model, optimizer)
    for done in steps_of(model, optimizer, range(kept.resume(form), cfg.train_steps), cfg.share, device):
        kept.after(done, form)
        time.sleep(cfg.pause)
    return weights_of(model)


def continued(ranks: int, files: dict[str, bytes]) -> tuple[list[Event], dict[str, bytes]]:
    """Train to step 5 on so many ranks, in a group of their own, from a checkpoint where there is one; return its files too.

    Then one rank goes on alone. A checkpoint says of every block of rows where it belongs; a rank reads what it needs, whoever wrote it.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "checkpoints", "step-000005")
        for name, content in files.items():
            place.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        events = events_of(by_node_starter(ranks), TRAINING, Path(folder), "--steps", "5")
        left = {path.name: path.read_bytes() for path in place.iterdir()}
    return events, left


def zero_stages(hidden: int) -> list[Event]:
    """Train under DeepSpeed's ZeRO-1, 2 and 3, on 2 ranks of a group of their own.

    bfloat16 weights compute; Adam works on a float32 master copy, of which each rank holds a part. ZeRO-1 shards no more than
    that, ZeRO-2 the gradients too, ZeRO-3 the weights too, as FSDP does.
    """
    events = events_apart(by_node_starter(2), ZERO, "--hidden", str(hidden))
    return [event for event in events if event["rank"] == 0]


def predicted_zero(sizes: list[int], ranks: int, stage: int) -> tuple[int, int, int]:
    """Predict a rank's bytes under ZeRO: weights that it holds whole, its part of them, its part of the master copy.

    ZeRO-1 and 2 lay all parameters in one row, padded until 2N divides it, and held whole. ZeRO-3 cuts each, flat, into N parts.
    """
    row = -(-sum(sizes) // (2 * ranks)) * 2 * ranks
    part, resident = row // ranks, 2 * row
    if stage == 3:
        part, resident = sum(-(-size // ranks) for size in sizes), 0
    return resident, 2 * part, 4 * part


def run(cfg: Config, lab: Lab) -> None:
    rank, size, device, n, w = lab.world.rank, lab.world.size, lab.world.device, cfg.blocks, cfg.width
    cases = [(rows, ranks) for rows in range(1, 41) for ranks in range(1, 9)]
    cut = [
        [own for place in range(ranks) if (own := lab.step(rows_of, rows, ranks, place)[0])]
        for rows, ranks in cases
    ]
    chunks = [[len(chunk) for chunk in torch.arange(rows).chunk(ranks)] for rows, ranks in cases]
    lab.equal("44.chunks", "every rank's rows are those of `torch.chunk`", cut, chunks)
    all_R = torch.arange(2.0 * size - 1, dtype=torch.float64, device=device)
    own_Q = all_R[2 * rank : 2 * rank + 2]
    lab.equal(
        "44.gather", "the parts of all ranks are the whole", lab.step(gathered, own_Q, len(all_R)), all_R
    )
    mean_Q, want_Q = lab.step(scattered, all_R * (rank + 1)), own_Q * (size + 1) / 2
    lab.close(
        "44.scatter",
        "each rank gets its rows of the mean",
        mean_Q,
        want_Q,
        tolerance=DIGITS,
        because=ROUNDING,
    )
    ddp, hand_S = DistributedDataParallel(cfg.model().to(device)), lab.step(losses_by_hand, cfg, device)
    ddp_S = losses_of(ddp, ddp.parameters(), cfg.steps, cfg.share, device)
    lab.close(
        "44.by-hand",
        "sharded by hand, training has the losses of DDP",
        hand_S,
        ddp_S,
        tolerance=DIGITS,
        because=ROUNDING,
    )
    fsdp_S, away_S = (lab.step(losses_by_fsdp, cfg, device, offload) for offload in (False, True))
    lab.close(
        "44.by-fsdp", "and so it has under `fully_shard`", fsdp_S, ddp_S, tolerance=DIGITS, because=ROUNDING
    )
    lab.close(
        "44.offloaded",
        "and with the shards in the CPU's memory",
        away_S,
        ddp_S,
        tolerance=DIGITS,
        because=ROUNDING,
    )
    alike, part = (
        "and with copies of a model that is cut over 2 ranks",
        "of which a rank then holds a larger part",
    )
    if lab.available(
        f"{max(4, size + size % 2)} processes",
        {"44.hybrid": ("close", alike), "44.hybrid-bytes": ("bytes", part)},
    ):
        copies_S = lab.step(losses_by_fsdp, cfg, device, copies=size // 2)
        lab.close("44.hybrid", alike, copies_S, ddp_S, tolerance=DIGITS, because=ROUNDING)
        larger, want = (
            bytes_held(cfg, device, copies=size // 2).weights,
            predicted_bytes(cfg.model(), 2, rank % 2)[0],
        )
        lab.bytes("44.hybrid-bytes", part, larger, want=want, because=CHUNKS)
    (want, room), held = lab.step(predicted_bytes, cfg.model(), size, rank), lab.step(bytes_held, cfg, device)
    everything, counters = predicted_bytes(cfg.model(), 1, 0)[0], 4 * len(list(cfg.model().parameters()))
    lab.bytes("44.weights", "a rank holds its rows of the weights", held.weights, want=want, because=CHUNKS)
    lab.bytes(
        "44.padding",
        "in a storage that has room for whole chunks",
        held.room,
        want=room,
        because="⌈rows/N⌉ rows of each",
    )
    lab.bytes("44.gradients", "and the same rows of the gradients", held.gradients, want=want, because=CHUNKS)
    lab.bytes("44.moments", "and of Adam's two moments", held.moments, want=2 * want, because=CHUNKS)
    lab.bytes(
        "44.counters",
        "but all step counters",
        held.counters,
        want=counters,
        because="a float32 for each parameter",
    )
    even, width = replace(cfg, hidden=16 * size), 8 * size
    share, held = (
        predicted_bytes(even.model(width=width), 1, 0)[0] // size,
        lab.step(bytes_held, even, device, width=width),
    )
    lab.equal(
        "44.even",
        "where N divides every dim 0, a rank holds an N-th of each",
        held[:4],
        (share, share, share, 2 * share),
    )

    plain, rooted = lab.step(one_step, cfg, device), lab.step(one_step, cfg, device, entry=True)
    kept_whole, early = (
        lab.step(one_step, cfg, device, keep=True),
        lab.step(one_step, cfg, device, ahead=True),
    )
    lab.equal("44.calls", "n blocks take n + n gathers and n reduce-scatters", plain.calls, (n, n, n))
    lab.equal(
        "44.root",
        "parameters of the root: one gather forward and one reduce-scatter more",
        rooted.calls,
        (n + 1, n, n + 1),
    )
    lab.equal("44.kept", "without resharding there is no second gather", kept_whole.calls, (n, 0, n))
    lab.bytes(
        "44.let-go",
        "between the passes a rank holds its rows alone",
        plain.resident,
        want=want,
        because=CHUNKS,
    )
    lab.bytes(
        "44.resident",
        "without resharding, everything",
        kept_whole.resident,
        want=everything,
        because="8 bytes a parameter",
    )
    due = [what for block in range(n) for what in ("gather", f"block {block}")]
    lab.equal("44.due", "a gather starts when its block is due", plain.log.order, due)
    lab.equal("44.early", "or, told so, one block earlier", early.log.order, ["gather", *due[:-2], due[-1]])
    halved, block_room = (
        lab.step(one_step, cfg, device, half=True),
        predicted_bytes(cfg.model().blocks[0], size, rank)[1],
    )
    lab.equal(
        "44.bfloat16",
        "in bfloat16 a gather moves 2 bytes for 8",
        halved.log.sizes("gather"),
        [block_room // 4] * n,
    )
    (often, loud_P), (once, quiet_P) = (lab.step(accumulated, cfg, quiet, device) for quiet in (False, True))
    lab.equal(
        "44.no-sync", "three batches without sync take n reduce-scatters, not 3n", (once, often), (n, 3 * n)
    )
    lab.close(
        "44.no-sync-gradient", "with the same gradient", quiet_P, loud_P, tolerance=DIGITS, because=ROUNDING
    )
    (norm, squares), (alone, _) = lab.step(clipped, cfg, True, device), lab.step(clipped, cfg, False, device)
    total = sum(lab.world.gather("squares", squares.item())) ** 0.5
    lab.equal("44.dtensor", "the norm of sharded gradients is a DTensor", type(norm).__name__, "DTensor")
    lab.close(
        "44.norm",
        "whose full tensor is the norm of the whole",
        whole(norm),
        alone,
        tolerance=DIGITS,
        because=ROUNDING,
    )
    lab.close(
        "44.clipped",
        "clipped, they have the norm asked for",
        total,
        LIMIT,
        tolerance=1e-6,
        because="torch adds 10⁻⁶",
    )

    start, most, peak = (
        lab.step(peak_of_training, *how, device) for how in ((0, w, True), (2, w, False), (2, w, True))
    )
    large = Stack(LARGE_BLOCKS, w, 4 * w, dtype=torch.float32, device="meta")
    parameters, (_, shards) = predicted_bytes(large, 1, 0)[0] // 4, predicted_bytes(large, size, rank)
    rows = [
        (name, parameters, BUDGET * parameters, bytes_)
        for name, bytes_ in (("whole", most), ("sharded", peak))
    ]
    lab.table("Memory at its peak, bytes on rank 0", ["model", "parameters", "budget", "peak"], rows)
    extra, fits = shards + shards // LARGE_BLOCKS, "sharded, it stays under the budget on every rank"
    lab.bytes(
        "44.meta",
        "a start on the meta device makes the shards alone",
        start,
        at_least=shards,
        at_most=extra,
        because=ONE_BLOCK,
    )
    lab.bytes(
        "44.too-large",
        "training the whole takes more than the budget",
        most,
        at_least=16 * parameters,
        because="it is 12, not 16",
    )
    if lab.available("2 processes", {"44.fits": ("bytes", fits)}):
        lab.bytes(
            "44.fits", fits, peak, at_most=BUDGET * parameters, because="16/N + a few blocks of 4/12 < 12"
        )
    kept, calm = lab.checkpoints(cfg.every), sharded(cfg.model(), mesh_of(device))
    _ = [*steps_of(calm, torch.optim.AdamW(calm.parameters()), range(cfg.train_steps), cfg.share, device)]
    ours_P, calm_P = lab.step(trained_with_checkpoints, cfg, kept, device), weights_of(calm)
    rounding = "a step: Adam's rate 10⁻³ · a rounding of 10⁻¹⁶ / its ε of 10⁻⁸"
    judge(lab, kept, cfg.train_steps, ours_P, calm_P, tolerance=1e-11 * cfg.train_steps, because=rounding)
    saved, files = lab.step_on_first(continued, 2, {})
    events = saved + lab.step_on_first(continued, 4, files)[0]
    begun, hashes = (
        {event["ranks"]: event["begun"] for event in events},
        [event["weights"] for event in events],
    )
    lab.equal("44.resharded", "a checkpoint of 2 ranks loads on 1 and on 4", begun, {2: 0, 1: 5, 4: 5})
    lab.equal("44.resharded-same", "with the very weights that were saved", hashes, hashes[:1] * 8)
    columns, freed = (
        "ZeRO's bytes are those predicted, in each column",
        "from ZeRO-2 on gradients are let go once they are reduced",
    )
    if not lab.available(
        "the package deepspeed", {"44.zero": ("exact", columns), "44.zero-gradients": ("exact", freed)}
    ):
        return
    model = Stack(3, hidden=9, dtype=torch.float32)
    sizes, events = [weight.numel() for weight in model.parameters()], lab.step_on_first(zero_stages, 9)
    got = [(event["resident"], event["partition"], event["master"]) for event in events]
    stages = [
        *((f"ZeRO-{stage}", *bytes_) for stage, bytes_ in enumerate(got, 1)),
        ("FSDP2", 0, *[predicted_bytes(model, 2, 0)[0]] * 2),
    ]
    lab.table(
        "Bytes of weights on rank 0 of 2, between two steps",
        ["", "resident", "partition", "master copy"],
        stages,
    )
    lab.equal("44.zero", columns, got, [lab.step(predicted_zero, sizes, 2, stage) for stage in (1, 2, 3)])
    lab.equal(
        "44.zero-gradients",
        freed,
        [event["gradients"] < 2 * sum(sizes) for event in events],
        [False, True, True],
    )


MUTANTS = (
    Mutant("rounds down", rows_of, "-(-rows // ranks)", "max(1, rows // ranks)"),
    Mutant("never runs out of rows", rows_of, "max(0, min(room, rows - rank * room))", "room"),
    Mutant("cuts off the wrong end", gathered, "torch.cat(parts)[:rows]", "torch.cat(parts)[-rows:]"),
    Mutant(
        "gathers its own rows only", gathered, "dist.all_gather(parts, padded)", "parts = [padded] * size"
    ),
    Mutant("forgets to divide", scattered, "- rank * room)] / size", "- rank * room)] / 1"),
    Mutant(
        "adds no one else's",
        scattered,
        "dist.reduce_scatter(mine, list(padded.chunk(size)))",
        "mine.copy_(padded.chunk(size)[rank])",
    ),
    Mutant(
        "trains on its own",
        losses_by_fsdp,
        "sharded(cfg.model(), mesh_of(device, copies), **options)",
        "cfg.model().to(device)",
    ),
    Mutant(
        "holds everything",
        bytes_held,
        "sharded(cfg.model(**options), mesh_of(device, copies))",
        "cfg.model(**options).to(device)",
    ),
    Mutant(
        "has one moment", bytes_held, "AdamW(model.parameters())", "SGD(model.parameters(), momentum=0.9)"
    ),
    Mutant("never lets go", one_step, "mesh_of(device), keep", "mesh_of(device), True"),
    Mutant("always lets go", one_step, "mesh_of(device), keep", "mesh_of(device), False"),
    Mutant("always gathers ahead", one_step, "[following] if ahead else []", "[following]"),
    Mutant("never gathers ahead", one_step, "[following] if ahead else []", "[]"),
    Mutant("computes in float64", one_step, "if half", "if False"),
    Mutant("reduces every batch", accumulated, "not quiet or batch == 2", "True"),
    Mutant(
        "repeats a batch",
        accumulated,
        "share_of(batch, 8, device)",
        "share_of(batch * (not quiet), 8, device)",
    ),
    Mutant("takes the number", clipped, "LIMIT)", "LIMIT); norm = whole(norm)"),
    Mutant("clips by half", clipped, "LIMIT", "2 * LIMIT"),
    Mutant("takes other samples", clipped, "share_of(0", "share_of(1"),
    Mutant(
        "makes one group",
        peak_of_training,
        "sharded(model, mesh_of(device)) if",
        "fully_shard(model, mesh=mesh_of(device)) if",
    ),
    Mutant("starts whole", peak_of_training, 'device="meta"', "device=device"),
    Mutant("takes no step", peak_of_training, "range(steps)", "range(0)"),
    Mutant("skips a batch", trained_with_checkpoints, "kept.resume(form)", "kept.resume(form) + 1"),
    Mutant("loads nothing", continued, "in files.items()", "in ()"),
    Mutant("never cuts parameters", predicted_zero, "stage == 3", "False"),
    Mutant("trains a smaller model", zero_stages, "str(hidden)", "str(1)"),
)


if __name__ == "__main__":
    main(run, Config)
