"""The steps of lab 04 on random inputs, and what it says beside its claims."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from labs.m1_tensors import _lab04_helpers as helpers
from labs.m1_tensors import lab04_advanced_indexing as lab

SIZES = st.lists(st.integers(1, 4), max_size=4)


@given(SIZES, st.data())
def test_the_loop_gathers(sizes: list[int], data: st.DataObject) -> None:
    x = torch.arange(2**40, 2**40 + torch.Size(sizes).numel()).view(sizes)
    dim = data.draw(st.integers(0, max(len(sizes) - 1, 0)))
    shape = [data.draw(st.integers(0, 6 if d == dim else size)) for d, size in enumerate(sizes)]
    index = torch.randint(sizes[dim] if sizes else 1, shape)
    picked = lab.gather_by_loop(x, dim, index)
    assert picked.dtype == x.dtype
    assert picked.dtype == x.dtype
    assert torch.equal(picked, x.gather(dim, index))


@given(st.integers(0, 20), st.integers(1, 5))
def test_segments_sum_to_one_and_are_softmaxes(edges: int, count: int) -> None:
    scores_E = 1000 * torch.randn(edges, dtype=torch.float64)
    segment_E = torch.randint(count, (edges,))
    weight_E = lab.segment_softmax(scores_E, segment_E, count)
    sums_V = torch.zeros(count, dtype=torch.float64).index_add(0, segment_E, weight_E)
    torch.testing.assert_close(sums_V, (segment_E.bincount(minlength=count) > 0).double())
    torch.testing.assert_close(weight_E, helpers.softmax_one_by_one(scores_E, segment_E, count))


def test_the_softmax_of_segments_has_the_right_gradient() -> None:
    scores_E = torch.randn(7, dtype=torch.float64, requires_grad=True)
    segment_E = torch.tensor([2, 0, 2, 2, 1, 0, 2])
    assert torch.autograd.gradcheck(lambda scores_E: lab.segment_softmax(scores_E, segment_E, 4), scores_E)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 12))
def test_updates_are_means(states: int, actions: int, batch: int) -> None:
    q_SA = torch.randn(actions, states, dtype=torch.float64).t()  # not contiguous
    s_B, a_B = torch.randint(states, (batch,)), torch.randint(actions, (batch,))
    target_B = torch.randn(batch, dtype=torch.float64)
    moved_SA = lab.td_update(q_SA, s_B, a_B, target_B, 0.3)
    torch.testing.assert_close(moved_SA, helpers.updated_one_by_one(q_SA, s_B, a_B, target_B, 0.3))


def test_an_update_of_pairs_that_differ_is_an_assignment() -> None:
    q_SA, s_B, a_B = torch.zeros(3, 2), torch.tensor([0, 2]), torch.tensor([1, 0])
    target_B = torch.tensor([5.0, 7.0])
    assert torch.equal(
        lab.td_update(q_SA, s_B, a_B, target_B, 1.0), lab.accumulated(q_SA, s_B, a_B, target_B, 1.0)
    )


def test_a_field_d_steps_from_the_goal_is_worth_the_discount_d_minus_1_times() -> None:
    world = helpers.GridWorld.of(4, 5)
    best_S = helpers.value_iteration(world).amax(1)
    for row, col in itertools.product(range(4), range(5)):
        away = (3 - row) + (4 - col)
        wanted = helpers.DISCOUNT ** (away - 1) if away else 0.0
        assert best_S[5 * row + col].item() == pytest.approx(wanted)


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 2**24), (torch.bfloat16, 256)])
def test_a_counter_of_floats_stops(dtype: torch.dtype, most: int) -> None:
    h_V = torch.tensor([most], dtype=dtype)
    for _ in range(3):
        h_V.index_add_(0, torch.tensor([0]), torch.ones(1, dtype=dtype))
    assert h_V.item() == most


def test_all_scores_by_all_labels_is_another_thing() -> None:
    scores_NC, label_N = torch.randn(4, 3), torch.tensor([2, 0, 1, 1])
    assert scores_NC[:, label_N].shape == (4, 4)
    assert torch.equal(scores_NC[:, label_N].diagonal(), lab.score_of_label(scores_NC, label_N))


def test_a_sparse_gradient_keeps_the_rows_alone() -> None:
    table_VD = torch.randn(11, 3, requires_grad=True)
    row_ED = functional.embedding(torch.tensor([3, 1, 3]), table_VD, sparse=True)
    (grad_VD,) = torch.autograd.grad(row_ED, table_VD, torch.ones(3, 3))
    assert grad_VD.coalesce().values().shape == (2, 3)


def test_writing_into_a_chosen_part_of_a_chosen_part_is_lost() -> None:
    x = torch.arange(12).view(3, 4)
    x[x > 5][0] = 99
    assert not (x == 99).any()
    x[1][0] = 99
    assert x[1, 0] == 99


def test_errors_tell_what_is_wrong() -> None:
    def cases() -> list[tuple[torch.Tensor]]:
        return [(torch.tensor([1.0, 3.0]),)]

    def doubled(x: torch.Tensor) -> torch.Tensor:
        return 2 * x.double()

    assert helpers.errors(lambda x: 2 * x, doubled, cases).tolist() == [0]
    for wrong in (lambda x: x.mul_(2), lambda x: 2 * x[:1], lambda x: 2 * x.double()):
        assert helpers.errors(wrong, doubled, cases).tolist() == [float("inf")]
    assert helpers.errors(lambda x: x / 0, doubled, cases).tolist() == [float("inf")]
    assert helpers.errors(lambda x: x * float("nan"), doubled, cases).isnan().all()
