"""Lab 09 · requires_grad mechanics · Mechanika requires_grad

Question:
    `detach`, `no_grad`, `inference_mode`, `eval()`: which one do you need?

You will see:
    - Two switches that know nothing of each other, and a validation loop that needs both.
    - One write through a tensor without a graph: it ends in an error, in a wrong gradient, or well.
    - A frozen layer that lets the layers before it learn, one that does not, and one that learns itself.
    - A tensor that refuses to be written to, after it was written to.
    - What the graph costs: bytes by a formula, and time that only small operations notice.

Run:
    make lab-09
    python -m labs.m2_autograd.lab09_requires_grad_mechanics --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 08 for the graph and for what its nodes keep

Remember:
    `eval()` switches layers, `no_grad` switches the graph off, and validation needs both. `inference_mode`
    is a `no_grad` whose results cannot come back into a graph that has to keep them, except as a clone.
    Freeze a layer by its flag if something before it still learns, and by `no_grad` if nothing does; set its
    `.grad` to None when you freeze it. Use `detach` and not `.data`, so that a write is noticed. The switch
    belongs to a thread, and ends where its block is left. This lab does not show how `torch.compile` treats
    the modes. Next comes lab 10, on derivatives of your own.

Sources:
    - PyTorch, Autograd mechanics, Locally disabling gradient computation:
      https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
    - PyTorch, inference_mode:
      https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html
    - PyTorch, the design of inference mode: https://github.com/pytorch/rfcs/pull/17

Notebook:
    09_Requires_Grad_Mechanics.ipynb
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from labs.kit import Lab, exercise, main
from labs.m2_autograd._lab09_cases import (
    SIZES,
    USES,
    Batch,
    Interrupted,
    chain_pictured,
    chains,
    evaluations,
    watched,
)
from labs.m2_autograd._lab09_helpers import (
    ARMS,
    GRADS,
    GRAPH,
    KEEPING,
    MODES,
    OPTIMIZERS,
    TIMED,
    Context,
    decorated,
    inference_ones,
    keeps,
    kept_in,
    left_in_the_middle,
    made_in,
    moved,
    nanoseconds,
    observed,
    products,
    taken,
    with_inside,
    written_to_outside,
)

# Shape letters: N elements, B samples of a batch, I numbers that go in, H hidden ones.


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    batch: int = 61  # samples B that go through a network
    hidden: int = 67  # hidden numbers H of it
    chains: int = 40  # random chains of layers that are frozen in part
    large: int = 2**20  # elements N of a product beside which the graph costs nothing

    @classmethod
    def smoke(cls) -> "Config":
        return cls(batch=11, chains=20, large=2**16)


def two_switches(cfg: Config, lab: Lab) -> None:
    """Which word switches what?

    Most validation loops contain both `model.eval()` and `torch.no_grad()`, and it looks as if one of them
    would do. Which could you leave out? Neither, because they are switches for two different things.

    `model.train()` and `model.eval()` belong to *layers*. They set the attribute `training` of each module,
    and a few kinds of layers look at it. Dropout drops in training only. BatchNorm in training normalises by
    the batch and moves its running statistics along; in evaluation it uses these and leaves them alone.

    `no_grad` and `inference_mode` belong to *autograd*. Inside them operations leave no nodes behind, so
    there is no graph and nothing is kept. Neither switch knows of the other. So we run a small network in all
    six combinations, and in one in which a single layer is in `eval()`, and ask four questions of each.
    """
    rows = {name: lab.step(observed, *mode) for name, mode in MODES.items()}
    words = [(name, *("yes" if answer else "no" for answer in answers)) for name, answers in rows.items()]
    columns = ["mode", "graph", "Dropout drops", "statistics move", "inference tensor"]
    lab.table("What a network does in each mode", columns, words)
    lab.equal(
        "09.modes",
        "`train()` and `eval()` decide what layers do, and the grad mode alone decides about the graph: "
        "`eval()` builds it too.",
        list(rows.values()),
        [
            (context is GRAPH, training, statistics, context is torch.inference_mode)
            for training, statistics, context in MODES.values()
        ],
        unit="combinations",
    )


@exercise(
    "What does your function change before it looks at the first batch? All of that has to be changed back.",
    "Note `training` of every module in `model.modules()`, and put it back in `finally`. Add up sums of "
    "losses and numbers of samples, and divide once.",
    "`modes = {module: module.training for module in model.modules()}`, then `model.eval()`, and under "
    "`try:` the loop inside `torch.no_grad()` with `total += loss_sum(model(x), y).item()`.",
    contract="""
        `batches` holds pairs of inputs and targets. Batches differ in size, and one may be empty, but not
        all. `loss_sum(model(x), y)` is the sum of the losses of a batch. Return the mean loss of a sample as
        a Python float, computed with the model in `eval()` and without a graph.

        Afterwards everything is as before, also if `model` or `loss_sum` raises: `training` of every single
        module, and whether the graph is switched on.

        >>> batches = [(torch.ones(1, 1), torch.zeros(1, 1)), (torch.tensor([[3.0], [0]]), torch.zeros(2, 1))]
        >>> round(evaluate(nn.Identity(), batches, lambda x, y: ((x - y) ** 2).sum()), 4)
        3.3333
        """,
    insight="`model.train()` at the end would have woken the BatchNorm that somebody had put to sleep.",
)
def evaluate(
    model: nn.Module, batches: Iterable[Batch], loss_sum: Callable[[Tensor, Tensor], Tensor]
) -> float:
    """Compute the mean loss of a sample, and leave everything as it was."""
    modes = {module: module.training for module in model.modules()}
    total, count = 0.0, 0
    model.eval()
    try:
        with torch.no_grad():
            for x, y in batches:
                total += loss_sum(model(x), y).item()
                count += len(x)
    finally:
        for module, training in modes.items():
            module.training = training
    return total / count


def validation(cfg: Config, lab: Lab) -> None:
    """What does a validation loop need?

    Both switches, then: `eval()` for the layers and `no_grad` for the graph. What goes wrong in such loops is
    the way back. The usual last line is `model.train()`, and it sets *every* module to training. If you had
    put a pretrained BatchNorm into `eval()`, so that its statistics stay, they move from then on, and no
    error tells you. And if a batch fails, that line is not reached at all: you repair the batch, go on
    training, and Dropout is off. So note `training` of each module first, and put it back in `finally`.

    The mean is a trap of its own. The last batch is mostly smaller. Take batches of 5, 3 and 1 samples: in
    the mean of the three batches' means the last sample weighs 1/3, and each of the first five weighs 1/15.
    Add up sums, and divide once by the number of samples.
    """
    cases = evaluations()
    before = [case.state() for case in cases]
    for case in cases:
        with torch.set_grad_enabled(case.graph):
            try:
                case.found = lab.step(evaluate, case.model, case.batches, case.loss_sum)
            except Interrupted:
                case.found = "Interrupted"
            case.left_graph = torch.is_grad_enabled()
    lab.equal(
        "09.evaluate",
        "A loop that switches both, and puts both back in `finally`, returns the mean loss of a sample and "
        "leaves model and grad mode as they were, also when it fails.",
        [case.told() for case in cases],
        [case.by_hand(state) for case, state in zip(cases, before, strict=True)],
        unit="evaluations",
    )


CUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "y.detach()": lambda y: y.detach(),
    "y.data": lambda y: y.data,
    "y.detach().numpy()": lambda y: torch.from_numpy(y.detach().numpy()),
    "y.detach().clone()": lambda y: y.detach().clone(),
}


def spoiled(cut: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Compute y = exp(x), cut it from the graph, and write zeros through what comes out: x, y and that."""
    x_N = (torch.rand(5) + 0.5).requires_grad_()
    y_N = x_N.exp()
    cut_N = cut(y_N)
    cut_N.zero_()
    return x_N, y_N, cut_N


