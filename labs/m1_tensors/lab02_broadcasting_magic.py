"""Lab 02 · Broadcasting magic · Magia rozgłaszania

Question:
    How does a vector add to a matrix with no loop and no copy?

You will see:
    - The rule by which two shapes fit. You can write it yourself; it agrees with torch 1000 times of 1000.
    - A vector that stands in every row without a byte more, and a product that copies both of its operands.
    - A point that lies a quarter away from itself, and a loss that falls while nothing is learnt.

Run:
    make lab-02
    python -m labs.m1_tensors.lab02_broadcasting_magic --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 01 for strides, storages and the rule for `view`

Remember:
    Compare two shapes from the right: sizes must be equal, or one of them 1. Nothing is copied as long as the
    kernel can read with a stride of 0, which a sum can and a product with several batch dims cannot. The
    gradient of a broadcast is a sum over what was stretched. Distances by broadcasting cost a cube of memory,
    those by a product cost digits, unless you centre the points. Keep (N,) and (N, 1) apart, and assert
    shapes before a loss. This lab does not show how a compiler fuses such chains; lab 33 does. Next comes lab
    03, in which dims have letters.

Sources:
    - PyTorch notes, Broadcasting semantics: https://docs.pytorch.org/docs/stable/notes/broadcasting.html
    - PyTorch documentation, torch.cdist: https://docs.pytorch.org/docs/stable/generated/torch.cdist.html
    - N. Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 1.7, on cancellation:
      https://doi.org/10.1137/1.9780898718027

Notebook:
    02_Broadcasting_Magic.ipynb
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

import torch
from torch import Tensor

from labs.kit import Lab, Tolerance, exercise, main
from labs.kit.draw.diagrams import Bars
from labs.kit.measure.memory import peak_bytes
from labs.kit.measure.timing import seconds
from labs.m1_tensors._lab02_helpers import (
    BY_DIFFERENCES,
    BY_PRODUCT,
    PRODUCTS,
    Reads,
    Shape,
    asked_of_torch,
    bytes_by_rule,
    cloud,
    fitting,
    gradient_of_sum,
    kept_and_peak,
    mode_taken,
    moved,
    note_of,
    odd_clouds,
    operands,
    random_pairs,
    regression,
    rounding_of,
    said_of_the_bug,
    self_distance,
    shape_of_sum,
    slopes_of_products,
    told,
)

# Shape letters: R rows and C columns of a table; N points, or samples, of D numbers each; M other points.


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    pairs: int = 1000  # random pairs of shapes on which the rule is tried
    rows: int = 1024  # rows R of the table to which a vector is added
    cols: int = 1021  # columns C of that table
    points: int = 600  # points N of which all distances are computed
    others: int = 700  # points M to which they are computed
    dims: int = 64  # numbers D of a point

    @classmethod
    def smoke(cls) -> "Config":
        return cls(pairs=100, rows=60, cols=67, points=61, others=73, dims=16)


@exercise(
    "Lay the two shapes one under the other so that their last sizes meet. Which pairs of sizes fit?",
    "Walk both from the right, with a 1 where the shorter one has nothing. Two sizes fit when they are equal "
    "or one is 1; the result takes the size that is not the 1, a 0 too.",
    "`for one, other in zip_longest(a[::-1], b[::-1], fillvalue=1)`: if they differ and neither is 1, return "
    "None; else put `other if one == 1 else one` in front of what you have.",
    contract="""
        `a` and `b` are two shapes: tuples of any number of sizes, 0 among them. Return the shape of the sum
        of two such tensors, as a tuple, or None where torch refuses. Ask no tensor for it.

        >>> broadcast_shape((3, 1), (4,)), broadcast_shape((3, 4), (3,))
        ((3, 4), None)
        """,
    insight="It is not the larger size that wins: a 0 beats a 1, and a 2 is not repeated to fill a 4.",
)
def broadcast_shape(a: Shape, b: Shape) -> Shape | None:
    """Find the shape of a sum from the shapes of its operands.

    From the right, with 1 in the place of what is missing, each pair of sizes gives

        (n, n) → n      (1, n) → n      (n, 1) → n      anything else → refused
    """
    shape: Shape = ()
    for one, other in zip_longest(a[::-1], b[::-1], fillvalue=1):
        if one != other and 1 not in (one, other):
            return None
        shape = (other if one == 1 else one, *shape)
    return shape


def which_fit(cfg: Config, lab: Lab) -> None:
    """Which shapes fit together?

    A table has three rows and four columns. You add one number for each column, `table + v`, and it works.
    You add one number for each row, and torch refuses, although there are three rows and three numbers. What
    is the difference?

    A dim has no name, so torch can only go by position, and it begins at the right. Under (3, 4) the shape
    (4,) puts its 4 below the 4. The shape (3,) puts its 3 below the 4, too. Two sizes fit if they are equal,
    or if one of them is 1; then the 1 gives way to the other. Where one shape is shorter, a 1 is put in
    front. So three numbers for three rows have to be a column, of shape (3, 1).

    It is not the larger size that wins. A 1 gives way to a 0 as well: a table without rows, plus one row, has
    no rows. Nor is a 2 repeated to fill a 4. We ask torch about random pairs of shapes, of up to four dims.
    """
    small = (((3, 4), (4,)), ((3, 4), (3,)), ((3, 4), (3, 1)), ((3, 1), (4,)), ((0, 4), (1, 4)), ((4,), (2,)))
    shown = [(a, b, lab.step(broadcast_shape, a, b), asked_of_torch(a, b)) for a, b in small]
    rows = [[str(cell or "refused") for cell in row] for row in shown]
    lab.table("What two shapes give", ["shape", "and", "by the rule", "by torch"], rows)
    lab.raises(
        "02.refused",
        "A vector of three numbers is not added to a table of three rows and four columns.",
        partial(shape_of_sum, (3, 4), (3,)),
        RuntimeError,
        "The size of tensor a (4) must match the size of tensor b (3) at non-singleton dimension 1",
        because="from the right 3 meets 4, they differ, and neither is 1",
    )
    pairs = lab.step(random_pairs, cfg.pairs)
    by_rule = [lab.step(broadcast_shape, a, b) for a, b in pairs]
    by_torch = [asked_of_torch(a, b) for a, b in pairs]
    lab.equal(
        "02.rule",
        "The rule by hand and torch agree on each pair of shapes, where torch refuses as well.",
        by_rule,
        by_torch,
        unit="pairs",
        because=f"torch grants {len(fitting(pairs))} of them and refuses {by_torch.count(None)}",
    )


def stretched(x: Tensor, shape: Shape) -> Tensor:
    """Read a small tensor as if it had a large shape.

    The address of an element counts only those dims that are really there:

        stride = 0 for a dim that is new or of size 1, else as before
    """
    new = len(shape) - x.dim()
    strides = [0 if size == 1 else step for size, step in zip(x.shape, x.stride(), strict=True)]
    view = x.as_strided(shape, [0] * new + strides, x.storage_offset())
    return view


def four_ways(x_RC: Tensor, v_C: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Stretch a vector to a table in two ways, and add it to a table in two ways."""
    rows = len(x_RC)
    ways: dict[str, Callable[[], Tensor]] = {
        "v.expand": lambda: v_C.expand(rows, -1),
        "v.repeat": lambda: v_C.repeat(rows, 1),
        "x + v": lambda: x_RC + v_C,
        "x + v.repeat": lambda: x_RC + v_C.repeat(rows, 1),
    }
    return ways


