"""Lab 04 · Advanced indexing · Zaawansowane indeksowanie

Question:
    How do you pick and add at indices that the data itself decides?

You will see:
    - `gather` written as a loop of two lines, and three labels that it refuses.
    - Fourteen ways to index one table: eight give views, six give copies, and what is written into a copy is
      lost.
    - Four votes, of which an assignment counts two and `index_add_` counts four.
    - A gradient for numbers that are no longer there, and one of the whole table for eight of its rows.
    - One round of message passing on a graph without a loop, more than ten times faster than with one.
    - Two learners with the same experience, of which one explodes because some of it is there twice.

Run:
    make lab-04
    python -m labs.m1_tensors.lab04_advanced_indexing --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 01 for strides and storages

Remember:
    `gather` reads where an index says, `scatter_add` adds where it says, and each is the other's gradient.
    Numbers, slices and `None` give views; lists and masks give copies. Wherever indices can repeat, decide
    what shall happen to what meets in one place: an assignment keeps one of the values, `index_add_` their
    sum, `scatter_reduce` their mean or maximum, and a maximum starts at −∞. Never differentiate `scatter`
    where indices repeat. This lab does not show the order of sums on a GPU, which is not fixed: that is lab
    36. Next comes lab 05, in which the writing itself is the subject.

Sources:
    - PyTorch documentation, torch.Tensor.scatter_, with its warning on indices that are not unique:
      https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_.html
    - J. Gilmer et al., "Neural Message Passing for Quantum Chemistry", 2017, section 2:
      https://arxiv.org/abs/1704.01212
    - R. Sutton, A. Barto, "Reinforcement Learning: An Introduction", 2018, section 6.5:
      http://incompleteideas.net/book/the-book-2nd.html

Notebook:
    04_Advanced_Indexing.ipynb
"""

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from labs.kit import Lab, Tolerance, exercise, main
from labs.kit.measure.memory import peak_bytes
from labs.m1_tensors._lab04_helpers import (
    DISCOUNT,
    EXAMPLE,
    KEEPING_ALL,
    KEEPING_ONE,
    KEYS,
    LABELS,
    RATE,
    REDUCTIONS,
    WAYS,
    GridWorld,
    Index,
    aimed,
    answered,
    by_hand,
    dense_sum,
    distances,
    errors,
    handed_back,
    learned,
    logarithms,
    looked_up,
    messages_by_loop,
    odd_graphs,
    odd_indices,
    odd_meetings,
    odd_reads,
    odd_scores,
    odd_updates,
    reads_with_gradients,
    reduced,
    reduced_rows,
    roundings_of_softmax,
    roundings_of_update,
    softmax_one_by_one,
    there_and_back,
    updated_one_by_one,
    value_iteration,
    writes_drawn,
)

# Shape letters: N samples, C classes, E writes or edges, V places, nodes or rows of a table, D numbers in a
# row; S states, A actions, B experiences in a batch.


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    table: int = 50_000  # rows V of the table from which eight are looked up
    nodes: int = 501  # nodes V of the graph
    edges: int = 4_007  # edges E of the graph
    features: int = 17  # numbers D that a node knows
    batch: int = 256  # experiences B in one batch of Q-learning
    steps: int = 600  # batches of Q-learning

    @classmethod
    def smoke(cls) -> "Config":
        return cls(table=1_009, nodes=23, edges=61, features=5)


