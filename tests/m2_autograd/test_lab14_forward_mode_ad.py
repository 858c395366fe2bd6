"""What lab 14 says beside its claims: dual numbers and pushes on random inputs, and what its helpers notice."""

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import jacfwd, jacrev, jvp

from labs.m2_autograd import _lab14_helpers as helpers
from labs.m2_autograd import _lab14_tools as tools
from labs.m2_autograd import lab14_forward_mode_ad as lab

SHAPES = st.lists(st.integers(0, 3), max_size=4)


@pytest.fixture(autouse=True)
def _loaded() -> None:
    tools.load_quietly()


def doubles(shape: list[int]) -> Tensor:
    return torch.rand(shape, dtype=torch.float64) + 0.5


@given(SHAPES, st.sampled_from(["*", "/"]))
def test_two_dual_numbers_behave_as_torchs(shape: list[int], operation: str) -> None:
    values, tangents = (doubles(shape), doubles(shape)), (doubles(shape), -doubles(shape))
    functions: Any = {"*": torch.mul, "/": torch.div}
    dual = lab.through(operation, *map(lab.Dual, values, tangents))
    torch.testing.assert_close((dual.value, dual.tangent), jvp(functions[operation], values, tangents))


@given(SHAPES, st.sampled_from([torch.float32, torch.float64]))
def test_the_sine_of_a_dual_number_is_torchs(shape: list[int], dtype: torch.dtype) -> None:
    x, dx = doubles(shape).to(dtype), doubles(shape).to(dtype)
    dual = lab.through("sin", lab.Dual(x, dx))
    torch.testing.assert_close((dual.value, dual.tangent), jvp(torch.sin, (x,), (dx,)))


def test_plain_numbers_have_the_tangent_0_and_may_stand_on_either_side() -> None:
    x = lab.Dual(torch.tensor(4.0), torch.tensor(3.0))
    found = [x + 1, x * 2, x / 2, 2 / x]
    assert [number.value.item() for number in found] == [5, 8, 2, 0.5]
    assert [number.tangent.item() for number in found] == [3, 6, 1.5, -0.375]


@given(st.integers(0, 4), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_a_push_by_hand_is_torchs(batch: int, sizes: list[int]) -> None:
    weights = [torch.randn(o, i, dtype=torch.float64) for i, o in pairwise(sizes)]
    x_BI, v_BI = torch.randn(2, batch, sizes[0], dtype=torch.float64)
    torch.testing.assert_close(lab.mlp_jvp(weights, x_BI, v_BI), lab.pushed(weights, x_BI, v_BI))


def test_a_finite_difference_is_no_push() -> None:
    """Its error, 10⁻⁸, would pass a careless comparison."""
    case = tools.networks()[0]
    h = 1e-8
    value, moved = (lab.mlp(case.weights, case.x_BI + step * case.v_BI) for step in (0, h))
    (true_value, true, _), dtypes = helpers.multiplied_out(case), [torch.float64]
    pair = [(value, (moved - value) / h)]
    assert max(tools.errors(pair, [(true_value, true)], dtypes)) > 1e4


def test_the_jacobian_multiplied_out_is_torchs() -> None:
    for case in tools.networks():
        for x, v, moved in zip(case.x_BI, case.v_BI, helpers.multiplied_out(case)[1], strict=True):
            for build in (jacfwd, jacrev):
                jacobian = build(partial(lab.mlp, case.weights))(x)
                torch.testing.assert_close((jacobian @ v).double(), moved, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("mine", "far"),
    [
        ((torch.ones(2), torch.ones(2)), False),
        ((torch.ones(2), torch.ones(1)), True),
        ((torch.ones(2), torch.ones(2).double()), True),
        ((torch.ones(2), 1.001 * torch.ones(2)), True),
    ],
)
def test_errors_notices_values_shapes_and_dtypes(mine: tools.Pair, far: bool) -> None:
    true = (torch.ones(2).double(), torch.ones(2).double())
    assert (max(tools.errors([mine], [true], [torch.float32])) > 90) is far


def test_whole_numbers_are_compared_to_the_last_unit() -> None:
    large = torch.tensor([2**50])
    for off, far in ((0, False), (1, True)):
        pair, true = (large + off, large), (large, large)
        assert (max(tools.errors([pair], [true], [torch.int64])) > 32) is far


@pytest.mark.parametrize(
    ("refused", "double"),
    [
        ("attention, flash kernel", "attention, math kernel"),
        ("cdist", "norm of differences"),
        ("LSTM in float32", "LSTM in float64"),
        ("embedding_bag", "mean of embeddings"),
    ],
)
def test_a_double_computes_the_same(refused: str, double: str) -> None:
    x, _ = tools.point(refused, torch.float64)
    asked = tools.operations()
    torch.testing.assert_close(asked[refused].run(x), asked[double].run(x))


def test_the_lstm_cell_in_a_loop_is_an_lstm_of_its_own() -> None:
    x, _ = tools.point("LSTM cell", torch.float64)
    assert tools.lstm_cell(x).shape == tools.lstm(x)[-1].shape


def test_the_picture_has_as_many_places_as_the_peak_has_tensors() -> None:
    passed = helpers.even_network(8, 32, 31)
    for way, peak in ((lab.pushed, 6), (lab.pulled, 10)):
        assert len(tools.lanes("way", tools.lives(way, passed), range(8)).lanes) == 1 + peak
        assert helpers.peak(way, 8, 32, 31) == peak


def test_a_push_by_torch_multiplies_by_zeros_once_for_each_layer() -> None:
    passed = helpers.even_network(5, 32, 31)
    zeros = [
        sum(span.tone == tools.ZERO for span in tools.lives(way, passed)) for way in (lab.pushed, lab.pulled)
    ]
    assert zeros == [5, 0]


def test_the_gain_of_a_step_has_the_deviation_that_the_bound_speaks_of() -> None:
    torch.manual_seed(0)
    n = 50
    v = torch.randn(200_000, n, dtype=torch.float64)
    along, length = v[:, 0] ** 2, v.square().sum(1)
    eta = 1 / (n + 2)
    gains = (2 * eta - eta**2 * length) * along
    assert gains.mean().item() * (n + 2) == pytest.approx(1, abs=0.02)
    assert gains.std().item() * (n + 2) == pytest.approx(1.4, abs=0.05)


@pytest.mark.parametrize(("n", "samples", "deviation"), [(3, 10, 1.16), (50, 100, 0.25)])
def test_a_squared_error_has_the_mean_and_the_deviation_that_the_bound_speaks_of(
    n: int, samples: int, deviation: float
) -> None:
    torch.manual_seed(0)
    v = torch.randn(2000, samples, n)
    estimates = (v[..., :1] * v).mean(1)  # of the gradient 1, 0, 0 …
    errors = (estimates - torch.eye(n)[0]).square().sum(1) * samples / (n + 1)
    assert errors.mean().item() == pytest.approx(1, abs=0.1)
    assert errors.std().item() == pytest.approx(deviation, rel=0.15)