def no_copy(cfg: Config, lab: Lab) -> None:
    """How can a vector stand in every row without being copied?

    The rule says what fits. It does not say where the missing rows come from. If torch wrote the vector down
    once for each row, then adding it to a table would cost the memory of a second table.

    Lab 01 has the answer: a tensor is a storage and a note on how to read it. In a dim that is stretched the
    stride is 0: the index grows, and the address stays where it is. Take x of shape (4, 1) and y of shape
    (1, 5). For the sum at (i, j) torch reads x at the address i·1 + j·0, and y at i·0 + j·1. Nine numbers lie
    in memory, and they are read forty times.

    `expand` writes such a note and does nothing else. `repeat` returns the same numbers, but writes all of
    them down. The kernel behind `+` takes notes with a stride of 0 as they are. We write the note by hand for
    all pairs of shapes that fit, over whole numbers above 2⁴⁰, and then let the allocator count.
    """
    drawn = operands(fitting(lab.step(random_pairs, cfg.pairs)))
    by_hand = [(lab.step(stretched, x, shape), lab.step(stretched, y, shape)) for x, y, shape in drawn]
    by_torch = [(x.expand(shape), y.expand(shape)) for x, y, shape in drawn]
    lab.equal(
        "02.stride-0",
        "A stretched dim has the stride 0 over the old storage, every other dim keeps its stride, and two "
        "operands read so have the sum that broadcasting gives.",
        [(note_of(x), note_of(y), x + y) for x, y in by_hand],
        [(*map(note_of, views), x + y) for views, (x, y, _) in zip(by_torch, drawn, strict=True)],
        unit="pairs of operands",
    )
    x_RC, v_C = torch.rand(cfg.rows, cfg.cols), torch.rand(cfg.cols)
    ways = lab.step(four_ways, x_RC, v_C)
    measured = [kept_and_peak(way) for way in ways.values()]
    taken = [kept for kept, _ in measured[:2]] + [peak for _, peak in measured[2:]]
    lab.equal(
        "02.bytes",
        "`v.expand` allocates nothing, `v.repeat` a whole table, and `x + v` nothing but its result.",
        [*taken, *(way().shape for way in ways.values())],
        [0, x_RC.nbytes, x_RC.nbytes, 2 * x_RC.nbytes, *[x_RC.shape] * 4],
        cases=len(ways),
        unit="ways",
        because=f"a table has R·C·4 = {x_RC.nbytes:,} bytes, and `x + v.repeat` holds two: v's and the sum",
    )
    x, y = torch.tensor([[10.0], [20], [30], [40]]), torch.tensor([[1.0, 2, 3, 4, 5]])
    reads = Reads(lab.step(stretched, x, (4, 5)), lab.step(stretched, y, (4, 5)))
    bars = Bars({name: {"": size} for name, size in zip(ways, taken, strict=True)})
    lab.diagram("Nine numbers that are read forty times, and the bytes that a vector takes", reads, bars)


