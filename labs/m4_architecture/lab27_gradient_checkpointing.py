"""Lab 27 · Gradient checkpointing · Checkpointing gradientów

Question:
    How do you fit a model ten times deeper by computing part of it twice?

You will see:
    - What fills the memory in training is not the model but what each layer keeps for the backward pass: N layers, N tensors.
    - You build a checkpoint from two hooks: keep a segment's input, forget the rest, compute it again. Not one bit of the gradient changes.
    - Segments of k layers keep N/k inputs and one recomputed segment of k tensors. The sum is least at k = √N: about 2√N, not N.
    - Within room for B tensors the deepest model grows from about B layers to (B/2)²: more than ten times as many from B = 40 on.
    - The price is most of one more forward pass: counted exactly, in matrix products, and then timed.
    - A recomputation must be a repetition: dropout's random state, and a network that tosses Python's coins.

Run:
    make lab-27
    python -m labs.m4_architecture.lab27_gradient_checkpointing --smoke

Needs:
    1 process, a GPU for two of the claims, 2 GiB of memory, 1 minute

Builds on:
    nothing; lab 05 shows which operations keep what, lab 12 when it is let go

Sources:
    - T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training Deep Nets with Sublinear Memory Cost", 2016: segments, and the √N
    - V. Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models", 2022: recomputing selectively
    - PyTorch documentation: torch.utils.checkpoint; Autograd mechanics, section Hooks for saved tensors

Notebook:
    27_Gradient_Checkpointing.ipynb
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from statistics import median

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import (
    CheckpointError,
    checkpoint,
    create_selective_checkpoint_contexts,
    set_checkpoint_early_stop,
)
from torch.utils.flop_counter import FlopCounterMode

from labs.kit import Kind, Lab, Mutant, exercise, main
from labs.kit.measure.memory import peak_bytes, saved_bytes
from labs.kit.measure.timing import in_turn

# Shape letters: R rows of a batch, D width of the network, P gradients of all parameters and the input in one row.

Way = Callable[[nn.Sequential, Tensor], Tensor]  # how a segment is run
WORKING = 2  # gradients that the backward pass of a layer holds beside what was kept: the stream's, and the product's or the tanh's
DROPOUT = 0.2
SKIPPING = 8  # layers that a coin leaves in or out


@dataclass(frozen=True)
class Config:
    """Sizes of this lab. A tensor, below, is one activation: R·D floats."""

    rows: int = 1024  # rows R of a batch where memory is measured
    width: int = 64  # width D of the network where memory is measured
    layers: int = 64  # layers N of the network; a square, so that √N is a whole number
    budget: int = 48  # room for activations, in tensors
    timed_rows: int = 512  # rows R of a batch where time is measured
    timed_width: int = 256  # width D of the network where time is measured
    gpu_rows: int = (
        2**18
    )  # rows R of a batch on a GPU: tensors so large that the libraries' own work space is small beside one

    @classmethod
    def smoke(cls) -> "Config":
        return cls(rows=256, budget=42, timed_rows=64, timed_width=64)


class Layer(nn.Module):
    """A residual layer: x + W·dropout(tanh(x)) + b. Of all this, autograd keeps tanh(x) alone, as long as there is no dropout."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(width, width), nn.Dropout(dropout)

    def forward(self, x_RD: Tensor) -> Tensor:
        out_RD: Tensor = x_RD + self.linear(self.dropout(torch.tanh(x_RD)))
        return out_RD


class SkippingLayer(Layer):
    """A layer that the toss of a coin leaves in or out, as stochastic depth does."""

    def __init__(self, width: int, coin: Callable[[], float]) -> None:
        super().__init__(width, 0.0)
        self.coin = coin

    def forward(self, x_RD: Tensor) -> Tensor:
        return super().forward(x_RD) if self.coin() < 0.5 else x_RD


def plain(segment: nn.Sequential, x_RD: Tensor) -> Tensor:
    out_RD: Tensor = segment(x_RD)
    return out_RD


as_torch_does: Way = partial(checkpoint, use_reentrant=False)
without_dice: Way = partial(
    checkpoint, use_reentrant=False, preserve_rng_state=False
)  # where nothing is random
keep_products = partial(create_selective_checkpoint_contexts, [torch.ops.aten.addmm.default])
selectively: Way = partial(checkpoint, use_reentrant=False, context_fn=keep_products)