@exercise(
    "The result has the shape of the index. At each of its places ask: from which place of x does it come?",
    "The place in x is that in the result, with one coordinate exchanged: in `dim` the index has it.",
    "`source = tuple(int(index[place]) if d == dim else p for d, p in enumerate(place))`, then `x[source]`.",
    contract="""
        `x` and `index` have equally many dims, up to four, or none; `index` holds whole numbers from 0 to
        `x.shape[dim] - 1`, and in every other dim it is at most as long as x. Return what `x.gather(dim,
        index)` returns, in the shape of `index` and the dtype of `x`, without `gather` and its relatives.
        Both arguments stay as they are.

        >>> gather_by_loop(torch.tensor([[5, 6]]), 1, torch.tensor([[1, 0]]))
        tensor([[6, 5]])
        """,
    insight="Nothing had to be said about an index shorter than x: the loop runs over the index alone.",
)
def gather_by_loop(x: Tensor, dim: int, index: Index) -> Tensor:
    """Pick an element of x for each place of the index.

    In three dims, and where `dim` is 1:

        result[i, j, k] = x[i, index[i, j, k], k]
    """
    picked = torch.empty(index.shape, dtype=x.dtype)
    for place in product(*map(range, index.shape)):
        source = tuple(int(index[place]) if d == dim else p for d, p in enumerate(place))
        picked[place] = x[source]
    return picked


def score_of_label(scores_NC: Tensor, label_N: Tensor) -> Tensor:
    """Pick from each row the score of the row's own label."""
    picked_N1 = scores_NC.gather(1, label_N.unsqueeze(1))
    return picked_N1.squeeze(1)


def picking(cfg: Config, lab: Lab) -> None:
    """Which element does `gather` pick?

    A network gives each of N samples a score for each of C classes. You want one number of every row, the
    score of the sample's own label. `scores[:, label]` looks right and returns N × N numbers: every row
    answers for every label. What you mean is another column in each row.

    `gather` does that. Its result has the shape of the *index*, and not that of the input. Each place of the
    result keeps its own coordinates, except in the dim that you name. There the index decides:

        result[i, j] = x[i, index[i, j]]        where dim is 1

    Take the scores 5 6 7 | 8 9 4 and the labels 2 and 0. The index is the column 2 | 0, so row 0 gives its
    number 2, which is 7, and row 1 its number 0, which is 8.

    The index may be shorter than the input, and what lies beyond it is never looked at. It is not stretched
    as in broadcasting, where one row would do for all. And it does not count from the end: a label of −1,
    with which many data sets mark what nobody labelled, is refused, although `x[:, -1]` is the last column.
    """
    cases, again = odd_reads(), odd_reads()
    read = [lab.step(gather_by_loop, x, dim, index) for x, dim, index in cases]
    lab.equal(
        "04.gather",
        "`gather` has a result for each place of its index, and exchanges the coordinate of one dim.",
        [(picked, x, index) for picked, (x, _, index) in zip(read, cases, strict=True)],
        [(x.gather(dim, index), x, index) for x, dim, index in again],
        unit="inputs",
        because="x has none to four dims, and the index is shorter, longer in its dim, a single row or empty",
    )
    scores_NC = torch.tensor([[5, 6, 7], [8, 9, 4]])
    said = [answered(partial(lab.step, score_of_label, scores_NC, torch.tensor(label))) for label in LABELS]
    rows = list(zip(map(str, LABELS), said, strict=True))
    lab.table("The scores 5 6 7 | 8 9 4", ["labels", "what `gather` returns or says"], rows)
    lab.equal(
        "04.refused",
        "`gather` reads 7 and 8 for the labels 2 and 0, and refuses −1, a class that is not there, and a "
        "label too many.",
        said,
        list(LABELS.values()),
        unit="answers",
    )


def gives_a_view(key: Any) -> bool:
    """Decide from an index alone whether it gives a view: it has no list, mask or tensor of indices in it."""
    items = key if isinstance(key, tuple) else (key,)
    lists = [item for item in items if isinstance(item, list | bool)]
    tensors = [item for item in items if isinstance(item, Tensor) and item.ndim > 0]
    view = not lists + tensors
    return view


def two_writes(key: Any) -> tuple[bool, int, int]:
    """Write −1 in two ways into a table of twelve, and count which of its numbers changed.

    The first way asks for `x[key]` and fills what comes back. The second is `x[key] = -1`.
    """
    x = torch.arange(12).view(3, 4)
    part = x[key]
    shared = part.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    part.fill_(-1)
    through = int((x == -1).sum())
    x = torch.arange(12).view(3, 4)
    x[key] = -1
    directly = int((x == -1).sum())
    return shared, through, directly


