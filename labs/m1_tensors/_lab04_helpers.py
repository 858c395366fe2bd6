"""What lab 04 needs beside its lesson: awkward inputs, truths found one by one, graphs, a grid to walk on."""

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from labs.kit import Tolerance
from labs.kit.draw.diagrams import WARN, Arrow, Cell, Cells, Row

Index = Tensor  # whole numbers in any shape; numbers that come in from behind have the same
Write = Callable[[Tensor, Tensor, Tensor], object]
Update = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]

RATE = 0.5  # of Q-learning
DISCOUNT = 0.9  # what a reward is worth one step before it comes
SEED = 4
LARGE = 2**40  # whole numbers from here on, which a detour through float32 would change


def answered(action: Callable[[], Tensor]) -> str:
    """Return what an action returns, or the words with which torch refuses it."""
    try:
        return str(action().tolist())
    except RuntimeError as error:
        return str(error).partition(" expected")[0]


def errors(
    step: Callable[..., Tensor], truth: Callable[..., Tensor], cases: Callable[[], list[Any]]
) -> Tensor:
    """Compare a step with the truth in each case, in units of the rounding of its first argument's dtype.

    A result of another shape or dtype, and one for which an argument was changed, is infinitely far away:
    the truth is found from arguments that are drawn anew.
    """
    found = []
    for used, fresh in zip(cases(), cases(), strict=True):
        got, true = step(*used), truth(*fresh)
        alike = (got.shape, got.dtype) == (true.shape, fresh[0].dtype)
        untouched = all(map(_same, used, fresh))
        gaps = (got.double() - true).abs().flatten() if alike and untouched else torch.tensor([math.inf])
        rounding = torch.finfo(fresh[0].dtype).eps / 2
        found.append(gaps.max() / rounding if len(gaps) else torch.tensor(0.0))
    return torch.stack(found)


def _same(ours: Any, theirs: Any) -> bool:
    """Tell whether two arguments are alike, tensors to the last bit."""
    if isinstance(ours, Tensor):
        return ours.dtype == theirs.dtype and torch.equal(ours, theirs)
    return bool(ours == theirs)


def most_at_one_place(indices: Iterable[Tensor]) -> int:
    """Return how often the most frequent number occurs in any of these indices."""
    return max(int(index_E.bincount().max()) for index_E in indices if len(index_E))


# Reading at an index ----------------------------------------------------------------------------------------


def odd_reads() -> list[tuple[Tensor, int, Tensor]]:
    """Draw inputs for `gather`, as (x, dim, index): none to four dims, an index that is shorter or longer."""
    draw = torch.Generator().manual_seed(SEED)
    forms = [  # the shape of x, the dim, the shape of the index
        ((), 0, ()),
        ((7,), 0, (11,)),
        ((1,), 0, (1,)),
        ((5, 3), 0, (2, 3)),
        ((5, 3), 1, (5, 7)),
        ((3, 4), 1, (1, 2)),
        ((3, 4), 0, (2, 1)),
        ((3, 4, 5), 0, (7, 2, 3)),
        ((3, 4, 5), 1, (2, 6, 3)),
        ((3, 4, 5), 2, (3, 1, 7)),
        ((2, 3, 4, 5), 2, (1, 3, 6, 4)),
        ((2, 0, 3), 0, (5, 0, 3)),
        ((3, 4), 1, (3, 0)),
    ]
    kinds = (torch.float32, torch.float64, torch.int64)
    reads = []
    for number, (shape, dim, index_shape) in enumerate(forms):
        size = shape[dim] if shape else 1
        x = LARGE + torch.randperm(math.prod(shape), generator=draw).view(shape)
        x = x if number % 3 == 2 else (x - LARGE - 3).to(kinds[number % 3]) / 7
        reads.append((x, dim, torch.randint(size, index_shape, generator=draw)))
    return reads


def reads_with_gradients() -> list[tuple[Tensor, int, Tensor, Tensor]]:
    """Draw inputs for `gather` with gradients for what it reads, which are small whole numbers."""
    draw = torch.Generator().manual_seed(SEED)
    return [
        (x.double(), dim, index, torch.randint(-9, 10, index.shape, generator=draw).double())
        for x, dim, index in odd_reads()
    ]