def cut_by(cut: Callable[[Tensor], Tensor]) -> tuple[str, str, str]:
    """Write through a tensor that was cut from the graph; look at the storage, the counter, the gradient."""
    x_N, y_N, cut_N = spoiled(cut)
    g_N = torch.rand(5) + 0.5
    storage = "shared" if cut_N.data_ptr() == y_N.data_ptr() else "its own"
    counted = "counted" if y_N._version else "not counted"
    gradient = "refused"
    with suppress(RuntimeError):
        found_N = torch.autograd.grad(y_N, x_N, g_N)[0]
        gradient = "right" if torch.equal(found_N, g_N * x_N.detach().exp()) else "wrong"
    return storage, counted, gradient


def detaching(cfg: Config, lab: Lab) -> None:
    """What does `detach` cut?

    The arrow, and nothing else. `y.detach()` has no `grad_fn`, so nothing that you compute from it leads back
    into the graph. Its numbers are not copied. They are those of y, in the same storage. What happens, then,
    when you write to it?

    Let y be exp(x), whose node keeps y for the way back (lab 08). Write through the detached tensor, and the
    node would multiply by numbers that are no longer e to the power of x. Autograd guards against that with a
    *version counter*: each write in place adds one to it; a node notes the count together with what it
    keeps, and compares when it needs it. A detached tensor shares the storage *and* the counter, so
    `backward()` notices and refuses.

    There are ways around the guard. The old `y.data` and a NumPy array share the storage, but writes through
    them are not counted. Then nobody notices, and the gradient is wrong. A clone shares neither.
    """
    rows = {name: lab.step(cut_by, cut) for name, cut in CUTS.items()}
    columns = ["cut by", "storage", "a write to it is", "the gradient of x is"]
    lab.table("Write zeros, then go back", columns, [(name, *row) for name, row in rows.items()])
    lab.equal(
        "09.detach",
        "A detached tensor shares storage and version counter, `.data` and NumPy share the storage alone, "
        "and a clone shares neither.",
        list(rows.values()),
        [
            ("shared", "counted", "refused"),
            ("shared", "not counted", "wrong"),
            ("shared", "not counted", "wrong"),
            ("its own", "not counted", "right"),
        ],
        unit="ways to cut",
        because="the gradient of exp(x) is g · y, and y is either e^x or zeros",
    )
    x_N, y_N, _ = spoiled(CUTS["y.detach()"])
    lab.raises(
        "09.refuses",
        "`backward()` refuses where a kept tensor was written to through a detached one.",
        partial(torch.autograd.grad, y_N, x_N, torch.randn(5)),
        RuntimeError,
        "has been modified by an inplace operation",
    )