PRODUCT_GUESSES = {
    "2 MiB": "So it would be for a sum, whose kernel reads with strides of 0. `bmm` wants one batch dim.",
    "2.4 MiB": "That is the result and both operands as they are. But those lie in memory already.",
    "4 MiB": "That is one copy. Neither of the two has its batch dims in a form that can be merged.",
    "6 MiB": "**Yes.** The result, and 128 matrices for each operand, where 16 and 8 lay in memory.",
}


def products(cfg: Config, lab: Lab) -> None:
    """Is a matrix product as free as a sum?

    Sixteen matrices are to be multiplied by eight others, each with each. Their shapes are (16, 1, 64, 64)
    and (8, 64, 64), and `a @ b` has all 128 products, in the shape (16, 8, 64, 64). Strides of 0 stretch
    either operand to 128 matrices. So far nothing is copied.

    But `@` hands them to `bmm`, a kernel with a single batch dim. So 16 and 8 must become 128, by a
    `reshape`. Lab 01 says when that is a view: `stride[i] == size[i+1] * stride[i+1]`. The batch strides of a
    are 4096 and 0, and 4096 is not 8 · 0. Those of b are 0 and 4096, and 0 is not 8 · 4096. So `reshape` does
    what it does in such a case, without a word. It copies: both operands, in full.

    Where every batch dim is stretched the merge is a view again, for 0 is 8 · 0, and a single batch dim needs
    no merging. We let the allocator count for nine pairs of shapes.
    """
    question = "`a` is (16, 1, 64, 64), `b` is (8, 64, 64), in float32. What is the peak of `a @ b`?"
    lab.predict("02.products", question, PRODUCT_GUESSES, answer="6 MiB")
    pairs = [(torch.rand(a), torch.rand(b)) for a, b in PRODUCTS]
    peaks = [peak_bytes(partial(torch.matmul, x, y)) for x, y in pairs]
    results = [(x @ y).nbytes for x, y in pairs]
    rows = [(a, b, size, peak - size) for (a, b), size, peak in zip(PRODUCTS, results, peaks, strict=True)]
    lab.table("What a product allocates", ["shape", "times", "result, bytes", "copies, bytes"], rows)
    lab.equal(
        "02.products",
        "A matrix product copies in full each operand whose stretched batch dims no view can merge.",
        peaks,
        [lab.step(bytes_by_rule, x, y) for x, y in pairs],
        unit="products",
        because="16·8·64·64·4 bytes are 2 MiB, and the first product has three such blocks",
    )
    a, b = torch.rand(16, 64, 64), torch.rand(8, 64, 64)
    joined = peak_bytes(lambda: torch.einsum("aik,bkj->abij", a, b))
    lab.say(
        "Each with each is really one product, of 16·64 rows with 8·64 columns. Written so, as "
        f'`torch.einsum("aik,bkj->abij", a, b)`, it needs {joined / 2**20:.2f} MiB for what took 6.'
    )