def there_and_back(x: Tensor, dim: int, index: Index, grad: Index) -> list[Tensor]:
    """Ask autograd for two gradients: of `gather` for its input, and of `scatter_add` for what is added.

    For the first as much comes in as the index is long, for the second as much as x is.
    """
    source = x.detach().requires_grad_()
    (of_gather,) = torch.autograd.grad(source.gather(dim, index), source, grad)
    added = torch.zeros_like(grad).requires_grad_()
    (of_adding,) = torch.autograd.grad(torch.zeros_like(x).scatter_add(dim, index, added), added, x)
    return [of_gather, of_adding]


# Labels for the scores of two samples in three classes, and what `gather` returns for them, or says.
LABELS = {
    (2, 0): "[7, 8]",
    (-1, 0): "index -1 is out of bounds for dimension 1 with size 3",
    (3, 0): "index 3 is out of bounds for dimension 1 with size 3",
    (2, 0, 1): "Size does not match at dimension 0",
}
TABLE = torch.arange(12).view(3, 4)
# Ways to index a table of 3 × 4, and how many of its numbers each names.
KEYS: dict[str, tuple[Any, int]] = {
    "x[1]": (1, 4),
    "x[2, 1]": ((2, 1), 1),
    "x[-1, 1:]": ((-1, slice(1, None)), 3),
    "x[1:]": (slice(1, None), 8),
    "x[:, ::2]": ((slice(None), slice(None, None, 2)), 6),
    "x[...]": (..., 12),
    "x[None]": (None, 12),
    "x[tensor(1)]": (torch.tensor(1), 4),
    "x[tensor([1])]": (torch.tensor([1]), 4),
    "x[[0, 2]]": ([0, 2], 8),
    "x[:, [0, 1, 2, 3]]": ((slice(None), [0, 1, 2, 3]), 12),
    "x[1:, [3]]": ((slice(1, None), [3]), 2),
    "x[x > 5]": (TABLE > 5, 6),
    "x[True]": (True, 12),
}


# Writes that meet -------------------------------------------------------------------------------------------


def _add_by_assignment(h_V: Tensor, i_E: Tensor, v_E: Tensor) -> None:
    h_V[i_E] += v_E


KEEPING_ONE: dict[str, Write] = {
    "h[i] = v": lambda h, i, v: h.__setitem__(i, v),
    "h[i] += v": _add_by_assignment,
    "h.index_put_((i,), v)": lambda h, i, v: h.index_put_((i,), v),
    "h.index_copy_(0, i, v)": lambda h, i, v: h.index_copy_(0, i, v),
    "h.scatter_(0, i, v)": lambda h, i, v: h.scatter_(0, i, v),
}
KEEPING_ALL: dict[str, Write] = {
    "h.index_put_((i,), v, accumulate=True)": lambda h, i, v: h.index_put_((i,), v, accumulate=True),
    "h.index_add_(0, i, v)": lambda h, i, v: h.index_add_(0, i, v),
    "h.scatter_add_(0, i, v)": lambda h, i, v: h.scatter_add_(0, i, v),
    "h.scatter_reduce_(0, i, v, 'sum')": lambda h, i, v: h.scatter_reduce_(0, i, v, "sum"),
}
WAYS = {**KEEPING_ONE, **KEEPING_ALL}
EXAMPLE = torch.tensor([0, 0, 2, 0])


def odd_indices() -> list[tuple[Tensor, int]]:
    """Draw indices of writes, and the number of places: no write, one place, places met often or never."""
    draw = torch.Generator().manual_seed(SEED)
    return [
        (EXAMPLE, 3),
        (torch.empty(0, dtype=torch.int64), 2),
        (torch.zeros(3, dtype=torch.int64), 1),
        (torch.randint(13, (41,), generator=draw), 13),
        (torch.randint(29, (37,), generator=draw), 29),
    ]


def aimed(index_E: Tensor, count: int) -> list[set[int]]:
    """Return for each place the numbers of the writes that are sent there."""
    sent: list[set[int]] = [set() for _ in range(count)]
    for k, place in enumerate(index_E.tolist()):
        sent[place].add(k)
    return sent


