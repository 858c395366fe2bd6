"""Lab 06: its steps on random sizes, the formula for what stays in place, and what its prose says."""

import math

import pytest
import torch
from einops import EinopsError, rearrange, reduce
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._pytree import tree_leaves

from labs.kit.topics.compiling import fresh_compiler
from labs.m1_tensors import _lab06_helpers as helpers
from labs.m1_tensors import _lab06_inputs as inputs
from labs.m1_tensors import lab06_einops_tutorial as lab

SIZES = st.integers(0, 4)
COUNTS = st.integers(1, 4)


@given(SIZES, SIZES, COUNTS, COUNTS)
def test_heads_hold_the_numbers_of_their_tokens(batch: int, tokens: int, heads: int, width: int) -> None:
    x_BNE = inputs.numbered(batch, tokens, heads * width)
    y_BAND = lab.split_heads(x_BNE, heads)
    assert y_BAND.shape == (batch, heads, tokens, width)
    assert torch.equal(y_BAND, helpers.read_heads(x_BNE, heads))
    for b in range(batch):
        for n in range(tokens):
            assert y_BAND[b, :, n].flatten().tolist() == x_BNE[b, n].tolist()


@given(SIZES, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_patches_hold_what_a_loop_cuts(batch: int, channels: int, h: int, w: int, p: int, q: int) -> None:
    x_BCHW = inputs.numbered(batch, channels, h * p, w * q)
    cut = [
        x_BCHW[:, :, i * p : i * p + p, j * q : j * q + q].permute(0, 2, 3, 1).flatten(1)
        for i in range(h)
        for j in range(w)
    ]
    assert torch.equal(lab.patches(x_BCHW, p, q), torch.stack(cut, 1))


@given(SIZES, SIZES, COUNTS, st.booleans())
def test_tiles_are_in_memory_of_their_own(height: int, width: int, r: int, turned: bool) -> None:
    x_HW = inputs.numbered(width, height).t() if turned else inputs.numbered(height, width)
    tiled_HW = lab.tile(x_HW, r)
    assert torch.equal(tiled_HW, x_HW.repeat(r, r))
    places = {tiled_HW[i, j].data_ptr() for i in range(r * height) for j in range(r * width)}
    assert len(places) == tiled_HW.numel()
    assert tiled_HW.untyped_storage().data_ptr() != x_HW.untyped_storage().data_ptr() or not x_HW.numel()


@given(st.integers(0, 9), st.integers(0, 9))
def test_the_formula_for_what_stays_in_place_counts_rightly(rows: int, columns: int) -> None:
    table = torch.arange(rows * columns).view(rows, columns)
    assert helpers.fixed(rows, columns) == int((table.flatten() == table.t().flatten()).sum())


@pytest.mark.parametrize("tokens_and_heads", [(3, 2, 4), (9, 5, 5 * 9 - 5), (1, 7, 0), (7, 1, 0)])
def test_pieces_that_move(tokens_and_heads: tuple[int, int, int]) -> None:
    tokens, heads, moved = tokens_and_heads
    assert tokens * heads - helpers.fixed(tokens, heads) == moved


def test_random_patterns_are_of_all_kinds() -> None:
    patterns = inputs.random_patterns(200)
    ranks = {pattern.tensor.dim() for pattern in patterns}
    assert set(range(5)) <= ranks
    assert any(0 in pattern.tensor.shape for pattern in patterns)
    assert any(not pattern.tensor.is_contiguous() for pattern in patterns)
    assert any(len(pattern.given) < len(pattern.sizes) for pattern in patterns)
    assert any(pattern.given for pattern in patterns)
    assert all(pattern.tensor.numel() == math.prod(pattern.merged) for pattern in patterns)
    assert all(pattern.tensor.numel() for pattern in inputs.random_patterns(200, empty=False))


def test_among_the_patterns_are_three_cycles_which_a_swap_cannot_undo() -> None:
    orders = [pattern.order for pattern in inputs.random_patterns(200)]
    assert any(order != [order.index(place) for place in range(len(order))] for order in orders)


def test_a_message_repeats_the_pattern_and_the_shape() -> None:
    with pytest.raises(EinopsError, match=r'pattern "b n e -> n b".*\n.*torch.Size\(\[2, 3, 4\]\)'):
        rearrange(torch.zeros(2, 3, 4), "b n e -> n b")


def test_an_image_with_three_rows_passes_for_one_with_three_channels() -> None:
    assert lab.flattened(torch.zeros(2, 3, 5, 3), c=3).shape == (2, 45)


def test_the_mean_of_whole_numbers_is_refused() -> None:
    with pytest.raises(NotImplementedError):
        reduce(torch.arange(6).view(2, 3), "h w -> h", "mean")


@pytest.mark.parametrize("name", list(inputs.compiled_calls()))
def test_compiled_calls_return_the_same(name: str) -> None:
    function, tensors, operators = inputs.compiled_calls()[name]
    assert helpers.graphs_of(function, tensors) == [operators]
    with fresh_compiler():
        compiled = torch.compile(function, backend="eager")(*tensors)
    assert all(map(torch.equal, tree_leaves(compiled), tree_leaves(function(*tensors))))
