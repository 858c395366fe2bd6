"""Lab 05 · In-place operations · Operacje w miejscu

Question:
    When does `x += 1` save memory, and when does it destroy the gradient's history?

You will see:
    - Two lines that look alike, of which one changes the caller's tensor.
    - A counter that moves by one with every write, and eight ways to write behind its back.
    - Eighteen operations in eight situations, and a rule of four lines that knows which are free, which
      secretly clone, and which are refused.
    - A gradient that is ten times too large, without a word.
    - Twenty sines and eight convolutions for which writing in place saves nothing.

Run:
    make lab-05
    python -m labs.m1_tensors.lab05_in_place_operations --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 01 for views that share a storage

Remember:
    A write in place saves memory where nobody needs the old value, and in training that is rarer than it
    looks. What the derivative needs decides: nothing or the result, and the write is free; the input, and
    torch clones it first; a tensor that another node has saved, and the backward pass refuses. The version
    counter is the guard, and `.data`, NumPy and fused optimizer steps pass it unseen: use `detach()`, which
    shares the counter. Write in place in optimizers, in running statistics and in inference. This lab does
    not show CUDA graphs. Next comes lab 06; the graph itself is in lab 08, and lab 12 meets more refusals.

Sources:
    - PyTorch documentation, Autograd mechanics, section "In-place operations with autograd":
      https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-operations-with-autograd
    - PyTorch, the formulas of all derivatives:
      https://github.com/pytorch/pytorch/blob/main/tools/autograd/derivatives.yaml

Notebook:
    05_In_Place_Operations.ipynb
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from labs.kit import Lab, Tolerance, exercise, main
from labs.kit.measure.memory import peak_bytes
from labs.m1_tensors._lab05_helpers import (
    CHAINS,
    DTYPES,
    HISTORY,
    NO_TENSOR,
    OPERATIONS,
    REFUSALS,
    SEEN,
    SITUATIONS,
    SMALL,
    STATEMENTS,
    UNSEEN,
    Operation,
    Write,
    autograd_after_data_write,
    by_place,
    errors_of_means,
    fits,
    history,
    history_drawn,
    kept_by,
    nodes_drawn,
    odd_tables,
    odd_writes,
    peaks_of_chain,
    refusal,
    slope_of_views,
    slopes,
)

# Shape letters: N elements; B C H W images, channels, height, width.


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    size: int = 2**18  # elements N of the tensors whose memory is measured
    length: int = 20  # operations in the longest chain
    layers: int = 8  # layers of the deepest network
    images: int = 5  # images B that go through it

    @classmethod
    def smoke(cls) -> "Config":
        return cls(size=1_003, length=7, layers=3, images=1)


def after(statement: str) -> tuple[bool, list[int], list[int]]:
    """Add one within a function, and look at the place, at the result and at the caller's x."""
    x = torch.tensor([2**40, -3, 5])
    result = STATEMENTS[statement][0](x)
    same_place = result.data_ptr() == x.data_ptr()
    return same_place, result.tolist(), x.tolist()


def summed(ours: torch.dtype, theirs: torch.dtype) -> str:
    """Run x += y for two dtypes, and return that of x, or that it was refused."""
    x, y = torch.ones(3, dtype=ours), torch.ones(3, dtype=theirs)
    try:
        x += y
        said = str(x.dtype)
    except RuntimeError as error:
        said = "refused" if "can't be cast to the desired output type" in str(error) else str(error)
    return said


@exercise(
    "The formula has two products and a sum, and each makes a tensor. Which methods write into their own?",
    "`mean_N.lerp_(…)` goes a part of the way to another tensor; `mul_` and `add_(…, alpha=…)` take two.",
    "(1 − rate)·mean + rate·x is mean + rate·(x − mean): `mean_N.lerp_(x_N, rate)`, and return nothing.",
    contract="""
        `mean_N` and `x_N` have one dim, one size and one floating dtype, and `rate` is a number from 0 to 1.
        Let `mean_N` become (1 − rate)·mean + rate·x where it lies in memory, so that autograd's version
        counter notices it, without a temporary tensor of its size. Return nothing, and leave `x_N` as it is.

        >>> mean_N = torch.tensor([0.0])
        >>> update_mean_(mean_N, torch.tensor([2.0]), 0.5)
        >>> mean_N
        tensor([1.])
        """,
    insight="Batch norm's statistics, averaged weights and Adam's first moment are all this one line.",
)
def update_mean_(mean_N: Tensor, x_N: Tensor, rate: float) -> None:
    """Let a running mean go a part of the way to new values, where it lies.

    The rate says how far:

        mean ← (1 − rate)·mean + rate·x
    """
    mean_N.lerp_(x_N, rate)