@exercise(
    "Which numbers of the large tensor were read from one and the same number of the small one?",
    "Sum over the dims that were added in front, and over those in which the small shape has a 1. The result "
    "must have the small shape, its ones too.",
    "As often as `grad` has a dim too many, `grad = grad.sum(0)`. Then for each dim with `shape[dim] == 1`, "
    "`grad = grad.sum(dim, keepdim=True)`.",
    contract="""
        `grad` is the gradient of a broadcast result, of float32, float64 or int64, and `shape` the shape of
        an operand that was stretched to it. Return the operand's gradient, in that shape and in the dtype of
        `grad`, which stays as it is.

        >>> unbroadcast(torch.ones(2, 3), (1, 3))
        tensor([[2., 2., 2.]])
        """,
    insight="torch calls it `sum_to_size`. Every backward pass of an operator that broadcasts ends with it.",
)
def unbroadcast(grad: Tensor, shape: Shape) -> Tensor:
    """Bring the gradient of a broadcast result back to the shape of an operand.

    What many results read from one number comes back to it as a sum:

        ∂L/∂vₖ = Σ ∂L/∂yᵢ over all i that read vₖ
    """
    summed = grad
    for _ in range(grad.dim() - len(shape)):
        summed = summed.sum(0)
    for dim, size in enumerate(shape):
        if size == 1:
            summed = summed.sum(dim, keepdim=True)
    return summed


