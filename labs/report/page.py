"""The page of one run."""

import shlex
import sys
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from labs import catalog, record, wording
from labs.catalog import MODULES, Entry
from labs.files import write_whole
from labs.record import Claim, Run, Table
from labs.report import chapter, drawing, prose, source

NAME = "report.html"
TEMPLATES = Path(__file__).parent
SIGNS = {
    "held": "M2 9l4 4L14 3",
    "failed": "M3 3l10 10M13 3L3 13",
    "not measured here": "M2 8h12",
}  # drawn: few fonts have them
NARROW = 44  # characters side by side on a page of 400 pixels
KINDS = {"not measured here": "unmeasured"}  # verdicts as CSS knows them


def write(folder: Path, run: Run | None = None) -> Path:
    """Write a run's page into its folder. Raises ValueError where the record is not of this form, OSError where there is none."""
    path = folder / NAME
    write_whole(path, html(run or record.load(folder), folder))
    return path


def leave(folder: Path, run: Run | None = None) -> None:
    """Write a run's page at its end. The page can be made anew, so that it fails is said and must not cost the run."""
    try:
        write(folder, run)
    except Exception as error:
        print(
            f"the page could not be written: {error}\ntry again with: labs report {folder}", file=sys.stderr
        )


def html(run: Run, folder: Path) -> str:
    """Return a run as a page that needs nothing beside it."""
    return (
        templates()
        .get_template("page.html")
        .render(
            run=run,
            folder=folder,
            claims={claim.id: claim for claim in run.claims},
            exercises={exercise.id: exercise for exercise in run.exercises},
            again=again(run),
            sections=chapter.sections(run),
            next_lab=next_lab(run.lab),
            unwritten=unwritten(run.lab, next_lab(run.lab)),
            machine=list(machine(run)),
            summary=summary(run),
            module=MODULES.get(run.module.split(".")[1] if "." in run.module else "", ""),
        )
    )


@cache
def templates() -> Environment:
    """Return the templates, which escape all that is not marked as HTML of our own."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "inline": prose.inline, "blocks": prose.blocks, "linked": prose.linked, "bare": source.bare, "highlighted": prose.highlighted,
        "drawing": drawing.drawing, "numbers": drawing.numbers, "duration": duration, "moment": moment, "detail": detail, "sizes": sizes,
        "is_wide": is_wide,
    }  # fmt: skip
    found.globals |= {
        "style": (TEMPLATES / "style.css").read_text(encoding="utf-8"),
        "SIGNS": SIGNS,
        "KINDS": KINDS,
    }
    return found


def detail(claim: Claim) -> list[str]:
    """Return what was measured, the bound it is held against, and why it failed, each said once."""
    lines = [wording.detail(claim)]
    bound = wording.bound_in_words(claim.bound, claim.unit)
    said = bound in lines[0] or wording.bound_in_words(claim.bound) in lines[0]
    proved = claim.verdict == "held" and claim.bound.want is not None  # the value is the bound
    if not said and not proved:
        lines.append(f"bound: {bound}")
    if claim.verdict == "failed" and claim.reason not in lines[0]:
        lines.append(claim.reason)
    return [line for line in lines if line]


def is_wide(table: Table) -> bool:
    """Tell whether a table does not fit on a narrow page even where its cells are broken between words."""
    columns = zip(table.columns, *table.rows, strict=True)
    return (
        sum(2 + max((len(word) for cell in column for word in cell.split()), default=0) for column in columns)
        > NARROW
    )


def next_lab(number: int) -> Entry | None:
    """Return the lab that comes next among those that can be run."""
    later = [entry for entry in catalog.all_labs().values() if entry.ready and entry.number > number]
    return min(later, key=lambda entry: entry.number, default=None)


def unwritten(number: int, following: Entry | None) -> str:
    """Say which labs of the course are left out between a lab and the one that follows here, if any are."""
    between = range(number + 1, following.number) if following else range(0)
    planned = [entry.number for entry in catalog.all_labs().values() if entry.number in between]
    if not planned:
        return ""
    first, last = f"{min(planned):02d}", f"{max(planned):02d}"
    return f"Lab {first} is" if first == last else f"Labs {first} to {last} are"


def summary(run: Run) -> str:
    """Say in one sentence how many claims held, failed and were not measured."""
    if not run.claims:
        return "No claim was judged."
    held, failed, unmeasured = (run.count(verdict) for verdict in ("held", "failed", "not measured here"))
    said = [f"{held} of {len(run.claims)} claims held", f"{failed} failed" if failed else "none failed"]
    return (
        ", ".join(said)
        + (f", {unmeasured} {'was' if unmeasured == 1 else 'were'} not measured here" if unmeasured else "")
        + "."
    )


def sizes(run: Run | record.Brief) -> str:
    """Say where a run ran, and on how many processes and nodes."""
    processes = _many(run.nodes * run.procs, "process", "processes")
    nodes = f" on {run.nodes} nodes" if run.nodes > 1 else ""
    return f"{run.launcher}, {processes}{nodes}{', smoke' if run.smoke else ''}"


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def again(run: Run) -> str:
    """Return the command that runs the lab again with the same sizes."""
    words = ["labs", "check" if run.exercises else "run", str(run.lab)]
    words += ["--nodes", str(run.nodes)] if run.nodes > 1 else []
    words += ["--procs", str(run.procs)] if run.procs > 1 else []
    words += ["--launcher", run.launcher] if run.launcher not in ("local", "notebook") else []
    words += ["--smoke"] if run.smoke else []
    flags = [_flag(name.replace("_", "-"), value) for name, value in run.config.items()]
    return shlex.join([*words, *(["--", *flags] if flags else [])])


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name}={value}"


def machine(run: Run) -> Iterator[tuple[str, str]]:
    """Yield what the run was measured on, as name and value."""
    known = run.machine
    if run.ranks:
        yield "hosts", ", ".join(dict.fromkeys(rank.host for rank in run.ranks))
        yield "devices", ", ".join(dict.fromkeys(rank.device for rank in run.ranks))
    for name, value in known.items():
        if name == "memory_bytes":
            yield "memory", f"{value / 2**30:.1f} GiB"
        elif name == "gpus":
            yield "GPUs", ", ".join(value) or "none"
        else:
            yield name.replace("_", " "), str(value)
    if run.versions:
        yield "versions", ", ".join(f"{package} {version}" for package, version in run.versions.items())
    if run.git:
        yield "revision", run.git


def duration(seconds: float) -> str:
    """Write a duration as a person would: 4 ms, 0.3 s, 12 s, 2 min 5 s."""
    if seconds < 0.1:
        return f"{seconds * 1e3:.0f} ms" if seconds >= 1e-3 else "under 1 ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(started: str) -> str:
    """Write a time as a person would: 25 November 2026, 17:46; leave what is none as it is."""
    try:
        when = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{when.day} {when:%B %Y, %H:%M}"
