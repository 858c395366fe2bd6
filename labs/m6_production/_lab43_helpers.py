"""What lab 43 needs beside its lesson: things to train, a watch on messages, and steps that only measure."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.join import Join
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DistributedSampler

import labs.m6_production.interrupted_training as training
from labs.kit import Tolerance
from labs.kit.distributed.shards import weights_of
from labs.kit.distributed.subgroup import by_node_starter, by_torchrun, events_of
from labs.kit.measure.timing import seconds, torch_threads
from labs.kit.topics.tasks import fingerprint
from labs.m6_production._lab43_pictures import Event, Noted, Witness, collectives_begun, from_all

INPUTS, HIDDEN, CLASSES = 16, 32, 4
DIGITS = Tolerance(
    1e-12, "float64 keeps 16 digits, and adding some dozens of numbers in another order costs fewer than 4"
)
TRAINING = "labs.m6_production.interrupted_training"
TRAINED_STEPS = 20  # of that training, which writes a checkpoint at every fifth
KILL_TIMEOUT_S = 60.0  # of its collectives
BATCHES = 4  # whose gradients are accumulated
Hook = Callable[[object, dist.GradBucket], torch.futures.Future[Tensor]]

# A small classifier -----------------------------------------------------------------------------------------


def network(seed: int, device: torch.device, *, norm: bool = False) -> nn.Sequential:
    """Return a classifier of two layers in float64, with BatchNorm between them where `norm` asks for it."""
    torch.manual_seed(seed)
    middle = [nn.BatchNorm1d(HIDDEN)] if norm else []
    layers = nn.Linear(INPUTS, HIDDEN), *middle, nn.Tanh(), nn.Linear(HIDDEN, CLASSES)
    return nn.Sequential(*layers).double().to(device)


def batch_of(number: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return inputs that follow from the batch's number, and as labels which of the first four is largest."""
    generator = torch.Generator().manual_seed(number)
    inputs_BI = torch.randn(size, INPUTS, dtype=torch.float64, generator=generator)
    return inputs_BI.to(device), inputs_BI[:, :CLASSES].argmax(dim=1).to(device)