def backward(cfg: Config, lab: Lab) -> None:
    """What comes back to a number that was read many times?

    A bias of four numbers is added to three rows. Move its first number by 1, and three results move by 1. If
    the gradients 1, 10 and 100 come in for these three, then the loss moves by 111. So the gradient of a
    broadcast operand is a *sum* over all the places that read it, and no mean.

    Stretching is linear, so it is a matrix in disguise, of zeros and ones, with a row for each result. The
    backward pass multiplies by the transpose of that matrix, which collects what was spread. It works the
    other way round, too: the transpose of summing is stretching. If y = x.sum(), then the gradient of x is
    one number, the same everywhere, and torch has no reason to write it down for each element of x.

    We multiply two operands, send a random gradient in, and bring what comes back to either shape by hand.
    """
    grad_RC = torch.tensor([[1, 2, 3, 4], [10, 20, 30, 40], [100, 200, 300, 400]])
    small = [(shape, lab.step(unbroadcast, grad_RC, shape).tolist()) for shape in ((4,), (3, 1), ())]
    lab.table("1 2 3 4 | 10 20 30 40 | 100 200 300 400 comes in", ["operand", "its gradient"], small)
    arrived = lab.step(slopes_of_products, fitting(lab.step(random_pairs, cfg.pairs)))
    before = [product.clone() for product, _ in arrived]
    by_hand = [lab.step(unbroadcast, product, tuple(slope.shape)) for product, slope in arrived]
    lab.equal(
        "02.gradient",
        "The gradient of a broadcast factor is the incoming gradient times the other factor, summed over all "
        "that was stretched.",
        [*by_hand, *(product for product, _ in arrived)],
        [*(slope for _, slope in arrived), *before],
        cases=len(arrived),
        unit="gradients",
        because="half of them float64, half int64; sums of whole numbers below 2⁵³ are exact in any order",
    )
    x_RC = torch.rand(cfg.rows, cfg.cols)
    of_R, of_C, one = torch.rand(cfg.rows), torch.rand(cfg.cols), torch.rand(())
    slopes = [lab.step(gradient_of_sum, x_RC, *sum_) for sum_ in (((0, 1), one), ((1,), of_R), ((0,), of_C))]
    expanded = [one.expand_as(x_RC), of_R[:, None].expand_as(x_RC), of_C.expand_as(x_RC)]
    lab.equal(
        "02.sum",
        "The gradient of a sum is the incoming gradient itself, read with the stride 0 where it was summed.",
        [*slopes, *map(note_of, slopes)],
        [*expanded, *map(note_of, expanded)],
        cases=len(slopes),
        unit="sums",
        because="summed over all dims, it lies in the 4 bytes of the one number that came in",
    )
    lab.say(f"A gradient of {x_RC.nbytes:,} bytes took 4. Only `backward()` writes it out, into `x.grad`.")


def by_differences(x_ND: Tensor, y_MD: Tensor) -> Tensor:
    """Take all differences at once, an (N, M, D) cube, and sum up their squares."""
    squares_NM = (x_ND[:, None] - y_MD).square().sum(-1)
    return squares_NM


@exercise(
    "|x − y|² = |x|² + |y|² − 2·x·y: which of the three terms is a matrix product, and what shapes have the "
    "other two?",
    "A distance does not change when all points move together. Move them to their common mean first, and the "
    "norms are small. Rounding may leave a little less than 0.",
    "With `centre_D = torch.cat([x_ND, y_MD]).mean(0)` subtracted from both, add `(N, 1)` and `(M,)` norms, "
    "subtract `2 * x_ND @ y_MD.t()`, and end with `clamp(min=0)`.",
    contract="""
        `x_ND` and `y_MD` are points of one floating dtype, D numbers each; both stay as they are. Return the
        squared distance of every x to every y, of shape (N, M), none below 0. Hold at no time more than four
        numbers for a pair, beside a few copies of x and y. Far away from the origin be as exact as near it.

        >>> squared_distances(torch.tensor([[0.0], [3.0]]), torch.tensor([[6.0]]))
        tensor([[36.],
                [ 9.]])
        """,
    insight="`cdist` takes the same short cut, without centring and without a word, from 26 points on.",
)
def squared_distances(x_ND: Tensor, y_MD: Tensor) -> Tensor:
    """Compute all squared distances with one matrix product.

    The cube is not needed, once the square is multiplied out:

        |x − y|² = |x|² + |y|² − 2·x·y
    """
    centre_D = torch.cat([x_ND, y_MD]).mean(0)
    x_ND, y_MD = x_ND - centre_D, y_MD - centre_D
    norms_NM = x_ND.square().sum(1, keepdim=True) + y_MD.square().sum(1)
    squares_NM = (norms_NM - 2 * x_ND @ y_MD.t()).clamp(min=0)
    return squares_NM


