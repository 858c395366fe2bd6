"""What lab 11 builds by hand, on random functions, and what its helpers notice."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import grad, hessian

from labs.kit.topics.quiet_libraries import quiet_libraries
from labs.m2_autograd import _lab11_helpers as helpers
from labs.m2_autograd import _lab11_tools as tools
from labs.m2_autograd import lab11_jacobian_and_hessian as lab

SIZES = st.integers(0, 5)
draw = partial(torch.randn, dtype=torch.float64)


@given(SIZES, SIZES, st.booleans())
def test_a_jacobian_is_that_of_the_formula(outputs: int, inputs: int, forward: bool) -> None:
    w_MN, x_N = draw(outputs, inputs), draw(inputs)
    with quiet_libraries():
        found_MN = lab.jacobian(lambda x_N: torch.sin(w_MN @ x_N), x_N, forward)
    assert found_MN.shape == (outputs, inputs)
    torch.testing.assert_close(found_MN, torch.cos(w_MN @ x_N)[:, None] * w_MN)


@given(st.integers(0, 5))
def test_a_product_with_the_hessian_is_that_of_the_formula(size: int) -> None:
    a_NN, x_N, v_N = draw(size, size), draw(size), draw(size)
    found_N = lab.hvp(lambda x_N: ((a_NN @ x_N) ** 4).sum(), x_N, v_N)
    torch.testing.assert_close(found_N, a_NN.t() @ (12 * (a_NN @ x_N) ** 2 * (a_NN @ v_N)))


@given(st.integers(1, 5), st.sampled_from([-1, 1]))
def test_one_step_of_newtons_method_solves_a_quadratic(size: int, sign: int) -> None:
    turned_NN, _ = torch.linalg.qr(draw(size, size))
    curvatures_N = torch.arange(1.0, size + 1, dtype=torch.float64) * sign ** torch.arange(size)
    a_NN, c_N, x_N = turned_NN * curvatures_N @ turned_NN.t(), draw(size), draw(size)
    with quiet_libraries():
        found_N = lab.newton_step(lambda x_N: (x_N - c_N) @ a_NN @ (x_N - c_N), x_N)
    torch.testing.assert_close(found_N, c_N)


@given(SIZES)
def test_rosenbrocks_hessian_is_a_band(size: int) -> None:
    x_N = draw(size)
    with quiet_libraries():
        torch.testing.assert_close(lab.rosenbrock_hessian(x_N), hessian(helpers.rosenbrock)(x_N))
    assert int((lab.rosenbrock_hessian(x_N) != 0).sum()) <= max(3 * size - 2, 0)


@pytest.mark.parametrize("chunk", [1, 2, 3, 8, 20])
def test_a_chunk_changes_no_entry(chunk: int) -> None:
    f, x_N = helpers.net_and_place(3, 4, 8)
    torch.testing.assert_close(lab.by_rows(f, x_N, chunk), lab.by_rows(f, x_N))
    torch.testing.assert_close(lab.by_columns(f, x_N), lab.by_rows(f, x_N))


def test_an_answer_of_another_kind_is_infinitely_far_away() -> None:
    def cube(x_N: Tensor) -> Tensor:
        return x_N**3

    def writing(f: tools.Curve, x_N: Tensor) -> Tensor:
        x_N.add_(0)
        return 3 * x_N.diag() ** 2

    def learning(f: tools.Curve, x_N: Tensor) -> Tensor:
        return 3 * x_N.requires_grad_().diag() ** 2

    known = torch.tensor([[3.0, 0.0], [0.0, 12.0]])
    ways = {
        "right": lambda f, x_N: 3 * x_N.diag() ** 2,
        "of another dtype": lambda f, x_N: (3 * x_N.diag() ** 2).double(),
        "of another shape": lambda f, x_N: 3 * x_N**2,
        "writing": writing,
        "learning": learning,
    }
    found = {
        name: helpers.errors(way, [tools.Example(cube, (torch.tensor([1.0, 2.0]),), known)]).max().item()
        for name, way in ways.items()
    }
    assert found.pop("right") == 0
    assert set(found.values()) == {torch.inf}


def test_a_difference_is_no_walk() -> None:
    def differences(f: tools.Curve, x_N: Tensor, forward: bool) -> Tensor:
        return torch.stack([f(x_N + 1e-3 * e_N) for e_N in torch.eye(len(x_N), dtype=x_N.dtype)])

    assert helpers.walks_of(differences, 3, 31) == ["3 products", "3 products"]


def test_the_quadratics_curve_both_ways_and_the_hessian_of_the_net_is_full() -> None:
    with quiet_libraries():
        curvatures = [torch.linalg.eigvalsh(hessian(f)(*at)) for f, at, _ in helpers.quadratics()]
        full_NN = hessian(helpers.loss_of_net(7))(tools.drawn(7))
    assert [bool((found < 0).any()) for found in curvatures] == [False, True, False]
    assert all(float(found.abs().min()) > 0.99 for found in curvatures)
    assert bool((full_NN.abs() > 1e-6).all())


def test_the_numbers_of_the_prose() -> None:
    cfg = lab.Config()
    assert (8 * cfg.many**2, 8 * cfg.many * cfg.few) == (8_000_000, 96_000)
    start_N = torch.tensor([0.3, 0.1], dtype=torch.float64)
    with quiet_libraries():
        assert lab.newton_step(helpers.double_well, start_N)[0].item() == pytest.approx(
            2 * 0.3**3 / (3 * 0.3**2 - 1)
        )
    for minimum in (1.0, -1.0):
        place_N = torch.full((2,), minimum, dtype=torch.float64)
        assert grad(helpers.double_well)(place_N).tolist() == [0, 0]