@exercise(
    "An operation looks at the flags of its operands while it runs. When do they have to be off, and when "
    "on again?",
    "Switch the flags of a frozen layer's parameters off before the layer runs and back after it: the graph "
    "remembers how they were in between. Each flag has to become what it was, not True.",
    "`flags = {p: p.requires_grad for p in layer.parameters()}`, then `layer.requires_grad_(False)` if the "
    "place is frozen, the layer, and `p.requires_grad_(flag)` for each pair in `flags.items()`.",
    contract="""
        Send x through `layers`, one after the other, and return the result. `frozen` holds places in that
        list. In the backward pass a frozen layer's parameters get no gradient *from that place*, and the
        gradient goes on to the layers before it. A layer may stand in the list twice.

        When you return, the flag `requires_grad` of each parameter is what it was, and so is what stands in
        its `.grad`. A parameter whose flag was off before gets no gradient anywhere.

        >>> layers = [nn.Linear(1, 1, bias=False) for _ in range(3)]
        >>> for layer, weight in zip(layers, (2.0, 3.0, 4.0)):
        ...     _ = nn.init.constant_(layer.weight, weight)
        >>> through_frozen(layers, {1}, torch.ones(1, 1)).backward(torch.ones(1, 1))
        >>> [layer.weight.grad for layer in layers]
        [tensor([[12.]]), None, tensor([[6.]])]
        """,
    insight="A node asks for flags while its operation runs, and never again: freezing belongs to a call.",
)
def through_frozen(layers: list[nn.Module], frozen: set[int], x: Tensor) -> Tensor:
    """Send x through layers of which some are frozen: a gradient passes through them, and stays in none.

    The graph has an edge to a parameter only if its flag is on while the layer runs.
    """
    for place, layer in enumerate(layers):
        flags = {parameter: parameter.requires_grad for parameter in layer.parameters()}
        if place in frozen:
            layer.requires_grad_(False)
        x = layer(x)
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)
    return x


