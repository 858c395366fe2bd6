"""Lab 12 · The retain_graph trick · Sztuczka retain_graph

Question:
    Why can you not go backward twice, and when is `retain_graph=True` the wrong cure?

You will see:
    - Sixteen operations, of which eight can be walked twice, and one rule that tells which.
    - Four losses on one trunk: walked four times, once with all heads in memory, or once with one of them.
    - A state that was never detached: a graph that grows by four nodes in every step of training.
    - An optimizer that steps between two walks. Four times torch refuses; four times it computes a wrong
      gradient and says nothing.
    - A generator whose gradient is exactly zero, because the critic trained it too.

Run:
    make lab-12
    python -m labs.m2_autograd.lab12_retain_graph_trick --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 08 for the nodes of a graph

Remember:
    The error says that a graph is older than you think. Ask first for one `backward()` on the sum of the
    losses, then for the place to cut; `retain_graph=True` comes last. A cut is one `detach()`, and one call
    with the gradient that arrived there. Never let an optimizer step between two walks of one graph, and do
    not trust the guard where its step is fused. What you only want to look at, compute under `no_grad`. This
    lab does not show how a second derivative is used; lab 11 does. Next comes lab 13, on gradients that are
    added up over several batches.

Sources:
    - PyTorch documentation, torch.Tensor.backward:
      https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html
    - PyTorch, Frequently asked questions, on history across the training loop:
      https://docs.pytorch.org/docs/stable/notes/faq.html
    - R. Williams, J. Peng, "An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent Network
      Trajectories", Neural Computation 2(4), 1990: https://doi.org/10.1162/neco.1990.2.4.490

Notebook:
    12_Retain_Graph_Trick.ipynb
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.optim import Optimizer

from labs.kit import Lab, Tolerance, exercise, main
from labs.m2_autograd._lab12_helpers import (
    OPTIMIZERS,
    Trained,
    added_up,
    adversaries,
    asked_twice,
    by_hand,
    differentiate,
    errors_of_heads,
    errors_of_truncation,
    gradient_of,
    operations,
    recurrence,
    walk_to,
    walk_twice,
    walks_and_peak,
    weighted,
)
from labs.m2_autograd._lab12_tools import (
    Look,
    Loss,
    RecurrentCell,
    answer,
    classifier,
    drawn,
    joined,
    passes_of,
    peaks_of_steps,
    per_step,
    size_of,
    strip,
)

# Shape letters: N elements, T steps of time, B samples of a batch, I inputs, H numbers of a state.


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    size: int = 2**18  # elements N of an activation whose memory is measured
    steps: int = 64  # steps T of training on one state
    epochs: int = 200  # steps whose losses are added up for a report

    @classmethod
    def smoke(cls) -> "Config":
        return cls(size=2**14, steps=32, epochs=20)


TWICE = {
    "`(x * 2).sum()`": "The product keeps the 2 for its derivative, g·2, in a tensor, and lets go of it.",
    "`x.abs().sum()`": "The derivative is g·sign(x), so the node keeps x until it was visited.",
    "`x.cumsum(0).sum()`": "**Yes.** Its derivative is a sum of what comes in, and needs no number of x.",
    "none of them": "One of the three keeps nothing at all, and what keeps nothing can lose nothing.",
}
TOLD = {  # of a node: was it visited, and was it freed?
    (True, True): "visited, freed",
    (True, False): "visited",
    (False, True): "freed",
    (False, False): "–",
}


def second_walk(cfg: Config, lab: Lab) -> None:
    """Why can you not go backward twice?

    You call `backward()` twice on the same loss, and torch answers that it cannot, and that you might want
    `retain_graph=True`. Why should the second walk be different from the first?

    Look at one node. The derivative of y = exp(x) is g·y, so the node of `exp` keeps y for the way back. Once
    the walk has passed, torch lets y go: that is why memory falls during a backward pass. A second walk finds
    nothing there. The node of `x + 1` passes g on as it is. It keeps nothing, it loses nothing, and you may
    walk through it as often as you like. So the rule should be: what counts is not the number of walks, but
    whether a node had anything to let go. `dir(node)` shows the slots in which it keeps tensors.

    A walk need not visit every node. `y.backward(inputs=[a])` goes only where the way leads to a: in
    y = sin(exp(a)·w) + exp(b) it never comes to exp(b). Does the rest of the graph live on?
    """
    lab.predict(
        "12.twice",
        "Which of these results can go backward twice without `retain_graph`?",
        TWICE,
        "`x.cumsum(0).sum()`",
    )
    x = drawn(3, 4)
    lab.raises(
        "12.error",
        "A second walk through `exp` is refused.",
        partial(walk_twice, torch.exp, x),
        RuntimeError,
        "Trying to backward through the graph a second time",
    )
    answers = {name: lab.step(asked_twice, operation, x) for name, operation in operations().items()}
    rows = [(name, "; ".join(kept) or "–", answer) for name, (kept, answer) in answers.items()]
    lab.table("Sixteen operations, walked twice", ["operation", "its nodes", "second walk"], rows)
    lab.equal(
        "12.twice",
        "A graph can be walked twice exactly where none of its nodes keeps a tensor.",
        [answer for _, answer in answers.values()],
        ["refused" if kept else "walked" for kept, _ in answers.values()],
        unit="operations",
        because="eight keep nothing, for their derivatives need sizes and no numbers; eight keep a tensor",
    )
    found = {names: lab.step(walk_to, names) for names in ("a", "w", "b", "ab")}
    marks = [(node, *(TOLD[walk[node]] for walk in found.values())) for node in found["a"]]
    lab.table("What each walk frees", ["node", "to a", "to w", "to b", "to a and b"], marks)
    lab.equal(
        "12.visited",
        "A walk to some of the inputs frees exactly the nodes that it visits.",
        [[walk[node] for node in ("exp(a)", "exp(a)·w", "sin", "exp(b)")] for walk in found.values()],
        [[(way, way) for way in ways] for ways in ((1, 1, 1, 0), (0, 1, 1, 0), (0, 0, 0, 1), (1, 1, 1, 1))],
        unit="walks",
        because="to a through sin, the product and exp(a), to w through sin and the product, to b by exp(b)",
    )


def by_retaining(h_N: Tensor, losses: Sequence[Loss]) -> None:
    """Go backward from each loss by itself, and keep the graph for the next."""
    for loss in losses:
        loss(h_N).backward(retain_graph=True)


def by_sum(h_N: Tensor, losses: Sequence[Loss]) -> None:
    """Go backward once, from the sum of all losses."""
    torch.stack([loss(h_N) for loss in losses]).sum().backward()


@exercise(
    "The trunk need not know of the heads: all it needs is one gradient, the one that arrives at its output.",
    "Detach the output, and let that copy require a gradient. Each head's `backward()` adds its part there.",
    "`leaf_N = h_N.detach().requires_grad_()`, for each loss `loss(leaf_N).backward()`, and at the end "
    "`h_N.backward(leaf_N.grad)`.",
    contract="""
        `h_N` is the output of a trunk, and `losses` are functions of it that return one number each. Some may
        not look at it, and there may be none. Add to the `grad` of all parameters, in the heads and in the
        trunk, the gradient of the sum of all losses. The trunk behind `h_N` is walked at most once, and never
        do the graphs of two heads live at once. Nothing is returned, and `h_N` gets no `grad`.

        >>> w = torch.tensor(2.0, requires_grad=True)
        >>> backward_by_heads(w * 1, [lambda h: h * h, lambda h: 3 * h])
        >>> w.grad
        tensor(7.)
        """,
    insight="Pipelines and checkpointing cut graphs in this way: all that crosses a cut is one gradient.",
)
def backward_by_heads(h_N: Tensor, losses: Sequence[Loss]) -> None:
    """Walk through each head to a cut, and through the trunk once, from the gradient that arrived there.

        ∂L/∂h = Σ ∂Lₖ/∂h

    A gradient is a sum over the heads, and a sum can be waited for.
    """
    leaf_N = h_N.detach().requires_grad_()
    for loss in losses:
        loss(leaf_N).backward()
    if leaf_N.grad is not None:
        h_N.backward(leaf_N.grad)


def heads(cfg: Config, lab: Lab) -> None:
    """How do four losses share one trunk?

    A network looks at a face and tells whose it is, how old, in what mood, and where it looks. That is one
    trunk with four heads and four losses. You call `backward()` on each. The first call frees the trunk, the
    second is refused, and the error recommends `retain_graph=True`. It helps. But the trunk, the largest part
    of the network, is now walked four times.

    One call on the sum of the losses walks it once. Then all four heads have to be there at once, and their
    activations with them.

    There is a third way. Cut the graph at the trunk's output h: `h.detach()` is the same numbers without a
    past. Let that copy require a gradient. Each head's walk ends there and adds its part to `leaf.grad`, and
    with its walk the head is gone. At the end one call, `h.backward(leaf.grad)`, walks the trunk.
    """
    ways = {"each loss": by_retaining, "their sum": by_sum, "a cut": backward_by_heads}
    found = torch.cat([lab.step(errors_of_heads, way) for way in ways.values()])
    lab.close(
        "12.heads",
        "All parameters get the same gradients by a call for each loss, by one on the sum, and by a cut.",
        found,
        torch.zeros_like(found),
        within=Tolerance(56, "in units of the dtype's eps: sums of 7 numbers behind 8 layers, 7·8 roundings"),
    )
    measured = {
        name: [walks_and_peak(way, count, cfg.size) for count in (2, 4, 6)] for name, way in ways.items()
    }
    rows = [(name, *(f"{walks} · {peak:.1f}" for walks, peak in row)) for name, row in measured.items()]
    columns = ["backward from", "2 heads", "4 heads", "6 heads"]
    lab.table("Walks through the trunk · activations at the peak", columns, rows)
    lab.equal(
        "12.cut",
        "A call for each loss walks the trunk once for each head, the sum needs room for all heads, and a "
        "cut does neither.",
        [[(walks, round(peak)) for walks, peak in row] for row in measured.values()],
        [[(2, 9), (4, 9), (6, 9)], [(1, 5 + 3 * count) for count in (2, 4, 6)], [(1, 9)] * 3],
        unit="ways",
        because="3 activations of the trunk, 3 of each head that lives, and 2 or 3 gradients on their way",
    )


def carried(xs_TBI: Tensor, h_BH: Tensor, detached: bool, retained: bool, look: Look = id) -> list[float]:
    """Go backward in every step, carry the state on to the next, and look at each loss before its walk."""
    cell, _ = recurrence()
    seen: list[float] = []
    for x_BI in xs_TBI:
        h_BH = cell(x_BI, h_BH.detach() if detached else h_BH)
        loss = (h_BH * h_BH).sum()
        seen.append(look(loss))
        loss.backward(retain_graph=retained)
    return seen


LAST_ALONE = [[4], [0, 4], [0, 0, 4], [0, 0, 0, 4]]  # nodes of each step that a pass visits


def undetached(cfg: Config, lab: Lab) -> None:
    """What becomes of a state that was never detached?

    A recurrent network reads a stream: it computes a new state from the old one and an input, you go backward
    from the loss, and on it goes. In the second step torch refuses. You did call `backward()` once only on
    each loss, so which graph is it that was walked before?

    The old state is the answer. It is more than its numbers: it is the end of the first step's graph. The
    second walk goes through the second step and on into the first, whose nodes have let go of their tensors.
    With `retain_graph=True` no error comes any more, and nothing is freed any more. The walk of step t goes
    through all t steps.

    One `detach()` says that the past is over: the same numbers, with no graph behind them.
    """
    h_BH, xs_TBI = drawn(3, 7), drawn(cfg.steps, 3, 5)
    lab.raises(
        "12.undetached",
        "A state that carries its graph on makes the second step's `backward()` fail.",
        partial(carried, xs_TBI[:2], h_BH, detached=False, retained=False),
        RuntimeError,
        "Trying to backward through the graph a second time",
    )
    modes = {"carried on": (False, True), "detached": (True, False)}
    sizes = {name: lab.step(carried, xs_TBI[:6], h_BH, *mode, size_of) for name, mode in modes.items()}
    ways = {name: partial(carried, xs_TBI[:4], h_BH, *mode) for name, mode in modes.items()}
    passes = {name: passes_of(way) for name, way in ways.items()}
    lab.diagram("What each backward pass visits", *(strip(name, rows) for name, rows in passes.items()))
    lab.plot("The graph behind the loss", range(1, 7), sizes, x_label="step", y_label="nodes")
    lab.equal(
        "12.growth",
        "An undetached state makes the graph grow by four nodes in every step, and each walk visits all.",
        [*sizes.values(), *passes.values()],
        [[8, 12, 16, 20, 24, 28], [8] * 6, [[4] * step for step in (1, 2, 3, 4)], LAST_ALONE],
        unit="graphs",
        because="2 products, a sum and a tanh in each step; 2 nodes of the loss and 2 weights besides",
    )
    lab.equal(
        "12.memory",
        "An undetached state costs the bytes of one more state in every step, and a detached one costs none.",
        [peaks_of_steps(partial(carried, h_BH=h_BH, detached=d, retained=r)) for d, r in modes.values()],
        [[4 * h_BH.nbytes, 8 * h_BH.nbytes, 16 * h_BH.nbytes], [0, 0, 0]],
        unit="rows",
        because=f"a step keeps the result of its tanh, 3·7·8 = {h_BH.nbytes} bytes; 4, 8 and 16 steps more",
    )
    lab.ratio(
        "12.time",
        "An undetached state makes the same number of steps take longer.",
        partial(carried, xs_TBI, h_BH, *modes["carried on"]),
        partial(carried, xs_TBI, h_BH, *modes["detached"]),
        at_least=2,
        because="T steps visit 2·T·(T + 3) nodes and not 8·T; we require 2 ×, as both build equally many",
    )


@exercise(
    "When does a piece end? After `every` steps, and at the end of the sequence, whichever comes first.",
    "Add up the losses of a piece, go backward from the sum, and only then detach the state.",
    "`for step, x_BI in enumerate(xs_TBI, 1):` … `if step % every == 0 or step == len(xs_TBI):` backward, "
    "detach, and begin a new sum.",
    contract="""
        `cell` makes a state of an input (B, I) and the state before it (B, H), and `loss` makes one number of
        a state. Run the cell over `xs_TBI`, beginning with `h_BH`, and add the losses up. After every `every`
        steps, and after the last one, go backward from the sum and cut the graph, so that no walk is longer
        than `every` steps. The gradients stay in the weights' `grad`. Return the last state, (B, H), without
        a graph. There may be no steps at all. `h_BH` stays as it is and gets no gradient.

        >>> w = torch.tensor(1.0, requires_grad=True)
        >>> xs_TBI, h_BH = torch.ones(2, 1, 1), torch.zeros(1, 1)
        >>> truncated_bptt(lambda x_BI, h_BH: w * x_BI + h_BH, torch.sum, xs_TBI, h_BH, every=2)
        tensor([[2.]])
        >>> w.grad
        tensor(3.)
        """,
    insight="The state's numbers go on over the cut; only the gradient stops there.",
)
def truncated_bptt(cell: RecurrentCell, loss: Loss, xs_TBI: Tensor, h_BH: Tensor, every: int) -> Tensor:
    """Go backward through a sequence piece by piece.

        ∂L/∂w ≈ Σ over pieces of ∂L(piece)/∂w

    where each piece takes its first state as a constant.
    """
    state_BH, total = h_BH.detach(), torch.zeros((), dtype=h_BH.dtype)
    for step, x_BI in enumerate(xs_TBI, 1):
        state_BH = cell(x_BI, state_BH)
        total = total + loss(state_BH)
        if step % every == 0 or step == len(xs_TBI):
            total.backward()
            state_BH, total = state_BH.detach(), torch.zeros_like(total)
    return state_BH


def cutting(cfg: Config, lab: Lab) -> None:
    """Where do you cut a long sequence?

    Detach after every step, and the network never learns that an input matters ten steps later. Never detach,
    and the walk goes through the whole sequence, with all its memory. *Truncated backpropagation through
    time* (Williams and Peng, 1990) lies between: carry the state on for some steps, go backward from the sum
    of their losses, and cut there.

    Take h ← w·x + h with x = 1, 1 and the loss h in each step, so that the states are w and 2·w. Cut after
    every step, and each walk sees one w: ∂L/∂w is 1 + 1 = 2. Cut after two steps, and the second state has
    come from two: 1 + 2 = 3. The gradient of the whole sequence is the last one, and every cut leaves
    something out. The table shows how much, for a sequence of 21 steps.
    """
    found, walks = lab.step(errors_of_truncation, truncated_bptt)
    lab.close(
        "12.truncated",
        "A truncated sequence has the gradients of its pieces, each begun from a state without a past.",
        found,
        torch.zeros_like(found),
        within=Tolerance(392, "in units of the dtype's eps: 7 steps of 2·7 terms, there and back, twice"),
    )
    lab.equal(
        "12.pieces",
        "A sequence of T steps that is cut every k steps is walked ⌈T/k⌉ times.",
        walks,
        [3, 7, 1, 3, 0],
        unit="sequences",
        because="T = 7, 7, 5, 6, 0 and k = 3, 1, 9, 2, 2; the last, short piece counts as well",
    )
    xs_TBI, h_BH = drawn(21, 3, 5), drawn(3, 7)
    cuts = {every: lab.step(gradient_of, truncated_bptt, xs_TBI, h_BH, every) for every in (1, 3, 7, 21)}
    off = {every: float((gradient - cuts[21]).norm() / cuts[21].norm()) for every, gradient in cuts.items()}
    rows = [(every, 21 // every, f"{100 * share:.1f} %") for every, share in off.items()]
    lab.table("What a cut leaves out", ["cut every", "walks", "gradient off by"], rows)


def trained(make: Callable[[list[Tensor]], Optimizer], xs_TBI: Tensor, h_BH: Tensor) -> Trained:
    """Train on a state that is carried on: retain the graph, and let the optimizer step between the walks."""
    cell, (w_IH, u_HH) = recurrence()
    optimizer = make([w_IH, u_HH])
    states = [h_BH]
    weights: list[Tensor] = []
    for x_BI in xs_TBI:
        if weights:
            optimizer.step()
        optimizer.zero_grad()
        weights.append(u_HH.detach().clone())
        states.append(cell(x_BI, states[-1]))
        weighted(states[-1]).backward(retain_graph=True)
    gradients = [weight.grad for weight in (w_IH, u_HH) if weight.grad is not None]
    return Trained([state.detach() for state in states], weights, gradients)


FUSED = {
    "an error in step 2": "In the second step no weight is needed yet that an optimizer has changed since.",
    "an error in step 3": "So it is without `fused=True`: the third walk needs U as it was in step 2.",
    "it runs, and is wrong": "**Yes.** The fused step writes to U and does not raise the count of writes.",
}


FEWER_DIGITS = "of 16 digits the difference of nearby gradients costs 2, and some hundred roundings 2 more"


def wrong_cure(cfg: Config, lab: Lab) -> None:
    """What if the optimizer steps between two walks?

    Most people meet `retain_graph=True` in a training loop: an undetached state, the error, the cure. Then
    comes the next error: "one of the variables needed for gradient computation has been modified by an
    inplace operation". What does it mean?

    The node of h·U keeps U for the way back, and no copy of it. Then the optimizer writes new numbers into U.
    A walk that comes through the old node later would multiply by weights that did not make that state. torch
    guards against this: a tensor counts how often it was written to, a node notes the count, and where the
    two differ the walk is refused. The refusal is right, because that graph is about weights that are gone.

    The guard works only where every write is counted.
    """
    question = "An undetached state, `retain_graph=True`, and `Adam(…, fused=True)`. What happens?"
    lab.predict("12.fused", question, FUSED, "it runs, and is wrong")
    xs_TBI, h_BH = drawn(4, 3, 5), drawn(3, 7)
    plain = {name: partial(kind, lr=0.1) for name, kind in OPTIMIZERS.items()}
    fused = {name: partial(kind, lr=0.1, fused=True) for name, kind in OPTIMIZERS.items()}
    tried = [[answer(partial(trained, way[name], xs_TBI, h_BH)) for way in (plain, fused)] for name in plain]
    rows = [(name, *answers) for name, answers in zip(plain, tried, strict=True)]
    lab.table("Four steps on one graph", ["optimizer", "as it is", "fused"], rows)
    lab.raises(
        "12.version",
        "A walk that needs a weight as it was before the optimizer's step is refused.",
        partial(trained, plain["SGD"], xs_TBI, h_BH),
        RuntimeError,
        "modified by an inplace operation",
    )
    runs = [lab.step(trained, make, xs_TBI, h_BH) for make in fused.values()]
    true = [by_hand(xs_TBI, run, run.weights) for run in runs]
    late = [by_hand(xs_TBI, run, [run.weights[-1]] * 4) for run in runs]
    lab.close(
        "12.fused",
        "After fused steps the walk takes the newest weights for those of each step, and no error comes.",
        joined(run.gradients for run in runs) - joined(true),
        joined(late) - joined(true),
        within=Tolerance(1e-12, FEWER_DIGITS, relative=True),
    )


def generator_gradient(detached: bool) -> Tensor:
    """Train a critic and a generator on the same fakes, and return the generator's gradient."""
    parts = adversaries()
    fake_BN = parts.generator(parts.noise_BI)
    shown_BN = fake_BN.detach() if detached else fake_BN
    (parts.critic(shown_BN) - parts.critic(parts.real_BN)).mean().backward(retain_graph=True)
    (-parts.critic(fake_BN)).mean().backward()
    gradient = parts.weights[0].grad
    assert gradient is not None
    return gradient


