"""Lab 01 · Storage vs. view · Magazyn danych a widok

Question:
    Why does `view()` refuse a transposed tensor, and what is a tensor once you take the strides away?

You will see:
    - A tensor is a flat storage and a note on how to read it: sizes, strides, offset. One formula finds
      every element.
    - The rule by which `view` grants or refuses a shape. You can write it yourself; it agrees with torch 400
      times of 400.
    - Ten numbers that take 4 MiB on disk, and a sum that takes ten times as long because of a stride.

Run:
    make lab-01
    python -m labs.m1_tensors.lab01_storage_vs_view --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    nothing; this is where the course starts

Remember:
    A tensor is a storage, and sizes, strides and an offset that say how to read it; all of them count
    elements, not bytes. Transposing, slicing and expanding write a new note and move nothing. `view`
    succeeds exactly when a note for the new shape exists, and `reshape` copies where none does: use `view`
    where a copy would be a mistake. Clone a small slice before you save or keep it, and clone an
    overlapping view before you write through it. This lab does not show what a GPU makes of strides. Next
    comes lab 02, in which a stride of 0 does most of the work.

Sources:
    - PyTorch documentation, Tensor Views: https://docs.pytorch.org/docs/stable/tensor_view.html
    - PyTorch documentation, torch.Tensor.view:
      https://docs.pytorch.org/docs/stable/generated/torch.Tensor.view.html
    - E. Yang, "PyTorch internals", 2019, on strides: https://blog.ezyang.com/2019/05/pytorch-internals/
    - U. Drepper, "What Every Programmer Should Know About Memory", 2007, sections 3.3 and 6.2:
      https://www.akkadia.org/drepper/cpumemory.pdf

Notebook:
    01_Storage_vs_View.ipynb
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from labs.kit import Lab, exercise, main
from labs.kit.measure.memory import peak_bytes
from labs.kit.measure.timing import seconds, torch_threads
from labs.m1_tensors._lab01_helpers import Layout, random_layouts, storage_of, touched, walked

# Shape letters: M rows, N columns or elements, F windows (frames), K elements of a window;
# B C H W images, channels, height, width.

FLOATS_PER_LINE = 16  # 64 bytes of 4-byte floats: a cache line of most processors, half a line of Apple's


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    rows: int = 1024  # rows M of the large matrix
    cols: int = 1024  # columns N of the large matrix
    layouts: int = 400  # random layouts on which the rule for `view` is tried
    walk: int = 2**20  # elements that a timed walk reads

    @classmethod
    def smoke(cls) -> "Config":
        return cls(rows=64, cols=67, walk=2**12)


def views_of(x_MN: Tensor) -> dict[str, Tensor]:
    """Look at one storage in nine ways.

    Each line writes a new note over the storage of `x_MN` and touches no number. Even NumPy and DLPack, the
    format in which libraries hand tensors to one another, only copy the note.
    """
    block = x_MN[3:9, 5:]
    views = {
        "transpose": x_MN.t(),
        "block": block,
        "every other column": x_MN[:, ::2],
        "diagonal": x_MN.diagonal(),
        "a row, expanded": x_MN[2].expand(4, -1),
        "overlapping windows": x_MN.as_strided((5, 8), (3, 1), 7),
        "transpose of the block": block.t(),
        "through NumPy": torch.from_numpy(x_MN.numpy()),
        "through DLPack": torch.utils.dlpack.from_dlpack(x_MN),
    }
    return views


@exercise(
    "`view.stride()` holds one jump for each dim, `view.storage_offset()` the start. No number of the view's "
    "own is needed.",
    "Begin with the offset alone, a tensor of no dims. Each dim adds `index * stride`: broadcasting builds "
    "the whole grid.",
    "For each size and stride: `places = places.unsqueeze(-1) + stride * torch.arange(size)`; then index the "
    "storage with it.",
    contract="""
        `view` is a tensor of any shape and dtype, laid out in any way; it stays as it is. Return its
        elements, in its shape and its dtype, found by their addresses: ask the view for its sizes, strides,
        offset, dtype and storage, and for none of its elements. The bare row of numbers is `torch.empty(0,
        dtype=view.dtype).set_(view.untyped_storage())`.

        >>> read_by_address(torch.arange(6).view(2, 3).t())
        tensor([[0, 3],
                [1, 4],
                [2, 5]])
        """,
    insight=(
        "The formula needs no case for `expand` or for a transpose: stride 0 and swapped strides are "
        "numbers like others."
    ),
)
def read_by_address(view: Tensor) -> Tensor:
    """Read every element of a view from the raw storage.

    The element at index (i₀, i₁, …) lies at

        address = offset + i₀·stride₀ + i₁·stride₁ + …
    """
    storage = torch.empty(0, dtype=view.dtype).set_(view.untyped_storage())
    places = torch.tensor(view.storage_offset())
    for size, stride in zip(view.shape, view.stride(), strict=True):
        places = places.unsqueeze(-1) + stride * torch.arange(size)
    elements = storage.take(places)
    return elements


def one_storage(cfg: Config, lab: Lab) -> None:
    """What is left of a tensor once you take the strides away?

    A row of numbers. That row is called the *storage*, and it knows neither rows nor columns. What makes a
    matrix of it is a short note: the sizes, one *stride* for each dim (how many elements to go on when that
    index grows by one) and an *offset* (where to begin). All three count elements; that a float32 takes four
    bytes matters only to the hardware.

    So there is no such thing as "the transposed data". `x.t()` is a second note over the same storage, with
    the two strides swapped. `x[3:]` has another offset, `x[:, ::2]` a stride twice as large, and an expanded
    row the stride 0: the index grows, and the address stays where it is.

    If the note is all there is, then reading a tensor by hand needs only one formula. We read nine views that
    way, and once more over whole numbers above 2⁵³, which a detour through floating point would change; then
    a tensor of three dims, one of none, and an empty one.
    """
    x_MN = torch.arange(cfg.rows * cfg.cols, dtype=torch.float32).view(cfg.rows, cfg.cols)
    views = lab.step(views_of, x_MN)
    notes = [
        (name, list(t.shape), list(t.stride()), t.storage_offset())
        for name, t in {"x": x_MN, **views}.items()
    ]
    lab.table("One storage, ten notes", ["tensor", "sizes", "strides", "offset"], notes)
    storages = [storage_of(view) for view in views.values()]
    lab.equal(
        "01.shared", "All nine views lie in the storage of x.", storages, [storage_of(x_MN)] * 9, unit="views"
    )

    large = lab.step(views_of, 2**60 + torch.arange(9 * 13).view(9, 13))
    cube = torch.arange(60).view(3, 4, 5).permute(2, 0, 1)
    everything = [*views.values(), *large.values(), cube[1:], cube[2, 1, 3], cube[:0]]
    read = [lab.step(read_by_address, view) for view in everything]
    asked = [touched(read_by_address, view) for view in everything]
    lab.equal(
        "01.address",
        "Every element of every view lies at its offset plus the sum of index times stride.",
        [calls or found for calls, found in zip(asked, read, strict=True)],
        [view.clone() for view in everything],
        cases=sum(view.numel() for view in everything),
        unit="elements",
        because="read from the storage: no view was asked for an element",
    )


@exercise(
    "Which neighbouring dims are walked with one even stride, as if they were a single dim? Only sizes "
    "inside such a run can change.",
    "Dims of size 1 do not count. Two neighbours make one run when the left stride equals right size times "
    "right stride.",
    "Collect the lengths of the runs; let the target's sizes use them up from the left: each must divide "
    "what is left of its run.",
    contract="""
        `shape` and `stride` describe a tensor of any layout, and `target` a shape of as many elements. Return
        True where `view(target)` exists over the same storage, else False, from these three tuples alone and
        without torch. A tensor without elements can be viewed in every shape that has none.

        >>> view_is_legal((3, 4), (4, 1), (12,)), view_is_legal((4, 3), (1, 4), (12,))
        (True, False)
        """,
    insight=(
        "Splitting a dim is always possible. Only merging two dims can fail, and only where their strides "
        "do not fit."
    ),
)
def view_is_legal(shape: tuple[int, ...], stride: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Decide, from sizes and strides alone, whether `view(target)` can be granted.

    Join neighbouring dims into runs that one stride walks, wherever

        stride[i] = size[i+1] · stride[i+1]

    Inside a run (torch: "contiguous subspace") any split is possible; across two no stride reaches.
    """
    if 0 in shape:
        return True
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
    room = 1
    for size in target:
        if size > 1 and room == 1:
            room = runs.pop(0)
        if room % size:
            return False
        room //= size
    return True


