"""Lab 43 · DDP concepts · Idea DDP

Question:
    How do gradients stay equal on every GPU?

You will see:
    - An all-reduce from nothing but send and receive: a ring, 2(N-1)/N of the data per rank, however many ranks there are.
    - Data-parallel training by hand, and by DDP: N ranks with a share of the batch take the very steps of one rank with all of it.
    - What DDP adds: buckets, whose number you predict; hooks, which halve the bytes; `no_sync`, which skips the talk.
    - What goes wrong: an unused branch, a forgotten `set_epoch`, uneven data, a skipped collective.
    - A rank killed in the middle of training, and two restarts that end with the very bits of an undisturbed run.

Run:
    make lab-43, or on two nodes: make lab-43 NODES=2 PROCS=2
    python -m labs.m6_production.lab43_ddp_concepts --smoke
    torchrun --standalone --nproc-per-node=4 -m labs.m6_production.lab43_ddp_concepts --smoke

Needs:
    2 processes or more, no GPU, 2 GiB of memory, 2 minutes

Builds on:
    lab 10 for what a backward pass is

Sources:
    - P. Patarasuk, X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 2009, sections 3 and 4
    - S. Li et al., "PyTorch Distributed", VLDB 2020, arXiv:2006.15704, sections 3.2 and 4: buckets and overlap
    - PyTorch documentation: DistributedDataParallel; DDP Communication Hooks; Generic Join Context Manager; torchrun

Notebook:
    43_DDP_Concepts.ipynb
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.join import Join
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler

from labs.kit import Lab, Mutant, exercise, main
from labs.kit.distributed.checkpoints import Checkpoints, FullState
from labs.kit.distributed.restart import judge
from labs.kit.distributed.shards import weights_of
from labs.kit.distributed.subgroup import by_node_starter, by_torchrun, events_apart, events_of
from labs.kit.measure.timing import seconds
from labs.kit.topics.tasks import (
    Forked,
    batch_of,
    equal_layers,
    fingerprint,
    loss_of,
    network,
    share_of,
    stepped,
)

# Shape letters: N elements, B batch, I inputs, S steps, P parameters.

MIB = 2**20
FIRST, CAP = MIB, 25 * MIB  # DDP's default limits: of the first bucket, and of all others
DIGITS = 1e-12
ROUNDING = "float64: 16 digits, of which a few dozen sums in another order cost fewer than four"
TRAINING = "labs.m6_production.interrupted_training"
Event = dict[str, Any]
Future = torch.futures.Future[Tensor]


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    elements: int = 3 * 2**18  # elements N that go round the ring; 2, 3, 4, 6 and 8 ranks divide them
    share: int = 8  # samples of a batch on each rank
    steps: int = 20  # training steps S
    width: int = 512  # width of the six layers whose buckets are counted
    patience: float = 2.0  # timeout of the collective that one rank skips, in seconds
    train_steps: int = 40  # steps of the training that writes checkpoints
    every: int = 5  # steps between two checkpoints
    pause: float = 0.0  # seconds of rest after each of these steps

    @classmethod
    def smoke(cls) -> "Config":
        return cls(elements=3 * 2**10, steps=5, patience=1.0, train_steps=12)


@exercise(
    "Cut the data into as many chunks as there are ranks. In each turn every rank sends one chunk to the right and gets one from the left.",
    "First N-1 turns: add what arrives to your own chunk. Then each rank holds one finished chunk; N-1 more turns pass those round.",
    "In turn t rank r sends chunk (r - t) mod N and receives chunk (r - t - 1) mod N; it adds while t < N - 1, and replaces after.",
)
def ring_all_reduce(x_N: Tensor) -> tuple[Tensor, int]:
    """Sum a tensor over all ranks by passing chunks round a ring, and count the bytes that this rank sends.

    One rank that gets everything would be the bottleneck. In the ring all send all the time: 2(N-1) turns of a part 1/N, so

        bytes sent per rank = 2·(N - 1)/N · size

    `dist.isend(tensor, rank)` starts sending and returns a handle to `wait()` for; `dist.recv(tensor, rank)` fills a tensor.
    The length of `x_N` is a multiple of the number of ranks.
    """
    rank, size = dist.get_rank(), dist.get_world_size()
    chunks = [chunk.clone() for chunk in x_N.chunk(size)]
    sent = 0
    for turn in range(2 * (size - 1)):
        out, into = (rank - turn) % size, (rank - turn - 1) % size
        arriving = torch.empty_like(chunks[into])
        going = dist.isend(chunks[out], (rank + 1) % size)
        dist.recv(arriving, (rank - 1) % size)
        going.wait()  # type: ignore[union-attr]
        sent += chunks[out].nbytes
        chunks[into] = chunks[into] + arriving if turn < size - 1 else arriving
    total_N = torch.cat(chunks)
    return total_N, sent


def trained_alone(steps: int, batch: int, device: torch.device) -> Tensor:
    """Train a small network on whole batches, on one rank, as everybody knows it.

    The result is the weights after each step, against which the parallel versions are held. float64: only sums' order differs.
    """
    model = network(device)
    return torch.stack([stepped(model, *batch_of(step, batch, device)) for step in range(steps)])


@exercise(
    "Each rank has its share of the batch. What must happen to the gradients between `backward()` and the step?",
    "The mean over the whole batch is the mean of the shares' means, since the shares are equally large.",
    "For each parameter: `dist.all_reduce(parameter.grad)`, which sums in place; then divide by the number of ranks.",
)
def averaged_gradients(model: nn.Module) -> None:
    """Replace every gradient by its mean over all ranks.

    All that data-parallel training needs; but one small message for each parameter, and none before the backward pass has ended.
    """
    for parameter in model.parameters():
        assert parameter.grad is not None
        dist.all_reduce(parameter.grad)
        parameter.grad /= dist.get_world_size()


def trained_by_hand(steps: int, share: int, device: torch.device) -> Tensor:
    """Train on a share of each batch and average the gradients by hand."""
    model = network(device)
    return torch.stack(
        [stepped(model, *share_of(step, share, device), averaged_gradients) for step in range(steps)]
    )


def trained_by_ddp(steps: int, share: int, device: torch.device) -> Tensor:
    """Train on a share of each batch and let DDP do the rest.

    DDP copies rank 0's weights to all at the start. As soon as a bucket of gradients is ready its all-reduce starts, while the
    backward pass goes on below. Same start, same gradients, same optimizer: so weights stay equal without being compared.
    """
    model = DistributedDataParallel(network(device))
    path_SP = torch.stack([stepped(model, *share_of(step, share, device)) for step in range(steps)])
    return path_SP


def fingerprints(weights_P: Tensor) -> list[str]:
    """Hash the weights on each rank, to the last bit, and collect the hashes."""
    hashes = [""] * dist.get_world_size()
    dist.all_gather_object(hashes, fingerprint(weights_P))
    return hashes


def noting(sent: list[int], dtype: torch.dtype) -> Callable[[object, dist.GradBucket], Future]:
    """Return a hook for the place of DDP's own all-reduce: convert the bucket, note its bytes, average it, convert it back."""

    def hook(state: object, bucket: dist.GradBucket) -> Future:
        whole = bucket.buffer()
        message = whole.to(dtype).div_(dist.get_world_size())
        sent.append(message.nbytes)
        summed: Future = dist.all_reduce(message, async_op=True).get_future()
        return summed.then(lambda done: whole.copy_(done.value()[0]))

    return hook


