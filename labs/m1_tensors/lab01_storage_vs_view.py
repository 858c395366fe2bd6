"""Lab 01 · Storage vs. view · Magazyn danych a widok

Question:
    Why does `view()` refuse a transposed tensor, and what is a tensor once you take the strides away?

You will see:
    - A tensor is a flat storage plus three facts: sizes, strides, offset. One formula finds every element.
    - Transposing, slicing, expanding and cutting windows move no data: they write new strides over the old storage.
    - `view` asks whether new strides exist for the new shape. You write the rule, and it agrees with torch 400 times of 400.
    - What sharing costs: a slice of ten numbers that saves 4 MiB to disk, a write that lands three times in one element.
    - A strided walk reads the same count of numbers several times slower: it drags whole cache lines for one number each.

Run:
    make lab-01
    python -m labs.m1_tensors.lab01_storage_vs_view --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    nothing; this is where the course starts

Sources:
    - PyTorch documentation: Tensor Views; torch.Tensor.view; torch.Tensor.as_strided
    - E. Yang, "PyTorch internals", 2019: tensors, strides and storages
    - U. Drepper, "What Every Programmer Should Know About Memory", 2007, section 3.3: cache lines and sequential access

Notebook:
    01_Storage_vs_View.ipynb
"""

import io
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.benchmark import Timer

from labs.kit import Lab, Mutant, exercise, main
from labs.kit.measure.memory import peak_bytes

# Shape letters: M rows, N columns or elements, W windows, K elements of a window, B C H W images, channels, height, width.

FLOATS_PER_LINE = 16  # a cache line holds 64 bytes, a float32 takes 4
Write = Callable[[Tensor], object]


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    rows: int = 1024  # rows M of the large matrix
    cols: int = 1024  # columns N of the large matrix
    layouts: int = 400  # random layouts on which the rule for `view` is tried
    walk: int = 2**20  # elements that a timed walk reads

    @classmethod
    def smoke(cls) -> "Config":
        return cls(rows=64, cols=64, walk=2**12)


class Layout(NamedTuple):
    """Sizes and strides of a tensor, and the shape that somebody asks `view` for."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    target: tuple[int, ...]


def views_of(x_MN: Tensor) -> dict[str, Tensor]:
    """Look at one storage in nine ways.

    A tensor is not its numbers. The numbers lie in a *storage*, one row of bytes. The tensor is a small note on how to read
    it: sizes, strides (how far to jump when an index grows by one) and an offset (where to start). Each line below writes
    a new note and touches no number. Even NumPy and DLPack, the exchange format between libraries, only copy the note.
    """
    transpose_NM = x_MN.t()
    block = x_MN[3:9, 5:]
    return {
        "transpose": transpose_NM,
        "block": block,
        "every other column": x_MN[:, ::2],
        "diagonal": x_MN.diagonal(),
        "a row, expanded": x_MN[2].expand(4, -1),
        "overlapping windows": x_MN.as_strided((5, 8), (3, 1), 7),
        "transpose of the block": block.t(),
        "through NumPy": torch.from_numpy(x_MN.numpy()),
        "through DLPack": torch.utils.dlpack.from_dlpack(x_MN),
    }


@exercise(
    "`view.stride()` holds one jump for each dim, `view.storage_offset()` the start. No number of the view's own is needed.",
    "Begin with the offset alone as a tensor of no dims. Each dim adds `index * stride`: broadcasting builds the whole grid.",
    "For each size and stride: `places = places.unsqueeze(-1) + stride * torch.arange(size)`; then index the storage with it.",
)
def read_by_address(view: Tensor) -> Tensor:
    """Read every element of a view from the raw storage.

    The whole of indexing is one formula. For an element at index (i₀, i₁, …):

        address = offset + i₀·stride₀ + i₁·stride₁ + …

    Return the view's elements in its own shape, found by address alone. The bare row of numbers, with no shape or strides
    to help, is `torch.empty(0, dtype=view.dtype).set_(view.untyped_storage())`. With stride 0 an index moves nothing: that
    is all there is to `expand`.
    """
    storage = torch.empty(0, dtype=view.dtype).set_(view.untyped_storage())
    places = torch.tensor(view.storage_offset())
    for size, stride in zip(view.shape, view.stride(), strict=True):
        places = places.unsqueeze(-1) + stride * torch.arange(size)
    elements = storage[places]
    return elements


def pixel_by_pixel(image_BCHW: Tensor) -> Tensor:
    """Store an image pixel by pixel and keep its shape.

    `channels_last` is not a shape but an order in memory. The tensor still says (B, C, H, W); the strides say that the C
    numbers of one pixel lie side by side, as convolutions on many devices like to read them. So the order is

        stride = (H·W·C, 1, W·C, C)
    """
    stored_BCHW = image_BCHW.contiguous(memory_format=torch.channels_last)
    return stored_BCHW


def random_layouts(count: int) -> list[Layout]:
    """Draw tensors of all kinds, and shapes to view them in.

    Sizes of 1 to 4 in up to four dims; strides of a plain tensor that are then shuffled, stretched or set to 0, each now and
    then; targets that hold as many elements. The table below counts both answers, so that you see that neither is a safe guess.
    """
    layouts = []
    for _ in range(count):
        shape = [random.choice((1, 2, 3, 4)) for _ in range(random.randint(1, 4))]
        stride = [math.prod(shape[dim + 1 :]) for dim in range(len(shape))]
        if random.random() < 0.4:
            order = random.sample(range(len(shape)), len(shape))
            shape, stride = [shape[dim] for dim in order], [stride[dim] for dim in order]
        if random.random() < 0.3:
            stretched = random.randrange(len(shape))
            stride = [
                step * random.choice((0, 2)) if dim <= stretched else step for dim, step in enumerate(stride)
            ]
        factors = [factor for size in shape for factor in {4: (2, 2)}.get(size, (size,)) if factor > 1]
        cuts = sorted(random.choices(range(len(factors) + 1), k=random.randint(0, 3)))
        pieces = [factors[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(factors)], strict=True)]
        layouts.append(Layout(tuple(shape), tuple(stride), tuple(math.prod(piece) for piece in pieces)))
    return layouts


@exercise(
    "Which neighbouring dims are walked with one even stride, as if they were a single dim? Only sizes inside one such run can change.",
    "Dims of size 1 do not count. Two neighbours make one run when the left stride equals right size times right stride.",
    "Collect the lengths of the runs; let the target's sizes use them up from the left: each must divide what is left of its run.",
)
def view_is_legal(shape: tuple[int, ...], stride: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Decide, from sizes and strides alone, whether `view(target)` can be granted.

    A view may not copy, so it exists only if *some* strides describe the new shape over the old storage. Join neighbouring
    dims into runs that memory walks evenly, stride[i] = size[i+1]·stride[i+1]. Inside a run any split is possible; across
    the gap between two runs no single stride can reach. That gap is what torch's message means by "two contiguous
    subspaces". A transpose puts a gap between all its dims, so it cannot be flattened.
    """
    runs: list[int] = []
    last_step = 0
    for size, step in zip(shape, stride, strict=True):
        if size == 1:
            continue
        if runs and last_step == size * step:
            runs[-1] *= size
        else:
            runs.append(size)
        last_step = step
    room, legal = 1, True
    for size in target:
        if size > 1 and room == 1:
            room = runs.pop(0)
        legal = legal and room % size == 0
        room //= size
    return legal


