"""Lab 41: what its claims do not cover: bins on any edges, one sum for the average, what files hold, figures show and exporters say."""

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from labs.kit.topics.onnx_files import answer_or_nan, as_module, input_shape, session_of, weights_in
from labs.m6_production import _lab41_helpers as helpers
from labs.m6_production import lab41_onnx_advanced_export as lab41

QUARTERS = st.integers(-12, 12).map(
    lambda number: number / 4
)  # exact in float32, so that values lie right on edges


@given(st.lists(QUARTERS, min_size=1, max_size=6, unique=True), st.lists(QUARTERS, min_size=1, max_size=8))
def test_counting_finds_the_bins_of_a_search(edges: list[float], values: list[float]) -> None:
    edges_K, x_BT = torch.tensor(sorted(edges)), torch.tensor([values])
    assert torch.equal(lab41.bins_by_counting(x_BT, edges_K), torch.searchsorted(edges_K, x_BT))


@given(st.lists(QUARTERS, min_size=1, max_size=12))
def test_the_average_at_once_is_that_of_the_loop(values: list[float]) -> None:
    x_BT = torch.tensor([values], dtype=torch.float64)
    torch.testing.assert_close(lab41.average_at_once(x_BT), lab41.average_by_loop(x_BT))


def test_both_dims_of_the_input_are_free() -> None:
    (dims,) = lab41.free_dims()
    assert {place: dim.__name__ for place, dim in dims.items()} == {0: "batch", 1: "length"}


def test_searches_are_noted_and_nothing_else() -> None:
    edges_K, x_BT = torch.tensor([0.0, 1.0]), torch.ones(2, 3)
    with helpers.Searches() as searches:
        lab41.bins_by_counting(x_BT, edges_K)
        assert searches.found == []
        torch.searchsorted(edges_K, x_BT), torch.bucketize(x_BT, edges_K)
    assert searches.found == ["aten.searchsorted.Tensor", "aten.bucketize.Tensor"]


def test_every_batch_is_tried_with_lengths_from_1_up() -> None:
    tried = helpers.sizes_tried(3, 9)
    assert sorted(tried) == [(batch, length) for batch in (1, 2, 3) for length in (1, 2, 7, 9)]


def test_requests_are_of_all_kinds_and_signals_lie_on_every_edge() -> None:
    sizes = helpers.sizes_tried(4, 12)
    drawn = torch.cat([helpers.signals(*size).flatten() for size in sizes])
    assert all((drawn == edge).any() for edge in helpers.EDGES)
    assert {helpers.signals(*size).sum().item() > 0 for size in sizes} == {True, False}
    assert len(helpers.tokens(3, 40).unique()) > helpers.VOCABULARY / 2


def test_the_branch_is_captured_as_one() -> None:
    program = lab41.captured_program(
        as_module(lab41.louder_or_softer), helpers.signals, lab41.EXAMPLE, helpers.FREE
    )
    assert torch.ops.higher_order.cond in [node.target for node in program.graph.nodes]


def test_progress_is_told_in_words() -> None:
    report = "# Report\n\n```\n\N{WHITE HEAVY CHECK MARK} Capture\n\N{CROSS MARK} Translate\n```\n\nmore"
    assert helpers.progress_in(report) == "done      Capture\nfailed    Translate\n"


# What exporters say ---------------------------------------------------------------------------------------------------


def warned_while_tracing(work: Any) -> tuple[bytes, set[str]]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        proto = lab41.exported_by_tracing(work, helpers.signals)
    return proto, {warning.category.__name__ for warning in told}


def test_the_old_exporter_warns_of_a_branch_that_it_keeps_and_not_of_a_loop() -> None:
    proto, told = warned_while_tracing(helpers.by_if)
    keeps = 2.0 if helpers.signals(*lab41.EXAMPLE).sum() > 0 else 0.5
    either = torch.tensor([[1.0, -3.0]]), torch.tensor([[-1.0, 3.0]])
    assert "TracerWarning" in told
    assert [answer_or_nan(session_of(proto), x_BT).div(x_BT).unique().tolist() for x_BT in either] == [
        [keeps]
    ] * 2
    proto, told = warned_while_tracing(lab41.average_by_loop)
    assert "TracerWarning" not in told
    assert input_shape(proto) == ["batch", "length"]


def test_torch_export_refuses_a_loop_and_a_branch() -> None:
    loop, branch = as_module(lab41.average_by_loop), as_module(helpers.by_if)
    with pytest.raises(Exception, match=r"a constant \(7\)"):
        lab41.captured_program(loop, helpers.signals, lab41.EXAMPLE, helpers.FREE)
    with pytest.raises(Exception, match="data-dependent"):
        lab41.captured_program(branch, helpers.signals, lab41.EXAMPLE, helpers.FREE)