def through_switched_off(layers: list[nn.Module], off: set[int], x: Tensor) -> Tensor:
    """Send x through layers of which some run under `no_grad`."""
    for place, layer in enumerate(layers):
        with torch.set_grad_enabled(torch.is_grad_enabled() and place not in off):
            x = layer(x)
    return x


FROZEN = {
    "the first and the last": "That is freezing by the flag: the layer is recorded, only without its weight.",
    "the last": "**Yes.** The middle layer leaves no node, so its result is data to the last one, and the "
    "way back ends there. Not even the first layer's nodes live on, for nobody points to them.",
    "none of them": "The last layer is recorded as always: its own weight requires a gradient.",
}


def freezing(cfg: Config, lab: Lab) -> None:
    """How do you freeze a layer in the middle?

    Three layers, and the one in the middle is to stay as it is. You can clear the flag of its parameters.
    Then its operations are still recorded, because their *input* requires a gradient: the graph has an edge
    to the layer before, and none to the weight. Or you run the layer under `no_grad`, where nothing is
    recorded at all. Does it make a difference?

    Look at the arrows in the picture, and then at the bytes. The flag saves none here, because the gradient
    that passes through needs the result of every tanh.

    One more trap has nothing to do with the graph. An optimizer does not look at the flag. It skips a
    parameter whose `.grad` is None. Zeros are a gradient like others to it, and where it remembers earlier
    ones (momentum, Adam) or pulls weights towards zero (weight decay), a frozen weight goes on moving.
    """
    question = "Of three layers the one in the middle runs under `no_grad`. Which weights get a gradient?"
    lab.predict("09.cut", question, FROZEN, answer="the last")
    examples = lab.step(chains, cfg.chains)
    states = [chain.state() for chain in examples]
    results = [lab.step(through_frozen, chain.layers, chain.frozen, chain.x) for chain in examples]
    lab.equal(
        "09.frozen",
        "A layer frozen by its flag gets no gradient and passes it on, and flags that are put back at once "
        "are what they were.",
        [chain.told(y) for chain, y in zip(examples, results, strict=True)],
        [chain.by_products(state) for chain, state in zip(examples, states, strict=True)],
        unit="chains",
        because="computed from products of matrices of whole numbers, in which nothing is rounded",
    )
    ways = [(through_frozen, set()), (through_frozen, {1}), (through_switched_off, {1})]
    arms = [lab.step(watched, through, held, cfg.batch) for through, held in ways]
    lab.diagram("The way back through three layers", *map(chain_pictured, ARMS, arms))
    first, second, third = (cfg.batch * size * 4 for size in SIZES[1:])
    every = [first, second, third]
    lab.equal(
        "09.cut",
        "A middle layer with its flag off lets the first one learn; one under `no_grad` does not, and then "
        "neither the first nor the middle layer keeps anything.",
        [(arm.learning, arm.kept) for arm in arms],
        [([1, 2, 3], every), ([1, 3], every), ([3], [0, 0, second + third])],
        unit="ways",
        because="tanh keeps its result, and a linear layer its input: 4 bytes for each of B times 7, 3 and 2",
    )
    moves = {name: [lab.step(moved, make, grad) for grad in GRADS] for name, make in OPTIMIZERS.items()}
    lab.table("What a frozen weight does", ["optimizer", *GRADS], [(n, *row) for n, row in moves.items()])
    lab.equal(
        "09.adam",
        "A frozen weight with zeros in its `.grad` still moves under momentum, weight decay and Adam, and "
        "one with None stays.",
        list(moves.values()),
        [["stays"] * 2] * 2 + [["moves", "stays"]] * 3,
        unit="optimizers",
        because="after three gradients of 1 momentum is 0.9·2.71, Adam's first moment 0.9·0.271, decay 0.1·w",
    )