def asked_of_torch(layout: Layout) -> tuple[bool, bool]:
    """Ask torch for the view, and ask `reshape` whether it copied.

    `reshape` is polite: it gives a view where one exists and a copy where none does, and never says which. So the answer
    "shares the storage" is also the answer to "was a view possible".
    """
    room = sum((size - 1) * step for size, step in zip(layout.shape, layout.stride, strict=True)) + 1
    tensor = torch.arange(room).as_strided(layout.shape, layout.stride)
    try:
        tensor.view(layout.target)
        viewed = True
    except RuntimeError:
        viewed = False
    reshaped = tensor.reshape(layout.target)
    return viewed, storage_of(reshaped) == storage_of(tensor)


@exercise(
    "How many windows of `size` elements fit into n, when each starts `hop` after the one before?",
    "`as_strided(sizes, strides)` takes any strides, also such that meet an element more than once.",
    "Sizes `((n - size) // hop + 1, size)`; the next window is `hop` elements away, the next element in it one.",
)
def sliding_windows(x_N: Tensor, size: int, hop: int) -> Tensor:
    """Cut a signal into overlapping windows (W, K) without copying one number.

    Speech, time series and convolutions need every window of K elements, a new one at each `hop`. A copy would take about
    K/hop times the memory. Strides may overlap, so a note is enough: W = ⌊(N − K)/hop⌋ + 1 windows. `x_N` is contiguous.
    """
    count = (len(x_N) - size) // hop + 1
    windows_WK = x_N.as_strided((count, size), (hop, 1))
    return windows_WK


def ten_numbers(x_MN: Tensor) -> tuple[Tensor, Tensor]:
    """Cut ten numbers out of x, as a slice and as a clone.

    The slice is a note on the storage of x and keeps all of it alive for as long as it lives itself. The clone owns forty
    bytes.
    """
    corner = x_MN[:1, :10]
    own = corner.clone()
    return corner, own


def bytes_on_disk(tensor: Tensor) -> int:
    """Save a tensor and count the bytes of the file.

    `torch.save` writes the storage, not the view, so that tensors that share one still share it after loading. A small slice
    therefore drags the whole storage into the file. The cure is to `clone` first.
    """
    file = io.BytesIO()
    torch.save(tensor, file)
    written = file.tell()
    return written