def buckets_sent(
    width: int, cap_mb: float | None, dtype: torch.dtype, device: torch.device
) -> list[list[int]]:
    """Count the bytes of each bucket that DDP sends, in three steps, by a communication hook.

    The hook returns a future, so that the backward pass need not wait. In float16 it is torch's `fp16_compress_hook`.
    """
    model = DistributedDataParallel(equal_layers(width, device), bucket_cap_mb=cap_mb)
    sent: list[int] = []
    model.register_comm_hook(None, noting(sent, dtype))
    steps = []
    for _ in range(3):
        sent.clear()
        model(torch.randn(4, width, device=device)).sum().backward()
        steps.append(list(sent))
    return steps


@exercise(
    "DDP fills a bucket until it has reached its limit, not until the next gradient would no longer fit.",
    "Gradients come in the reverse order of the layers. The first bucket has a small limit, so that talking can begin early.",
    "Add sizes to the open bucket; once it holds `limit` bytes or more, close it; from the second bucket on the limit is `cap`.",
)
def predicted_buckets(gradients: list[int], first: int, cap: int) -> list[int]:
    """Predict the bytes of each bucket from the gradients' bytes, given in the order in which they become ready.

    The first step sends one bucket and notes the gradients' order. Then DDP rebuilds the buckets: a first small one of 1 MiB,
    then up to 25 MiB each. An explicit `bucket_cap_mb` replaces both limits.
    """
    buckets: list[int] = []
    limit = first
    open_bytes = 0
    for size in gradients:
        open_bytes += size
        if open_bytes >= limit:
            buckets.append(open_bytes)
            open_bytes, limit = 0, cap
    full = [*buckets, open_bytes] if open_bytes else buckets
    return full


