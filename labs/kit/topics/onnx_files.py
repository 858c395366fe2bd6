"""ONNX models as bytes: what goes into an export, and what onnxruntime makes of it."""

import importlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from labs.kit.topics.quiet_libraries import quiet_libraries

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class _Applied(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Keep off the screen what exporters say, and have them read their table of operators once, not for every export.

    The table is made of the sources of a thousand functions, takes a second or two, and never changes.
    """
    with quiet_libraries(), mock.patch.object(_apis(), "get_torchlib_ops", _operators, create=True):
        yield


def _apis() -> Any:
    return importlib.import_module("torch.onnx._internal._lazy_import").onnxscript_apis


@cache
def _operators() -> tuple[Any, ...]:
    return tuple(importlib.import_module(_apis()._name).get_torchlib_ops())


def as_module(work: nn.Module | Callable[[Tensor], Tensor]) -> nn.Module:
    """Return a function of one tensor as a module, which is what exporters take; a module as it is."""
    return work if isinstance(work, nn.Module) else _Applied(work).eval()


def raised(error: BaseException | None) -> None:
    """Raise an error that was caught earlier, if one was."""
    if error is not None:
        raise error


def bytes_of(program: Any) -> bytes:
    """Return what an exporter made, as the bytes of its file."""
    written: bytes = program.model_proto.SerializeToString()
    return written


def session_of(model: bytes | str, *providers: str) -> Any:
    """Open a model on one thread, on the first of these providers that is there, else on the CPU; only errors are reported."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(model, options, providers=[*providers, CPU])


def profiled(model: bytes, feed: dict[str, Any], providers: Sequence[str]) -> list[dict[str, str]]:
    """Run a model once under onnxruntime's profiler; return what it noted of each kernel, its `op_name` and `provider` among it."""
    import onnxruntime

    with (
        tempfile.TemporaryDirectory() as folder,
        quiet_libraries(),
    ):  # a provider that is missing is a warning
        options = onnxruntime.SessionOptions()
        options.enable_profiling, options.profile_file_prefix, options.log_severity_level = (
            True,
            str(Path(folder, "profile")),
            4,
        )
        session = onnxruntime.InferenceSession(model, options, providers=list(providers))
        session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return [event["args"] for event in events if event.get("cat") == "Node" and "provider" in event["args"]]


def answer_or_nan(session: Any, x: Tensor) -> Tensor:
    """Return the first output for an input called "input", flat; a single NaN where the runtime refuses the input's shape."""
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

    try:
        return torch.from_numpy(session.run(None, {"input": x.numpy()})[0]).flatten()
    except InvalidArgument:
        return torch.tensor([torch.nan])


def input_shape(model: bytes) -> list[str | int]:
    """Return the sizes of the first input: a number where it is fixed, a name where it is free."""
    return list(session_of(model).get_inputs()[0].shape)


def weights_in(model: bytes) -> dict[str, Tensor]:
    """Return what is stored in a model, by name."""
    import onnx

    stored = onnx.load_from_string(model).graph.initializer
    return {each.name: torch.from_numpy(onnx.numpy_helper.to_array(each).copy()) for each in stored}
