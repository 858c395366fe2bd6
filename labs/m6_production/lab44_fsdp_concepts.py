"""Lab 44 · FSDP concepts · Idea FSDP

Question:
    How do you train a model that does not fit on one card?

You will see:
    - Sharded training from nothing but an all-gather and a reduce-scatter, with the losses of DDP.
    - `fully_shard` at work, in a picture drawn from the run: each block is made whole and let go, twice.
    - What each of ZeRO's three cuts saves. Two of them send no more than DDP, the third 1.5 times as much.
    - A model that takes 16 bytes for each parameter, trained on ranks that have room for 12.
    - A training that goes on where it was killed, and a checkpoint of two ranks that loads on one and on all.

Run:
    make lab-44, or on two nodes: make lab-44 NODES=2 PROCS=2
    python -m labs.m6_production.lab44_fsdp_concepts --smoke
    torchrun --nproc-per-node=4 -m labs.m6_production.lab44_fsdp_concepts --smoke

Needs:
    3 processes or more, no GPU, 3 GiB of memory, 1 minute

Builds on:
    lab 43 for data-parallel training and the ring behind an all-reduce

Remember:
    A rank needs a whole weight only while its block computes; for the rest of the step some of the rows will
    do. An all-gather makes the weight whole, a reduce-scatter leaves each rank its rows of the mean gradient,
    and the optimizer never learns that there was more. Cutting moments and gradients is free. Cutting weights
    too sends 3(R−1)/R of the model in place of 2(R−1)/R, so do it where the model does not fit otherwise, and
    wrap each block by itself, since what is wrapped together is whole together. This lab does not show how
    messages hide behind computing; that takes a GPU. Next comes lab 45, which differentiates
    through an optimizer.

Sources:
    - S. Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", 2020,
      sections 5 and 7: https://arxiv.org/abs/1910.02054
    - Y. Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel", 2023, sections 3
      and 4: https://arxiv.org/abs/2304.11277
    - PyTorch documentation, fully_shard:
      https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html
    - PyTorch documentation, torch.distributed.checkpoint:
      https://docs.pytorch.org/docs/stable/distributed.checkpoint.html
    - DeepSpeed documentation, ZeRO: https://deepspeed.readthedocs.io/en/latest/zero3.html

Notebook:
    44_FSDP_Concepts.ipynb
"""

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

import labs.m6_production._lab44_helpers as helpers
import labs.m6_production._lab44_pictures as pictures
import labs.m6_production._lab44_tools as tools
from labs.kit import Lab, Tolerance, exercise, main, needs
from labs.kit.distributed.checkpoints import Checkpoints, ShardedState
from labs.kit.distributed.shards import held_by, local, own_rows, there_and_back, weights_of
from labs.kit.measure.memory import peak_tensor_bytes
from labs.kit.topics.tasks import Stack, fingerprint, loss_of, losses_of, share_of, steps_of

# Shape letters: B batch, I inputs, P parameters in a row, M rows of a parameter, Q rows of one rank, S steps.

OUTPUTS = 16  # of the small models, which take them for classes
SHARE = 8  # samples of a batch on each rank
STAGE_STEPS = 3  # training steps at each stage of ZeRO
LIMIT = 0.01  # norm that gradients are clipped to
BUDGET = 12  # bytes that a rank has for each parameter of the large model, which takes 16
LARGE_BLOCKS = 6  # blocks of that model
DIGITS = Tolerance(1e-12, "float64 keeps 16 digits; some dozens of sums in another order cost fewer than 4")
ADAM = "in each step a rounding of 10⁻¹⁶ is divided by Adam's ε of 10⁻⁸, or more, and times its rate of 10⁻³"


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    steps: int = 10  # training steps S whose losses are compared
    blocks: int = 3  # blocks of the small models
    hidden: int = 203  # hidden units of a block; odd, so that there is padding
    width: int = 256  # width of the model that is too large for one rank
    deepspeed: int = 3  # the last of its three ZeRO stages that DeepSpeed trains; 0 for none
    train_steps: int = 40  # steps of the training that writes checkpoints
    every: int = 5  # steps between two checkpoints
    pause: float = 0.0  # seconds of rest after each of these steps

    @classmethod
    def smoke(cls) -> "Config":
        return cls(steps=5, hidden=101, width=64, deepspeed=0, train_steps=8)

    def model(self, **options: Any) -> Stack:
        return Stack(self.blocks, OUTPUTS, self.hidden, **options)