def reductions(accumulate: int, quiet: bool, device: torch.device) -> tuple[int, Tensor]:
    """Accumulate gradients over several batches, and count the all-reduces that it takes.

    Only the sum has to be averaged, so all but the last backward pass may run under `no_sync()`: one k-th of the messages.
    """
    model = DistributedDataParallel(network(device))
    sent: list[int] = []
    model.register_comm_hook(None, noting(sent, torch.float64))
    for step in range(accumulate):
        with model.no_sync() if quiet and step < accumulate - 1 else nullcontext():
            loss_of(model, *share_of(step, 8, device)).backward()
    gradient_P = torch.cat(
        [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
    )
    return len(sent), gradient_P


def steps_with_an_unused_branch(search: bool, device: torch.device) -> int:
    """Take two steps with a layer that gets no gradient.

    Its bucket stays open, and the next step finds it so. `find_unused_parameters=True` walks the graph in every step to mark
    such layers as done; `static_graph=True` does it once.
    """
    model = DistributedDataParallel(Forked().to(device), find_unused_parameters=search)
    done = 0
    for _ in range(2):
        model(torch.randn(2, 4, device=device)).sum().backward()
        done += 1
    return done


def sampled_epochs(samples: int, announce: bool) -> list[list[int]]:
    """Draw two epochs with the DistributedSampler, and collect what all ranks got.

    Each rank shuffles one list with one seed and takes every N-th entry. Only `set_epoch` makes the epoch a part of the seed.
    """
    sampler: Any = DistributedSampler(range(samples), shuffle=True)  # type: ignore[arg-type]
    epochs = []
    for epoch in range(2):
        if announce:
            sampler.set_epoch(epoch)
        parts: list[list[int]] = [[]] * dist.get_world_size()
        dist.all_gather_object(parts, list(sampler))
        epochs.append([index for part in parts for index in part])
    return epochs


def lone_gradient(divide: bool, device: torch.device) -> Tensor:
    """Give the last rank one batch more than the others, and look at the gradient that it gets for it.

    `Join` lets ranks that are done shadow its collectives with zeros. Divide by their number at the start, or by those still there?
    """
    model = DistributedDataParallel(nn.Linear(3, 1, bias=False).double().to(device))
    gradient = torch.zeros(3, dtype=torch.float64)
    with Join([model], divide_by_initial_world_size=divide):
        for batch in range(2 if dist.get_rank() == dist.get_world_size() - 1 else 1):
            model.zero_grad()
            model(torch.full((1, 3), 1.0 + batch, dtype=torch.float64, device=device)).sum().backward()
            assert model.module.weight.grad is not None
            gradient = model.module.weight.grad.flatten().cpu().clone()
    dist.broadcast(gradient, dist.get_world_size() - 1)
    return gradient


def skipped_collective(timeout_s: float) -> tuple[str, float]:
    """Let the last rank skip an all-reduce; return what rank 0 is told, and after how many seconds.

    The commonest failure of all: the others hang for torch's default timeout, 30 minutes. One that fits makes the hang an error.
    (With NCCL the flight recorder notes which rank was where.)
    """
    group = dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout_s))
    begun, said = time.perf_counter(), "nothing"
    if dist.get_rank() < dist.get_world_size() - 1:
        try:
            dist.all_reduce(torch.ones(3), group=group)
        except RuntimeError as error:
            said = str(error)
    told: list[Any] = [said, time.perf_counter() - begun]
    dist.broadcast_object_list(told)
    return told[0], told[1]


def trained_with_checkpoints(cfg: Config, kept: Checkpoints, device: torch.device) -> Tensor:
    """Train with checkpoints in the run folder, from wherever an earlier attempt has left one.

    Rank 0 writes for all. Kill this run and give its command again with its folder, as a queue does: a few steps are repeated.
    """
    model = DistributedDataParallel(network(device))
    form = FullState(model=model)
    for step in range(kept.resume(form), cfg.train_steps):
        stepped(model, *share_of(step, cfg.share, device))
        kept.after(step + 1, form)
        time.sleep(cfg.pause)
    return weights_of(model)


