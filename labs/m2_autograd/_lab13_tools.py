"""Tools of lab 13: batches that do not come out even, comparisons, pictures of memory, questions."""

import weakref
from collections.abc import Callable, Sequence
from itertools import accumulate as running
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from labs.kit import Tolerance
from labs.kit.draw.diagrams import Span, Timeline
from labs.kit.measure.memory import allocations

Batch = tuple[Tensor, Tensor]  # inputs and labels of a micro-batch
Train = Callable[[nn.Module, list[Batch]], None]  # leaves gradients behind
INPUTS, CLASSES = 5, 4
IGNORED = -100
DIGITS = Tolerance(
    1e-12, "float64 keeps 16 digits, and adding some dozens of numbers in another order costs fewer than 4"
)
UNITS = Tolerance(
    82, "in units of the dtype's precision: at most 82 labels, each rounding a sum of up to 2 by half a unit"
)


# Networks and batches ---------------------------------------------------------------------------------------


def classifier(
    hidden: int = 11, dtype: torch.dtype = torch.float64, norm: Callable[[int], nn.Module] | None = None
) -> nn.Sequential:
    """Return a classifier that is always the same, with a norm behind its first layer if one is asked for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(13)
        first, last = nn.Linear(INPUTS, hidden), nn.Linear(hidden, CLASSES)
        middle = [norm(hidden)] if norm else []
        return nn.Sequential(first, *middle, nn.Tanh(), last).to(dtype)


def tower(hidden: int, depth: int = 6) -> nn.Sequential:
    """Return a deeper classifier in float32, whose activations can be watched as they come and go."""
    middle = [layer for _ in range(depth) for layer in (nn.Linear(hidden, hidden), nn.Tanh())]
    return nn.Sequential(nn.Linear(INPUTS, hidden), nn.Tanh(), *middle, nn.Linear(hidden, CLASSES))


def micro_batches(
    sizes: Sequence[int], *, seed: int = 13, ignored: int = 0, dtype: torch.dtype = torch.float64
) -> list[Batch]:
    """Draw samples and cut them into micro-batches of these sizes; as many samples are the same in any cut.

    The first labels of each micro-batch, as many as are `ignored`, do not count.
    """
    draw = torch.Generator().manual_seed(seed)
    inputs_BI = torch.randn(sum(sizes), INPUTS, generator=draw, dtype=torch.float64).to(dtype)
    labels_B = torch.randint(0, CLASSES, (sum(sizes),), generator=draw)
    pieces = zip(inputs_BI.split(list(sizes)), labels_B.split(list(sizes)), strict=True)
    found = [(inputs.clone(), labels.clone()) for inputs, labels in pieces]
    for _, labels in found:
        labels[:ignored] = IGNORED
    return found


def awkward() -> list[list[Batch]]:
    """Return batches in unequal pieces: short, empty, of one sample, without a label, in float32."""
    padded = micro_batches((5, 0, 2, 1, 4), ignored=2)
    return [
        micro_batches((5, 0, 2)),
        micro_batches((3, 50, 7, 20)),
        micro_batches((1,)),
        padded,
        micro_batches((6, 1, 9), ignored=1, dtype=torch.float32),
        micro_batches((2, 1), ignored=2),
    ]


def whole(batches: Sequence[Batch]) -> Batch:
    """Put micro-batches together again, in float64."""
    inputs, labels = zip(*batches, strict=True)
    return torch.cat([one.double() for one in inputs]), torch.cat(labels)


def gradient_row(model: nn.Module) -> Tensor:
    """Return all gradients of a model in one row; one that is not there is zero."""
    found = [(weight, weight.grad) for weight in model.parameters()]
    return torch.cat([(torch.zeros_like(w) if grad is None else grad).flatten() for w, grad in found])


def weighted_gradient(model: nn.Module, batch: Batch, weights_B: Tensor) -> Tensor:
    """Return the gradient of one pass over a whole batch, in which each label has a weight of its own."""
    inputs_BI, labels_B = batch
    losses_B = nn.functional.cross_entropy(model(inputs_BI), labels_B, reduction="none", ignore_index=IGNORED)
    found = torch.autograd.grad(losses_B, list(model.parameters()), weights_B)
    return torch.cat([gradient.flatten() for gradient in found])


def true_gradient(batches: Sequence[Batch], hidden: int = 11) -> Tensor:
    """Return the gradient of the mean over all labels that count, in one pass over the whole batch."""
    inputs_BI, labels_B = whole(batches)
    weights_B = (labels_B != IGNORED).double()
    return weighted_gradient(
        classifier(hidden), (inputs_BI, labels_B), weights_B / max(weights_B.sum().item(), 1)
    )


def relative(found_P: Tensor, wanted_P: Tensor) -> float:
    """Return how far one gradient is from another, as a share of the latter's length."""
    share: float = ((found_P - wanted_P).norm() / wanted_P.norm()).item()
    return share


