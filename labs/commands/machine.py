"""The commands that look before a lab is run: at this machine, and at nodes and processes that are to work together."""

from typing import Annotated

import typer

from labs import launch
from labs.commands.options import NOTHING, DryRun, Gpus, LauncherName, Nodes, Procs, with_request
from labs.commands.output import end_with
from labs.commands.run import start
from labs.home import Home

app = typer.Typer()
MIB_OF_RANK = 1536  # the 1024 that are to be free for each, and torch itself


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
    chosen = launch.choose(launcher, sizes[0])
    folder = Home.from_environment().preflight_folder()
    spec = launch.RunSpec(
        0,
        "labs.kit.distributed.preflight",
        chosen.name,
        folder,
        *sizes,
        flags=(*(() if chosen.shares_folder else ("--own-folders",)), *(("--json",) if json_ else ())),
        request=request,
        memory=f"{MIB_OF_RANK * sizes[1]}M",
    )
    end_with(start(spec, asked=bool(launcher), dry_run=dry_run, keep=request.detached))
