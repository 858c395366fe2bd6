"""Lanes over a common axis of time: what goes on at once, and what waits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from labs.kit.draw.canvas import GAP, LINE, WIDTH, Canvas, width_of, wrapped
from labs.kit.draw.tones import is_warning, mark_of

HEIGHT = 20.0  # of a lane
COLUMNS = 96
TOLD = 12  # spans of a lane that are told one by one


@dataclass(frozen=True)
class Span:
    """What goes on in a lane from one time to another."""

    start: float
    end: float
    text: str = ""
    tone: int = 1


@dataclass(frozen=True)
class Timeline:
    """Lanes over a common axis of time. `legend` says what tones mean; texts that do not fit go there by themselves."""

    lanes: Mapping[str, Sequence[Span]]
    unit: str = "ms"
    legend: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        backwards = [span for span in self._spans() if span.end < span.start]
        if backwards:
            raise ValueError(f"{backwards[0]} ends before it starts")

    def _spans(self) -> list[Span]:
        return [span for spans in self.lanes.values() for span in spans]

    @property
    def _limits(self) -> tuple[float, float]:
        first = min((span.start for span in self._spans()), default=0.0)
        last = max((span.end for span in self._spans()), default=1.0)
        return first, last if last > first else first + 1.0

    def describe(self) -> str:
        """Say in words what it shows."""
        return " ".join(self._sentences())

    def _sentences(self) -> Iterator[str]:
        for name, spans in self.lanes.items():
            told = [
                f"{span.text or self.legend.get(span.tone, 'busy')} from {span.start:.4g} to {span.end:.4g}"
                for span in spans[:TOLD]
            ]
            rest = f" and {len(spans) - TOLD} more" if len(spans) > TOLD else ""
            yield f"{name}: {', '.join(told) or 'nothing'}{rest}, in {self.unit}."

    def _explained(self, unwritten: Sequence[Span]) -> dict[int, str]:
        """Return the legend, and in it the texts for which there was no room."""
        found: dict[int, list[str]] = {}
        for span in unwritten:
            texts = found.setdefault(span.tone, [])
            if span.text and span.text not in texts:
                texts.append(span.text)
        texts_of = {tone: ", ".join(texts) for tone, texts in found.items() if texts}
        return {**texts_of, **self.legend}

    # In characters ----------------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """Return it in characters, for a terminal."""
        left = min(max(map(len, self.lanes), default=0) + 1, COLUMNS // 4)
        columns = min(64, COLUMNS - left)
        unwritten: list[Span] = []
        found = [
            self._lane_line(name[: left - 1].ljust(left), spans, columns, unwritten)
            for name, spans in self.lanes.items()
        ]
        first, last = (f"{limit:.4g}" for limit in self._limits)
        axis = " " * left + first + f"{last} {self.unit}".rjust(columns - len(first))
        return [
            *found,
            axis,
            *(f"{mark_of(tone)} {text}" for tone, text in self._explained(unwritten).items()),
        ]

    def _lane_line(self, label: str, spans: Sequence[Span], columns: int, unwritten: list[Span]) -> str:
        first, last = self._limits
        lane = [" "] * columns
        for span in spans:
            begin = min(int((span.start - first) / (last - first) * columns), columns - 1)
            end = max(begin + 1, int((span.end - first) / (last - first) * columns))
            fits = len(span.text) + 2 <= end - begin
            text = (
                f"[{f' {span.text} ' if span.text else '':{mark_of(span.tone)}^{end - begin - 2}}]"
                if fits
                else mark_of(span.tone) * (end - begin)
            )
            lane[begin:end] = text[: end - begin].ljust(end - begin)
            unwritten += [] if fits else [span]
        return (label + "".join(lane)).rstrip()

    # Painted ----------------------------------------------------------------------------------------------------------

    def paint(self, canvas: Canvas, top: float) -> float:
        """Paint it from `top` downwards and return where it ends."""
        left = canvas.label_room(self.lanes)
        unwritten: list[Span] = []
        for name, spans in self.lanes.items():
            if not left:
                top = canvas.lines(0, top, wrapped(name, WIDTH), anchor="left")
            canvas.text(0, top + HEIGHT / 2, name if left else "", anchor="left")
            for span in spans:
                unwritten += [] if self._paint_span(canvas, span, left, top) else [span]
            top += HEIGHT + GAP / 2
        bottom = self._paint_axis(canvas, left, top)
        explained = self._explained(unwritten)
        return canvas.legend(bottom + GAP / 2, explained) if explained else bottom

    def _place(self, time: float, left: float) -> float:
        first, last = self._limits
        return left + (time - first) / (last - first) * (WIDTH - left - 1)

    def _paint_span(self, canvas: Canvas, span: Span, left: float, top: float) -> bool:
        """Paint a span, and tell whether its text fitted."""
        begin, end = self._place(span.start, left), self._place(span.end, left)
        canvas.box(begin, top, max(end - begin, 1.0), HEIGHT, span.tone)
        fits = width_of(span.text) + 4 <= end - begin
        if fits:
            canvas.text((begin + end) / 2, top + HEIGHT / 2, span.text, bold=is_warning(span.tone))
        return fits

    def _paint_axis(self, canvas: Canvas, left: float, top: float) -> float:
        from matplotlib.ticker import MaxNLocator

        canvas.arrow([(left, top), (WIDTH - 1, top)], head=False)
        first, last = self._limits
        ticks = [
            time
            for time in MaxNLocator(5, steps=(1, 2, 2.5, 5, 10)).tick_values(first, last)
            if first <= time <= last
        ]
        unit_room = WIDTH - width_of(self.unit) - GAP
        for time in ticks:
            x, text = self._place(time, left), f"{time:.4g}"
            canvas.arrow([(x, top), (x, top + 3)], head=False)
            x = max(x, left + width_of(text) / 2) if left else max(x, width_of(text) / 2)
            if x + width_of(text) / 2 <= unit_room:
                canvas.text(x, top + 4 + LINE / 2, text)
        canvas.text(WIDTH, top + 4 + LINE / 2, self.unit, anchor="right")
        return top + 4 + LINE