def all_distances(cfg: Config, lab: Lab) -> None:
    """What does it cost to compute all distances at once?

    Nearest neighbours, clusters and kernels begin with the distances of N points to M others. Broadcasting
    makes one line of it, `(x[:, None] - y).square().sum(-1)`: the shapes (N, 1, D) and (M, D) fit, and both
    operands are read with strides of 0. Is it free, then?

    The operands are. The result is not: it is a cube of N·M·D differences, of which the sum keeps one number
    in D. Squaring makes a second cube before the first is gone. What is read by a stride of 0 costs nothing;
    what is computed from it is as large as its shape says.

    So multiply out: |x − y|² = |x|² + |y|² − 2·x·y. The first two terms are a column and a row, which
    broadcast to a table (N, M). The third is a matrix product. No cube appears anywhere. `cdist` takes one of
    these two ways, and the next part asks which.
    """
    clouds = odd_clouds()
    found = [lab.step(squared_distances, x, y) for x, y in clouds]
    found += [lab.step(by_differences, x, y) for x, y in clouds] + [torch.cdist(x, y) ** 2 for x, y in clouds]
    off = [rounding_of(squares, *pair) for squares, pair in zip(found, odd_clouds() * 3, strict=True)]
    lab.close(
        "02.distances",
        "Differences, one matrix product and `cdist` give the same squared distances.",
        [*off, moved(clouds)],
        [0.0] * (len(off) + 1),
        within=Tolerance(1, "in units of (D + 10)·u·(‖x‖ + ‖y‖)²: D products, ten more roundings, u = 2⁻⁵³"),
    )
    x_ND, y_MD = cloud(cfg.points, cfg.dims, 0), cloud(cfg.others, cfg.dims, 0)
    cube, product = partial(by_differences, x_ND, y_MD), partial(squared_distances, x_ND, y_MD)
    lab.bytes(
        "02.cube",
        "The difference form holds two cubes at once, of the differences and of their squares.",
        peak_bytes(cube),
        want=4 * 2 * cfg.points * cfg.others * cfg.dims,
        because="2·N·M·D·4 bytes; the result comes when the first cube is gone, and is smaller",
    )
    lab.bytes(
        "02.flat",
        "The matrix form holds at most four numbers for each pair, beside four copies of the points.",
        peak_bytes(product),
        at_least=4 * cfg.points * cfg.others,
        at_most=16 * (cfg.points * cfg.others + (cfg.points + cfg.others) * cfg.dims),
        because="N·M·4 bytes are the result alone; four tables and four copies are 4·(N·M + (N + M)·D)·4",
    )
    lab.ratio(
        "02.cube-time",
        "The difference form takes at least twice as long as the matrix form.",
        cube,
        product,
        at_least=2,
        because="4·N·M·D numbers pass by against 7·N·M, 36 × for D = 64. We ask for 2 ×, as `@` multiplies",
    )
    ways = {"differences": cube, "matrix form": product, "cdist": partial(torch.cdist, x_ND, y_MD)}
    rows = [(name, peak_bytes(way), 1e3 * seconds(way, 3)) for name, way in ways.items()]
    lab.table(f"Distances of {cfg.points} to {cfg.others} points", ["by", "peak, bytes", "ms"], rows)


ITSELF_GUESSES = {
    "0": "So it is with up to 25 points, for which `cdist` takes differences, and x − x is 0.",
    "about 10⁻⁶": "So near 1 a float32 would end. But what is rounded here is |x|², near 160,000.",
    "about 10⁻³": "That is what is left near the origin, where |x|² is about 5.",
    "about 0.25": "**Yes.** Floats near 160,000 are 1/64 apart. Four such steps are 1/16, the square of 1/4.",
}


