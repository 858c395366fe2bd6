"""What lab 12 builds by hand, on random graphs, and what it says beside its claims."""

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from labs.m2_autograd import _lab12_helpers as helpers
from labs.m2_autograd import _lab12_tools as tools
from labs.m2_autograd import lab12_retain_graph_trick as lab

draw = partial(torch.randn, dtype=torch.float64)


@given(st.integers(0, 4), st.integers(0, 5), st.booleans())
def test_a_cut_gives_the_gradients_of_the_sum(heads: int, size: int, blind: bool) -> None:
    ours, true = (helpers.model(heads, size, blind=blind) for _ in range(2))
    lab.backward_by_heads(ours.trunk(), ours.losses)
    h_N = true.trunk()
    want: tuple[Tensor | None, ...] = (None,) * len(true.parameters)
    if true.losses:
        total = torch.stack([loss(h_N) for loss in true.losses]).sum()
        want = torch.autograd.grad(total, true.parameters, allow_unused=True)
    for number, grad in zip(ours.parameters, want, strict=True):
        assert (number.grad is None) == (grad is None)
        if grad is not None:
            torch.testing.assert_close(number.grad, grad)
    assert len(ours.walks) <= 1


@given(st.integers(0, 9), st.integers(1, 10), st.integers(1, 3))
def test_a_truncated_sequence_is_the_sum_of_its_pieces(steps: int, every: int, samples: int) -> None:
    xs_TBI, h_BH = draw(steps, samples, 5), draw(samples, 7)
    cell, weights = helpers.recurrence()
    last_BH = lab.truncated_bptt(cell, helpers.weighted, xs_TBI, h_BH, every)
    sums, state_BH = helpers.by_pieces(xs_TBI, h_BH, every)
    torch.testing.assert_close(last_BH, state_BH)
    for weight, grad in zip(weights, sums, strict=True):
        if grad is None:
            assert weight.grad is None
        else:
            torch.testing.assert_close(weight.grad, grad)


@given(st.integers(1, 6))
def test_without_a_cut_the_pieces_are_the_whole(steps: int) -> None:
    xs_TBI, h_BH = draw(steps, 3, 5), draw(3, 7)
    cell, weights = helpers.recurrence()
    total, state_BH = torch.zeros((), dtype=torch.float64), h_BH
    for x_BI in xs_TBI:
        state_BH = cell(x_BI, state_BH)
        total = total + helpers.weighted(state_BH)
    sums, _ = helpers.by_pieces(xs_TBI, h_BH, steps)
    torch.testing.assert_close(torch.autograd.grad(total, weights), tuple(sums))


def test_the_walk_by_hand_is_autograds_where_no_weight_changed() -> None:
    xs_TBI, h_BH = draw(4, 3, 5), draw(3, 7)
    cell, weights = helpers.recurrence()
    states = [h_BH]
    for x_BI in xs_TBI:
        states.append(cell(x_BI, states[-1]))
    want = torch.autograd.grad(helpers.weighted(states[-1]), weights)
    run = helpers.Trained([state.detach() for state in states], [weights[1].detach()] * 4, [])
    torch.testing.assert_close(helpers.by_hand(xs_TBI, run, run.weights), list(want))


@pytest.mark.parametrize("name", helpers.OPTIMIZERS)
def test_an_optimizer_that_counts_its_writes_is_refused_in_the_third_step(name: str) -> None:
    make = partial(helpers.OPTIMIZERS[name], lr=0.1)
    xs_TBI, h_BH = tools.drawn(4, 3, 5), tools.drawn(3, 7)
    assert len(lab.trained(make, xs_TBI[:2], h_BH).gradients) == 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        lab.trained(make, xs_TBI[:3], h_BH)


def test_the_wrong_gradient_is_far_from_the_true_one() -> None:
    xs_TBI, h_BH = tools.drawn(4, 3, 5), tools.drawn(3, 7)
    run = lab.trained(partial(torch.optim.Adam, lr=0.1, fused=True), xs_TBI, h_BH)
    true = tools.joined([helpers.by_hand(xs_TBI, run, run.weights)])
    assert float((tools.joined([run.gradients]) - true).norm() / true.norm()) > 0.01


def test_half_of_the_operations_keep_nothing() -> None:
    answers = [helpers.asked_twice(operation, draw(3, 4))[1] for operation in helpers.operations().values()]
    assert (answers.count("walked"), answers.count("refused")) == (8, 8)


def test_without_retaining_the_generator_is_refused() -> None:
    parts = helpers.adversaries()
    fake_BN = parts.generator(parts.noise_BI)
    parts.critic(fake_BN).mean().backward()
    with pytest.raises(RuntimeError, match="a second time"):
        (-parts.critic(fake_BN)).mean().backward()


def test_a_node_tells_what_it_keeps_and_whether_that_is_gone() -> None:
    x = torch.ones(2, requires_grad=True)
    y = (x * 2).exp()
    nodes = tools.nodes_of(y)
    assert tools.kept_by(*nodes) == ["exp keeps result", "mul keeps other"]
    assert not any(map(tools.is_freed, nodes))
    y.sum().backward()
    assert [tools.is_freed(node) for node in nodes] == [True, True, False]


def test_each_pass_visits_what_it_should() -> None:
    seen: list[Any] = []
    visits = tools.Visits()
    lab.carried(draw(3, 2, 5), draw(2, 7), detached=False, retained=True, look=visits.look)
    assert visits.passes == [[4], [4, 4], [4, 4, 4]]
    x = torch.ones(2, requires_grad=True)
    y, z = x.exp(), x.sin()
    seen = tools.visited_nodes(partial(y.backward, torch.ones(2)), [y.grad_fn, z.grad_fn])
    assert seen == [y.grad_fn]


def test_the_numbers_of_the_prose() -> None:
    w = torch.tensor(1.0, requires_grad=True)
    gradients = []
    for every in (1, 2):
        w.grad = torch.zeros(())
        cell = lambda x_BI, h_BH: w * x_BI + h_BH  # noqa: E731
        lab.truncated_bptt(cell, torch.sum, torch.ones(2, 1, 1), torch.zeros(1, 1), every)
        gradients.append(w.grad.item())
    assert gradients == [2, 3]
    total = helpers.added_up(tools.classifier(11, 7), 200, recorded=True, walked=True)
    assert tools.size_of(total) == 5 * 200 + 1
