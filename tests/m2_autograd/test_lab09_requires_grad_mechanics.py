"""What lab 09 builds by hand, on models and chains that hypothesis draws, and sentences of its prose."""

import random
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from labs.m2_autograd import _lab09_cases as cases
from labs.m2_autograd import _lab09_helpers as helpers
from labs.m2_autograd import lab09_requires_grad_mechanics as lab

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_a_gradient_passes_through_frozen_layers_and_stays_in_none(seed: int) -> None:
    random.seed(seed)
    torch.manual_seed(seed)
    chain = cases.chains(1)[-1]
    state = chain.state()
    assert chain.told(lab.through_frozen(chain.layers, chain.frozen, chain.x)) == chain.by_products(state)


@given(st.lists(st.booleans(), min_size=7, max_size=7), st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_an_evaluation_leaves_every_module_in_its_mode(modes: list[bool], sizes: list[int]) -> None:
    model = cases.network()
    for module, training in zip(model.modules(), modes, strict=True):
        module.training = training
    batches = [(cases.whole(size, 5), cases.whole(size, 2)) for size in (*sizes, 1)]
    case = cases.Evaluation("drawn", model, batches)
    state = case.state()
    case.found = lab.evaluate(model, iter(batches), case.loss_sum)
    case.left_graph = torch.is_grad_enabled()
    assert case.told() == case.by_hand(state)


def test_so_it_does_where_the_model_or_the_batches_fail() -> None:
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise cases.Interrupted

    def failing() -> Iterator[cases.Batch]:
        yield cases.whole(2, 5), cases.whole(2, 2)
        raise cases.Interrupted

    one = cases.whole(2, 5), cases.whole(2, 2)
    for model, batches in ((nn.Sequential(Failing()), [one]), (cases.network(), failing())):
        with pytest.raises(cases.Interrupted):
            lab.evaluate(model, batches, cases.loss_of)
        assert all(module.training for module in model.modules())
        assert torch.is_grad_enabled()


def test_a_model_in_eval_can_be_trained() -> None:
    torch.manual_seed(9)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 2)).eval()
    model(torch.randn(9, 4)).backward(torch.randn(9, 2))
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def test_a_model_made_in_inference_mode_trains_until_the_first_step() -> None:
    with torch.inference_mode():
        model = nn.Linear(2, 1)
    model(torch.ones(1, 2)).backward(torch.ones(1, 1))
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
        torch.optim.SGD(model.parameters(), lr=0.1, foreach=False).step()


def test_the_switch_does_not_stop_the_backward_pass_of_an_older_graph() -> None:
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    y = x * x
    with torch.no_grad():
        (slope,) = torch.autograd.grad(y, x, torch.tensor([1.0, 10.0]))
    assert slope.tolist() == [4, 60]


def test_the_graph_can_be_switched_on_inside() -> None:
    w = torch.ones(3, requires_grad=True)
    with torch.no_grad():
        with torch.enable_grad():
            inside = w * 2
        with torch.set_grad_enabled(True):
            again = w * 2
        outside = w * 2
    assert [tensor.requires_grad for tensor in (inside, again, outside)] == [True, True, False]
    with torch.inference_mode(), torch.enable_grad():
        assert not (torch.ones(3) * 2).requires_grad


def test_only_floats_can_require_a_gradient() -> None:
    with pytest.raises(RuntimeError, match="floating point"):
        torch.tensor([2**24 + 1]).requires_grad_()


@pytest.mark.parametrize(("held", "kept"), [({0}, [7, 3, 2]), ({2}, [0, 0, 0]), ({0, 1}, [0, 0, 5])])
def test_what_a_layer_under_no_grad_leaves_to_the_others(held: set[int], kept: list[int]) -> None:
    wanted = [4 * 11 * size for size in kept] if held != {0} else [0, 4 * 11 * 10, 4 * 11 * 2]
    assert cases.watched(lab.through_switched_off, held, 11).kept == wanted


def test_the_modes_are_timed_for_each_size() -> None:
    rows = helpers.nanoseconds((4, 32))
    assert [row[0] for row in rows] == [4, 32]
    assert all(nanoseconds > 0 for row in rows for nanoseconds in row[1:])