def one_place(cfg: Config, lab: Lab) -> None:
    """What does `x += 1` change?

    You pass a tensor to a function, and afterwards it holds other numbers. Somewhere inside stands `x += 1`.
    Had the author written `x = x + 1`, your tensor would be as it was. Yet both lines "add one to x".

    `x + 1` asks for new memory, writes the sum there, and `x = …` gives it the name x. The old tensor still
    belongs to whoever else has a name for it. `x += 1` calls `x.__iadd__(1)`, which reads each element and
    writes it back to its place. No memory is asked for, and everyone who holds the tensor sees the change.

    The place is fixed, and with it the dtype. Where x holds int64 there is no room for 0.5: `x + 0.5` makes a
    float32, and `x += 0.5` is refused. A float32 takes a float64 in, and rounds it.

    So it is what a running mean needs. The module, the optimizer and the checkpoint all hold one tensor, and
    it has to be changed where it lies, batch after batch, without a temporary copy each time.
    """
    seen = {statement: lab.step(after, statement) for statement in STATEMENTS}
    rows = [
        (name, "same" if same else "another", own, callers) for name, (same, own, callers) in seen.items()
    ]
    lab.table("x is [2⁴⁰, −3, 5]", ["in the function", "place", "its x", "the caller's x"], rows)
    old, new = [2**40, -3, 5], [2**40 + 1, -2, 6]
    lab.equal(
        "05.same-place",
        "A statement that writes in place changes the caller's tensor; one that assigns a new one does not.",
        list(seen.values()),
        [(here, new, new if here else old) for _, here in STATEMENTS.values()],
        unit="statements",
    )
    pairs = list(product(DTYPES, repeat=2))
    lab.equal(
        "05.dtype",
        "`x += y` keeps the dtype of x, and is refused where the sum's dtype may not be cast to it.",
        [lab.step(summed, *pair) for pair in pairs],
        [fits(*pair) for pair in pairs],
        unit="pairs of dtypes",
        because="the sum has the wider dtype; floating may not be cast to whole, nor whole to bool",
    )
    lab.close(
        "05.running-mean",
        "A running mean is updated where it lies, and the version counter notices.",
        errors_of_means(lambda *case: lab.step(update_mean_, *case)),
        torch.zeros(6),
        within=Tolerance(14, "in roundings: 7 on either side, 3 of numbers below 2 and 1 of one below 1"),
    )
    mean_N, x_N = torch.rand(2, cfg.size)
    lab.bytes(
        "05.no-tensor",
        "Updating a running mean in place allocates no tensor of its size.",
        peak_bytes(lambda: update_mean_(mean_N, x_N, 0.3)),
        at_least=0,
        at_most=NO_TENSOR,
        because=f"a wrapped number takes a few bytes, and one tensor would take {x_N.nbytes:,}",
    )


def counted(write: Write) -> tuple[int, bool]:
    """Write into a tensor, and look at how far its version counter moved, and whether it is another now."""
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, -5.0, 6.0]])
    before, version = x.clone(), x._version
    write(x)
    moved = x._version - version
    other = x.shape != before.shape or not torch.equal(x, before)
    return moved, other


