"""Lab 07 · Named tensors · Tensory z nazwami wymiarów

Question:
    Can dimension names catch a bug that shapes cannot?

You will see:
    - An image minus the means of its channels, of which one column in each channel is right.
    - Names as an attribute, which the first operation forgets, and names in a small class, which forgets
      none.
    - The rule for names: it is the rule for sizes in a broadcast, with None in the part of 1.
    - Forty operations and what becomes of the names in each, as a strip of colours.
    - Three planted mistakes, each in two sizes. torch lets five of the six pass, checked annotations three,
      and names none.

Run:
    make lab-07
    python -m labs.m1_tensors.lab07_named_tensors --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 02 for broadcasting, lab 06 for the names in a pattern

Remember:
    A name is a claim about meaning, and a shape is not: sizes agree by chance. Names meet in a broadcast as
    sizes do, with None in the part of 1. Such a check is worth as much as its reach, so a class that carries
    names must refuse every operation for which it has no rule. In a program of today use einops inside a
    function and annotations at its boundary, and remember that annotations can tell apart only what has
    different sizes. This lab does not show what the class costs in time. Next comes lab 08, on the graph that
    autograd builds.

Sources:
    - PyTorch, removal of named tensors: https://github.com/pytorch/pytorch/pull/173895
    - PyTorch, Extending PyTorch, on `__torch_function__`:
      https://docs.pytorch.org/docs/stable/notes/extending.html
    - D. Chiang, A. Rush, B. Barak, "Named Tensor Notation", 2021, section 2: https://arxiv.org/abs/2102.13196
    - jaxtyping, documentation: https://docs.kidger.site/jaxtyping/

Notebook:
    07_Named_Tensors.ipynb
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch.overrides import get_testing_overrides

import labs.m1_tensors._lab07_helpers as helpers
import labs.m1_tensors._lab07_inputs as inputs
from labs.kit import Lab, exercise, main
from labs.m1_tensors._lab07_inputs import Names

# Shape letters: C H W channels, height, width of an image; N queries, M keys, D numbers of each of them,
# V numbers of a value.

ALONG = {"sum", "mean", "argmax", "softmax"}


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    pairs: int = 400  # random pairs of names on which rules are tried
    queries: int = 50  # queries N of an attention whose gradients are compared
    keys: int = 70  # keys M of it

    @classmethod
    def smoke(cls) -> "Config":
        return cls(queries=5, keys=7)


def subtract(image_CHW: Tensor, mean_C: Tensor) -> Tensor:
    """Subtract the means of the channels as it comes to mind."""
    centred_CHW = image_CHW - mean_C
    return centred_CHW


def silent_bug(cfg: Config, lab: Lab) -> None:
    """What bug can shapes not see?

    You subtract from every channel of an image its own mean: `image - mean`, with shapes (C, H, W) and (C,).
    For most images torch refuses, because it aligns shapes at the right, where C meets W. But your features
    have 4 channels and 4 columns. Now it runs. From column w of channel c it subtracts the mean of channel
    *w*.

    The result has the right shape, and its numbers look as they should. A test that looks at one number may
    even find it right: where w = c the right mean was subtracted. That is one column of each channel, and all
    other columns are wrong.

    torch once had a cure. From 2019 on a tensor could be made with `names=("C", "H", "W")`, and C would have
    refused to meet W. It stayed a prototype, and torch 2.13 has removed it. This lab builds it anew, because
    to build it is to see what such a check is worth.
    """
    image_CHW, mean_C = torch.rand(4, 3, 4), torch.rand(4)
    picture = inputs.whose(image_CHW, lab.step(subtract, image_CHW, mean_C), mean_C)
    lab.diagram("Which mean was subtracted in each of four columns?", picture)
    counted, expected = [], []
    for sizes in ((1, 3, 1), (3, 2, 3), (4, 3, 4), (7, 5, 7)):
        image_CHW, mean_C = torch.rand(sizes), torch.rand(sizes[0])
        centred_CHW, truth_CHW = lab.step(subtract, image_CHW, mean_C), helpers.one_by_one(image_CHW, mean_C)
        counted.append((list(centred_CHW.shape), int((centred_CHW == truth_CHW).sum())))
        expected.append((list(sizes), sizes[0] * sizes[1]))
    rows = [(shape, right, torch.Size(shape).numel()) for shape, right in counted]
    lab.table("Image minus the means of its channels", ["shape", "right numbers", "of"], rows)
    lab.equal(
        "07.unseen",
        "An image minus the means of its channels runs if it has as many columns as channels, and then only "
        "column c of channel c is right.",
        counted,
        expected,
        unit="images",
        because="one column of H numbers in each of C channels",
    )
    lab.equal(
        "07.built-in",
        "A tensor cannot be made with `names=` any more, unless torch still has names of its own.",
        helpers.built_in(),
        "names ('C', 'H')" if inputs.BUILT_IN else "TypeError",
    )


def where_names_live(cfg: Config, lab: Lab) -> None:
    """Where can a name live?

    Names should travel with the tensor through a whole program. The simplest place for them is an attribute:
    `x.names = ("C", "H")`, on a tensor, or on one of a subclass of your own. Whether that is enough depends
    on who makes `x + 1`, and on what they know of x.

    If it is not enough, torch has a hook. Before a function computes anything, torch looks whether the type
    of an argument has a method called `__torch_function__`. If so, torch hands over the function, its
    arguments, and the whole decision. So a class can see every operation, have it computed, and put names on
    the result.

    One thing comes before that look, and it decides how our class has to be written. A function in C++ first
    takes its arguments apart, and it knows of each what it must be. Think of it before you answer the second
    question.
    """
    question = 'What becomes of `x.names = ("C", "H")` on torch 2.13?'
    lab.predict("07.attribute", question, inputs.ATTRIBUTE, answer="it is kept, but not by x + 1")
    question = 'Does `torch.sum(x, "C")` reach `__torch_function__`?'
    lab.predict("07.string", question, inputs.STRING, answer="no, an error comes first")
    ways = [inputs.tagged] if inputs.BUILT_IN else [inputs.tagged, inputs.hung]
    kept = [[lab.step(helpers.still_named, way, new) for way in ways] for new in inputs.NEW.values()]
    rows = [(operation, *found) for operation, found in zip(inputs.NEW, kept, strict=True)]
    lab.table("Which result has the attribute?", ["operation", "subclass", "Tensor"][: len(ways) + 1], rows)
    lab.equal(
        "07.attribute",
        "An attribute stays on its tensor, and is on no other that an operation makes of it.",
        kept,
        [["('C', 'H')"] * len(ways), *[["none"] * len(ways)] * (len(inputs.NEW) - 1)],
        unit="operations",
    )
    calls, _ = lab.step(helpers.calls_seen, inputs.a_program)
    lab.equal(
        "07.seen",
        "`__torch_function__` sees every call of torch, in the order of the program.",
        calls,
        ["mul", "add", "neg", "cat", "matmul", "relu", "sum", "__get__"],
        unit="calls",
    )
    found = [lab.step(helpers.calls_seen, call) for call in inputs.BY_STRING.values()]
    rows = [
        (call, ", ".join(seen) or "–", error)
        for call, (seen, error) in zip(inputs.BY_STRING, found, strict=True)
    ]
    lab.table("A string for a dim", ["call", "seen", "raised"], rows)
    said = "RuntimeError" if inputs.BUILT_IN else "TypeError"
    seen = [["sum"], ["sum"], ["softmax"]] if inputs.BUILT_IN else [[], [], []]
    lab.equal(
        "07.string",
        "A function in C++ refuses a dim's name before `__torch_function__` is asked, if torch has no names.",
        found,
        [(names, said) for names in [*seen, ["softmax"]]],
        unit="calls",
        because="the last of the four is written in Python, and asks before it looks at its arguments",
    )


@exercise(
    "Read both from the right, as shapes are read in a broadcast. When do two names not fit?",
    "A missing name and a None fit every name. At the end look whether a name stands twice in the result.",
    "`zip_longest(reversed(a), reversed(b))` pairs them up; keep `x or y`, and reverse what you have kept.",
    contract="""
        `a` and `b` are the names of two tensors' dims, each a tuple of strings and of None for dims without
        a name; no name stands twice in one of them. Return the names of what a broadcast of both makes:
        aligned at the right, None fits every name, and a dim that only one tensor has keeps its name. Where
        two different names meet raise ValueError with both in its message, and where a name would stand twice
        in the result raise ValueError with that name.

        >>> unify(("C", "H"), (None,))
        ('C', 'H')
        """,
    insight="This is the rule by which sizes broadcast, with None in the part of 1.",
)
def unify(a: Names, b: Names) -> Names:
    """Find the names of a broadcast, or the two that do not fit."""
    met: list[str | None] = []
    for x, y in zip_longest(reversed(a), reversed(b)):
        if x and y and x != y:
            raise ValueError(f"the dims {x!r} and {y!r} meet: names {a} and {b}")
        met.append(x or y)
    names = tuple(reversed(met))
    for name in names:
        if name and names.count(name) > 1:
            raise ValueError(f"the dim {name!r} would stand twice: names {a} and {b}")
    return names


@exercise(
    "Which of the four operations leaves every dim where it is? And what does `keepdim` leave?",
    "Turn a name into its place first. A reduction takes that one name out; without a dim it takes out all.",
    "After softmax and keepdim: `()` without a dim, else `names[:place] + names[place + 1 :]`, place ≥ 0.",
    contract="""
        `op` is "sum", "mean", "argmax" or "softmax", and `names` are those of the tensor's dims. `dim` is a
        name, or a place from the left or, negative, from the right, or None for all dims (never with
        softmax). Return the names of the result. With `keepdim` a dim that is summed over stays, as a dim of
        size 1, and so does its name. For a name that the tensor does not have raise ValueError with that name
        in its message.

        >>> names_after("sum", ("C", "H"), "C", False)
        ('H',)
        """,
    insight="No number of the tensor comes into it: names are known before anything is computed.",
)
def names_after(op: str, names: Names, dim: str | int | None, keepdim: bool) -> Names:
    """Find the names that are left after a reduction or a softmax."""
    if isinstance(dim, str) and dim not in names:
        raise ValueError(f"no dim is called {dim!r}: names {names}")
    place = names.index(dim) if isinstance(dim, str) else dim
    if op == "softmax" or keepdim:
        left = names
    elif place is None:
        left = ()
    else:
        place = place if place >= 0 else place + len(names)
        left = names[:place] + names[place + 1 :]
    return left


def names_of_product(a: Names, b: Names) -> Names:
    """Find the names of a matrix product: the last of a meets the last but one of b, and both are gone."""
    inner = b[-2] if len(b) > 1 else b[-1]
    unify(a[-1:], (inner,))
    batch = unify(a[:-2], b[:-2])
    names = (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))
    return unify(names, ())


def names_by_rule(operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Names | None:
    """Find the names of a result by the rule for this operation; None where there is no rule."""
    operands = [operand_names(x) for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
    names: Names | None = None
    if operation in inputs.ELEMENTWISE:
        names = reduce(unify, operands)
    elif operation in ALONG:
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        keepdim = args[2] if len(args) > 2 else bool(kwargs.get("keepdim"))
        names = None if isinstance(dim, tuple | list) else names_after(operation, operands[0], dim, keepdim)
    elif operation == "matmul":
        names = names_of_product(*operands)
    return names


def operand_names(x: Tensor) -> Names:
    """Return the names of a tensor; the dims of a plain one have none."""
    return x.names if isinstance(x, NamedTensor) else (None,) * x.dim()


def by_name(function: Callable[..., Any]) -> Any:
    """Make a method that takes the name of a dim, of a function that takes its place."""

    def method(self: "NamedTensor", dim: str | int | None = None, **kwargs: Any) -> Any:
        names_after("sum", self.names, dim, keepdim=False)  # raises where there is no such name
        place = self.names.index(dim) if isinstance(dim, str) else dim
        return function(self, dim=place, **kwargs)

    return method


class NamedTensor(Tensor):
    """A tensor whose dims have names. An operation follows a rule about names, or is refused."""

    _names: Names

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        no_rule = NotImplementedError(f"no rule says what becomes of the names in {func.__name__}")
        if helpers.writes(func.__name__, kwargs):
            raise no_rule
        names = names_by_rule(func.__name__, args, kwargs)
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **kwargs)
            if names is not None:
                return named(result, *names)
            items = result if isinstance(result, tuple | list) else [result]
            if any(isinstance(item, Tensor) for item in items):
                raise no_rule
            return result

    @property
    def names(self) -> Names:
        return self._names

    def refine_names(self, *names: str | None) -> "NamedTensor":
        """Name dims that have no name yet, and check those that have one."""
        return named(inputs.plain_of(self), *unify(self.names, names))

    def align_to(self, *order: str | None) -> "NamedTensor":
        return named(align_to(inputs.plain_of(self), self.names, order), *order)

    def align_as(self, other: "NamedTensor") -> "NamedTensor":
        return self.align_to(*other.names)

    sum = by_name(torch.sum)
    mean = by_name(torch.mean)
    argmax = by_name(torch.argmax)
    softmax = by_name(torch.softmax)


def named(x: Tensor, *names: str | None) -> NamedTensor:
    """Give names to the dims of a tensor, one for each, and none twice."""
    if len(names) != x.dim():
        raise ValueError(f"{x.dim()} dims need as many names, not {names}")
    if any(name and names.count(name) > 1 for name in names):
        raise ValueError(f"a name stands twice: {names}")
    tensor = x.as_subclass(NamedTensor)
    tensor._names = names
    return tensor


def rules(cfg: Config, lab: Lab) -> None:
    """By which rules do names go on?

    What are the dims of a result called? Three rules answer that for most of a network. *Elementwise*
    operations broadcast, so names meet as sizes do: aligned at the right, dim by dim. Two equal names go on
    as one, a dim without a name takes the other's, and two different names are an error. An image (C, H, W)
    minus a row (W) is (C, H, W); minus (C) it is refused, since that C stands under the W. Put 1 for None and
    a prime for each name, and this is torch's own rule for shapes, to the letter. That is how we check it.

    A *reduction* takes its dim's name away, unless `keepdim` keeps the dim: the sum of (C, H, W) along H is
    (C, W). A softmax takes nothing away. And a *matrix product* contracts the last dim of the first factor
    with the last but one of the second. The two must have one name, and it disappears: (query, d) times
    (d, key) is (query, key).

    One refusal comes on top. No name may stand twice in a result, since `x.sum("C")` would not know which C
    is meant. The class below asks these rules in `__torch_function__`, before anything is computed. Sums by
    name are *methods* of the class, since `torch.sum(x, "C")` would never arrive: `x.sum("C")` turns the name
    into a number first.
    """
    pairs = inputs.random_names(cfg.pairs)
    met = lab.step(inputs.outcomes, unify, pairs, inputs.conflicts)
    lab.say(f"Of {len(pairs)} random pairs of names {met.count('refused')} do not fit.")
    lab.equal(
        "07.unify",
        "Names meet as the sizes of a broadcast do, with None in the part of 1.",
        met,
        [helpers.by_sizes(torch.broadcast_shapes, *pair) for pair in pairs],
        unit="pairs",
    )
    reductions = inputs.dims_to_reduce()
    lab.equal(
        "07.reduced",
        "A reduction takes away the name of its dim, and softmax and `keepdim` take none.",
        lab.step(inputs.outcomes_along, names_after, reductions),
        [helpers.reduced_sizes(*reduction) for reduction in reductions],
        unit="calls",
    )
    factors = inputs.random_factors(cfg.pairs)
    products = lab.step(inputs.outcomes, partial(names_of_product), factors, inputs.conflicts_in_product)
    lab.say(f"Of {len(factors)} random products {products.count('refused')} do not fit.")
    lab.equal(
        "07.product",
        "A matrix product contracts two dims of one name, and refuses two names.",
        products,
        [helpers.by_sizes(inputs.product_of_sizes, *pair) for pair in factors],
        unit="products",
    )
    image, mean = named(torch.rand(4, 3, 4), "C", "H", "W"), named(torch.rand(4), "C")
    lab.equal(
        "07.conflict",
        "An image minus its channels' means is refused once the dims have names, and both names are told.",
        helpers.error_of(partial(subtract, image, mean), "C", "W"),
        "ValueError that names C and W",
    )


@exercise(
    "In which place of x lies the dim that is to come first? That is what `permute` wants to be told.",
    "Permute x to those names of `order` that it has; then put in the new ones, from the left to the right.",
    "`x.permute([names.index(name) for name in order if name in names])`, then `unsqueeze` for each new one.",
    contract="""
        `names` are the names of x's dims, no two alike, and `order` holds all of them, in any order, and
        perhaps others. Return a view of x with its dims in that order, and a dim of size 1 for each name that
        x does not have. If `order` lacks a name of x raise ValueError with that name in its message. x stays
        as it is.

        >>> align_to(torch.tensor([[1, 2]]), ("H", "W"), ("W", "H"))
        tensor([[1],
                [2]])
        """,
    insight="A swap is its own inverse, so a wrong permutation passes every test that only swaps two dims.",
)
def align_to(x: Tensor, names: Names, order: Names) -> Tensor:
    """View a tensor with its dims in another order, and with new ones of size 1."""
    for name in names:
        if name not in order:
            raise ValueError(f"the dim {name!r} has no place in {order}")
    aligned = x.permute([names.index(name) for name in order if name in names])
    for place, name in enumerate(order):
        if name not in names:
            aligned = aligned.unsqueeze(place)
    return aligned


def subtract_aligned(image: Any, mean: Any) -> Any:
    """Subtract the means of the channels where they belong."""
    aligned = mean.align_as(image)
    centred = image - aligned
    return centred


def reordered(cfg: Config, lab: Lab) -> None:
    """How do you reorder dims by what they mean?

    With names an error can be repaired by saying what you mean. `mean.align_as(image)` moves the one dim of
    the mean to where the image has its C, and puts a dim of size 1 at each place where the image has a name
    that the mean lacks: (C, 1, 1). Now the subtraction is right for every image, whatever its width is.

    `align_to` needs the permutation that brings the names into the new order. There are two candidates, "the
    new place of each old dim" and "the old place of each new dim", and they are inverse to each other. For a
    swap of two dims both are the same. Take three dims in a circle, C H W to W C H: `permute` wants (2, 0,
    1), and the other candidate is (1, 2, 0).

    We check with what lab 06 taught: a pattern that has the old names on its left and the new on its right.
    """
    cases = inputs.dims_to_align()
    lab.equal(
        "07.aligned",
        "`align_to` returns a view in the order asked for, with a dim of size 1 for each new name.",
        lab.step(helpers.alignments, align_to, cases),
        [helpers.by_pattern(*case) for case in inputs.dims_to_align()],
        unit="orders",
    )
    centred, truth = [], []
    for sizes in ((4, 3, 4), (3, 5, 2), (1, 2, 3), (4, 1, 4)):
        image_CHW, mean_C = torch.rand(sizes), torch.rand(sizes[0])
        image, mean = named(image_CHW, "C", "H", "W"), named(mean_C, "C")
        centred.append(inputs.tried(subtract_aligned, image, mean))
        truth.append((("C", "H", "W"), inputs.told(helpers.one_by_one(image_CHW, mean_C))))
    lab.equal(
        "07.cured",
        "An image minus the aligned means of its channels is right, however many columns it has.",
        [inputs.named_told(image) for image in centred],
        truth,
        unit="images",
    )


def attention(q: Any, k: Any, v: Any) -> Any:
    """Attend by names: average values over the keys, and centre the result over the queries."""
    scores = q @ k.align_to("D", "key")
    weights = scores.softmax("key")
    answers = weights @ v
    centred = answers - answers.mean("query")
    return centred


def backward(cfg: Config, lab: Lab) -> None:
    """Does it train?

    A class that cannot be trained with would be a toy. Names are not differentiated, so they need not go back
    through the graph, and that makes it simple: under `__torch_function__` torch computes as always, on the
    same storages, and records the same nodes. The names stand beside it.

    Here is attention, twice. By names there is no `transpose(0, 1)`, no `softmax(1)` and no `mean(0)`: each
    of these numbers would have to be checked against a shape that stands elsewhere. Both get the same
    queries, keys and values, and the same random gradient comes back.
    """
    dims: list[Names] = [("query", "D"), ("key", "D"), ("key", "V")]
    sizes = [(cfg.queries, cfg.keys, 3, 2), (1, 4, 2, 3), (3, 1, 5, 2), (2, 3, 1, 1)]
    by_names = helpers.with_names(attention, dims, named)
    runs_by_name, runs_by_place = [], []
    for dtype in (torch.float64, torch.float32):
        for n, m, d, v in sizes:
            tensors = [torch.randn(shape, dtype=dtype) for shape in ((n, d), (m, d), (m, v))]
            runs_by_name.append(lab.step(helpers.gradients, by_names, tensors))
            runs_by_place.append(lab.step(helpers.gradients, helpers.attention_by_place, tensors))
    lab.equal(
        "07.gradients",
        "Attention by names returns the values and the gradients of attention by places, to the last bit.",
        runs_by_name,
        runs_by_place,
        unit="runs",
    )


def reach(cfg: Config, lab: Lab) -> None:
    """How far does it reach?

    torch has far more operations than our class has rules. What is to become of the others? An operation
    without a rule can compute, and return a tensor whose names are gone: there the check ends, and nobody
    notices. Or it can refuse. A class that refuses is a nuisance, and it is the only one that can be trusted:
    *what it lets pass was checked*.

    So ours raises NotImplementedError wherever a tensor would come out without a rule, and does so before
    anything is written in place. What returns no tensor, such as `x.shape`, may pass.

    We try forty operations as they stand in every network, and ask what becomes of the names: are the right
    ones *carried* on, is the operation *refused*, or are they *lost*?
    """
    makes = {"attribute": inputs.tagged, "our class": named}
    fates = {name: lab.step(helpers.fates, partial(make)) for name, make in makes.items()}
    lab.diagram("What becomes of the names", *inputs.strips(fates))
    offered, ruled = len(get_testing_overrides()), len(inputs.ELEMENTWISE | ALONG) + 1
    lab.say(f"torch hands {offered:,} functions to `__torch_function__`. Our class has rules for {ruled}.")
    counts = [(name, *map(found.count, inputs.TONES)) for name, found in fates.items()]
    lab.table("Forty operations", ["names kept as", *inputs.TONES], counts)
    lab.equal(
        "07.none-lost",
        "Our class carries the right names through operations that have a rule, and refuses all others.",
        fates["our class"],
        [operation.fate for operation in inputs.OPERATIONS],
        unit="operations",
    )
    lab.count(
        "07.all-lost",
        "An attribute is lost in all of forty operations but the one that writes in place.",
        fates["attribute"].count(inputs.LOST),
        want=len(inputs.OPERATIONS) - 1,
        unit="operations",
        because="39 of them make a new object; `x.add_(y)` returns x itself",
    )


def today(cfg: Config, lab: Lab) -> None:
    """What do people use now?

    torch's own names are gone, and a class like ours refuses too much to be comfortable. Two habits took
    their place. *Inside* a function einops names the dims where they are moved, as in lab 06. *At its
    boundary* annotations say what goes in and comes out, such as `Float[Tensor, "N D"]`. jaxtyping compares
    them with the shapes in every call, and a letter must stand for one size throughout the call.

    So an annotation looks as if it checked names, and what it checks is sizes. It finds a mistake that
    changes a size, and no other. Whether yours does is luck, unless your tests use sizes that all differ.

    Three programs with one mistake each show it: an image minus the means of its channels, the scores of
    attention with queries and keys exchanged, and the mean of each channel where the channels are stored last
    and taken for the first. Each runs with sizes that agree by chance, with sizes that all differ, and then
    without the mistake.
    """
    question = "Queries and keys are exchanged in attention's scores, with 6 queries and 6 keys. Who notices?"
    lab.predict("07.bugs", question, inputs.WHO, answer="the names")
    words = [(bug.name, *bug.words) for bug in inputs.BUGS]
    lab.table("Three programs", ["program", "mistaken", "right", "annotations"], words)
    rows, expected = [], []
    for bug in inputs.BUGS:
        wrong = helpers.checks(bug, bug.wrong, bug.wrong_by_name, named)
        right = helpers.checks(bug, bug.right, bug.right_by_name, named)
        for sizes, ways in (("agree", wrong), ("differ", wrong), ("differ, no mistake", right)):
            tensors = bug.tensors(sizes == "agree")
            rows.append((bug.name, sizes, *(lab.step(helpers.verdict, way, tensors, bug) for way in ways)))
        expected += [*bug.verdicts, ("right", "right", "right")]
    lab.table("Three planted mistakes", ["program", "sizes", "torch", "annotations", "names"], rows)
    lab.equal(
        "07.bugs",
        "Names catch three mistakes in all six cases, annotations where sizes differ, torch in one case.",
        [row[2:] for row in rows],
        expected,
        unit="programs",
    )
    bug = inputs.BUGS[1]
    scores = partial(helpers.checked_names(bug, bug.wrong_by_name, named), *bug.tensors(True))
    lab.equal(
        "07.exchanged",
        "Scores with queries and keys exchanged are refused, and both names are told.",
        helpers.error_of(scores, "query", "key"),
        "ValueError that names query and key",
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (silent_bug, where_names_live, rules, reordered, backward, reach, today):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
