"""Lab 43 · DDP concepts · Idea DDP

Question:
    How do gradients stay equal on every GPU?

You will see:
    - A sum over all ranks from nothing but send and receive: in a ring each rank sends 2(R−1)/R of its data,
      and no rank is a bottleneck.
    - R ranks with a share of the batch take the very steps of one process with the whole batch. Differences
      stay below 10⁻¹², the rounding of float64.
    - Gradients that travel in buckets while the backward pass still computes. You predict each bucket to the
      byte.
    - Data that do not come out even, a rank that stays away, a rank that is killed: what you see, and after
      how many seconds.
    - A training that is killed twice and ends with the very bits of one that never was.

Run:
    make lab-43, or on two nodes: make lab-43 NODES=2 PROCS=2
    python -m labs.m6_production.lab43_ddp_concepts --smoke
    torchrun --standalone --nproc-per-node=4 -m labs.m6_production.lab43_ddp_concepts --smoke

Needs:
    3 processes or more, no GPU, 3 GiB of memory, 1 minute

Builds on:
    lab 10 for what a backward pass is

Remember:
    Data-parallel training needs one thing: between the backward pass and the step every gradient becomes its
    mean over the ranks. A ring does that with 2(R−1)/R of the data sent by each rank; DDP does it bucket by
    bucket while the backward pass goes on. Collectives are matched by their order alone, so every rank has to
    make the same ones: most hangs come from an `if` that not all ranks pass. `no_sync` must stand around the
    forward pass too, `set_epoch` before every epoch, and a timeout of a minute or two in
    `init_process_group`. Use DDP as long as weights, gradients and optimizer state fit on one card. This lab
    does not show NCCL and its trees, nor what a real network costs. Lab 44 shards what DDP repeats on every
    rank.

Sources:
    - P. Patarasuk, X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009,
      sections 3 and 4: https://doi.org/10.1016/j.jpdc.2008.09.002
    - S. Li et al., "PyTorch Distributed", 2020, sections 3.2 and 4: https://arxiv.org/abs/2006.15704
    - P. Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2: https://arxiv.org/abs/1706.02677
    - PyTorch documentation, DistributedDataParallel:
      https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
    - PyTorch documentation, DDP communication hooks: https://docs.pytorch.org/docs/stable/ddp_comm_hooks.html
    - PyTorch documentation, generic Join: https://docs.pytorch.org/docs/stable/distributed.algorithms.join.html
    - PyTorch documentation, torchrun: https://docs.pytorch.org/docs/stable/elastic/run.html
    - PyTorch tutorial, the flight recorder:
      https://docs.pytorch.org/tutorials/unstable/flight_recorder_tutorial.html

Notebook:
    43_DDP_Concepts.ipynb
"""

import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from labs.kit import Lab, Tolerance, exercise, main
from labs.kit.distributed.checkpoints import Checkpoints, FullState
from labs.kit.distributed.shards import weights_of
from labs.kit.distributed.subgroup import by_node_starter, by_torchrun, events_of
from labs.kit.topics.tasks import fingerprint
from labs.m6_production import _lab43_pictures as pictures
from labs.m6_production._lab43_helpers import (
    Hook,
    Messages,
    after_backward,
    all_reduce_ms,
    all_reduced,
    distinct,
    gradient_by_formula,
    gradient_of_all,
    gradient_row,
    lone_gradient,
    loss_at,
    network,
    noted_passes,
    rows_of,
    sampled_epochs,
    share_of,
    skipped_collective,
    steps_done,
    trained_alone,
    two_passes,
    undisturbed,
    uneven_layers,
    whole_numbers,
)

# Shape letters: N elements, R ranks, B batch, I inputs, O outputs, S steps, P parameters.

MIB = 2**20
RATE = 0.05  # the learning rate
BATCHES = 4  # whose gradients are accumulated
TRAINING = "labs.m6_production.interrupted_training"
TRAINED_STEPS = 20  # of that training, which writes a checkpoint at every fifth
KILL_TIMEOUT_S = 60.0  # of its collectives
ROUNDING = "float64 keeps 16 digits, and adding some dozens of numbers in another order costs fewer than 4"
DIGITS = Tolerance(1e-12, ROUNDING)


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    elements: int = 3 * 2**18  # elements N that go round the ring; 2, 3, 4, 6 and 8 ranks divide them
    share: int = 7  # samples of a batch on each rank
    steps: int = 20  # training steps S
    rows: int = 512  # rows of the batch whose backward pass is drawn
    patience: float = 2.0  # timeout of the collective that one rank skips, in seconds
    train_steps: int = 40  # steps of the training that writes checkpoints
    every: int = 5  # steps between two checkpoints
    pause: float = 0.0  # seconds of rest after each of these steps

    @classmethod
    def smoke(cls) -> "Config":
        return cls(elements=3 * 2**10, steps=5, rows=64, patience=1.5, train_steps=12)