def rivals(cfg: Config, lab: Lab) -> None:
    """Who else trains the generator?

    A critic learns to tell real samples from fakes, and a generator learns to make fakes that the critic
    takes for real. One batch of fakes serves both: first the critic's loss goes backward, then the
    generator's. The first walk runs through the critic, on into the generator, and frees it. So the second is
    refused, and again the error recommends `retain_graph=True`.

    It runs then. But the first walk had no business in the generator. It left a gradient there, one that
    makes the fakes *worse*, and the generator's own is added to it. The two losses of a Wasserstein GAN
    differ in their sign alone, so for them the sum is zero to the last bit: nothing is learnt, and no error
    comes. The cure is `fake.detach()` for the critic. Its walk then ends at the fakes, and is shorter too.
    """
    parts = adversaries()
    own = (-parts.critic(parts.generator(parts.noise_BI))).mean()
    (own_IN,) = torch.autograd.grad(own, parts.weights)
    lab.equal(
        "12.rivals",
        "The generator gets its own gradient from detached fakes, and exactly zero from those that are not.",
        [lab.step(generator_gradient, detached=detached) for detached in (True, False)],
        [own_IN, torch.zeros_like(own_IN)] if own_IN.all() else [],
        cases=2 * own_IN.numel(),
        unit="numbers",
        because="the critic's loss has the generator's with the other sign in it: g − g = 0 without rounding",
    )