def counting(cfg: Config, lab: Lab) -> None:
    """Who counts the writes?

    Autograd keeps a tensor for the backward pass, and somebody writes into it. The derivative would then be
    computed from wrong numbers. To find out, autograd could keep a copy, but the memory is just what one
    wants to save. So it counts. Every tensor has a *version counter*, which it shares with all its views, and
    each operation that writes moves it by one. A node that saves a tensor notes the count; the backward pass
    compares.

    How many writes is `x[0] += 1`? Python makes three calls of it. `x[0]` is a view. It is written (one), and
    then assigned to `x[0]`, which copies it onto itself (two). `x[[0, 1]] += 1` is one: reading by a list
    makes a copy (lab 04), which has a counter of its own. `x.t_()` writes no number and is counted too.

    The counter sees what goes through torch's operations. `.data` is a twin of the tensor with a counter of
    its own. NumPy and DLPack have the memory and know of no counter. And the *fused* step of an optimizer,
    one kernel for all parameters, does not count either.
    """
    seen = {name: lab.step(counted, write) for name, (write, _) in SEEN.items()}
    unseen = {name: lab.step(counted, write) for name, write in UNSEEN.items()}
    rows = [(name, moved, "changed" if other else "the same") for name, (moved, other) in seen.items()]
    rows += [(name, moved, "changed" if other else "the same") for name, (moved, other) in unseen.items()]
    lab.table("A version counter before and after", ["write", "moves by", "tensor"], rows)
    lab.equal(
        "05.counted",
        "The version counter moves by one for every operation of torch that writes, through a view as well.",
        list(seen.values()),
        [(count, True) for _, count in SEEN.values()],
        unit="writes",
    )
    lab.equal(
        "05.unseen",
        "The version counter does not notice writes by `.data`, NumPy, DLPack, the storage or a fused step.",
        list(unseen.values()),
        [(0, True)] * len(UNSEEN),
        unit="writes",
    )


@exercise(
    "Ask in the order in which torch asks: may it begin at all? Is anything of the old value needed later?",
    "A leaf is refused only where the write is recorded. What another node has saved is missed on the way "
    "back, whether this write is recorded or not. Only a recorded write keeps its own input.",
    "`if grad and leaf` … `elif saved_elsewhere` … `elif grad and 'input' in uses` … `else`.",
    contract="""
        Somebody writes into a tensor. `uses` names what the derivative of that write is computed from: it
        holds "input", "result", both or neither. `saved_elsewhere`: another node has saved the tensor for its
        own derivative. `leaf`: the tensor is a leaf that requires a gradient. `grad`: the write is recorded.
        Return what torch does: "free", "clones", "refused at once" or "refused in backward". `uses` stays as
        it is.

        >>> verdict({"input"}, saved_elsewhere=False, leaf=False, grad=True)
        'clones'
        """,
    insight="The result never matters: after the write it is exactly what lies in memory.",
)
def verdict(uses: set[str], saved_elsewhere: bool, leaf: bool, grad: bool) -> str:
    """Foretell what torch does with a write in place, from what its derivative needs."""
    if grad and leaf:
        said = "refused at once"
    elif saved_elsewhere:
        said = "refused in backward"
    elif grad and "input" in uses:
        said = "clones"
    else:
        said = "free"
    return said


def attempted(operation: Operation, saved_elsewhere: bool, leaf: bool, grad: bool) -> tuple[str, int]:
    """Write in place and walk back, and return what torch did, and how many bytes it took for the write."""
    x = torch.linspace(operation.low, 1.2, SMALL).requires_grad_()
    y = x if leaf else x * 1
    nodes = [y.sin()] if saved_elsewhere else []
    try:
        with torch.set_grad_enabled(grad):
            taken = peak_bytes(lambda: operation.write(y))
    except RuntimeError as error:
        return "refused at once" if "a leaf Variable" in str(error) else str(error), 0
    said = "clones" if taken > NO_TENSOR else "free"
    try:
        for result in [*nodes, *([y] if grad else [])]:
            torch.autograd.grad(result, x, torch.rand_like(x))
    except RuntimeError as error:
        said = "refused in backward" if "modified by an inplace operation" in str(error) else str(error)
    return said, taken


LATE = {
    "at the write": "torch would have to know there who will need y. It only counts the write.",
    "when y is used next": "Computing with the new y is right. Only the sigmoid needs the old one.",
    "in the backward pass": "**Yes.** There the node of the sigmoid fetches its y and compares the counts.",
    "never": "So it is with `y.data.mul_(2)`. Then the gradient is wrong.",
}