def asked_of_torch(layout: Layout) -> tuple[bool, bool]:
    """Ask torch for the view, and ask `reshape` whether its result shares the storage."""
    room = sum((size - 1) * step for size, step in zip(layout.shape, layout.stride, strict=True) if size) + 1
    tensor = torch.arange(max(room, 1)).as_strided(layout.shape, layout.stride)
    try:
        tensor.view(layout.target)
        viewed = True
    except RuntimeError:
        viewed = False
    reshaped = tensor.reshape(layout.target)
    return viewed, storage_of(reshaped) == storage_of(tensor)


VIEW_GUESSES = {
    "`y.view(3, 8)`": (
        "No. The first row would have to visit 0 1 2 3 12 13 14 15. From 3 to 12 it is a step of 9, "
        "everywhere else a step of 1."
    ),
    "`y.view(6, 4)`": "No. The six rows would begin at 0, 12, 4, 16, 8, 20: steps of +12 and −8.",
    "`y.view(3, 2, 2, 2)`": "**Yes.** It splits the last dim and merges nothing: strides (4, 12, 2, 1).",
    "none of them": "Splitting a dim is always possible, and the third view does only that.",
}


def new_shapes(cfg: Config, lab: Lab) -> None:
    """When does a new shape cost nothing?

    Take a matrix of three rows and four columns and turn it into one row of twelve: `x.view(12)`. Nothing is
    copied, because the numbers already lie in that order. Now transpose it first. `x.t().view(12)` is
    refused, although `x.t()` holds the same twelve numbers in the same storage. What is the difference?

    Read the transpose row by row and write down where each number lies in the storage: 0, 4, 8, 1, 5, 9, 2,
    6, 10, 3, 7, 11. A tensor with one dim has *one* stride: from each element to the next it takes the same
    step. Here the steps are +4, +4, −7, +4, +4, −7 … No single number does that, so no view with the shape
    (12,) exists, and `view` never copies. It has to refuse.

    In general `view` succeeds exactly when strides exist that visit the old addresses in the old order. Two
    neighbouring dims can be merged into one if the outer one steps as far as the inner one reaches:
    `stride[i] == size[i+1] * stride[i+1]`. A dim can always be split. Everything else needs a copy.
    """
    lab.predict(
        "01.rule",
        "`x` has the shape (2, 3, 4), and `y = x.transpose(0, 1)` has the shape (3, 2, 4) and the strides "
        "(4, 12, 1). Which of these does torch grant?",
        VIEW_GUESSES,
        answer="`y.view(3, 2, 2, 2)`",
    )
    small = torch.arange(12).view(3, 4)
    lab.diagram(
        "Twelve addresses in the order of reading",
        walked("x.view(12)", small),
        walked("x.t(), row by row", small.t()),
    )
    transpose = lab.once(views_of, torch.arange(9.0 * 13).view(9, 13))["transpose"]
    message = "spans across two contiguous subspaces"
    flatten = partial(transpose.view, -1)
    lab.raises("01.view-transpose", "`view` refuses the transpose.", flatten, RuntimeError, message)
    layouts = lab.step(random_layouts, cfg.layouts)
    by_rule = [lab.step(view_is_legal, *layout) for layout in layouts]
    asked = [touched(view_is_legal, *layout) for layout in layouts]
    ours = [calls or answer for calls, answer in zip(asked, by_rule, strict=True)]
    answers = [lab.step(asked_of_torch, layout) for layout in layouts]
    granted, shared = [viewed for viewed, _ in answers], [shares for _, shares in answers]
    said = {"granted": True, "refused": False}
    rows = [(word, answers.count((ok, True)), answers.count((ok, False))) for word, ok in said.items()]
    lab.table("What torch said", ["view is", "reshape shares", "reshape copies"], rows)
    lab.equal("01.rule", "The rule by hand and torch agree on each layout.", ours, granted, unit="layouts")
    lab.equal("01.reshape", "`reshape` copies exactly where `view` refuses.", shared, granted, unit="layouts")
    lab.say(
        "So `reshape` is `view` with a copy as its way out, and it does not tell you which you got. Where a "
        "copy would be a mistake (you mean to write through the result, or the tensor is large) use `view` "
        "and let it refuse."
    )