# What files hold ------------------------------------------------------------------------------------------------------

ROWS, COLUMNS = 24, 16


@pytest.fixture(scope="module")
def product() -> bytes:
    """A model that multiplies rows of 24 numbers by a stored matrix."""
    sizes: list[list[str | int | None]] = [["batch", ROWS], ["batch", COLUMNS]]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
        for name, size in zip(("input", "output"), sizes, strict=True)
    ]
    matrix = torch.rand(ROWS, COLUMNS, generator=torch.Generator().manual_seed(0)) - 0.3
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["input", "w"], ["output"])],
        "product",
        ends[:1],
        ends[1:],
        [numpy_helper.from_array(matrix.numpy(), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    written: bytes = model.SerializeToString()
    return written


def test_a_model_in_two_files_answers_as_one_does(product: bytes, tmp_path: Path) -> None:
    sides, x = lab41.kept_apart(product, tmp_path), torch.rand(3, ROWS)
    assert sides["weights.bin"] == weights_in(product)["w"].nbytes > sides["model.onnx"]
    apart = session_of(str(tmp_path / "model.onnx"))
    assert torch.equal(answer_or_nan(apart, x), answer_or_nan(session_of(product), x))


def test_a_weight_in_one_byte_is_off_by_half_a_step_and_computed_with_in_integers(product: bytes) -> None:
    tiny, weight = lab41.quantized(product), weights_in(product)["w"]
    stored = weights_in(tiny)
    step = stored["w_scale"].item()
    back = (stored["w_quantized"].double() - stored["w_zero_point"].item()) * step
    assert stored["w_quantized"].dtype is torch.uint8
    assert step == pytest.approx((weight.max() - weight.min()).item() / 255)
    assert (back - weight).abs().max().item() <= step / 2 * (1 + 1e-4)
    assert helpers.opset_of(product) == 18
    assert helpers.operators_of(product) == ["MatMul"]
    assert "MatMulInteger" in helpers.operators_of(tiny)


def test_the_profile_is_asked_for_the_providers_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def profiled(proto: bytes, feed: dict[str, Any], providers: tuple[str, ...]) -> list[dict[str, str]]:
        asked.append((proto, feed["input"].shape, providers))
        return [{"op_name": "Add", "provider": providers[-1]}]

    monkeypatch.setattr(lab41, "profiled", profiled)
    assert lab41.ran_on(b"a model", helpers.tokens, (2, 5), ("first", "second")) == [("Add", "second")]
    assert asked == [(b"a model", (2, 5), ("first", "second"))]


def test_a_missing_provider_is_known_and_not_here() -> None:
    import onnxruntime

    absent = helpers.absent_provider()
    assert absent in onnxruntime.get_all_providers()
    assert absent not in onnxruntime.get_available_providers()


# What figures show ----------------------------------------------------------------------------------------------------


def test_the_graph_has_a_box_for_each_operator_and_its_edges() -> None:
    text = '<ir_version: 8, opset_import: ["" : 18]> m (float[B] input) => (float[B] output) '
    model = onnx.parser.parse_model(text + "{ a = Abs(input) b = Neg(a) output = Add(a, b) }")
    graph = helpers.graph_of(model.SerializeToString())
    assert {name: (node.column, node.row, node.text) for name, node in graph.nodes.items()} == {
        "input": (0, 0, "input"),
        "Abs 0": (1, 0, "Abs"),
        "Neg 1": (2, 0, "Neg"),
        "Add 2": (3, 0, "Add"),
        "output": (4, 0, "output"),
    }
    ends = [(edge.start, edge.end) for edge in graph.edges]
    assert ends == [
        ("input", "Abs 0"),
        ("Abs 0", "Neg 1"),
        ("Abs 0", "Add 2"),
        ("Neg 1", "Add 2"),
        ("Add 2", "output"),
    ]


def test_each_curve_of_latencies_is_that_of_its_name_and_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '<ir_version: 8, opset_import: ["" : 18]> m (int64[B,T] input) => (float[B,T] output) '
    model = onnx.parser.parse_model(text + "{ output = Cast<to = 1>(input) }")

    def in_turn(first: Any, second: Any, *, rounds: int) -> SimpleNamespace:
        eager, flat = first(), second()
        assert isinstance(eager, Tensor)
        assert not eager.requires_grad
        return SimpleNamespace(
            first=[eager.numel() / helpers.CLASSES] * rounds, second=[flat.numel() / 14] * rounds
        )

    monkeypatch.setattr(helpers, "in_turn", in_turn)
    took = helpers.latencies_us(model.SerializeToString(), 32, ((1, 7), (4, 7)), 3)
    assert took == {"eager torch": [1e6, 4e6], "onnxruntime": [5e5, 2e6]}
