"""Lab 33: what its contract does not cover: break-even by trying, and the two branches said without an `if`."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from labs.kit.topics.compiling import Counting, fresh_compiler
from labs.m5_training import lab33_torch_compile_intro as lab33

MILLISECONDS = st.integers(1, 50)


@given(st.integers(1, 2000), MILLISECONDS, MILLISECONDS)
def test_break_even_is_the_first_number_of_calls_that_pays(first: int, eager: int, compiled: int) -> None:
    price = lab33.Price(first, eager, compiled)
    found = lab33.break_even(price)
    if eager <= compiled:
        assert found == math.inf
    else:
        assert price.first + found * compiled <= found * eager
        assert price.first + (found - 1) * compiled > (found - 1) * eager


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=6))
def test_without_the_if_it_says_the_same(numbers: list[int]) -> None:
    x_N = torch.tensor(numbers, dtype=torch.float32)
    assert torch.equal(lab33.without_break(x_N), lab33.with_break(x_N))


def test_the_chain_has_as_many_operators_as_the_lesson_says() -> None:
    backend = Counting()
    with fresh_compiler():
        torch.compile(lab33.chain, backend=backend)(torch.ones(2))
    assert backend.operators == [lab33.OPERATORS]