def share_of(number: int, share: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return this rank's part of a batch that all ranks share."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    inputs_BI, labels_B = batch_of(number, share * ranks, device)
    return inputs_BI.chunk(ranks)[rank], labels_B.chunk(ranks)[rank]


def loss_of(model: nn.Module, inputs_BI: Tensor, labels_B: Tensor) -> Tensor:
    """Return the mean cross-entropy of a batch."""
    return nn.functional.cross_entropy(model(inputs_BI), labels_B)


def loss_at(weights_P: Tensor, device: torch.device) -> float:
    """Return the loss of a network with these weights, on samples that none was trained on."""
    model = network(0, device)
    nn.utils.vector_to_parameters(weights_P, model.parameters())
    return loss_of(model, *batch_of(10**6, 500, device)).item()


def steps_done(
    model: nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable[tuple[Tensor, Tensor]]
) -> Iterator[int]:
    """Take a step on each batch, and after each say how many that makes."""
    for done, (inputs_BI, labels_B) in enumerate(batches, 1):
        optimizer.zero_grad()
        loss_of(model, inputs_BI, labels_B).backward()
        optimizer.step()
        yield done


def trained_alone(steps: int, batch: int, rate: float, device: torch.device) -> Tensor:
    """Train on whole batches in one process by momentum's formula. Return the weights after each step."""
    model = network(0, device)
    weights, path = list(model.parameters()), []
    momenta = [torch.zeros_like(weight) for weight in weights]
    for step in range(steps):
        gradients = torch.autograd.grad(loss_of(model, *batch_of(step, batch, device)), weights)
        with torch.no_grad():
            for weight, momentum, gradient in zip(weights, momenta, gradients, strict=True):
                weight.sub_(momentum.mul_(0.9).add_(gradient), alpha=rate)
        path.append(weights_of(model))
    return torch.stack(path)


def after_as_many_samples(
    steps: int, share: int, ranks: int, rate: float, device: torch.device
) -> tuple[float, float, float]:
    """Return the losses after as many samples: small batches, large ones, and these at R times the rate."""
    ways = (steps * ranks, share, rate), (steps, share * ranks, rate), (steps, share * ranks, rate * ranks)
    small, same, fast = (loss_at(trained_alone(*way, device)[-1], device) for way in ways)
    return small, same, fast


class Trained(NamedTuple):
    """A training under DDP: a rank's weights before it and after each step, and BatchNorm's running mean."""

    own_P: Tensor
    path_SP: Tensor
    mean: Tensor


# Experts ----------------------------------------------------------------------------------------------------


class Experts(nn.Module):
    """A layer for all, a frozen one, and one expert for each rank, of which a rank uses only its own."""

    def __init__(self, ranks: int, device: torch.device) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shared, self.frozen = nn.Linear(5, 4), nn.Linear(4, 4).requires_grad_(False)
        self.experts = nn.ModuleList(nn.Linear(4, 3) for _ in range(ranks))
        self.double().to(device)

    def forward(self, x_BI: Tensor, expert: int) -> Tensor:
        out: Tensor = self.experts[expert](torch.tanh(self.frozen(self.shared(x_BI))))
        return out


def expert_share(rank: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a rank's inputs for `Experts`, and the gradient that comes in from above."""
    generator = torch.Generator().manual_seed(rank)
    inputs_BI = torch.randn(7, 5, dtype=torch.float64, generator=generator)
    above_BO = torch.randn(7, 3, dtype=torch.float64, generator=generator)
    return inputs_BI.to(device), above_BO.to(device)


def after_backward(rank: int, ranks: int, device: torch.device) -> Experts:
    """Return `Experts` after a backward pass on one rank's share."""
    model = Experts(ranks, device)
    inputs_BI, above_BO = expert_share(rank, device)
    model(inputs_BI, rank).backward(above_BO)
    return model


def gradient_of_all(ranks: int, device: torch.device) -> Tensor:
    """Return the mean gradient of `Experts` over the shares of all ranks, computed in one process."""
    model = Experts(ranks, device)
    for rank in range(ranks):
        inputs_BI, above_BO = expert_share(rank, device)
        model(inputs_BI, rank).backward(above_BO / ranks)
    return gradient_row(model)


def gradient_row(model: nn.Module) -> Tensor:
    """Return the gradients that are there in one row."""
    return torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])


def two_passes(option: str, device: torch.device) -> tuple[Tensor, str]:
    """Let DDP average the gradients of `Experts`, and begin a second pass.

    Return the gradients after the first pass, and what the second forward pass said.
    """
    options: Any = {option: True} if option in ("find_unused_parameters", "static_graph") else {}
    rank = dist.get_rank()
    model = DistributedDataParallel(Experts(dist.get_world_size(), device), **options)
    inputs_BI, above_BO = expert_share(rank, device)
    model(inputs_BI, rank).backward(above_BO)
    gradient_P, said = gradient_row(model), "goes on"
    try:
        model(inputs_BI, rank)
    except RuntimeError as error:
        said = str(error).partition(" in the prior ")[0]
    return gradient_P, said


# Messages and buckets ---------------------------------------------------------------------------------------


