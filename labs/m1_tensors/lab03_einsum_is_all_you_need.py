"""Lab 03 · Einsum is all you need · Einsum wystarczy do wszystkiego

Question:
    How can one string stand for every product, trace, transpose and contraction?

You will see:
    - Fifteen lines that read any such string. You can write them yourself; they agree with torch to the bit.
    - Twelve functions of torch in one notation, of which two compute nothing at all.
    - What torch runs for a string, predicted from its letters alone, and when it copies.
    - Three factors whose order decides between 40,000,000 operations and 400,000.

Run:
    make lab-03
    python -m labs.m1_tensors.lab03_einsum_is_all_you_need --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 01 for views and the rule for `view`, lab 02 for broadcasting

Remember:
    A letter that is kept names a dim of the result; one that is shared and dropped is summed, and makes a
    matrix product of the two operands. Strings that only rename dims or take a diagonal return views, and an
    operand whose groups of letters cannot be flattened in place is copied first. With three operands give the
    order, or have opt_einsum installed. A size of 1 passes under any letter, so einsum checks names within
    one call, and no meaning. This lab does not show matrix products of reduced precision on a GPU; lab 31
    does. Next comes lab 04, in which the data itself chooses the indices.

Sources:
    - PyTorch documentation, torch.einsum:
      https://docs.pytorch.org/docs/stable/generated/torch.einsum.html
    - D. Smith, J. Gray, "opt_einsum", Journal of Open Source Software 3(26), 2018:
      https://doi.org/10.21105/joss.00753
    - A. Vaswani et al., "Attention Is All You Need", 2017, section 3.2: arXiv:1706.03762

Notebook:
    03_Einsum_Is_All_You_Need.ipynb
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from labs.kit import Lab, Tolerance, exercise, main
from labs.kit.measure.memory import peak_bytes
from labs.m1_tensors._lab03_helpers import (
    CHAIN,
    FROM_LEFT,
    FROM_RIGHT,
    Order,
    Tree,
    Trees,
    contracted,
    contractions,
    counted,
    flops,
    operands_of,
    operators,
    pairs_among,
    random_specs,
    whole_numbers,
)

# Shape letters: M rows and columns of a square; B batch, Q queries, K keys, H heads, D numbers of a head.


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    strings: int = 400  # random strings on which the reader is tried
    long: int = 1000  # the long side of the three factors
    short: int = 10  # their short side
    queries: int = 96  # queries Q of the attention whose memory is measured
    keys: int = 112  # keys K of it
    small: int = 8  # side of the small matrix product that is timed
    large: int = 1024  # side of the large one

    @classmethod
    def smoke(cls) -> "Config":
        return cls(strings=120, long=300, queries=12, keys=14, large=128)


@exercise(
    "Write down an order for all letters: first those of the output, then those that are summed. Which dims "
    "does an operand lack in it?",
    "A letter that stands twice in a word: `diagonal` of its two dims, which puts the new dim at the end. "
    "Then `permute` to the common order, and index with None where a letter is missing. Now all broadcast.",
    "`tensor.permute([word.index(letter) for letter in letters if letter in word])`, then an index tuple of "
    "`slice(None)` and `None`; multiply all; in the end `product.sum(-1)` once for each summed letter.",
    contract="""
        `spec` has a word for each operand, an arrow and an output, all of letters a to z: no ellipsis. The
        operands have one dtype, float32, float64 or int64, and stay as they are. Return what the string says,
        in this dtype, without calling an einsum. A size of 1 broadcasts, as in torch.

        >>> my_einsum("ij->ji", torch.tensor([[1, 2]]))
        tensor([[1],
                [2]])
        """,
    insight=(
        "Nothing in it knows of matrix products. That is why it needs room for a number of every combination "
        "of letters, and torch does not."
    ),
)
def my_einsum(spec: str, *operands: Tensor) -> Tensor:
    """Read a string, and compute what it says.

    Parse it, align all operands to one order of letters, multiply, and sum over what the output lacks:

        "ij,jk->ik"  means  out[i, k] = Σⱼ x[i, j] · y[j, k]
    """
    inputs, output = spec.split("->")
    letters = output + "".join(sorted(set(inputs) - {*output, ","}))
    product = torch.ones((), dtype=operands[0].dtype)
    for word, tensor in zip(inputs.split(","), operands, strict=True):
        for letter in sorted(set(word)):
            while word.count(letter) > 1:
                first, last = word.index(letter), word.rindex(letter)
                tensor = tensor.diagonal(0, first, last)
                word = word[:first] + word[first + 1 : last] + word[last + 1 :] + letter
        placed = tensor.permute([word.index(letter) for letter in letters if letter in word])
        product = product * placed[tuple(slice(None) if letter in word else None for letter in letters)]
    for _ in letters[len(output) :]:
        product = product.sum(-1)
    return product


def by_string(spec: str, *operands: Tensor) -> Tensor:
    """Hand a string and its operands to torch."""
    result = torch.einsum(spec, *operands)
    return result


def reading(cfg: Config, lab: Lab) -> None:
    """Can fifteen lines read the string?

    You know what you want: out[i, k] is the sum over j of x[i, j] · y[j, k]. For torch you translate it. Is
    that `@` or `bmm`, and does one of the two need a `transpose` first? Einstein's notation needs no
    translation. `"ij,jk->ik"` is the formula itself without its sum sign, because a letter that is missing
    behind the arrow is summed over.

    A reader of such strings does four things. It *parses*: each dim of each operand has a letter. It
    *aligns*: the dims of every operand are brought into one common order, with a dim of size 1 where it lacks
    a letter. A letter that stands twice in a word means the diagonal. It *multiplies*, by broadcasting, and
    it *sums* over the letters that the output lacks. For 1 2 | 3 4 and 5 6 | 7 8 the number at i = 0, k = 0
    is 1·5 + 2·7 = 19.

    We try it on random strings of one to three operands, with letters that stand twice, with outputs in any
    order or empty, and with sizes of 0 and 1. They compute with whole numbers, up to 2³¹ in int64.
    """
    x, y = torch.tensor([[1, 2], [3, 4]]), torch.tensor([[5, 6], [7, 8]])
    small = [
        (spec, lab.step(my_einsum, spec, x, y).tolist()) for spec in ("ij,jk->ik", "ij,kj->ki", "ij,ij->")
    ]
    lab.table("1 2 | 3 4 and 5 6 | 7 8", ["string", "result"], small)
    specs = lab.step(random_specs, cfg.strings)
    drawn = [(s, whole_numbers(shapes, d)) for s, shapes in specs for d in (torch.int64, torch.float64)]
    right = [[x.clone() for x in (torch.einsum(spec, *operands), *operands)] for spec, operands in drawn]
    by_hand = [lab.step(my_einsum, spec, *operands) for spec, operands in drawn]
    lab.equal(
        "03.reading",
        "Parsing, aligning, multiplying and summing give what `torch.einsum` gives, to the bit.",
        [(result, *operands) for result, (_, operands) in zip(by_hand, drawn, strict=True)],
        right,
        unit="strings",
        because="half in int64, which wraps alike in any order, half in float64, whose small sums are exact",
    )
    lab.raises(
        "03.refused",
        "An output in which a letter stands twice is refused.",
        partial(by_string, "i->ii", torch.ones(3)),
        RuntimeError,
        "output subscript i appears more than once in the output",
        because="what it should put beside the diagonal, no string says",
    )


SPELLED: dict[str, tuple[str, Callable[..., Tensor]]] = {
    "transpose": ("ij->ji", torch.t),
    "sum": ("ij->", torch.sum),
    "row sums": ("ij->i", lambda x: x.sum(1)),
    "trace": ("ii->", torch.trace),
    "diagonal": ("ii->i", torch.diagonal),
    "dot product": ("i,i->", torch.dot),
    "outer product": ("i,j->ij", torch.outer),
    "elementwise product": ("ij,ij->ij", torch.mul),
    "matrix times vector": ("ij,j->i", torch.mv),
    "matrix product": ("ij,jk->ik", torch.mm),
    "batched product": ("bij,bjk->bik", torch.bmm),
    "bilinear form": ("bi,oij,bj->bo", lambda x, w, y: functional.bilinear(x, y, w)),
}


def after_writing(spec: str, x_MM: Tensor) -> Tensor:
    """Zero what a string makes of a square of numbers, and look at the square."""
    square_MM = x_MM.clone()
    torch.einsum(spec, square_MM).zero_()
    return square_MM


VIEW_GUESSES = {
    "S is unchanged": "So it would be with a copy. But a diagonal needs none, and torch makes none.",
    "S has a zero diagonal": "**Yes.** The diagonal is S itself, read with a stride one longer than a row.",
    "an error": "Nothing forbids it: no number of S is reached twice, as in an expanded tensor.",
}


def one_notation(cfg: Config, lab: Lab) -> None:
    """How many functions are one string?

    torch has a function for the trace, one for the outer product, and four for products of matrices and
    vectors, by the number of their dims. You remember their names, and look up the order of their dims. A
    string shows both. `ii->` walks along a diagonal and keeps no letter: it is the trace. `i,j->ij` keeps
    every letter and sums over none: the outer product. `bij,bjk->bik` is `ij,jk->ik` once for every b.

    Some strings compute nothing. `ij->ji` puts the dims into another order. `ii->i` lets one index walk both
    dims, and each step leads one row down and one column to the right: with five columns, six numbers on. In
    the words of lab 01 this is a note on the old storage, and the note is all that einsum writes. What you
    write into its result, you write into the operand.
    """
    question = "`d = torch.einsum('ii->i', S)`, then `d.zero_()`. What is in S?"
    lab.predict("03.views", question, VIEW_GUESSES, answer="S has a zero diagonal")
    drawn = [(spec, function, operands_of(spec)) for spec, function in SPELLED.values()]
    spelled = [lab.step(by_string, spec, *operands) for spec, _, operands in drawn]
    rows = [
        (*pair, str(tuple(x.shape)))
        for pair, x in zip([(n, s) for n, (s, _) in SPELLED.items()], spelled, strict=True)
    ]
    lab.table("Twelve functions", ["function", "string", "shape of the result"], rows)
    lab.equal(
        "03.native",
        "Each string gives what torch's own function of that name gives, to the bit.",
        spelled,
        [function(*operands) for _, function, operands in drawn],
        unit="functions",
    )
    square_MM = torch.arange(1, 26).view(5, 5)
    looked = [
        lab.step(after_writing, spec, square_MM)
        for spec in ("ii->i", "ij->ji", "ij->ij", "ij->i", "ij->", "ii->")
    ]
    nothing = torch.zeros_like(square_MM)
    lab.equal(
        "03.views",
        "Strings that rename dims or take a diagonal return views of the operand; strings that sum do not.",
        looked,
        [square_MM - square_MM.diag().diag(), nothing, nothing, *[square_MM] * 3],
        unit="strings",
        because="each result was set to 0, and what became of the operand is compared",
    )


def lowered(spec: str) -> list[str]:
    """Say by its letters what torch runs for a string of two operands.

    Letters of one operand alone that are dropped are summed first. Then what both share decides: is any of
    that dropped, it is a matrix product, else an elementwise one.
    """
    inputs, output = spec.split("->")
    left, right = inputs.split(",")
    steps = ["sum" for own, other in ((left, right), (right, left)) if set(own) - set(other) - set(output)]
    steps.append("bmm" if set(left) & set(right) - set(output) else "mul")
    return steps


def two_layouts(queries: int, keys: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Lay out the same queries and keys in two orders of dims, with the string for each."""
    q_BQHD, k_BKHD = torch.rand(3, queries, 5, 32), torch.rand(3, keys, 5, 32)
    layouts = {
        "bqhd,bkhd->bhqk": (q_BQHD, k_BKHD),
        "bhqd,bhkd->bhqk": (q_BQHD.transpose(1, 2).contiguous(), k_BKHD.transpose(1, 2).contiguous()),
    }
    return layouts