def lost_digits(cfg: Config, lab: Lab) -> None:
    """Where do the digits go?

    How far is a point from itself? Ask `cdist` about 200 points whose coordinates lie near 100, in float32.

    A float32 has 24 bits. In 16 dims such a point has |x|² ≈ 16 · 100² = 160,000, and there neighbouring
    floats are 1/64 apart. The matrix form computes |x|² + |x|² − 2·x·x, three large numbers, each of them
    rounded, and subtracts. The subtraction makes no mistake; it shows the mistakes that were made before.
    This is called *cancellation*. What is left over, a few of these steps, is nothing beside 160,000. As a
    squared distance it is all there is.

    Whoever subtracts first and squares later gets x − x = 0 before anything is rounded. That is a mode of
    `cdist`, but as soon as there are more than 25 points on one side, it takes the matrix form by itself. And
    the matrix form can be saved. Distances do not change when all points move together, so move their common
    mean to 0, and no square is large any more.
    """
    question = "`x` is 200 points near 100 in 16 dims. How far is one from itself, by `cdist(x, x)`?"
    lab.predict("02.cancellation", question, ITSELF_GUESSES, answer="about 0.25")
    x_ND, y_MD = cloud(200, 16, 100), cloud(170, 16, 100)
    lab.count(
        "02.cancellation",
        "At the offset 100 `cdist` finds a distance between a point and itself.",
        self_distance(x_ND),
        at_least=2**-4.5,
        at_most=(104 * 2**-24 * 16 * 101**2) ** 0.5,
        because="its square is one step of 2⁻⁹ at least, and (18·4 + 2·16) roundings of 2⁻²⁴·16·101² at most",
    )
    sizes = ((25, 25), (26, 25), (25, 26), (1, 26), (26, 1), (1, 25), (200, 170))
    lab.equal(
        "02.26-points",
        "`cdist` takes differences for up to 25 points on both sides, and the matrix form from 26 on.",
        [lab.step(mode_taken, x_ND[:count], y_MD[:others]) for count, others in sizes],
        [BY_PRODUCT if max(size) > 25 else BY_DIFFERENCES for size in sizes],
        unit="pairs of sets",
        because="it gives the same bits as when told to, and other bits than when told the other",
    )
    signs_D = torch.tensor([1.0, -1.0]).repeat(8)
    pairs = [(x_ND, y_MD), (x_ND, x_ND), (x_ND[:1, :2], y_MD[:2, :2]), (x_ND * signs_D, y_MD * signs_D)]
    found = [lab.step(squared_distances, x, y).sqrt().square() for x, y in pairs]
    found += [torch.cdist(x, y, compute_mode=BY_DIFFERENCES).square() for x, y in pairs]
    lab.close(
        "02.centred",
        "Differences, or points that were centred, lose no more digits at the offset 100 than at the origin.",
        [rounding_of(squares, *pair, from_mean=True) for squares, pair in zip(found, pairs * 2, strict=True)],
        [0.0] * len(found),
        within=Tolerance(1, "in units of (D + 10)·2⁻²⁴·(‖x − c‖ + ‖y − c‖)², c being the mean of all"),
    )
    offsets = (1, 3, 10, 30, 100, 300, 1000)
    clouds = [cloud(200, 16, offset) for offset in offsets]
    centred = [squared_distances(x, x).diagonal().max().relu().sqrt().item() for x in clouds]
    series = {"cdist": [self_distance(x) for x in clouds], "matrix form, centred": centred}
    labels = {"x_label": "offset", "y_label": "distance"}
    lab.plot("The largest distance from a point to itself", offsets, series, **labels, log_x=True, log_y=True)


def mean_square(y: Tensor, t: Tensor) -> Tensor:
    """Take the mean of the squared errors of predictions y and targets t, as everybody writes it."""
    errors = y - t
    return errors.square().mean()