def network(layers: int, width: int, dropout: float = 0.0, device: str = "cpu") -> nn.Sequential:
    """Stack N layers, with room for their gradients made beforehand: what a step needs besides is activations alone."""
    model: nn.Sequential = nn.Sequential(*[Layer(width, dropout) for _ in range(layers)]).to(device)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return model


def batch(rows: int, width: int, device: str = "cpu") -> Tensor:
    x_RD = torch.randn(rows, width, device=device, requires_grad=True)
    x_RD.grad = torch.zeros_like(x_RD)
    return x_RD


def segments_of(model: nn.Sequential, length: int) -> list[nn.Sequential]:
    layers = list(model)
    return [nn.Sequential(*layers[start : start + length]) for start in range(0, len(layers), length)]


def training_step(model: nn.Sequential, x_RD: Tensor, length: int, way: Way) -> None:
    """Run forward and backward, `length` layers at a time. In the place of a loss's gradient stands x itself."""
    out_RD = x_RD
    for segment in segments_of(model, length):
        out_RD = way(segment, out_RD)
    out_RD.backward(x_RD.detach())


def kept_for_backward(layers: int, rows: int, width: int) -> int:
    """Count the bytes that the backward pass finds kept.

    The derivative of tanh is 1 − tanh², and the gradient of W is a product with tanh(x): both need the same tensor, and the
    sum needs nothing. So each of the N layers keeps R·D floats until backward reaches it; the first layer waits longest.
    """
    model, x_RD = network(layers, width), batch(rows, width)
    kept = saved_bytes(lambda: model(x_RD), besides=(x_RD, *model.parameters()))
    return kept


@exercise(
    "Two hooks see every tensor that autograd wants to keep: `pack` on the way in, `unpack` on the way out. `pack` need not keep it.",
    "`pack` returns the tensor's place in the order of keeping. The first `unpack` runs the segment again, with hooks that keep "
    "what they see in a list, under the random state of the first time; every `unpack` then reads its place from that list.",
    "In `unpack`: `with fork_rng(devices=[]), enable_grad(), saved_tensors_hooks(note, lambda tensor: tensor)`: set the state, then "
    "`segment(x_RD.detach().requires_grad_())`; `note` appends `tensor.detach()`. The last line: run the segment under (pack, unpack).",
)
def checkpointed_by_hand(segment: nn.Sequential, x_RD: Tensor) -> Tensor:
    """Run a segment and keep nothing of it but its input.

    `torch.autograd.graph.saved_tensors_hooks(pack, unpack)` lets you put anything in the place of a kept tensor: a file's
    name, a copy on another device, or a mere number, and a promise to compute it again. That is a checkpoint. When
    backward asks for the first tensor, the segment runs once more, and from then on its tensors are there until backward
    has passed through it. Take `x_RD` to need a gradient.

    The random state (`torch.get_rng_state`) belongs to the input: dropout must toss the same coins again. `fork_rng` gives
    the dice back afterwards, as if nobody had touched them.
    """
    state, places, again = torch.get_rng_state(), count(), list[Tensor]()

    def unpack(place: int) -> Tensor:
        if not again:
            note = lambda tensor: again.append(tensor.detach())  # noqa: E731
            with (
                torch.random.fork_rng(devices=[]),
                torch.enable_grad(),
                saved_tensors_hooks(note, lambda tensor: tensor),
            ):
                torch.set_rng_state(state)
                segment(x_RD.detach().requires_grad_())
        return again[place]

    with saved_tensors_hooks(lambda tensor: next(places), unpack):
        out_RD = plain(segment, x_RD)
    return out_RD


def gradients(layers: int, length: int, rows: int, width: int, way: Way, dropout: float = DROPOUT) -> Tensor:
    """Take one training step and lay all gradients in a row.

    Every way of running a segment starts from the same random state, so that weights, batch and dropout's coins are the same
    in each. A recomputation repeats the same operations on the same numbers in the same order: the gradient must be equal,
    and not merely close.
    """
    torch.manual_seed(27)
    model, x_RD = network(layers, width, dropout), batch(rows, width)
    training_step(model, x_RD, length, way)
    gradients_P = torch.cat(
        [part.grad.flatten() for part in (x_RD, *model.parameters()) if part.grad is not None]
    )
    return gradients_P


