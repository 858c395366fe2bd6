"""Lab 41: what its contract does not cover: bins by counting on any edges, and the running average said in one sum."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from labs.m6_production import lab41_onnx_advanced_export as lab41

QUARTERS = st.integers(-12, 12).map(
    lambda number: number / 4
)  # exact in float32, so that values lie right on edges


@given(st.lists(QUARTERS, min_size=1, max_size=6, unique=True), st.lists(QUARTERS, min_size=1, max_size=8))
def test_counting_finds_the_bins_of_a_search(edges: list[float], values: list[float]) -> None:
    edges_K, x_BT = torch.tensor(sorted(edges)), torch.tensor([values])
    assert torch.equal(lab41.bins_by_counting(x_BT, edges_K), torch.searchsorted(edges_K, x_BT))


@given(st.lists(QUARTERS, min_size=1, max_size=12))
def test_the_average_at_once_is_that_of_the_loop(values: list[float]) -> None:
    x_BT = torch.tensor([values], dtype=torch.float64)
    torch.testing.assert_close(lab41.average_at_once(x_BT), lab41.average_by_loop(x_BT))


def test_both_dims_of_the_input_are_free() -> None:
    (dims,) = lab41.free_dims()
    assert {place: dim.__name__ for place, dim in dims.items()} == {0: "batch", 1: "length"}