def writes_drawn(left: dict[str, list[set[int]]]) -> Cells:
    """Draw the values that are written, and behind them the places to which arrows lead them, for each way.

    A value is lost where what is left in its place lacks it.
    """
    sent: list[int] = EXAMPLE.tolist()
    rows, arrows = list[Row](), list[Arrow]()
    told = {1: "a value on its way", WARN: "one that is overwritten", 2: "what h[0], h[1] and h[2] hold then"}
    for way, places in left.items():
        values = [Cell(f"{2**k}", 1 if k in places[place] else WARN) for k, place in enumerate(sent)]
        sums = [Cell(f"{sum(2**k for k in kept)}", 2) for kept in places]
        for k, place in enumerate(sent):
            here = k in places[place]
            arrows.append(Arrow(len(rows), k, len(sent) + place, "" if here else "lost", 1 if here else WARN))
        rows.append(Row(way, [*values, *sums]))
    return Cells(rows, arrows, legend=told)


class Meeting(NamedTuple):
    """Numbers that stand in a row, and others that are sent to its places."""

    h_V: Tensor
    index_E: Tensor
    value_E: Tensor


REDUCTIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "prod": math.prod,
    "mean": lambda numbers: sum(numbers) / len(numbers),
    "amax": max,
    "amin": min,
}


def odd_meetings() -> list[Meeting]:
    """Draw small whole numbers, of which every sum and every product is exact."""
    draw = torch.Generator().manual_seed(SEED)
    met = [Meeting(torch.tensor([7.0, 5.0, 3.0, 2.0]), EXAMPLE, torch.tensor([1.0, 2.0, 5.0, 6.0]))]
    for index_E, count in odd_indices():
        h_V = torch.randint(-9, 10, (count,), generator=draw).double()
        met.append(Meeting(h_V, index_E, torch.randint(-9, 10, index_E.shape, generator=draw).double()))
    return met


def reduced(how: str, include_self: bool, meeting: Meeting) -> Tensor:
    """Let numbers meet with those that stand in a row already."""
    met_V = meeting.h_V.scatter_reduce(0, meeting.index_E, meeting.value_E, how, include_self=include_self)
    return met_V


def reduced_rows(meeting: Meeting) -> list[list[str]]:
    """Return what each reduction makes of a meeting, with what stood there before and without."""

    def numbers(how: str, include_self: bool) -> str:
        return " ".join(f"{number:g}" for number in reduced(how, include_self, meeting).tolist())

    return [[how, *(numbers(how, include_self) for include_self in (True, False))] for how in REDUCTIONS]


def by_hand(how: str, include_self: bool, meeting: Meeting) -> list[float]:
    """Reduce what meets in each place, in Python."""
    met: list[list[float]] = [[] for _ in meeting.h_V]
    for place, value in zip(meeting.index_E.tolist(), meeting.value_E.tolist(), strict=True):
        met[place].append(value)
    return [
        REDUCTIONS[how]([before, *values] if include_self or not values else values)
        for before, values in zip(meeting.h_V.tolist(), met, strict=True)
    ]


def looked_up(table_VD: Tensor, index_E: Tensor) -> Tensor:
    """Look rows of a table up, as an embedding does."""
    row_ED = functional.embedding(index_E, table_VD)
    return row_ED


def handed_back(index_E: Tensor, grad_V: Tensor) -> tuple[Tensor, list[float]]:
    """Differentiate `scatter` by the values that it writes: by autograd, and by moving each value by 1."""
    value_E = torch.arange(1.0, len(index_E) + 1, dtype=torch.float64).requires_grad_()
    result_V = torch.zeros_like(grad_V).scatter(0, index_E, value_E)
    (by_autograd_E,) = torch.autograd.grad(result_V, value_E, grad_V)
    by_moving = []
    for moved_E in value_E.detach() + torch.eye(len(index_E), dtype=torch.float64):
        change_V = torch.zeros_like(grad_V).scatter(0, index_E, moved_E) - result_V.detach()
        by_moving.append(float(grad_V @ change_V))
    return by_autograd_E, by_moving


# Graphs -----------------------------------------------------------------------------------------------------


