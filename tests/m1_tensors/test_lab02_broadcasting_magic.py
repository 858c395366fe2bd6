"""The rules that lab 02 builds by hand, against torch, and what its lesson says beside the claims."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from labs.kit.measure.memory import peak_bytes
from labs.m1_tensors import _lab02_helpers as helpers
from labs.m1_tensors import lab02_broadcasting_magic as lab
from labs.m1_tensors._lab02_helpers import Shape

SIZES = st.lists(st.integers(0, 6), max_size=6).map(tuple)
FEW = st.lists(st.sampled_from([0, 1, 1, 2, 3]), max_size=4).map(tuple)


@st.composite
def operands(draw: st.DrawFn) -> tuple[Shape, Shape]:
    """A large shape, and a smaller one that can be stretched to it."""
    large = draw(st.lists(st.integers(0, 4), max_size=4))
    small = [draw(st.sampled_from([size, 1])) for size in large]
    return tuple(large), tuple(small[draw(st.integers(0, len(small))) :])


@given(SIZES, SIZES)
def test_the_rule_is_torchs(a: Shape, b: Shape) -> None:
    assert lab.broadcast_shape(a, b) == helpers.asked_of_torch(a, b)


@given(FEW, FEW)
def test_so_it_is_where_shapes_often_fit(a: Shape, b: Shape) -> None:
    found = lab.broadcast_shape(a, b)
    assert found == helpers.asked_of_torch(a, b) == lab.broadcast_shape(b, a)
    assert found is None or type(found) is tuple


def test_about_half_of_the_pairs_fit() -> None:
    pairs = helpers.random_pairs(1000)
    assert 350 < len(helpers.fitting(pairs)) < 750
    assert {len(shape) for pair in pairs for shape in pair} == {0, 1, 2, 3, 4}


@given(operands())
def test_a_stretched_tensor_is_an_expanded_one(shapes: tuple[Shape, Shape]) -> None:
    large, small = shapes
    x = helpers.operand(small)
    view = lab.stretched(x, large)
    assert torch.equal(view, x.expand(large))
    assert view.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()


@given(operands(), st.sampled_from([torch.float32, torch.float64, torch.int64]))
def test_a_gradient_comes_back_as_sum_to_size_brings_it(
    shapes: tuple[Shape, Shape], dtype: torch.dtype
) -> None:
    large, small = shapes
    grad = torch.randint(-99, 100, large).to(dtype)
    before = grad.clone()
    back = lab.unbroadcast(grad, small)
    assert (back.shape, back.dtype) == (small, dtype)
    assert torch.equal(back, grad.sum_to_size(small))
    assert torch.equal(grad, before)


@given(operands())
def test_stretching_and_summing_are_transposes(shapes: tuple[Shape, Shape]) -> None:
    large, small = shapes
    x, g = torch.randint(-9, 10, small), torch.randint(-9, 10, large)
    assert (lab.stretched(x, large) * g).sum() == (x * lab.unbroadcast(g, small)).sum()


def test_backward_writes_the_gradient_of_a_sum_out() -> None:
    x = torch.rand(3, 5).requires_grad_()
    x.sum().backward()
    assert x.grad is not None
    assert x.grad.untyped_storage().nbytes() == x.nbytes
    assert helpers.gradient_of_sum(x, (0, 1), torch.rand(())).untyped_storage().nbytes() == 4


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 4), st.sampled_from([0.0, -50.0, 1000.0]))
def test_squared_distances(count: int, others: int, dims: int, offset: float) -> None:
    x_ND, y_MD = torch.randn(count, dims) + offset, torch.randn(others, dims) + offset
    squares_NM = lab.squared_distances(x_ND, y_MD)
    assert squares_NM.shape == (count, others)
    assert (squares_NM >= 0).all()
    assert helpers.rounding_of(squares_NM, x_ND, y_MD, from_mean=True) <= 1
    assert helpers.rounding_of(lab.by_differences(x_ND, y_MD), x_ND, y_MD) <= 1


def wrong_shape(squares_NM: Tensor) -> Tensor:
    return squares_NM.t()


def wrong_dtype(squares_NM: Tensor) -> Tensor:
    return squares_NM.double()


def wrong_number(squares_NM: Tensor) -> Tensor:
    return squares_NM + 1e-3


@pytest.mark.parametrize("spoil", [wrong_shape, wrong_dtype, wrong_number])
def test_roundings_notice(spoil: object) -> None:
    x_ND, y_MD = helpers.cloud(3, 2, 0), helpers.cloud(4, 2, 0)
    assert callable(spoil)
    assert helpers.rounding_of(spoil(lab.squared_distances(x_ND, y_MD)), x_ND, y_MD) > 1


def test_a_root_of_a_true_zero_has_no_gradient_but_cdist_and_norms_have() -> None:
    x = torch.zeros(1, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(lab.by_differences(x, torch.zeros(1, 3)).sqrt(), x, torch.ones(1, 1))
    assert slope.isnan().all()
    for way in (partial(torch.cdist, x2=torch.zeros(1, 3)), torch.linalg.vector_norm):
        y = way(x)
        assert not torch.autograd.grad(y, x, torch.ones_like(y))[0].any()


def test_the_rule_for_products_holds_for_operands_in_turned_order() -> None:
    for x, y in (
        (torch.rand(7, 5, 3, 4).transpose(0, 1), torch.rand(4, 6)),
        (torch.rand(7, 5, 3, 4), torch.rand(5, 4, 6)),
        (torch.rand(5, 3, 4), torch.rand(5, 6, 4).mT),
    ):
        assert peak_bytes(partial(torch.matmul, x, y)) == helpers.bytes_by_rule(x, y)


def test_each_with_each_as_one_product_copies_the_smaller_operand_alone() -> None:
    a, b = torch.rand(16, 64, 64), torch.rand(8, 64, 64)
    assert torch.allclose(torch.einsum("aik,bkj->abij", a, b), a[:, None] @ b, atol=1e-5)
    assert peak_bytes(partial(torch.einsum, "aik,bkj->abij", a, b)) <= 2 * 2**20 + b.nbytes


def test_what_the_losses_say() -> None:
    assert helpers.said_of_the_bug() == {
        "raises": ["binary_cross_entropy", "binary_cross_entropy_with_logits"],
        "warns": ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"],
        "says nothing": [
            "gaussian_nll_loss",
            "poisson_nll_loss",
            "hinge_embedding_loss",
            "(y - t).square().mean()",
        ],
    }


def test_features_are_white() -> None:
    x_ND, _ = helpers.regression(61)
    torch.testing.assert_close(x_ND.t() @ x_ND / 61, torch.eye(3, dtype=torch.float64))
    assert x_ND.mean(0).abs().max() < 1e-12


def test_the_picture_shows_every_read() -> None:
    x, y = torch.arange(4.0)[:, None].expand(4, 5), torch.arange(5.0).expand(4, 5)
    told = helpers.Reads(x, y).describe()
    assert "x is a storage of 4 numbers with the strides (1, 0), and each is read 5 times" in told
    assert "y is a storage of 5 numbers with the strides (0, 1), and each is read 4 times" in told
    assert "x[3] + y[4]" in helpers.Reads(x, y).lines()[4]
