"""A small vocabulary for drawing mechanisms from what was measured: cells with arrows, timelines, stacked bars, graphs.

A lab says what stands where, and never how it looks:

    Cells([Row("storage", ["0", "1", "2"])], arrows=[Arrow(0, 0, 2, "+2")])
    Timeline({"rank 0": [Span(0, 3, "forward"), Span(3, 5, "backward", tone=2)]}, unit="ms")
    Bars({"whole": {"weights": 4, "gradients": 4}, "sharded": {"weights": 2, "gradients": 2}}, unit="MiB")
    Graph({"x": Node(0, 0, "x"), "mul": Node(1, 0, "mul")}, [Edge("x", "mul")])

Tones are numbers: 0 is plain, 1 to 6 are the figures' colours in their order, and WARN marks what goes wrong: in the warning
colour, dashed. Cells, Timeline and Graph take `legend={1: "what the first tone means"}`. Texts are short: a sheet has room for
about 55 characters side by side, and long rows go on in a second line.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from labs.kit.draw.bars import Bars
from labs.kit.draw.canvas import GAP, WIDTH, Canvas
from labs.kit.draw.cells import Arrow, Cell, Cells, Row
from labs.kit.draw.figures import STYLE, write
from labs.kit.draw.graph import Edge, Graph, Node
from labs.kit.draw.timeline import Span, Timeline
from labs.kit.draw.tones import WARN

__all__ = [
    "WARN", "Arrow", "Bars", "Cell", "Cells", "Drawing", "Edge", "Graph", "Node", "Row", "Span", "Timeline", "draw",
]  # fmt: skip


class Drawing(Protocol):
    """One piece of a diagram; several stand one below the other."""

    def describe(self) -> str:
        """Say in words what it shows, for those who cannot see it."""

    def lines(self) -> list[str]:
        """Return it in characters, at most 96 in a line, for a terminal."""

    def paint(self, canvas: Canvas, top: float) -> float:
        """Paint it from `top` downwards and return where it ends."""


def draw(title: str, drawings: Sequence[Drawing], target: Path) -> None:
    """Draw the pieces, one below the other, into an SVG file."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Sheet

    with rc_context(STYLE):
        tried = _painted(Canvas(Sheet().add_subplot()), drawings)
        sheet = Sheet()
        axes = sheet.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        canvas = Canvas(axes, tried.widest_label)
        height = _painted(canvas, drawings).bottom + 3
        sheet.set_size_inches((WIDTH + 2) / 72, height / 72)
        axes.set(xlim=(-1, WIDTH + 1), ylim=(height, 0))
        write(sheet, target, title)


def _painted(canvas: Canvas, drawings: Sequence[Drawing]) -> Canvas:
    for place, drawing in enumerate(drawings):
        canvas.bottom = drawing.paint(canvas, canvas.bottom + (3 * GAP if place else 2.0))
    return canvas
