"""Lab 43 · DDP concepts · Idea DDP

Question:
    How do gradients stay equal on every GPU?

You will see:
    - A sum over all ranks from nothing but send and receive: in a ring each rank sends 2(R−1)/R of its data.
    - R ranks with a share of the batch each that take the steps of one process, but for float64's rounding.
    - Gradients that travel in buckets while the backward pass still computes. You predict them to the byte.
    - Data that do not come out even, a rank that stays away, a rank that is killed: what you see, and when.
    - A training that is killed twice and ends with the very bits of one that never was.

Run:
    make lab-43, or on two nodes: make lab-43 NODES=2 PROCS=2
    python -m labs.m6_production.lab43_ddp_concepts --smoke
    torchrun --nproc-per-node=4 -m labs.m6_production.lab43_ddp_concepts --smoke

Needs:
    3 processes or more, no GPU, 2 GiB of memory, 1 minute

Builds on:
    lab 10 for what a backward pass is

Remember:
    Data-parallel training needs one thing: between the backward pass and the step every gradient becomes its
    mean over the ranks. A ring does that with 2(R−1)/R of the data sent by each rank; DDP does it bucket by
    bucket while the backward pass goes on. Collectives are matched by their order alone, so every rank has to
    make the same ones: most hangs come from an `if` that not all ranks pass. `no_sync` must stand around the
    forward pass too, `set_epoch` before every epoch, and a timeout of a minute or two in
    `init_process_group`. Use DDP as long as weights, gradients and optimizer state fit on one card. This lab
    does not show NCCL and its trees, nor what a real network costs. Lab 44 shards what DDP repeats.

Sources:
    - P. Patarasuk, X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009,
      sections 3 and 4: https://doi.org/10.1016/j.jpdc.2008.09.002
    - S. Li et al., "PyTorch Distributed", 2020, sections 3.2 and 4: https://arxiv.org/abs/2006.15704
    - P. Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2: https://arxiv.org/abs/1706.02677
    - PyTorch documentation, DistributedDataParallel:
      https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
    - PyTorch documentation, DDP communication hooks: https://docs.pytorch.org/docs/stable/ddp_comm_hooks.html
    - PyTorch documentation, Join: https://docs.pytorch.org/docs/stable/distributed.algorithms.join.html
    - PyTorch documentation, torchrun: https://docs.pytorch.org/docs/stable/elastic/run.html
    - PyTorch, flight recorder: https://docs.pytorch.org/tutorials/unstable/flight_recorder_tutorial.html

Notebook:
    43_DDP_Concepts.ipynb
"""

import time
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import labs.m6_production._lab43_helpers as helpers
import labs.m6_production._lab43_pictures as pictures
from labs.kit import Lab, exercise, main
from labs.kit.distributed.checkpoints import Checkpoints, FullState
from labs.kit.distributed.shards import weights_of
from labs.kit.topics.tasks import fingerprint
from labs.m6_production._lab43_helpers import backward_passes, killed_twice

# Shape letters: N elements, R ranks, B batch, I inputs, O outputs, S steps, P parameters.