def units(found_P: Tensor, wanted_P: Tensor, *, untouched: bool = True) -> float:
    """Return how far a gradient is from a true one, in units of its precision and of its largest number."""
    if found_P.shape != wanted_P.shape or not untouched:
        return float("inf")
    scale = max(wanted_P.abs().max().item(), 1e-300)
    gap: float = (found_P.double() - wanted_P).abs().max().item() / scale / torch.finfo(found_P.dtype).eps
    return gap


def learner(batches: Sequence[Batch]) -> nn.Sequential:
    """Return a classifier for these batches; in float64 with a gradient of ones that is there already."""
    dtype = batches[0][0].dtype
    model = classifier(dtype=dtype)
    for weight in model.parameters() if dtype == torch.float64 else ():
        weight.grad = torch.ones_like(weight)
    return model


def error_left(model: nn.Module, place: int, batches: Sequence[Batch]) -> float:
    """Compare what `accumulate` left behind with the whole batch's gradient, on top of what was there before.

    Where a weight or a batch was changed, it is infinitely far away.
    """
    wanted = true_gradient(awkward()[place])
    fresh = learner(batches)
    untouched = all(map(torch.equal, model.parameters(), fresh.parameters())) and all(
        torch.equal(*pair)
        for ours, drawn in zip(batches, awkward()[place], strict=True)
        for pair in zip(ours, drawn, strict=True)
    )
    before = 1.0 if batches[0][0].dtype == torch.float64 else 0.0
    return units(gradient_row(model), wanted + before, untouched=untouched)


def running_statistics(sizes: Sequence[int], momentum: float = 0.1) -> tuple[Tensor, Tensor]:
    """Predict BatchNorm's running mean and variance after these micro-batches, which it starts at 0 and 1."""
    layer = classifier(12)[0]
    mean, variance = torch.zeros(12, dtype=torch.float64), torch.ones(12, dtype=torch.float64)
    for inputs_BI, _ in micro_batches(sizes):
        seen = layer(inputs_BI).detach()
        mean = (1 - momentum) * mean + momentum * seen.mean(0)
        variance = (1 - momentum) * variance + momentum * seen.var(0)
    return mean, variance


# Ranks ------------------------------------------------------------------------------------------------------

PIECES = 4  # micro-batches whose all-reduces are counted
SHARES = ((3, 1, 2), (17, 0, 5), (2, 4, 0))  # sizes of the micro-batches of a rank
TURNS = 3  # batches that the ranks share in turn


def share_of(rank: int, turn: int) -> list[Batch]:
    """Return the three micro-batches of a rank: their sizes differ, and some of them are empty."""
    return micro_batches(SHARES[(rank + turn) % len(SHARES)], seed=100 * turn + rank, ignored=1)


def all_shares(turn: int) -> list[list[Batch]]:
    """Return the micro-batches of all ranks."""
    return [share_of(rank, turn) for rank in range(dist.get_world_size())]


def mean_of_ranks(shares: list[list[Batch]]) -> Tensor:
    """Return the gradient in which each rank's labels count 1/(R·nᵣ), in one pass over the whole batch."""
    counts = [sum(int((labels_B != IGNORED).sum()) for _, labels_B in share) for share in shares]
    inputs_BI, labels_B = whole([batch for share in shares for batch in share])
    lengths = [sum(len(labels_B) for _, labels_B in share) for share in shares]
    heavy = [
        torch.full((n,), 1 / count, dtype=torch.float64) for n, count in zip(lengths, counts, strict=True)
    ]
    weights_B = torch.cat(heavy) * (labels_B != IGNORED) / len(shares)
    return weighted_gradient(classifier(), (inputs_BI, labels_B), weights_B)


def copied_to_all() -> DistributedDataParallel:
    """Wrap the classifier, which is the same on every rank."""
    return DistributedDataParallel(classifier())


def predicted_on_ranks() -> tuple[Tensor, Tensor]:
    """Return for each of these batches what the mean of ranks should be, and the gradient of the whole."""
    batches = [all_shares(turn) for turn in range(TURNS)]
    wholes = [true_gradient([batch for share in shares for batch in share]) for shares in batches]
    return torch.stack([mean_of_ranks(shares) for shares in batches]), torch.stack(wholes)


