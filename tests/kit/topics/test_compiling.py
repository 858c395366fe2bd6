"""A fresh compiler knows nothing of what was compiled before, and leaves nothing behind."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from labs.kit.topics.compiling import fresh_compiler


def test_what_was_compiled_before_and_within_is_forgotten() -> None:
    captured: list[str] = []

    def noting(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        captured.append("once more")
        return graph.forward

    @torch.compile(backend=noting)
    def doubled(x: Tensor) -> Tensor:
        return 2 * x

    doubled(torch.ones(3))
    doubled(torch.ones(3))
    assert len(captured) == 1
    with fresh_compiler():
        doubled(torch.ones(3))
        doubled(torch.ones(3))
        assert len(captured) == 2
    doubled(torch.ones(3))
    assert len(captured) == 3