WRITTEN = {
    "1": "It should be: it was refused. But the check comes late.",
    "2": "**Yes.** The addition has run when the version counter is to be raised, and only there it fails.",
    "nothing, it cannot be read": "Reading an inference tensor is never refused.",
}


def inference_tensors(cfg: Config, lab: Lab) -> None:
    """What can an inference tensor not do?

    `no_grad` stops the recording, but what it makes are ordinary tensors, with a version counter each, and
    you may take them into a graph later. `inference_mode` leaves out the counter, too. Whatever is made in it
    is an *inference tensor*, and remains one when the block is left.

    Without a counter nobody would notice a write to something that a node has kept. So no node may keep an
    inference tensor. Whether an operation takes one follows from lab 08: the gradient of w + t is g, so t is
    not needed and the sum is granted. That of w · t is g · t, so t would have to be kept, and it is refused.
    A clone made outside of the mode is an ordinary tensor again.

    A write from outside the mode is refused as well, since it could not be counted. Do not rely on that to
    protect your numbers.
    """
    question = (
        "`t` is an inference tensor of ones, and outside of the mode `t.add_(1)` raises. What is in it?"
    )
    lab.predict("09.written", question, WRITTEN, answer="2")
    plain, inference = ([lab.step(taken, use, mode) for use in USES.values()] for mode in (False, True))
    kept = [lab.step(keeps, use) for use in USES.values()]
    granted = ["refused" if found == "refused" else "taken" for found in inference]
    gradients = [use.gradient for use in USES.values()]
    columns = ["operation", "gradient of w", "an ordinary t is", "an inference tensor is"]
    lab.table("What meets w", columns, list(zip(USES, gradients, kept, granted, strict=True)))
    lab.equal(
        "09.inference",
        "An operation refuses an inference tensor exactly where it keeps an ordinary one, and elsewhere its "
        "gradient is right.",
        inference,
        ["refused" if keep == "kept" else right for keep, right in zip(kept, plain, strict=True)],
        unit="operations",
    )
    lab.raises(
        "09.not-saved",
        "A product with a tensor that requires a gradient refuses an inference tensor.",
        partial(torch.mul, torch.ones(3, requires_grad=True), inference_ones()),
        RuntimeError,
        "Inference tensors cannot be saved for backward",
    )
    lab.equal(
        "09.written",
        "Adding 1 to an inference tensor of ones outside of the mode raises, and leaves twos in it.",
        written_to_outside(),
        ("Inplace update to inference tensor outside InferenceMode", [2.0, 2.0, 2.0]),
        unit="things",
    )
    lab.say(
        "So use `inference_mode` for what leaves torch for good: predictions, metrics, samples. Where a "
        "result may come back, such as features for another model or a teacher's outputs in an `mse_loss`, "
        "take `no_grad`, or clone."
    )


THREAD = {
    "yes": "**Yes.** Each thread has a switch of its own, and it is on when the thread begins.",
    "no": "So it would be, if the switch were a variable of the program. It belongs to a thread.",
    "it raises an error": "Threads may share tensors. What each does with them is recorded or not.",
}


def in_another_thread(mode: Context) -> list[bool]:
    """Switch the graph off, and ask whether it is on: here, in another thread, and here again."""
    weight_N = torch.ones(3, requires_grad=True)

    def asked() -> bool:
        return (weight_N * 2).requires_grad

    with mode(), ThreadPoolExecutor(max_workers=1) as pool:
        seen = [asked(), pool.submit(asked).result(), asked()]
    return seen