def views_and_copies(cfg: Config, lab: Lab) -> None:
    """Is what an index returns a view or a copy?

    You write `x[x > 5][0] = 9`. There is no error, and x is as it was. But `x[1][0] = 9` works. Why?

    A view is a storage read with an offset and one stride for each dim (lab 01). A number in an index moves
    the offset, also where it is a tensor of no dims. A slice changes a size and a stride, `None` adds a dim
    of size 1, and `...` changes nothing. So these give views. A list such as [0, 1, 3] asks for steps of +1
    and +2, and no single stride makes them. A mask is worse (and `True` is one): only its values tell how
    many elements there are. For both torch copies, and it does not look whether a list happens to be regular:
    [0, 1, 2, 3] is copied too.

    Two brackets are two calls. Python first runs `x[x > 5]`, which returns a copy, and then writes into
    that. `x[x > 5] = 9` is one call: it gets the index together with the number, and writes into x itself.
    """
    seen = [lab.step(two_writes, key) for key, _ in KEYS.values()]
    rows = [(name, "view" if row[0] else "copy", *row[1:]) for name, row in zip(KEYS, seen, strict=True)]
    lab.table("A table x of 3 × 4", ["index", "gives a", "x[…].fill_(-1) changes", "x[…] = -1 changes"], rows)
    rule = [lab.step(gives_a_view, key) for key, _ in KEYS.values()]
    lab.equal(
        "04.views",
        "An index gives a view where it has neither list nor mask nor tensor of indices in it, else a copy.",
        [shared for shared, _, _ in seen],
        rule,
        unit="ways to index",
    )
    lab.equal(
        "04.lost",
        "A write into what a list or a mask returned is lost, while an assignment by that index arrives.",
        [changed for _, *changed in seen],
        [[count if view else 0, count] for view, (_, count) in zip(rule, KEYS.values(), strict=True)],
        unit="ways to index",
        because="numbers that the index names are counted by hand: 4 in x[1], 6 in x[x > 5], 2 in x[1:, [3]]",
    )


def survivors(way: str, index_E: Tensor, count: int) -> list[set[int]]:
    """Write 2ᵏ to place index[k] of an empty row, and tell for each place which writes are left there.

    A sum of different powers of two has one reading only: its bits say which writes are in it.
    """
    h_V = torch.zeros(count, dtype=torch.int64)
    value_E = 2 ** torch.arange(len(index_E))
    WAYS[way](h_V, index_E, value_E)
    left = [{k for k in range(len(index_E)) if number >> k & 1} for number in h_V.tolist()]
    return left


VOTES = {
    "[3, 0, 1]": "That is what you wanted. But the three additions to place 0 do not see one another.",
    "[1, 0, 1]": "**Yes.** All four read 0 and become 1, and each write to place 0 replaces the one before.",
    "an error": "torch does not look whether indices repeat. It would have to compare all of them.",
}


