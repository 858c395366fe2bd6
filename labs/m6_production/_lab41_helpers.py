"""What lab 41 needs beside its lesson: the network, requests, and what can be read off an exported file."""

import re
from collections.abc import Callable
from functools import cache, partial
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.utils._python_dispatch import TorchDispatchMode

from labs.kit.draw.diagrams import Edge, Graph, Node
from labs.kit.measure.timing import in_turn
from labs.kit.topics.onnx_files import answer_or_nan, session_of

VOCABULARY, HEADS, CLASSES = 64, 4, 5
EDGES = (-1.25, -0.5, 0.0, 0.25, 1.0)
FREE: Any = ({0: Dim("batch"), 1: Dim("length")},)  # for the parts that are not about it
Size = tuple[int, int]
Draw = Callable[[int, int], Tensor]


class Classifier(nn.Module):
    """One block of a transformer over token numbers, and the mean of what it says at each token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed, self.qkv, self.out = (
            nn.Embedding(VOCABULARY, width),
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
        )
        self.up, self.down, self.head = (
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
            nn.Linear(width, CLASSES),
        )

    def forward(self, tokens_BT: Tensor) -> Tensor:
        x_BTD = self.embed(tokens_BT)
        q_BHTD, k_BHTD, v_BHTD = (
            self.qkv(x_BTD).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        )
        seen_BHTD = nn.functional.scaled_dot_product_attention(q_BHTD, k_BHTD, v_BHTD)
        x_BTD = x_BTD + self.out(seen_BHTD.transpose(1, 2).flatten(2))
        scores_BC: Tensor = self.head(x_BTD + self.down(nn.functional.gelu(self.up(x_BTD)))).mean(1)
        return scores_BC


@cache
def network(width: int) -> nn.Module:
    """Make the classifier, with the same weights every time."""
    torch.manual_seed(41)
    return Classifier(width).eval()


def tokens(batch: int, length: int) -> Tensor:
    """Draw token numbers (B, T) that follow from the size."""
    dice = torch.Generator().manual_seed(100 * batch + length)
    return torch.randint(VOCABULARY, (batch, length), generator=dice)


def signals(batch: int, length: int) -> Tensor:
    """Draw multiples of a quarter from -1.5 to 1.5, so that many values lie right on an edge of a bin."""
    dice = torch.Generator().manual_seed(100 * batch + length)
    return torch.randint(-6, 7, (batch, length), generator=dice) / 4


def sizes_tried(batches: int, longest: int) -> tuple[Size, ...]:
    """Return every batch size up to a number, with several lengths each, 1 among them."""
    return tuple((batch, length) for batch in range(1, batches + 1) for length in (1, 2, 7, longest))


def binned_by_search(x_BT: Tensor) -> Tensor:
    """Find each value's bin as torch does: by halving, in log K steps."""
    bins_BT = torch.searchsorted(torch.tensor(EDGES), x_BT)
    return bins_BT


def by_if(x_BT: Tensor) -> Tensor:
    """Choose by the data as Python does: what an export would freeze."""
    return x_BT * 2 if x_BT.sum() > 0 else x_BT / 2


def counting(x_BT: Tensor, edges_K: Tensor) -> Tensor:
    """Find each value's bin by comparisons and a sum, for the files that are made around the operator."""
    return (x_BT.unsqueeze(-1) > edges_K).sum(-1)


@torch.no_grad()
def eager_answers(work: Callable[[Tensor], Tensor], draw: Draw, sizes: tuple[Size, ...]) -> Tensor:
    """Return torch's own answers to one request of each size, joined."""
    return torch.cat([work(draw(*size)).flatten() for size in sizes])


class Searches(TorchDispatchMode):
    """Notes the operators that search, among those that are called within its `with` block."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket.__name__ in ("searchsorted", "bucketize"):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


class Overtaken:
    """A session whose bound request is overtaken: other tokens lie in its place while the session runs."""

    def __init__(self, session: Any, request_BT: Tensor, late_BT: Tensor) -> None:
        self.session, self.request_BT, self.late_BT = session, request_BT, late_BT

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def run_with_iobinding(self, binding: Any, *options: Any) -> None:
        early_BT = self.request_BT.clone()
        self.request_BT.copy_(self.late_BT)
        try:
            self.session.run_with_iobinding(binding, *options)
        finally:
            self.request_BT.copy_(early_BT)


def absent_provider() -> str:
    """Return the name of a provider that onnxruntime knows and that is not installed here."""
    import onnxruntime

    here = onnxruntime.get_available_providers()
    absent: str = next(name for name in onnxruntime.get_all_providers() if name not in here)
    return absent


def operators_of(proto: bytes) -> list[str]:
    """Return the operators of a file's graph, in its order."""
    import onnx

    return [node.op_type for node in onnx.load_from_string(proto).graph.node]


def opset_of(proto: bytes) -> int:
    """Return the version of the standard's operators that a file is written in."""
    import onnx

    return int(next(entry.version for entry in onnx.load_from_string(proto).opset_import if not entry.domain))


def progress_in(report: str) -> str:
    """Return how far an export came, as its report says, in words where it has pictures."""
    found = re.search(r"```\n(.*?)```", report, re.DOTALL)
    words = {
        "\N{WHITE HEAVY CHECK MARK}": "done      ",
        "\N{MEDIUM WHITE CIRCLE}": "not tried ",
        "\N{CROSS MARK}": "failed    ",
    }
    text = found[1] if found else report
    for picture, word in words.items():
        text = text.replace(f"{picture} ", word)
    return text


def graph_of(proto: bytes) -> Graph:
    """Draw a file's graph: its input, a box for each operator in the column of its depth, its output."""
    import onnx

    graph = onnx.load_from_string(proto).graph
    depth = {value.name: 0 for value in graph.input}
    nodes = {value.name: Node(0, 0, value.name, tone=1) for value in graph.input}
    edges: list[Edge] = []
    maker: dict[str, str] = {}
    for place, node in enumerate(graph.node):
        known = [name for name in node.input if name in depth]
        column, name = 1 + max((depth[name] for name in known), default=0), f"{node.op_type} {place}"
        row = sum(other.column == column for other in nodes.values())
        nodes[name] = Node(column, row, node.op_type)
        edges += [Edge(maker.get(source, source), name) for source in known]
        depth |= dict.fromkeys(node.output, column)
        maker |= dict.fromkeys(node.output, name)
    for value in graph.output:
        nodes[value.name] = Node(depth[value.name] + 1, 0, value.name, tone=1)
        edges.append(Edge(maker[value.name], value.name))
    return Graph(nodes, edges)


def latencies_us(proto: bytes, width: int, sizes: tuple[Size, ...], rounds: int) -> dict[str, list[float]]:
    """Time one request at growing batch sizes, in microseconds, in eager torch and in onnxruntime."""
    eager, session = torch.no_grad()(network(width).forward), session_of(proto)
    requests = [tokens(*size) for size in sizes]
    calls = [(partial(eager, x_BT), partial(answer_or_nan, session, x_BT)) for x_BT in requests]
    arms: list[Any] = [in_turn(*pair, rounds=rounds) for pair in calls]
    return {
        "eager torch": [1e6 * median(arm.first) for arm in arms],
        "onnxruntime": [1e6 * median(arm.second) for arm in arms],
    }