def after_writing(view_of: Callable[[Tensor], Tensor], write: Write) -> list[float] | str:
    """Write through a view and look at the five numbers underneath.

    The views below meet some element several times. torch refuses an in-place sum on an expanded tensor, because each
    element would be hit several times; it lets `fill_`, `zero_` and an assignment pass, though they alias just the same.
    Overlapping windows have no stride 0, and nothing warns: an element under three windows gets three additions.
    """
    base_N = torch.ones(5)
    try:
        write(view_of(base_N))
    except RuntimeError as error:
        return f"refused: {str(error).partition('.')[0]}"
    left: list[float] = base_N.tolist()
    return left


def expected_after_writing() -> dict[str, list[list[float] | str]]:
    """Write down what the storage must hold, by counting how often each element is met.

    Five elements, windows of three, one apart: element i lies under 1, 2, 3, 2, 1 windows.
    """
    refused = "refused: unsupported operation: more than one element of the written-to tensor refers to a single memory location"
    met = [1, 2, 3, 2, 1]
    summed = [1.0 + times for times in met]
    first_window = [7.0] * 3 + [1.0] * 2
    windows: list[list[float] | str] = [summed, [7.0] * 5, [0.0] * 5, first_window]
    return {"expand": [refused, [7.0] * 5, [0.0] * 5, [7.0] * 5], "unfold": windows, "as_strided": windows}


def walks(count: int) -> tuple[Tensor, Tensor]:
    """Lay out two walks over equally many numbers: side by side, and one in each cache line.

    Memory comes in lines of 64 bytes, 16 floats. The near walk uses all 16 of each line, the far walk one, so it moves 16
    times the bytes for the same sum. A second price may come on top: those 16 times the bytes no longer fit into the cache.
    Both tensors have the same shape; only the stride differs.
    """
    far = torch.ones(count * FLOATS_PER_LINE)[::FLOATS_PER_LINE]
    near = torch.ones(count)
    return near, far


def seconds_per_element(count: int, strides: tuple[int, ...]) -> list[float]:
    """Time the sum of equally many floats at growing strides, in nanoseconds per element.

    Up to stride 16 each step to the right uses half as much of every line it pays for. Beyond that each element already has
    a line to itself; what still grows is the number of memory pages touched.
    """
    row = torch.ones(count * max(strides))
    timers = [Timer("walk.sum()", globals={"walk": row[: count * stride : stride]}) for stride in strides]
    return [timer.blocked_autorange(min_run_time=0.05).median / count * 1e9 for timer in timers]


def storage_of(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def in_short(left: list[float] | str) -> str:
    return left.partition(":")[0] if isinstance(left, str) else " ".join(f"{number:g}" for number in left)


WRITES: dict[str, Write] = {
    "v.add_(1)": lambda view: view.add_(1),
    "v.fill_(7)": lambda view: view.fill_(7),
    "v.zero_()": lambda view: view.zero_(),
    "v[0] = 7": lambda view: view.__setitem__(0, 7),
}
VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "expand": lambda base_N: base_N.expand(2, 5),
    "unfold": lambda base_N: base_N.unfold(0, 3, 1),
    "as_strided": lambda base_N: base_N.as_strided((3, 3), (1, 1)),
}