def pixel_by_pixel(image_BCHW: Tensor) -> Tensor:
    """Store an image pixel by pixel and keep its shape.

    The C numbers of one pixel lie side by side, so the strides of (B, C, H, W) become

        stride = (H·W·C, 1, W·C, C)
    """
    stored_BCHW = image_BCHW.contiguous(memory_format=torch.channels_last)
    return stored_BCHW


def other_order(cfg: Config, lab: Lab) -> None:
    """Can one shape be stored in another order?

    A photograph is a tensor of shape (B, C, H, W): images, channels, height, width. By default all the red
    comes first, then all the green. Convolutions on many devices would rather have the three numbers of one
    pixel side by side. Must the whole program now speak of (B, H, W, C)?

    It need not, since the shape does not say where things lie. `channels_last` copies the numbers into the
    other order and writes strides that hide it: the code that indexes (b, c, h, w) stays as it is. This is a
    copy, so it costs once. Mistaking it for a `reshape` is a classic: that keeps the order of the numbers,
    and hands you a scrambled picture of the right shape.
    """
    image_BCHW = torch.rand(2, 3, 5, 7)
    stored_BCHW = lab.step(pixel_by_pixel, image_BCHW)
    lab.equal(
        "01.channels-last",
        "`channels_last` stores pixel by pixel.",
        stored_BCHW.stride(),
        (5 * 7 * 3, 1, 7 * 3, 3),
        unit="strides",
    )
    lab.equal(
        "01.same-image",
        "The image by its indices is the same as before.",
        stored_BCHW,
        image_BCHW,
        unit="numbers",
    )