def fitted(x_ND: Tensor, t: Tensor, steps: int) -> Tensor:
    """Fit weights and a bias, in this order, by gradient descent; the predictions are a column (N, 1)."""
    weights_D = torch.zeros(x_ND.shape[1] + 1, dtype=x_ND.dtype)
    for _ in range(steps):
        weights_D = weights_D.detach().requires_grad_()
        y_N1 = x_ND @ weights_D[:-1, None] + weights_D[-1]
        (slope_D,) = torch.autograd.grad(mean_square(y_N1, t), weights_D)
        weights_D = weights_D - slope_D / 4
    return weights_D.detach()


LEARNT_GUESSES = {
    "the same, only more slowly": "Then the loss would have the same lowest point. It has another one.",
    "the weights, divided by N": "The mean over N² errors is divided by N², but there are N² of them, too.",
    "all weights 0, and the bias is the mean": "**Yes.** Each prediction is drawn to the targets' mean.",
    "nothing: the loss becomes NaN": "Nothing is wrong with the numbers. The loss falls as a loss should.",
}


def silent_bug(cfg: Config, lab: Lab) -> None:
    """What does a model learn from a loss that broadcasts?

    A network returns one prediction for each sample, as a column of shape (N, 1). The targets come from a
    file, as a row of shape (N,). `(y - t).square().mean()` is one number, and nobody objects. But (N, 1) and
    (N,) fit, and give (N, N): every prediction is compared with every target.

    Let two predictions be 1 and 3, and the targets 1 and 3 as well. Nothing is wrong with them, and yet the
    loss is (0 + 4 + 4 + 0) / 4 = 2. For one prediction y the mean over all targets is (y − t̄)² + var(t): for
    y = 1 that is 1 + 1. The second term is a constant. What does the first one ask of every prediction?

    The loss falls all the same, from a large number to its lowest point, as losses do. What tells is R², the
    part of the targets' variance that the predictions explain. We fit a line twice by gradient descent. Its
    features have mean 0 and variance 1 and do not correlate, so every step halves every error.
    """
    question = "What does linear regression learn when predictions are (N, 1) and targets (N,)?"
    lab.predict("02.silent-model", question, LEARNT_GUESSES, "all weights 0, and the bias is the mean")
    drawn = [cloud(2, count, -0.3, torch.float64) * 30 for count in (1, 4, 7, 61)]
    lab.close(
        "02.silent-loss",
        "The loss of a column of predictions y and a row of targets t is mean (y − t̄)² + var(t).",
        [mean_square(y_N[:, None], t_N) for y_N, t_N in drawn],
        [(y_N - t_N.mean()).square().mean() + t_N.var(correction=0) for y_N, t_N in drawn],
        within=Tolerance(
            61**2 * 2**-53 * 1000, "61² additions at most, each rounds by 2⁻⁵³ of a mean below 1000"
        ),
    )
    x_ND, t_N = regression(61)
    column, row = lab.step(fitted, x_ND, t_N[:, None], 60), lab.step(fitted, x_ND, t_N, 60)
    line_D, mean = torch.linalg.lstsq(x_ND, t_N[:, None]).solution[:, 0], t_N.mean()[None]
    lab.close(
        "02.silent-model",
        "Fitted to a column of targets, a linear regression finds the least-squares line; fitted to a row, "
        "it has all weights 0 and the mean of the targets as its bias.",
        torch.cat([column, row]),
        torch.cat([line_D, mean, torch.zeros(3), mean]),
        within=Tolerance(1e-12, "60 steps leave 2⁻⁶⁰ of an error below 8, and float64 keeps 16 digits"),
    )
    rows = told(column, mean_square, x_ND, t_N[:, None]), told(row, mean_square, x_ND, t_N)
    lab.table("Two fits", ["targets", "loss", "w₁", "w₂", "w₃", "bias", "R²"], rows)
    said = said_of_the_bug()
    lab.table(
        "What torch's losses say", ["it", "losses"], [(what, ", ".join(who)) for what, who in said.items()]
    )
    lab.say(
        "A warning drowns in a log, and your own formula gives none. `assert y.shape == t.shape` is free."
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (which_fit, no_copy, products, backward, all_distances, lost_digits, silent_bug):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
