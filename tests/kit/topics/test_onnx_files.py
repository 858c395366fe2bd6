"""A tiny model, made by hand with onnx, opened and read; no exporter takes part."""

import importlib

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from labs.kit.topics import onnx_files


@pytest.fixture
def doubling() -> bytes:
    """A model that multiplies rows of three numbers by a stored 2."""
    sizes: list[str | int | None] = ["batch", 3]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in ("input", "output")]
    two = onnx.numpy_helper.from_array(np.array([2.0], dtype=np.float32), "two")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["input", "two"], ["output"])], "doubling", ends[:1], ends[1:], [two]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    written: bytes = model.SerializeToString()
    return written


def test_free_dims_have_names(doubling: bytes) -> None:
    assert onnx_files.input_shape(doubling) == ["batch", 3]


def test_an_answer_is_flat(doubling: bytes) -> None:
    session = onnx_files.session_of(doubling)
    assert onnx_files.answer_or_nan(session, torch.ones(2, 3)).tolist() == [2.0] * 6


def test_a_refused_shape_is_one_nan(doubling: bytes) -> None:
    assert onnx_files.answer_or_nan(onnx_files.session_of(doubling), torch.ones(2, 4)).isnan().tolist() == [
        True
    ]


def test_weights_are_found_by_name(doubling: bytes) -> None:
    assert {name: weight.tolist() for name, weight in onnx_files.weights_in(doubling).items()} == {
        "two": [2.0]
    }


def test_the_profiler_says_who_computed_what(doubling: bytes) -> None:
    kernels = onnx_files.profiled(doubling, {"input": np.ones((1, 3), dtype=np.float32)}, [onnx_files.CPU])
    assert [(kernel["op_name"], kernel["provider"]) for kernel in kernels] == [("Mul", onnx_files.CPU)]


def test_an_error_is_raised_later_and_none_is_no_error() -> None:
    onnx_files.raised(None)
    with pytest.raises(ValueError, match="kept"):
        onnx_files.raised(ValueError("kept"))


def test_exporters_read_their_operators_once_and_are_as_they_were_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apis = onnx_files._apis()
    asked = iter([["an operator"], ["an operator, read again"]])
    monkeypatch.setattr(importlib.import_module(apis._name), "get_torchlib_ops", lambda: next(asked))
    onnx_files._operators.cache_clear()
    for _ in range(2):
        with onnx_files.quiet_exporter():
            assert apis.get_torchlib_ops() == ("an operator",)
    assert apis.get_torchlib_ops() == ["an operator, read again"]
    onnx_files._operators.cache_clear()