def allowed(cfg: Config, lab: Lab) -> None:
    """When may you overwrite a tensor that needs a gradient?

    You replace `y = y.exp()` by `y.exp_()` and save a tensor. You replace `y = y.sin()` by `y.sin_()`, there
    is no error, and the memory is as full as before. Why?

    It depends on what the way back needs. For y = exp(x) a gradient g is multiplied by exp(x), and that is
    the *result*, which lies in memory after the write anyway. For y = x + 3 it is handed on as it is, and
    nothing has to be there. So `exp_()` and `add_(3)` are free. For y = sin(x) it is multiplied by cos(x), so
    the *input* has to be there, and `sin_()` destroys it. torch does not refuse: it clones the input first,
    without a word. (The logarithm could do with its result, as 1/x is exp(−log x). torch's formula for it
    uses the input all the same.)

    So much for the node that writes. But *another* node may have saved the tensor, as a sigmoid saves its
    result. And the tensor may be a *leaf* that requires a gradient: what you differentiate by. A recorded
    write would make it a result, so it is refused at once. Under `no_grad` nothing is recorded; there leaves
    may be written, and that is how an optimizer does it.
    """
    question = "`y = sigmoid(x)`, then `y.mul_(2)`, then `y.backward(g)`. When does torch complain?"
    lab.predict("05.verdicts", question, LATE, answer="in the backward pass")
    pairs = [slopes(operation) for operation in OPERATIONS]
    lab.close(
        "05.formulas",
        "The gradient after a write in place is the incoming one times the operation's formula.",
        torch.stack([by_autograd_N for by_autograd_N, _ in pairs]),
        torch.stack([by_formula_N for _, by_formula_N in pairs]),
        within=Tolerance(
            12 * 8 * 2**-53, "8 roundings on both sides, of numbers below 12: 1/0.3² is the largest"
        ),
    )
    tried = {
        (operation, situation): lab.step(attempted, operation, *situation)
        for operation, situation in product(OPERATIONS, SITUATIONS)
    }
    alone = (False, False, True)
    rows = [(op.name, op.formula, " ".join(op.uses) or "nothing", tried[op, alone][0]) for op in OPERATIONS]
    lab.table("Written in place, and recorded", ["operation", "derivative", "needs", "so the write"], rows)
    lab.diagram("What the node of a write keeps for the way back", nodes_drawn())
    lab.equal(
        "05.verdicts",
        "What torch does with a write follows from what the formula uses, who else saved the tensor, whether "
        "it is a leaf and whether the write is recorded.",
        [lab.step(verdict, operation.uses, *situation) for operation, situation in tried],
        [said for said, _ in tried.values()],
        unit="writes",
        because=f"{len(OPERATIONS)} operations in 8 situations",
    )
    clones = [taken for said, taken in tried.values() if said == "clones"]
    lab.equal(
        "05.clone-bytes",
        "A write that clones its input first takes exactly the bytes that it was to save.",
        clones,
        [4 * SMALL] * len(clones),
        unit="writes",
        because=f"one clone of {SMALL} numbers of 4 bytes",
    )


def overwritten(x: Tensor, grad: Tensor) -> Tensor:
    """Write into the result of a sigmoid, and ask for the gradient."""
    leaf = x.detach().requires_grad_()
    y = torch.sigmoid(leaf)
    y.mul_(2)
    (slope,) = torch.autograd.grad(y, leaf, grad)
    return slope


def refused(which: str) -> tuple[str, str]:
    """Write where torch does not let you, and return what it says and when."""
    leaf = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).requires_grad_()
    y = leaf * 1
    square = y**2
    with torch.no_grad():
        row = y[0]
    writes = {
        "a leaf": lambda: leaf.mul_(10),
        "a view of a leaf": lambda: leaf[0].mul_(10),
        "a view made under no_grad": lambda: row.mul_(10),
        "an output of unbind": lambda: y.unbind()[0].mul_(10),
        "a twin made by detach()": lambda: y.detach().mul_(10),
    }
    when, said = "at once", "nothing"
    try:
        writes[which]()
        when = "in backward"
        torch.autograd.grad(square, leaf, torch.ones_like(y))
    except RuntimeError as error:
        said = refusal(error)
    return when, said