def odd_graphs(nodes: int, edges: int, features: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Draw graphs as (h, source, destination): edges that are there twice, lonely nodes, no edges."""
    draw = torch.Generator().manual_seed(SEED)

    def graph(nodes: int, edges: int, features: int) -> tuple[Tensor, Tensor, Tensor]:
        h_VD = torch.randint(-99, 100, (nodes, features), generator=draw)
        source_E = torch.randint(nodes, (edges,), generator=draw)
        destination_E = torch.randint(max(nodes - 1, 1), (edges,), generator=draw)
        twice = edges // 3
        source_E[edges - twice :], destination_E[edges - twice :] = source_E[:twice], destination_E[:twice]
        return h_VD, source_E, destination_E

    large_VD, source_E, destination_E = graph(nodes, edges, features)
    small_VD, *few = graph(5, 13, 3)
    return [
        (large_VD.float(), source_E, destination_E),
        (large_VD.double(), source_E, destination_E),
        (LARGE + small_VD, few[0], few[1]),
        graph(7, 0, 2),
        graph(1, 3, 1),
    ]


def dense_sum(h_VD: Tensor, source_E: Tensor, destination_E: Tensor) -> Tensor:
    """Multiply by the matrix that counts the edges from one node to another."""
    adjacency_VV = torch.zeros(len(h_VD), len(h_VD), dtype=h_VD.dtype)
    for source, destination in zip(source_E.tolist(), destination_E.tolist(), strict=True):
        adjacency_VV[destination, source] += 1
    return adjacency_VV @ h_VD


def messages_by_loop(h_VD: Tensor, source_E: Tensor, destination_E: Tensor) -> Tensor:
    """Add up what the neighbours know edge by edge."""
    added_VD = torch.zeros_like(h_VD)
    for source, destination in zip(source_E.tolist(), destination_E.tolist(), strict=True):
        added_VD[destination] += h_VD[source]
    return added_VD


def odd_scores() -> list[tuple[Tensor, Tensor, int]]:
    """Draw scores, their segments and how many segments there are: far from 0, unsorted, alone, none."""
    draw = torch.Generator().manual_seed(SEED)
    segment_E = torch.randint(6, (31,), generator=draw)
    scores_E = 4 * torch.randn(31, generator=draw, dtype=torch.float64)
    far_E = scores_E + torch.tensor([1000.0, -1000.0, 0.0, -1000.0, 1000.0, 30.0])[segment_E]
    low = torch.full((3,), -1000.0)
    return [
        (scores_E.float(), segment_E, 7),
        (scores_E, segment_E, 7),
        (far_E.float(), segment_E, 8),
        (low, torch.tensor([0, 2, 0]), 3),
        (torch.tensor([-1000.0, 1000.0]), torch.tensor([1, 1]), 2),
        (torch.tensor([5.0]), torch.tensor([0]), 1),
        (torch.empty(0), torch.empty(0, dtype=torch.int64), 4),
    ]


def softmax_one_by_one(scores_E: Tensor, segment_E: Tensor, count: int) -> Tensor:
    """Take torch's softmax of each segment by itself, in float64."""
    weight_E = torch.empty(len(scores_E), dtype=torch.float64)
    for segment in range(count):
        weight_E[segment_E == segment] = torch.softmax(scores_E.double()[segment_E == segment], 0)
    return weight_E


def roundings_of_softmax() -> Tolerance:
    """Bound the error of a weight, and of the truth beside it: float32 or float64 round alike."""
    most = most_at_one_place(segment_E for _, segment_E, _ in odd_scores())
    why = f"in roundings: on either side {most} of a sum, 2 of each exponential, 2 of difference and quotient"
    return Tolerance(2 * (most + 6), why)


# Q-learning -------------------------------------------------------------------------------------------------


def odd_updates() -> list[tuple[Tensor, Tensor, Tensor, Tensor, float]]:
    """Draw tables of values with experiences: pairs that repeat, one state with two actions, none at all."""
    draw = torch.Generator().manual_seed(SEED)

    def update(states: int, actions: int, batch: int, rate: float, dtype: torch.dtype) -> Any:
        q_SA = 2 * torch.rand(states, actions, generator=draw, dtype=dtype) - 1
        s_B = torch.randint(states, (batch,), generator=draw)
        a_B = torch.randint(actions, (batch,), generator=draw)
        target_B = 4 * torch.rand(batch, generator=draw, dtype=dtype) - 2
        return q_SA, s_B, a_B, target_B, rate

    return [
        update(7, 3, 29, 0.3, torch.float32),
        update(7, 3, 29, 0.3, torch.float64),
        update(5, 4, 3, 0.7, torch.float64),
        update(2, 3, 0, 0.5, torch.float32),
        update(1, 1, 5, 1.0, torch.float64),
    ]


def updated_one_by_one(q_SA: Tensor, s_B: Tensor, a_B: Tensor, target_B: Tensor, rate: float) -> Tensor:
    """Collect the gaps of each pair, and move it by their mean, in fractions, which are not rounded."""
    q = [[Fraction(value) for value in row] for row in q_SA.tolist()]
    gaps: dict[tuple[int, int], list[Fraction]] = {}
    for s, a, target in zip(s_B.tolist(), a_B.tolist(), target_B.tolist(), strict=True):
        gaps.setdefault((s, a), []).append(Fraction(target) - q[s][a])
    for (s, a), found in gaps.items():
        q[s][a] += Fraction(rate) * sum(found) / len(found)
    return torch.tensor([[float(value) for value in row] for row in q], dtype=torch.float64)


def roundings_of_update() -> Tolerance:
    """Bound the error of a value that was moved by a mean of gaps below 3."""
    most = most_at_one_place(s_B * q_SA.shape[1] + a_B for q_SA, s_B, a_B, *_ in odd_updates())
    why = f"in roundings: a sum of {most}, gap, rate, step and mean below 3, and two numbers below 2"
    return Tolerance(3 * (most + 3) + 4, why)


class GridWorld(NamedTuple):
    """Fields to walk on: for each field and direction the next field, and the reward."""

    next_SA: Tensor
    reward_SA: Tensor
    cols: int

    @classmethod
    def of(cls, rows: int, cols: int) -> "GridWorld":
        """Lay out fields in rows. The last one is the goal, which nobody leaves; at the border one stays."""
        goal = rows * cols - 1
        next_SA = torch.empty(rows * cols, 4, dtype=torch.int64)
        for s in range(rows * cols):
            for a, (down, right) in enumerate(((-1, 0), (1, 0), (0, -1), (0, 1))):
                row, col = s // cols + down, s % cols + right
                inside = 0 <= row < rows and 0 <= col < cols and s != goal
                next_SA[s, a] = row * cols + col if inside else s
        reward_SA = (next_SA == goal).double()
        reward_SA[goal] = 0
        return cls(next_SA, reward_SA, cols)


def learned(world: GridWorld, update: Update, batch: int, steps: int) -> list[Tensor]:
    """Learn the value of each action from batches, and keep the table after each.

    A batch holds every pair once, and others drawn at random. Each experience has the target

        target = reward + discount · max over a' of q[s', a']
    """
    q_SA = torch.zeros_like(world.reward_SA)
    pairs, actions = torch.arange(q_SA.numel()), q_SA.shape[1]
    tables = []
    for _ in range(steps):
        drawn_B = torch.cat([pairs, torch.randint(len(pairs), (batch - len(pairs),))])
        s_B, a_B = drawn_B // actions, drawn_B % actions
        best_B = q_SA.amax(1)[world.next_SA[s_B, a_B]]
        target_B = world.reward_SA[s_B, a_B] + DISCOUNT * best_B
        q_SA = update(q_SA, s_B, a_B, target_B, RATE)
        tables.append(q_SA)
    return tables


def distances(tables: list[Tensor], true_SA: Tensor) -> list[float]:
    """Return how far each table is from the true one, where it is furthest."""
    return [float((q_SA - true_SA).abs().max()) for q_SA in tables]


def logarithms(gaps: list[float]) -> list[float]:
    """Return the exponents of ten, of 0 that of half a rounding of 1."""
    return [math.log10(max(gap, 2**-54)) for gap in gaps]


def value_iteration(world: GridWorld) -> Tensor:
    """Compute the true values: put the equation's right side in place of its left until nothing changes."""
    q_SA = torch.zeros_like(world.reward_SA)
    while True:
        better_SA = world.reward_SA + DISCOUNT * q_SA.amax(1)[world.next_SA]
        if torch.equal(better_SA, q_SA):
            return q_SA
        q_SA = better_SA
