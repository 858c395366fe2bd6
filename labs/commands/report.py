"""The commands that show what runs left: as pages, and in TensorBoard."""

import getpass
import os
import platform
import socket
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from labs import launch
from labs.errors import UsageError
from labs.home import Home

app = typer.Typer()
NEWEST = "last"


@app.command()
def report(
    which: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help=f"a lab's number, a run's folder, or {NEWEST}; an index of all runs where none is given",
        ),
    ] = "",
    open_: Annotated[bool, typer.Option("--open", help="open it in the browser")] = False,
) -> None:
    """Make the page of one run anew, or the page that leads to all of them."""
    path = _page(Home.from_environment(), which) if which else _index(Home.from_environment())
    print(path)
    if open_:
        show(path)


@app.command()
def tensorboard(
    port: Annotated[str, typer.Option(help="where it listens; PORT= with make")] = "6006",
    host: Annotated[
        str, typer.Option(help="the address it listens at; 0.0.0.0 shows your runs to the whole network")
    ] = "127.0.0.1",
) -> None:
    """Show all runs in TensorBoard: the series of their figures, and their claims."""
    from labs.tensorboard import serve

    _settle(Home.from_environment().all_runs())
    serve(port, host)


def _page(home: Home, which: str) -> Path:
    from labs.report import page

    folder = _newest(home) if which == NEWEST else home.find_run(which)
    _settle([folder])
    try:
        return page.write(folder)
    except FileNotFoundError:
        raise UsageError(
            f"{folder} holds no run.json; a job that waits has none yet\nsee: labs status"
        ) from None
    except ValueError:
        raise UsageError(
            f"{folder}/run.json is damaged, or of another version of the labs\nrun the lab again"
        ) from None


def _settle(folders: list[Path]) -> None:
    """See that no record says `running` of a run that has ended; say of how many that cannot be told."""
    unknown = [state.detail for state in launch.states(folders).values() if state.word == "unknown"]
    if unknown:
        print(f"of {len(unknown)} runs it is not known whether they go on: {unknown[0]}", file=sys.stderr)


def _index(home: Home) -> Path:
    from labs.report import index

    _settle(home.all_runs())
    path, strange = index.write()
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        print(f"passed over, since it holds no record that can be read: {strange[0]}{more}", file=sys.stderr)
    return path


def _newest(home: Home) -> Path:
    runs = [path.parent for path in home.runs.glob("lab*/*/run.json")]
    if not runs:
        raise UsageError(f"there is no run yet under {home.runs}\nmake one: labs run 1")
    return max(runs, key=lambda folder: folder.name)


def show(path: Path) -> None:
    """Open a page in the browser, or say how to look at it where there is none."""
    if "SSH_CONNECTION" in os.environ:
        here = f"{getpass.getuser()}@{socket.getfqdn()}"
        pages = "--include='*/' --include='*.html' --exclude='*'"
        copy = (
            f"rsync -a {pages} {here}:{path.parent}/ runs/"
            if path.name == "index.html"
            else f"scp {here}:{path} ."
        )
        print(f"to look at it on your own machine: {copy}", file=sys.stderr)
    elif not _has_screen() or not webbrowser.open(path.as_uri()):
        print("there is no browser here; open that file where there is one", file=sys.stderr)


def _has_screen() -> bool:
    """Tell whether a window can open here; without one, `webbrowser` would take a browser in the terminal, or none."""
    if (
        sys.platform in ("darwin", "win32") or "microsoft" in platform.release().lower()
    ):  # the latter is WSL, which hands it to Windows
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