def run(cfg: Config, lab: Lab) -> None:
    x_MN = torch.arange(cfg.rows * cfg.cols, dtype=torch.float32).view(cfg.rows, cfg.cols)
    views = lab.step(views_of, x_MN)
    notes = [
        (name, list(t.shape), list(t.stride()), t.storage_offset())
        for name, t in {"x": x_MN, **views}.items()
    ]
    lab.table("One storage, ten notes", ["tensor", "sizes", "strides", "offset"], notes)
    storages = [storage_of(view) for view in views.values()]
    lab.equal("01.shared", "all nine views lie in the storage of x", storages, [storage_of(x_MN)] * 9)
    flatten = lambda: views["transpose"].view(-1)  # noqa: E731
    lab.raises(
        "01.view-transpose",
        "`view` refuses the transpose",
        flatten,
        RuntimeError,
        "spans across two contiguous subspaces",
    )

    by_address = torch.cat([lab.step(read_by_address, view).flatten() for view in views.values()])
    by_torch = torch.cat([view.flatten() for view in views.values()])
    lab.equal("01.address", "every element of every view stands where the formula says", by_address, by_torch)
    stored = lab.step(pixel_by_pixel, torch.empty(2, 3, 5, 7))
    kept, strides = (2, 3, 5, 7), (5 * 7 * 3, 1, 7 * 3, 3)
    lab.equal(
        "01.channels-last",
        "`channels_last` keeps the shape and stores pixel by pixel",
        (*stored.shape, *stored.stride()),
        (*kept, *strides),
    )

    layouts = lab.step(random_layouts, cfg.layouts)
    by_rule = [lab.step(view_is_legal, *layout) for layout in layouts]
    answers = [lab.step(asked_of_torch, layout) for layout in layouts]
    viewed, shared = [viewed for viewed, _ in answers], [shared for _, shared in answers]
    counted = [("view granted", answers.count((True, True)), answers.count((True, False))),
               ("view refused", answers.count((False, True)), answers.count((False, False)))]  # fmt: skip
    lab.table("What torch said", ["", "reshape shares", "reshape copies"], counted)
    lab.equal("01.rule", "the rule by hand and torch give the same answer", by_rule, viewed)
    lab.equal("01.reshape", "`reshape` copies exactly where `view` refuses", shared, viewed)

    signal_N = x_MN.flatten()
    windows_WK = lab.step(sliding_windows, signal_N, 400, 160)
    lab.equal("01.windows", "windows by strides equal `unfold`", windows_WK, signal_N.unfold(0, 400, 160))
    allocated = peak_bytes(lambda: sliding_windows(signal_N, 400, 160))
    lab.bytes(
        "01.windows-free",
        "making them allocates nothing",
        allocated,
        want=0,
        because="a view is a note, not data",
    )

    corner, own = lab.step(ten_numbers, x_MN)
    storages = list({storage_of(tensor) for tensor in (x_MN, corner, own)})
    lab.count(
        "01.clone",
        "x, its slice and the clone need two storages",
        len(storages),
        want=2,
        because="a slice shares, a clone does not",
    )
    lab.bytes("01.slice-on-disk", "saving ten numbers of x writes all of x", lab.step(bytes_on_disk, corner), at_least=x_MN.nbytes,
              because="the storage is saved: M·N·4 bytes")  # fmt: skip
    lab.bytes("01.clone-on-disk", "saving their clone writes ten numbers", lab.step(bytes_on_disk, own), at_most=40 + 4096,
              because="10·4 bytes, and a zip archive of 6 records whose headers and padding stay below 4 KiB")  # fmt: skip

    found = {
        name: [lab.step(after_writing, view_of, write) for write in WRITES.values()]
        for name, view_of in VIEWS.items()
    }
    lab.table(
        "Five ones, after writing through a view",
        ["view", *WRITES],
        [(name, *map(in_short, row)) for name, row in found.items()],
    )
    outcomes, expected = list(chain(*found.values())), list(chain(*expected_after_writing().values()))
    lab.equal("01.writes", "who is refused, and who hits shared elements several times", outcomes, expected)

    near, far = lab.step(walks, cfg.walk)
    lab.ratio("01.strided-walk", "a sum over strided numbers is slower", far.sum, near.sum, at_least=2,
              because="16 times the bytes; we ask for an eighth of that, since caches and prefetching hide a part")  # fmt: skip
    jumps = (1, 2, 4, 8, 16, 32)
    price = {"sum": lab.step(seconds_per_element, cfg.walk, jumps)}
    lab.plot(
        "The price of a stride",
        jumps,
        price,
        x_label="stride, elements",
        y_label="ns per element",
        log_x=True,
    )


MUTANTS = (
    Mutant("copies the transpose", views_of, "x_MN.t()", "x_MN.t().contiguous()"),
    Mutant("forgets the offset", read_by_address, "view.storage_offset()", "0"),
    Mutant("forgets the strides", read_by_address, "+ stride *", "+"),
    Mutant("stores channel by channel", pixel_by_pixel, "channels_last", "contiguous_format"),
    Mutant(
        "looks at strides but not at sizes", view_is_legal, "last_step == size * step", "last_step >= step"
    ),
    Mutant("lets dims of size 1 break a run", view_is_legal, "size == 1", "size == 0"),
    Mutant("never refuses", view_is_legal, "legal and room % size == 0", "legal"),
    Mutant(
        "always copies",
        asked_of_torch,
        "tensor.reshape(layout.target)",
        "tensor.clone().reshape(layout.target)",
    ),
    Mutant("copies the windows", sliding_windows, "(hop, 1))", "(hop, 1)).clone()"),
    Mutant("starts every window one too early", sliding_windows, "(hop, 1)", "(hop - 1, 1)"),
    Mutant("cuts out a clone that shares", ten_numbers, "corner.clone()", "corner.view_as(corner)"),
    Mutant("saves a clone", bytes_on_disk, "torch.save(tensor, file)", "torch.save(tensor.clone(), file)"),
    Mutant("writes into a copy", after_writing, "view_of(base_N)", "view_of(base_N).clone()"),
    Mutant("loses the last window", sliding_windows, "// hop + 1", "// hop"),
)


if __name__ == "__main__":
    main(run, Config)