def what_runs(cfg: Config, lab: Lab) -> None:
    """What does torch run for a string?

    The fifteen lines above fill a block with a dim for every letter before they sum. For two matrices of
    1000 × 1000 that is a block of 4 GB. torch does better, because with two operands there are only four
    kinds of letters. *Both* have it, and it is kept: a batch. *One* has it, and it is kept: a row or a column
    of the result. *Both* have it, and it is dropped: that is what a matrix product sums over. *One* has it,
    and it is dropped: such a lonely letter can be summed before anything is multiplied.

    So torch sums the lonely letters. Then it permutes the left operand to (batch, rows, summed) and the right
    one to (batch, summed, columns), flattens each of these groups into one dim, and calls `bmm`. Any
    contraction of two operands is one batched matrix product between two permutations. Where no letter is
    summed, `mul` is enough.

    Flattening is a `reshape`, and lab 01 says what that costs: nothing where a view exists, else a copy. In
    `bqhd,bkhd->bhqk` the batch letters b and h are no neighbours in memory, so both operands are copied.
    Stored in the order b, h, q, d they are read where they lie.
    """
    specs = pairs_among(lab.step(random_specs, 4 * cfg.strings))
    run_ = [operators(partial(torch.einsum, s, *whole_numbers(shapes, torch.float32))) for s, shapes in specs]
    lab.equal(
        "03.lowered",
        "The letters of two operands decide what torch runs: sums of lonely letters, then `bmm` or `mul`.",
        [[name for name in names if name != "clone"] for names in run_],
        [lab.step(lowered, spec) for spec, _ in specs],
        unit="strings",
        because="every operator that is no view and no copy was logged",
    )
    layouts = lab.step(two_layouts, cfg.queries, cfg.keys)
    (apart, (q_BQHD, k_BKHD)), (together, in_place) = layouts.items()
    strings = "ij,jk->ik", "ij,ij->ij", "ij,kl->ik"
    rows = [(s, ", ".join(operators(partial(torch.einsum, s, *operands_of(s))))) for s in strings]
    rows += [(s, ", ".join(operators(partial(torch.einsum, s, *pair)))) for s, pair in layouts.items()]
    lab.table("What torch runs; `clone` is a copy", ["string", "operators"], rows)
    scores = 4 * 3 * 5 * cfg.queries * cfg.keys
    lab.bytes(
        "03.copies",
        "Where the heads of a position lie side by side, scores cost a copy of the queries and of the keys.",
        peak_bytes(partial(torch.einsum, apart, q_BQHD, k_BKHD)),
        want=scores + q_BQHD.nbytes + k_BKHD.nbytes,
        because="B·H·Q·K·4 bytes of scores, and B·H·(Q + K)·D·4 of copies",
    )
    lab.bytes(
        "03.in-place",
        "Where the positions of a head lie side by side, scores cost no copy.",
        peak_bytes(partial(torch.einsum, together, *in_place)),
        want=scores,
        because="B·H·Q·K·4 bytes of scores alone",
    )
    lab.say(
        "It is not the string that makes the copies, it is where the numbers lie. A transposed view of the "
        "first layout takes the second string, and is copied all the same."
    )


