"""A lab in a notebook: the same claims, shown where their cells stand."""

import importlib
import signal
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Any

from IPython.display import HTML, display

from labs import record, wording
from labs.files import made_anew
from labs.home import Home
from labs.kit.display.screen import Screen
from labs.kit.runner import lesson as lessons
from labs.kit.runner.context import RunContext
from labs.kit.runner.lab import Lab
from labs.kit.runner.session import blank, describe_machine
from labs.report import page
from labs.report.drawing import drawing
from labs.report.prose import inline

SIGNS = {"held": "✔", "failed": "✘", "not measured here": "–"}


class NotebookScreen(Screen):
    """Shows what was measured as a notebook can. Headings, prose and questions are not shown: they stand in the notebook already."""

    def __init__(self, folder: Path) -> None:
        super().__init__(quiet=True)
        self.folder = folder

    def part(self, part: record.Part) -> None:
        """Show nothing; the part's heading stands above its cells."""

    def step(self, step: record.Step) -> None:
        """Show nothing; the step's title stands above its cell."""

    def prediction(self, prediction: record.Prediction) -> None:
        """Show nothing; the question stands above this cell."""

    def answer(self, prediction: record.Prediction) -> None:
        """Say which guess was right, once its claim has proved it."""
        why = next(guess.why for guess in prediction.guesses if guess.text == prediction.answer)
        _show(f"◆ the guess: {inline(prediction.answer)}. {inline(why)}")

    def paragraph(self, paragraph: record.Paragraph) -> None:
        """Show what follows from what was measured."""
        _show(f"<p>{inline(paragraph.text)}</p>")

    def claim(self, claim: record.Claim) -> None:
        """Show a sentence and how it was judged."""
        because = f" – {inline(claim.because)}" if claim.because else ""
        label = "" if claim.verdict == "held" else f"<b>{claim.verdict}: </b>"
        sentence = f"{SIGNS[claim.verdict]} {inline(claim.text)} <code>{claim.id}</code>"
        _show(f"{sentence}<br><small>{label}{escape(wording.detail(claim))}{because}</small>")

    def table(self, table: record.Table) -> None:
        """Show rows under a title."""
        head = "".join(f"<th scope='col'>{escape(column)}</th>" for column in table.columns)
        cells = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in table.rows)
        rows = "".join(f"<tr>{row}</tr>" for row in cells)
        caption = f"<caption>{escape(table.title)}</caption>"
        _show(f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")

    def figure(self, figure: record.Figure) -> None:
        """Show a figure's picture."""
        self._draw(figure)

    def picture(self, picture: record.Picture) -> None:
        """Show a picture."""
        self._draw(picture)

    def diagram(self, diagram: record.Diagram) -> None:
        """Show a diagram."""
        self._draw(diagram)

    def listing(self, listing: record.Listing) -> None:
        """Show a program's text."""
        _show(f"<b>{escape(listing.title)}</b><pre>{escape(listing.text)}</pre>")

    def _draw(self, thing: record.Figure | record.Picture | record.Diagram) -> None:
        _show(f"<b>{escape(thing.title)}</b>{drawing(thing, self.folder, Path(thing.path).stem)}")


def begin(module: str, *, smoke: bool = False) -> tuple[Any, Lab]:
    """Return a lab's Config and the `lab` that its cells talk to. Its files go to a run folder, as those of any other run."""
    lab_module = importlib.import_module(module)
    lesson = lessons.read(lab_module.run, lab_module.Config)
    folder = made_anew(Home.from_environment().run_folder(lesson.entry.number, "notebook"))
    cfg = lesson.config.smoke() if smoke else lesson.config()  # type: ignore[attr-defined]
    notes = blank(lesson, cfg, smoke=smoke, launcher="notebook")
    return cfg, Lab(lesson, notes, RunContext(screen=NotebookScreen(folder), folder=folder))


def enter(lab: Lab, name: str) -> bool:
    """Begin a part of the lab; return whether what it needs is there. Where not, its claims are noted with the reason."""
    return lab.enter(lab.lesson.parts[name])


def end(lab: Lab) -> None:
    """Save the run's record and say how many claims held."""
    notes, folder = lab.notes, lab.folder
    assert folder is not None
    describe_machine(notes)
    notes.status = "failed" if notes.count("failed") else "held"
    for part in notes.parts:
        part.seconds = sum(step.seconds for step in notes.steps if step.part == part.number)
    notes.seconds = sum(step.seconds for step in notes.steps)
    notes.save(folder)
    page.leave(folder, notes)
    print(f"{notes.count('held')} of {len(notes.claims)} claims held; kept in {folder}")


def launch(lab: int, *options: str) -> None:
    """Run a lab in processes of its own, beside the notebook, and show what it prints. Interrupting the cell ends it."""
    command = [sys.executable, "-P", "-m", "labs", "run", str(lab), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                print(line, end="")
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            raise


def _show(html: str) -> None:
    display(HTML(html))
