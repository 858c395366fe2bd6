"""Show which mutant kills which claim."""

import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labs.kit.mutants import DoesNotHold, Matrix, load, matrix

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def show_matrices(import_names: list[str]) -> int:
    """Judge the mutants of these labs and show a matrix each; return 0 where every claim can fail and every mutant counts."""
    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 120)
    scores = []
    for name in import_names:
        lesson = load(name)
        try:
            with console.status("") as status:
                result = matrix(lesson, lambda mutant: status.update(f"[dim]lab {lesson.entry.number:02d}: {mutant}[/]"))  # noqa: B023 - called at once
        except DoesNotHold as error:
            print(error, file=sys.stderr)
            scores.append(False)
            continue
        _show(result, console)
        scores.append(not result.survivors and not result.faults)
    return 0 if all(scores) else 1


def _show(result: Matrix, console: Console) -> None:
    letters = dict(zip(result.trials, LETTERS, strict=False))
    console.print(f"\n[bold]Lab {result.lab:02d}[/]: claims × mutants, ✘ where the claim noticed")
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("claim")
    for letter in letters.values():
        grid.add_column(letter, justify="center")
    for claim in result.claims:
        tone = "bold red" if claim in result.survivors else ""
        grid.add_row(claim, *("✘" if claim in trial.killed else "·" for trial in result.trials), style=tone)
    console.print(grid)
    for trial, letter in letters.items():
        fault = f" [bold red]{escape(trial.fault)}[/]" if trial.fault else "" if trial.killed else " [bold red]no claim noticed it[/]"
        console.print(f"  {letter}  {escape(trial.name)} [dim]{escape(trial.step)}[/]{fault}", soft_wrap=True)
    for claim, reason in result.unmeasured.items():
        console.print(f"  [yellow]–[/]  {claim} is not judged here: {escape(reason)}", soft_wrap=True)
    killed = len(result.claims) - len(result.survivors)
    console.print(
        f"[bold]{killed} of {len(result.claims)} claims can fail[/]"
        + (f"; never seen to fail: {', '.join(result.survivors)}" if result.survivors else "")
    )
