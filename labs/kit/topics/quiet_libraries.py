"""Keep off the learner's screen what libraries say among themselves."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LIBRARIES = (
    "copyreg",
    "networkx",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "torch",
)  # copyreg: what torch copies and pickles warns there


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Pass over log messages, and warnings that name a line inside a library. One that names a lab's own line is heard."""
    logged = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            for module in LIBRARIES:
                warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")
            yield
    finally:
        logging.disable(logged)