@exercise(
    "How many windows of `size` elements fit into n, when each starts `hop` after the one before?",
    "`as_strided(sizes, strides)` takes any strides, also such that meet an element more than once.",
    "Sizes `((n - size) // hop + 1, size)`; the next window is `hop` elements away, the next element in it "
    "one.",
    contract="""
        `x_N` is contiguous, may begin anywhere in its storage, and stays as it is; `size` ≤ N and `hop` ≥ 1.
        Return all windows of `size` elements, one at each `hop`, as a view of shape (F, K) that copies
        nothing. A rest that fills no whole window is left out.

        >>> sliding_windows(torch.arange(6), 3, 2)
        tensor([[0, 1, 2],
                [2, 3, 4]])
        """,
    insight=(
        "`unfold` is this one line, and spectrograms begin with it: windows may overlap, and nobody has to "
        "copy."
    ),
)
def sliding_windows(x_N: Tensor, size: int, hop: int) -> Tensor:
    """Cut a signal into overlapping windows (F, K) without copying one number.

    As many begin as fit before the last one:

        F = ⌊(N − K)/hop⌋ + 1
    """
    count = (len(x_N) - size) // hop + 1
    windows_FK = x_N.as_strided((count, size), (hop, 1))
    return windows_FK


def windows(cfg: Config, lab: Lab) -> None:
    """How do you get every window of a signal without copying it?

    Speech recognition looks at 25 ms of sound, goes on by 10 ms and looks again, so a number is in two or
    three windows, but for the ends. Copying the windows out would take K/hop times the memory of the signal.

    Nothing in the address formula says that two indices must lead to two addresses. Give the first dim the
    stride `hop` and the second the stride 1: the next window begins `hop` elements on, and overlaps the one
    before. `as_strided` writes the note that you ask for: it refuses negative strides, and what reaches
    beyond the storage. Getting the rest right is your affair.
    """
    signal_N = torch.arange(cfg.rows * cfg.cols, dtype=torch.float32)
    cuts = [(signal_N, 400, 160), (signal_N[7:100], 9, 4), (signal_N[5:40], 3, 8), (torch.arange(12), 12, 1)]
    wanted = [x_N.clone().unfold(0, size, hop).clone() for x_N, size, hop in cuts]
    cut = [lab.step(sliding_windows, *arguments) for arguments in cuts]
    count = sum(len(windows_FK) for windows_FK in wanted)
    lab.equal(
        "01.windows", "Windows by strides are those of `unfold`.", cut, wanted, cases=count, unit="windows"
    )
    lab.bytes(
        "01.windows-free",
        "Cutting all windows allocates nothing.",
        peak_bytes(lambda: sliding_windows(signal_N, 400, 160)),
        want=0,
        because="a view is a note, not data",
    )