def meeting_writes(cfg: Config, lab: Lab) -> None:
    """What happens when two writes meet in one place?

    Four votes come in, for the candidates 0, 0, 2 and 0. You count them by `h[vote] += 1`.

    Python makes three calls of it. `h[vote]` reads four numbers, and it is a copy (part 2). Then 1 is added
    to the copy. Then `h[vote] = …` writes four numbers back, three of them to the same place. What is left?

    To keep all of them, reading, adding and writing must be one operation. `index_add_` is one, and so are
    `scatter_add_`, `index_put_` with `accumulate=True`, and `scatter_reduce_`. We write powers of two to see
    who is left: 11 = 8 + 2 + 1 can only be the votes 0, 1 and 3.

    `scatter_reduce` can also take the mean, the product, the maximum or the minimum of what meets. By default
    it counts what stood there before as one more value. A mean is then drawn towards the old number.
    """
    lab.predict("04.one-kept", "What is in `h = zeros(3)` after `h[[0, 0, 2, 0]] += 1`?", VOTES, "[1, 0, 1]")
    drawn = (("+=", "h[i] += v"), ("index_add_", "h.index_add_(0, i, v)"))
    left = {name: lab.step(survivors, way, EXAMPLE, 3) for name, way in drawn}
    lab.diagram("1, 2, 4 and 8 are written to the places 0, 0, 2 and 0", writes_drawn(left))
    cases = odd_indices()
    sent = [to for case in cases for to in aimed(*case)]
    one = [left for way in KEEPING_ONE for case in cases for left in lab.step(survivors, way, *case)]
    lab.equal(
        "04.one-kept",
        "Assignment, `+=`, `index_put_`, `index_copy_` and `scatter_` keep one of the values that meet in a "
        "place.",
        [(len(left), left <= to) for left, to in zip(one, sent * len(KEEPING_ONE), strict=True)],
        [(min(len(to), 1), True) for to in sent * len(KEEPING_ONE)],
        unit="places",
    )
    lab.equal(
        "04.all-kept",
        "`index_add_`, `scatter_add_`, the sum of `scatter_reduce_` and `index_put_` with "
        "`accumulate=True` keep all of them.",
        [left for way in KEEPING_ALL for case in cases for left in lab.step(survivors, way, *case)],
        sent * len(KEEPING_ALL),
        unit="places",
    )
    meetings = odd_meetings()
    asked = list(product(REDUCTIONS, (True, False)))
    title = "7 5 3 2, where 1 2 6 come to place 0 and 5 comes to place 2"
    lab.table(title, ["", "include_self=True", "=False"], reduced_rows(meetings[0]))
    lab.equal(
        "04.include-self",
        "`scatter_reduce` takes what stood there before as one more value, and with `include_self=False` "
        "only where nothing came.",
        [reduced(how, with_self, met).tolist() for how, with_self in asked for met in meetings],
        [by_hand(how, with_self, met) for how, with_self in asked for met in meetings],
        unit="reductions",
    )
    lab.say(
        "Which of the values is left, torch does not promise. And count in whole numbers: a float32 that "
        "stands at 2²⁴ = 16,777,216 does not notice another 1, and a bfloat16 stops at 256."
    )


LOST_GRADIENTS = {
    "[0, 0, 1, 1]": "That is the truth where the last write to place 0 is the one that is left.",
    "[1, 1, 1, 1]": "**Yes.** torch reads the incoming gradient at each index, and does not ask who is left.",
    "an error": "That would be more honest. But torch does not look whether indices repeat.",
}


