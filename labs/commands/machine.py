"""The commands that look before a lab is run: at this machine, and at nodes and processes that are to work together."""

import os
import shutil
from typing import Annotated

import typer

from labs import launch
from labs.commands.options import NOTHING, DryRun, Gpus, LauncherName, Nodes, Procs, with_request
from labs.commands.output import end_with
from labs.commands.run import start
from labs.files import unused
from labs.home import Home

app = typer.Typer()


@app.command()
def doctor(json_: Annotated[bool, typer.Option("--json", help="as JSON, for programs")] = False) -> int:
    """Say what this machine has and what each missing thing would allow."""
    from labs.doctor import report

    return report(as_json=json_)


@app.command()
@with_request
def preflight(
    nodes: Nodes = "1", procs: Procs = None, gpus: Gpus = "auto", launcher: LauncherName = None,
    json_: Annotated[bool, typer.Option("--json", help="as JSON, for programs")] = False, dry_run: DryRun = False,
    request: launch.Request = NOTHING,
) -> None:  # fmt: skip
    """Say in seconds whether nodes and processes meet, agree on versions and clocks, and share a folder."""
    sizes = (
        launch.whole_number("NODES", nodes),
        launch.whole_number("PROCS", procs or "1"),
        launch.gpu_count(gpus),
    )
    chosen = launch.choose(launcher)
    folder = unused(Home.from_environment().runs / f".preflight-{os.getpid()}")
    spec = launch.RunSpec(
        0,
        "labs.kit.distributed.preflight",
        chosen.name,
        folder,
        *sizes,
        flags=("--json",) if json_ else (),
        request=request,
    )
    try:
        end_with(start(spec, asked=bool(launcher), dry_run=dry_run))
    finally:
        if not request.detach:
            shutil.rmtree(folder, ignore_errors=True)
