"""The commands for runs that go on by themselves: how they are doing, what they print, and their end."""

from pathlib import Path
from typing import Annotated

import typer

from labs import launch
from labs.commands.options import RunName
from labs.errors import UsageError
from labs.home import Home

app = typer.Typer()


@app.command()
def status(which: RunName = "") -> None:
    """Say how runs are doing, and why those wait that wait: all that have not ended, or one."""
    home = Home.from_environment()
    folders = [home.find_run(which)] if which else home.found_runs("lab*/*/job.json")
    shown = 0
    for folder in (path.parent if path.is_file() else path for path in folders):
        state = _launcher_of(folder).state(folder)
        if which or not state.ended:
            shown += 1
            print(
                f"{folder.parent.name}/{folder.name}  {' '.join(filter(None, (state.id, state.word)))}{state.detail and ': '}{state.detail}"
            )
    if not shown:
        print("no job of yours waits or runs")


@app.command()
def logs(
    which: RunName, rank: Annotated[str, typer.Argument(metavar="[RANK]", help="one rank's own output")] = ""
) -> int:
    """Show what a run printed, and go on with it while it lasts; or what one rank printed."""
    folder = Home.from_environment().find_run(which)
    if not rank:
        return _launcher_of(folder).follow(folder)
    path = folder / ("log.txt" if rank == "0" else f"rank{rank}.log")
    if not path.exists():
        ranks = ["0", *sorted((log.stem.removeprefix("rank") for log in folder.glob("rank*.log")), key=int)]
        raise UsageError(f"{folder.name} keeps no output of rank {rank}; choose from: {', '.join(ranks)}")
    print(path.read_text(encoding="utf-8", errors="replace"), end="")
    return 0


@app.command()
def cancel(which: RunName) -> None:
    """End a run that goes on by itself, on a cluster."""
    folder = Home.from_environment().find_run(which)
    launcher = _launcher_of(folder)
    if launcher.state(folder).ended:
        raise UsageError(f"{folder.parent.name}/{folder.name} has ended already; there is nothing to cancel")
    launcher.cancel(folder)
    print(f"{folder.parent.name}/{folder.name} is cancelled")


def _launcher_of(folder: Path) -> launch.Launcher:
    return launch.LAUNCHERS[launch.noted_job(folder).get("launcher", "local")]