def undisturbed() -> list[Event]:
    """Train on two ranks of a group of their own, from beginning to end, and collect what they noted."""
    events = events_apart(by_torchrun(2), TRAINING)
    return events


def restarted_by_torchrun() -> list[Event]:
    """Kill a rank of the same training, under torchrun's elastic agent.

    At step 8 the last rank sends itself SIGKILL: no clean-up, no word. Its neighbour finds the connection broken. The agent
    ends the others and starts all again; each loads the checkpoint of step 5. See interrupted_training.py, beside this lab.
    """
    events = events_apart(by_torchrun(2, restarts=1), TRAINING, "--die-at", "8")
    return events


def restarted_by_hand() -> list[Event]:
    """Kill a rank with nobody there to restart it, and give the same command a second time.

    As a queue does when a node dies: a whole new start, perhaps elsewhere. It needs no agent, only a checkpoint.
    """
    with tempfile.TemporaryDirectory() as folder:
        first = events_of(by_node_starter(2), TRAINING, Path(folder), "--die-at", "8")
        second = events_of(by_node_starter(2), TRAINING, Path(folder), "--die-at", "99")
    return first + second


def seconds_to_notice(events: list[Event]) -> float:
    """Measure how long the other rank took to notice the kill, by the clock that both noted."""
    at = {str(event["event"]): float(event["time"]) for event in events}
    late = at["noticed"] - at["killed"]
    return late