def attention(q_BQHD: Tensor, k_BKHD: Tensor, v_BKHD: Tensor, seen_QK: Tensor) -> Tensor:
    """Let every query take a weighted mean of the values whose keys it may see and fit it best."""
    scores_BHQK = torch.einsum("bqhd,bkhd->bhqk", q_BQHD, k_BKHD) / math.sqrt(q_BQHD.shape[-1])
    weights_BHQK = scores_BHQK.masked_fill(~seen_QK, -math.inf).softmax(-1)
    mixed_BQHD = torch.einsum("bhqk,bkhd->bqhd", weights_BHQK, v_BKHD)
    return mixed_BQHD


def two_strings(cfg: Config, lab: Lab) -> None:
    """How does attention read in two strings?

    In a program of four dims most mistakes are made in transposes. Attention needs the score of every query
    with every key, in each head of each sample, and then a mean of the values with these weights. With `@`
    you move the heads in front of the positions, transpose the last two dims of the keys, multiply twice, and
    move the heads back.

    The strings say what is meant. `bqhd,bkhd->bhqk` sums over d, the numbers of a head, and leaves a score
    for each sample, head, query and key. `bhqk,bkhd->bqhd` sums over k, the keys. A mistake is a wrong
    letter, which one can see; and where sizes differ, torch sees it, too.

    We compare with torch's own function, with more keys than queries and a mask that hides some of them.
    """
    seen_QK = torch.ones(5, 7, dtype=torch.bool).tril(2)
    q_BQHD, k_BKHD, v_BKHD = (torch.randn(2, count, 3, 11).double() for count in (5, 7, 7))
    by_strings = lab.step(attention, q_BQHD, k_BKHD, v_BKHD, seen_QK)
    q, k, v = (x.transpose(1, 2) for x in (q_BQHD, k_BKHD, v_BKHD))
    own = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen_QK)
    lab.close(
        "03.attention",
        "Two strings and a softmax are `scaled_dot_product_attention`.",
        by_strings,
        own.transpose(1, 2),
        within=Tolerance(1e-12, "float64 keeps 16 digits; 11 products, a softmax and 7 weights cost under 4"),
    )