def rows_of(rank: int, ranks: int, elements: int) -> list[Tensor]:
    """Return rows of whole numbers to sum over the ranks, of several lengths and dtypes.

    R divides the first length, and the second is shorter by one. A detour through float32 would spoil the
    float64 beyond 2⁴⁰, and one through float64 the integers beyond 2⁵⁶.
    """
    generator = torch.Generator().manual_seed(rank)
    numbers_N = torch.randint(-1000, 1000, (elements // ranks * ranks,), generator=generator)
    odd = [numbers_N[:-1].float(), numbers_N[:1].float(), numbers_N[:4].int()]
    return [numbers_N.float(), *odd, numbers_N[:7] + 2**56, (numbers_N[:7] + 2**40).double()]


def all_reduced(rows: list[Tensor]) -> list[Tensor]:
    """Return the sums of all ranks' rows by `all_reduce`."""
    sums = [row.clone() for row in rows]
    for row in sums:
        dist.all_reduce(row)
    return sums


class Messages(TorchDispatchMode):
    """Keeps a copy of all that this rank sends within the `with` block, by whichever of torch's calls."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sent: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if str(func).startswith("c10d.send"):
            self.sent += [tensor.clone() for tensor in args[0]]
        return func(*args, **(kwargs or {}))


def distinct(*rows: Tensor) -> list[int]:
    """Count, for each row, how many different ones the ranks hold, to the last bit."""
    hashes = from_all([fingerprint(row) for row in rows])
    return [len(set(of_ranks)) for of_ranks in zip(*hashes, strict=True)]


def uneven_layers(device: torch.device) -> nn.Sequential:
    """Return layers whose gradients have 12 bytes to 1.3 MiB, and the last one's half a MiB exactly."""
    torch.manual_seed(0)
    sizes = (300, 400), (400, 700), (700, 500), (500, 3), (3, 512)
    layers = [layer for size in sizes for layer in (nn.Linear(*size), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(512, 256, bias=False)).to(device)


def all_reduce_ms(sizes: list[int], device: torch.device) -> list[float]:
    """Time all-reduces of growing size, in milliseconds: the fastest of nine, disturbed least."""
    rows = [torch.ones(size // 4, device=device) for size in sizes]
    return [min(seconds(partial(dist.all_reduce, x_N), 1, device) for _ in range(9)) * 1e3 for x_N in rows]


def backward_passes(
    hook_of: Callable[[torch.dtype, list[Noted]], Hook],
    cap_mb: float | None,
    dtype: torch.dtype,
    rows: int,
    device: torch.device,
) -> list[list[Noted]]:
    """Note, in three backward passes under DDP, when each gradient is ready and each bucket on its way."""
    log: list[Noted] = []
    model = DistributedDataParallel(uneven_layers(device), bucket_cap_mb=cap_mb)
    for weight in model.parameters():
        weight.register_post_accumulate_grad_hook(
            lambda weight: log.append(Noted.now("gradient", weight.nbytes))
        )
    model.register_comm_hook(None, hook_of(dtype, log))
    passes = []
    for _ in range(3):
        out_BO = model(torch.randn(rows, 300, device=device))
        log[:] = [Noted.now("begin", 0)]
        out_BO.backward(torch.randn_like(out_BO))
        passes.append(list(log))
    return passes


# Data that do not come out even -----------------------------------------------------------------------------


def whole_numbers(batch: int, rank: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a rank's inputs and the gradient from above: whole numbers, the latter multiples of R.

    So sums of gradients, and their means over R ranks, have no rounding: every order of adding gives the same
    bits.
    """
    generator = torch.Generator().manual_seed(100 * batch + rank)
    inputs_BI, above_BO = (torch.randint(-9, 10, (5, width), generator=generator) for width in (3, 2))
    return inputs_BI.double().to(device), (above_BO * dist.get_world_size()).double().to(device)


def gradient_by_formula(batches: Iterable[int], ranks: Iterable[int], device: torch.device) -> Tensor:
    """Return the gradient of a linear layer without bias on these ranks' batches, divided by R."""
    gradient_OI = torch.zeros(2, 3, dtype=torch.float64, device=device)
    for batch, rank in product(batches, ranks):
        inputs_BI, above_BO = whole_numbers(batch, rank, device)
        gradient_OI += above_BO.T @ inputs_BI
    return gradient_OI.flatten() / dist.get_world_size()


def sampled_epochs(samples: int, way: str) -> list[list[int]]:
    """Draw two epochs with the DistributedSampler, and collect what all ranks got.

    Each rank shuffles one list with one seed and takes every R-th entry. Only `set_epoch` makes the epoch a
    part of the seed.
    """
    numbers: Any = range(samples)
    sampler: Any = DistributedSampler(numbers, shuffle=True, drop_last="drop_last" in way)
    epochs = []
    for epoch in range(2):
        if "set_epoch" in way:
            sampler.set_epoch(epoch)
        epochs.append([index for indices in from_all(list(sampler)) for index in indices])
    return epochs


def lone_gradient(device: torch.device, *, divide: bool) -> Tensor:
    """Give the last rank one batch more than the others, and return the gradient that it gets for it.

    `Join` lets ranks that are done answer its collectives with zeros.
    """
    model = DistributedDataParallel(nn.Linear(3, 2, bias=False).double().to(device))
    last = dist.get_world_size() - 1
    gradient_P = torch.zeros(6, dtype=torch.float64)
    with Join([model], divide_by_initial_world_size=divide):
        for batch in range(2 if dist.get_rank() == last else 1):
            inputs_BI, above_BO = whole_numbers(batch, dist.get_rank(), device)
            model.zero_grad()
            model(inputs_BI).backward(above_BO)
            gradient_P = gradient_row(model).cpu()
    dist.broadcast(gradient_P, last)
    return gradient_P


# A rank that is missing -------------------------------------------------------------------------------------


def skipped_collective(timeout_s: float) -> list[Witness]:
    """Let the last rank skip an all-reduce in a group with a short timeout, and collect what ranks saw."""
    group = dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout_s))
    begun, begun_ns, said = time.perf_counter(), time.time_ns(), "nothing"
    if dist.get_rank() < dist.get_world_size() - 1:
        try:
            dist.all_reduce(torch.ones(3), group=group)
        except RuntimeError as error:
            said = str(error).rpartition("] ")[2]
    seen = Witness(said, time.perf_counter() - begun, collectives_begun(begun_ns))
    return from_all(seen)


def killed_twice() -> list[Event]:
    """Train on two ranks of a group of their own, kill a rank at steps 8 and 18, and collect what they noted.

    The first time nobody is there to restart it: the same command is given again, as a queue does. The second
    time torchrun's elastic agent ends the rank that is left, and starts both again.
    """
    deaths = ("--steps", str(TRAINED_STEPS), "--timeout", str(KILL_TIMEOUT_S), "--die-at", "8", "18")
    with tempfile.TemporaryDirectory() as folder:
        first = events_of(by_node_starter(2), TRAINING, Path(folder), *deaths)
        second = events_of(by_torchrun(2, restarts=1), TRAINING, Path(folder), *deaths)
    return first + second


def undisturbed() -> str:
    """Take the steps of the same training in one process, share by share, with torch's own optimizer.

    Return the weights' hash. The training's ranks have one thread each, and so has this. With more threads
    sums are taken in another order, and have other bits.
    """
    model = training.network_of(seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=training.RATE, momentum=training.MOMENTUM)
    with torch_threads(1):
        for step in range(TRAINED_STEPS):
            optimizer.zero_grad()
            for rank in range(2):
                inputs_BI, labels_B = training.share_of(step, 0, rank)
                (loss_of(model, inputs_BI, labels_B) / 2).backward()
            optimizer.step()
    return training.hash_of(model)


# Guesses ----------------------------------------------------------------------------------------------------


class Guesses(NamedTuple):
    """A question, its answers with what is to be said of each, and the right one."""

    question: str
    guesses: dict[str, str]
    answer: str


RING_GUESSES = Guesses(
    "8 ranks sum 1 GB in a ring. How much does each of them send?",
    {
        "0.25 GB": "That is what a rank sends in two of its 14 turns: a chunk is 1/8 GB.",
        "1.75 GB": "**Yes.** 14 turns of 1/8 GB. With 1000 ranks it would be 1.998 GB.",
        "7 GB": "That is the server's card. The ring is there to avoid it.",
        "8 GB": (
            "Each rank would send all of its data to all. `all_gather` followed by a sum does nearly that "
            "(7 GB), and needs room for all eight copies too."
        ),
    },
    "1.75 GB",
)
OVERLAP_GUESSES = Guesses(
    "From the second pass on the gradients travel in several buckets. How many of these leave before the "
    "last gradient is ready?",
    {
        "none": "So it is in the first pass, which has one bucket for all: it leaves with the last gradient.",
        "all but one": (
            "**Yes.** A bucket leaves with its last gradient, so only the last bucket waits for the last one."
        ),
        "all": "One bucket holds the gradient that is finished last, and cannot leave before it.",
    },
    "all but one",
)
NO_SYNC_GUESSES = Guesses(
    "In three of four batches `loss.backward()` alone stands in `with model.no_sync():`. How many "
    "all-reduces do the four batches take?",
    {
        "1": "So it would be with the forward pass inside as well, because it is there that DDP decides.",
        "4": (
            "**Yes.** The forward pass prepares the reduction, and what it has prepared goes out. Nobody "
            "says so: the gradient is right, and only slow."
        ),
        "0": "The fourth batch stands outside of `no_sync` in any case.",
    },
    "4",
)