def way_back(cfg: Config, lab: Lab) -> None:
    """What does the backward pass make of an index?

    You look eight words up in a table of fifty thousand rows, and call `backward()`. What has to be written?

    The words are 3 1 4 1 5 9 2 6. Word 1 was read twice, so the loss depends on its row in two places, and
    the gradient of that row is g[1] + g[3]. Each of the other six gets one gradient, and every row that
    nobody read gets zeros. To *add* what comes back by an index is `scatter_add`: it is the gradient of
    `gather`. The other way round, a number that `scatter_add` adds to a place gets the gradient of that
    place: the gradient of `scatter_add` is `gather`.

    The zeros are written, too. The gradient has the shape of the table, and the optimizer goes through all
    fifty thousand rows for seven. (`embedding(…, sparse=True)` keeps only what was read, for optimizers that
    accept that.)

    `scatter` without the sum is another matter. Where two values meet, one of them is not in the result, so
    nothing depends on it. What does torch tell it?
    """
    question = (
        "`y = zeros(3).scatter(0, [0, 0, 2, 0], v)`. Ones come in for y. Which gradient does torch give v?"
    )
    lab.predict("04.losers", question, LOST_GRADIENTS, answer="[1, 1, 1, 1]")
    reads = reads_with_gradients()
    lab.equal(
        "04.gradient",
        "The gradient of `gather` is `scatter_add` along its index, and that of `scatter_add` is `gather`.",
        [lab.step(there_and_back, *read) for read in reads],
        [
            (torch.zeros_like(x).scatter_add(dim, index, grad), x.gather(dim, index))
            for x, dim, index, grad in reads
        ],
        unit="inputs",
        because="incoming gradients are whole numbers, so their sums are exact in any order",
    )
    table_VD, word_E = torch.randn(cfg.table, 64, requires_grad=True), torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])
    row_ED = lab.step(looked_up, table_VD, word_E)
    lab.bytes(
        "04.whole-table",
        "The gradient of eight rows that were looked up takes as many bytes as the whole table.",
        peak_bytes(partial(torch.autograd.grad, row_ED, table_VD, torch.randn(8, 64))),
        want=cfg.table * 64 * 4,
        because=f"{cfg.table:,} rows of 64 numbers of 4 bytes, of which 7 are not 0: one word came twice",
    )
    cases = [(index_E, torch.randint(1, 10, (count,)).double()) for index_E, count in odd_indices()]
    handed = [lab.step(handed_back, *case) for case in cases]
    lab.equal(
        "04.losers",
        "`scatter` hands a gradient to every value that was written, also to those that were overwritten.",
        [(by_autograd_E.tolist(), by_moving.count(0.0)) for by_autograd_E, by_moving in handed],
        [(grad_V[index_E].tolist(), len(index_E) - len(index_E.unique())) for index_E, grad_V in cases],
        unit="indices",
        because="moving a value that was overwritten changes nothing: E less the places that were met",
    )
    lab.say(
        "The derivative of an overwritten value is 0, so torch is wrong, and its documentation says so. "
        "Where indices can repeat, differentiate `scatter_add` or `scatter_reduce`."
    )


def messages_added(h_VD: Tensor, source_E: Tensor, destination_E: Tensor) -> Tensor:
    """Let every node add up what its neighbours know.

    The sum goes over the edges e that end at node v:

        result[v] = Σ h[source[e]]
    """
    message_ED = h_VD[source_E]
    added_VD = torch.zeros_like(h_VD).index_add(0, destination_E, message_ED)
    return added_VD


@exercise(
    "What does a plain softmax do first, so that no exponential becomes too large? Do it in each segment.",
    "Three times the same: reduce scores into one number for each segment, and read it back by the index.",
    "Largest scores by `scatter_reduce(0, segment_E, scores_E, 'amax')` into −∞, sums of `exp` by "
    "`index_add` into 0; both are read as `[segment_E]`.",
    contract="""
        `scores_E` are finite numbers of a floating dtype, and `segment_E` says for each of them to which of
        `count` segments it belongs: whole numbers from 0 to count − 1, in any order. A segment may be empty.
        Return the softmax of each segment by itself, in the order and the dtype of the scores. Scores may be
        far from 0. Both tensors stay as they are.

        >>> segment_softmax(torch.tensor([3.0, 3.0, 7.0]), torch.tensor([0, 0, 2]), 4)
        tensor([0.5000, 0.5000, 1.0000])
        """,
    insight="Nothing in it loops over segments, so ten thousand nodes cost as many operations as one.",
)
def segment_softmax(scores_E: Tensor, segment_E: Tensor, count: int) -> Tensor:
    """Make weights of scores that sum to 1 in every segment.

        weight[e] = exp(score[e] − top) / Σ exp(score[e'] − top)  over the segment of e

    The largest score is taken off first, so that no exponential is too large.
    """
    lowest_V = scores_E.new_full((count,), -torch.inf)
    top_V = lowest_V.scatter_reduce(0, segment_E, scores_E, "amax")
    raised_E = torch.exp(scores_E - top_V[segment_E])
    total_V = scores_E.new_zeros(count).index_add(0, segment_E, raised_E)
    weight_E = raised_E / total_V[segment_E]
    return weight_E