@exercise(
    "What does one multiplication of two operands cost, and which letters does its result have?",
    "A pair costs 2 for each combination of all letters in it. Its word has those letters that the output, "
    "or an operand which is still there, needs.",
    "Take both words out of the list; `2 * math.prod(sizes[letter] for letter in set(one + other))`; put the "
    "letters of `dict.fromkeys(one + other)` that stand in `output` or in a word that is left at the end.",
    contract="""
        `spec` names two or more operands, no letter twice in a word, `sizes` has the size of each letter.
        `order` is a list of pairs of positions: the two operands at these positions are taken out of the
        list, and their product is put at its end. Return the multiplications and additions of all products,
        2 for each combination of the letters of a pair. A letter is summed as soon as neither the output nor
        an operand that is left has it.

        >>> operations("ij,jk->ik", {"i": 2, "j": 3, "k": 5}, [(0, 1)])
        60
        """,
    insight="The best order of many operands is hard to find; opt_einsum tries all of a few, or is greedy.",
)
def operations(spec: str, sizes: dict[str, int], order: Order) -> int:
    """Count what it costs to contract operands in a given order.

    A product of two operands costs a multiplication and an addition for each combination of their letters:

        "ij,jk->ik"  costs  2·I·J·K
    """
    inputs, output = spec.split("->")
    words, total = inputs.split(","), 0
    for first, second in order:
        letters = dict.fromkeys(words[first] + words[second])
        words = [word for place, word in enumerate(words) if place not in (first, second)]
        total += 2 * math.prod(sizes[letter] for letter in letters)
        words.append("".join(letter for letter in letters if letter in output + "".join(words)))
    return total


