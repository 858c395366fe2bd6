"""The commands for runs that go on by themselves: how they are doing, what they print, and their end."""

from pathlib import Path
from typing import Annotated

import typer

from labs import launch
from labs.commands.options import RunName
from labs.errors import UsageError
from labs.home import PREFLIGHT, Home

app = typer.Typer()


@app.command()
def status(which: RunName = "") -> None:
    """Say how runs are doing, and why those wait that wait: all that have not ended, or one."""
    home = Home.from_environment()
    folders = [home.find_run(which)] if which else [*home.all_runs(), *home.preflights()]
    states = launch.states(folders)
    shown = [folder for folder in folders if which or not states[folder].ended]
    for folder in shown:
        print(_line(folder, states[folder]))
    if not shown:
        print("no run of yours waits or goes on")


def _line(folder: Path, state: launch.State) -> str:
    said = " ".join(filter(None, (state.id, state.word)))
    return f"{_short(folder)}  {said}{state.detail and ': '}{state.detail}"


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
def cancel(
    which: RunName = "",
    all_: Annotated[bool, typer.Option("--all", help="all runs of yours that have not ended")] = False,
) -> None:
    """End a run that goes on by itself, on a cluster: by its lab, its job's number or its folder; or all of yours."""
    home = Home.from_environment()
    if bool(which) == all_:
        raise UsageError(
            "say which run: a lab's number, a job's number, a run's folder, or --all for all of yours"
        )
    going_on = _going_on(home) if all_ else [home.find_run(which)]
    if which and launch.state(going_on[0]).ended:
        raise UsageError(f"{_short(going_on[0])} has ended already; there is nothing to cancel")
    for folder in going_on:
        _launcher_of(folder).cancel(folder)
        state = launch.state(folder)
        said = "is cancelled" if state.ended else f"was told to end, and is {state.word} still: labs status"
        print(f"{_short(folder)} {said}")
    if not going_on:
        print("no job of yours waits or runs")


def _going_on(home: Home) -> list[Path]:
    """Return the runs that have a job which has not ended."""
    folders = [*(path.parent for path in home.found_runs("lab*/*/job.json")), *home.preflights()]
    return [folder for folder, state in launch.states(folders).items() if state.id and not state.ended]


def _short(folder: Path) -> str:
    hidden = folder.name.startswith(PREFLIGHT)
    return folder.name.removeprefix(".") if hidden else f"{folder.parent.name}/{folder.name}"


def _launcher_of(folder: Path) -> launch.Launcher:
    name = launch.noted_job(folder).get("launcher", "local")
    return launch.LAUNCHERS[launch.one_of("LAUNCHER", str(name), list(launch.LAUNCHERS))]
