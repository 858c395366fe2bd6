"""Show what became of a lab's systematic edits: what noticed them, and what nothing noticed."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from torch.distributed import DistNetworkError

from labs.kit.distributed.world import World, leave
from labs.kit.runner.bench import DoesNotHold
from labs.kit.runner.edits import Edit
from labs.kit.runner.matrix import JSON
from labs.kit.runner.mutants import load
from labs.kit.runner.systematic import Survey, counted, survey

CRASHED = 128 + signal.SIGABRT  # the exit status of who lost a rank, as of that rank
STREAMS = (1, 2)


def show_survey(import_name: str, world: World | None = None, kept: Path | None = None) -> int:
    """Edit the exercises of a lab and show what became of it; return 0 where enough was noticed.

    What an earlier process has `kept` in a file is not tried again.
    """
    lesson, world = load(import_name), world or World()
    console = Console(
        highlight=False, emoji=False, quiet=not world.first, width=None if sys.stdout.isatty() else 120
    )
    try:
        with silence() as terminal, Console(file=terminal, quiet=console.quiet).status("") as status:
            lab = f"lab {lesson.entry.number:02d}"
            result = survey(lesson, world, lambda text: status.update(f"[dim]{lab}: {escape(text)}[/]"), kept)
    except DoesNotHold as error:
        console.print(escape(str(error)), style="bold red", soft_wrap=True)
        return 1
    _show(result, console)
    if world.first and (target := os.environ.get(JSON)):
        Path(target).write_text(json.dumps(_as_json(result)), encoding="utf-8")
    return 0 if result.fine else 1


@contextmanager
def silence() -> Iterator[TextIO]:
    """Send what this process and its children say nowhere, and give a way around that."""
    sys.stdout.flush()
    kept = [os.dup(stream) for stream in STREAMS]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in STREAMS:
        os.dup2(nowhere, stream)
    os.close(nowhere)
    try:
        with os.fdopen(os.dup(kept[1]), "w", encoding="utf-8") as around:
            yield around
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, copy in zip(STREAMS, kept, strict=True):
            os.dup2(copy, stream)
            os.close(copy)


def _show(result: Survey, console: Console) -> None:
    def line(text: str) -> None:
        console.print(text, soft_wrap=True)

    def place(edit: Edit) -> str:
        return f"{result.file}:{edit.line} {edit.step}"

    line(f"\n[bold]Lab {result.lab:02d}[/]: {len(result.judged)} edits of its exercises")
    for noticed, count in counted(result).items():
        line(f"  {count:>4}  {noticed}")
    for edit, why in result.equivalent:
        line(f"  [green]=[/]  {place(edit)}: {escape(f'{edit.old} → {edit.new}')} [dim]{escape(why)}[/]")
    for edit in result.survivors:
        line(f"  [bold red]✘[/]  {place(edit)}: {escape(f'{edit.old} → {edit.new}')}")
        line(f"     [dim]{escape(edit.listed)},[/]")
    for step, reason in result.elsewhere.items():
        line(f"  [yellow]–[/]  {step} is not judged here: {escape(reason)}")
    for fault in result.faults:
        line(f"  [bold red]✘[/]  {escape(fault)}")
    killed = len(result.killed)
    matter = killed + len(result.survivors)
    percent = 100 * killed // max(matter, 1)
    line(f"[bold]killed {killed} of {matter} that are not equivalent ({percent} %)[/]")


def _as_json(result: Survey) -> dict[str, Any]:
    """Return the survey as plain values."""
    return {
        "lab": result.lab,
        "share": result.share,
        "fine": result.fine,
        "edits": [
            {
                "step": j.edit.step,
                "line": j.edit.line,
                "old": j.edit.old,
                "new": j.edit.new,
                "noticed": j.noticed,
            }
            for j in result.judged
        ],
        "equivalent": [
            {"step": edit.step, "old": edit.old, "new": edit.new, "why": why}
            for edit, why in result.equivalent
        ],
        "survivors": [edit.place for edit in result.survivors],
        "elsewhere": result.elsewhere,
        "faults": result.faults,
    }


def _main(import_name: str, kept: str) -> int:
    """Show the survey as one of several ranks, or alone. Who loses the others has nothing to add to what is said of them."""
    try:
        world = World.from_environment()
        status = show_survey(import_name, world, Path(kept))
        world.part_ways()
        return status
    except DistNetworkError:
        return CRASHED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    leave(_main(*sys.argv[1:]))