@exercise(
    "The derivative of y² is computed from the y that was saved. Which numbers lie there on the way back?",
    "The saved y is not a copy: it is read in the backward pass, and by then it is `factor` times as large.",
    "The true gradient is 2·x·g, and the node reads factor·x in the place of x: `2 * factor * x * grad`.",
    contract="""
        Let y = x · 1 and z = y², and write `y.data.mul_(factor)` after z was computed. Return, by formula and
        without autograd, the gradient that autograd then gives x when `grad` comes in for z. `x` and `grad`
        have one shape and dtype, as the result has; both stay as they are.

        >>> gradient_after_data_write(torch.tensor([1.0]), 10.0, torch.tensor([1.0]))
        tensor([20.])
        """,
    insight="z still holds the old squares, so the loss is right, and only the gradient is wrong.",
)
def gradient_after_data_write(x: Tensor, factor: float, grad: Tensor) -> Tensor:
    """Foretell the gradient of y² by x after y was multiplied by a factor behind autograd's back."""
    slope = 2 * factor * x * grad
    return slope


def refusing(cfg: Config, lab: Lab) -> None:
    """Why does torch refuse, and not just compute?

    `y.mul_(10)` was refused, and somebody tells you to write `y.data.mul_(10)`. The error is gone. Is it
    solved?

    Let y = x · 1 and z = y². The node of the square saves y, since the derivative is 2·y. `.data` is a twin
    of y that does not share its counter. So the counter stands still, the backward pass reads ten times y,
    and the gradient is ten times too large: at x = 1 it is 20 in the place of 2. The loss was computed
    before, so it is right, and nothing tells you.

    An error is the better end, and the table has five. A leaf, or a view of one, would become a result. A
    view that was made under `no_grad` has no place in the graph, so torch cannot tell whether you meant the
    write to be recorded. Of the outputs of `unbind`, several views from one node, none may be written. And a
    twin made by `detach()` does share the counter of y, so the backward pass finds out.
    """
    said = {which: lab.step(refused, which) for which in REFUSALS}
    lab.table(
        "Five writes", ["into", "when", "torch says"], [(which, *answer) for which, answer in said.items()]
    )
    lab.equal(
        "05.refusals",
        "A write into a leaf, a view of one, a view from `no_grad` or an output of `unbind` is refused at "
        "once, and one into a saved tensor, through `detach()`, in the backward pass.",
        list(said.values()),
        list(REFUSALS.values()),
        unit="writes",
    )
    x_N, g_N = torch.rand(2, 7)
    lab.raises(
        "05.late",
        "A write into what a sigmoid saved passes, and the backward pass names the version that it misses.",
        lambda: lab.step(overwritten, x_N, g_N),
        RuntimeError,
        "is at version 1; expected version 0 instead",
    )
    cases, again = odd_writes(), odd_writes()
    lab.equal(
        "05.silent",
        "The gradient of y² after a write through `.data` is wrong by the factor that was written.",
        [(lab.step(gradient_after_data_write, *case), *case) for case in cases],
        [(autograd_after_data_write(*case), *case) for case in again],
        unit="tensors",
        because="all numbers are whole and small, so 2·factor·x·g is exact",
    )


SAVED = {
    "0": "**Yes.** What is overwritten is what the convolution returned, and nobody had kept that.",
    "a quarter": "Each layer keeps one tensor in both cases, so there is nothing to take a share of.",
    "half": "So it would be if ReLU kept its input, and the next convolution that of its own.",
}
PEAK = {
    "2": "That is without grad: x and the one tensor that is overwritten all the time.",
    "3": "That is out of place and without grad: x, the old and the new.",
    "22": "**Yes.** Each sine needs its input, so torch clones twenty times. Out of place it keeps twenty.",
}
PEAK_AXES: Any = {"x_label": "operations", "y_label": "tensors"}


