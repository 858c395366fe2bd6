"""One page over all runs of a person: every lab with its last verdicts, what was done of its exercises, and links to all its runs."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from labs import catalog, record
from labs.catalog import MODULES, Entry
from labs.errors import UsageError
from labs.exercises import Progress, Source
from labs.files import writable, write_whole
from labs.home import Home
from labs.report import page


@dataclass
class Visit:
    """One run, and its folder."""

    folder: Path
    run: record.Brief

    @property
    def address(self) -> str:
        """Return where its page is, seen from the index."""
        return quote(f"{self.folder.parent.name}/{self.folder.name}/{page.NAME}")


@dataclass
class Row:
    """One lab: its runs, the newest first, and its exercises."""

    number: int
    title: str
    visits: list[Visit] = field(default_factory=list)
    passed: int = 0
    exercises: int = 0

    @property
    def seconds(self) -> float:
        return sum(visit.run.seconds for visit in self.visits)


def write() -> tuple[Path, list[Path]]:
    """Write the index, and those pages of runs that are missing; return its path, and the folders that hold no readable run."""
    visits, strange = find()
    for visit in visits:
        if not (visit.folder / page.NAME).exists():
            page.leave(visit.folder)
    path = writable(Home.from_environment().runs) / "index.html"
    write_whole(path, html(visits, strange))
    return path, strange


def find() -> tuple[list[Visit], list[Path]]:
    """Return all runs, the newest first, and the folders that hold none that can be read. A job that has not begun is neither."""
    visits, strange = [], []
    for folder in sorted(
        Home.from_environment().runs.glob("lab*/*/"), key=lambda folder: folder.name, reverse=True
    ):
        try:
            visits.append(Visit(folder, record.brief(folder)))
        except (OSError, ValueError):
            strange += (
                []
                if os.path.exists(folder / "job.json") and not os.path.exists(folder / "run.json")
                else [folder]
            )
    return visits, strange


def html(visits: list[Visit], strange: list[Path]) -> str:
    """Return the index as a page that needs nothing beside it but the pages it leads to."""
    rows = _rows(visits)
    return (
        page.templates()
        .get_template("index.html")
        .render(
            modules=[
                (name, [rows[number] for number in numbers]) for name, numbers in _by_module(visits).items()
            ],
            visits=visits,
            seconds=sum(row.seconds for row in rows.values()),
            passed=sum(row.passed for row in rows.values()),
            exercises=sum(row.exercises for row in rows.values()),
            strange=[f"{folder.parent.name}/{folder.name}" for folder in strange],
        )
    )


def _rows(visits: Iterable[Visit]) -> dict[int, Row]:
    """Return every lab that is there or was run, by its number."""
    rows = {
        entry.number: Row(entry.number, entry.title) for entry in catalog.all_labs().values() if entry.ready
    }
    for visit in visits:
        rows.setdefault(visit.run.lab, Row(visit.run.lab, visit.run.title)).visits.append(visit)
    done = _progress()
    for number, entry in catalog.all_labs().items():
        if entry.ready:
            ids = _exercises(entry)
            rows[number].exercises, rows[number].passed = len(ids), len(ids & done)
    return dict(sorted(rows.items()))


def _exercises(entry: Entry) -> set[str]:
    return {exercise.id for exercise in Source(entry).exercises}


def _progress() -> set[str]:
    """Return the exercises that were passed; none where that cannot be read, which `labs check` says."""
    try:
        return Progress().passed_ones
    except UsageError:
        return set()


def _by_module(visits: Iterable[Visit]) -> dict[str, list[int]]:
    """Return the labs' numbers under the names of their modules, in the order of the course."""
    modules = {entry.number: entry.module for entry in catalog.all_labs().values() if entry.ready}
    for visit in visits:
        modules.setdefault(visit.run.lab, ".".join(visit.run.module.split(".")[1:2]))
    names = {
        name: [number for number in sorted(modules) if modules[number] == module]
        for module, name in MODULES.items()
    }
    names["Others"] = [number for number in sorted(modules) if modules[number] not in MODULES]
    return {name: numbers for name, numbers in names.items() if numbers}
