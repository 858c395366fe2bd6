"""Lab 07: its rules on random names, the class at its edges, and what its prose says of torch."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from labs.m1_tensors import _lab07_helpers as helpers
from labs.m1_tensors import _lab07_inputs as inputs
from labs.m1_tensors import lab07_named_tensors as lab
from labs.m1_tensors._lab07_inputs import Names

NAMES = st.lists(st.sampled_from("BCHWN"), unique=True, max_size=4).flatmap(
    lambda names: st.tuples(*(st.sampled_from((name, None)) for name in names))
)


def image() -> Any:
    return lab.named(torch.rand(4, 3, 4), "C", "H", "W")


@given(NAMES, NAMES)
def test_names_meet_as_sizes_broadcast(a: Names, b: Names) -> None:
    truth = helpers.by_sizes(torch.broadcast_shapes, a, b)
    assert inputs.outcomes(lab.unify, [(a, b)], inputs.conflicts) == [truth]


@given(NAMES, NAMES)
def test_it_makes_no_difference_who_comes_first(a: Names, b: Names) -> None:
    one, other = (inputs.outcomes(lab.unify, [pair], inputs.conflicts) for pair in ((a, b), (b, a)))
    assert one == other


@given(NAMES)
def test_a_tensor_meets_itself_and_a_scalar(a: Names) -> None:
    assert lab.unify(a, a) == lab.unify(a, ()) == lab.unify((), a) == a


@given(st.permutations("CHWN"), st.lists(st.sampled_from(["new", "other"]), unique=True))
def test_aligned_there_and_back_is_where_it_was(order: list[str], new: list[str]) -> None:
    x, names = torch.arange(2 * 3 * 1 * 5).view(2, 3, 1, 5), ("C", "H", "W", "N")
    there = lab.align_to(x, names, (*new, *order))
    back = lab.align_to(there, (*new, *order), (*names, *new))
    assert torch.equal(back.reshape(x.shape), x)
    assert back.data_ptr() == x.data_ptr()


def test_the_random_pairs_are_of_all_kinds() -> None:
    pairs = inputs.random_names(400)
    found = [helpers.by_sizes(torch.broadcast_shapes, *pair) for pair in pairs]
    assert 40 < found.count("refused") < 200
    assert {len(a) for a, _ in pairs} == set(range(5))
    twice = [pair for pair, names in zip(pairs, found, strict=True) if names == "refused" and _fits(*pair)]
    assert twice, "no pair that would put a name twice"
    products = inputs.random_factors(400)
    found = [helpers.by_sizes(inputs.product_of_sizes, *pair) for pair in products]
    assert 40 < found.count("refused") < 300


def _fits(a: Names, b: Names) -> bool:
    return all(x == y or None in (x, y) for x, y in zip(reversed(a), reversed(b), strict=False))


def test_the_orders_have_circles_and_new_names_everywhere() -> None:
    cases = inputs.dims_to_align()
    orders = {order for _, names, order in cases if names == ("C", "H", "W")}
    assert set(itertools.permutations("CHW")) <= orders
    assert {("new", "W", "C", "H"), ("W", "new", "C", "H"), ("W", "C", "H", "new")} <= orders
    assert any(0 in x.shape for x, _, _ in cases)
    assert any(x.dim() == 0 for x, _, _ in cases)


def test_there_are_forty_operations() -> None:
    assert len(inputs.OPERATIONS) == len({operation.name for operation in inputs.OPERATIONS}) == 40


# The class --------------------------------------------------------------------------------------------------


def test_names_are_given_refined_and_asked_for() -> None:
    x = lab.named(torch.zeros(2, 3), None, "H")
    assert x.names == (None, "H")
    assert x.refine_names("C", None).names == ("C", "H")
    with pytest.raises(ValueError, match="'W'"):
        x.refine_names("C", "W")
    with pytest.raises(ValueError, match="2 dims"):
        lab.named(torch.zeros(2, 3), "C")
    with pytest.raises(ValueError, match="twice"):
        lab.named(torch.zeros(2, 3), "C", "C")


@pytest.mark.parametrize(
    ("dim", "names"), [("C", ("H", "W")), ("W", ("C", "H")), (-2, ("C", "W")), (None, ())]
)
@pytest.mark.parametrize("op", ["sum", "mean", "argmax"])
def test_a_reduction_takes_a_name(op: str, dim: Any, names: Names) -> None:
    x = image()
    place = x.names.index(dim) if isinstance(dim, str) else dim
    reduced = getattr(x, op)(dim)
    assert reduced.names == names
    assert torch.equal(inputs.plain_of(reduced), getattr(torch, op)(inputs.plain_of(x), place))
    assert getattr(x, op)(dim, keepdim=True).names == ("C", "H", "W")


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(ValueError, match="no dim is called 'B'"):
        image().sum("B")


WRITES: list[Callable[[Any], object]] = [
    lambda x: x.add_(1),
    lambda x: x.__setitem__(0, 1.0),
    lambda x: x.__setitem__(0, x.mean("C")),
    lambda x: x.zero_(),
    lambda x: functional.relu(x, inplace=True),
    lambda x: torch.sub(x, 1, out=torch.zeros(4, 3, 4)),
    lambda x: x.requires_grad_(),
    lambda x: x.copy_(torch.zeros(4, 3, 4)),
]


@pytest.mark.parametrize("place", range(len(WRITES)))
def test_what_writes_is_refused_before_it_has_written(place: int) -> None:
    x = image()
    before = inputs.plain_of(x).clone()
    with pytest.raises(NotImplementedError, match="no rule"):
        WRITES[place](x)
    assert torch.equal(inputs.plain_of(x), before)


SILENT: list[Callable[[Any], Any]] = [
    lambda x: x[0],
    lambda x: x.mT,
    lambda x: x.data,
    lambda x: list(x),
    lambda x: x.max("C"),
    lambda x: x.unbind(),
    lambda x: torch.einsum("chw->wc", x),
    lambda x: x.sum((0, 1)),
    lambda x: torch.stack([x, x]),
    lambda x: functional.layer_norm(x, (4,)),
]


@pytest.mark.parametrize("place", range(len(SILENT)))
def test_what_has_no_rule_returns_no_tensor(place: int) -> None:
    with pytest.raises((NotImplementedError, TypeError)):
        SILENT[place](image())


def test_what_returns_no_tensor_may_pass() -> None:
    x = image()
    assert (x.shape, x.dim(), x.numel(), len(x)) == ((4, 3, 4), 3, 48, 4)
    assert float(x.sum()) == float(inputs.plain_of(x).sum())
    assert "NamedTensor" in repr(x)


def test_names_in_keywords_count_too() -> None:
    with pytest.raises(ValueError, match="'W' and 'C'"):
        torch.sub(image(), other=lab.named(torch.zeros(4), "C"))
    with pytest.raises(ValueError, match="'W' and 'C'"):
        torch.matmul(image(), other=lab.named(torch.zeros(4), "C"))


def test_a_matrix_times_itself_is_refused() -> None:
    """torch's own names, until 2.12, contracted W with H without a word."""
    x: Any = lab.named(torch.zeros(3, 3), "H", "W")
    with pytest.raises(ValueError, match="'W' and 'H'"):
        x @ x


def test_several_words_of_the_prose() -> None:
    assert torch.rand(3, 3, 3).permute(2, 0, 1).shape == (3, 3, 3)
    x = torch.arange(2 * 3 * 5).view(2, 3, 5)
    assert torch.equal(lab.align_to(x, ("C", "H", "W"), ("W", "C", "H")), x.permute(2, 0, 1))
    with pytest.raises(RuntimeError):
        lab.subtract(torch.rand(4, 3, 5), torch.rand(4))


@pytest.mark.parametrize("bug", inputs.BUGS, ids=lambda bug: bug.name)
def test_a_planted_mistake_is_one_and_only_sizes_show_it(bug: inputs.Bug) -> None:
    for agree in (True, False):
        tensors = bug.tensors(agree)
        truth: Tensor = bug.right(*tensors)
        wrong = inputs.tried(bug.wrong, *tensors)
        if agree:
            assert wrong.shape == truth.shape
        assert isinstance(wrong, str) or wrong.shape != truth.shape or not torch.allclose(wrong, truth)
