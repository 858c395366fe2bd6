"""Horizontal bars made of parts: what takes how much of something."""

from collections.abc import Mapping
from dataclasses import dataclass

from labs.kit.draw.canvas import GAP, WIDTH, Canvas, width_of, wrapped
from labs.kit.draw.tones import mark_of

HEIGHT = 18.0
BAR_COLUMNS = 50
SIZES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


@dataclass(frozen=True)
class Bars:
    """One horizontal bar for each name, made of parts of one unit; a part has the same tone in every bar."""

    bars: Mapping[str, Mapping[str, float]]
    unit: str = "bytes"

    def __post_init__(self) -> None:
        negative = {
            name: parts for name, parts in self.bars.items() if any(value < 0 for value in parts.values())
        }
        if negative:
            raise ValueError(f"a part of a bar cannot be less than nothing: {negative}")

    @property
    def _tones(self) -> dict[str, int]:
        names = dict.fromkeys(name for parts in self.bars.values() for name in parts)
        return {name: tone for tone, name in enumerate(names, 1)}

    @property
    def _longest(self) -> float:
        return max((sum(parts.values()) for parts in self.bars.values()), default=0.0) or 1.0

    def describe(self) -> str:
        """Say in words what it shows."""
        return " ".join(f"{name}: {self._said(parts)}." for name, parts in self.bars.items())

    def _said(self, parts: Mapping[str, float]) -> str:
        told = ", ".join(f"{name} {self._amount(value)}".lstrip() for name, value in parts.items())
        return f"{told}; together {self._amount(sum(parts.values()))}" if len(parts) > 1 else told

    def _amount(self, value: float) -> str:
        """Write an amount as a person would: 4 MiB on a scale of bytes, 1,000 items on any other."""
        for unit, size in SIZES:
            if self.unit == "bytes" and value >= size:
                return f"{value / size:.3g} {unit}" if value < 1000 * size else f"{value / size:,.0f} {unit}"
        number = f"{value:,.0f}" if value >= 1000 or float(value).is_integer() else f"{value:.3g}"
        return f"{number} {self.unit}".rstrip()

    # In characters ----------------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """Return it in characters, for a terminal."""
        left = min(max(map(len, self.bars), default=0) + 2, 28)
        found = []
        for name, parts in self.bars.items():
            bar = "".join(
                self._mark(part) * round(BAR_COLUMNS * value / self._longest) for part, value in parts.items()
            )
            found.append(f"{name[: left - 2]:<{left}}{bar} {self._amount(sum(parts.values()))}")
        return (
            [*found, *(f"{self._mark(name)} {name}" for name in self._tones)]
            if len(self._tones) > 1
            else found
        )

    def _mark(self, part: str) -> str:
        return mark_of(self._tones[part]) if len(self._tones) > 1 else "█"

    # Painted ----------------------------------------------------------------------------------------------------------

    def paint(self, canvas: Canvas, top: float) -> float:
        """Paint it from `top` downwards and return where it ends."""
        left = canvas.label_room(self.bars)
        totals = max(
            (width_of(self._amount(sum(parts.values()))) for parts in self.bars.values()), default=0.0
        )
        room = WIDTH - left - totals - GAP
        if len(self._tones) > 1:
            top = canvas.legend(top, {tone: name for name, tone in self._tones.items()}) + GAP
        for name, parts in self.bars.items():
            if not left:
                top = canvas.lines(0, top, wrapped(name, WIDTH), anchor="left")
            canvas.text(0, top + HEIGHT / 2, name if left else "", anchor="left")
            end = self._paint_parts(canvas, parts, left, top, room / self._longest)
            canvas.text(end + GAP / 2, top + HEIGHT / 2, self._amount(sum(parts.values())), anchor="left")
            top += HEIGHT + GAP
        return top - GAP

    def _paint_parts(
        self, canvas: Canvas, parts: Mapping[str, float], x: float, top: float, scale: float
    ) -> float:
        for name, value in parts.items():
            width = value * scale
            if width > 0:
                canvas.box(x, top, width, HEIGHT, self._tones[name])
            if len(parts) > 1 and width_of(self._amount(value)) + 5 <= width:
                canvas.text(x + width / 2, top + HEIGHT / 2, self._amount(value))
            x += width
        return x