def masks_of_dropout(rows: int, width: int, preserve: bool) -> list[Tensor]:
    """Look at the mask of a dropout in the forward pass and when it is computed again.

    Keeping the random state takes about 5 KB a segment, and `preserve_rng_state=False` saves them. With dropout in the segment
    the second mask is then a new one: backward differentiates another network than the one whose loss you saw. All shapes
    fit, so nothing warns. Two independent masks with probability p differ in a share of 2p(1 − p) of their places.
    """
    seen, dropout = list[Tensor](), nn.Dropout(DROPOUT)

    def segment(x_RD: Tensor) -> Tensor:
        dropped_RD: Tensor = dropout(torch.tanh(x_RD))
        seen.append(dropped_RD.detach() == 0)
        return dropped_RD**2

    x_RD = batch(rows, width)
    out_RD = checkpoint(segment, x_RD, use_reentrant=False, preserve_rng_state=preserve)
    out_RD.sum().backward()
    return seen


def said_of_foreign_coins(rows: int, width: int, seed: int) -> str:
    """Train a network that tosses Python's coins, and note what torch says.

    Stochastic depth leaves layers out at random. Written with Python's `random` it escapes the checkpoint, which puts back
    torch's random state alone: the second time other layers are taken. torch raises where they keep *fewer* tensors. Where
    they keep as many, it cannot see it; where they keep more, the early stop comes before anybody counts. Then the gradient
    is wrong, silently. The cure is to toss torch's coins, with `torch.rand`.
    """
    coin: Callable[[], float] = random.Random(seed).random
    model, x_RD = nn.Sequential(*[SkippingLayer(width, coin) for _ in range(SKIPPING)]), batch(rows, width)
    try:
        training_step(model, x_RD, SKIPPING, as_torch_does)
    except CheckpointError as error:
        return str(error).partition("\n")[0]
    return ""


@exercise(
    "The peak comes when backward begins: what has been kept of every segment by then, and what does the last one add?",
    "Each of the N/k segments keeps its input, one tensor. One segment at a time is there in full: k layers, each `per_layer` tensors.",
    "`layers / length + per_layer * length + WORKING`.",
)
def predicted_peak(layers: int, length: int, per_layer: int = 1) -> float:
    """Predict the peak of a training step in tensors.

    N layers in segments of k; each layer keeps `per_layer` tensors while its segment is there in full.

        peak = N/k + per_layer·k + 2

    The 2 (WORKING) are the gradients in flight. For one tensor a layer the sum is least where both terms are equal, at
    k = √N: there it is 2√N + 2, so depth grows with the square of the memory.
    """
    tensors = layers / length + per_layer * length + WORKING
    return tensors


def measured_peak(
    layers: int, length: int, rows: int, width: int, way: Way, dropout: float = 0.0, device: str = "cpu"
) -> float:
    """Measure the peak of a training step in tensors.

    On a CPU the profiler reports every allocation and release; on a GPU the allocator knows its own peak. Parameters and
    their gradients are there before and do not count: what is measured is the activations that live at once.
    """
    model, x_RD = network(layers, width, dropout, device), batch(rows, width, device)
    if device == "cuda":
        training_step(model, x_RD, length, way)  # the libraries' work spaces, once and for all
    tensors = peak_bytes(lambda: training_step(model, x_RD, length, way), device) / x_RD.nbytes
    return tensors


@exercise(
    "Fix k. With N/k + k + WORKING tensors in the budget, how large may N be? Then choose the k that makes it largest.",
    "N = k·(room − k) with room = budget − WORKING: a parabola in k that is zero at 0 and at room. Where is its top?",
    "`room = budget - WORKING`, `length = room // 2`, `layers = length * (room - length)`.",
)
def deepest_plan(budget: int) -> tuple[int, int]:
    """Plan the deepest network whose training step fits into a budget of B tensors: its layers N, and the length k of a segment.

    Solve the formula above for N and look for the best k. N comes to about (B/2)². Without checkpoints the same budget ends at
    about B layers, so the gain is (B/2)²/B = B/4: tenfold from B = 40 on. More memory gives more depth for each byte, too.
    """
    room = budget - WORKING
    length = room // 2
    layers = length * (room - length)
    return layers, length


