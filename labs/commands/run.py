"""From what was typed to a run: sizes and launcher are chosen, the folder is looked at, and the lab is started."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import typer

from labs import catalog, launch
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
from labs.errors import UsageError
from labs.files import check_place, read_json, write_whole
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
    chosen = launch.choose(launcher)
    if (
        chosen.shares_nodes and not request.memory
    ):  # what a queue gives by default may be less than the lab needs
        request = replace(request, memory=f"{entry.memory_gib or 2}G")
    folder = home.run_folder(entry.number, chosen.name)
    sizes = node_count, proc_count, launch.gpu_count(gpus)
    return launch.RunSpec(
        entry.number, entry.import_name, chosen.name, folder, *sizes, smoke, tuple(flags), attempt, request
    )


def start(spec: launch.RunSpec, *, asked: bool, dry_run: bool) -> int:
    """Say where the lab runs and why, run it there, and return its exit status."""
    launcher = launch.LAUNCHERS[spec.launcher]
    spec.request.check(launcher.name, launcher.takes)
    launcher.check(spec)
    assert spec.folder is not None
    if dry_run:
        print(launcher.render(spec), end="")
        return 0
    check_place(spec.folder)
    print(f"launcher: {launcher.name} ({'as asked' if asked else launcher.why()})", file=sys.stderr)
    status = launcher.submit(spec)
    _close(spec.folder, status)
    return status


def _close(folder: Path, status: int) -> None:
    """Say in the record of a run that could not say so itself, because rank 0 was killed, how it ended."""
    from labs.report import page

    notes = read_json(folder / "run.json")
    if notes.get("status") == "running":
        notes |= {"status": "broke", "error": f"ended with status {status} before it could say why"}
        write_whole(folder / "run.json", json.dumps(notes, indent=2) + "\n")
        page.leave(folder)
