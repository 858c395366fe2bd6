"""From what was typed to a run: sizes and launcher are chosen, the folder is looked at, and the lab is started."""

import sys
from pathlib import Path

import typer

from labs import catalog, launch
from labs import flags as lab_flags
from labs.commands.options import (
    NOTHING,
    PASS_ON,
    DryRun,
    Gpus,
    LabNumber,
    LauncherName,
    Nodes,
    Procs,
    Smoke,
    with_request,
)
from labs.commands.output import end_with
from labs.errors import OutOfReach, UsageError
from labs.files import check_place
from labs.home import Home

app = typer.Typer()


@app.command(context_settings=PASS_ON)
@with_request
def run(
    context: typer.Context, lab: LabNumber, nodes: Nodes = "1", procs: Procs = None, gpus: Gpus = "auto",
    launcher: LauncherName = None, smoke: Smoke = False, dry_run: DryRun = False, request: launch.Request = NOTHING,
) -> None:  # fmt: skip
    """Run a lab. Flags that are not listed here go to the lab itself; `labs run N -- --help` lists those."""
    spec = spec_of(Home.from_environment(), lab, nodes, procs, gpus, launcher, request, smoke, context.args)
    end_with(start(spec, asked=bool(launcher), dry_run=dry_run))


def spec_of(
    home: Home, lab: str, nodes: str, procs: str | None, gpus: str, launcher: str | None, request: launch.Request,
    smoke: bool, flags: list[str], attempt: Path | None = None,
) -> launch.RunSpec:  # fmt: skip
    """Turn what was typed into a run. Raises UsageError for what no launcher could do."""
    entry = catalog.find_ready(lab)
    node_count = launch.whole_number("NODES", nodes)
    proc_count = launch.whole_number("PROCS", procs) if procs else max(1, entry.processes // node_count)
    if node_count * proc_count > 1 and not entry.distributed:
        asked = f"NODES={node_count} PROCS={proc_count} asks for {node_count * proc_count}"
        raise UsageError(
            f"lab {entry.number:02d} runs in one process, and {asked}\nleave NODES and PROCS out, or set them to 1"
        )
    assert entry.path is not None
    lab_flags.judge(entry.path, flags)
    chosen = launch.choose(launcher, node_count)
    return launch.RunSpec(
        entry.number, entry.import_name, chosen.name, home.run_folder(entry.number, chosen.name),
        node_count, proc_count, launch.gpu_count(gpus), smoke, tuple(flags), attempt, request,
        memory=f"{entry.memory_of_node(proc_count)}G", uses_gpu=entry.uses_gpu,
    )  # fmt: skip


def start(spec: launch.RunSpec, *, asked: bool, dry_run: bool, keep: bool = True) -> int:
    """Say where the lab runs and why, run it there, in a folder of its own, and return its exit status.

    Without `keep` the folder is taken away in the end.
    """
    launcher = launch.LAUNCHERS[spec.launcher]
    spec.request.check(launcher.name, launcher.takes)
    try:
        launcher.check(spec)
    except OutOfReach:
        if not dry_run:
            raise
    assert spec.folder is not None
    if dry_run:
        print(launcher.render(spec), end="")
        return 0
    check_place(spec.folder)
    print(f"launcher: {launcher.name} ({'as asked' if asked else launcher.why()})", file=sys.stderr)
    with launch.claimed(spec, keep=keep) as own:
        return launcher.submit(own)