def deepest_found(budget: int, length: int, rows: int, width: int, way: Way, device: str = "cpu") -> int:
    """Find the deepest network that fits, by measuring: double the depth until it does not fit, then halve the gap.

    Half a tensor is added to the budget for what is not an activation, the gradient of one weight and the like.
    """

    def fit(layers: int) -> bool:
        return measured_peak(layers, length, rows, width, way, device=device) <= budget + 0.5

    fits, too_deep = 0, length
    while fit(too_deep):
        fits, too_deep = too_deep, 2 * too_deep
    while too_deep - fits > length:
        middle = (fits + too_deep) // (2 * length) * length
        fits, too_deep = (middle, too_deep) if fit(middle) else (fits, middle)
    return fits


def products(layers: int, length: int, rows: int, width: int, way: Way, early_stop: bool) -> float:
    """Count the matrix products of a training step, each of 2·R·D² operations.

    Forward takes one product for a layer, backward two: for the gradient of W and for that of x. Recomputing takes a fourth,
    though not quite: backward does not need the last product of a segment, and torch stops as soon as it has all it needs.

        plain 3N     checkpointed 4N − N/k     selective 3N

    *Selective* checkpointing keeps what is dear and recomputes what is cheap. Here a policy keeps the products' results, one tensor
    a layer, and computes tanh and dropout again.
    """
    model, x_RD = network(layers, width, DROPOUT), batch(rows, width)
    with FlopCounterMode(display=False) as counter, set_checkpoint_early_stop(early_stop):
        training_step(model, x_RD, length, way)
    counted: float = counter.get_total_flops() / (2 * rows * width**2)
    return counted


def plain_and_recomputed(model: nn.Sequential, x_RD: Tensor, length: int) -> None:
    """Take a plain training step, and then run once more what a checkpoint would: all but the last product of each segment."""
    training_step(model, x_RD, length, plain)
    with torch.no_grad():
        for segment in segments_of(model, length):
            torch.tanh(plain(nn.Sequential(*list(segment)[:-1]), x_RD))


def times_the_plain_step(layers: int, length: int, rows: int, width: int) -> tuple[float, float]:
    """Time a checkpointed step, and its prediction, as multiples of the plain step.

    The prediction is timed too: a plain step, and after it the part that is recomputed, by itself. On the plot the memory
    falls steeply with the first few segments, while the time hardly moves between one segment and many. That is the bargain.
    """
    model, x_RD = network(layers, width), batch(rows, width)
    arms = (
        partial(training_step, model, x_RD, length, without_dice),
        partial(plain_and_recomputed, model, x_RD, length),
    )
    timed = (in_turn(arm, partial(training_step, model, x_RD, layers, plain), rounds=5) for arm in arms)
    measured, expected = (
        median(ours / step for ours, step in zip(*samples, strict=True)) for samples in timed
    )
    return measured, expected


def layers_taken(seed: int) -> tuple[int, int]:
    """Toss the same coins apart from the network: how many layers are taken the first time, and the second?"""
    coin = random.Random(seed).random
    return sum(coin() < 0.5 for _ in range(SKIPPING)), sum(coin() < 0.5 for _ in range(SKIPPING))


