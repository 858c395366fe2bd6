"""Lab 06 · Einops tutorial · Samouczek einops

Question:
    How do you write a tensor rearrangement so that a reader can check it?

You will see:
    - A `view` of the right shape that leaves 16 of 24 numbers in the wrong place, and a formula that says so
      beforehand.
    - Patches, pixel shuffle, pooling and attention heads, each written as one sentence that names its dims.
    - What a sentence does: a reshape, a permute and a reshape. Done by hand in a dozen lines, they agree with
      einops 200 times of 200.
    - Seven mistakes that einops refuses, and two that it lets pass.
    - A repeat that takes no memory, and what happens to whoever writes into it.
    - The price of a call: a few microseconds, and nothing at all once it is compiled.

Run:
    make lab-06
    python -m labs.m1_tensors.lab06_einops_tutorial --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 01, for views and for what `reshape` copies

Remember:
    A `view` of the right shape may have its numbers in the wrong order, and no check of shapes can see it.
    Write a rearrangement with the names of its dims, and give every size that you know: the sizes are what
    gets checked. Inside round brackets the last name runs fastest. A repeat along a new dim is a view, so
    clone it before you write into it. The names end with the pattern; the tensor does not keep them, and that
    is where lab 07 begins. This lab does not show what a GPU makes of the order in which an image is stored.

Sources:
    - A. Rogozhnikov, "Einops: Clear and Reliable Tensor Manipulations with Einstein-like Notation", ICLR
      2022, sections 2 and 3: https://openreview.net/forum?id=oapKSVM2bcj
    - einops, documentation: https://einops.rocks/
    - A. Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020, section 3.1, on patches:
      https://arxiv.org/abs/2010.11929
    - W. Shi et al., "Real-Time Single Image and Video Super-Resolution", 2016, section 3.2, on pixel shuffle:
      https://arxiv.org/abs/1609.05158

Notebook:
    06_Einops_Tutorial.ipynb
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain

import torch
from einops import EinopsError, einsum, pack, rearrange, reduce, repeat
from torch import Tensor
from torch.nn import functional

from labs.kit import Lab, Tolerance, exercise, main
from labs.m1_tensors._lab06_helpers import (
    bytes_of_repeats,
    foretold,
    foretold_flat,
    graphs_of,
    in_torch,
    is_view,
    misplaced,
    patches_in_torch,
    read_heads,
    refusal,
    views_do,
)
from labs.m1_tensors._lab06_inputs import (
    MISTAKES,
    as_cells,
    by_head,
    calls_in_python,
    compiled_calls,
    images,
    keywords,
    numbered,
    prices,
    random_patterns,
    seen,
    sequences,
    tilings,
    to_cut,
    told,
)

# Shape letters: B samples, N tokens of a sample, E numbers of a token, A attention heads, D numbers of a
# head; C H W channels, height, width of an image; O channels that a convolution makes.


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    patterns: int = 200  # random patterns that are tried
    height: int = 512  # rows of the image whose repeats are measured
    width: int = 300  # columns of that image

    @classmethod
    def smoke(cls) -> "Config":
        return cls(height=16, width=30)


def split_by_view(x_BNE: Tensor, heads: int) -> Tensor:
    """Ask `view` for the shape (B, A, N, D)."""
    batch, tokens, numbers = x_BNE.shape
    y_BAND = x_BNE.view(batch, heads, tokens, numbers // heads)
    return y_BAND


MISPLACED = {
    "0": "So it would be with one head or with one token: then there is nothing to exchange.",
    "4": "That is what *stays* in each sample: the first piece of two numbers and the last one.",
    "16": "**Yes.** Of the six pieces of a sample two stay and four move: 4 pieces · 2 numbers · 2 samples.",
    "24": "Not all. The first number is the first in any order, and the last one is the last.",
}


def wrong_view(cfg: Config, lab: Lab) -> None:
    """What is wrong with a `view` that has the right shape?

    An attention layer splits every token among its heads. You have tokens of shape (B, N, E), you want (B,
    heads, N, D) with E = heads · D, and you write `x.view(B, heads, N, D)`. The shape is right, nothing
    complains, and the training starts. What does it train on?

    Take one sample of three tokens with four numbers each: 0 1 2 3, then 4 5 6 7, then 8 9 10 11. With two
    heads the first one should get the left half of every token: 0 1, 4 5, 8 9. But `view` moves nothing. It
    cuts the row of twelve numbers in the middle, and the first head gets 0 1 2 3 4 5: all of the first token,
    half of the second, and nothing of the third.

    How many numbers are in the wrong place? A sample consists of N · A pieces of D numbers, where A is the
    number of heads. Head a's piece of token n lies at place n·A + a, where `view` leaves it, and it belongs
    at a·N + n. The two places are equal where n·(A − 1) = a·(N − 1). These are the crossings on the diagonal
    of a grid with N − 1 by A − 1 steps, and a diagonal meets gcd(N − 1, A − 1) + 1 of them. All other pieces
    are misplaced.
    """
    question = (
        "`x` has the shape (2, 3, 4), and `x.view(2, 2, 3, 2)` is to be its two heads. How many of its 24 "
        "numbers are in the wrong place?"
    )
    lab.predict("06.misplaced", question, MISPLACED, answer="16")
    x_BNE = torch.arange(12).view(1, 3, 4)
    right, viewed_BAND = by_head("right", read_heads(x_BNE, 2)), lab.step(split_by_view, x_BNE, 2)
    owner = [number // 2 % 2 for number in range(12)]
    cells = as_cells({"tokens": x_BNE} | right | by_head("view", viewed_BAND), owner, "belongs to head")
    lab.diagram("Three tokens of four numbers, split between two heads", cells)
    viewed = [misplaced(lab.step(split_by_view, *split), read_heads(*split)) for split in sequences()]
    lab.table("Heads by `view`", ["shape", "dtype", "misplaced"], viewed)
    lab.equal(
        "06.misplaced",
        "A `view` into heads has the right shape and dtype, and of each sample's N · heads pieces all but "
        "gcd(N − 1, heads − 1) + 1 in the wrong place.",
        viewed,
        [foretold(*split, by_view=True) for split in sequences()],
        unit="tensors",
        because="(2, 3, 4) and 2 heads: of 6 pieces gcd(2, 1) + 1 = 2 stay; 4 pieces · 2 numbers · 2 samples",
    )


@exercise(
    "A token holds all numbers of head 0, then all of head 1. Which runs faster along it, head or number?",
    "Two things happen: the last dim splits in two, and one of the new dims moves in front of the tokens.",
    'The left side is `"b n (heads d)"`, the number of heads a keyword; write the right side in your order.',
    contract="""
        `x_BNE` holds N tokens of E numbers for each sample, in any dtype, and stays as it is; `heads` divides
        E. Head 0 gets the first D = E/heads numbers of each token, head 1 the next D, and so on. Return them
        as (B, heads, N, D).

        >>> split_heads(torch.tensor([[[1, 2, 3, 4], [5, 6, 7, 8]]]), 2).tolist()
        [[[[1, 2], [5, 6]], [[3, 4], [7, 8]]]]
        """,
    insight="With one token or with one head `view` passes for right. Test on sizes that all differ.",
)
def split_heads(x_BNE: Tensor, heads: int) -> Tensor:
    """Split every token among the heads."""
    y_BAND = rearrange(x_BNE, "b n (heads d) -> b heads n d", heads=heads)
    return y_BAND


@exercise(
    "A height of h · p rows splits into two names. Which of them tells the patch, and which the row in it?",
    "The pattern splits height and width into two names each, and merges six names into three dims.",
    "On the left `b c (h p) (w q)`; the right merges `(h w)`, and within a patch row, column, channel.",
    contract="""
        `x_BCHW` holds images of any dtype, laid out in any way; p divides H, and q divides W. Cut them into
        patches of p rows and q columns, and return (B, h·w, p·q·C) with h = H/p and w = W/q: the patches row
        by row, in each patch the pixels row by row, and of each pixel its C channels side by side. The images
        stay as they are.

        >>> patches(torch.tensor([[[[1, 2], [3, 4]]]]), 1, 2)
        tensor([[[1, 2],
                 [3, 4]]])
        """,
    insight=(
        "A vision transformer begins with this sentence and one matrix product: together a convolution whose "
        "stride is the size of its kernel."
    ),
)
def patches(x_BCHW: Tensor, p: int, q: int) -> Tensor:
    """Cut images into patches of p rows and q columns, and make one row of numbers of each."""
    y_BNE = rearrange(x_BCHW, "b c (h p) (w q) -> b (h w) (p q c)", p=p, q=q)
    return y_BNE


def in_words(x_BCHW: Tensor) -> dict[str, Tensor]:
    """Say eight things about images in sentences that name their dims."""
    sums_BC = reduce(x_BCHW, "b c h w -> b c", "sum")
    pixels_BHWC = rearrange(x_BCHW, "b c h w -> b h w c")
    said = {
        "channels last": pixels_BHWC,
        "side by side": rearrange(x_BCHW, "b c h w -> c h (b w)"),
        "pixel shuffle": rearrange(x_BCHW, "b (c p q) h w -> b c (h p) (w q)", p=2, q=2),
        "max pooling": reduce(x_BCHW, "b c (h p) (w q) -> b c h w", "max", p=2, q=3),
        "sums of channels": sums_BC,
        "enlarged": repeat(x_BCHW, "b c h w -> b c (h p) (w q)", p=2, q=3),
        "Gram matrix": einsum(x_BCHW, x_BCHW, "b i h w, b j h w -> b i j"),
        "sums as first pixel": pack([sums_BC, pixels_BHWC], "b * c")[0],
    }
    return said


def sentences(cfg: Config, lab: Lab) -> None:
    """Can a rearrangement be read like a sentence?

    What should have been written is `x.view(B, N, heads, D).transpose(1, 2)`. To see that it is right, a
    reader must work out what each dim means after each call. With einops you write the meaning down:
    `rearrange(x, "b n (heads d) -> b heads n d", heads=2)`. There are samples, tokens, and in each token
    heads of d numbers; put the heads in front of the tokens. Round brackets stand for one dim that is made of
    several, and inside them *the last name runs fastest*, as the last digit of a number does. So `(heads d)`
    means all numbers of head 0, then all of head 1.

    `reduce` is the same sentence with fewer names on the right, and a word for what becomes of the others.
    `repeat` has more names on the right. `einsum` takes two tensors and sums over what is missing on the
    right. `pack` joins tensors along one dim; the star in `"b * c"` stands for however many dims each has.

    Every sentence has a twin in torch, and some twins are famous. A vision transformer cuts an image into
    patches and multiplies each of them by a matrix. That is a convolution whose stride is as large as its
    kernel, provided that patches and kernel are flattened in the same order.
    """
    inputs = sequences()
    heads = [seen(lab.step(split_heads, *split), split.x_BNE) for split in inputs]
    lab.equal(
        "06.heads",
        "Heads split by a sentence have every number in its place.",
        heads,
        [[told(read_heads(*split)), (told(split.x_BNE), 0)] for split in sequences()],
        unit="tensors",
    )
    picture_BCHW = torch.arange(32).view(1, 1, 4, 8)
    rows = {f"row {place}": row for place, row in enumerate(picture_BCHW[0, 0])}
    cut = {f"patch {place}": patch for place, patch in enumerate(lab.step(patches, picture_BCHW, 2, 4)[0])}
    owner = [number // 16 * 2 + number % 8 // 4 for number in range(32)]
    lab.diagram(
        "An image of 4 × 8 pixels in patches of 2 × 4", *(as_cells(r, owner, "patch") for r in (rows, cut))
    )
    said = [seen(lab.step(patches, x_BCHW, p, q), x_BCHW) for x_BCHW, p, q in to_cut()]
    twins = [[told(patches_in_torch(x_BCHW, p, q)), (told(x_BCHW), 0)] for x_BCHW, p, q in to_cut()]
    for x_BCHW in images():
        said += [[told(y)] for y in lab.step(in_words, x_BCHW).values()]
        twins += [[told(y)] for y in in_torch(x_BCHW).values()]
    lab.equal("06.twins", "Every sentence computes what its twin in torch does.", said, twins, unit="tensors")
    x_BCHW, kernel_OCHW = (torch.rand(*n, dtype=torch.float64) - 0.5 for n in ((7, 5, 12, 18), (4, 5, 2, 3)))
    matrix_EO = rearrange(kernel_OCHW, "o c p q -> (p q c) o")
    products_BNO = lab.step(patches, x_BCHW, 2, 3) @ matrix_EO
    n = len(matrix_EO)
    because = (
        f"{n} products below 1/4, added up in two ways: each rounds {n} sums below {n}/4 by 2⁻⁵³ of them"
    )
    lab.close(
        "06.patches",
        "Patches times a matrix are a convolution whose stride is the size of its kernel.",
        rearrange(products_BNO, "b (h w) o -> b o h w", h=6),
        functional.conv2d(x_BCHW, kernel_OCHW, stride=(2, 3)),
        within=Tolerance(2 * n * n / 4 * 2**-53, because),
    )


def by_hand(tensor: Tensor, pattern: str, sizes: Mapping[str, int]) -> Tensor:
    """Rearrange a tensor by three calls of torch: split every dim, move the pieces, merge them."""
    left, right = (
        [(inner or name).split() for inner, name in re.findall(r"\(([^)]*)\)|(\w+)", side)]
        for side in pattern.replace("1", "()").split("->")
    )
    size = dict(sizes)
    for whole, group in zip(tensor.shape, left, strict=True):
        for name in group:
            if name not in size:
                size[name] = whole // math.prod(size[other] for other in group if other != name)
    names, order = list(chain(*left)), list(chain(*right))
    split = tensor.reshape([size[name] for name in names])
    moved = split.permute([names.index(name) for name in order])
    merged = moved.reshape([math.prod(size[name] for name in group) for group in right])
    return merged


def there_and_back(tensor: Tensor, pattern: str, sizes: Mapping[str, int]) -> tuple[Tensor, Tensor]:
    """Rearrange a tensor, and rearrange the result by the pattern read from right to left."""
    left, right = pattern.split("->")
    there = rearrange(tensor, pattern, **sizes)
    back = rearrange(there, f"{right} -> {left}", **sizes)
    return there, back


def inside(cfg: Config, lab: Lab) -> None:
    """What does a pattern do?

    Read `"b n (heads d) -> b heads n d"` for tokens of shape (2, 3, 4) and `heads=2`. On the left, a bracket
    splits a dim: the last 4 becomes 2 · 2, and the second 2 is computed, since one size of each bracket may
    be left open. That is a `reshape` to (2, 3, 2, 2), with the names b, n, heads, d. On the right the same
    names stand in another order: b is the old dim 0, heads the old 2, n the old 1, d the old 3. That is a
    `permute(0, 2, 1, 3)`. Had the right side a bracket, its neighbours would be merged by one more `reshape`.

    There is nothing else in it. A rearrangement is *split, move, merge*, and the pattern says all three at
    once. It follows that a pattern read from right to left undoes what it did: each of the three moves can be
    undone, and the names say how.

    We write these three calls by hand and compare with einops on random patterns: up to five names, in any
    order and any brackets, sizes of 0 and 1 among them.
    """
    patterns = random_patterns(cfg.patterns)
    bracketed = [pattern for pattern in patterns if pattern.text.count("(") == 2]
    rows = [(pattern.text, list(pattern.tensor.shape), keywords(pattern.given)) for pattern in bracketed[:6]]
    lab.table("Six of the patterns", ["pattern", "shape", "sizes given"], rows)
    by_einops = [told(rearrange(pattern.tensor, pattern.text, **pattern.given)) for pattern in patterns]
    lab.equal(
        "06.by-hand",
        "Every pattern is a reshape, a permute and a reshape.",
        [told(by_hand(pattern.tensor, pattern.text, pattern.given)) for pattern in patterns],
        by_einops,
        unit="patterns",
    )
    both = [there_and_back(pattern.tensor, pattern.text, pattern.sizes) for pattern in patterns]
    lab.equal(
        "06.back",
        "A pattern read from right to left undoes itself.",
        [(told(there), told(back)) for there, back in both],
        [(there, told(pattern.tensor)) for there, pattern in zip(by_einops, patterns, strict=True)],
        unit="patterns",
    )


def refusals(cfg: Config, lab: Lab) -> None:
    """What does einops refuse?

    You believe that your tokens have four dims, and they have three. When do you find out? What a reader can
    check, a program can check as well. Before anything is computed einops compares the pattern with itself:
    every name stands on both sides, and once on each. Then it compares the pattern with the tensor: there are
    as many dims as on the left, every size that you gave is as you say, every bracket divides its dim, and in
    each bracket at most one size is left to be worked out.

    Here are tokens of shape (2, 3, 4) and seven patterns that contradict themselves or the tensor. Cover the
    third column and say what is wrong with each. The eighth is right, to show that not everything is refused.
    """
    reasons = [refusal(pattern, sizes) for _, pattern, sizes, _ in MISTAKES]
    rows = [
        (pattern, keywords(sizes), reason or "(it runs)")
        for (_, pattern, sizes, _), reason in zip(MISTAKES, reasons, strict=True)
    ]
    lab.table("Eight patterns for tokens of shape (2, 3, 4)", ["pattern", "sizes", "einops says"], rows)
    lab.equal(
        "06.refused",
        "Patterns that contradict themselves or the tensor raise EinopsError, each with a reason of its own.",
        reasons,
        [reason for *_, reason in MISTAKES],
        unit="patterns",
    )
    lab.say(
        "That is the last line of each message. The lines above it repeat the pattern and the shape of the "
        "tensor, so that you need no debugger to see which call it was."
    )


def split_backwards(x_BNE: Tensor, heads: int) -> Tensor:
    """Split tokens as if their numbers took turns among the heads."""
    y_BAND = rearrange(x_BNE, "b n (d heads) -> b heads n d", heads=heads)
    return y_BAND


def flattened(x_BHWC: Tensor, **sizes: int) -> Tensor:
    """Flatten images that are stored pixel by pixel, by a pattern that takes them for (B, C, H, W)."""
    y_BN = rearrange(x_BHWC, "b c h w -> b (c h w)", **sizes)
    return y_BN


NHWC = {
    "it raises": "einops cannot know what you call a channel. It sees four names for four dims.",
    "it warns": "There is nothing to warn of: four names, four dims, and every name on both sides.",
    "it runs": "**Yes.** It takes rows for channels and channels for columns, and returns the right shape.",
}


def silent(cfg: Config, lab: Lab) -> None:
    """What does it not catch?

    A sentence can be well formed and false. Write `(d heads)` in the place of `(heads d)`, and the numbers of
    a token take turns among the heads. It runs, and the shape is the same. But the mistake now *stands in the
    text*, where a reader can find it.

    The next mistake does not even stand there. Image files keep the channels of a pixel side by side, so what
    you load has the shape (B, H, W, C). It goes to a function that was written for (B, C, H, W), and whose
    pattern begins with `b c h w`. A name lives as long as its pattern, and the tensor does not carry it. Who
    is to notice, and by what?

    A size can be compared. If you know that there are three channels, say it: `c=3`. That turns the name from
    a comment into a test, which fails unless the image happens to have three rows.

    Both mistakes write a table row by row that should be written column by column, as `view` did. So the
    formula of the first part counts them, too: the table has heads by D entries in each token, and H · W by C
    in each image.
    """
    question = 'An image has the shape (B, H, W, C). What does `rearrange(image, "b c h w -> b (c h w)")` do?'
    lab.predict("06.nhwc", question, NHWC, answer="it runs")
    x_BNE = torch.arange(12).view(1, 3, 4)
    right = by_head("(heads d)", lab.step(split_heads, x_BNE, 2))
    swapped = by_head("(d heads)", lab.step(split_backwards, x_BNE, 2))
    cells = as_cells(right | swapped, [number // 2 % 2 for number in range(12)], "belongs to head")
    lab.diagram("The same tokens, split by two brackets", cells)
    lab.equal(
        "06.swapped",
        "Swapped names in a bracket run, and leave gcd(heads − 1, D − 1) + 1 numbers of a token in place.",
        [misplaced(lab.step(split_backwards, *split), read_heads(*split)) for split in sequences()],
        [foretold(*split, by_view=False) for split in sequences()],
        unit="tensors",
        because="number d of head a is taken from place d·A + a, and belongs to place a·D + d of its token",
    )
    stored = [numbered(2, 5, 7, 3), numbered(1, 4, 1, 2, dtype=torch.float32), numbered(3, 2, 5, 4)]
    meant = [x_BHWC.permute(0, 3, 1, 2).flatten(1) for x_BHWC in stored]
    lab.equal(
        "06.nhwc",
        "An image of shape (B, H, W, C) goes through a pattern for (B, C, H, W), and all but gcd(H·W − 1, C "
        "− 1) + 1 of its numbers end up in the wrong place.",
        [misplaced(lab.step(flattened, x), want) for x, want in zip(stored, meant, strict=True)],
        [foretold_flat(x) for x in stored],
        unit="tensors",
        because="channel c of pixel p is left at place p·C + c, and belongs to place c·H·W + p",
    )
    lab.raises(
        "06.sized",
        "An image of shape (B, H, W, C) with five rows is refused once `c=3` is given.",
        partial(flattened, stored[0], c=3),
        EinopsError,
        "Shape mismatch, 5 != 3",
    )


@exercise(
    "What do you get from `repeat` alone, along two new dims, and what has that to do with the memory of x?",
    "The image as a whole repeats, so the repeats run slowly: `(r h)` and not `(h r)`, for columns likewise.",
    'Spread to `"h w -> r h s w"` with `r=r, s=r`, `clone()` that, and merge the clone by `rearrange`.',
    contract="""
        `x_HW` is an image of any dtype, laid out in any way, which stays as it is; r ≥ 1. Return an image of
        (r·H, r·W) that shows the whole of it r times below and r times beside one another. Each number of the
        result has a place in memory of its own: who writes to one changes no other one, and not `x_HW`.

        >>> tile(torch.tensor([[1, 2]]), 2)
        tensor([[1, 2, 1, 2],
                [1, 2, 1, 2]])
        """,
    insight=(
        "Merging copies nearly always. Where it does not, for r = 1 or a single number, `clone` saves you."
    ),
)
def tile(x_HW: Tensor, r: int) -> Tensor:
    """Lay an image out r times below and r times beside itself, in memory of its own."""
    spread = repeat(x_HW, "h w -> r h s w", r=r, s=r)
    own = spread.clone()
    tiled_HW = rearrange(own, "r h s w -> (r h) (s w)")
    return tiled_HW


def written(repeated: Callable[[Tensor], Tensor], x_HW: Tensor) -> tuple[int, int]:
    """Write into the first number of repeats, and count what changes in them and in the original."""
    own_HW = x_HW.clone()
    made = repeated(own_HW)
    before = made.clone()
    made[(0,) * made.dim()] = -7
    changed = int((made != before).sum()), int((own_HW != x_HW).sum())
    return changed


REPEATS = {
    "0": "**Yes.** The new dim has the stride 0: five times the same numbers, as `expand` would give them.",
    "4 times those of y": "So it would be, if the first repeat were y itself and the others were copies.",
    "5 times those of y": "That is what it takes once the repeats are merged into the rows, as `(c h) w`.",
}


def copies(cfg: Config, lab: Lab) -> None:
    """Is the result a view or a copy?

    A sentence says *what* you get, and not *where* it lies. Do you pay for a copy, and may you write into it?

    Splitting a dim and permuting dims is a matter of strides, as lab 01 shows, and copies nothing. Merging
    dims may need a copy. einops calls `reshape` for it: what you get is a view where one exists, and a copy
    where none does.

    With `repeat` this matters most. Lab 01 shows an `expand`, whose stride of 0 leads to the same number once
    more. Which of two repeats can be written in that way: one along a new dim, `c h w`, or one that is
    merged into an old dim, `(c h) w`? The answer says how much memory each takes.

    What shares its numbers shares its writes as well. So `clone` what einops returned before you write into
    it. Do not count on merging to do it for you: a single repeat is a view, and so are all repeats of a
    single number.
    """
    question = 'y is a matrix, and `r = repeat(y, "h w -> c h w", c=5)`. How many bytes does that allocate?'
    lab.predict("06.repeat", question, REPEATS, answer="0")
    patterns = random_patterns(cfg.patterns, empty=False)
    views = [is_view(pattern) for pattern in patterns]
    lab.say(f"Of {len(views)} random patterns {sum(views)} return a view, and {views.count(False)} a copy.")
    lab.equal(
        "06.views",
        "`rearrange` copies exactly where `view`, `permute` and `view` would refuse.",
        views,
        [views_do(pattern) for pattern in patterns],
        unit="patterns",
    )
    y_HW = torch.rand(cfg.height, cfg.width)
    apart, merged = bytes_of_repeats(y_HW)
    lab.table("Five repeats", ["pattern", "bytes"], [("h w -> c h w", apart), ("h w -> (c h) w", merged)])
    lab.equal(
        "06.repeat",
        "A repeat along a new dim allocates nothing, and one merged into the rows allocates all five copies.",
        [apart, merged],
        [0, 5 * y_HW.nbytes],
        unit="repeats",
        because=f"a stride of 0 needs no numbers; five copies are 5 · {cfg.height} · {cfg.width} · 4 bytes",
    )
    lab.equal(
        "06.tile",
        "A tiled image shows the whole image r times below and r times beside itself.",
        [seen(lab.step(tile, x_HW, r), x_HW) for x_HW, r in tilings()],
        [[told(torch.cat([torch.cat([x] * r)] * r, 1)), (told(x), 0)] for x, r in tilings()],
        unit="images",
    )
    ways = (partial(repeat, pattern="h w -> c h w", c=5), partial(tile, r=1), partial(tile, r=3))
    lab.equal(
        "06.written",
        "A write into one of five repeats changes all and the original, a write into a tile only itself.",
        [lab.step(written, way, numbered(*shape)) for shape in ((2, 3), (4, 1), (1, 1)) for way in ways],
        [(5, 1), (1, 0), (1, 0)] * 3,
        unit="writes",
    )


def cost(cfg: Config, lab: Lab) -> None:
    """What does a sentence cost?

    You write a sentence in a loop that runs a thousand times. What do you pay? Somebody has to understand the
    pattern. einops does so once, keeps the recipe, and looks it up from then on: a few calls of Python before
    the same calls of torch that you would have written yourself. On a small tensor that can be measured. It
    takes microseconds and does not grow with the tensor, so it is soon lost beside anything that copies.

    Under `torch.compile` it is gone. The compiler follows the Python code once, at the first call, and keeps
    only the operators of torch that it meets on the way. If it met something that it cannot follow, the
    *graph* of these operators would *break* there, and Python would run again in each call. We compile eight
    calls with a backend that generates no code, and only notes which operators of torch each graph runs.
    """
    x_BNE = torch.rand(2, 3, 4)
    sentence = partial(rearrange, x_BNE, "b n (heads d) -> b heads n d", heads=2)
    calls = calls_in_python(sentence)
    lab.ratio(
        "06.cost",
        "A sentence on a small tensor takes longer than its two calls of torch, but not ten times as long.",
        sentence,
        lambda: x_BNE.view(2, 3, 2, 2).transpose(1, 2),
        at_least=1.1,
        at_most=1 + calls,
        because=(
            f"{calls} calls of Python come before the two of torch. They take 0.05 µs each at the least, a "
            "tenth of 4 µs for both of torch's; at the most each takes as long as both"
        ),
    )
    sizes = [2**10, 2**13, 2**16, 2**19]
    axes = {"x_label": "numbers", "y_label": "µs per call"}
    lab.plot("Merging heads by torch and by einops", sizes, prices(sizes), **axes, log_x=True, log_y=True)
    compiled = compiled_calls()
    graphs = [lab.step(graphs_of, function, inputs) for function, inputs, _ in compiled.values()]
    rows = [
        (name, len(found), ", ".join(chain(*found))) for name, found in zip(compiled, graphs, strict=True)
    ]
    lab.table("Compiled", ["call", "graphs", "operators"], rows)
    lab.equal(
        "06.graph",
        "Each of eight compiled calls becomes one graph, which runs just the operators that it stands for.",
        graphs,
        [[operators] for _, _, operators in compiled.values()],
        unit="calls",
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (wrong_view, sentences, inside, refusals, silent, copies, cost):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
