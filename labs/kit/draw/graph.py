"""Boxes and arrows between them: graphs of operators, ranks that talk to one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import hypot

from labs.kit.draw.canvas import LINE, WIDTH, Canvas, Point, width_of, wrapped
from labs.kit.draw.tones import is_warning

BETWEEN = 26.0  # the least room for an arrow between two boxes
DOWN = 26.0  # and between one row of boxes and the next
FAR = 130.0  # the most
ASIDE = 6.0  # how far an arrow lies beside the one that leads the other way


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
class _Box:
    x: float  # of its middle
    y: float
    width: float
    height: float
    lines: list[str]

    def border(self, toward: Point, aside: float = 0.0, gap: float = 1.5) -> Point:
        """Return where the line from its middle to another point leaves it, or a line so far to the right of that one."""
        dx, dy = toward[0] - self.x, toward[1] - self.y
        length = hypot(dx, dy) or 1.0
        across, down = aside * -dy / length, aside * dx / length
        sides = [
            (room - (shift if step > 0 else -shift)) / abs(step)
            for room, step, shift in ((self.width / 2 + gap, dx, across), (self.height / 2 + gap, dy, down))
            if step
        ]
        share = min(sides, default=0.0)
        return self.x + share * dx + across, self.y + share * dy + down

    def holds(self, point: Point) -> bool:
        return abs(point[0] - self.x) < self.width / 2 + 2 and abs(point[1] - self.y) < self.height / 2 + 2


@dataclass(frozen=True)
class Graph:
    """Boxes and the arrows between them. Where the columns do not fit side by side it is laid out from the top down."""

    nodes: Mapping[str, Node]
    edges: Sequence[Edge] = field(default_factory=tuple)
    legend: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        strange = [name for edge in self.edges for name in (edge.start, edge.end) if name not in self.nodes]
        if strange:
            raise ValueError(
                f"an arrow leads to {strange[0]!r}, which is no node; there are: {', '.join(self.nodes)}"
            )

    def describe(self) -> str:
        """Say in words what it shows."""
        boxes = ", ".join(map(self._name, self.nodes))
        arrows = []
        for edge in self.edges:
            told = ", ".join(filter(None, (edge.text, self._meaning(edge.tone) if edge.tone else "")))
            arrows.append(
                f"from {self._name(edge.start)} to {self._name(edge.end)}{f' ({told})' if told else ''}"
            )
        lead = "Arrows lead" if len(arrows) > 1 else "An arrow leads"
        return f"Boxes: {boxes}. {lead} {', '.join(arrows)}." if arrows else f"Boxes: {boxes}."

    def _meaning(self, tone: int) -> str:
        return self.legend.get(tone, "a warning" if is_warning(tone) else "")

    def _name(self, node: str) -> str:
        return " ".join(self.nodes[node].text.split())

    def lines(self) -> list[str]:
        """Return it in characters, for a terminal: one line for each arrow."""
        left = min(max((len(self._name(edge.start)) for edge in self.edges), default=0), 40)
        found = []
        for edge in self.edges:
            dash = "╌" if is_warning(edge.tone) else "─"
            text = f" {edge.text} " if edge.text else dash
            found.append(
                f"{self._name(edge.start)[:40]:<{left}} {dash * 2}{text}{dash * 2}▶ {self._name(edge.end)}"[
                    :96
                ]
            )
        met = {name for edge in self.edges for name in (edge.start, edge.end)}
        return [*found, *(self._name(name) for name in self.nodes if name not in met)]

    # Painted ----------------------------------------------------------------------------------------------------------

    def paint(self, canvas: Canvas, top: float) -> float:
        """Paint it from `top` downwards and return where it ends."""
        boxes = self._boxes(top)
        deepest = max((self._paint_edge(canvas, edge, boxes) for edge in self.edges), default=top)
        for name, box in boxes.items():
            canvas.box(
                box.x - box.width / 2,
                box.y - box.height / 2,
                box.width,
                box.height,
                self.nodes[name].tone,
                rounded=3,
            )
            canvas.lines(box.x, box.y - len(box.lines) * LINE / 2, box.lines)
        bottom = max([deepest, *(box.y + box.height / 2 + 1 for box in boxes.values())])
        return canvas.legend(bottom + 6, self.legend) if self.legend else bottom

    def _boxes(self, top: float) -> dict[str, _Box]:
        """Lay the boxes out: columns and rows as they are given, or exchanged where the columns would not fit."""
        places = {name: (node.column, node.row) for name, node in self.nodes.items()}
        widest = (
            max((width_of(word) for node in self.nodes.values() for word in node.text.split()), default=0.0)
            + 12
        )
        if not self._fits([column for column, _ in places.values()], widest):
            places = {name: (row, column) for name, (column, row) in places.items()}
        columns = [column for column, _ in places.values()]
        step = (WIDTH - widest) / max(_span(columns), 1e-6) if _span(columns) else 0.0
        room = max(widest, min(step * _closest(columns) - BETWEEN, 110.0)) if step else 150.0
        texts = {name: wrapped(node.text, room - 10) for name, node in self.nodes.items()}
        width = max((max(map(width_of, lines)) for lines in texts.values()), default=0.0) + 12
        height = max(map(len, texts.values()), default=1) * LINE + 6
        step = (
            min((WIDTH - width - 2) / _span(columns), (width + FAR) / _closest(columns))
            if _span(columns)
            else 0.0
        )
        left = (WIDTH - width - step * _span(columns)) / 2
        rows = [row for _, row in places.values()]
        down = (height + DOWN) / _closest(rows)
        return {
            name: _Box(
                left + width / 2 + (column - min(columns)) * step, top + 1 + height / 2 + (row - min(rows)) * down,
                max(map(width_of, texts[name])) + 12, len(texts[name]) * LINE + 6, texts[name],
            )
            for name, (column, row) in places.items()
        }  # fmt: skip

    @staticmethod
    def _fits(columns: list[float], widest: float) -> bool:
        return not _span(columns) or (WIDTH - widest) / _span(columns) * _closest(columns) >= widest + BETWEEN

    def _paint_edge(self, canvas: Canvas, edge: Edge, boxes: Mapping[str, _Box]) -> float:
        """Paint an arrow and return how far down it reaches."""
        start, end = boxes[edge.start], boxes[edge.end]
        if edge.start == edge.end:
            points = _loop(start)
        else:
            aside = ASIDE if self._returns(edge) else 0.0
            points = [start.border((end.x, end.y), aside), end.border((start.x, start.y), -aside)]
            if self._crosses(points, edge, boxes):
                points = _detour(start, end)
        canvas.arrow(points, edge.tone)
        if edge.text:
            x, y = _halfway(points)
            half = width_of(edge.text) / 2 + 1
            canvas.text(
                min(max(x, half), WIDTH - half),
                y,
                edge.text,
                tone=edge.tone,
                bold=is_warning(edge.tone),
                backed=True,
            )
        return max(y for _, y in points) + (LINE / 2 if edge.text else 0)

    def _crosses(self, points: Sequence[Point], edge: Edge, boxes: Mapping[str, _Box]) -> bool:
        """Tell whether a straight arrow would run through a box that it does not lead to."""
        (x0, y0), (x1, y1) = points
        way = [(x0 + share / 20 * (x1 - x0), y0 + share / 20 * (y1 - y0)) for share in range(21)]
        others = [box for name, box in boxes.items() if name not in (edge.start, edge.end)]
        return any(box.holds(point) for box in others for point in way)

    def _returns(self, edge: Edge) -> bool:
        """Tell whether an arrow leads back where another, drawn before it, came from."""
        before = self.edges[: self.edges.index(edge)]
        return any((other.end, other.start) == (edge.start, edge.end) for other in before)


def _detour(start: _Box, end: _Box) -> list[Point]:
    """Return a way beside the straight one: below where boxes stand side by side, at the right where one stands above the other."""
    if abs(end.x - start.x) >= abs(end.y - start.y):
        low = max(start.y + start.height / 2, end.y + end.height / 2) + DOWN * 0.45
        return [
            (start.x, start.y + start.height / 2 + 1.5),
            (start.x, low),
            (end.x, low),
            (end.x, end.y + end.height / 2 + 1.5),
        ]
    right = min(max(start.x + start.width / 2, end.x + end.width / 2) + 16, WIDTH - 2)
    return [
        (start.x + start.width / 2 + 1.5, start.y),
        (right, start.y),
        (right, end.y),
        (end.x + end.width / 2 + 1.5, end.y),
    ]


def _loop(box: _Box) -> list[Point]:
    low = box.y + box.height / 2
    return [(box.x - 8, low + 1.5), (box.x - 8, low + 11), (box.x + 8, low + 11), (box.x + 8, low + 1.5)]


def _halfway(points: Sequence[Point]) -> Point:
    """Return the middle of the longest piece of a way."""
    (x0, y0), (x1, y1) = max(
        pairwise(points), key=lambda piece: hypot(piece[1][0] - piece[0][0], piece[1][1] - piece[0][1])
    )
    return (x0 + x1) / 2, (y0 + y1) / 2


def _span(places: list[float]) -> float:
    return max(places, default=0.0) - min(places, default=0.0)


def _closest(places: list[float]) -> float:
    """Return the least distance between two different places."""
    ordered = sorted(set(places))
    return min((after - before for before, after in pairwise(ordered)), default=1.0)