def kept(cfg: Config, lab: Lab) -> None:
    """What does writing in place save in training?

    Compute the sine of a sine of a sine, twenty times, on a large tensor. Out of place each step makes a new
    tensor, and the old one is freed as soon as nobody has a name for it. So three tensors are alive at the
    most: x, the old one and the new one. In place it is two.

    So it is without grad. With grad each sine needs its input on the way back. An addition needs none.

    The usual place for a write in place is `ReLU(inplace=True)` behind a convolution. ReLU's derivative uses
    its result, so the write is free. The convolution's derivative uses its input, which is the result of the
    ReLU before it. How much does one save?
    """
    lab.predict("05.sines", "How many tensors does a chain of 20 `sin_()` with grad peak at?", PEAK, "22")
    question = "8 × (convolution, ReLU): by how much do the kept bytes fall with `ReLU(inplace=True)`?"
    lab.predict("05.layers", question, SAVED, answer="0")
    lengths = sorted({1, cfg.length // 4 + 1, cfg.length // 2 + 1, cfg.length})
    peaks = {
        (name, grad): [lab.step(peaks_of_chain, name, length, grad, cfg.size) for length in lengths]
        for name, grad in product(CHAINS, (True, False))
    }
    lines = by_place({" + grad": peaks["sin", True], "": peaks["sin", False]})
    lab.plot("The peak of a chain of sines: with grad, both lines are one", lengths, lines, **PEAK_AXES)
    lab.equal(
        "05.cheap",
        "A chain whose inputs nobody needs peaks at two tensors in place and at three out of place.",
        [*peaks["sin", False], *peaks["add", False], *peaks["add", True]],
        [(2.0, 3.0)] * 3 * len(lengths),
        unit="chains",
        because="x and y; or x, the old y and the new. Additions need no input, and without grad nobody does",
    )
    lab.equal(
        "05.sines",
        "A chain of n sines with grad peaks at n + 2 tensors, in place and out of place alike.",
        peaks["sin", True],
        [(length + 2.0, length + 2.0) for length in lengths],
        unit="chains",
        because="n inputs or their n clones, the last result, and x",
    )
    stacks = list(product(("conv", "linear"), (1, 2, cfg.layers)))
    lab.equal(
        "05.layers",
        "A stack of L layers with ReLU keeps L tensors, whether the ReLU writes in place or not.",
        [[lab.step(kept_by, *stack, inplace, cfg.images) for inplace in (True, False)] for stack in stacks],
        [[float(layers), float(layers)] for _, layers in stacks],
        unit="stacks",
        because="layers save their inputs, which are results of ReLUs, and the last ReLU saves its own",
    )
    lab.say(
        "What a write in place destroys is either needed, and then torch clones it or refuses, or it is not, "
        "and then nobody had kept it. In training it saves the one tensor that is freed a moment later."
    )


def through_views(x: Tensor, grad: Tensor) -> tuple[Tensor, list[str]]:
    """Write into two views of a tensor: rows 0 and 1 times 3, then the square of the last column.

    Return the gradient, and the names of the tensor's nodes before and after.
    """
    leaf = x.detach().requires_grad_()
    y = leaf * 1
    names = history(y)
    y[:2].mul_(3)
    y.t()[-1].square_()
    names += history(y)
    (slope,) = torch.autograd.grad(y, leaf, grad)
    return slope, names


def rewritten(cfg: Config, lab: Lab) -> None:
    """What becomes of the graph when a view is written?

    You scale two rows of a result: y = x · 1, and then `y[:2].mul_(3)`. You wrote into the view, but the loss
    is computed from y. Its first two rows are others now, so y is no longer what its node says, the result of
    a multiplication by 1. Where does the factor 3 come in on the way back?

    So torch rewrites the history of the *base*. y gets a new node, `CopySlices`. On the way back it cuts the
    slice out of the incoming gradient, sends it through the derivative of `mul_(3)`, and puts it back among
    the rest, which passes as it is. What comes out goes on to the node that y had before.

    With the next write, the square of the last column, it happens again. On the way back the square comes
    first: the last column is multiplied by 2·y, where y is already 3·x in the first two rows. Then these rows
    are multiplied by 3. Where x is 2 in both, that is 2·6·3 = 36, the derivative of (3x)². Nothing is lost,
    and the price is a copy of the gradient for each write.
    """
    cases = odd_tables()
    lab.diagram("The nodes of y, before and after two writes through views", history_drawn())
    lab.equal(
        "05.rewritten",
        "Each write through a view puts a `CopySlices` before the base's node, and the gradient is right.",
        [(names, slope) for slope, names in (lab.step(through_views, *case) for case in cases)],
        [(HISTORY, slope_of_views(*case)) for case in odd_tables()],
        unit="tables",
        because="g, in the last column times 2·y, and in rows 0 and 1 times 3; all numbers are whole",
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (one_place, counting, allowed, refusing, kept, rewritten):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