RATE = 0.05  # the learning rate


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
        `x_N` is a row on the CPU of one number or more and any dtype, as long on every rank; it stays as it
        is. Return on every rank the sum of all ranks' rows, with the row's length and dtype. Use
        `dist.isend(tensor, rank)`, which starts to send and returns a handle to `wait()` for, and
        `dist.recv(tensor, rank)`, which fills a tensor. Each rank sends 2(R−1) chunks of ⌈N/R⌉ elements. Two
        ranks with 1, 2, 3 and 10, 20, 30 both return 11, 22, 33, and each sends two chunks of two elements.

        >>> ring_all_reduce(torch.tensor([1.5, 2.5]))
        tensor([1.5000, 2.5000])
        """,
    insight="The first half is a reduce-scatter, the second an all-gather. FSDP uses them one by one.",
)
def ring_all_reduce(x_N: Tensor) -> Tensor:
    """Sum a row over all ranks by passing chunks round a ring.

    In turn t rank r sends chunk (r − t) mod R to the right and gets chunk (r − t − 1) mod R from the left.

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
    messages = helpers.Messages()
    with messages:
        ring_all_reduce(x_N)
    return messages.sent


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
    2(R − 1) chunks of 1/R of the data: for 4 ranks 1.5 times its data, and with more ranks it approaches
    twice.

    Where R does not divide the length, zeros fill up the last chunks, and change no sum. A single number
    takes as many turns as a gigabyte, and most of what is sent for it is padding: small messages are paid by
    the turn, not by the byte. We sum rows of several lengths. They hold whole numbers, which do not round.
    """
    lab.predict("43.ring-bytes", *helpers.RING_GUESSES)
    rank, ranks = lab.world.rank, lab.world.size
    sent = lab.step(ring_messages, pictures.marked(rank, ranks))
    lab.diagram("The chunks of rank 0, turn by turn", pictures.turns_of_ring(sent))
    rows = helpers.rows_of(rank, ranks, cfg.elements)
    totals = [lab.step(ring_all_reduce, row) for row in rows]
    sums = helpers.all_reduced(rows)  # after the ring, so that a ring which spoils its row is found out
    lab.equal(
        "43.ring", "The sum that went round the ring is the sum of `all_reduce`.", totals, sums, unit="rows"
    )
    lab.bytes(
        "43.ring-bytes",
        "Each rank of the ring sends 2(R−1)/R of its data, padding included.",
        sum(message.nbytes for row in rows[:2] for message in lab.step(ring_messages, row)),
        want=2 * 2 * (ranks - 1) * rows[0].nbytes // ranks,
        because="2(R−1) turns with one of R chunks each, for N numbers and again for N−1 and a zero",
        needs="3 processes",
    )
    fractions_N = torch.rand(cfg.elements, generator=torch.Generator().manual_seed(rank))
    gap_N = lab.step(ring_all_reduce, fractions_N) - helpers.all_reduced([fractions_N])[0]
    lab.say(
        f"With fractions between 0 and 1 the two sums differ by up to {gap_N.abs().max():.1g} here. Neither "
        "is wrong: from three ranks on they add in another order, and each addition rounds. For the same "
        "reason a batch on 8 ranks has not, to the last bit, the gradient that it has on 4."
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

    That is one message for each parameter, and none leaves before the backward pass has ended.
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
    gradient, and one that is not used never does. By default nothing at all is averaged in a first pass of
    that kind, and the next one stops with an error. With `find_unused_parameters=True` DDP searches the graph
    in every pass for those that will not report, with `static_graph=True` only in the first.
    """
    ranks, device = lab.world.size, lab.world.device
    model = helpers.after_backward(lab.world.rank, ranks, device)
    lab.step(averaged_gradients, model)
    whole_P = helpers.gradient_of_all(ranks, device)
    lab.close(
        "43.by-hand",
        "Averaged by hand, each gradient is the whole batch's, also where only one rank has one.",
        torch.cat([helpers.gradient_row(model), weights_of(model)]),
        torch.cat([whole_P, weights_of(helpers.Experts(ranks, device))]),  # no weight has changed
        within=helpers.DIGITS,
        needs="2 processes",
    )
    options = ("(neither)", "find_unused_parameters", "static_graph")
    passes = {option: helpers.two_passes(option, device) for option in options}
    columns = ["option", "averaged", "the next forward pass"]
    lab.table("An expert for each rank, under DDP", columns, pictures.rows_of_passes(passes, whole_P))


