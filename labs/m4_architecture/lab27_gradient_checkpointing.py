"""Lab 27 · Gradient checkpointing · Checkpointing gradientów

Question:
    How do you fit a model ten times deeper by computing part of it twice?

You will see:
    - What fills the memory in training: not the model, but one tensor for each layer, kept for the way back.
    - A checkpoint built from two hooks. Not one bit of the gradient changes.
    - Dropout, batch norm and a foreign coin, with which a second run is no repetition of the first.
    - The best length of a segment, a network ten times deeper in the same room, and what it costs.

Run:
    make lab-27
    python -m labs.m4_architecture.lab27_gradient_checkpointing --smoke

Needs:
    1 process, a GPU for one of the claims, 2 GiB of memory, 1 minute

Builds on:
    nothing; lab 05 shows which operations keep what, lab 12 when it is let go

Remember:
    Training keeps what the backward pass needs, so memory grows with depth. A checkpoint keeps a segment's
    input and runs the segment once more: with segments of √N layers about 2√N tensors live at once, for most
    of one more forward pass. Use it where activations fill the memory; it does nothing for weights, their
    gradients and the optimizer's state. Pass `use_reentrant=False`, toss torch's coins only, and mind what a
    forward pass changes. This lab does not show offloading to the CPU, or a compiler that chooses what to
    recompute. Next comes lab 28, which takes networks apart.

Sources:
    - T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training Deep Nets with Sublinear Memory Cost", 2016, section 4:
      arXiv:1604.06174
    - V. Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models", 2022, section 5,
      on recomputing selectively: arXiv:2205.05198
    - PyTorch documentation, torch.utils.checkpoint: https://docs.pytorch.org/docs/stable/checkpoint.html
    - PyTorch notes, Hooks for saved tensors:
      https://docs.pytorch.org/docs/stable/notes/autograd.html#hooks-for-saved-tensors

Notebook:
    27_Gradient_Checkpointing.ipynb
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import CheckpointError, set_checkpoint_early_stop
from torch.utils.flop_counter import FlopCounterMode

from labs.kit import Lab, Tolerance, exercise, main, needs
from labs.kit.measure.memory import peak_bytes, saved_bytes
from labs.m4_architecture._lab27_helpers import (
    DROPOUT,
    SKIPPING,
    SkippingLayer,
    Way,
    as_torch_does,
    batch,
    layers_taken,
    lifetimes,
    masks_of_dropout,
    network,
    plain,
    reentrantly,
    segments_of,
    selectively,
    timeline,
    without_dice,
)

# Shape letters: R rows of a batch, D width of the network, P gradients of parameters and input in one row.

# Gradients in flight in the backward pass of a layer: the stream's, and the product's or the tanh's.
WORKING = 2


@dataclass(frozen=True)
class Config:
    """Sizes of this lab. A tensor, below, is one activation: R·D floats."""

    rows: int = 1024  # rows R of a batch where memory is measured
    width: int = 64  # width D of the network where memory is measured
    layers: int = 64  # layers N of the network
    budget: int = 48  # room for activations, in tensors
    timed_rows: int = 512  # rows R of a batch where time is measured
    timed_width: int = 512  # width D of the network where time is measured
    gpu_rows: int = 2**18  # rows R on a GPU: beside such a tensor the libraries' own work space is small

    @classmethod
    def smoke(cls) -> "Config":
        return cls(rows=256, width=32, layers=36, budget=42, timed_rows=64, timed_width=64)


def training_step(model: nn.Sequential, x_RD: Tensor, length: int, way: Way) -> None:
    """Run forward and backward, `length` layers at a time, with x itself for the gradient of a loss."""
    out_RD = x_RD
    for segment in segments_of(model, length):
        out_RD = way(segment, out_RD)
    out_RD.backward(x_RD.detach())


def kept_for_backward(layers: int, rows: int, width: int) -> int:
    """Count the bytes that the backward pass finds kept."""
    model, x_RD = network(layers, width), batch(rows, width)
    kept = saved_bytes(lambda: model(x_RD), besides=(x_RD, *model.parameters()))
    return kept


def what_is_kept(cfg: Config, lab: Lab) -> None:
    """What fills the memory when you train?

    You load a model of 2 GB onto a card of 24 GB, and training it runs out of memory. The weights did not
    grow. What grew is what each layer keeps for the way back.

    Take a layer x + W·tanh(x) + b. The derivative of tanh is 1 − tanh², and the gradient of W is a product
    with tanh(x): both need the same tensor, and the sum needs nothing. So each layer keeps one tensor of R·D
    floats from the moment when forward passes through it until backward comes back, and the first layer waits
    longest. With N layers, N tensors live at once. They grow with the batch; the weights do not.
    """
    kept = lab.step(kept_for_backward, cfg.layers, cfg.rows, cfg.width)
    tensor = cfg.rows * cfg.width * 4
    why = f"{cfg.layers} layers keep tanh(x), R·D·4 = {tensor:,} bytes each"
    want = cfg.layers * tensor
    lab.bytes("27.kept", "Each layer keeps one tensor of R·D floats.", kept, want=want, because=why)
    weights = cfg.layers * (cfg.width + 1) * cfg.width * 4
    rows = [("kept for the way back", kept), ("weights", weights), ("their gradients", weights)]
    lab.table("What the memory is filled with", ["", "bytes"], rows)


@exercise(
    "Two hooks see every tensor that autograd wants to keep: `pack` on the way in, `unpack` on the way out. "
    "`pack` need not keep it.",
    "`pack` returns the tensor's place in the order of keeping. The first `unpack` runs the segment again, "
    "with hooks that keep what they see in a list, under the random state of the first time; every `unpack` "
    "reads its place there.",
    "In `unpack`: `with fork_rng(devices=[]), enable_grad(), saved_tensors_hooks(note, lambda tensor: "
    "tensor)`: set the state, then `segment(x_RD.detach().requires_grad_())`; `note` appends "
    "`tensor.detach()`. In the end: run the segment under (pack, unpack).",
    contract="""
        `segment` is a part of a network, and `x_RD` its input, which needs a gradient. Return what
        `segment(x_RD)` returns, so that a backward pass through it gives the same gradients to the last bit,
        dropout's included; until then keep no tensor of the segment's own. Backward runs the segment just
        once more. The dice (`torch.get_rng_state`) are, after the backward pass, where the forward pass left
        them. `x_RD` stays as it is.

        >>> segment = torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Tanh())
        >>> x = torch.tensor([0.5], requires_grad=True)
        >>> checkpointed_by_hand(segment, x).backward()
        >>> x.grad
        tensor([0.6398])
        """,
    insight=(
        "The hooks may return anything in a tensor's place: a number here, a file name or a copy elsewhere "
        "as well."
    ),
)
def checkpointed_by_hand(segment: nn.Sequential, x_RD: Tensor) -> Tensor:
    """Run a segment and keep nothing of it but its input.

    When backward asks for the first tensor, the segment runs once more, and from then on its tensors are
    there until backward has passed through it. The random state belongs to the input: dropout must toss the
    same coins.
    """
    state, places, again = torch.get_rng_state(), count(), list[Tensor]()

    def note(tensor: Tensor) -> None:
        again.append(tensor.detach())

    def unpack(place: int) -> Tensor:
        if not again:
            hooks = saved_tensors_hooks(note, lambda tensor: tensor)
            with torch.random.fork_rng(devices=[]), torch.enable_grad(), hooks:
                torch.set_rng_state(state)
                segment(x_RD.detach().requires_grad_())
        return again[place]

    with saved_tensors_hooks(lambda tensor: next(places), unpack):
        out_RD = plain(segment, x_RD)
    return out_RD


def gradients(
    layers: int,
    length: int,
    rows: int,
    width: int,
    way: Way,
    dropout: float = DROPOUT,
    through_x: bool = True,
) -> Tensor:
    """Take one training step, and lay all gradients and the dice's next toss in a row.

    Weights, batch and dropout's coins are the same whichever way the segments are run.
    """
    torch.manual_seed(27)
    model, x_RD = network(layers, width, dropout), batch(rows, width).requires_grad_(through_x)
    training_step(model, x_RD, length, way)
    parts = [part.grad.flatten() for part in (x_RD, *model.parameters()) if part.grad is not None]
    gradients_P = torch.cat([*parts, torch.rand(1)])
    return gradients_P


def keeping_nothing(cfg: Config, lab: Lab) -> None:
    """How do you keep nothing of a layer and still go backward through it?

    `torch.autograd.graph.saved_tensors_hooks(pack, unpack)` lets you put something else in the place of each
    kept tensor: the name of a file, a copy on another device, or a mere number, and a promise to compute the
    tensor again. That promise is a checkpoint. When backward asks for the first tensor of a segment, the
    whole segment runs once more from its input.

    The same operations on the same numbers in the same order give the same bits. So we ask for equality and
    not for closeness, in a network with dropout, and with a last segment that is shorter than the others.
    After the step we toss the dice once more: a second run must leave them where the first one did.

    `torch.utils.checkpoint` does this with `use_reentrant=False`. Its older kind wraps the segment in one
    Function that starts a backward pass within the backward pass. That kind sees only the segment's inputs:
    if none of them needs a gradient, it concludes that nothing does, and forgets the weights inside.
    """
    N, R, D = cfg.layers, cfg.rows, cfg.width
    length = math.isqrt(N) + 1
    right_P = lab.once(gradients, N, N, R, D, plain)
    own_P = lab.step(gradients, N, length, R, D, checkpointed_by_hand)
    lab.equal("27.by-hand", "By hand, gradient and dice are a plain run's.", own_P, right_P, unit="numbers")
    torch_P = lab.step(gradients, N, length, R, D, as_torch_does)
    lab.equal(
        "27.gradient", "By torch, gradient and dice are a plain run's.", torch_P, right_P, unit="numbers"
    )
    sober_P = lab.step(gradients, N, N, R, D, plain, dropout=0.0)
    differing = int((sober_P != right_P).sum())
    half = "a positive control: nearly every weight meets a dropped number; we require half of them"
    lab.count(
        "27.dropout", "Dropout changes the gradient.", differing, at_least=len(right_P) // 2, because=half
    )
    own = measured_peak(N, length, R, D, checkpointed_by_hand)
    work = products(N, length, R, D, checkpointed_by_hand, early_stop=True)
    hand = Tolerance(3, "two for the order of freeing, and one that torch's early stop would spare")
    lab.close(
        "27.peak-by-hand",
        "By hand the peak is the inputs and one segment, and every layer runs forward twice.",
        [own, work],
        [predicted_peak(N, length), 4 * N],
        within=hand,
    )
    unseen = lambda: lab.step(gradients, N, length, R, D, reentrantly, through_x=False)  # noqa: E731
    why = "does not require grad"
    lab.raises("27.reentrant", "The reentrant kind needs a gradient at its input.", unseen, RuntimeError, why)


def counted_batches(rows: int, width: int, way: Way) -> int:
    """Train one step with batch norm in the segment, and ask it how many batches it saw."""
    norm, x_RD = nn.BatchNorm1d(width), batch(rows, width)
    training_step(nn.Sequential(nn.Linear(width, width), norm, nn.Tanh()), x_RD, 3, way)
    seen = int(norm.num_batches_tracked or 0)
    return seen


def said_of_foreign_coins(rows: int, width: int, seed: int) -> str:
    """Train a network that tosses Python's coins, and note what torch says."""
    coin: Callable[[], float] = random.Random(seed).random
    model, x_RD = nn.Sequential(*[SkippingLayer(width, coin) for _ in range(SKIPPING)]), batch(rows, width)
    try:
        training_step(model, x_RD, SKIPPING, as_torch_does)
    except CheckpointError as error:
        return str(error).partition("\n")[0]
    return ""