def ten_numbers(x_MN: Tensor) -> tuple[Tensor, Tensor]:
    """Cut ten numbers out of x, as a slice and as a clone."""
    corner = x_MN[:1, :10]
    own = corner.clone()
    return corner, own


def bytes_on_disk(tensor: Tensor) -> int:
    """Save a tensor and count the bytes of the file."""
    file = io.BytesIO()
    torch.save(tensor, file)
    written = file.tell()
    return written


FILE_GUESSES = {
    "40 bytes": "That is ten times four bytes: what the numbers take, without a word of what they are.",
    "1 to 2 KB": "That is what the clone takes: forty bytes in a zip archive of seven small records.",
    "a little more than all of x": "**Yes.** The storage is saved, and a note that reads ten of its numbers.",
}


def saved_slice(cfg: Config, lab: Lab) -> None:
    """What does a saved slice cost?

    You keep ten numbers of each of your thousand batches, and after a while the machine is out of memory. A
    slice is a note on somebody's storage, and as long as the note lives, all of the storage has to.

    `torch.save` is as faithful: it writes storages, so that two tensors which share one still share it after
    loading. A small slice drags everything along. The cure is one word, `clone`, which copies the ten numbers
    into a storage of their own.
    """
    x_MN = torch.arange(cfg.rows * cfg.cols, dtype=torch.float32).view(cfg.rows, cfg.cols)
    question = (
        f"`x` is a float32 matrix of {cfg.rows} × {cfg.cols}. How large is a file with `x[:1, :10]` in it?"
    )
    lab.predict("01.slice-on-disk", question, FILE_GUESSES, answer="a little more than all of x")
    corner, own = lab.step(ten_numbers, x_MN)
    storages = {storage_of(tensor) for tensor in (x_MN, corner, own)}
    lab.count(
        "01.clone",
        "A slice lies in the storage of x, its clone does not.",
        len(storages),
        want=2,
        because="x and its slice share one, the clone has its own",
    )
    whole, alone = lab.step(bytes_on_disk, corner), lab.step(bytes_on_disk, own)
    zipped = "and a zip archive of 7 records whose headers and padding stay below 4 KiB"
    lab.bytes(
        "01.slice-on-disk",
        "Saving a slice of ten numbers writes the whole storage.",
        whole,
        at_least=x_MN.nbytes,
        at_most=x_MN.nbytes + 4096,
        because=f"M·N·4 bytes of storage, {zipped}",
    )
    lab.bytes(
        "01.clone-on-disk",
        "Saving a clone writes ten numbers.",
        alone,
        at_least=40,
        at_most=40 + 4096,
        because=f"10·4 bytes, {zipped}",
    )


REFUSED = "refused: more than one element of the written-to tensor refers to a single memory location"
VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "expand(2, 5)": lambda base_N: base_N.expand(2, 5),
    "unfold(0, 3, 1)": lambda base_N: base_N.unfold(0, 3, 1),
    "as_strided": lambda base_N: base_N.as_strided((3, 3), (1, 1)),
}
WRITES: dict[str, Callable[[Tensor], object]] = {
    "v.add_(1)": lambda view: view.add_(1),
    "v.fill_(7)": lambda view: view.fill_(7),
    "v.zero_()": lambda view: view.zero_(),
    "v[0] = 7": lambda view: view.__setitem__(0, 7),
}


def after_writing(view: str, write: str) -> str:
    """Write through a view of five ones, and look at the five numbers underneath."""
    base_N = torch.ones(5)
    try:
        WRITES[write](VIEWS[view](base_N))
    except RuntimeError as error:
        reason = str(error).removeprefix("unsupported operation: ").partition(".")[0]
        return f"refused: {reason}"
    left = " ".join(f"{number:g}" for number in base_N.tolist())
    return left


