"""The reader of strings and the count of operations that lab 03 builds by hand, against torch, and what its lesson says beside."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labs.kit.measure.memory import peak_bytes
from labs.m1_tensors import _lab03_helpers as helpers
from labs.m1_tensors import lab03_einsum_is_all_you_need as lab

SIZES = st.lists(st.integers(1, 9), min_size=3, max_size=6)


@st.composite
def strings(draw: st.DrawFn) -> helpers.Spelled:
    """A string of up to three words, and shapes in which each letter has one size."""
    words = draw(st.lists(st.text("aBcd", max_size=3), min_size=1, max_size=3))
    letters = sorted(set("".join(words)))
    kept = draw(st.permutations(letters))[: draw(st.integers(0, len(letters)))]
    sizes = {letter: draw(st.integers(0, 4)) for letter in letters}
    shapes = tuple(tuple(sizes[letter] for letter in word) for word in words)
    return f"{','.join(words)}->{''.join(kept)}", shapes


@given(strings(), st.sampled_from([torch.float32, torch.float64, torch.int64]))
def test_the_reader_agrees_with_torch(spelled: helpers.Spelled, dtype: torch.dtype) -> None:
    spec, shapes = spelled
    operands = helpers.whole_numbers(shapes, dtype)
    result, own = lab.my_einsum(spec, *operands), torch.einsum(spec, *operands)
    assert (result.shape, result.dtype) == (own.shape, dtype)
    assert torch.equal(result, own)


def test_the_reader_fills_a_block_and_torch_does_not() -> None:
    x, y = torch.rand(20, 30), torch.rand(30, 40)
    assert peak_bytes(partial(lab.my_einsum, "ij,jk->ik", x, y)) >= 4 * 20 * 30 * 40
    assert peak_bytes(partial(torch.einsum, "ij,jk->ik", x, y)) == 4 * 20 * 40


def test_random_strings_have_all_that_the_lesson_promises() -> None:
    specs = helpers.random_specs(400)
    words = [word for spec, _ in specs for word in spec.partition("->")[0].split(",")]
    assert {len(shapes) for _, shapes in specs} == {1, 2, 3}
    assert any(len(set(word)) < len(word) for word in words)
    assert any(spec.endswith("->") for spec, _ in specs)
    assert {0, 1} < {size for _, shapes in specs for shape in shapes for size in shape}


@given(SIZES, st.randoms(use_true_random=False))
def test_a_chain_costs_what_its_matrix_products_cost(sizes: list[int], dice: object) -> None:
    letters = "abcdef"[: len(sizes)]
    spec = ",".join(letters[at : at + 2] for at in range(len(sizes) - 1)) + f"->{letters[0]}{letters[-1]}"
    known = dict(zip(letters, sizes, strict=True))
    ends = [(at, at + 1) for at in range(len(sizes) - 1)]
    order, cost = [], 0
    while len(ends) > 1:
        assert hasattr(dice, "choice")
        left = dice.choice([pair for pair in ends if any(pair[1] == other[0] for other in ends)])
        right = next(other for other in ends if other[0] == left[1])
        order.append((ends.index(left), ends.index(right)))
        cost += 2 * sizes[left[0]] * sizes[left[1]] * sizes[right[1]]
        ends = [pair for pair in ends if pair not in (left, right)] + [(left[0], right[1])]
    assert lab.operations(spec, known, order) == cost


def test_every_order_gives_the_product_of_torch() -> None:
    for case in helpers.contractions(40, 10):
        operands = case.operands()
        torch.testing.assert_close(
            helpers.contracted(case, operands)[-1], torch.einsum(case.spec, *operands), rtol=1e-4, atol=1e-4
        )


def test_what_is_counted_step_by_step_adds_up() -> None:
    left, right = helpers.contractions(40, 10)[:2]
    assert helpers.counted(left) == [2 * 40 * 10 * 40, 2 * 40 * 40 * 10]
    assert helpers.counted(right) == [2 * 10 * 40 * 10, 2 * 40 * 10 * 10]


def test_the_rule_for_what_torch_runs_needs_sizes_above_one() -> None:
    """A dim of size 1 is treated as one that the operand lacks."""
    x, y = torch.rand(3, 1), torch.rand(4, 5)
    assert helpers.operators(partial(torch.einsum, "ij,jk->ik", x, y)) == ["sum", "mul"]
    assert lab.lowered("ij,jk->ik") == ["bmm"]


def test_a_layout_is_no_matter_of_the_string() -> None:
    """A transposed view of the first layout has the second one's string, and is copied all the same."""
    (q, k), _ = lab.two_layouts(12, 14).values()
    taken = peak_bytes(partial(torch.einsum, "bhqd,bhkd->bhqk", q.transpose(1, 2), k.transpose(1, 2)))
    assert taken == 4 * 3 * 5 * 12 * 14 + q.nbytes + k.nbytes


@pytest.mark.parametrize(
    ("spec", "shapes", "message"),
    [
        ("ij->ik", [(2, 3)], "does not appear in the equation"),
        ("ij,jk->ik", [(2, 3), (4, 5)], "does not broadcast"),
        ("ii->i", [(2, 3)], "sizes don't match"),
    ],
)
def test_what_torch_refuses(spec: str, shapes: list[helpers.Shape], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        torch.einsum(spec, *(torch.ones(shape) for shape in shapes))


def test_the_picture_is_to_scale_and_told_in_words() -> None:
    left, right = (helpers.Tree.of(case) for case in helpers.contractions(40, 10)[:2])
    assert left.shapes == ((40, 10), (10, 40), (40, 10), (40, 40), (40, 10))
    assert right.shapes == ((40, 10), (10, 40), (40, 10), (10, 10), (40, 10))
    told = helpers.Trees((left, right)).describe()
    assert "A·B, 1,600 numbers, 32,000 operations." in told
    assert "B·C, 100 numbers, 8,000 operations." in told