def whole_numbers(place: int, rank: int) -> tuple[Tensor, Tensor]:
    """Return a rank's inputs and the gradient from above: whole numbers, whose sums and means do not round.

    A gradient from above is a multiple of R⁴, since what was averaged once may be averaged three times more.
    """
    draw = torch.Generator().manual_seed(100 * place + rank)
    inputs_BI = torch.randint(-9, 10, (5, 3), generator=draw).double()
    above_BO = torch.randint(-9, 10, (5, 2), generator=draw).double() * dist.get_world_size() ** PIECES
    return inputs_BI, above_BO


def mean_by_formula() -> Tensor:
    """Return the mean over the ranks of the summed gradients of that layer."""
    ranks = dist.get_world_size()
    total_OI = torch.zeros(2, 3, dtype=torch.float64)
    for place in range(PIECES):
        for rank in range(ranks):
            inputs_BI, above_BO = whole_numbers(place, rank)
            total_OI += above_BO.t() @ inputs_BI
    return total_OI.flatten() / ranks


# Memory over time -------------------------------------------------------------------------------------------


class _Clock(TorchDispatchMode):
    """Counts operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.now += 1
        return func(*args, **(kwargs or {}))


class _Kept:
    """A tensor that autograd keeps, in a box whose end can be noticed."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def lives(name: str, train: Train, model: nn.Module, batches: list[Batch]) -> Timeline:
    """Draw for each micro-batch from when to when autograd keeps something of it."""
    spans: list[list[int]] = []
    clock = _Clock()

    def begin(*_: object) -> None:
        spans.append([clock.now, clock.now])

    def freed(piece: list[int]) -> None:
        piece[1] = max(piece[1], clock.now)

    def pack(tensor: Tensor) -> _Kept:
        box = _Kept(tensor)
        if not isinstance(tensor, nn.Parameter):
            weakref.finalize(box, freed, spans[-1])
        return box

    hook = model.register_forward_pre_hook(begin)
    with clock, saved_tensors_hooks(pack, lambda box: box.tensor):
        train(model, batches)
    hook.remove()
    lanes = {f"{name}, {place}": [Span(span[0], span[1])] for place, span in enumerate(spans, 1)}
    return Timeline(lanes, unit="operations")


def live_bytes(action: Callable[[], object], points: int) -> list[float]:
    """Return the allocator's level above its start, as the highest one in each of so many shares of the time.

    Time is counted in allocations and releases, from the first one that matters on.
    """
    levels = list(running(allocations(action)))
    levels = levels[next(place for place, level in enumerate(levels) if level > max(levels) / 50) :]
    ends = [max(1, round((point + 1) * len(levels) / points)) for point in range(points)]
    starts = [0, *ends[:-1]]
    return [float(max(levels[min(a, b - 1) : b])) for a, b in zip(starts, ends, strict=True)]


# Guesses ----------------------------------------------------------------------------------------------------


class Guesses(NamedTuple):
    """A question, its answers with what is to be said of each, and the right one."""

    question: str
    guesses: dict[str, str]
    answer: str


IGNORED_GUESSES = Guesses(
    "All labels of a micro-batch are −100, so none of them counts, and its mean loss prints as NaN. What is "
    "its gradient?",
    {
        "NaN": "The loss is 0/0, but nothing leads from there to the weights: no label took part in it.",
        "0": "**Yes.** Each label hands back its own share, and a label that is ignored hands back 0.",
        "an error": "torch says nothing. The NaN stands in the log, and the training goes on.",
    },
    "0",
)
ADAM_GUESSES = Guesses(
    "A batch comes in 16 micro-batches, and you forget to divide. How many times too long is Adam's first "
    "step?",
    {
        "16 times": "So it is with SGD, which multiplies the gradient by the learning rate and nothing else.",
        "4 times": "That would be the root of 16. Adam does take a root, but divides by it.",
        "1.00 times": "**Yes.** Adam divides a gradient by its own size, and the 16 stands in both.",
    },
    "1.00 times",
)
NO_SYNC_GUESSES = Guesses(
    "`with model.no_sync():` stands around `loss.backward()` alone, in three of four micro-batches. How many "
    "all-reduces do the four take?",
    {
        "0": "The fourth micro-batch stands outside of `no_sync` in any case.",
        "1": "So it is when the forward pass stands inside too, because it is there that DDP decides.",
        "4": "**Yes.** The forward pass has prepared a reduction each time, and the backward pass does it.",
    },
    "4",
)