def where_it_ends(cfg: Config, lab: Lab) -> None:
    """Where does the switch end?

    A `with` block looks as if it held for the lines that stand in it. What it really does is to set a flag
    when it is entered, and to set it back when it is left. So it matters whose flag that is, and when the
    block is left.

    A block is left when the *program* leaves it. A generator with a `with` inside that has yielded its first
    batch stands still in the middle of the block. To the eye the loop that got the batch is outside of it; in
    truth the graph is off there too, and the training step in that loop raises an error or learns nothing.
    Used as a decorator, `@torch.no_grad()` knows generators, and sets the flag anew at each step.

    Last, the switch is about *results*. What you make with a flag of its own keeps it: a parameter that is
    made under `no_grad` requires a gradient, as it should.
    """
    lab.predict(
        "09.thread",
        "The main thread is inside `no_grad` and starts a second one. There `w * 2` is computed, and w "
        "requires a gradient. Does the result?",
        THREAD,
        answer="yes",
    )
    modes: list[Context] = [torch.no_grad, torch.inference_mode]
    lab.equal(
        "09.thread",
        "A thread that is started inside `no_grad` or `inference_mode` records a graph all the same.",
        [lab.step(in_another_thread, mode) for mode in modes],
        [[False, True, False]] * 2,
        unit="modes",
        because="asked before, inside the other thread, and after",
    )
    lab.equal(
        "09.generator",
        "A generator that waits inside `with torch.no_grad()` has switched the graph off for its caller; "
        "decorated, it has not.",
        [lab.step(left_in_the_middle, make) for make in (with_inside, decorated)],
        [[False, True], [True, True]],
        unit="generators",
        because="asked while it waits, and when it is gone",
    )
    lab.equal(
        "09.made",
        "What is made with a flag of its own under `no_grad` or `inference_mode` requires a gradient, and "
        "results of operations do not.",
        [lab.step(made_in, mode) for mode in modes],
        [[True, True, True, True, False, False]] * 2,
        unit="modes",
        because="a parameter, `requires_grad=True`, `requires_grad_()`, a layer's weight; a product, a sum",
    )


def costs(cfg: Config, lab: Lab) -> None:
    """What does the graph cost?

    Memory first, and for that no stopwatch is needed. A network Linear, ReLU, Linear keeps the ReLU's result:
    B · H numbers of 4 bytes. It does so in `train()` and in `eval()`. It keeps nothing under `no_grad` and in
    `inference_mode`. Nor does it if all weights are frozen, for then nothing that requires a gradient comes
    in, unless the *data* do: an attack on the network (lab 47) or a style transfer (lab 48) pays for the
    whole graph of a model in which no weight learns.

    Time is another matter. For each operation a node is made, linked to others, and handed what it keeps.
    That takes about a microsecond, whatever the size of the tensors. Beside a product of four numbers
    it is a large part. Beside one of a million it is lost.
    """
    kept = [kept_in(*case, cfg.batch, cfg.hidden) for case in KEEPING.values()]
    rows = [(name, size) for name, (size, _) in zip(KEEPING, kept, strict=True)]
    lab.table("What is kept", ["mode", "bytes"], rows)
    relu = cfg.batch * cfg.hidden * 4
    lab.equal(
        "09.bytes",
        "This network keeps as many bytes in `eval()` as in `train()`; under `no_grad`, in `inference_mode` "
        "and frozen it keeps none, unless the data require a gradient.",
        kept,
        [(relu, True), (relu, False), (0, True), (0, True), (0, True), (relu, True)],
        unit="cases",
        because=f"the ReLU's result: {cfg.batch} · {cfg.hidden} · 4 = {relu:,} bytes",
    )
    lab.table("Nanoseconds for a product", ["numbers", *TIMED], nanoseconds((4, 2**12, cfg.large)))
    lab.ratio(
        "09.small",
        "A product of four numbers takes longer with the graph than without.",
        partial(products, GRAPH, 4, 5000),
        partial(products, torch.no_grad, 4, 5000),
        at_least=1.1,
        because="beside the result a node and its edges are allocated: we require a tenth more for that",
    )
    lab.ratio(
        "09.large",
        "A product of a million numbers takes no more than a twentieth longer with the graph than without.",
        partial(products, GRAPH, cfg.large, 20),
        partial(products, torch.no_grad, cfg.large, 20),
        at_most=1.05,
        because="12 MB move in about half a millisecond, a node takes a microsecond; 5 % are for the clock",
        rounds=31,
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (two_switches, validation, detaching, freezing, inference_tensors, where_it_ends, costs):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
