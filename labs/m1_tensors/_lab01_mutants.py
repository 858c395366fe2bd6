"""The known mistakes of lab 01."""

from labs.kit import Equivalent, Mutant
from labs.m1_tensors.lab01_storage_vs_view import (
    after_writing,
    asked_of_torch,
    bytes_on_disk,
    pixel_by_pixel,
    read_by_address,
    sliding_windows,
    ten_numbers,
    view_is_legal,
    views_of,
)

MUTANTS = (
    Mutant("copies the transpose", views_of, '"transpose": x_MN.t(),', '"transpose": x_MN.t().contiguous(),'),
    Mutant("forgets the offset", read_by_address, "view.storage_offset()", "0"),
    Mutant("forgets the strides", read_by_address, "+ stride *", "+"),
    Mutant("walks as if contiguous", read_by_address, "view.stride(),", "torch.empty(view.shape).stride(),"),
    Mutant("goes on by one wherever it goes on", read_by_address, "+ stride *", "+ (stride > 0) *"),
    Mutant(
        "reads through floating point",
        read_by_address,
        "= storage.take(places)",
        "= storage.double().take(places).to(view.dtype)",
    ),
    Mutant("asks the view for its elements", read_by_address, "= storage.take(places)", "= view.clone()"),
    Mutant("hands the view back", read_by_address, "= storage.take(places)", "= view"),
    Mutant(
        "reads two dims and no other",
        read_by_address,
        "zip(view.shape, view.stride(), strict=True)",
        "list(zip(view.shape, view.stride(), strict=True))[:2]",
    ),
    Mutant("stores channel by channel", pixel_by_pixel, "channels_last", "contiguous_format"),
    Mutant(
        "scrambles the image",
        pixel_by_pixel,
        "image_BCHW.contiguous(",
        "image_BCHW.permute(0, 2, 3, 1).reshape(image_BCHW.shape).contiguous(",
    ),
    Mutant(
        "looks at strides but not at sizes", view_is_legal, "last_step == size * step", "last_step >= step"
    ),
    Mutant(
        "merges only next to a stride of 1",
        view_is_legal,
        "last_step == size * step",
        "step == 1 and last_step == size",
    ),
    Mutant(
        "merges no expanded dims", view_is_legal, "last_step == size * step", "0 < last_step == size * step"
    ),
    Mutant("asks torch", view_is_legal, "runs: list[int] = []", "runs: list[int] = torch.ones(0).tolist()"),
    Mutant("lets dims of size 1 break a run", view_is_legal, "size == 1", "size == 0"),
    Mutant("never refuses", view_is_legal, "room % size:", "room % size > room:"),
    Mutant("leaves a run before it is used up", view_is_legal, "room == 1:", "room >= 1 and runs:"),
    Mutant(
        "always copies",
        asked_of_torch,
        "tensor.reshape(layout.target)",
        "tensor.clone().reshape(layout.target)",
    ),
    Mutant("copies the windows", sliding_windows, "(hop, 1))", "(hop, 1)).clone()"),
    Mutant("starts every window one too early", sliding_windows, "(hop, 1)", "(hop - 1, 1)"),
    Mutant("loses the last window", sliding_windows, "// hop + 1", "// hop"),
    Mutant(
        "loses a last window that just fits", sliding_windows, "(len(x_N) - size)", "(len(x_N) - size - 1)"
    ),
    Mutant("begins at the storage's start", sliding_windows, "(hop, 1))", "(hop, 1), 0)"),
    Mutant("cuts out a clone that shares", ten_numbers, "corner.clone()", "corner.view_as(corner)"),
    Mutant("saves a clone", bytes_on_disk, "torch.save(tensor, file)", "torch.save(tensor.clone(), file)"),
    Mutant("writes into a copy", after_writing, "VIEWS[view](base_N))", "VIEWS[view](base_N).clone())"),
)

ANEW = "the tensor gets its storage, and with it its sizes, from `set_`"
UNREAD = "no run is there yet, so the last step is not looked at"

EQUIVALENT = (
    Equivalent(read_by_address, "torch.empty(0, dtype=view.dtype)", "torch.empty(1, dtype=view.dtype)", ANEW),
    Equivalent(view_is_legal, "last_step = 0", "last_step = -1", UNREAD),
    Equivalent(view_is_legal, "last_step = 0", "last_step = 1", UNREAD),
)