TOTAL = {
    "200 activations": "So it is where nobody goes backward from the losses, as in a validation.",
    "200 losses": "Each sum is a new number, and the one before it is let go.",
    "one number": "**Yes.** Each walk freed what its nodes kept. The nodes are there still: 1,000 of them.",
}


def other_keepers(cfg: Config, lab: Lab) -> None:
    """What else keeps a graph alive?

    `create_graph=True` is often taken for a stronger `retain_graph`. It does another thing. Retaining keeps
    the graph of y. Creating makes a new graph, that of the gradient, so that you can differentiate once more;
    and since the new graph leans on the old one's tensors, it retains that as well, unless you forbid it.

    The keeper that nobody notices is a running total. `total = total + loss` keeps the graph of every loss,
    because somebody might ask for a gradient. In training the walks have emptied these graphs, and what is
    left are nodes. In a validation nobody walks, and all activations stay. Under `torch.no_grad()` no graph
    is made at all.
    """
    lab.predict(
        "12.report",
        "After `loss.backward()` you write `total = total + loss`, 200 times. What is kept in tensors?",
        TOTAL,
        "one number",
    )
    flags = [(None, False), (True, False), (None, True), (False, True)]
    answers = [lab.step(differentiate, *pair) for pair in flags]
    rows = [(*map(str, pair), *map(str, answer)) for pair, answer in zip(flags, answers, strict=True)]
    lab.table("x³ at 2", ["retain_graph", "create_graph", "graph left", "gradient has one", "second"], rows)
    lab.equal(
        "12.create",
        "`retain_graph` keeps the graph, and `create_graph` gives the gradient one of its own.",
        answers,
        [(False, False, None), (True, False, None), (True, True, 12.0), (False, True, 12.0)],
        unit="calls",
        because="(x³)″ = 6·x = 12; left to itself, `retain_graph` is what `create_graph` is",
    )
    forward, width = classifier(11, 7), 4 * 11 * 7
    modes = {"trained": (True, True), "validated": (True, False), "under `no_grad`": (False, False)}
    kept = {
        name: per_step(partial(added_up, forward, recorded=mode[0], walked=mode[1]), cfg.epochs)
        for name, mode in modes.items()
    }
    lab.table(
        "A running total, for each step",
        ["losses", "bytes", "nodes"],
        [(name, *both) for name, both in kept.items()],
    )
    lab.equal(
        "12.report",
        "A running total keeps the nodes of each loss, and its activations too where nobody walked back.",
        list(kept.values()),
        [(0, 5), (width, 5), (0, 0)],
        unit="totals",
        because=f"product, tanh, square, mean and sum are 5 nodes, and tanh keeps 4·11·7 = {width} bytes",
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (second_walk, heads, undetached, cutting, wrong_cure, rivals, other_keepers):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
