"""What lab 08 builds by hand against torch, on formulas and operations that hypothesis draws, and numbers of its prose."""

import random
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from labs.kit.measure.memory import saved_bytes
from labs.m2_autograd import _lab08_graphs as graphs
from labs.m2_autograd import _lab08_helpers as helpers
from labs.m2_autograd import lab08_computational_graph_viz as lab

SEEDS = st.integers(0, 2**32 - 1)
SHAPE = st.lists(st.integers(0, 4), max_size=4).map(tuple)
SIZE = st.integers(0, 5)
BOOLS = st.tuples(st.booleans(), st.booleans(), st.booleans())


def drawn(seed: int) -> graphs.Recording:
    """Record one random formula, with rows or without."""
    random.seed(seed)
    torch.manual_seed(seed)
    some = graphs.formulas_with_rows if seed % 2 else graphs.some_formulas
    return graphs.recorded(some(1)[-1:])[0]


@given(SEEDS)
def test_the_walk_finds_what_was_counted(seed: int) -> None:
    recording = drawn(seed)
    nodes, edges = lab.walk(recording.root())
    assert (graphs.labels_of(nodes), graphs.links_of(edges)) == recording.formula.counted()[:2]


@given(SEEDS)
def test_the_pass_by_hand_is_torchs(seed: int) -> None:
    recording = drawn(seed)
    root, grad = recording.root(), torch.randn_like(recording.result)
    ours = graphs.told(recording, grad, lab.backward_by_hand(root, grad))
    assert ours == graphs.by_torch(recording.again(), grad)
    assert root.calls.order == helpers.order_of_torch(recording.again(), grad)


def test_so_it_is_for_a_network() -> None:
    recording = graphs.recorded([graphs.network(7)])[0]
    grad = torch.tensor(0.3, dtype=torch.float64)
    found = lab.backward_by_hand(recording.result.grad_fn, grad)
    wanted = torch.autograd.grad(recording.result, list(found), grad)
    assert len(found) == 4
    torch.testing.assert_close(list(found.values()), list(wanted))


def test_a_leaf_takes_what_it_gets_before_any_other_operation_runs() -> None:
    recording = graphs.recorded([graphs.network(7)])[0]
    order = helpers.order_of_torch(recording, torch.randn((), dtype=torch.float64), leaves=True)
    assert order == ["t7", "t6", "t5", "b2", "t4", "w2", "t3", "t2", "b1", "t1", "w1"]
    node = get_gradient_edge(recording.leaves["w1"]).node
    assert (node.name(), node._sequence_nr()) == ("torch::autograd::AccumulateGrad", 2**64 - 1)


@given(SHAPE, SHAPE, BOOLS, st.sampled_from(["add", "mul", "exp", "relu"]), st.sampled_from([2, 4, 8]))
def test_bytes_follow_from_the_derivative(
    one: tuple[int, ...], more: tuple[int, ...], needs: tuple[bool, ...], op: str, itemsize: int
) -> None:
    shapes = [(*more, *one), one] if op in ("add", "mul") else [one]
    case = op, shapes, list(needs[: len(shapes)]), itemsize
    assert lab.bytes_kept(*case) == saved_bytes(lambda: graphs.applied(*case))


@given(SIZE, SIZE, SIZE, BOOLS, st.sampled_from([2, 4, 8]))
def test_so_do_those_of_a_linear_layer(
    batch: int, inputs: int, outputs: int, needs: tuple[bool, ...], itemsize: int
) -> None:
    shapes: list[tuple[int, ...]] = [(batch, inputs), (outputs, inputs), (outputs,)]
    case = "linear", shapes, list(needs), itemsize
    assert lab.bytes_kept(*case) == saved_bytes(lambda: graphs.applied(*case))


GATHERED: Callable[..., Tensor] = lambda x, c, w, places: x.gather(0, places)  # noqa: E731


@pytest.mark.parametrize(
    ("apply", "kept"),
    [
        (GATHERED, "places, x"),
        (lambda x, c, w, places: 2 * x, "nothing"),
        (lambda x, c, w, places: c * c, "nothing"),
    ],
)
def test_what_else_is_kept(apply: Callable[..., Tensor], kept: str) -> None:
    assert lab.kept_by(apply) == kept


def test_a_node_can_be_called_again_and_again_until_backward() -> None:
    x = torch.tensor(3.0, requires_grad=True)
    y = x * x
    node = y.grad_fn
    assert node is not None
    for _ in range(2):
        assert [grad.item() for grad in node(torch.tensor(1.0))] == [3, 3]  # type: ignore[operator]
    y.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        node(torch.tensor(1.0))  # type: ignore[operator]


def test_sixteen_squarings_take_65535_calls() -> None:
    formula = graphs.squarings(16)
    root = graphs.Recording(formula, graphs.drawn_data(formula, torch.float64, whole=True)).root()
    lab.backward_by_recursion(root, torch.ones(7, dtype=torch.float64))
    assert len(root.calls.order) == 65_535


def test_without_backward_a_loss_holds_on_to_all() -> None:
    recording = graphs.recorded([graphs.network(7)])[0]
    assert recording.kept_bytes() == 2 * 196 + 8  # float64: twice the bytes of the page
    helpers.kept_while_walking(recording, torch.randn((), dtype=torch.float64))
    assert recording.kept_bytes() == 0
