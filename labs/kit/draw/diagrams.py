"""A small vocabulary for drawing mechanisms from what was measured: cells with arrows, timelines, stacked bars, graphs.

A lab says what stands where, and never how it looks:

    Cells([Row("storage", ["0", "1", "2"])], arrows=[Arrow(0, 0, 2, "+2")])
    Timeline({"rank 0": [Span(0, 3, "forward"), Span(3, 5, "backward", tone=1)]}, unit="ms")
    Bars({"whole": {"weights": 4, "gradients": 4}, "sharded": {"weights": 2, "gradients": 2}}, unit="MiB")
    Graph({"x": Node(0, 0, "x"), "mul": Node(1, 0, "mul")}, [Edge("x", "mul")])

Tones are numbers: 0 is plain, 1 to 6 are the figures' colours in their order, and WARN marks what goes wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WARN = -1


class Drawing(Protocol):
    """One piece of a diagram; several stand one below the other."""

    def describe(self) -> str:
        """Say in words what it shows."""

    def lines(self) -> list[str]:
        """Return it in characters, for a terminal."""

    def paint(self, axes: "Axes") -> None:
        """Paint it."""


@dataclass(frozen=True)
class Cell:
    """A box with a text, such as an element of a storage or a chunk of a message."""

    text: str
    tone: int = 0


@dataclass(frozen=True)
class Row:
    """Cells side by side, with what they are called at their left."""

    label: str
    cells: Sequence[Cell | str]


@dataclass(frozen=True)
class Arrow:
    """An arrow over row number `row`, from one of its cells to another."""

    row: int
    start: int
    end: int
    text: str = ""
    tone: int = 0


@dataclass(frozen=True)
class Cells:
    """Rows of cells, one below the other, with arrows above those that have some."""

    rows: Sequence[Row]
    arrows: Sequence[Arrow] = ()


@dataclass(frozen=True)
class Span:
    """What goes on in a lane from one time to another."""

    start: float
    end: float
    text: str = ""
    tone: int = 1


@dataclass(frozen=True)
class Timeline:
    """Lanes over a common axis of time."""

    lanes: Mapping[str, Sequence[Span]]
    unit: str = "ms"


@dataclass(frozen=True)
class Bars:
    """One horizontal bar for each name, made of parts of one unit; a part has the same tone in every bar."""

    bars: Mapping[str, Mapping[str, float]]
    unit: str = "bytes"


@dataclass(frozen=True)
class Node:
    """A box of a graph, in a column and a row."""

    column: float
    row: float
    text: str
    tone: int = 0


@dataclass(frozen=True)
class Edge:
    """An arrow from one node to another."""

    start: str
    end: str
    text: str = ""
    tone: int = 0


@dataclass(frozen=True)
class Graph:
    """Boxes and the arrows between them."""

    nodes: Mapping[str, Node]
    edges: Sequence[Edge] = field(default_factory=tuple)


def draw(title: str, drawings: Sequence[Drawing], target: Path) -> None:
    """Draw the pieces, one below the other, into an SVG file."""
    raise NotImplementedError