ORDER_GUESSES = {
    "1": "The result is the same, and so is the number of products. But they are products of other sizes.",
    "2": "Both orders take two products, and both products become cheaper, not one of them.",
    "10": "That is the ratio of the sides. It comes in twice: 10 · 10 numbers in between, not 1000 · 1000.",
    "100": "**Yes.** 2·1000·10·1000 for each product in one order, 2·10·1000·10 in the other.",
}


def the_order(cfg: Config, lab: Lab) -> None:
    """Does the order of three factors matter?

    A·B·C has one result, whichever product you take first. Let A and C be 1000 × 10, and B 10 × 1000. From
    the left A·B comes first, 1000 × 1000: a million numbers, each the sum of ten products. Then every number
    of the result is the sum of a thousand. From the right B·C comes first, 10 × 10: a hundred numbers.

    The letters tell before anything runs. A product of two operands goes through every combination of their
    letters, with one multiplication and one addition each: 2·I·J·K for `ij,jk->ik`. What it leaves are the
    letters that somebody still needs.
    """
    lab.predict("03.operations", "By which factor does the better order of A·B·C save?", ORDER_GUESSES, "100")
    cases = contractions(cfg.long, cfg.short)
    lab.equal(
        "03.operations",
        "Letters, sizes and order predict how many operations torch runs.",
        [lab.step(operations, case.spec, case.sizes, list(case.order)) for case in cases],
        [sum(counted(case)) for case in cases],
        unit="contractions",
        because="2·1000·10·1000 twice from the left, 2·10·1000·10 twice from the right, and eight small ones",
    )
    left, right = cases[:2]
    lab.diagram("Two orders, drawn to scale", Trees((Tree.of(left), Tree.of(right))))
    factors = left.operands()
    orders = {"(A·B)·C": left, "A·(B·C)": right}
    peaks = [peak_bytes(partial(contracted, case, factors)) for case in orders.values()]
    costs = [sum(counted(case)) for case in orders.values()]
    rows = list(zip(orders, costs, peaks, strict=True))
    lab.table("Two orders", ["order", "operations", "peak, bytes"], rows)
    ends = cfg.long * cfg.short
    lab.equal(
        "03.order-bytes",
        "The better order keeps the small product in memory, the other one the large one.",
        peaks,
        [4 * (cfg.long**2 + ends), 4 * (cfg.short**2 + ends)],
        unit="orders",
        because="4·(1000² + 10,000) bytes for A·B and the result, 4·(10² + 10,000) for B·C and the result",
    )
    lab.ratio(
        "03.order-time",
        "The better order is at least twice as fast.",
        partial(contracted, left, factors),
        partial(contracted, right, factors),
        at_least=2,
        because="a hundredth of the operations; we require 2, since either call of einsum costs its own time",
    )