NORM_GUESSES = {
    "as without": "So it would if a forward pass changed nothing. Batch norm updates its statistics.",
    "twice as many": "**Yes.** The segment runs twice, and each run counts a batch and moves the mean.",
    "none": "The first run does not know that it is going to be repeated, and behaves as usual.",
}


def no_repetition(cfg: Config, lab: Lab) -> None:
    """When is the second run not the first one once more?

    A checkpoint assumes that a segment computes the same when it is run again. Three common things break
    that, and shapes fit in all of them, so nothing need warn.

    *Dropout* tosses coins. The checkpoint therefore keeps torch's random state, about 5 KB a segment, and
    `preserve_rng_state=False` spares them. With dropout inside, the second mask is then a new one, and
    backward differentiates another network than the one whose loss you saw. Two masks with probability p
    differ in 2p(1 − p) of their places.

    *Batch norm* changes its own statistics in every forward pass in training. Run twice, it counts two
    batches and moves its running mean twice.

    *Foreign coins*, such as Python's `random` in stochastic depth, are not put back. torch raises where the
    second run keeps *fewer* tensors. Where it keeps as many, torch cannot see it, and where it keeps more,
    the early stop comes before anybody counts: the gradient is wrong, silently. Toss torch's coins, with
    `torch.rand`.
    """
    R, D = cfg.rows, cfg.width
    masks = lab.step(masks_of_dropout, R, D)
    share = 2 * DROPOUT * (1 - DROPOUT)
    places = Tolerance(5 * (share * (1 - share) / (R * D)) ** 0.5, "five standard errors over R·D places")
    unlike = (masks[0] != masks[1]).float().mean()
    lab.close(
        "27.other-mask", "A second mask differs in 2p(1 − p) of its places.", unlike, share, within=places
    )

    question = "After one checkpointed step: how many batches has a batch norm in the segment counted?"
    lab.predict("27.batch-norm", question, NORM_GUESSES, answer="twice as many")
    counts = [lab.step(counted_batches, R, D, way) for way in (plain, as_torch_does)]
    lab.equal("27.batch-norm", "A checkpointed batch norm counts twice.", counts, [1, 2], unit="counts")

    taken = [layers_taken(seed) for seed in range(12)]
    said = [
        "different number of tensors" in lab.step(said_of_foreign_coins, R, D, seed) for seed in range(12)
    ]
    rows = [(*layers, "raised" if word else "nothing") for layers, word in zip(taken, said, strict=True)]
    lab.table(
        "Twelve networks that toss Python's coins", ["layers at first", "layers again", "torch said"], rows
    )
    fewer = [again < first for first, again in taken]
    lab.equal(
        "27.coins",
        "Foreign coins are noticed only where the second run keeps fewer tensors.",
        said,
        fewer,
        unit="networks",
    )


