"""Run a lesson from its opening to its record."""

import dataclasses
import os
import socket
import traceback
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from labs import record
from labs.kit import machine
from labs.kit.lab import Lab, Timer
from labs.kit.lesson import Function, Lesson
from labs.kit.recall import Recall
from labs.kit.screen import Screen


def blank(lesson: Lesson, cfg: Any, *, smoke: bool, launcher: str = "local") -> record.Run:
    """Return the record of a run that has not begun."""
    return record.Run(
        lab=lesson.entry.number,
        title=lesson.title,
        module=lesson.import_name,
        launcher=launcher,
        nodes=1,
        procs=1,
        status="running",
        smoke=smoke,
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
        config=dataclasses.asdict(cfg),
        ranks=[record.Rank(rank=0, node=0, host=socket.gethostname(), pid=os.getpid(), device="cpu")],
    )


def perform(
    lesson: Lesson,
    cfg: Any,
    notes: record.Run,
    screen: Screen,
    *,
    folder: Path | None = None,
    timer: Timer | None = None,
    replacements: dict[str, Function] | None = None,
    learner: frozenset[str] = frozenset(),
    recall: Recall | None = None,
) -> None:
    """Call the lab's `run` once, with replacements in the place of steps, and fill in `notes`. Raises what the lab raises."""
    lab = Lab(lesson, notes, screen, folder, timer, recall, learner)
    begun = perf_counter()
    try:
        with lesson.replaced(replacements) if replacements else nullcontext():
            lesson.run(cfg, lab)
    except KeyboardInterrupt:
        notes.status, notes.error = "interrupted", "interrupted from the keyboard"
        raise
    except Exception as error:
        notes.status, notes.error = "broke", _named(error, notes)
        raise
    else:
        notes.status = "failed" if notes.count("failed") else "held"
    finally:
        notes.seconds = perf_counter() - begun


def rehearse(
    lesson: Lesson, cfg: Any, replacements: dict[str, Function], *, smoke: bool, timer: Timer | None = None, recall: Recall | None = None
) -> record.Run:
    """Run a lab unseen and unrecorded; return its notes, also where it broke."""
    notes = blank(lesson, cfg, smoke=smoke)
    try:
        perform(lesson, cfg, notes, Screen(quiet=True), replacements=replacements, timer=timer, recall=recall)
    except Exception:  # the notes say what broke
        return notes
    return notes


def describe_machine(notes: record.Run) -> None:
    """Add hardware, versions and revision to the record."""
    notes.machine, notes.versions, notes.git = machine.hardware(), machine.versions(), machine.revision()


def _named(error: Exception, notes: record.Run) -> str:
    where = f" in step {notes.steps[-1].name}" if notes.steps else ""
    line = traceback.extract_tb(error.__traceback__)[-1]
    first = str(error).strip().partition("\n")[0]
    return f"lab {notes.lab:02d} broke{where}: {type(error).__name__}: {first} ({Path(line.filename).name}:{line.lineno})"