@exercise(
    "Where 27 rows go to 4 ranks, the first three hold 7 and the last holds 6. Which division gives 7?",
    "All ranks make room for ⌈rows / ranks⌉ rows. They are filled in order, until no row is left.",
    "`room = -(-rows // ranks)`; before this rank stand `rank * room` rows; it holds what is left, but at "
    "most `room` and at least 0.",
    contract="""
        A parameter's `rows`, at least 1, are cut over `ranks` ranks. Return two ints for the rank of number
        `rank`, from 0 on: how many rows it holds, and for how many it, like all others, makes room.

        >>> rows_of(27, 4, 3), rows_of(5, 4, 3)
        ((6, 7), (0, 2))
        """,
    insight="No table says where a row lives. Row i is on rank i // room, which every rank can work out.",
)
def rows_of(rows: int, ranks: int, rank: int) -> tuple[int, int]:
    """Predict how many rows of a parameter a rank holds, and for how many it makes room.

    Every rank makes room for ⌈rows / ranks⌉ of them. The rooms are filled in the order of the ranks.
    """
    room = -(-rows // ranks)
    held = max(0, min(room, rows - rank * room))
    return held, room


def cut(cfg: Config, lab: Lab) -> None:
    """Which rows of a weight does each rank keep?

    A model of one billion parameters takes 16 GB before the first sample comes, if Adam trains it in float32:
    four bytes for each weight, four for its gradient, eight for Adam's two moments. DDP puts all of that on
    every card. Eight cards hold the same 16 GB eight times, and a model of 20 billion fits on none of them.

    The cure is to cut. Each of R ranks keeps some rows of every parameter, and the same rows of its gradient
    and moments. `fully_shard` cuts as `torch.chunk` does: each rank makes room for ⌈rows / R⌉ rows, and the
    rooms are filled in order until no row is left. 27 rows on 4 ranks become 7, 7, 7 and 6.

    Now cut a bias of 5 numbers. The room is ⌈5/4⌉ = 2, and the ranks hold 2, 2, 1 and 0. The last one holds
    nothing, and makes room for two numbers all the same, because an all-gather takes equally large pieces
    from all. What stays empty is called *padding*. It is fewer than R rows of a parameter.
    """
    lab.predict("44.chunks", *helpers.ASKED_OF_CHUNKS, answer="0")
    five = [lab.step(rows_of, 5, 4, rank) for rank in range(4)]
    lab.diagram("A bias of five numbers on four ranks", pictures.cut_rows(5, five))
    cases = [(rows, ranks) for rows in (1, 2, 5, 10, 27, 203) for ranks in (1, 2, 3, 4, 8, 17)]
    lab.equal(
        "44.chunks",
        "Every rank holds the rows that `torch.chunk` gives it, and makes room for as many as the first has.",
        [lab.step(rows_of, rows, ranks, rank) for rows, ranks in cases for rank in range(ranks)],
        [held for rows, ranks in cases for held in tools.rows_by_chunk(rows, ranks)],
        unit="ranks",
    )


@exercise(
    "An all-gather hands every rank the pieces of all. What must be true of the pieces' shapes?",
    "Pad your rows with zeros up to ⌈rows / R⌉. All padding then stands at the end of the whole.",
    "`padded[: len(tensor)] = tensor`; `dist.all_gather(parts, padded)` into a list of R empty tensors; then "
    "`torch.cat(parts)[:rows]`.",
    contract="""
        `tensor` has this rank's rows of a parameter, of any dtype and with any further dims: ⌈rows / R⌉ rows,
        on the last ranks fewer or none. It stays as it is. Return the whole parameter, all its `rows` rows,
        on every rank, after one all-gather of ⌈rows / R⌉ rows. With two ranks and `rows=3`, rank 0 comes with
        [1., 2.], rank 1 with [3.], and both get [1., 2., 3.]. With one rank:

        >>> gathered(torch.tensor([4.0, 5.0]), 2)
        tensor([4., 5.])
        """,
    insight="Filling the rooms in order puts all padding at the end of the whole: one slice removes it.",
)
def gathered(tensor: Tensor, rows: int) -> Tensor:
    """Put a whole parameter together from every rank's rows of it.

    `dist.all_gather(parts, tensor)` fills a list of R tensors, in the order of the ranks, all of one shape.
    """
    size = dist.get_world_size()
    padded = tensor.new_zeros(-(-rows // size), *tensor.shape[1:])
    padded[: len(tensor)] = tensor
    parts = [torch.empty_like(padded) for _ in range(size)]
    dist.all_gather(parts, padded)
    whole = torch.cat(parts)[:rows]
    return whole


@exercise(
    "Each rank has a gradient of the whole parameter, from its own share of the batch. Who needs which rows "
    "of the mean?",
    "Pad to R equal chunks of rows. A reduce-scatter sums them over the ranks; each rank gets its own chunk.",
    "`dist.reduce_scatter(mine, list(padded.chunk(R)))`; a rank keeps those of its ⌈rows / R⌉ rows that are "
    "no padding, divided by R.",
    contract="""
        `grad` is this rank's gradient of a whole parameter, of any shape with at least one row. It stays as
        it is. Return this rank's rows of the mean over all ranks, in the gradient's dtype, after one
        reduce-scatter; no row where the rank holds none. With two ranks, rank 0 comes with [2., 4., 6.] and
        rank 1 with [4., 8., 0.]; rank 0 gets [3., 6.], and rank 1 gets [3.]. With one rank:

        >>> scattered(torch.tensor([2.0, 4.0]))
        tensor([2., 4.])
        """,
    insight="This is half of DDP's all-reduce. The other half waits until the weights are needed again.",
)
def scattered(grad: Tensor) -> Tensor:
    """Average a whole gradient over all ranks, and keep the rows that belong to this one.

    `dist.reduce_scatter(out, parts)` sums R tensors of one shape over the ranks, and leaves the sum of the
    r-th in the `out` of rank r.
    """
    size, rank = dist.get_world_size(), dist.get_rank()
    room = -(-len(grad) // size)
    padded = grad.new_zeros(room * size, *grad.shape[1:])
    padded[: len(grad)] = grad
    mine = torch.empty_like(padded[:room])
    dist.reduce_scatter(mine, list(padded.chunk(size)))
    own = mine[: max(0, len(grad) - rank * room)] / size
    return own


BY_HAND = (gathered, scattered)  # the lab's own, whoever's are judged


def losses_by_hand(cfg: Config, device: torch.device) -> Tensor:
    """Train with some rows of each parameter on each rank, and gather the whole only to compute with it.

    `there_and_back(shard, gathered, scattered, rows)` is `gathered(shard, rows)`, and on the way back its
    gradient goes through `scattered`.
    """
    model = cfg.model().to(device)
    rows = {name: len(weight) for name, weight in model.named_parameters()}
    shards = {name: own_rows(weight).requires_grad_() for name, weight in model.named_parameters()}

    def forward(x_BI: Tensor) -> Tensor:
        parts = shards.items()
        whole = {name: there_and_back(shard, gathered, scattered, rows[name]) for name, shard in parts}
        return torch.func.functional_call(model, whole, (x_BI,))  # type: ignore[no-any-return]

    losses_S = losses_of(forward, shards.values(), cfg.steps, SHARE, device)
    return losses_S


@needs("2 processes")
def by_hand(cfg: Config, lab: Lab) -> None:
    """Can a rank train that holds a third of every weight?

    Computing needs whole weights, and an update only the rows that one holds. So put the weights together
    just before they are used. An *all-gather* does that: every rank gives its rows, and every rank gets all.
    On the way back each rank has a gradient of the whole weight, from its own share of the batch. It needs
    the mean over all ranks, but only of its own rows, and a *reduce-scatter* does exactly that.

    Take 2 ranks and a weight of 3 numbers. Rank 0 holds two of them, rank 1 holds one and a place of padding.
    The gather gives both of them four numbers, the last of which is cut off. On the way back rank 0 has the
    gradient (2, 4, 6) and rank 1 has (4, 8, 0). Rank 0 gets the means (3, 6), rank 1 gets (3). Nobody ever
    has the mean gradient of the whole weight, and nobody misses it.

    Two functions are all that sharding takes. The optimizer is given rows, and its state is sharded for free.
    """
    device = lab.world.device
    whole, own = tools.parameters_to_gather(device)
    got = [lab.step(gathered, own_Q, len(whole_M)) for own_Q, whole_M in zip(own, whole, strict=True)]
    lab.equal(
        "44.gather",
        "The rows of all ranks, gathered, are the whole parameter on each of them.",
        [*tools.written_out(got), lab.step(helpers.messages_of, gathered, own[-1], len(whole[-1]))],
        [*tools.written_out(whole), tools.one_message("gather", whole[-1])],
        unit="parameters and messages",
    )
    grads, means = tools.gradients_to_scatter(device)
    mine = [lab.step(scattered, grad_M).round() for grad_M in grads]  # the means are whole numbers
    lab.equal(
        "44.scatter",
        "Each rank gets its own rows of the mean gradient.",
        [*tools.written_out(mine), lab.step(helpers.messages_of, scattered, grads[-1])],
        [*tools.written_out(means), tools.one_message("reduce-scatter", grads[-1])],
        unit="gradients and messages",
    )
    hand_S = lab.step(losses_by_hand, cfg, device)
    ddp_S = tools.losses_by_ddp(cfg.model().to(device), cfg.steps, SHARE, device)
    lab.close("44.by-hand", "Sharded by hand, training has the losses of DDP.", hand_S, ddp_S, within=DIGITS)
    lab.count(
        "44.learns",
        "Training brings the loss below that of a guess among all outputs.",
        hand_S[-1].item(),
        at_most=math.log(OUTPUTS),
        unit="nats",
        because="who gives each of 16 outputs the same chance pays ln 16 = 2.77",
    )


def sharded(model: Stack, mesh: DeviceMesh, *, keep: bool = False, **options: Any) -> Stack:
    """Wrap every block, then the whole: each call makes a group of parameters that come and go together."""
    for block in model.blocks:
        fully_shard(block, mesh=mesh, reshard_after_forward=not keep, **options)
    fully_shard(model, mesh=mesh, **options)
    return model


def watched_step(cfg: Config, device: torch.device, switch: str = "") -> helpers.Schedule:
    """Compute gradients under `fully_shard`, and note what is sent and which blocks are whole meanwhile.

    "keep" asks for `reshard_after_forward=False`. "entry" puts a layer before the blocks, which belongs to
    the root. With "half" weights are gathered in bfloat16, while a rank's rows of them stay in float32.
    """
    half = torch.bfloat16 if switch == "half" else None
    policy = MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32)
    model = cfg.model(entry=switch == "entry", dtype=torch.float32).to(device)
    model = sharded(model, tools.mesh_of(device), keep=switch == "keep", mp_policy=policy)
    x_BI, y_B = share_of(0, SHARE, device)
    with helpers.Schedule(model.blocks) as schedule:
        loss = loss_of(model, x_BI.float(), y_B)
        schedule.turn()
        loss.backward()
    return schedule


@needs("2 processes")
def come_and_go(cfg: Config, lab: Lab) -> None:
    """When is a block whole?

    The version by hand has a flaw. It gathers all weights at once, and autograd keeps them for the backward
    pass: at its worst moment it saves none of them. What is missing is an order in which they come and go.
    `fully_shard(block)` makes a group of a block's parameters. One all-gather makes them whole before the
    block computes, and after it their storage is emptied. The backward pass gathers them again; then the
    gradients leave by one reduce-scatter, and the storage is emptied once more.

    Is it not mad to throw away what one needs again? For the last block it is: its backward pass comes next.
    But between the two passes of the first block lies the whole step. A model of n blocks that keeps all of
    them holds n at the turn from forward to backward; one that lets go holds one. The second gather is the
    price.

    On the way back FSDP asks for the next block before it computes with this one, so that the message travels
    meanwhile. On a GPU both really happen at once; here the picture shows the order. A message can also be
    made shorter: with a `MixedPrecisionPolicy` the weights are converted before they are sent, and computed
    with in bfloat16, while the rows that the optimizer updates stay in float32.
    """
    lab.predict("44.let-go", *helpers.ASKED_OF_BLOCKS, answer="one or two")
    n, device = cfg.blocks, lab.world.device
    plain, kept = lab.step(watched_step, cfg, device), lab.step(watched_step, cfg, device, "keep")
    rooted, half = lab.step(watched_step, cfg, device, "entry"), lab.step(watched_step, cfg, device, "half")
    lab.diagram("A step: what is sent, what computes, what is whole", pictures.timeline_of(plain, n))
    lab.plot(*pictures.whole_weights(plain, kept), x_label="turn of computing", y_label="KiB")
    lab.equal(
        "44.calls",
        "A step over n blocks calls `all_gather` 2n times, n of them backward, and `reduce_scatter` n times; "
        "parameters outside the blocks add one call of each, and blocks that are kept need no second gather.",
        [plain.calls, rooted.calls, kept.calls],
        [(n, n, n), (n + 1, n, n + 1), (n, 0, n)],
        unit="models",
    )
    lab.equal(
        "44.let-go",
        "At most two blocks are whole at any time, however many there are; if they are kept, all are.",
        [max(plain.most) in (1, 2), max(kept.most)],
        [True, n],
        unit="ways",
        because=f"one computes, and one may have been fetched ahead; here {max(plain.most)} of {n} was whole",
    )
    lab.equal(
        "44.bfloat16",
        "A gather in bfloat16 sends half the bytes, and a reduce-scatter as many as before.",
        half.sizes("gather") + half.sizes("reduce-scatter"),
        [size // 2 for size in plain.sizes("gather")] + plain.sizes("reduce-scatter"),
        unit="messages",
        because="bfloat16 takes 2 bytes and float32 takes 4; gradients are still reduced in float32",
    )


def trained(cfg: Config, device: torch.device, *, cut: bool) -> helpers.Trained:
    """Train as on one card, by DDP or cut by `fully_shard`: nothing in the loop knows how the model is held.

    No rank alone knows the norm of the gradients, but `clip_grad_norm_` is told by their type that they are
    parts, and adds up the squares of all ranks.
    """
    plain = cfg.model().to(device)
    model = sharded(plain, tools.mesh_of(device)) if cut else tools.by_ddp(plain)
    optimizer = torch.optim.AdamW(model.parameters())
    for step in range(STAGE_STEPS):
        optimizer.zero_grad()
        with helpers.Meter() as meter:
            loss_of(model, *share_of(step, SHARE, device)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), LIMIT)
        optimizer.step()
    return helpers.Trained(weights_of(model), held_by(model, optimizer), meter.log, meter.wire)


def at_all_stages(cfg: Config, device: torch.device) -> dict[str, helpers.Trained]:
    """Train a few steps at every stage of ZeRO: under DDP, twice by hand, and under `fully_shard`."""
    batches = [share_of(step, SHARE, device) for step in range(STAGE_STEPS)]
    by_rows = helpers.Rows(*BY_HAND, LIMIT)
    runs = {
        "DDP": trained(cfg, device, cut=False),
        "ZeRO-1": by_rows.trained(cfg.model().to(device), batches, keep=True),
        "ZeRO-2": by_rows.trained(cfg.model().to(device), batches, keep=False),
        "ZeRO-3": trained(cfg, device, cut=True),
    }
    return runs


def ring_bytes(log: helpers.Log, ranks: int) -> int:
    """Price collectives as a ring does: the bytes that one rank sends.

    A gather passes pieces on R−1 times. A reduce-scatter sends R−1 of R chunks. An all-reduce does both.
    """
    sent = 0
    for kind, size in log:
        chunk = -(-size // ranks)
        sent += (ranks - 1) * {"gather": size, "reduce-scatter": chunk, "all-reduce": 2 * chunk}.get(kind, 0)
    return sent


@needs("2 processes")
def stages(cfg: Config, lab: Lab) -> None:
    """What does each cut save, and what does it cost?

    Under DDP weights, gradients and moments lie on every card. ZeRO, the paper behind FSDP, cuts them one
    after another. ZeRO-1 cuts the moments: a rank updates only its rows of each weight, and then the ranks
    gather the new weights. ZeRO-2 lets go of gradients as well, each as soon as it is reduced. ZeRO-3 cuts
    the weights too, and that is `fully_shard`. In units of one weight DDP holds 1 + 1 + 2 = 4. On 3 ranks
    ZeRO-1 holds 1 + 1 + 2/3, a third less; ZeRO-2 holds 1 + 1/3 + 2/3 = 2, and ZeRO-3 holds 4/3.

    What do they send? Let the weights be 12 MB. In the ring of lab 43 an all-gather sends 8 MB from each of 3
    ranks, (R−1)/R of the whole. A reduce-scatter sends 8 MB as well, and an all-reduce is one after the
    other. So DDP sends 16 MB. ZeRO-1 and ZeRO-2 send a reduce-scatter of gradients and a gather of weights,
    which is 16 MB again: the same two halves, with the update between them. Two of the three cuts are free.
    ZeRO-3 pays for its second gather: 24 MB.

    The gradients are clipped, and there lies a trap: no rank alone knows their norm. By hand one has to add
    up the squares of all ranks. Under `fully_shard` a gradient is a DTensor, which knows that it is a part,
    so the `clip_grad_norm_` of every tutorial does the right thing.
    """
    lab.predict("44.traffic", *helpers.ASKED_OF_TRAFFIC, answer="2.63 GB")
    device, rank, size = lab.world.device, lab.world.rank, lab.world.size
    runs = lab.step(at_all_stages, cfg, device)
    ddp_P, *others = [run.weights_P for run in runs.values()]
    lab.close(
        "44.by-fsdp",
        "ZeRO-1 and ZeRO-2 by hand, and `fully_shard`, end with the weights of DDP, with gradients clipped.",
        torch.stack(others),
        ddp_P.expand(len(others), -1),
        within=Tolerance(STAGE_STEPS * 1e-11, ADAM),
    )
    held = {name: run.held for name, run in runs.items()}
    lab.diagram("Bytes on rank 0 after a step", pictures.bars_of(held))
    cuts = [tools.rows_by_chunk(len(weight), size)[rank] for weight in cfg.model().parameters()]
    rule = [helpers.predicted_held(cfg.model(), cuts, stage) for stage in range(4)]
    theirs, their_rule = helpers.by_deepspeed(lab, cfg.deepspeed)
    lab.equal(
        "44.zero",
        "A rank holds its rows of what a stage of ZeRO cuts, and the whole of what it does not cut.",
        [*held.values(), *theirs],
        [*rule, *their_rule],
        unit="stages",
        because="a weight, a gradient and two moments for each parameter, whole or in the rows of part 1",
    )
    sent = [lab.step(ring_bytes, run.log, size) for run in runs.values()]
    whole, room = rule[0].room, rule[3].room
    lab.equal(
        "44.traffic",
        "A rank sends 2(R−1)/R of the model in a step of DDP, ZeRO-1 and ZeRO-2, and 3(R−1)/R under "
        "`fully_shard`.",
        sent,
        [(size - 1) * bytes_ for bytes_ in (2 * -(-whole // size), 2 * room, 2 * room, 3 * room)],
        unit="stages",
        because="gathers and reduce-scatters send R−1 rooms of ⌈rows/R⌉ rows, an all-reduce both",
    )
    lab.table("Bytes that rank 0 sends in a step, padding included", *pictures.sent_table(runs, sent, whole))
    lab.say(pictures.told_of_sockets(runs["ZeRO-3"].wire, sent[-1]))


def peak_of_training(width: int, device: torch.device, *, cut: bool, steps: int = 2) -> int:
    """Measure a rank's peak of memory while a large model is made and takes some steps of Adam, in bytes.

    On the *meta device* a tensor has a shape and no memory. The model is made there and cut there; `to_empty`
    then makes room, for this rank's rows where it was cut.
    """

    def train() -> None:
        model = Stack(LARGE_BLOCKS, width, 4 * width - 1, dtype=torch.float32, device="meta")
        model = sharded(model, tools.mesh_of(device)) if cut else model
        model = model.to_empty(device=device)
        for weight in model.parameters():
            nn.init.uniform_(local(weight.detach()), -0.01, 0.01)
        optimizer = torch.optim.AdamW(model.parameters(), foreach=False)
        for _ in range(steps):
            out_BI = model(torch.randn(4, width, device=device))
            nn.functional.cross_entropy(out_BI, torch.arange(4, device=device)).backward()
            optimizer.step()
            optimizer.zero_grad()

    torch.ones(1, 1, device=device) @ torch.ones(1, 1, device=device)  # on a GPU cuBLAS makes room for itself
    return peak_tensor_bytes(train, str(device))


@needs("2 processes")
def too_large(cfg: Config, lab: Lab) -> None:
    """Does the model train that did not fit?

    Take cards that have room for 12 bytes a parameter. A model that Adam trains in float32 needs 16, so DDP
    runs out of memory in its first step. Cut over R ranks it needs 16/R, and room for what is whole at the
    moment: weights of a block or two, messages, gradients. With 6 blocks each of these is 2/3 of a byte.

    One thing is easily overlooked. If you make the whole model first and cut it then, you need room for all
    of it once, and cutting comes too late. So make it on the *meta device*, where tensors have shapes and no
    memory, cut that, and only then ask for memory. Each rank gets its rows, and fills them itself.

    The figures below are the most bytes that the tensors of a rank took at once, looked at after each
    operation, from the line that makes the model to the end of the last step.
    """
    device, width = lab.world.device, cfg.width
    whole = lab.step(peak_of_training, width, device, cut=False)
    begun = lab.step(peak_of_training, width, device, cut=True, steps=0)
    peak = lab.step(peak_of_training, width, device, cut=True)
    model = Stack(LARGE_BLOCKS, width, 4 * width - 1, device="meta")
    count = sum(weight.numel() for weight in model.parameters())
    own = sum(own_rows(weight).numel() for weight in model.parameters())
    named = {"whole, two steps": whole, "cut, not begun": begun, "cut, two steps": peak}
    rows = [(name, bytes_, bytes_ / count) for name, bytes_ in named.items()]
    lab.table(f"Peak of memory for {count:,} parameters, on rank 0", ["", "bytes", "a parameter"], rows)
    lab.bytes(
        "44.fits",
        "A model that takes 16 bytes for each parameter trains in 12 on each rank when it is cut over all.",
        peak,
        at_least=16 * own,
        at_most=BUDGET * count,
        because="16 bytes a parameter for its own rows, and a few of 6 blocks at 4 bytes a parameter",
    )


def trained_with_checkpoints(cfg: Config, kept: Checkpoints, device: torch.device) -> Tensor:
    """Train with checkpoints in the run folder, from wherever an earlier attempt has left one.

    Each rank writes its own rows by `torch.distributed.checkpoint`; nothing is gathered.
    """
    model = sharded(cfg.model().to(device), tools.mesh_of(device))
    optimizer = torch.optim.AdamW(model.parameters())
    state = ShardedState(model, optimizer)
    first = kept.resume(state)
    for done in steps_of(model, optimizer, range(first, cfg.train_steps), SHARE, device):
        kept.after(done, state)
        time.sleep(cfg.pause)
    return weights_of(model)


def goes_on(cfg: Config, lab: Lab) -> None:
    """What if ranks die, or if there are fewer of them tomorrow?

    A model that fits on no card cannot be handed to one rank for writing either. So every rank writes its own
    rows, and beside them stands which rows of which parameter lie in which file. This run does so every few
    steps. Kill it in the middle and give the same command for the same folder: it finds the newest checkpoint
    that is whole, and repeats what came after, at most the steps between two checkpoints.

    Tomorrow there may be another number of ranks, and then no rank finds "its" file. It does not need one: it
    knows which rows it holds now, looks up where they lie, and reads them. A weight of 5 rows that two ranks
    wrote as 3 and 2 is read by three ranks as 2, 2 and 1. Adam's moments go along. This is *resharding*.

    Is a resumed training really the same? With two ranks it is, to the last bit. With more, a sum may be
    taken in another order, and the weights agree as far as rounding allows.
    """
    device, size = lab.world.device, lab.world.size
    kept = lab.checkpoints(cfg.every)
    ours_P = lab.step(trained_with_checkpoints, cfg, kept, device)
    calm_P = lab.step(trained_with_checkpoints, replace(cfg, pause=0.0), Checkpoints(None, 1), device)
    lab.equal(
        "44.same",
        "Training with checkpoints ends with the very bits of a training that nothing disturbed.",
        fingerprint(ours_P),
        fingerprint(calm_P),
        because="two numbers have the same sum in either order",
        needs="2 processes or fewer",
    )
    ddp_P = tools.weights_by_ddp(cfg.model().to(device), cfg.train_steps, SHARE, device)
    slack = Tolerance(cfg.train_steps * 1e-11, ADAM)
    lab.close(
        "44.same-within", "Training with checkpoints ends with DDP's weights.", ours_P, ddp_P, within=slack
    )
    lab.count(
        "44.repeated",
        "Restarts repeat no more steps than lie between two checkpoints.",
        kept.steps_done - cfg.train_steps,
        at_least=0,
        at_most=cfg.every * (kept.restarts + kept.passed_over),
        unit="steps",
        because="one interval for each restart, and one for each checkpoint that was damaged",
    )
    saved = helpers.handed_on(cfg.model, sharded, min(2, size), {}, device)
    loaded = [helpers.handed_on(cfg.model, sharded, ranks, saved.files, device) for ranks in (1, size)]
    lab.equal(
        "44.resharded",
        "A checkpoint that two ranks wrote loads on one rank and on all, with the same weights and moments.",
        [*(copy.hash for copy in loaded), saved.numbers, saved.writers],
        [saved.hash, saved.hash, 3 * len(ours_P), 2],
        unit="hashes and counts",
        because="two files, with a weight and two moments for each parameter",
        needs="2 processes",
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (cut, by_hand, come_and_go, stages, too_large, goes_on):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