@exercise(
    "The peak comes when backward begins: what has been kept of every segment by then, and what does the "
    "last one add?",
    "Each of the ⌈N/k⌉ segments keeps its input, one tensor. One segment at a time is there in full: k "
    "layers, each `per_layer` tensors.",
    "`math.ceil(layers / length) + per_layer * length + WORKING`.",
    contract="""
        A network of `layers` layers runs in segments of `length` layers, of which the last may be shorter.
        While a segment is there in full, each of its layers keeps `per_layer` tensors. Return the peak of a
        training step in tensors: the inputs of all segments, one whole segment, and the `WORKING` = 2
        gradients in flight.

        >>> predicted_peak(9, 3), predicted_peak(10, 3), predicted_peak(9, 3, per_layer=2)
        (8, 9, 11)
        """,
    insight=(
        "N/k falls and k rises, so the best k is where they meet: √N. The same sum is behind many data "
        "structures."
    ),
)
def predicted_peak(layers: int, length: int, per_layer: int = 1) -> int:
    """Predict the peak of a training step in tensors: N layers in segments of k.

        peak = ⌈N/k⌉ + per_layer·k + 2

    The 2 are the gradients in flight.
    """
    tensors = math.ceil(layers / length) + per_layer * length + WORKING
    return tensors


def measured_peak(
    layers: int, length: int, rows: int, width: int, way: Way, dropout: float = 0.0, device: str = "cpu"
) -> float:
    """Measure the peak of a training step in tensors; weights and their gradients are there before.

    On a CPU the profiler reports each allocation and release; on a GPU the allocator knows its own peak.
    """
    model, x_RD = network(layers, width, dropout, device), batch(rows, width, device)
    if device == "cuda":
        training_step(model, x_RD, length, way)  # the libraries' work spaces, once and for all
    tensors = peak_bytes(lambda: training_step(model, x_RD, length, way), device) / x_RD.nbytes
    return tensors