def run(cfg: Config, lab: Lab) -> None:
    R, D, N = cfg.rows, cfg.width, cfg.layers
    root = math.isqrt(N)
    kept = lab.step(kept_for_backward, N, R, D)
    lab.bytes(
        "27.kept",
        f"{N} layers keep {N} tensors",
        kept,
        want=N * R * D * 4,
        because="each layer keeps tanh(x), R·D·4 bytes",
    )
    lab.step(checkpointed_by_hand, network(N, D), batch(R, D))
    right_P = lab.step(gradients, N, N, R, D, plain)
    own_P = lab.step(gradients, N, root, R, D, checkpointed_by_hand)
    lab.equal(
        "27.by-hand",
        "the gradient through the checkpoint by hand is the plain one, dropout included",
        own_P,
        right_P,
    )
    own = measured_peak(N, root, R, D, checkpointed_by_hand)
    lab.close("27.peak-by-hand", f"and its peak, in tensors, {root} inputs and one segment of {root}", own, 2 * root + WORKING, tolerance=2,
              because="formula of step 6; one tensor for the order of freeing, one that torch's early stop spares")  # fmt: skip
    lab.equal(
        "27.gradient",
        "and so is the one through torch's",
        lab.step(gradients, N, root, R, D, as_torch_does),
        right_P,
    )
    first, second = lab.step(masks_of_dropout, R, D, True)
    lab.equal("27.same-mask", "with its random state kept, dropout repeats its mask", second, first)
    first, second = lab.step(masks_of_dropout, R, D, False)
    share = 2 * DROPOUT * (1 - DROPOUT)
    lab.close("27.other-mask", "without, the share 2p(1 − p) of the mask is another", (first != second).float().mean(), share,
              tolerance=5 * (share * (1 - share) / first.numel()) ** 0.5, because="five standard errors over R·D places")  # fmt: skip
    taken = [layers_taken(seed) for seed in range(12)]
    noticed = [
        "different number of tensors" in lab.step(said_of_foreign_coins, R, D, seed) for seed in range(12)
    ]
    shown = [(*layers, "raised" if word else "nothing") for layers, word in zip(taken, noticed, strict=True)]
    lab.table(
        "Twelve networks that toss Python's coins", ["layers at first", "layers again", "torch said"], shown
    )
    lab.equal(
        "27.coins",
        "torch notices foreign coins exactly where the second pass keeps less",
        noticed,
        [b < a for a, b in taken],
    )

    lengths = [length for length in range(1, N + 1) if N % length == 0]
    predicted = [lab.step(predicted_peak, N, length) for length in lengths]
    peaks = [lab.step(measured_peak, N, length, R, D, without_dice) for length in lengths]
    lab.plot(f"{N} layers in segments", lengths, {"N/k + k + 2": predicted, "measured": peaks},
             x_label="layers of a segment, k", y_label="peak, tensors", log_x=True)  # fmt: skip
    order = (
        "one tensor: in which order an operation frees and the next allocates, and the gradient of one weight"
    )
    lab.close(
        "27.peak",
        "every length peaks at the inputs kept and one segment",
        peaks,
        predicted,
        tolerance=1,
        because=order,
    )
    squares = [number**2 for number in (2, 4, 8, 16)]
    least = [lab.step(measured_peak, layers, math.isqrt(layers), R, D, without_dice) for layers in squares]
    whole = [lab.step(measured_peak, layers, layers, R, D, plain) for layers in squares]
    formula = [2 * math.sqrt(layers) + WORKING for layers in squares]
    lab.plot("The square root of N", squares, {"plain": whole, "2√N + 2": formula, "segments of √N": least},
             x_label="layers, N", y_label="peak, tensors", log_x=True, log_y=True)  # fmt: skip
    lab.close("27.root", "segments of √N peak at 2√N + 2", least, formula, tolerance=1, because=order)

    planned, length = lab.step(deepest_plan, cfg.budget)
    shallow = lab.step(deepest_found, cfg.budget, 1, R, D, plain)
    deep = lab.step(deepest_found, cfg.budget, length, R, D, without_dice)
    found = [("plain", shallow, cfg.budget - WORKING - 1), ("checkpointed", deep, planned)]
    lab.table(f"The deepest network in {cfg.budget} tensors", ["", "layers found", "by formula"], found)
    lab.count(
        "27.planned",
        "the plan's depth is the depth that fits",
        deep,
        want=planned,
        unit="layers",
        because="k·(B − 2 − k)",
    )
    lab.count("27.deeper", f"room for {cfg.budget} tensors holds a network ten times deeper", deep // shallow, at_least=10, unit="times",
              because="(B/2)²/B = B/4, and B ≥ 40")  # fmt: skip

    ways = [(plain, True), (as_torch_does, False), (as_torch_does, True), (selectively, True)]
    counted = [round(lab.step(products, N, root, R, D, way, early_stop)) for way, early_stop in ways]
    lab.equal("27.products", "products: plain 3N, checkpointed 4N, stopped early 4N − N/k, selective 3N", counted,
              [3 * N, 4 * N, 4 * N - N // root, 3 * N])  # fmt: skip
    costs = [
        measured_peak(N, k, R, D, way, DROPOUT)
        for k, way in ((N, plain), (root, as_torch_does), (root, selectively))
    ]
    formula = [3 * N + WORKING, predicted_peak(N, root, 3), N + predicted_peak(N, root, 2)]
    lab.table(f"{N} layers with dropout, in segments of {root}", ["", "peak, tensors", "products"],
              list(zip(("plain", "checkpointed", "selective"), costs, (counted[0], *counted[2:]), strict=True)))  # fmt: skip
    lab.close("27.selective", "with dropout: three tensors a layer, or one segment of them, or one each and a segment", costs, formula,
              tolerance=2, because="one tensor as above, and the random states, 5 KB a segment")  # fmt: skip

    model, x_RD = network(N // 4, cfg.timed_width), batch(cfg.timed_rows, cfg.timed_width)
    some = [k for k in lengths if len(model) % k == 0]
    measured, expected = zip(
        *[lab.step(times_the_plain_step, N // 4, k, cfg.timed_rows, cfg.timed_width) for k in some],
        strict=True,
    )
    lab.plot("What it costs", some, {"plain step and recomputed part": list(expected), "measured": list(measured)},
             x_label="layers of a segment, k", y_label="time, plain steps", log_x=True)  # fmt: skip
    ours, theirs = (
        lambda: training_step(model, x_RD, 4, without_dice),
        lambda: plain_and_recomputed(model, x_RD, 4),
    )
    lab.ratio("27.time", "a checkpointed step takes a plain one and the recomputed part", ours, theirs, at_least=7 / 8, at_most=9 / 8,
              because="step 3, forward 1: without recomputing 3/4, twice 5/4; the bounds lie halfway")  # fmt: skip
    if lab.available("cuda", GPU_CLAIMS):
        big = cfg.gpu_rows
        peaks = [lab.step(measured_peak, N, k, big, D, without_dice, 0.0, "cuda") for k in lengths]
        lab.close("27.gpu-peak", GPU_CLAIMS["27.gpu-peak"][1], peaks, predicted, tolerance=1, because=order)
        shallow, deep = (
            lab.step(deepest_found, cfg.budget, k, big, D, way, "cuda")
            for k, way in ((1, plain), (length, without_dice))
        )
        lab.count(
            "27.gpu-deeper",
            GPU_CLAIMS["27.gpu-deeper"][1],
            deep // shallow,
            at_least=10,
            unit="times",
            because="(B/2)²/B = B/4",
        )


GPU_CLAIMS: dict[str, tuple[Kind, str]] = {
    "27.gpu-peak": ("close", "on a GPU, by the allocator's own peak, the same for every length"),
    "27.gpu-deeper": ("count", "on a GPU too the network is ten times deeper"),
}

MUTANTS = (
    Mutant(
        "forgets the tensors of the first half",
        kept_for_backward,
        "model(x_RD), besides",
        "model[layers // 2 :](x_RD), besides",
    ),
    Mutant("begins with other dice each time", gradients, "torch.manual_seed(27)", "torch.seed()"),
    Mutant("tosses other coins", checkpointed_by_hand, "torch.set_rng_state(state)", "torch.manual_seed(0)"),
    Mutant(
        "keeps all the same",
        checkpointed_by_hand,
        "with saved_tensors_hooks(lambda tensor: next(places), unpack):",
        "with torch.enable_grad():",
    ),
    Mutant(
        "never forgets the random state",
        masks_of_dropout,
        "preserve_rng_state=preserve",
        "preserve_rng_state=True",
    ),
    Mutant(
        "never keeps the random state",
        masks_of_dropout,
        "preserve_rng_state=preserve",
        "preserve_rng_state=False",
    ),
    Mutant(
        "tosses torch's coins",
        said_of_foreign_coins,
        "random.Random(seed).random",
        "lambda: torch.rand(()).item()",
    ),
    Mutant("counts layers for segments", predicted_peak, "layers / length", "layers"),
    Mutant("forgets the segment", predicted_peak, "per_layer * length", "per_layer"),
    Mutant(
        "measures half of the network", measured_peak, "network(layers, width", "network(layers // 2, width"
    ),
    Mutant("takes segments of √B", deepest_plan, "room // 2", "int(room**0.5)"),
    Mutant("forgets the inputs", deepest_plan, "length * (room - length)", "length * room"),
    Mutant("halves the budget", deepest_found, "<= budget + 0.5", "<= budget / 2"),
    Mutant(
        "never stops early",
        products,
        "set_checkpoint_early_stop(early_stop)",
        "set_checkpoint_early_stop(False)",
    ),
)


if __name__ == "__main__":
    main(run, Config)
