"""Show which mutant kills which claim."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labs.kit.distributed.world import World, leave
from labs.kit.runner.bench import DoesNotHold
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.mutants import Matrix, Trial, load, matrix

BRIEF = "--brief"
JSON = "LABS_MATRIX"  # names a file that takes the matrix as JSON too
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def show_matrices(import_names: list[str], world: World | None = None, *, brief: bool = False) -> int:
    """Judge the mutants of these labs and show a matrix each; return 0 where every claim can fail and every mutant counts."""
    world = world or World()
    console = Console(
        highlight=False, emoji=False, quiet=not world.first, width=None if sys.stdout.isatty() else 120
    )
    shown = [_shown(load(name), world, console, brief) for name in import_names]
    world.part_ways()
    return 0 if all(shown) else 1


def _shown(lesson: Lesson, world: World, console: Console, brief: bool) -> bool:
    """Show one lab's matrix; return whether all is as it should be."""
    with console.status("") as status:
        try:
            result = matrix(
                lesson,
                world,
                lambda mutant: status.update(f"[dim]lab {lesson.entry.number:02d}: {mutant}[/]"),
                brief=brief,
            )
        except DoesNotHold as error:
            console.print(escape(str(error)), style="bold red", soft_wrap=True)
            return False
    _show(result, console)
    if world.first and (target := os.environ.get(JSON)):
        Path(target).write_text(json.dumps(asdict(result), default=sorted), encoding="utf-8")
    return not result.survivors and not result.faults


def _show(result: Matrix, console: Console) -> None:
    letters = dict(zip(result.trials, LETTERS, strict=False))
    console.print(f"\n[bold]Lab {result.lab:02d}[/]: claims × mutants, ✘ where the claim noticed")
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("claim")
    for letter in letters.values():
        grid.add_column(letter, justify="center")
    for claim in result.claims:
        tone = "bold red" if claim in result.survivors else ""
        grid.add_row(claim, *(_sign(claim, trial) for trial in result.trials), style=tone)
    console.print(grid)
    for trial, letter in letters.items():
        fault = (
            f" [bold red]{escape(trial.fault)}[/]"
            if trial.fault
            else ""
            if trial.killed
            else " [bold red]no claim noticed it[/]"
        )
        console.print(f"  {letter}  {escape(trial.name)} [dim]{escape(trial.step)}[/]{fault}", soft_wrap=True)
    for claim, reason in result.unmeasured.items():
        console.print(f"  [yellow]–[/]  {claim} is not judged here: {escape(reason)}", soft_wrap=True)
    killed = len(result.claims) - len(result.survivors)
    console.print(
        f"[bold]{killed} of {len(result.claims)} claims can fail[/]"
        + (f"; never seen to fail: {', '.join(result.survivors)}" if result.survivors else "")
    )


def _sign(claim: str, trial: Trial) -> str:
    return "✘" if claim in trial.killed else " " if claim in trial.passed_over else "·"


if __name__ == "__main__":
    names = [word for word in sys.argv[1:] if word != BRIEF]
    leave(show_matrices(names, World.from_environment(), brief=BRIEF in sys.argv))