HALF = Tolerance(0.5, "whole tensors are counted; the gradient of one weight is less than half of one")
ONE = Tolerance(1, "in which order an operation frees and the next allocates, and the gradient of one weight")
LENGTH_GUESSES = {
    "1 layer": "Then all 64 inputs are kept, one for each layer: nothing was gained.",
    "8 layers": "**Yes.** 8 inputs, 8 recomputed tensors and 2 gradients: 18 in place of 67.",
    "32 layers": "Two inputs only, but then 32 tensors come back at once.",
    "64 layers": "One input, and in backward the whole network at once: 67, as without a checkpoint.",
}


def lengths_of_segments(cfg: Config, lab: Lab) -> None:
    """How long should a segment be?

    Short segments keep many inputs. Long segments bring many tensors back at once. With N layers in segments
    of k the memory holds N/k inputs, one segment of k, and the 2 gradients that are in flight. (The batch was
    there before, and the output is counted in its place.) One term falls with k and the other rises, so the
    sum is least where they are equal, at k = √N: about 2√N tensors in place of N.

    Look at the two timelines. Without checkpoints the tensors pile up until the turn, and are let go one by
    one. With them only the inputs pile up, and each segment comes back for a short while, in the reverse
    order. The output, in the last segment, stays to the end.
    """
    N, R, D = cfg.layers, cfg.rows, cfg.width
    question = "64 layers: which segments make the peak lowest?"
    lab.predict("27.peak", question, LENGTH_GUESSES, answer="8 layers")
    for name, way in (("plain", plain), ("in segments of 3", without_dice)):
        lab.diagram(
            f"9 layers, {name}: how many tensors of each segment live",
            timeline(lab.step(lifetimes, 9, 3, R, D, way)),
        )
    lengths = [length for length in (1, 2, 3, 5, 8, 11, 16, 24, 36, 64) if length <= N]
    predicted = [lab.step(predicted_peak, N, length) for length in lengths]
    peaks = [lab.step(measured_peak, N, length, R, D, without_dice) for length in lengths]
    lab.plot(
        f"{N} layers in segments",
        lengths,
        {"N/k + k + 2": [float(peak) for peak in predicted], "measured": peaks},
        x_label="layers of a segment, k",
        y_label="peak, tensors",
        log_x=True,
    )
    squares = [(number**2, number) for number in (2, 4, 9)]
    predicted += [lab.step(predicted_peak, *square) for square in squares]
    peaks += [lab.step(measured_peak, *square, R, D, without_dice) for square in squares]
    lab.close(
        "27.peak", "A step peaks at all inputs, one segment and two gradients.", peaks, predicted, within=HALF
    )


