"""The lesson on the terminal: rich text where there is one, plain lines where the output is piped."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text
from rich.theme import Theme

from labs import record, wording
from labs.kit.display.prose import bars, inline, paragraphs, plain

PLAIN_WIDTH = 120
READING_WIDTH = 100
PATIENCE_S = 2.0  # anything longer shows that it is alive
SIGNS = {"held": "[green]✔[/]", "failed": "[bold red]✘[/]", "not measured here": "[yellow]–[/]"}
THEME = Theme({"code": "cyan", "stress": "italic", "strong": "bold"})


class Screen:
    """Shows a run while it happens, and copies it as plain text to `log`.

    `quiet` shows nothing on the terminal.
    """

    def __init__(self, *, quiet: bool = False, log: TextIO | None = None) -> None:
        width = None if sys.stdout.isatty() else PLAIN_WIDTH
        self.terminal = Console(quiet=quiet, highlight=False, emoji=False, width=width, theme=THEME)
        self.copies = (
            [Console(file=log, highlight=False, emoji=False, width=PLAIN_WIDTH, theme=THEME)] if log else []
        )
        self.shown_on = ([] if quiet else [self.terminal]) + self.copies
        self.after_gap = False  # whether the last line is empty

    def show(self, markup: str, *, indent: int = 0, wrap: bool = True) -> None:
        """Show text in rich's markup, on the terminal and in the copy, indented and wrapped to a width that reads well."""
        for console in self.shown_on:
            text = console.render_str(markup if console.is_terminal else plain(markup), highlight=False)
            lines = text.wrap(console, min(console.width, READING_WIDTH) - indent) if wrap else [text]
            for line in lines:
                line.rstrip()
                console.print(Text(" " * indent).append_text(line) if line else "", soft_wrap=True)
        self.after_gap = not markup

    def gap(self) -> None:
        """Leave one line empty, unless one is."""
        if not self.after_gap:
            self.show("")

    def opening(self, number: int, title: str, question: str, where: str) -> None:
        """Show which lab this is, what it asks, and on which device it runs."""
        self.show(f"\n[bold]Lab {number:02d} · {escape(title)}[/]")
        self.show(f"{inline(' '.join(question.split()))}")
        self.show(f"[dim]{escape(where)}[/]")

    def part(self, part: record.Part) -> None:
        """Show a part's heading and its argument, before it runs."""
        self.gap()
        self.show(f"[bold cyan]{part.number}[/] [bold]{inline(part.title)}[/]")
        above: int | None = None
        for paragraph, indent in paragraphs(part.prose):
            if above is not None and not (above and indent):  # the lines of a formula stand together
                self.show("")
            self.show(paragraph, indent=2 + indent)
            above = indent
        if above is not None:
            self.show("")

    def step(self, step: record.Step) -> None:
        """Say what is done, before it runs."""
        badge = f"  [magenta]exercise {step.exercise}[/]" if step.exercise else ""
        badge += "  [magenta](yours)[/]" if step.by == "learner" else ""
        self.show(f"[dim]▸ {inline(step.title)}  {step.name}[/]{badge}", indent=2)

    def prediction(self, prediction: record.Prediction) -> None:
        """Show a question with the answers that it offers."""
        self.gap()
        self.show(f"[bold]Your guess.[/] {inline(prediction.question)}", indent=2)
        for place, guess in enumerate(prediction.guesses, 1):
            self.show(f"{place}  {inline(guess.text)}", indent=4)
        self.show("")

    def answer(self, prediction: record.Prediction) -> None:
        """Say which guess was right, once its claim has proved it."""
        why = next(guess.why for guess in prediction.guesses if guess.text == prediction.answer)
        self.show(f"[magenta]◆ the guess:[/] {inline(prediction.answer)}. {inline(why)}", indent=4)

    def paragraph(self, paragraph: record.Paragraph) -> None:
        """Show what follows from what was measured."""
        self.gap()
        self.show(inline(paragraph.text), indent=2)

    def claim(self, claim: record.Claim) -> None:
        """Show a sentence and how it was judged."""
        tone = "red" if claim.verdict == "failed" else "dim"
        label = f"{claim.verdict}: " if claim.verdict != "held" else ""
        because = f" – {claim.because}" if claim.because else ""
        self.show(f"{SIGNS[claim.verdict]} {inline(claim.text)}  [dim]{claim.id}[/]", indent=2)
        self.show(f"[{tone}]{label}{escape(wording.detail(claim))}{inline(because)}[/]", indent=4)

    def table(self, table: record.Table) -> None:
        """Show rows under a title."""
        self.show(f"[bold]{escape(table.title)}[/]", indent=4)
        grid = Grid(box=None, pad_edge=False, padding=(0, 3, 0, 0))
        for index, column in enumerate(table.columns):
            grid.add_column(
                escape(column), justify="right" if table.numeric(index) else "left", header_style="dim"
            )
        for row in table.rows:
            grid.add_row(*map(escape, row))
        for console in self.shown_on:
            console.print(Padding(grid, (0, 0, 0, 4), expand=False))
        self.show("")

    def figure(self, figure: record.Figure) -> None:
        """Show a figure as bars, and where its picture lies."""
        self.show(f"[bold]{escape(figure.title)}[/]  [dim]{figure.path}[/]", indent=4)
        for line in bars(figure.x, figure.series, figure.x_label, figure.y_label):
            self.show(escape(line), indent=4, wrap=False)
        self.show("")

    def picture(self, picture: record.Picture) -> None:
        """Say what a picture shows, and where it lies."""
        self.show(f"[bold]{escape(picture.title)}[/]  [dim]{picture.path}[/]", indent=4)
        self.show(
            f"[dim]{escape(', '.join(picture.rows))}: {escape(', '.join(picture.columns))}[/]", indent=4
        )
        self.show("")

    def diagram(self, diagram: record.Diagram) -> None:
        """Show a diagram in characters, and where its picture lies."""
        self.show(f"[bold]{escape(diagram.title)}[/]  [dim]{diagram.path}[/]", indent=4)
        for line in diagram.text:
            self.show(escape(line), indent=4, wrap=False)
        self.show("")

    def listing(self, listing: record.Listing) -> None:
        """Show a program's text, line by line, as it stands."""
        self.show(f"[bold]{escape(listing.title)}[/]", indent=4)
        for line in listing.text.splitlines():
            self.show(f"[dim]{escape(line)}[/]", indent=4, wrap=False)
        self.show("")

    @contextmanager
    def waiting(self, title: str) -> Iterator[None]:
        """Show, on a terminal, what is running and for how long, once it takes longer than two seconds."""
        if not self.terminal.is_terminal or self.terminal.quiet:
            yield
            return
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(title, done), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def _watch(self, title: str, done: threading.Event) -> None:
        begun = perf_counter()
        if done.wait(PATIENCE_S):
            return
        with self.terminal.status("", refresh_per_second=2) as status:
            while not done.wait(0.5):
                status.update(f"[dim]{inline(title)} … {perf_counter() - begun:.0f} s[/]")