@exercise(
    "Cut the data into as many chunks as there are ranks, and let chunks travel. In each turn every rank "
    "sends one to the right and gets another from the left.",
    "For R−1 turns add what arrives to your own chunk. Then each rank holds one finished chunk. R−1 more "
    "turns hand those round, and what arrives takes the place of your own.",
    "Fill up with zeros to R chunks of ⌈N/R⌉. In turn t rank r sends chunk (r − t) mod R and receives chunk "
    "(r − t − 1) mod R. It adds while t < R − 1.",
    contract="""
        `x_N` is a row of any length and dtype on the CPU, as long on every rank; it stays as it is. Return on
        every rank the sum of all ranks' rows, with the row's length and dtype. Use `dist.isend(tensor,
        rank)`, which starts to send and returns a handle to `wait()` for, and `dist.recv(tensor, rank)`,
        which fills a tensor. Each rank sends 2(R−1) chunks of ⌈N/R⌉ elements. Two ranks that hold 1, 2, 3 and
        10, 20, 30 both return 11, 22, 33, and each sends two chunks of two elements.

        >>> ring_all_reduce(torch.tensor([1.5, 2.5]))
        tensor([1.5000, 2.5000])
        """,
    insight=(
        "Each half is a collective of its own: the first is a reduce-scatter, the second an all-gather. "
        "FSDP uses them one by one."
    ),
)
def ring_all_reduce(x_N: Tensor) -> Tensor:
    """Sum a row over all ranks by passing chunks round a ring.

    In turn t rank r sends chunk (r − t) mod R to the right and receives chunk (r − t − 1) mod R from the
    left.

        bytes sent by each rank = 2·(R − 1)·⌈N/R⌉·(bytes of an element)
    """
    rank, ranks = dist.get_rank(), dist.get_world_size()
    length = -(-len(x_N) // ranks)
    padded_N = torch.zeros(ranks * length, dtype=x_N.dtype)
    padded_N[: len(x_N)] = x_N
    chunks = list(padded_N.view(ranks, length))
    for turn in range(2 * (ranks - 1)):
        out, into = (rank - turn) % ranks, (rank - turn - 1) % ranks
        arriving = torch.empty_like(chunks[into])
        going = dist.isend(chunks[out], (rank + 1) % ranks)
        dist.recv(arriving, (rank - 1) % ranks)
        going.wait()  # type: ignore[union-attr]
        chunks[into] = chunks[into] + arriving if turn < ranks - 1 else arriving
    total_N = torch.cat(chunks)[: len(x_N)]
    return total_N


def ring_messages(x_N: Tensor) -> list[Tensor]:
    """Catch what this rank sends while a row goes round the ring, turn by turn."""
    with Messages() as messages:
        ring_all_reduce(x_N)
    return messages.sent


RING_GUESSES = {
    "0.25 GB": "That is what a rank sends in two of its 14 turns: a chunk is 1/8 GB.",
    "1.75 GB": "**Yes.** 14 turns of 1/8 GB. With 1000 ranks it would be 1.998 GB.",
    "7 GB": "That is the server's card. The ring is there to avoid it.",
    "8 GB": (
        "Each rank would send all of its data to all. `all_gather` followed by a sum does nearly that (7 "
        "GB), and needs room for all eight copies too."
    ),
}


def ring(cfg: Config, lab: Lab) -> None:
    """Sum over all ranks without a server

    After the backward pass each rank holds its own gradients, and all of them need the sum. The obvious way
    is a server: everybody sends to rank 0, rank 0 adds, rank 0 sends the result back. With 8 ranks and 1 GB
    of gradients 7 GB arrive at one network card and 7 GB leave it, while seven others wait. With twice the
    ranks it takes about twice as long.

    The ring has no such place. Put the R ranks in a circle and cut the data into R chunks. In every turn each
    rank sends one chunk to its right and receives one from its left. For R − 1 turns what arrives is *added*
    (after that each rank owns one finished chunk: this half is called *reduce-scatter*); for R − 1 more turns
    the finished chunks are *passed on* (the *all-gather*). All cards are busy in every turn, and a rank sends
    2(R − 1) chunks of 1/R of the data: nearly twice its data, for any number of ranks.

    Where R does not divide the length, zeros fill up the last chunk, and change no sum. A single number takes
    as many turns as a gigabyte, and most of what is sent for it is padding: small messages are paid by the
    turn, not by the byte. We sum rows of several lengths. They hold whole numbers, whose sums have no
    rounding.
    """
    lab.predict(
        "43.ring-bytes",
        "8 ranks sum 1 GB in a ring. How much does each of them send?",
        RING_GUESSES,
        "1.75 GB",
    )
    rank, ranks = lab.world.rank, lab.world.size
    sent = lab.step(ring_messages, pictures.marked(rank, ranks))
    lab.diagram("The chunks of rank 0, turn by turn", pictures.turns_of_ring(sent))

    rows = rows_of(rank, ranks, cfg.elements)
    totals = [lab.step(ring_all_reduce, row) for row in rows]
    sums = all_reduced(rows)  # after the ring, so that a ring which spoils its row is found out
    lab.equal(
        "43.ring", "The sum that went round the ring is the sum of `all_reduce`.", totals, sums, unit="rows"
    )
    lab.bytes(
        "43.ring-bytes",
        "Each rank of the ring sends 2(R−1)/R of its data.",
        sum(message.nbytes for message in lab.step(ring_messages, rows[0])),
        want=2 * (ranks - 1) * rows[0].nbytes // ranks,
        because="2(R−1) turns, in each of which a rank sends one of R chunks",
        needs="3 processes",
    )
    fractions_N = torch.rand(cfg.elements, generator=torch.Generator().manual_seed(rank))
    gap_N = lab.step(ring_all_reduce, fractions_N) - all_reduced([fractions_N])[0]
    lab.say(
        f"With fractions between 0 and 1 the two sums differ by up to {gap_N.abs().max():.1g} here. Neither is wrong: they add the ranks in another order, and each addition rounds. For the same reason a sum over 8 ranks is not, to the last bit, the sum over 4. NCCL has rings too, and trees, in which a small message arrives after fewer turns."
    )


@exercise(
    "Each rank has the gradient of its own share's mean loss. What must happen to it before the step?",
    "The batch's mean is the mean of the shares' means. All ranks must reduce the same gradients in the same "
    "order, also where one of them has none.",
    "For each parameter with `requires_grad`: put zeros where `grad` is None, call "
    "`dist.all_reduce(parameter.grad)`, which sums in place, and divide by the number of ranks.",
    contract="""
        `model` is the same on every rank, up to the gradients, and has done a backward pass. Afterwards every
        parameter with `requires_grad` has the mean of all ranks' gradients in its `grad`, where a rank
        without a gradient counts as zeros. A frozen parameter keeps its `grad` of None, and no weight
        changes. Nothing is returned. Two ranks whose gradients are 1 and 4 both end with 2.5.

        >>> layer = nn.Linear(2, 1)
        >>> layer(torch.tensor([[1.0, 2.0]])).sum().backward()
        >>> averaged_gradients(layer)
        >>> layer.weight.grad
        tensor([[1., 2.]])
        """,
    insight="This is all that data-parallel training needs. DDP adds nothing to the result, only speed.",
)
def averaged_gradients(model: nn.Module) -> None:
    """Replace every gradient by its mean over all ranks.

    It takes one message for each parameter, and none leaves before the backward pass has ended.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()


def averaging(cfg: Config, lab: Lab) -> None:
    """What does a gradient need before the step?

    Cut the batch into R equal shares, one for each rank, and let each rank compute the gradient of its own
    share's mean loss. The mean over the batch is the mean of the shares' means. So between `backward()` and
    the step only one thing is missing: an `all_reduce` of each gradient, divided by R.

    It goes wrong where a rank has no gradient. We give each rank an *expert*, a layer that only this rank
    uses. A loop that skips every `grad` of None adds the first rank's gradient of expert 0 to the second
    rank's of expert 1, and says nothing: collectives are matched by their order, not by name. A missing
    gradient is zero, and has to be sent. A frozen parameter may be skipped, because every rank skips it.

    `DistributedDataParallel` has the same difficulty. It waits until every parameter has reported its
    gradient, and one that is not used never does. By default nothing at all is averaged in such a pass, and
    the next one stops with an error. With `find_unused_parameters=True` DDP searches the graph in every pass
    for those that will not report, with `static_graph=True` only in the first.
    """
    ranks, device = lab.world.size, lab.world.device
    model = after_backward(lab.world.rank, ranks, device)
    lab.step(averaged_gradients, model)
    whole_P = gradient_of_all(ranks, device)
    lab.close(
        "43.by-hand",
        "Averaged by hand, each gradient is the whole batch's, also where only one rank has one.",
        gradient_row(model),
        whole_P,
        within=DIGITS,
        needs="2 processes",
    )
    rows = []
    for option in ("(neither)", "find_unused_parameters", "static_graph"):
        found_P, said = lab.step(two_passes, option, device)
        averaged = found_P.shape == whole_P.shape and torch.allclose(found_P, whole_P)
        rows.append((option, "all" if averaged else "none", said))
    lab.table("An expert for each rank, under DDP", ["option", "averaged", "the next forward pass"], rows)


class Trained(NamedTuple):
    """A training under DDP: this rank's weights before it, those after each step, and BatchNorm's running mean."""

    own_P: Tensor
    path_SP: Tensor
    mean: Tensor | None


def trained_by_ddp(steps: int, share: int, device: torch.device, *, norm: bool) -> Trained:
    """Train on a share of each batch under DDP, from weights that differ from rank to rank.

    DDP copies rank 0's weights to all at the start, and averages the gradients in every backward pass.
    """
    layers = network(dist.get_rank(), device, norm=norm)
    own_P = weights_of(layers)
    model = DistributedDataParallel(layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    shares = (share_of(step, share, device) for step in range(steps))
    path_SP = torch.stack([weights_of(model) for _ in steps_done(model, optimizer, shares)])
    return Trained(own_P, path_SP, dict(layers.named_buffers()).get("1.running_mean"))


def data_parallel(cfg: Config, lab: Lab) -> None:
    """Do many ranks take the very steps of one?

    Equal weights and equal gradients give equal weights, so ranks that begin alike stay alike, without
    anybody comparing them. DDP sees to both: it copies rank 0's weights to all at the start, and averages the
    gradients in each backward pass. Then R ranks with a share each should walk the path of one process that
    has the whole batch, step by step. We let every rank begin with weights of its own. Everything is float64,
    so that rounding cannot hide a mistake.

    One layer breaks the promise. BatchNorm subtracts the mean of what it is given, and under DDP that is a
    share, not the batch. Each rank gathers running statistics of its own, and DDP overwrites them with rank
    0's before the next forward pass, so what the other ranks saw is lost. With shares of two or three samples
    that spoils a training. `nn.SyncBatchNorm` takes the mean over all ranks, on GPUs only, and costs a
    collective in each layer.
    """
    ranks, device, batch = lab.world.size, lab.world.device, cfg.share * lab.world.size
    alone_SP = lab.step(trained_alone, cfg.steps, batch, RATE, device)
    by_ddp = lab.step(trained_by_ddp, cfg.steps, cfg.share, device, norm=False)
    lab.close(
        "43.by-ddp",
        "DDP on R shares takes the same steps as one process on the whole batch.",
        by_ddp.path_SP,
        alone_SP,
        within=DIGITS,
        needs="2 processes",
    )
    normed = lab.step(trained_by_ddp, cfg.steps, cfg.share, device, norm=True)
    assert normed.mean is not None
    lab.equal(
        "43.same-weights",
        "Under DDP R different weights become one, and stay one to the last bit, while each rank keeps "
        "BatchNorm statistics of its own.",
        distinct(normed.own_P, normed.path_SP[0], normed.path_SP[-1], normed.mean),
        [ranks, 1, 1, ranks],
        unit="counts of different hashes",
        because="R before, 1 after the first step and after the last, and R running means",
        needs="2 processes",
    )
    small_SP = lab.step(trained_alone, cfg.steps * ranks, cfg.share, RATE, device)
    fast_SP = lab.step(trained_alone, cfg.steps, batch, RATE * ranks, device)
    small, same, fast = (loss_at(path_SP[-1], device) for path_SP in (small_SP, alone_SP, fast_SP))
    lab.say(
        f"R ranks mean a batch R times as large, so an epoch has R times fewer steps. After as many samples the loss is {small:.2f} with one rank's small batches, {same:.2f} with large batches at the same learning rate, and {fast:.2f} with large batches at R times the rate. This rule (Goyal et al.) is good as long as the gradient hardly changes within R small steps: at the start it needs a warm-up, and for very large batches it fails."
    )


def averaging_hook(dtype: torch.dtype, log: list[pictures.Noted]) -> Hook:
    """Return a communication hook, which stands in the place of DDP's own all-reduce.

    It converts the bucket, starts an all-reduce, and returns a future, so that the backward pass need not
    wait. In float16 it does what torch's own `fp16_compress_hook` does.
    """

    def hook(state: object, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
        whole, number = bucket.buffer(), bucket.index()
        message = whole.to(dtype).div_(dist.get_world_size())
        log.append(pictures.Noted.now("bucket", message.nbytes))

        def put_back(done: torch.futures.Future[list[Tensor]]) -> Tensor:
            whole.copy_(done.value()[0])
            log.append(pictures.Noted.now(f"averaged {number}", whole.nbytes))
            return whole

        return dist.all_reduce(message, async_op=True).get_future().then(put_back)

    return hook


def backward_passes(
    cap_mb: float | None, dtype: torch.dtype, rows: int, device: torch.device
) -> list[list[pictures.Noted]]:
    """Note, in three backward passes under DDP, when each gradient is ready and each bucket on its way."""
    log: list[pictures.Noted] = []
    passes = noted_passes(averaging_hook(dtype, log), log, cap_mb, rows, device)
    return passes


@exercise(
    "DDP fills a bucket until it has reached its limit, not until the next gradient would no longer fit.",
    "The first bucket has a limit of its own, so that talking can begin early. The last one takes what is "
    "left over.",
    "Add sizes to the open bucket. Once it holds `limit` bytes or more, close it, and from then on the limit "
    "is `cap`. At the end close what is open, unless it is empty.",
    contract="""
        `gradients` has the bytes of each gradient, in the order in which the backward pass finishes them.
        `first` is the limit of the first bucket and `cap` that of all others, in bytes. Return the bytes of
        each bucket in the order of sending. No gradient is cut, and no bucket is empty.

        >>> predicted_buckets([4, 4, 1, 8, 3], first=5, cap=9)
        [8, 9, 3]
        """,
    insight="A gradient above the limit is never cut: one large embedding makes one large bucket.",
)
def predicted_buckets(gradients: list[int], first: int, cap: int) -> list[int]:
    """Predict the bytes of each bucket from those of the gradients, in the order in which they become ready."""
    buckets: list[int] = []
    open_bytes, limit = 0, first
    for size in gradients:
        open_bytes += size
        if open_bytes >= limit:
            buckets.append(open_bytes)
            open_bytes, limit = 0, cap
    full = [*buckets, open_bytes] if open_bytes else buckets
    return full


OVERLAP_GUESSES = {
    "none": "So it is in the first pass, which has one bucket for all: it leaves with the last gradient.",
    "all but one": (
        "**Yes.** A bucket leaves with its last gradient, so only the last bucket waits for the last "
        "gradient."
    ),
    "all": "One bucket holds the gradient that is finished last, and cannot leave before it.",
}


def buckets(cfg: Config, lab: Lab) -> None:
    """Why not send each gradient as soon as it is there?

    The last layer's gradient is ready long before the first layer's, and until then the network card has
    nothing to do. One message for each gradient would use that time. But a message of 1 KiB takes nearly as
    long as one of 64 KiB, as the plot shows, and a large network has hundreds of biases. One message with all
    gradients is cheap, and leaves when no work is left to hide it behind.

    DDP's answer is the *bucket*. Gradients are put together, in the order in which they become ready, until a
    bucket has reached its limit. Then its all-reduce starts, while the backward pass goes on below. The first
    bucket's limit is 1 MiB, so that talking begins early, and that of all others 25 MiB; `bucket_cap_mb`
    replaces both. In the very first pass DDP does not know the order yet: it sends one bucket with
    everything, notes the order, and rebuilds.

    A *communication hook* takes the place of the all-reduce. Ours notes the bytes and the time, and may
    convert the bucket. In float16 half the bytes travel, and a gradient below 3·10⁻⁸ arrives as zero.
    """
    device, sizes = lab.world.device, [2**power for power in range(10, 25, 2)]
    price = {"all-reduce": lab.step(all_reduce_ms, sizes, device)}
    lab.plot(
        "The price of an all-reduce", sizes, price, x_label="bytes", y_label="ms", log_x=True, log_y=True
    )
    lab.predict(
        "43.overlap",
        "From the second pass on the gradients travel in several buckets. How many of them leave before the last gradient is ready?",
        OVERLAP_GUESSES,
        "all but one",
    )
    caps = (None, 2.0, 0.5, 0.001)  # MiB; the first gradient has half a MiB exactly
    passes = [lab.step(backward_passes, cap, torch.float32, cfg.rows, device) for cap in caps]
    sent = [pictures.sizes_of("bucket", third) for _, _, third in passes]
    lab.table(
        "Buckets after the rebuild", ["bucket_cap_mb", "buckets", "bytes"], pictures.bucket_rows(caps, sent)
    )
    limits = [(int((cap or 1) * MIB), int((cap or 25) * MIB)) for cap in caps]
    gradients = pictures.sizes_of("gradient", passes[0][2])
    predicted = [lab.step(predicted_buckets, gradients, first, cap) for first, cap in limits]
    lab.equal(
        "43.buckets",
        "After the first pass DDP's buckets have the predicted bytes.",
        sent,
        predicted,
        unit="caps",
    )

    first, _, third = passes[2]
    lab.diagram("Buckets on their way", pictures.overlap("1st", first), pictures.overlap("3rd", third))
    lab.equal(
        "43.overlap",
        "In the first pass the only bucket leaves after the last gradient, in later ones all but the last "
        "leave before it.",
        [pictures.sent_early(first), pictures.sent_early(third)],
        [(0, 1), (len(sent[2]) - 1, len(sent[2]))],
        unit="passes",
    )
    half = lab.step(backward_passes, None, torch.float16, cfg.rows, device)[2]
    lab.bytes(
        "43.fp16-hook",
        "A hook that converts to float16 sends half the gradients' bytes.",
        sum(pictures.sizes_of("bucket", half)),
        want=sum(weight.nbytes for weight in uneven_layers(device).parameters()) // 2,
        because="2 bytes for each of P parameters in place of 4, each of them once",
    )


def reductions(quiet: str, device: torch.device) -> tuple[int, Tensor]:
    """Accumulate gradients over four batches, with `no_sync` around a part of the first three.

    Return how many all-reduces that took, and the gradient.
    """
    model = DistributedDataParallel(nn.Linear(3, 2, bias=False).double().to(device))
    log: list[pictures.Noted] = []
    model.register_comm_hook(None, averaging_hook(torch.float64, log))
    for batch in range(BATCHES):
        inputs_BI, above_BO = whole_numbers(batch, dist.get_rank(), device)
        silent = model.no_sync if batch < BATCHES - 1 else nullcontext
        with silent() if quiet == "both passes" else nullcontext():
            out_BO = model(inputs_BI)
            with silent() if quiet == "the backward pass" else nullcontext():
                out_BO.backward(above_BO)
    return len(pictures.sizes_of("bucket", log)), gradient_row(model)


NO_SYNC_GUESSES = {
    "1": "So it would be with the forward pass inside as well. DDP has decided before `backward()` begins.",
    "4": (
        "**Yes.** The forward pass prepares the reduction, and what it prepared goes out. Nobody says so: "
        "the gradient is right, and only slow."
    ),
    "0": "The fourth batch stands outside of `no_sync` in any case.",
}


def rounds(cfg: Config, lab: Lab) -> None:
    """When may a rank stay silent?

    Only when all of them do. Suppose you accumulate the gradients of four batches before you take a step.
    Only their sum has to be averaged, so three of four all-reduces are for nothing, and `no_sync()` leaves
    them out, on every rank alike. It has to surround the forward pass as well, since it is there that DDP
    decides.

    Data do not always come out even. 23 samples on 3 ranks are 8, 8 and 7, and the rank that has a batch less
    would let the others wait for ever in their all-reduce. `DistributedSampler` makes the shares equal: it
    draws some samples twice, or with `drop_last=True` leaves some out. So an accuracy that is summed over the
    ranks counts some samples twice. It shuffles by the epoch's number, which you have to tell it by
    `set_epoch`.

    Where shares cannot be made equal, `Join` lets the ranks that are done go on answering with zeros. By
    which number should it divide the sum then? By default by all ranks that began, so that the lone rank's
    gradient shrinks; on request by those that still have data.
    """
    lab.predict(
        "43.no-sync",
        "In three of four batches `loss.backward()` alone stands in `with model.no_sync():`. How many all-reduces do the four batches take?",
        NO_SYNC_GUESSES,
        "4",
    )
    ranks, device = lab.world.size, lab.world.device
    found = [lab.step(reductions, quiet, device) for quiet in ("both passes", "the backward pass", "nothing")]
    whole_P = gradient_by_formula(range(BATCHES), range(ranks), device)
    lab.equal(
        "43.no-sync",
        "Four batches take one all-reduce with both passes in `no_sync` and four with the backward pass "
        "alone in it, and the gradient is the same.",
        [*(count for count, _ in found), *(gradient_P for _, gradient_P in found)],
        [1, BATCHES, BATCHES, *[whole_P] * 3],
        unit="counts and gradients",
    )
    ways = {"by default": (False, False), "set_epoch": (False, True), "drop_last, set_epoch": (True, True)}
    drawn = [
        lab.step(sampled_epochs, 8 * ranks - 1, drop_last=drop, announce=tell) for drop, tell in ways.values()
    ]
    rows = pictures.sampler_rows(8 * ranks - 1, drawn)
    columns = ["", "drawn", "twice", "left out", "second epoch's order"]
    lab.table(
        f"{8 * ranks - 1} samples on {ranks} ranks",
        columns,
        [(way, *row) for way, row in zip(ways, rows, strict=True)],
    )
    lab.equal(
        "43.sampler",
        "The sampler draws a sample twice or leaves some out to make shares equal, and only `set_epoch` "
        "changes its order.",
        rows,
        [[8 * ranks, 1, 0, "the same"], [8 * ranks, 1, 0, "another"], [7 * ranks, 0, ranks - 1, "another"]],
        unit="ways of drawing",
        because=(
            "8R − 1 samples make R shares of 8 with one of them twice, or R shares of 7 without R − 1 of them"
        ),
        needs="2 processes",
    )
    lone_P = gradient_by_formula([1], [ranks - 1], device).cpu()
    lab.close(
        "43.join",
        "`Join` divides a lone rank's gradient by all ranks that began, and with "
        "`divide_by_initial_world_size=False` by those that still have data.",
        torch.stack([lab.step(lone_gradient, device, divide=divide) for divide in (True, False)]),
        torch.stack([lone_P, lone_P * ranks]),
        within=DIGITS,
        needs="2 processes",
    )


def killed_twice() -> list[pictures.Event]:
    """Train on two ranks of a group of their own, kill a rank at steps 8 and 18, and collect what they noted.

    The first time nobody is there to restart it: the same command is given again, as a queue does. The second
    time torchrun's elastic agent ends the rank that is left, and starts both again.
    """
    flags = ("--steps", str(TRAINED_STEPS), "--timeout", str(KILL_TIMEOUT_S), "--die-at", "8", "18")
    with tempfile.TemporaryDirectory() as folder:
        first = events_of(by_node_starter(2), TRAINING, Path(folder), *flags)
        second = events_of(by_torchrun(2, restarts=1), TRAINING, Path(folder), *flags)
    return first + second


def missing_rank(cfg: Config, lab: Lab) -> None:
    """What do you see when one rank is missing?

    That depends on how it went. Suppose an all-reduce stands behind `if loss < limit:`, and one rank's loss
    is larger. The others wait for it. Its connections are in order, they are only silent, so the wait ends
    with the group's timeout: by default 30 minutes with gloo and 10 with NCCL. Then comes a message that
    names neither the rank nor the line. torch's *flight recorder* counts the collectives of each rank, and
    the rank that has begun the fewest is the one to look at. Let the timeout be what your longest honest step
    takes, a minute or two.

    A rank that is killed is another matter. Its connections break, and its neighbours notice at once. Nobody
    can go on without it, since every collective needs all ranks: all end, and all start again from the last
    checkpoint. We kill a rank of a small training twice. After the first time somebody gives the command
    again, as a queue does. After the second time torchrun starts all ranks again within the same job, as
    often as it was allowed to:

        torchrun --nproc-per-node=2 --max-restarts=1 -m labs.m6_production.interrupted_training
    """
    seen = lab.step(skipped_collective, cfg.patience)
    columns = ["rank", "what it was told", "seconds", "collectives begun"]
    lab.table("The last rank skips an all-reduce", columns, pictures.witness_rows(seen))
    events = lab.step_on_first(killed_twice)
    lab.diagram("A training that was killed twice", pictures.attempts_drawn(events))
    waited, late = pictures.seconds_to_time_out(seen), pictures.seconds_to_notice(events)
    lab.count(
        "43.noticed",
        "Whether a rank stays away or is killed, the others know 5 s after the collective's timeout at the "
        "latest.",
        round(max(waited - cfg.patience, late - KILL_TIMEOUT_S), 1),
        at_most=5,
        unit="s after the timeout",
        because="gloo waits for no longer than its timeout, and 5 s are allowed for a busy machine",
        needs="2 processes",
    )
    attempts = pictures.attempts_of(events)
    calm = lab.step(undisturbed, TRAINED_STEPS)
    lab.equal(
        "43.restarted",
        "Killed at steps 8 and 18, the training resumes at 5 and 15 and ends with the bits of one that never "
        "was.",
        [*(attempt[0]["step"] for attempt in attempts), *(event["weights"] for event in attempts[-1][-2:])],
        [0, 5, 15, calm, calm],
        unit="facts",
        because="a checkpoint at every 5th step, and data that follow from the step's number",
    )
    lab.say(
        f"The others waited {waited:.1f} s for the silent rank, of a timeout of {cfg.patience:g} s, and {late:.2f} s for a killed one, of {KILL_TIMEOUT_S:g} s. So an error exactly at the timeout means a rank that took another way, and one long before it a rank that died: look for the message of that rank, not for those of its neighbours."
    )


def trained_with_checkpoints(cfg: Config, kept: Checkpoints, device: torch.device) -> Tensor:
    """Train with checkpoints in the run folder, from wherever an earlier attempt has left one."""
    model = DistributedDataParallel(network(dist.get_rank(), device))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    form = FullState(model=model, optimizer=optimizer)
    begin = kept.resume(form)
    shares = (share_of(step, cfg.share, device) for step in range(begin, cfg.train_steps))
    for done in steps_done(model, optimizer, shares):
        kept.after(begin + done, form)
        time.sleep(cfg.pause)
    return weights_of(model)


def restart(cfg: Config, lab: Lab) -> None:
    """What does a restart cost?

    It costs the steps since the last checkpoint, if that is complete. Weights are not enough: the optimizer's
    momentum belongs to it, and the number of the next batch. Rank 0 writes for all, since all hold the same.
    It writes under another name and renames at the end, so that a kill in the middle of writing costs
    nothing.

    This lab itself trains that way. Kill it in its last part and give its command again with `--folder` and
    its run folder: it goes on where it was. On two ranks the weights then have the very bits of an
    undisturbed run. On three or more they agree but for rounding, because after a restart DDP's first pass
    has one bucket again where the undisturbed run had its rebuilt ones, and in another bucket the ranks'
    numbers are added in another order.
    """
    kept = lab.checkpoints(cfg.every)
    ours_P = lab.step(trained_with_checkpoints, cfg, kept, lab.world.device)
    calm_P = lab.step(trained_by_ddp, cfg.train_steps, cfg.share, lab.world.device, norm=False).path_SP[-1]
    lab.equal(
        "43.same",
        "However often it was restarted, a training on two ranks ends with an undisturbed run's bits.",
        fingerprint(ours_P),
        fingerprint(calm_P),
        because="two numbers have the same sum in either order",
        needs="2 processes or fewer",
    )
    lab.close(
        "43.same-within",
        "On any number of ranks a restarted training ends with an undisturbed run's weights but for "
        "rounding.",
        ours_P,
        calm_P,
        within=DIGITS,
    )
    lab.count(
        "43.repeated",
        "A restart repeats at most the steps between two checkpoints.",
        kept.steps_done - cfg.train_steps,
        at_least=0,
        at_most=kept.every * (kept.restarts + kept.passed_over),
        unit="steps",
        because="one interval for each restart, and one more for each checkpoint that could not be read",
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (ring, averaging, data_parallel, buckets, rounds, missing_rank, restart):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