@exercise(
    "Fix k. With N/k + k + WORKING tensors in the budget, how large may N be? Then choose the k that makes "
    "it largest.",
    "N = k·(room − k) with room = budget − WORKING: a parabola in k that is zero at 0 and at room. Where is "
    "its top?",
    "`room = budget - WORKING`, `length = room // 2`, `layers = length * (room - length)`.",
    contract="""
        `budget` ≥ 4 is the room for activations, in tensors. Return the number of layers of the deepest
        network whose training step fits, by the formula N/k + k + 2, and the length k of its segments; of two
        lengths that do as well the shorter one.

        >>> deepest_plan(10)
        (16, 4)
        """,
    insight=(
        "Depth grows with the square of the memory: the second gigabyte carries three times as many layers "
        "as the first."
    ),
)
def deepest_plan(budget: int) -> tuple[int, int]:
    """Plan the deepest network whose training step fits into B tensors: its layers N, and the length k.

    Solve the formula for N and look for the best k: N comes to about (B/2)².
    """
    room = budget - WORKING
    length = room // 2
    layers = length * (room - length)
    return layers, length


def deepest_found(budget: int, length: int, rows: int, width: int, way: Way) -> int:
    """Find the deepest network that fits, by measuring: double the depth, then halve the gap.

    Half a tensor is added for what is no activation, such as the gradient of one weight.
    """

    def fit(layers: int) -> bool:
        return measured_peak(layers, length, rows, width, way) <= budget + 0.5

    fits, too_deep = 0, length
    while fit(too_deep):
        fits, too_deep = too_deep, 2 * too_deep
    while too_deep - fits > length:
        middle = (fits + too_deep) // (2 * length) * length
        fits, too_deep = (middle, too_deep) if fit(middle) else (fits, middle)
    return fits


