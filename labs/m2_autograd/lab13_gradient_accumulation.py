"""Lab 13 · Gradient accumulation · Akumulacja gradientów

Question:
    How do you train with a batch of 128 when memory holds 8?

You will see:
    - A whole batch's gradient from pieces of any size, to the last digits, in a sixteenth of the memory.
    - The division by k that is in most training loops: 11 % off after a short batch, 123 % with sentences.
    - A forgotten division by 16 that SGD shows at once and Adam never.
    - A layer that sees the cut, an error of AMP, and a bfloat16 gradient that stops at a quarter.
    - Three ranks with unequal batches: one all-reduce, and the number by which all of them divide.

Run:
    make lab-13, or on two nodes: make lab-13 NODES=2 PROCS=2
    python -m labs.m2_autograd.lab13_gradient_accumulation --smoke
    torchrun --nproc-per-node=3 -m labs.m2_autograd.lab13_gradient_accumulation --smoke

Needs:
    3 processes or more, no GPU, 2 GiB of memory, 1 minute

Builds on:
    lab 10 for what a backward pass keeps, lab 43 for all-reduce and DDP

Remember:
    Accumulate sums, and divide once by the number of labels that count, over all micro-batches and all ranks.
    Call `backward` for each micro-batch at once: only then does memory fall with its size. Clip and unscale
    once, after the last. BatchNorm sees the cut, and a sum in bfloat16 stops growing, so keep gradients in
    float32. On several ranks `no_sync` belongs around forward and backward pass of all micro-batches but the
    last. Accumulation saves memory, not time. This lab does not show sharded gradients, which are lab 44's.
    Next comes lab 14; AMP is in lab 31, clipping in 32.

Sources:
    - Hugging Face, "Fixing Gradient Accumulation", 2024: https://huggingface.co/blog/gradient_accumulation
    - PyTorch documentation, DistributedDataParallel, no_sync:
      https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
    - PyTorch documentation, AMP examples, gradient accumulation:
      https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-accumulation
    - Y. Wu, K. He, "Group Normalization", 2018, section 3: https://arxiv.org/abs/1803.08494

Notebook:
    13_Gradient_Accumulation.ipynb
"""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

import labs.m2_autograd._lab13_helpers as helpers
import labs.m2_autograd._lab13_tools as tools
from labs.kit import Lab, Tolerance, exercise, main
from labs.m2_autograd._lab13_tools import Batch

# Shape letters: B samples or labels of a micro-batch, I inputs, O outputs of a layer, P gradients in a row.

IGNORED = -100  # a label that does not count, as `cross_entropy` has it


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    samples: int = 512  # samples of the whole batch whose memory is measured, divided by 16
    hidden: int = 128  # width of the network of 8 layers whose memory is measured
    shares: int = 1024  # largest number of shares that a gradient in bfloat16 is made of, a power of two

    @classmethod
    def smoke(cls) -> "Config":
        return cls(samples=128, hidden=60, shares=512)


def labels_in(batches: list[Batch]) -> int:
    """Count the labels that are not ignored."""
    count = sum(int((labels_B != IGNORED).sum()) for _, labels_B in batches)
    return count


@exercise(
    "`backward` adds to `.grad`. By which number must each micro-batch's loss be divided, so that the sum of "
    "all is the mean over all labels?",
    'Take the sum of the losses, `reduction="sum"`, and divide it by the number of labels in *all* '
    "micro-batches, which has to be counted before the first pass.",
    'In a loop: `total = functional.cross_entropy(model(inputs_BI), labels_B, reduction="sum")`, then '
    "`(total / labels_in(batches)).backward()`.",
    contract="""
        `batches` is a list of micro-batches, pairs of inputs (B, I) and labels (B,); B differs, and may be 0.
        A label of −100 does not count. Add to every `.grad` the gradient of the mean cross-entropy over all
        labels that count; where none does, add zeros. Memory holds one micro-batch's activations at a time.
        Weights and batches stay as they are, and nothing is returned.

        >>> layer = nn.Linear(1, 2, bias=False)
        >>> layer.weight = nn.Parameter(torch.zeros(2, 1))
        >>> two, one = torch.tensor([[1.0], [1.0]]), torch.tensor([[4.0]])
        >>> accumulate(layer, [(two, torch.tensor([0, 0])), (one, torch.tensor([0]))])
        >>> layer.weight.grad
        tensor([[-1.],
                [ 1.]])
        """,
    insight="The sizes need not be equal, and need not even be known to the loss: one number is enough.",
)
def accumulate(model: nn.Module, batches: list[Batch]) -> None:
    """Leave behind the gradient of a whole batch that comes in micro-batches.

    The losses of each are summed up, and divided by the number N of labels in all of them:

        ∇(Σ loss / N) = ∇(Σ loss of piece 1)/N + ∇(Σ loss of piece 2)/N + …
    """
    count = labels_in(batches)
    for inputs_BI, labels_B in batches:
        total = functional.cross_entropy(model(inputs_BI), labels_B, reduction="sum")
        (total / count).backward()


