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
from labs.kit.display.advice import without_advice
from labs.kit.distributed import devices
from labs.kit.distributed.seal import ForeignValue
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
    device = world.device if lesson.on_device else devices.CPU
    here = record.Rank(
        rank=world.rank, node=world.node, host=socket.gethostname(), pid=os.getpid(), device=str(device)
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


def where(lesson: Lesson, world: World) -> str:
    """Say on which device a run computes. All ranks must ask for it."""
    words = devices.in_words(world.gpus, world.nodes, used=bool(lesson.on_device))
    others = len(lesson.parts) - len(lesson.on_device)
    if world.device == devices.CPU or not lesson.on_device or not others:
        return words
    return f"{words}, {others} of {len(lesson.parts)} parts on the CPU"


def perform(lesson: Lesson, cfg: Any, notes: record.Run, context: RunContext) -> None:
    """Call the lab's `run` once and fill in `notes`. Raises what the lab raises."""
    world, begun = context.world, perf_counter()
    try:
        with (
            lesson.replaced(context.replacements),
            world.group() if lesson.entry.distributed else nullcontext(),
            without_advice(),
            suppress(Settled),
        ):
            lesson.run(cfg, Lab(lesson, notes, context))
    except KeyboardInterrupt:
        notes.status, notes.error = "interrupted", "interrupted"
        raise
    except (Exception, OutOfTime, ForeignValue) as error:
        if interrupt := interrupt_behind(error):
            notes.status, notes.error = "interrupted", "interrupted"
            raise interrupt from None
        notes.status = "broke"  # first of all, since a SIGTERM that comes now is to find it
        notes.error = _named(error, notes, world)
        world.leave_word(notes.error)
        raise
    else:
        notes.status = "failed" if notes.count("failed") else "held"
    finally:
        notes.seconds = perf_counter() - begun


def interrupt_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the Ctrl-C behind an error, if there is one: a module in C++ that is being imported makes an ImportError of it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


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
    at = f"{Path(line.filename).name}:{line.lineno}"
    return f"lab {notes.lab:02d} broke{where}: {type(error).__name__}: {first} ({at}){_elsewhere(world)}"


def _elsewhere(world: World) -> str:
    """Say which ranks are at another place, or that somebody else has spoken for them."""
    try:
        others = world.ranks_not_at(world.place)
    except ForeignValue as error:
        return f"; {error}"
    return "".join(f"; rank {rank} was in {other}" for rank, other in others.items())


def _plain(message: str) -> str:
    """Return a message's first line; of one that gloo wrote, the first sentence, without the file that it was compiled from."""
    first = message.strip().partition("\n")[0]
    return GLOO.sub("", first).partition(". ")[0] if GLOO.match(first) else first