def depth(cfg: Config, lab: Lab) -> None:
    """How much deeper is the network that fits?

    Turn it round: you have room for B tensors. Without checkpoints you can have B − 3 layers: one tensor
    each, beside the output and two gradients. With them N/k + k + 2 ≤ B gives N = k·(B − 2 − k), a parabola
    in k whose top is in the middle: about ((B − 2)/2)² layers. The ratio grows with B: at B = 41 it is ten.

    We do not trust the formula but look for the deepest network that fits, by doubling and halving.

    One thing the room does not hold: the weights. A network ten times deeper has ten times the weights and
    their gradients, and no checkpoint makes those smaller.
    """
    R, D, B = cfg.rows, cfg.width, cfg.budget
    planned, length = lab.step(deepest_plan, B)
    deep = lab.step(deepest_found, B, length, R, D, without_dice)
    shallow = lab.step(deepest_found, B, 1, R, D, plain)
    tensor, weights = R * D * 4, 2 * (D + 1) * D * 4
    rows = [
        ("plain", shallow, B - 3, shallow * weights / tensor),
        ("checkpointed", deep, planned, deep * weights / tensor),
    ]
    columns = ["", "layers found", "by formula", "weights and gradients, tensors"]
    lab.table(f"The deepest network with {B} tensors for activations", columns, rows)
    top, tenfold = "k·(B − 2 − k)", "((B − 2)/2)² against B − 3: at least tenfold from B = 41 on"
    rooms = range(2, 24)
    plans = [lab.step(deepest_plan, room + WORKING) for room in rooms]
    best = [max((k * (room - k), -k) for k in range(1, room)) for room in rooms]
    lab.equal(
        "27.planned",
        "No network deeper than the planned one fits, and no plan as deep has shorter segments.",
        [deep, *((layers, -k) for layers, k in plans)],
        [planned, *best],
        unit="budgets",
        because=top,
    )
    gain = deep / shallow
    lab.count("27.deeper", "Ten times the layers fit with checkpoints.", gain, at_least=10, because=tenfold)


def products(layers: int, length: int, rows: int, width: int, way: Way, early_stop: bool) -> float:
    """Count the matrix products of a training step, each of 2·R·D² operations."""
    model, x_RD = network(layers, width, DROPOUT), batch(rows, width)
    with FlopCounterMode(display=False) as counter, set_checkpoint_early_stop(early_stop):
        training_step(model, x_RD, length, way)
    counted: float = counter.get_total_flops() / (2 * rows * width**2)
    return counted