def trained_by_ddp(steps: int, share: int, device: torch.device, *, norm: bool) -> helpers.Trained:
    """Train on a share of each batch under DDP, from weights that differ from rank to rank.

    DDP copies rank 0's weights to all at the start, and averages the gradients in every backward pass.
    """
    layers = helpers.network(dist.get_rank(), device, norm=norm)
    own_P = weights_of(layers)
    model = DistributedDataParallel(layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    shares = (helpers.share_of(step, share, device) for step in range(steps))
    path_SP = torch.stack([weights_of(model) for _ in helpers.steps_done(model, optimizer, shares)])
    mean = dict(layers.named_buffers()).get("1.running_mean", own_P[:0])
    return helpers.Trained(own_P, path_SP, mean)


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
    alone_SP = helpers.trained_alone(cfg.steps, batch, RATE, device)
    by_ddp = lab.step(trained_by_ddp, cfg.steps, cfg.share, device, norm=False)
    lab.close(
        "43.by-ddp",
        "DDP on R shares takes the same steps as one process on the whole batch.",
        by_ddp.path_SP,
        alone_SP,
        within=helpers.DIGITS,
        needs="2 processes",
    )
    normed = lab.step(trained_by_ddp, cfg.steps, cfg.share, device, norm=True)
    lab.equal(
        "43.same-weights",
        "Ranks with different weights hold the same after a step, but not the same BatchNorm statistics.",
        helpers.distinct(normed.own_P, normed.path_SP[0], normed.path_SP[-1], normed.mean),
        [ranks, 1, 1, ranks],
        unit="counts of different hashes",
        because="R before, 1 after the first step and after the last, and R running means",
        needs="2 processes",
    )
    small, same, fast = helpers.after_as_many_samples(cfg.steps, cfg.share, ranks, RATE, device)
    lab.say(
        "R ranks mean a batch R times as large, so an epoch has R times fewer steps. After as many samples "
        f"the loss is {small:.2f} with one rank's small batches, {same:.2f} with large batches at the same "
        f"learning rate, and {fast:.2f} with large batches at R times the rate. This rule (Goyal et al.) is "
        "good as long as the gradient hardly changes within R small steps: at the start it needs a warm-up, "
        "and for very large batches it fails."
    )


def averaging_hook(dtype: torch.dtype, log: list[pictures.Noted]) -> helpers.Hook:
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

        sent: torch.futures.Future[list[Tensor]] = dist.all_reduce(message, async_op=True).get_future()
        return sent.then(put_back)

    return hook


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
        >>> predicted_buckets([4, 4, 1, 8, 3], first=9, cap=5)
        [9, 8, 3]
        """,
    insight="A gradient above the limit is never cut: one large embedding makes one large bucket.",
)
def predicted_buckets(gradients: list[int], first: int, cap: int) -> list[int]:
    """Predict the bytes of each bucket from those of the gradients, in the order of readiness."""
    closed: list[int] = []
    open_bytes, limit = 0, first
    for size in gradients:
        open_bytes += size
        if open_bytes >= limit:
            closed.append(open_bytes)
            open_bytes, limit = 0, cap
    buckets_sent = [*closed, open_bytes] if open_bytes else closed
    return buckets_sent


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
    price = {"all-reduce": lab.step(helpers.all_reduce_ms, sizes, device)}
    lab.plot("The price of a message", sizes, price, x_label="bytes", y_label="ms", log_x=True, log_y=True)
    lab.predict("43.overlap", *helpers.OVERLAP_GUESSES)
    caps = (None, 2.0, 0.5, 0.001)  # MiB; the first gradient has half a MiB exactly
    passes = [lab.step(backward_passes, averaging_hook, cap, torch.float32, cfg.rows, device) for cap in caps]
    sent = [pictures.sizes_of("bucket", third) for _, _, third in passes]
    lab.table("Rebuilt buckets", ["bucket_cap_mb", "buckets", "bytes"], pictures.bucket_rows(caps, sent))
    limits = [(int((cap or 1) * 2**20), int((cap or 25) * 2**20)) for cap in caps]
    gradients = pictures.sizes_of("gradient", passes[0][2])
    predicted = [lab.step(predicted_buckets, gradients, first, cap) for first, cap in limits]
    lab.equal("43.buckets", "DDP's rebuilt buckets have the predicted bytes.", predicted, sent, unit="caps")
    first, _, third = passes[2]
    lab.diagram("Buckets with limit 0.5 MiB", pictures.overlap("1st", first), pictures.overlap("3rd", third))
    lab.equal(
        "43.overlap",
        "A single bucket leaves after the last gradient; of several all but one leave before it.",
        [pictures.sent_early(first), pictures.sent_early(third)],
        [(0, 1), (len(sent[2]) - 1, len(sent[2]))],
        unit="passes",
    )
    half = lab.step(backward_passes, averaging_hook, None, torch.float16, cfg.rows, device)[2]
    lab.bytes(
        "43.fp16-hook",
        "A hook that converts to float16 sends half the gradients' bytes.",
        sum(pictures.sizes_of("bucket", half)),
        want=sum(weight.nbytes for weight in helpers.uneven_layers(device).parameters()) // 2,
        because="2 bytes for each of P parameters in place of 4, each of them once",
    )


def reductions(quiet: str, device: torch.device) -> tuple[int, Tensor]:
    """Accumulate gradients over four batches, with `no_sync` around a part of the first three.

    Return how many all-reduces that took, and the gradient.
    """
    model = DistributedDataParallel(nn.Linear(3, 2, bias=False).double().to(device))
    log: list[pictures.Noted] = []
    model.register_comm_hook(None, averaging_hook(torch.float32, log))  # exact: whole numbers
    for batch in range(helpers.BATCHES):
        inputs_BI, above_BO = helpers.whole_numbers(batch, dist.get_rank(), device)
        silent = model.no_sync if batch < helpers.BATCHES - 1 else nullcontext
        with silent() if quiet == "both passes" else nullcontext():
            out_BO = model(inputs_BI)
            with silent() if quiet == "the backward pass" else nullcontext():
                out_BO.backward(above_BO)
    return len(pictures.sizes_of("bucket", log)), helpers.gradient_row(model)


def rounds(cfg: Config, lab: Lab) -> None:
    """When may a rank stay silent?

    Only when all of them do. Suppose you accumulate the gradients of four batches before you take a step.
    Only their sum has to be averaged, so three of four all-reduces are for nothing, and `no_sync()` leaves
    them out, on every rank alike. It has to surround the forward pass as well: there DDP decides.

    Data do not always come out even. 23 samples on 3 ranks are 8, 8 and 7, and the rank that is through first
    lets the others wait in their all-reduce. `DistributedSampler` makes the shares equal: it draws some
    samples twice, or with `drop_last=True` leaves some out. So an accuracy that is summed over the ranks
    counts some twice. It shuffles by the epoch's number, which you have to tell it by `set_epoch`.

    Where shares cannot be made equal, `Join` lets the ranks that are done go on answering with zeros. By
    which number should it divide the sum then? By default by all ranks that began, so that the lone rank's
    gradient shrinks; on request by those that still have data.
    """
    lab.predict("43.no-sync", *helpers.NO_SYNC_GUESSES)
    ranks, device = lab.world.size, lab.world.device
    found = [lab.step(reductions, quiet, device) for quiet in ("both passes", "the backward pass", "nothing")]
    whole_P = helpers.gradient_by_formula(range(helpers.BATCHES), range(ranks), device)
    lab.equal(
        "43.no-sync",
        "`no_sync` saves three of four all-reduces around both passes, and none around the backward one.",
        [*(count for count, _ in found), *(gradient_P for _, gradient_P in found)],
        [1, helpers.BATCHES, helpers.BATCHES, *[whole_P] * 3],
        unit="counts and gradients",
    )
    samples, ways = 8 * ranks - 1, ("by default", "set_epoch", "set_epoch, drop_last")
    rows = [(way, *pictures.epochs_in_words(samples, helpers.sampled_epochs(samples, way))) for way in ways]
    columns = ["", "drawn", "twice", "left out", "second epoch's order"]
    lab.table(f"{samples} samples on {ranks} ranks", columns, rows)
    lab.equal(
        "43.sampler",
        "The sampler draws a sample twice or leaves some out, and only `set_epoch` changes its order.",
        [row[1:] for row in rows],
        [(8 * ranks, 1, 0, "the same"), (8 * ranks, 1, 0, "another"), (7 * ranks, 0, ranks - 1, "another")],
        unit="ways of drawing",
        because="8R − 1 samples are R shares of 8 with one of them twice, or R of 7 without R − 1 of them",
        needs="2 processes",
    )
    lone_P = helpers.gradient_by_formula([1], [ranks - 1], device).cpu()
    lab.close(
        "43.join",
        "`Join` divides a lone rank's gradient by all ranks that began or, on request, by those still there.",
        torch.stack([helpers.lone_gradient(device, divide=divide) for divide in (True, False)]),
        torch.stack([lone_P, lone_P * ranks]),
        within=helpers.DIGITS,
        needs="2 processes",
    )


def trained_with_checkpoints(cfg: Config, kept: Checkpoints, device: torch.device) -> Tensor:
    """Train with checkpoints in the run folder, from wherever an earlier attempt has left one."""
    model = DistributedDataParallel(helpers.network(dist.get_rank(), device))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    form = FullState(model=model, optimizer=optimizer)
    begin = kept.resume(form)
    shares = (helpers.share_of(step, cfg.share, device) for step in range(begin, cfg.train_steps))
    for done in helpers.steps_done(model, optimizer, shares):
        kept.after(begin + done, form)
        time.sleep(cfg.pause)
    return weights_of(model)


def checkpoints(cfg: Config, lab: Lab) -> None:
    """What must a checkpoint hold?

    A training of days will be interrupted, and should then lose minutes. Weights are not enough for that: the
    optimizer's momentum belongs to the checkpoint, and the number of the next batch. Under DDP rank 0 writes
    for all, since all hold the same. It writes under another name and renames at the end, so that a kill in
    the middle of writing costs nothing.

    This lab itself trains that way. Kill it here and give its command again with `--folder` and its run
    folder: it goes on where it was. On two ranks the weights then have the very bits of an undisturbed run.
    On three or more they agree but for rounding: a restarted DDP begins with one bucket again, where the
    undisturbed run had rebuilt ones, and in other buckets the ranks' numbers are added in another order.
    """
    kept = lab.checkpoints(cfg.every)
    ours_P = lab.step(trained_with_checkpoints, cfg, kept, lab.world.device)
    calm_P = lab.step(trained_by_ddp, cfg.train_steps, cfg.share, lab.world.device, norm=False).path_SP[-1]
    lab.equal(
        "43.same",
        "A run with checkpoints, restarted or not, ends on two ranks with an undisturbed one's bits.",
        fingerprint(ours_P),
        fingerprint(calm_P),
        because="two numbers have the same sum in either order",
        needs="2 processes or fewer",
    )
    lab.close(
        "43.same-within",
        "A run with checkpoints, restarted or not, ends with an undisturbed one's weights but for rounding.",
        ours_P,
        calm_P,
        within=helpers.DIGITS,
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
    lab.say(
        f"This run was restarted {kept.restarts} times, and did {kept.steps_done} steps where "
        f"{cfg.train_steps} were asked for. A restart costs half an interval on average."
    )


def missing_rank(cfg: Config, lab: Lab) -> None:
    """What do you see when one rank is missing?

    That depends on how it went. Suppose an all-reduce stands behind `if loss < limit:`, and one rank's loss
    is larger. The others wait for it. Its connections are in order, they are only silent, so the wait ends
    with the group's timeout: by default 30 minutes with gloo and 10 with NCCL. Then comes a message that
    names neither the rank nor the line. torch's *flight recorder* counts the collectives of each rank, and
    the rank that has begun the fewest is the one to look at; with gloo `dist.monitored_barrier()` names it.
    Let the timeout be what your longest honest step takes, a minute or two.

    A rank that is killed is another matter. Its connections break, and with gloo its neighbours notice at
    once. Nobody can go on without it, since every collective needs all ranks: all end, and all start again
    from the last checkpoint. We kill a rank of a small training twice. After the first time somebody gives
    the command again, as a queue does. After the second time torchrun starts all ranks again within the same
    job, as often as it was allowed to:

        torchrun --nproc-per-node=2 --max-restarts=1 -m labs.m6_production.interrupted_training --folder kept
    """
    seen = helpers.skipped_collective(cfg.patience)
    columns = ["rank", "what it was told", "seconds", "collectives begun"]
    lab.table("The last rank skips an all-reduce", columns, pictures.witness_rows(seen))
    events = lab.step_on_first(killed_twice)
    lab.diagram("A training that was killed twice", pictures.attempts_drawn(events))
    waited, late = pictures.seconds_to_time_out(seen), pictures.seconds_to_notice(events)
    lab.count(
        "43.noticed",
        "A rank that stays away, or is killed, is noticed within the collective's timeout and 5 s.",
        round(max(waited - cfg.patience, late - helpers.KILL_TIMEOUT_S), 1),
        at_most=5,
        unit="s after the timeout",
        because="gloo waits for no longer than its timeout, and 5 s are allowed for a busy machine",
        needs="2 processes",
    )
    calm = helpers.undisturbed()
    lab.equal(
        "43.restarted",
        "A training killed at steps 8 and 18 resumes at 5 and 15 and ends with an undisturbed one's bits.",
        pictures.begins_and_ends(events),
        [0, 5, 15, calm, calm],
        unit="facts",
        because="a checkpoint at every 5th step, and data that follow from the step's number",
    )
    lab.say(
        f"The others waited {waited:.1f} s for the silent rank, of a timeout of {cfg.patience:g} s, and "
        f"{late:.2f} s for a killed one, of {helpers.KILL_TIMEOUT_S:g} s. So with gloo an error exactly at "
        "the timeout means a rank that took another way, and one long before it a rank that died: look for "
        "the message of that rank, not for those of its neighbours."
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (ring, averaging, data_parallel, buckets, rounds, checkpoints, missing_rank):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