def message_passing(cfg: Config, lab: Lab) -> None:
    """How does a graph compute without a loop over its edges?

    In a molecule every atom should learn what its neighbours know. One round of *message passing*: each edge
    carries the numbers of the node where it starts to the node where it ends, and each node adds up what
    arrives. That is one read by an index and one sum by an index. Let three atoms know 1, 10 and 100, and let
    edges lead from 0 to 1, from 2 to 1, and from 2 to 1 again. Then atom 1 gets 1 + 100 + 100 = 201. An edge
    that is there twice counts twice, and a node to which no edge leads gets zeros.

    The textbook writes it as a product, A·h, where A[v, u] counts the edges from u to v. It gives the same
    numbers, and it takes V² numbers to say where E edges are.

    A node may also listen to one neighbour more than to another. Then the edges that end at one node share a
    *softmax*, so that their weights sum to 1. The segments are of different lengths and lie mixed up, so no
    dim can be named for it. But a softmax is a maximum, a sum and a quotient, and the first two reduce values
    into a place. The maxima must start at −∞: from 0, a node whose scores are all −1000 would divide 0 by 0.
    """
    graphs, again = (odd_graphs(cfg.nodes, cfg.edges, cfg.features) for _ in range(2))
    lab.equal(
        "04.messages",
        "Reading and adding by an index, and a loop over the edges, give the product with the dense matrix.",
        [(lab.step(messages_added, *graph), messages_by_loop(*graph), *graph) for graph in graphs],
        [(dense_sum(*graph), dense_sum(*graph), *graph) for graph in again],
        unit="graphs",
        because="the nodes know whole numbers, so their sums are exact in any order",
    )
    lab.close(
        "04.softmax",
        "The softmax of a segment is that of its scores alone, wherever they lie among the others.",
        errors(lambda *case: lab.step(segment_softmax, *case), softmax_one_by_one, odd_scores),
        torch.zeros(len(odd_scores())),
        within=roundings_of_softmax(),
    )
    lab.ratio(
        "04.loop",
        "A loop over the edges is slower than one read and one sum by an index.",
        partial(messages_by_loop, *graphs[0]),
        partial(messages_added, *graphs[0]),
        at_least=10,
        because=(
            "an edge costs the loop 4 operations of 0.5 µs; by an index it moves "
            f"3·{cfg.features}·4 bytes, at 2 GB/s in 0.1 µs or less; of these 20 × we require half"
        ),
    )


@exercise(
    "A pair of state and action is one place. How many experiences met in it, and what is their mean gap?",
    "Number the pairs, `s * A + a`, and let `scatter_reduce` take the mean of the gaps, without what was.",
    "`gap_B = target_B - q_SA[s_B, a_B]`, then zeros and `scatter_reduce(0, s_B * A + a_B, gap_B, 'mean', "
    "include_self=False)`, and `q_SA + rate *` that.",
    contract="""
        `q_SA` has a value for each state and action. Experience number b was made in state `s_B[b]` with
        action `a_B[b]`, and says that the value there should be `target_B[b]`. Pairs may repeat, and there
        may be no experience at all. Return a new table, in which each pair that was met has gone by `rate`
        times the *mean* gap of its experiences, target minus value. All four tensors stay as they are.

        >>> s_B, a_B, target_B = torch.tensor([0, 0]), torch.tensor([1, 1]), torch.tensor([2.0, 4.0])
        >>> td_update(torch.zeros(1, 2), s_B, a_B, target_B, 0.5)
        tensor([[0.0000, 1.5000]])
        """,
    insight="A mean makes the step independent of how often a pair is in the batch. The sum does not.",
)
def td_update(q_SA: Tensor, s_B: Tensor, a_B: Tensor, target_B: Tensor, rate: float) -> Tensor:
    """Move the value of each pair that was met towards its targets, by their mean.

    All experiences b of a pair (s, a) move it together:

        q[s, a] ← q[s, a] + rate · mean of (target[b] − q[s, a])
    """
    pair_B = s_B * q_SA.shape[1] + a_B
    gap_B = target_B - q_SA.flatten().gather(0, pair_B)
    unmoved = torch.zeros_like(q_SA).flatten()
    mean_SA = unmoved.scatter_reduce(0, pair_B, gap_B, "mean", include_self=False).view(q_SA.shape)
    moved_SA = q_SA + rate * mean_SA
    return moved_SA