def plain_and_recomputed(model: nn.Sequential, x_RD: Tensor, length: int) -> None:
    """Take a plain step, and then run what a checkpoint would: all but the last product of each segment."""
    training_step(model, x_RD, length, plain)
    with torch.no_grad():
        for segment in segments_of(model, length):
            torch.tanh(plain(nn.Sequential(*list(segment)[:-1]), x_RD))


def price(cfg: Config, lab: Lab) -> None:
    """What does it cost?

    Time. Forward takes one matrix product for a layer, backward takes two, for the gradient of W and for that
    of x. Recomputing adds a fourth, though not quite: backward does not need the last product of a segment,
    and torch stops as soon as it has all that it needs. So a plain step takes 3N products and a checkpointed
    one 4N − N/k.

    *Selective* checkpointing keeps what is dear to compute and recomputes what is cheap. Here a policy keeps
    the results of the products, one tensor a layer, and computes tanh and dropout again: 3N products, and
    memory between the two.
    """
    N, R, D = cfg.layers, cfg.rows, cfg.width
    k = math.isqrt(N)
    ways = [(plain, True), (as_torch_does, False), (as_torch_does, True), (selectively, True)]
    counted = [round(lab.step(products, N, k, R, D, way, early_stop=early)) for way, early in ways]
    wanted = [3 * N, 4 * N, 4 * N - N // k, 3 * N]
    lab.equal("27.products", "Recomputing costs one product a layer, less one a segment.", counted, wanted)
    lengths = ((N, plain), (k, as_torch_does), (k, selectively))
    costs = [lab.step(measured_peak, N, length, R, D, way, DROPOUT) for length, way in lengths]
    states = math.ceil(N / k) * torch.get_rng_state().nbytes / (R * D * 4)
    formula = [3 * N + WORKING, predicted_peak(N, k, 3) + states, N + predicted_peak(N, k, 2) + states]
    rows = zip(("plain", "checkpointed", "selective"), costs, (counted[0], *counted[2:]), strict=True)
    lab.table(f"{N} layers with dropout, in segments of {k}", ["", "peak, tensors", "products"], list(rows))
    lab.close("27.selective", "Selective checkpoints keep one tensor a layer.", costs, formula, within=ONE)

    # Products of milliseconds: Python's share does not show.
    model, x_RD = network(8, cfg.timed_width), batch(cfg.timed_rows, cfg.timed_width)
    checkpointed = partial(training_step, model, x_RD, 4, without_dice)
    in_two_goes = partial(plain_and_recomputed, model, x_RD, 4)
    halfway = "3.75 products a layer in both; without recomputing 3, with two 4.5: bounds halfway, ± 1/10"
    lab.ratio(
        "27.time",
        "A checkpointed step takes as long as a plain step and what it recomputes.",
        checkpointed,
        in_two_goes,
        at_least=0.9,
        at_most=1.1,
        because=halfway,
        rounds=9,
    )


@needs("cuda")
def on_a_gpu(cfg: Config, lab: Lab) -> None:
    """Is it the same on a GPU?

    A GPU's allocator knows its own peak, so no profiler is needed. The libraries ask for work space of their
    own there; the batch is made so large that a tensor is large beside it. The formula is the same, because
    it counts tensors and not bytes.
    """
    lengths = (1, 2, 3, 5, 8, 11, 16, 24, 36)
    predicted = [predicted_peak(cfg.layers, length) for length in lengths]
    sizes = cfg.gpu_rows, cfg.width
    peaks = [
        lab.step(measured_peak, cfg.layers, length, *sizes, without_dice, device="cuda") for length in lengths
    ]
    lab.close("27.gpu-peak", "On a GPU the peak is the same number of tensors.", peaks, predicted, within=ONE)


def run(cfg: Config, lab: Lab) -> None:
    for part in (what_is_kept, keeping_nothing, no_repetition, lengths_of_segments, depth, price, on_a_gpu):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