def planned(operands: list[Tensor], planner: bool) -> int:
    """Let torch contract a chain of three in the order of its own choice, and count the operations."""
    with torch.backends.opt_einsum.flags(enabled=planner):
        chosen = flops(partial(torch.einsum, CHAIN, *operands))
    return chosen


def who_chooses(cfg: Config, lab: Lab) -> None:
    """Who chooses the order?

    You wrote one string with three factors, and gave no order. For two operands there is nothing to choose.
    From three on torch asks the package opt_einsum, which tries all orders of a few operands, and looks one
    step ahead where there are many.

    The package is optional, and not every installation has it. Without it torch goes from left to right: the
    same result for a hundred times the work, and no warning. `torch.backends.opt_einsum.is_available()`
    tells. We count what torch runs with the package switched off and on.
    """
    left = contractions(cfg.long, cfg.short)[0]
    factors = left.operands()
    lab.count(
        "03.left-to-right",
        "Without opt_einsum, torch contracts three factors from left to right.",
        lab.step(planned, factors, planner=False),
        want=lab.step(operations, CHAIN, left.sizes, list(FROM_LEFT)),
        unit="operations",
        because="2·1000·10·1000 for either product",
    )
    lab.count(
        "03.planned",
        "Where opt_einsum is installed, torch contracts three factors in the better order.",
        lab.step(planned, factors, planner=torch.backends.opt_einsum.is_available()),
        want=lab.step(operations, CHAIN, left.sizes, list(FROM_RIGHT)),
        unit="operations",
        because="2·10·1000·10 for either product",
        needs="the package opt_einsum",
    )


SIZE_GUESSES = {
    "an error": "With 3 in the place of 1 it would be one: j has the size 4, and 3 does not broadcast to it.",
    "(3, 5): x times the sums of y's columns": "**Yes.** x is stretched along j, and then j is summed.",
    "(3, 5), filled with NaN": "Nothing is missing and nothing is divided, so every number is finite.",
}


def misleading(cfg: Config, lab: Lab) -> None:
    """Where does a string mislead?

    It looks as if letters were checked. If j is 4 in one operand and 3 in the other, torch refuses. But a
    size of 1 passes under any letter: that dim is stretched, as in lab 02. Somebody summed with `keepdim`, or
    took `x[:, :1]` for `x[:, 1]`, and a matrix product becomes something else without a word. And a letter is
    a name within one call. Whether j means the same in the next call, nobody checks.

    It also looks as if a string were free. In every call torch reads it anew and makes a dozen views before
    it multiplies. Beside a product of 1024 × 1024 nobody notices. Beside one of 8 × 8, which is done in about
    a microsecond, it is most of the time.
    """
    question = "What is `einsum('ij,jk->ik', x, y)` for x of shape (3, 1) and y of shape (4, 5)?"
    lab.predict("03.size-1", question, SIZE_GUESSES, answer="(3, 5): x times the sums of y's columns")
    x, y = whole_numbers(((3, 1), (4, 5)), torch.int64)
    lab.equal(
        "03.size-1",
        "A size of 1 passes under any letter, and is stretched to the size that the others have.",
        [lab.step(by_string, "ij,jk->ik", x, y), lab.step(by_string, "ij,ij->i", x.t(), y[:, :3])],
        [x * y.sum(0), (x[:, 0] * y[:, :3]).sum(1)],
        unit="strings",
        because="Σⱼ x[i, 0] · y[j, k] = x[i, 0] · Σⱼ y[j, k]",
    )
    small, large = (torch.rand(2, size, size) for size in (cfg.small, cfg.large))
    lab.ratio(
        "03.small",
        "A product of 8 × 8 takes at least twice as long by a string as by `@`.",
        partial(torch.einsum, "ij,jk->ik", *small),
        partial(torch.matmul, *small),
        at_least=2,
        because="1024 operations take less than the dozen views that surround them",
    )
    lab.ratio(
        "03.large",
        "A product of 1024 × 1024 takes as long by a string as by `@`.",
        partial(torch.einsum, "ij,jk->ik", *large),
        partial(torch.matmul, *large),
        at_least=0.8,
        at_most=1.25,
        because="the same `bmm` of 2·1024³ operations; beside it microseconds vanish, a quarter is for noise",
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (reading, one_notation, what_runs, two_strings, the_order, who_chooses, misleading):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