def accumulated(q_SA: Tensor, s_B: Tensor, a_B: Tensor, target_B: Tensor, rate: float) -> Tensor:
    """Add up all steps of a pair, each from the same old value."""
    step_B = rate * (target_B - q_SA[s_B, a_B])
    moved_SA = q_SA.index_put((s_B, a_B), step_B, accumulate=True)
    return moved_SA


EXPLOSION = {
    "about 10⁻¹⁵": "That is what the mean of the steps reaches. Their sum is three times as long.",
    "about 0.5, for good": "Noisy rewards would leave such a rest. Here they are exact, and steps too long.",
    "it grows without end": "**Yes.** Five steps are 2.5 gaps: the value ends 1.5 gaps beyond its target.",
}


def q_learning(cfg: Config, lab: Lab) -> None:
    """What if one experience is in the batch three times?

    A robot walks on a grid of 4 × 5 fields and is rewarded with 1 where it reaches the goal. Q-learning keeps
    a table: for each state s (a field) and each action a (one of four directions) the value of all that will
    come. Every experience names a *target* for one pair, the reward plus 0.9 times the best value of the next
    field. Then q[s, a] goes a part of the way, here half of the gap between target and value.

    In batches, reading is one index with two lists, `q[s, a]`. (`q[:, a]` would return B numbers for each
    state.) Writing is the old question. A batch of 256 holds each of the 80 pairs 3.2 times on average.

    Taken one after the other, three steps would leave 1/2, 1/4 and 1/8 of the gap. Added up they are 3 · 1/2
    of the *same old* gap, because all of them read the value before anyone wrote. So the value ends half a
    gap beyond its target. The mean of the steps is one step, however many there are.
    """
    question = (
        f"All {cfg.batch} steps of a batch, half a gap each, are added up. How far off is the table then?"
    )
    lab.predict("04.explodes", question, EXPLOSION, answer="it grows without end")
    lab.close(
        "04.td",
        "A pair moves by `rate` times the mean gap of its own experiences, and all other pairs stay.",
        errors(lambda *case: lab.step(td_update, *case), updated_one_by_one, odd_updates),
        torch.zeros(len(odd_updates())),
        within=roundings_of_update(),
    )
    world = GridWorld.of(4, 5)
    true_SA = value_iteration(world)
    by_mean = lab.step(learned, world, td_update, cfg.batch, cfg.steps)
    by_sum = lab.step(learned, world, accumulated, cfg.batch, cfg.steps)
    gaps = {"mean": distances(by_mean, true_SA), "sum": distances(by_sum, true_SA)}
    every = max(cfg.steps // 10, 1)
    lines = {f"{how} of the steps": logarithms(gap[::every]) for how, gap in gaps.items()}
    title, shown = "How far the table is from the true values", range(1, cfg.steps + 1, every)
    lab.plot(title, shown, lines, x_label="batches", y_label="log₁₀ of the largest gap")
    left = (1 - RATE * (1 - DISCOUNT)) ** cfg.steps
    lab.close(
        "04.learns",
        "Updates by the mean learn the values that value iteration computes.",
        by_mean[-1],
        true_SA,
        within=Tolerance(left + 4 * 20 * 2**-53, f"0.95^{cfg.steps} of a gap of 1, 4·20 roundings of 2⁻⁵³"),
    )
    lab.count(
        "04.explodes",
        "Updates that are added up end more than a thousand times as far from the true values as they began.",
        gaps["sum"][-1],
        at_least=1000,
        unit="times",
        because="the gap begins at 1; a pair met n times goes n/2 gaps, and with n > 4 it ends further away",
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (picking, views_and_copies, meeting_writes, way_back, message_passing, q_learning):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
