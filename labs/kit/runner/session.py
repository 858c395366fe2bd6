"""Run a lesson from its opening to its record."""

import dataclasses
import os
import re
import socket
import traceback
from contextlib import nullcontext, suppress
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from labs import home, record
from labs.kit.distributed.world import World
from labs.kit.measure import machine
from labs.kit.runner.context import RunContext, Settled
from labs.kit.runner.lab import Lab
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.limits import OutOfTime

GLOO = re.compile(r"\[\S+/gloo/\S+\] ")


def blank(
    lesson: Lesson, cfg: Any, *, smoke: bool, launcher: str = "local", world: World | None = None
) -> record.Run:
    """Return the record of a run that has not begun."""
    world = world or World()
    here = record.Rank(
        rank=world.rank, node=world.node, host=socket.gethostname(), pid=os.getpid(), device=str(world.device)
    )
    return record.Run(
        lab=lesson.entry.number,
        title=lesson.title,
        module=lesson.import_name,
        launcher=launcher,
        nodes=world.nodes,
        procs=world.size // world.nodes,
        status="running",
        smoke=smoke,
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
        sections=lesson.entry.sections,
        config=dataclasses.asdict(cfg),
        ranks=world.gather("ranks", here),
    )


def perform(lesson: Lesson, cfg: Any, notes: record.Run, context: RunContext) -> None:
    """Call the lab's `run` once and fill in `notes`. Raises what the lab raises."""
    world, begun = context.world, perf_counter()
    try:
        with (
            lesson.replaced(context.replacements),
            world.group() if lesson.entry.distributed else nullcontext(),
            suppress(Settled),
        ):
            lesson.run(cfg, Lab(lesson, notes, context))
    except KeyboardInterrupt:
        notes.status, notes.error = "interrupted", "interrupted"
        raise
    except (Exception, OutOfTime) as error:
        notes.status, notes.error = "broke", _named(error, notes, world)
        world.leave_word(notes.error)
        raise
    else:
        notes.status = "failed" if notes.count("failed") else "held"
    finally:
        notes.seconds = perf_counter() - begun


def rehearse(lesson: Lesson, cfg: Any, context: RunContext, *, smoke: bool) -> record.Run:
    """Run a lab unseen and unrecorded; return its notes, also where it broke."""
    notes = blank(lesson, cfg, smoke=smoke, world=context.world)
    try:
        perform(lesson, cfg, notes, context)
    except (Exception, OutOfTime):  # the notes say what broke
        return notes
    return notes


def describe_machine(notes: record.Run) -> None:
    """Add hardware, versions and revision to the record."""
    notes.machine, notes.versions, notes.git = machine.hardware(), machine.versions(), home.revision()


def _named(error: BaseException, notes: record.Run, world: World) -> str:
    place = world.place
    where = f" in {place}" if place else ""
    line = traceback.extract_tb(error.__traceback__)[-1]
    first = _plain(str(error))
    others = "".join(f"; rank {rank} was in {other}" for rank, other in world.ranks_not_at(place).items())
    return f"lab {notes.lab:02d} broke{where}: {type(error).__name__}: {first} ({Path(line.filename).name}:{line.lineno}){others}"


def _plain(message: str) -> str:
    """Return a message's first line; of one that gloo wrote, the first sentence, without the file that it was compiled from."""
    first = message.strip().partition("\n")[0]
    return GLOO.sub("", first).partition(". ")[0] if GLOO.match(first) else first
