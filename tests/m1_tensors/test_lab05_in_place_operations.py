"""The rules of lab 05 on random inputs, and what it says beside its claims."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from labs.kit.measure.memory import peak_bytes
from labs.m1_tensors import _lab05_helpers as helpers
from labs.m1_tensors import lab05_in_place_operations as lab

NUMBERS = st.lists(st.integers(-99, 99), min_size=1, max_size=5)


@given(NUMBERS, st.floats(0, 1))
def test_a_running_mean_lies_between_old_and_new(numbers: list[int], rate: float) -> None:
    mean_N, x_N = torch.tensor(numbers).double(), torch.arange(len(numbers)).double()
    place, wanted_N = mean_N.data_ptr(), (1 - rate) * mean_N + rate * x_N
    lab.update_mean_(mean_N, x_N, rate)
    assert mean_N.data_ptr() == place
    torch.testing.assert_close(mean_N, wanted_N)


@given(st.sets(st.sampled_from(["input", "result"])), st.booleans(), st.booleans(), st.booleans())
def test_the_result_never_matters(uses: set[str], saved_elsewhere: bool, leaf: bool, grad: bool) -> None:
    without = lab.verdict(uses - {"result"}, saved_elsewhere, leaf, grad)
    assert lab.verdict(uses | {"result"}, saved_elsewhere, leaf, grad) == without


@given(NUMBERS, st.sampled_from([10.0, -2.0, 0.5, 0.0]))
def test_a_write_through_data_is_foretold(numbers: list[int], factor: float) -> None:
    x = torch.tensor(numbers).double()
    grad = torch.arange(1, len(numbers) + 1).double()
    foretold = lab.gradient_after_data_write(x, factor, grad)
    assert torch.equal(foretold, helpers.autograd_after_data_write(x, factor, grad))


def test_a_formula_may_be_another_one_than_torchs() -> None:
    """The logarithm's derivative could do with the result; torch clones the input all the same."""
    log = next(operation for operation in helpers.OPERATIONS if operation.name == "log_()")
    by_autograd, by_input = helpers.slopes(log)
    _, by_result = helpers.slopes(log._replace(derivative=lambda result: torch.exp(-result)))
    torch.testing.assert_close(by_autograd, by_input)
    torch.testing.assert_close(by_result, by_input)
    assert lab.attempted(log, saved_elsewhere=False, leaf=False, grad=True)[0] == "clones"


def test_two_free_writes_in_a_row_may_be_refused() -> None:
    y = torch.rand(3, requires_grad=True) * 1
    y.sigmoid_().sigmoid_()
    with pytest.raises(RuntimeError, match="is at version 2; expected version 1"):
        y.backward(torch.ones(3))


@pytest.mark.parametrize("kind", ["conv", "linear"])
def test_networks_in_place_and_out_of_place_compute_the_same(kind: str) -> None:
    results = []
    for inplace in (False, True):
        torch.manual_seed(5)
        net, x_BCHW = helpers.network(kind, 3, inplace), torch.randn(2, 3, 19, 17)
        results.append([net(x_BCHW), *torch.autograd.grad(net(x_BCHW), [*net.parameters()], x_BCHW)])
    assert all(map(torch.equal, *results))


def test_in_training_a_relu_in_place_saves_one_tensor_of_the_peak() -> None:
    x_BI = torch.randn(64, 17)
    nets = [helpers.network("linear", 4, inplace) for inplace in (True, False)]
    peaks = [peak_bytes(partial(net, x_BI)) / x_BI.nbytes for net in nets]
    assert peaks == [4, 5]


def test_overlapping_operands_are_refused() -> None:
    x = torch.ones(6)
    with pytest.raises(RuntimeError, match="refer to a single memory location"):
        x[1:].add_(x[:-1])


def test_errors_of_means_tell_what_is_wrong() -> None:
    def right(mean: torch.Tensor, x: torch.Tensor, rate: float) -> None:
        mean.mul_(1 - rate).add_(x, alpha=rate)

    assert (helpers.errors_of_means(right) <= 14).all()

    def unseen(mean: torch.Tensor, x: torch.Tensor, rate: float) -> None:
        mean.data.lerp_(x, rate)

    def returning(mean: torch.Tensor, x: torch.Tensor, rate: float) -> torch.Tensor:
        return mean.lerp_(x, rate)

    for wrong in (unseen, returning):
        assert helpers.errors_of_means(wrong).isinf().all()


def test_a_node_that_keeps_nothing_points_to_nothing() -> None:
    assert helpers.points_to(lambda y: y.add_(1)) == "nothing"
    assert helpers.points_to(lambda y: y.exp_()) == "y"
    assert helpers.points_to(lambda y: y.sin_()) == "a clone"
    assert helpers.points_to(lambda y: y.mul_(2), torch.sigmoid) == "gone"


def test_the_longest_history_is_that_of_the_last_write() -> None:
    y = nn.Parameter(torch.ones(3, 2)) * 1
    for count in (1, 2, 3):
        y[0].mul_(2)
        assert helpers.history(y).count("CopySlices") == count
