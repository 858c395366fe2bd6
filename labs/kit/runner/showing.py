"""What a part shows beside its claims: guesses, words, tables, plots, pictures and diagrams."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from labs import record
from labs.kit.draw import diagrams, figures
from labs.kit.draw.diagrams import Drawing

if TYPE_CHECKING:
    from pathlib import Path

    from labs.kit.display.screen import Screen
    from labs.kit.distributed.world import World
    from labs.kit.runner.context import RunContext


class Showing:
    """The part of `Lab` that shows. Rank 0 alone draws."""

    world: "World"
    folder: "Path | None"
    notes: record.Run
    _context: "RunContext"
    _screen: "Screen"
    _part: record.Part | None

    @property
    def _content(self) -> list[record.Content]:
        """Return what the part, or the opening, has shown so far."""
        return self._part.content if self._part else self.notes.opening

    def predict(self, id_: str, question: str, guesses: dict[str, str], answer: str) -> None:
        """Ask for a guess before the number comes. The claim of the same id proves the answer.

        `guesses` has each answer that is offered, and what is to be said of it; `answer` is the right one. Nobody is asked, and
        nothing waits, unless a person sits at the terminal and wanted it.
        """
        if answer not in guesses:
            raise ValueError(f"the answer {answer!r} to {id_} is not among the guesses: {', '.join(guesses)}")
        offered = [record.Guess(text=text, why=why) for text, why in guesses.items()]
        prediction = record.Prediction(id=id_, question=question, guesses=offered, answer=answer)
        self.notes.predictions.append(prediction)
        self._content.append(record.PredictionHere(id=id_))
        self._screen.prediction(prediction)
        prediction.guessed = self._context.ask(prediction)

    def say(self, text: str) -> None:
        """Say something once it was measured: what follows from it, what to do with it. `code` and *stress* as in docstrings."""
        paragraph = record.Paragraph(text=" ".join(text.split()))
        self._content.append(paragraph)
        self._screen.paragraph(paragraph)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show rows; floats get three digits."""
        cells = [[_cell(cell) for cell in row] for row in rows]
        table = record.Table(title=title, columns=list(columns), rows=cells)
        self._content.append(table)
        self._screen.table(table)

    def plot(
        self,
        title: str,
        x: Sequence[float],
        series: dict[str, list[float]],
        *,
        x_label: str,
        y_label: str,
        log_x: bool = False,
        log_y: bool = False,
    ) -> None:
        """Draw one or more series over x: bars on the screen, an SVG file in the run folder.

        A place of x at which a series has no finite number is left out, and that is said.
        """
        whole = len(x)
        x, series = figures.finite(x, series)
        if len(x) < whole:
            self.say(
                f"{title}: {whole - len(x)} of {whole} places are left out, where a value is no finite number."
            )
        if not x:
            return
        path = figures.file_name(title)
        figure = record.Figure(
            title=title, path=path, x_label=x_label, y_label=y_label, x=list(x), series=series
        )
        if self.folder is not None and self.world.first:
            figures.draw(figure, self.folder, log_x=log_x, log_y=log_y)
        self._content.append(figure)
        self._screen.figure(figure)

    def picture(
        self, title: str, images: Sequence[Sequence[Tensor]], *, columns: Sequence[str], rows: Sequence[str]
    ) -> None:
        """Show images side by side: each (H, W), grey, or (3, H, W), in colour, from 0 to 1; one SVG file in the run folder."""
        picture = record.Picture(
            title=title, path=figures.file_name(title), columns=list(columns), rows=list(rows)
        )
        if self.folder is not None and self.world.first:
            figures.draw_images(picture, images, self.folder)
        self._content.append(picture)
        self._screen.picture(picture)

    def diagram(self, title: str, *drawings: Drawing) -> None:
        """Draw a mechanism from what was measured: rows of cells, timelines, stacked bars, graphs. See draw/diagrams.py."""
        path = figures.file_name(title)
        described = " ".join(drawing.describe() for drawing in drawings)
        lines = [line for drawing in drawings for line in drawing.lines()]
        diagram = record.Diagram(title=title, path=path, description=described, text=lines)
        if self.folder is not None and self.world.first:
            diagrams.draw(title, drawings, self.folder / path)
        self._content.append(diagram)
        self._screen.diagram(diagram)

    def listing(self, title: str, text: str, *, language: str = "text") -> None:
        """Show text that a program wrote, such as generated code; `language` as Pygments calls it."""
        listing = record.Listing(title=title, text=text.rstrip(), language=language)
        self._content.append(listing)
        self._screen.listing(listing)


def _cell(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)
