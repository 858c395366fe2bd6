"""The sheet on which diagrams are painted: 345 points wide, so that a point is a pixel on a page of 400, and nothing on it is small."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from labs.kit.draw.tones import EDGE, INK, PAPER, TINT, Legend, colour_of, is_warning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch
    from matplotlib.path import Path as Outline

WIDTH = 345.0
TEXT = 10.0
LINE = 13.0  # from one line of text to the next
GAP = 6.0
MOST_OF_LABELS = 0.3  # of the width; where they need more, labels stand above what they name
Anchor = Literal["left", "center", "right"]
Point = tuple[float, float]


@cache
def width_of(text: str, *, bold: bool = False) -> float:
    """Return how wide a line of text becomes in matplotlib's own font, which is wider than those that a page sets it in."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=TEXT, weight="bold" if bold else "normal")
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def wrapped(text: str, room: float) -> list[str]:
    """Break a text between its words into lines that fit; a word that is too long by itself stays whole."""
    lines: list[str] = []
    for word in text.split():
        if lines and width_of(f"{lines[-1]} {word}") <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


class Canvas:
    """Paints text, boxes and lines. x grows to the right, y downwards, both in points."""

    def __init__(self, axes: "Axes", widest_label: float = 0.0) -> None:
        self.axes = axes
        self.widest_label = widest_label
        self.bottom = 0.0  # of what was painted
        self._explained: dict[int, str] = {}

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: Anchor = "center",
        bold: bool = False,
        tone: int = 0,
        backed: bool = False,
    ) -> None:
        """Write one line, its middle at y. `backed` hides the lines that pass under it."""
        behind: dict[str, Any] = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}
        self.axes.text(
            x, y + 0.36 * TEXT, text, fontsize=TEXT, ha=anchor, va="baseline", parse_math=False, zorder=3,
            fontweight="bold" if bold else "normal", color=colour_of(tone) if is_warning(tone) else INK, bbox=behind if backed else None,
        )  # fmt: skip

    def lines(
        self, x: float, top: float, lines: Sequence[str], *, anchor: Anchor = "center", bold: bool = False
    ) -> float:
        """Write lines one below the other and return where the last one ends."""
        for place, line in enumerate(lines):
            self.text(x, top + (place + 0.5) * LINE, line, anchor=anchor, bold=bold)
        return top + len(lines) * LINE

    def box(
        self, x: float, y: float, width: float, height: float, tone: int = 0, *, rounded: float = 0.0
    ) -> None:
        """Paint a box whose left upper corner is (x, y). Its fill lets the page's paper through, so text on it is read in any light."""
        from matplotlib.colors import to_rgba
        from matplotlib.patches import FancyBboxPatch

        fill = to_rgba(colour_of(tone), TINT) if tone else "none"
        style = f"round,pad=0,rounding_size={rounded}" if rounded else "square,pad=0"
        self._add(
            FancyBboxPatch(
                (x, y), width, height, boxstyle=style, facecolor=fill, edgecolor=colour_of(tone) if tone else INK, lw=EDGE,
                ls=(0, (3, 2)) if is_warning(tone) else "-", zorder=1,
            )
        )  # fmt: skip

    def arrow(self, points: Sequence[Point], tone: int = 0, *, head: bool = True) -> None:
        """Draw a line through the points, its corners rounded, with a head at its end. A warning is dashed."""
        from matplotlib.patches import PathPatch, Polygon

        dashes = (0, (3, 2)) if is_warning(tone) else "-"
        self._add(
            PathPatch(
                _rounded(points), facecolor="none", edgecolor=colour_of(tone), lw=1.1, ls=dashes, zorder=2
            )
        )
        if head:
            self._add(
                Polygon(_head(points[-2], points[-1]), closed=True, color=colour_of(tone), lw=0, zorder=2)
            )

    def legend(self, top: float, entries: Legend) -> float:
        """Say what the tones mean, unless a piece above has said it, and return where that ends."""
        entries = {tone: text for tone, text in entries.items() if self._explained.get(tone) != text}
        self._explained |= entries
        x, y = 0.0, top + LINE / 2
        for tone, text in entries.items():
            if x and x + 14 + width_of(text) > WIDTH:
                x, y = 0.0, y + LINE + 2
            self.box(x, y - 4.5, 9, 9, tone)
            for line in wrapped(text, WIDTH - 14):
                self.text(x + 14, y, line, anchor="left")
                y += LINE
            y -= LINE
            x += 14 + width_of(text) + 12
        return y + LINE / 2 if entries else top

    def label_room(self, labels: Iterable[str]) -> float:
        """Return how much of the width labels take at the left; nothing where one is so long that they stand above.

        All pieces of a diagram have the same room, so that what is alike stands one below the other.
        """
        widest = max((width_of(label) for label in labels), default=0.0)
        if not widest or widest > MOST_OF_LABELS * WIDTH:
            return 0.0
        self.widest_label = max(self.widest_label, widest)
        return self.widest_label + GAP

    def _add(self, patch: "Patch") -> None:
        self.axes.add_patch(patch).set_clip_on(False)


def _rounded(points: Sequence[Point], radius: float = 4.0) -> "Outline":
    from matplotlib.path import Path as Outline

    places, codes = [points[0]], [Outline.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        places += [_toward(corner, before, radius), corner, _toward(corner, after, radius)]
        codes += [Outline.LINETO, Outline.CURVE3, Outline.CURVE3]
    return Outline([*places, points[-1]], [*codes, Outline.LINETO])


def _toward(start: Point, end: Point, distance: float) -> Point:
    """Return the point so far from the start towards the end, and never beyond the middle."""
    length = max(((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5, 1e-6)
    share = min(distance / length, 0.5)
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _head(start: Point, end: Point, length: float = 5.5, half: float = 2.6) -> list[Point]:
    dx, dy = end[0] - start[0], end[1] - start[1]
    size = max((dx**2 + dy**2) ** 0.5, 1e-6)
    dx, dy = dx / size, dy / size
    foot = end[0] - length * dx, end[1] - length * dy
    return [end, (foot[0] - half * dy, foot[1] + half * dx), (foot[0] + half * dy, foot[1] - half * dx)]


def legend_lines(entries: Mapping[int, str], marks: Mapping[int, str]) -> list[str]:
    """Say in characters what the tones mean."""
    return [f"{marks[tone]} {text}" for tone, text in entries.items()]