def in_pieces(cfg: Config, lab: Lab) -> None:
    """How do 128 samples fit where there is room for 8?

    Between the forward and the backward pass autograd keeps what each layer made of each sample, and that is
    what fills the memory. An eighth of the samples takes an eighth of it. So cut the batch into
    *micro-batches*, and send one after the other forward and backward. `backward` does not replace what is in
    `.grad`, it adds to it, and the optimizer's step waits for the last one. This is *gradient accumulation*.

    Is the sum of the pieces the gradient of the whole? It is, if one divides rightly. The loss of the whole
    batch is Σ loss / N. Divide the *sum* of each micro-batch's losses by this N, and the sizes may be what
    they like: 5, 0 and 2 samples, or one alone. For the losses 1, 1 and 4, cut into two and one, that is
    (1 + 1)/3 + 4/3 = 2, as for all three at once. N is the number of labels that count. In text, padding has
    the label −100, which `cross_entropy` passes by.
    """
    errors = []
    for place, batches in enumerate(tools.awkward()):
        model = tools.learner(batches)
        lab.step(accumulate, model, batches)
        errors.append(tools.error_left(model, place, batches))
    lab.close(
        "13.sum",
        "Sums of unequal micro-batches, divided by all labels that count, make the whole batch's gradient.",
        errors,
        [0.0] * len(errors),
        within=tools.UNITS,
    )
    pieces = (1, 2, 4, 16)
    kept = [lab.step(helpers.kept_bytes, cfg.samples // k, cfg.hidden) for k in pieces]
    columns = ["samples", *(str(cfg.samples // k) for k in pieces)]
    lab.table("What autograd keeps between forward and backward pass", columns, [("bytes", *kept)])
    lab.equal(
        "13.kept",
        "A k-th of the samples keeps a k-th of the bytes, but for the 4 bytes of one number.",
        kept,
        [(kept[0] - 4) // k + 4 for k in pieces],
        unit="sizes",
        because="all that is kept has a row for each sample, but for the loss's sum of weights, a float32",
    )


def summed_first(model: nn.Module, batches: list[Batch]) -> None:
    """Sum all losses, and walk back through all micro-batches at the end."""
    totals = [functional.cross_entropy(model(x_BI), y_B, reduction="sum") for x_BI, y_B in batches]
    (torch.stack(totals).sum() / labels_in(batches)).backward()


def at_once(cfg: Config, lab: Lab) -> None:
    """When is a micro-batch's memory free again?

    A graph lives until its backward pass has walked over it, and with the graph lives what it keeps. Call
    `backward` inside the loop, and each micro-batch is gone before the next one begins. Add the losses up and
    call `backward` once, behind the loop, and you get the same gradient. But every micro-batch then waits for
    the last one, and all of them together need what the whole batch would have needed.

    The picture shows it for four micro-batches: a bar begins with the forward pass and ends when the last
    thing that autograd kept of it is freed. Below it is what the allocator says.
    """
    ways = {"at once": accumulate, "summed first": summed_first}
    four = tools.micro_batches((7, 7, 7, 7))
    drawn = [tools.lives(name, way, tools.classifier(), four) for name, way in ways.items()]
    lab.diagram("How long autograd keeps something of each micro-batch", *drawn)
    size, width = cfg.samples // 16, cfg.hidden
    curves = {
        "k = 1": lab.step_on_first(helpers.memory, accumulate, 1, 16 * size, width),
        "k = 4": lab.step_on_first(helpers.memory, accumulate, 4, 4 * size, width),
        "k = 4, summed first": lab.step_on_first(helpers.memory, summed_first, 4, 4 * size, width),
    }
    lab.plot("Memory of one step", range(1, 41), curves, x_label="time, 40ths of the step", y_label="KiB")
    one, many, last = (
        lab.step_on_first(helpers.peak, way, k, size, width)
        for way, k in ((accumulate, 1), (accumulate, 16), (summed_first, 16))
    )
    columns = ["one of 16 pieces", "all 16, at once", "all 16, summed first"]
    lab.table("Peak, in bytes", columns, [(one, many, last)])
    lab.bytes(
        "13.peak",
        "Sixteen micro-batches peak as high as one of them, if each is walked back at once.",
        many,
        at_least=one,
        at_most=one + 16 * 64,
        because="each is freed before the next begins; 64 bytes for each may hold a count and a loss",
    )


def average_of_averages(model: nn.Module, batches: list[Batch]) -> None:
    """Divide the mean loss of each micro-batch by their number k, as many training loops do."""
    for inputs_BI, labels_B in batches:
        mean = functional.cross_entropy(model(inputs_BI), labels_B)
        (mean / len(batches)).backward()


def averages(cfg: Config, lab: Lab) -> None:
    """Why is the average of averages not the average?

    Most training loops say `loss = criterion(output, labels) / k`. The criterion returns a micro-batch's
    mean, and the mean of k means is the mean of all, if all have the same size. Take three losses in two
    pieces, 1 and 1, then 4. The means are 1 and 4, and their mean is 2.5. The mean of the three is 2: the
    lonely label was counted twice.

    In a micro-batch of n labels each of them counts 1/(k·n), where it should count 1/N. At the end of an
    epoch there is a short batch: 100 samples are 12 times 8, and 4, which count double. In a language model
    no two micro-batches have equally many tokens. With 3, 50, 7 and 20 of them, a token of the first counts
    17 times as much as one of the second. In 2024 it was found that the trainer of a much used library did
    this.

    It is not noise, but a definite gradient of another loss. We predict it from these weights, by one pass
    over the whole batch.
    """
    lab.predict("13.ignored", *tools.IGNORED_GUESSES)
    cases = {"12 · 8 and 4": (8,) * 12 + (4,), "3, 50, 7, 20": (3, 50, 7, 20), "four of 20": (20,) * 4}
    found, predicted, rows = [], [], []
    for name, sizes in cases.items():
        model, batches = tools.classifier(), tools.micro_batches(sizes)
        lab.step(average_of_averages, model, batches)
        weights_B = torch.cat([torch.full((n,), 1 / (len(sizes) * n), dtype=torch.float64) for n in sizes])
        found.append(tools.gradient_row(model))
        predicted.append(tools.weighted_gradient(tools.classifier(), tools.whole(batches), weights_B))
        weight = max(sizes) / min(sizes)
        rows.append((name, weight, f"{tools.relative(found[-1], tools.true_gradient(batches)):.0%}"))
    lab.table("The average of averages", ["labels", "heaviest to lightest", "gradient off by"], rows)
    lab.close(
        "13.averages",
        "Averaging averages gives the gradient of a loss in which a label of n counts 1/(k·n).",
        torch.stack(found),
        torch.stack(predicted),
        within=tools.DIGITS,
    )
    loss, gradient = lab.step(helpers.nothing_to_learn, 6)
    lab.equal(
        "13.ignored",
        "A micro-batch in which no label counts has a mean loss of NaN, and a gradient of zeros.",
        [str(loss), gradient],
        ["nan", torch.zeros_like(gradient)],
        unit="facts",
    )
    lab.say(
        "So a NaN in the log need not be one in the weights. Sum up, divide once, and neither appears: a sum "
        "over no labels is 0."
    )


def forgotten(cfg: Config, lab: Lab) -> None:
    """Who notices that the division was forgotten?

    Without the division by k the gradient is k times as long. SGD multiplies it by the learning rate, so its
    steps are k times as long too. With k = 16 a rate that was well chosen is 16 times too high: the loss goes
    up, and somebody looks.

    Adam does something else with a gradient. It keeps a running mean of it and one of its square, and divides
    the first by the root of the second. What does a factor of 16 do there?
    """
    lab.predict("13.forgotten", *tools.ADAM_GUESSES)
    lengths = {
        name: (
            lab.step(helpers.first_step, name, 1.0).norm() / lab.step(helpers.first_step, name, 1 / 16).norm()
        ).item()
        for name in helpers.OPTIMIZERS
    }
    lab.table("First step without the division by 16", list(lengths), [list(lengths.values())])
    lab.close(
        "13.forgotten",
        "A forgotten division by 16 makes the step of SGD 16 times as long, and that of Adam 1.00 times.",
        list(lengths.values()),
        [16.0, 16.0, 1.0, 1.0, 1.0],
        within=Tolerance(
            0.005, "1.00 to its last digit; what is left is Adam's eps of 10⁻⁸ beside the gradient"
        ),
    )
    lab.say(
        "A loop that trains well with Adam is no proof of its division, nor is one that clips each gradient. "
        "Both hide the factor and neither cures it: who changes the optimizer, or the limit, will meet it."
    )


def layers(cfg: Config, lab: Lab) -> None:
    """Which layers notice that the batch was cut?

    So far a sample's loss hung on that sample alone. BatchNorm is different: it subtracts the mean of the
    batch and divides by its deviation, and after the cut the batch is the micro-batch. Take it to the extreme
    of two samples, a and b. Their mean lies in the middle and their deviation is half the distance, so the
    results are 1 and −1, whatever a and b were. All that the layer lets through is which of them was larger.

    Its running statistics notice it too. In each forward pass they keep 0.9 of what they were and take 0.1 of
    what they see. Sixteen micro-batches are sixteen passes, and 0.9¹⁶ = 0.19 of the old is left, where one
    pass would leave 0.9. LayerNorm and GroupNorm look at each sample alone, and cannot notice.
    """
    sizes, count = (2,) * 16, 32
    whole = {name: lab.step(helpers.normed, name, (count,), accumulate) for name in helpers.NORMS}
    cut = {name: lab.step(helpers.normed, name, sizes, accumulate) for name in helpers.NORMS}
    apart = {name: tools.relative(cut[name][0], whole[name][0]) for name in helpers.NORMS}
    lab.table("Two samples in place of 32", list(apart), [[f"{share:.1g}" for share in apart.values()]])
    per_sample = ("LayerNorm", "GroupNorm")
    lab.close(
        "13.norms",
        "LayerNorm and GroupNorm get the whole batch's gradient from 16 micro-batches of two samples.",
        torch.stack([cut[name][0] for name in per_sample]),
        torch.stack([whole[name][0] for name in per_sample]),
        within=tools.DIGITS,
    )
    lab.count(
        "13.batchnorm",
        "BatchNorm gets another gradient from 16 micro-batches of two samples than from the whole batch.",
        apart["BatchNorm1d"],
        at_least=0.01,
        unit="of its length",
        because="rounding explains 10⁻¹², and a hundredth is another direction",
    )
    lab.close(
        "13.statistics",
        "BatchNorm counts 16 batches in place of one, and keeps 0.9¹⁶ of its old statistics.",
        cut["BatchNorm1d"][1],
        torch.cat([*tools.running_statistics(sizes), torch.tensor([16.0])]),
        within=tools.DIGITS,
    )


def clipped(batches: list[Batch], limit: float, *, each: bool) -> Tensor:
    """Clip the gradient once, behind the last micro-batch, or behind each of them."""
    model, count = tools.classifier(), labels_in(batches)
    for inputs_BI, labels_B in batches:
        (functional.cross_entropy(model(inputs_BI), labels_B, reduction="sum") / count).backward()
        if each:
            nn.utils.clip_grad_norm_(model.parameters(), limit)
    nn.utils.clip_grad_norm_(model.parameters(), limit)
    gradient = tools.gradient_row(model)
    return gradient


def unscaled(batches: list[Batch], *, each: bool) -> Tensor:
    """Multiply the loss as AMP does, and divide the gradient again: once, or behind each micro-batch."""
    model, count = tools.classifier(), labels_in(batches)
    optimizer, scaler = torch.optim.SGD(model.parameters()), torch.amp.GradScaler("cpu", init_scale=1024.0)
    for place, (inputs_BI, labels_B) in enumerate(batches, 1):
        total = functional.cross_entropy(model(inputs_BI), labels_B, reduction="sum")
        scaler.scale(total / count).backward()
        if each or place == len(batches):
            scaler.unscale_(optimizer)
    gradient = tools.gradient_row(model)
    return gradient


def stored(shares: int, dtype: torch.dtype) -> list[float]:
    """Collect a gradient of 1 in equal shares, and note what `.grad` holds after each."""
    weight = nn.Parameter(torch.ones((), dtype=dtype))
    weight.grad = torch.zeros_like(weight)
    held = []
    for _ in range(shares):
        (weight / shares).backward()
        held.append(weight.grad.item())
    return held


def after_the_last(cfg: Config, lab: Lab) -> None:
    """What else has to wait for the last micro-batch?

    Whatever is no plain sum. *Clipping* shortens a gradient that is longer than a limit. Do it behind each
    micro-batch, and it shortens a half-finished sum, to which the later ones are then added at full length.
    *AMP* multiplies the loss by a large number, so that small gradients survive float16, and divides the
    gradient by it before the step. `unscale_` does the division, and a second call would divide once too
    often. torch refuses it.

    And the sum itself has to be stored somewhere. A bfloat16 has 8 binary digits. Between 1/4 and 1/2 two
    neighbours lie 1/512 apart. A gradient of 1 that comes in 1024 shares grows by 1/1024 each time, which is
    half of such a step. Then the sum rounds back to where it was, and nothing that follows can change it.
    Autocast leaves weights in float32, and so their gradients; a model converted by `.to(torch.bfloat16)` has
    no such protection.
    """
    batches, limit = tools.micro_batches((5, 9, 2, 6)), 0.05
    true = tools.true_gradient(batches)
    once, often = (lab.step(clipped, batches, limit, each=each) for each in (False, True))
    lab.close(
        "13.clip",
        "Clipped and unscaled once, behind the last micro-batch, the gradient is the whole batch's.",
        torch.stack([once, lab.step(unscaled, batches, each=False)]),
        torch.stack([true * limit / (true.norm() + 1e-6), true]),
        within=tools.DIGITS,
    )
    lab.say(
        f"Clipped behind each micro-batch it is {tools.relative(often, once):.0%} off here. Nothing says so: "
        f"its length is {often.norm():.3f}, which is the limit, as it should be."
    )
    lab.raises(
        "13.unscale",
        "`unscale_` refuses to divide a second time before the step.",
        partial(lab.step, unscaled, batches, each=True),
        RuntimeError,
        "unscale_() has already been called",
    )
    ks = [cfg.shares // 8, cfg.shares // 4, cfg.shares // 2, cfg.shares]
    held = {str(dtype): [lab.step(stored, k, dtype) for k in ks] for dtype in (torch.bfloat16, torch.float32)}
    every = cfg.shares // 16
    curves = {name: rows[-1][every - 1 :: every] for name, rows in held.items()}
    x, title = range(every, cfg.shares + 1, every), f"A gradient of 1 in {cfg.shares:,} shares"
    lab.plot(title, x, curves, x_label="shares", y_label="what .grad holds")
    ends = {name: [row[-1] for row in rows] for name, rows in held.items()}
    lab.table("What arrives of 1", ["shares", *map(str, ks)], [(name, *row) for name, row in ends.items()])
    lab.equal(
        "13.bfloat16",
        "A bfloat16 gradient in k > 256 equal shares stops at 256/k of itself, and float32 holds all of it.",
        [*ends["torch.bfloat16"], *ends["torch.float32"]],
        [*(min(1.0, 256 / k) for k in ks), 1.0, 1.0, 1.0, 1.0],
        unit="sums",
        because="from 256/k on neighbours lie 2/k apart, and half of that rounds back to the even one",
    )


def mean_of_means(model: DistributedDataParallel, batches: list[Batch]) -> None:
    """Let each rank divide by its own labels, and DDP take the mean of that."""
    for place, (inputs_BI, labels_B) in enumerate(batches, 1):
        with model.no_sync() if place < len(batches) else nullcontext():
            total = functional.cross_entropy(model(inputs_BI), labels_B, reduction="sum")
            (total / labels_in(batches)).backward()


@exercise(
    "DDP takes the mean over the ranks, a sum divided by R. Which factor turns this into the sum over all "
    "labels of all ranks, divided by their number?",
    "All ranks have to know how many labels all have: one `all_reduce` of a number. Then each multiplies its "
    "summed losses by R and divides by it. `no_sync` stands around both passes, except for the last.",
    "`count = torch.tensor(labels_in(batches)); dist.all_reduce(count)`, and in the loop `(total * "
    "dist.get_world_size() / count).backward()`, within `model.no_sync()` unless it is the last micro-batch.",
    contract="""
        `model` is under DDP and has no gradients yet. `batches` are this rank's micro-batches, as in
        `accumulate`, as many as on every other rank, of any size. Leave behind on every rank the gradient of
        the mean over all labels of all ranks that count. Send their number round by one `dist.all_reduce`,
        and let DDP send each gradient once. Two ranks with 1 and 3 labels, whose gradients sum up to 4 and 8,
        both end with 12/4 = 3.

        >>> layer = nn.Linear(1, 2, bias=False)
        >>> layer.weight = nn.Parameter(torch.zeros(2, 1))
        >>> model = DistributedDataParallel(layer)
        >>> two, one = torch.tensor([[1.0], [1.0]]), torch.tensor([[4.0]])
        >>> accumulate_on_ranks(model, [(two, torch.tensor([0, 0])), (one, torch.tensor([0]))])
        >>> layer.weight.grad
        tensor([[-1.],
                [ 1.]])
        """,
    insight="One number more is sent, and it keeps the ranks with few labels from shouting down the others.",
)
def accumulate_on_ranks(model: DistributedDataParallel, batches: list[Batch]) -> None:
    """Leave behind on every rank the gradient of a batch that all ranks have in unequal pieces.

    With N labels on all R ranks together, this is what is wanted, and this is what DDP makes of the ∇ᵣ that
    rank r adds up:

        wanted: 1/N · Σ over all labels of ∇loss        DDP: 1/R · Σ over all ranks of ∇ᵣ
    """
    count = torch.tensor(labels_in(batches))
    dist.all_reduce(count)
    for place, (inputs_BI, labels_B) in enumerate(batches, 1):
        with model.no_sync() if place < len(batches) else nullcontext():
            total = functional.cross_entropy(model(inputs_BI), labels_B, reduction="sum")
            (total * dist.get_world_size() / count).backward()


def on_ranks(cfg: Config, lab: Lab) -> None:
    """Who divides when several ranks accumulate?

    Under DDP every backward pass ends with an all-reduce of the gradients. With four micro-batches three of
    them are for nothing, since the sum is not complete yet. `model.no_sync()` leaves them out, for what
    stands in its `with` block. In which block does it have to stand: around the forward pass, the backward
    pass, or both?

    DDP then divides by the number of ranks R, as if all had equally many labels. They have not. If each rank
    divides by its own number, the result is an average of averages again, with ranks in the place of
    micro-batches. Let one rank have a sum of 4 from one label, and another a sum of 8 from three. Then it is
    (4/1 + 8/3)/2 = 3.33 where it should be 12/4 = 3, and no log shows it.

    So all ranks divide by the same number, that of all labels. It has to be sent round once, and then the R
    of DDP has to be multiplied away: (4/4 + 8/4)/2 is 1.5, and twice that is 3.
    """
    lab.predict("13.no-sync", *tools.NO_SYNC_GUESSES)
    counts, gradients = zip(*(lab.step(helpers.reductions, quiet) for quiet in helpers.SILENT), strict=True)
    lab.table("All-reduces of four micro-batches, with no_sync around", list(helpers.SILENT), [counts])
    lab.equal(
        "13.no-sync",
        "Four micro-batches take one all-reduce with `no_sync` around the forward pass, and four without.",
        [*counts, *gradients],
        [1, 1, 4, 4, *[tools.mean_by_formula()] * 4],
        unit="counts and gradients",
    )
    sent = lab.step(helpers.messages, accumulate_on_ranks, tools.share_of(lab.world.rank, 0))
    lab.equal(
        "13.messages",
        "For all micro-batches together a rank sends its gradients once, and one number.",
        [len(sent), max(sent)],
        [2, sum(weight.nbytes for weight in tools.classifier().parameters())],
        unit="facts",
        because="two all-reduces: one of a count, and one of a bucket with all P gradients of 8 bytes",
    )
    plain, right = (lab.step(helpers.left_on_ranks, way) for way in (mean_of_means, accumulate_on_ranks))
    predicted, wanted = tools.predicted_on_ranks()
    lab.close(
        "13.mean-of-ranks",
        "Where each rank divides by its own labels, those of a rank with n of them count 1/(R·n).",
        plain,
        predicted,
        within=tools.DIGITS,
        needs="2 processes",
    )
    lab.close(
        "13.on-ranks",
        "Where all divide by the labels of all ranks, each rank holds the gradient of the whole batch.",
        right,
        wanted,
        within=tools.DIGITS,
    )
    off = ", ".join(f"{tools.relative(*pair):.0%}" for pair in zip(plain, wanted, strict=True))
    lab.say(f"Divided by each rank's own labels, the gradients of the three batches are {off} off.")


def run(cfg: Config, lab: Lab) -> None:
    for part in (in_pieces, at_once, averages, forgotten, layers, after_the_last, on_ranks):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