def all_reduce_ms(sizes: tuple[int, ...], device: torch.device) -> list[float]:
    """Time all-reduces of growing size, in milliseconds.

    Small ones all cost the same, which is why buckets exist; large ones cost by size, which is why hooks compress.
    """
    rows = [torch.ones(size // 4, device=device) for size in sizes]
    return [median(seconds(lambda: dist.all_reduce(x_N), calls=1) for _ in range(7)) * 1e3 for x_N in rows]  # noqa: B023


def run(cfg: Config, lab: Lab) -> None:
    rank, size, device = lab.world.rank, lab.world.size, lab.world.device
    x_N = torch.rand(cfg.elements // size * size, generator=torch.Generator().manual_seed(rank)).to(device)
    total_N, sent = lab.step(ring_all_reduce, x_N)
    summed_N = x_N.clone()
    dist.all_reduce(summed_N)
    rounding = "two sums of N numbers below 1, N roundings each, of 2⁻²⁴ of at most N"
    lab.close(
        "43.ring",
        "the ring sums as `all_reduce` does",
        total_N,
        summed_N,
        tolerance=2 * size**2 * 2**-24,
        because=rounding,
    )
    part = "each rank sends 2(N-1)/N of the data"
    if lab.available("3 processes", {"43.ring-bytes": ("bytes", part)}):
        lab.bytes(
            "43.ring-bytes",
            part,
            sent,
            want=2 * (size - 1) * x_N.nbytes // size,
            because="2(N-1) turns of one chunk of N",
        )
    alone_SP = lab.step(trained_alone, cfg.steps, cfg.share * size, device)
    hand_SP, ddp_SP = (
        lab.step(trained_by_hand, cfg.steps, cfg.share, device),
        lab.step(trained_by_ddp, cfg.steps, cfg.share, device),
    )
    lab.close(
        "43.by-hand",
        "averaged by hand, N shares step as one batch",
        hand_SP,
        alone_SP,
        tolerance=DIGITS,
        because=ROUNDING,
    )
    lab.close(
        "43.by-ddp",
        "and so do they under DDP, step by step",
        ddp_SP,
        alone_SP,
        tolerance=DIGITS,
        because=ROUNDING,
    )
    hashes = lab.step(fingerprints, ddp_SP[-1])
    lab.equal(
        "43.same-weights", "all ranks end with the same weights, to the last bit", hashes, [hashes[0]] * size
    )

    gradients = [
        parameter.nbytes for parameter in reversed(list(equal_layers(cfg.width, device).parameters()))
    ]
    hooks = ((None, torch.float32), (2, torch.float32), (None, torch.float16))
    default, capped, halved = (lab.step(buckets_sent, cfg.width, cap, dtype, device) for cap, dtype in hooks)
    rows = [
        ("default", default[0], default[2]),
        ("2", capped[0], capped[2]),
        ("default, float16", halved[0], halved[2]),
    ]
    lab.table("Bytes of each bucket", ["bucket_cap_mb", "first step", "after the rebuild"], rows)
    lab.equal(
        "43.first-step", "in the first step there is one bucket", [len(default[0]), len(capped[0])], [1, 1]
    )
    lab.equal(
        "43.buckets",
        "then as many, and as large, as predicted",
        default[2],
        lab.step(predicted_buckets, gradients, FIRST, CAP),
    )
    lab.equal(
        "43.capped",
        "an explicit cap replaces the first limit too",
        capped[2],
        predicted_buckets(gradients, 2 * MIB, 2 * MIB),
    )
    lab.bytes(
        "43.model",
        "a step sends each gradient once",
        sum(default[2]),
        want=sum(gradients),
        because="4·P bytes into the all-reduce",
    )
    lab.bytes(
        "43.fp16-hook",
        "the float16 hook sends half the bytes",
        sum(halved[2]),
        want=sum(gradients) // 2,
        because="2 bytes for 4",
    )
    (calls, loud_P), (few, quiet_P) = (
        lab.step(reductions, 4, False, device),
        lab.step(reductions, 4, True, device),
    )
    lab.equal("43.no-sync", "four batches under `no_sync` take one reduction, not four", [few, calls], [1, 4])
    lab.close(
        "43.no-sync-gradient", "with the same gradient", quiet_P, loud_P, tolerance=DIGITS, because=ROUNDING
    )
    branch = lambda: lab.step(steps_with_an_unused_branch, False, device)  # noqa: E731
    lab.raises(
        "43.unused",
        "a layer without a gradient stops the second step",
        branch,
        RuntimeError,
        "Expected to have finished reduction",
    )
    done = lab.step(steps_with_an_unused_branch, True, device)
    lab.count(
        "43.found",
        "`find_unused_parameters` lets it pass",
        done,
        want=2,
        unit="steps",
        because="two were asked for",
    )
    (still, again), moving = (
        lab.step(sampled_epochs, 24 * size, False),
        lab.step(sampled_epochs, 24 * size, True),
    )
    lab.equal(
        "43.partition",
        "all ranks together draw every sample once",
        [*map(sorted, moving)],
        [list(range(24 * size))] * 2,
    )
    lab.equal("43.stuck", "without `set_epoch` the second epoch repeats the first", again, still)
    lab.count(
        "43.set-epoch",
        "with it there are two orders",
        len({*map(tuple, moving)}),
        want=2,
        because="the epoch is in the seed",
    )
    divided, whole = lab.step(lone_gradient, True, device), lab.step(lone_gradient, False, device)
    lab.close(
        "43.join",
        "`Join` divides a lone gradient by all that began",
        divided,
        [2 / size] * 3,
        tolerance=DIGITS,
        because=ROUNDING,
    )
    lab.close(
        "43.join-whole",
        "or, told so, by those still there",
        whole,
        [2.0] * 3,
        tolerance=DIGITS,
        because=ROUNDING,
    )
    error, soon = "a skipped collective ends in an error", "and does so within the timeout and 5 s"
    if lab.available("2 processes", {"43.skipped": ("exact", error), "43.bounded": ("count", soon)}):
        said, waited = lab.step(skipped_collective, cfg.patience)
        lab.equal("43.skipped", error, "Timed out" in said, True)
        lab.count(
            "43.bounded",
            soon,
            round(waited),
            at_most=cfg.patience + 5,
            unit="s",
            because="the group's timeout",
        )
    kept = lab.checkpoints(cfg.every)
    ours_P, calm_P = (
        lab.step(trained_with_checkpoints, cfg, kept, device),
        trained_by_ddp(cfg.train_steps, cfg.share, device)[-1],
    )
    judge(lab, kept, cfg.train_steps, ours_P, calm_P, tolerance=DIGITS, because=ROUNDING)
    calm, *killed = (
        lab.step_on_first(step) for step in (undisturbed, restarted_by_torchrun, restarted_by_hand)
    )
    for id_, how, events in zip(
        ("torchrun", "hand"), ("restarted by torchrun", "started again by hand"), killed, strict=True
    ):
        late, resumed = (
            round(lab.step(seconds_to_notice, events)),
            max(event["step"] for event in events if event["event"] == "begin"),
        )
        lab.count(
            f"43.{id_}-noticed",
            f"{how}: the kill is noticed",
            late,
            at_most=25,
            unit="s",
            because="timeout 20 s + 5 s",
        )
        lab.count(
            f"43.{id_}-resumed",
            "training goes on from the checkpoint",
            resumed,
            want=5,
            because="one every 5 steps, a kill at 8",
        )
        ends = [{event["weights"] for event in told if event["event"] == "end"} for told in (events, calm)]
        lab.equal(f"43.{id_}-same", "and ends with the weights of the undisturbed run", *ends)

    sizes = tuple(2**power for power in range(10, 25, 2))
    measured = {"all-reduce": lab.step(all_reduce_ms, sizes, device)}
    lab.plot(
        "The price of an all-reduce", sizes, measured, x_label="bytes", y_label="ms", log_x=True, log_y=True
    )


MUTANTS = (
    Mutant(
        "overwrites in place of adding",
        ring_all_reduce,
        "chunks[into] + arriving if turn < size - 1 else arriving",
        "arriving",
    ),
    Mutant("adds to the end", ring_all_reduce, "turn < size - 1", "True"),
    Mutant(
        "sends twice what it needs to",
        ring_all_reduce,
        "sent += chunks[out].nbytes",
        "sent += 2 * chunks[out].nbytes",
    ),
    Mutant("forgets to divide", averaged_gradients, "parameter.grad /= dist.get_world_size()", "pass"),
    Mutant(
        "averages the weights",
        averaged_gradients,
        "dist.all_reduce(parameter.grad)",
        "dist.all_reduce(parameter.data)",
    ),
    Mutant(
        "does not wrap the model",
        trained_by_ddp,
        "DistributedDataParallel(network(device))",
        "network(device)",
    ),
    Mutant(
        "hashes the rank too",
        fingerprints,
        "fingerprint(weights_P)",
        "fingerprint(weights_P + dist.get_rank())",
    ),
    Mutant("closes a bucket too early", predicted_buckets, "open_bytes >= limit", "open_bytes >= limit // 4"),
    Mutant(
        "keeps the first limit for all",
        predicted_buckets,
        "open_bytes, limit = 0, cap",
        "open_bytes, limit = 0, first",
    ),
    Mutant(
        "limits the first step too",
        buckets_sent,
        "bucket_cap_mb=cap_mb",
        "bucket_cap_mb=cap_mb, find_unused_parameters=True",
    ),
    Mutant("sends float32 all the same", noting, "whole.to(dtype)", "whole.clone()"),
    Mutant("speaks after every batch", reductions, "if quiet and step < accumulate - 1", "if False"),
    Mutant(
        "forgets the last batches",
        reductions,
        "share_of(step, 8, device)",
        "share_of(step if not quiet else 0, 8, device)",
    ),
    Mutant(
        "always searches",
        steps_with_an_unused_branch,
        "find_unused_parameters=search",
        "find_unused_parameters=True",
    ),
    Mutant("takes one step", steps_with_an_unused_branch, "range(2)", "range(1)"),
    Mutant(
        "gives every rank everything",
        sampled_epochs,
        "shuffle=True)",
        "shuffle=True, num_replicas=1, rank=0)",
    ),
    Mutant("never announces the epoch", sampled_epochs, "if announce", "if False"),
    Mutant("always announces the epoch", sampled_epochs, "if announce", "if True"),
    Mutant(
        "divides the other way",
        lone_gradient,
        "divide_by_initial_world_size=divide",
        "divide_by_initial_world_size=not divide",
    ),
    Mutant("skips nothing", skipped_collective, "dist.get_rank() < dist.get_world_size() - 1", "True"),
    Mutant("counts from the epoch", skipped_collective, "time.perf_counter() - begun", "time.time()"),
    Mutant("skips a batch", trained_with_checkpoints, "kept.resume(form)", "kept.resume(form) + 1"),
    Mutant("starts from another seed", undisturbed, "TRAINING", 'TRAINING, "--seed", "1"'),
    Mutant(
        "forgets its checkpoints",
        restarted_by_torchrun,
        '"--die-at", "8"',
        '"--die-at", "8", "--every", "99"',
    ),
    Mutant("reads one clock", seconds_to_notice, 'at["noticed"] - at["killed"]', 'at["noticed"]'),
    Mutant("counts elements twice", noting, "sent.append(message.nbytes)", "sent.append(2 * message.nbytes)"),
    Mutant(
        "starts anew elsewhere",
        restarted_by_hand,
        'Path(folder), "--die-at", "99"',
        'Path(folder, "x"), "--die-at", "99"',
    ),
)


if __name__ == "__main__":
    main(run, Config)
