"""The rules that lab 01 builds by hand, against torch, on random layouts."""

import math

import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from labs.m1_tensors import lab01_storage_vs_view as lab
from labs.m1_tensors._lab01_helpers import random_layouts

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
        assert min(layout.stride) >= 0
