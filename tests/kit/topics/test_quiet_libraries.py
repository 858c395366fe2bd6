"""What libraries say among themselves is passed over; what names another line is heard."""

import logging
import warnings

import pytest

from labs.kit.topics.quiet_libraries import quiet_libraries


def warn_from(module: str) -> None:
    warnings.warn_explicit("said", UserWarning, "somewhere.py", 1, module=module)


@pytest.mark.parametrize("module", ["torch", "torch.onnx._internal", "onnxruntime"])
def test_a_library_is_not_heard(module: str) -> None:
    with quiet_libraries():
        warn_from(module)


@pytest.mark.parametrize("module", ["labs.m1_tensors.lab01_storage_vs_view", "torchlike"])
def test_everybody_else_is(module: str) -> None:
    with pytest.warns(UserWarning, match="said"), quiet_libraries():
        warn_from(module)


def test_logging_is_as_before_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    with quiet_libraries():
        logging.getLogger("torch.onnx").error("inside")
    logging.getLogger("torch.onnx").error("behind")
    assert caplog.messages == ["behind"]
