"""Rows of cells with arrows above them: storages, buffers, messages cut into chunks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from labs.kit.draw.canvas import GAP, TEXT, WIDTH, Canvas, width_of, wrapped
from labs.kit.draw.levels import levels_of
from labs.kit.draw.tones import is_warning, mark_of

HEIGHT = 20.0  # of a cell
LEVEL = 15.0  # from the arrows of one level to those above
SIDE = 2.5  # arrows leave so far to the right of a cell's middle, and arrive to the left of it
COLUMNS = 96  # of a terminal


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

    def filled(self) -> list[Cell]:
        """Return the cells, those among them that are only a text made plain ones."""
        return [cell if isinstance(cell, Cell) else Cell(str(cell)) for cell in self.cells]


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
    """Rows of cells, one below the other, with arrows above those that have some. `legend` says what tones mean."""

    rows: Sequence[Row]
    arrows: Sequence[Arrow] = ()
    legend: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for arrow in self.arrows:
            count = len(self.rows[arrow.row].cells) if 0 <= arrow.row < len(self.rows) else 0
            if not (0 <= arrow.start < count and 0 <= arrow.end < count):
                raise ValueError(f"{arrow} leads to no cell of its row")

    def describe(self) -> str:
        """Say in words what it shows."""
        return " ".join(
            sentence for number, row in enumerate(self.rows) for sentence in self._sentences(number, row)
        )

    def _sentences(self, number: int, row: Row) -> Iterator[str]:
        cells = row.filled()
        yield f"{row.label or 'Cells'}: {', '.join(map(self._told, cells))}."
        unique = len({cell.text for cell in cells}) == len(cells)
        names = [cell.text if unique else f"cell {place}" for place, cell in enumerate(cells)]
        arrows = []
        for arrow in self._over(number):
            told = ", ".join(filter(None, (arrow.text, self._meaning(arrow.tone) if arrow.tone else "")))
            arrows.append(f"from {names[arrow.start]} to {names[arrow.end]}{f' ({told})' if told else ''}")
        if arrows:
            yield f"{'Arrows lead' if len(arrows) > 1 else 'An arrow leads'} {', '.join(arrows)}."

    def _told(self, cell: Cell) -> str:
        meaning = self._meaning(cell.tone)
        return f"{cell.text} ({meaning})" if meaning else cell.text

    def _meaning(self, tone: int) -> str:
        return self.legend.get(tone, "a warning" if is_warning(tone) else "")

    def _over(self, row: int) -> list[Arrow]:
        return [arrow for arrow in self.arrows if arrow.row == row]

    def _rooms_for_arrows(self, room_for: Callable[[str], float]) -> list[float]:
        """Return how wide cells must be for each arrow's text to fit between its ends."""
        return [
            room_for(arrow.text) / max(abs(arrow.end - arrow.start), 1) for arrow in self.arrows if arrow.text
        ]

    # In characters ----------------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """Return it in characters, for a terminal."""
        label = max((len(row.label) for row in self.rows), default=0)
        left = label + 1 if label <= COLUMNS // 4 else 0
        texts = [len(cell.text) for row in self.rows for cell in row.filled()]
        told = [int(room) for room in self._rooms_for_arrows(lambda text: len(text) + 2.0)]
        size = min(max([3, *(length + 2 for length in texts), *told]), COLUMNS - left - 2)
        each = max(1, (COLUMNS - left - 1) // (size + 1))
        found = []
        for number, row in enumerate(self.rows):
            if not left and row.label:
                found.append(row.label)
            for first in range(0, max(len(row.cells), 1), each):
                name = row.label if left and not first else ""
                found += self._lines_of(
                    number, range(first, min(first + each, len(row.cells))), f"{name:<{left}}", size
                )
        return [*found, *(f"{mark_of(tone).replace(' ', '□')} {text}" for tone, text in self.legend.items())]

    def _lines_of(self, number: int, places: range, label: str, size: int) -> list[str]:
        row = self.rows[number].filled()
        boxes = [f"{row[place].text[: size - 2]:^{size - 2}}" for place in places]
        marks = [mark_of(row[place].tone) for place in places]
        cells = label + "│" + "".join(f"{mark}{box}{mark}│" for mark, box in zip(marks, boxes, strict=True))
        return [*self._arrows_in_characters(number, places, len(label), size), cells]

    def _arrows_in_characters(self, number: int, places: range, left: int, size: int) -> list[str]:
        middles = {place: left + 1 + (size + 1) * index + size // 2 for index, place in enumerate(places)}
        paths = [
            path
            for arrow in self._over(number)
            if (path := _Path.of(arrow, places, middles, 1.0, left, left + (size + 1) * len(places)))
        ]
        levels = levels_of([path.span(len(path.arrow.text) + 2) for path in paths])
        sheet = [[" "] * COLUMNS for _ in range(max(levels, default=-1) + 2)] if paths else []
        for path, level in sorted(zip(paths, levels, strict=True), key=lambda pair: -pair[1]):
            path.write(sheet, len(sheet) - 2 - level)
        return ["".join(line).rstrip() for line in sheet]

    # Painted ----------------------------------------------------------------------------------------------------------

    def paint(self, canvas: Canvas, top: float) -> float:
        """Paint it from `top` downwards and return where it ends."""
        left = canvas.label_room(row.label for row in self.rows)
        texts = [width_of(cell.text) for row in self.rows for cell in row.filled()]
        longest = max((len(row.cells) for row in self.rows), default=1)
        told = self._rooms_for_arrows(lambda text: width_of(text) + 4 * SIDE)
        fitting = max([20.0, *(text + 7 for text in texts)])
        roomy = min(max(fitting, (WIDTH - left) / max(longest, 1)), max([fitting, 34.0, *told]))
        size = min(roomy, WIDTH - left)
        each = max(1, int((WIDTH - left + 0.01) // size))
        for number, row in enumerate(self.rows):
            if not left and row.label:
                top = canvas.lines(0, top, wrapped(row.label, WIDTH), anchor="left")
            for first in range(0, len(row.cells), each):
                name = row.label if left and not first else ""
                places = range(first, min(first + each, len(row.cells)))
                top = self._paint_line(canvas, top, number, places, name, left, size)
        return canvas.legend(top, self.legend) if self.legend else top - GAP

    def _paint_line(
        self, canvas: Canvas, top: float, number: int, places: range, label: str, left: float, size: float
    ) -> float:
        middles = {place: left + (index + 0.5) * size for index, place in enumerate(places)}
        paths = [
            path
            for arrow in self._over(number)
            if (path := _Path.of(arrow, places, middles, SIDE, left, left + size * len(places)))
        ]
        levels = levels_of([path.span(width_of(path.arrow.text) + 4) for path in paths])
        y = top + (max(levels, default=-1) + 1) * LEVEL + (8.0 if paths else 0.0)
        for path, level in zip(paths, levels, strict=True):
            path.paint(canvas, y, y - 10.0 - level * LEVEL)
        canvas.text(0, y + HEIGHT / 2, label, anchor="left")
        for place in places:
            cell = self.rows[number].filled()[place]
            canvas.box(middles[place] - size / 2, y, size, HEIGHT, cell.tone)
            canvas.text(middles[place], y + HEIGHT / 2, cell.text, bold=is_warning(cell.tone))
        return y + HEIGHT + GAP


@dataclass(frozen=True)
class _Path:
    """An arrow, or the piece of it that lies over one line of cells: up, along, and down where its end is there."""

    arrow: Arrow
    start: float
    end: float
    rises: bool
    falls: bool

    @classmethod
    def of(
        cls, arrow: Arrow, places: range, middles: Mapping[int, float], side: float, left: float, right: float
    ) -> "_Path | None":
        """Return the piece over these cells; None where the arrow neither begins nor ends there."""
        rises, falls = arrow.start in places, arrow.end in places
        if not rises and not falls:
            return None
        forward = 1.0 if arrow.end >= arrow.start else -1.0
        start = middles[arrow.start] + side if rises else left if forward > 0 else right
        end = middles[arrow.end] - side if falls else right if forward > 0 else left
        if arrow.start == arrow.end:
            start, end = start + side, end - side
        return cls(arrow, start, end, rises, falls)

    def span(self, text: float) -> tuple[float, float]:
        """Return the room that it takes from left to right, its text included."""
        middle = (self.start + self.end) / 2
        text = text if self.rises and self.arrow.text else 0.0
        return min(self.start, self.end, middle - text / 2), max(self.start, self.end, middle + text / 2)

    def paint(self, canvas: Canvas, floor: float, height: float) -> None:
        points = [(self.start, height), (self.end, height)]
        points = [(self.start, floor), *points] if self.rises else points
        canvas.arrow([*points, (self.end, floor)] if self.falls else points, self.arrow.tone, head=self.falls)
        if self.rises and self.arrow.text:
            room = width_of(self.arrow.text) / 2
            middle = min(max((self.start + self.end) / 2, room), WIDTH - room)
            canvas.text(
                middle,
                height - 0.1 * TEXT,
                self.arrow.text,
                tone=self.arrow.tone,
                bold=is_warning(self.arrow.tone),
                backed=True,
            )

    def write(self, sheet: list[list[str]], height: int) -> None:
        """Write it into a sheet of characters."""
        low, high = sorted((int(self.start), int(self.end)))
        dash = "╌" if is_warning(self.arrow.tone) else "─"
        for x in range(low, high + 1):
            sheet[height][x] = dash
        for x, there, foot in ((int(self.start), self.rises, "│"), (int(self.end), self.falls, "▼")):
            if there:
                sheet[height][x] = "┌" if x == low else "┐"
                for y in range(height + 1, len(sheet)):
                    sheet[y][x] = "│"
                sheet[-1][x] = foot
        if self.rises:
            first = max(low + 1, (low + high + 1 - len(self.arrow.text)) // 2)
            for x, character in enumerate(self.arrow.text, first):
                if x < len(sheet[height]):
                    sheet[height][x] = character