def writing(cfg: Config, lab: Lab) -> None:
    """What happens when you write through a view?

    A write through a view lands in the storage, so everybody who shares it sees the change. That is what
    `x[:, 0] = 1` is for. It becomes treacherous when two elements of the view lie at *one* address: which of
    them did you mean to write?

    torch refuses `add_` on an expanded tensor, whose stride 0 gives it away. It lets `fill_`, `zero_` and an
    assignment pass: they put the same number everywhere, so the order does not matter. Overlapping windows
    have no stride 0, and there torch notices nothing. Element i of five lies under 1, 2, 3, 2, 1 windows of
    three, and an addition reaches it that often.
    """
    lab.predict(
        "01.writes",
        "`base = torch.ones(5)`, and `base.unfold(0, 3, 1).add_(1)` adds 1 to its three windows of three. "
        "What is in `base`?",
        {
            "2 2 2 2 2": "So it would be, if the windows were copies that somebody merged afterwards.",
            "2 3 4 3 2": "**Yes.** The middle element lies under three windows and gets three additions.",
            "an error": "So torch answers for an expanded tensor. Overlapping windows have no stride 0.",
        },
        answer="2 3 4 3 2",
    )
    left = {view: [lab.step(after_writing, view, write) for write in WRITES] for view in VIEWS}
    shown = [(view, *(cell.partition(":")[0] for cell in row)) for view, row in left.items()]
    lab.table("Five ones, after writing through a view", ["view", *WRITES], shown)
    windows_row = ["2 3 4 3 2", "7 7 7 7 7", "0 0 0 0 0", "7 7 7 1 1"]
    expected = [REFUSED, "7 7 7 7 7", "0 0 0 0 0", "7 7 7 7 7", *windows_row, *windows_row]
    lab.equal(
        "01.writes",
        "An expanded tensor refuses a sum, and overlapping windows add to an element once for each window "
        "over it.",
        [cell for row in left.values() for cell in row],
        expected,
        unit="writes",
        because="of five elements, windows of three meet 1, 2, 3, 2 and 1 times",
    )
    lab.say(
        "Do not build on the second half of that sentence. torch promises nothing about writes to "
        "overlapping memory, and a kernel that reads eight numbers before it writes one leaves something "
        "else behind. Clone the view, then write."
    )


def walks(count: int) -> tuple[Tensor, Tensor]:
    """Lay out two walks over equally many numbers: side by side, and one in each 64 bytes."""
    far = torch.ones(count * FLOATS_PER_LINE)[::FLOATS_PER_LINE]
    near = torch.ones(count)
    return near, far


def seconds_per_element(count: int, strides: tuple[int, ...]) -> dict[int, float]:
    """Time the sum of equally many floats at growing strides, in nanoseconds per element."""
    row = torch.ones(count * max(strides))
    rows = {step: row.as_strided((count,), (step,)) for step in strides}
    with torch_threads(1):  # the fastest of nine samples, which was disturbed least
        fastest = {step: min(seconds(row_N.sum, 3) for _ in range(9)) for step, row_N in rows.items()}
    return {step: fastest[step] / count * 1e9 for step in strides}


def strided_walk(cfg: Config, lab: Lab) -> None:
    """What does a stride cost in time?

    Views are free to make. They are not always free to read. Memory does not hand out single numbers: it
    comes in *cache lines* of 64 bytes, 16 floats (128 bytes on Apple's processors). A walk with stride 1 uses
    all 16 of each line. A walk with stride 16 uses one, and moves 16 times the bytes for the same sum.

    A second price comes on top, and has nothing to do with memory. Numbers that lie side by side are added
    four to sixteen at a time by one instruction; numbers that lie apart are fetched one by one. The walk
    with stride 0, which reads a single number again and again and so causes no traffic at all, pays this
    second price alone.
    """
    near, far = lab.step(walks, cfg.walk)
    lab.ratio(
        "01.strided-walk",
        "A sum over numbers 64 bytes apart is slower than one over neighbours.",
        far.sum,
        near.sum,
        at_least=2,
        because=(
            "16 × the bytes; we require an eighth of that, since a cache may hold a part and prefetching "
            "hides some"
        ),
    )
    strides = (0, 1, 2, 4, 8, 16, 32)
    price = lab.step(seconds_per_element, cfg.walk, strides)
    sums, label = {"sum": list(price.values())}, "ns per element"
    lab.plot("The price of a stride", list(price), sums, x_label="stride, elements", y_label=label)
    lab.say(
        f"Here an element costs {price[1]:.2g} ns at stride 1, {price[0]:.2g} ns at stride 0 (no traffic, no "
        f"vector instructions) and {price[16]:.2g} ns at stride 16. Before a loop that reads a transposed "
        "tensor many times, one `contiguous()` pays."
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (one_storage, new_shapes, other_order, windows, saved_slice, writing, strided_walk):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
