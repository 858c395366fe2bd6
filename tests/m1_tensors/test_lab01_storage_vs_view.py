"""The rules that lab 01 builds by hand, against torch, on random layouts."""

import io
import math
import zipfile
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from labs.m1_tensors import lab01_storage_vs_view as lab
from labs.m1_tensors._lab01_helpers import random_layouts, touched

LAYOUTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=4)


def laid_out(layout: list[tuple[int, int]], offset: int = 0) -> Tensor:
    """A tensor of these sizes and strides over a row of numbers that are all different."""
    sizes, strides = [size for size, _ in layout], [stride for _, stride in layout]
    room = offset + sum((size - 1) * stride for size, stride in layout if size) + 1
    return torch.arange(room).as_strided(sizes, strides, offset)


@st.composite
def factorizations(draw: st.DrawFn, count: int) -> tuple[int, ...]:
    """Sizes whose product is `count`, ones among them; any that hold a 0 where it is 0."""
    if count == 0:
        return tuple(draw(st.permutations([0, *draw(st.lists(st.integers(0, 4), max_size=2))])))
    sizes = []
    while count > 1 and draw(st.booleans()):
        size = draw(st.sampled_from([factor for factor in range(1, count + 1) if count % factor == 0]))
        sizes.append(size)
        count //= size
    return tuple(
        draw(
            st.permutations(
                [*sizes, *([count] if count > 1 else []), *draw(st.lists(st.just(1), max_size=2))]
            )
        )
    )


def torch_grants(tensor: Tensor, target: tuple[int, ...]) -> bool:
    try:
        tensor.view(target)
    except RuntimeError:
        return False
    return True


@given(LAYOUTS, st.data())
def test_the_rule_for_view_is_torchs(layout: list[tuple[int, int]], data: st.DataObject) -> None:
    tensor = laid_out(layout)
    target = data.draw(factorizations(tensor.numel()))
    assert math.prod(target) == tensor.numel()
    assert lab.view_is_legal(tuple(tensor.shape), tensor.stride(), target) is torch_grants(tensor, target)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_the_rule_for_view_is_torchs_on_shuffled_plain_tensors(sizes: list[int], data: st.DataObject) -> None:
    tensor = torch.empty(sizes).permute(data.draw(st.permutations(range(len(sizes)))))
    target = data.draw(factorizations(tensor.numel()))
    assert lab.view_is_legal(tuple(tensor.shape), tensor.stride(), target) is torch_grants(tensor, target)


def test_the_rule_refuses_what_uses_up_all_runs_before_the_last_dim() -> None:
    tensor = torch.empty(1, 4, 1, 3).permute(0, 2, 3, 1)
    assert lab.view_is_legal(tuple(tensor.shape), tensor.stride(), (2, 3, 2)) is False


@given(LAYOUTS, st.integers(0, 9))
def test_every_element_is_read_by_its_address(layout: list[tuple[int, int]], offset: int) -> None:
    tensor = laid_out(layout, offset)
    read = lab.read_by_address(tensor)
    assert read.shape == tensor.shape
    assert torch.equal(read, tensor)


@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 12))
def test_windows_are_those_of_unfold(count: int, size: int, hop: int) -> None:
    assume(size <= count)
    signal_N = torch.arange(count)
    windows_FK = lab.sliding_windows(signal_N, size, hop)
    assert torch.equal(windows_FK, signal_N.unfold(0, size, hop))
    assert windows_FK.data_ptr() == signal_N.data_ptr()


@given(st.integers(1, 60))
def test_random_layouts_fit_their_targets(count: int) -> None:
    for layout in random_layouts(count):
        assert math.prod(layout.shape) == math.prod(layout.target)
        assert len(layout.shape) == len(layout.stride)
        assert all(step >= 0 for step in layout.stride)


def test_each_of_nine_views_reads_what_its_name_says() -> None:
    x_MN = torch.arange(9 * 13).view(9, 13)
    views = lab.views_of(x_MN)
    assert {name: (*view.shape, *view.stride(), view.storage_offset()) for name, view in views.items()} == {
        "transpose": (13, 9, 1, 13, 0),
        "block": (6, 8, 13, 1, 44),
        "every other column": (9, 7, 13, 2, 0),
        "diagonal": (9, 14, 0),
        "a row, expanded": (4, 13, 0, 1, 26),
        "overlapping windows": (5, 8, 3, 1, 7),
        "transpose of the block": (8, 6, 1, 13, 44),
        "through NumPy": (9, 13, 13, 1, 0),
        "through DLPack": (9, 13, 13, 1, 0),
    }
    # What comes back from another library is a tensor of its own for autograd, and no view.
    assert [name for name, view in views.items() if not view._is_view()] == [
        "through NumPy",
        "through DLPack",
    ]


