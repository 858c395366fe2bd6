"""A lab in a notebook: the same claims, shown where their cells stand."""

import importlib
import signal
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Any

from IPython.display import HTML, display

from labs import record
from labs.files import writable
from labs.home import Home
from labs.kit.display.screen import Screen
from labs.kit.runner import lesson as lessons
from labs.kit.runner.context import RunContext
from labs.kit.runner.lab import Lab
from labs.kit.runner.session import blank, describe_machine
from labs.report import page
from labs.report.drawing import drawing

SIGNS = {"held": "✔", "failed": "✘", "not measured here": "–"}


class NotebookScreen(Screen):
    """Shows claims, tables and figures as a notebook can. Prose is not shown: it stands in the notebook already."""

    def __init__(self, folder: Path) -> None:
        super().__init__(quiet=True)
        self.folder = folder

    def step(self, step: record.Step) -> None:
        """Show nothing; the step's title stands above its cell."""

    def claim(self, claim: record.Claim) -> None:
        """Show a sentence and how it was judged."""
        detail = claim.reason if claim.verdict == "not measured here" else claim.shown
        because = f" – {claim.because}" if claim.because else ""
        label = "" if claim.verdict == "held" else f"<b>{claim.verdict}: </b>"
        _show(
            f"{SIGNS[claim.verdict]} {escape(claim.text)} <code>{claim.id}</code><br><small>{label}{escape(detail + because)}</small>"
        )

    def table(self, table: record.Table) -> None:
        """Show rows under a title."""
        head = "".join(f"<th scope='col'>{escape(column)}</th>" for column in table.columns)
        rows = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows
        )
        _show(
            f"<table><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )

    def figure(self, figure: record.Figure) -> None:
        """Show a figure's picture."""
        self._draw(figure)

    def picture(self, picture: record.Picture) -> None:
        """Show a picture."""
        self._draw(picture)

    def listing(self, listing: record.Listing) -> None:
        """Show a program's text."""
        _show(f"<b>{escape(listing.title)}</b><pre>{escape(listing.text)}</pre>")

    def _draw(self, thing: record.Figure | record.Picture) -> None:
        _show(f"<b>{escape(thing.title)}</b>{drawing(thing, self.folder, Path(thing.path).stem)}")


def begin(module: str, *, smoke: bool = False) -> tuple[Any, Lab]:
    """Return a lab's Config and the `lab` that its cells talk to. Its files go to a run folder, as those of any other run."""
    lab_module = importlib.import_module(module)
    lesson = lessons.read(lab_module.run, lab_module.Config)
    folder = writable(Home.from_environment().run_folder(lesson.entry.number, "notebook"))
    cfg = lesson.config.smoke() if smoke else lesson.config()  # type: ignore[attr-defined]
    notes = blank(lesson, cfg, smoke=smoke, launcher="notebook")
    return cfg, Lab(lesson, notes, RunContext(screen=NotebookScreen(folder), folder=folder))


def end(lab: Lab) -> None:
    """Save the run's record and say how many claims held."""
    notes, folder = lab.notes, lab.folder
    assert folder is not None
    describe_machine(notes)
    notes.status = "failed" if notes.count("failed") else "held"
    notes.seconds = sum(step.seconds for step in notes.steps)
    notes.save(folder)
    page.leave(folder, notes)
    print(f"{notes.count('held')} of {len(notes.claims)} claims held; kept in {folder}")


def launch(lab: int, *options: str) -> None:
    """Run a lab in processes of its own, beside the notebook, and show what it prints. Interrupting the cell ends it."""
    command = [sys.executable, "-m", "labs", "run", str(lab), *options]
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