def test_random_layouts_are_of_all_kinds_and_neither_answer_is_a_safe_guess() -> None:
    layouts = random_layouts(400)
    granted = [lab.asked_of_torch(layout)[0] for layout in layouts]
    assert min(granted.count(True), granted.count(False)) > 30
    kinds = {
        "empty": lambda layout: 0 in layout.shape,
        "no dims": lambda layout: layout.shape == (),
        "to no dims": lambda layout: layout.shape and layout.target == (),
        "ones": lambda layout: 1 in layout.shape,
        "twice expanded": lambda layout: any(
            left == right == 0 and min(sizes) > 1
            for left, right, sizes in zip(
                layout.stride, layout.stride[1:], pairwise(layout.shape), strict=False
            )
        ),
        "shuffled": lambda layout: list(layout.stride) != sorted(layout.stride, reverse=True),
        "stretched": lambda layout: layout.stride and min(layout.stride) > 1,
    }
    assert [kind for kind, is_one in kinds.items() if not any(map(is_one, layouts))] == []


def test_who_asks_the_view_for_an_element_is_noticed() -> None:
    view = torch.arange(12).view(3, 4).t()
    assert touched(lab.read_by_address, view) == []
    assert (
        touched(lambda view: print(view.shape, view.stride(), len(view), view.numel(), view.dtype), view)
        == []
    )
    assert touched(lambda view: view.clone(), view) == ["clone"]
    assert touched(lambda view: torch.tensor(view.tolist()), view) == ["tolist"]
    assert touched(lambda view: torch.from_numpy(view.numpy().copy()), view) == ["numpy"]
    assert touched(lambda view: torch.stack([row.clone() for row in view]), view) == ["unbind"]
    assert touched(lambda view: view, view) == ["itself"]
    assert touched(lab.view_is_legal, (3, 4), (4, 1), (12,)) == []
    assert touched(lambda *sizes: torch.empty_strided(*sizes).shape == (), (3, 4), (4, 1)) == [
        "empty_strided"
    ]


class Shown(Mock):
    """Runs the steps of a part and keeps what the part shows."""

    def step(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    once = step


def test_the_table_holds_the_notes_of_x_and_its_views() -> None:
    shown = Shown()
    lab.one_storage(lab.Config.smoke(), shown)
    [(_, columns, rows)] = [call.args for call in shown.table.call_args_list]
    assert columns == ["tensor", "sizes", "strides", "offset"]
    assert rows[0] == ("x", [64, 67], [67, 1], 0)
    assert rows[2:4] == [("block", [6, 62], [67, 1], 206), ("every other column", [64, 34], [67, 2], 0)]
    assert len(rows) == 10


def test_the_picture_shows_the_steps_of_the_prose() -> None:
    shown = Shown()
    lab.new_shapes(lab.Config.smoke(), shown)
    [(_, straight, back_and_forth)] = [call.args for call in shown.diagram.call_args_list]
    assert [arrow.text for arrow in straight.arrows] == ["+1"] * 11
    assert [arrow.text for arrow in back_and_forth.arrows] == [*["+4", "+4", "-7"] * 3, "+4", "+4"]
    assert [(arrow.start, arrow.end) for arrow in back_and_forth.arrows][:4] == [
        (0, 4),
        (4, 8),
        (8, 1),
        (1, 5),
    ]
    [(_, _, rows)] = [call.args for call in shown.table.call_args_list]
    assert [row[0] for row in rows] == ["granted", "refused"]
    assert rows[0][1] > 0 == rows[0][2]
    assert rows[1][2] > 0 == rows[1][1]


def test_ten_numbers_and_their_clone_are_the_first_ten_of_x() -> None:
    x_MN = torch.rand(3, 67)
    corner, own = lab.ten_numbers(x_MN)
    assert torch.equal(corner, x_MN.flatten()[:10].view(1, 10))
    assert torch.equal(own, corner)


def test_a_saved_slice_comes_back_with_its_storage() -> None:
    file = io.BytesIO()
    corner, own = lab.ten_numbers(torch.rand(3, 67))
    torch.save((corner, own), file)
    file.seek(0)
    loaded = torch.load(file)
    assert [tensor.untyped_storage().nbytes() for tensor in loaded] == [3 * 67 * 4, 40]
    assert len(zipfile.ZipFile(file).namelist()) == 7 + 1  # one storage more than in a file of one tensor


def test_a_price_is_that_of_its_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "seconds", lambda walk, times: float(walk.__self__.stride(0) * walk().item()))
    assert lab.seconds_per_element(5, (0, 1, 16)) == {0: 0.0, 1: 1e9, 16: 16e9}


def test_two_walks_read_equally_many_numbers_near_and_far() -> None:
    assert [(len(walk), walk.stride(0)) for walk in lab.walks(100)] == [(100, 1), (100, 16)]
