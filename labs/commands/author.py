"""The commands for who writes labs: the skeleton of a new one, and the proof that its claims can fail."""

from typing import Annotated

import typer

from labs import catalog, launch
from labs.commands.output import end_with, near
from labs.commands.systematic import surveyed

app = typer.Typer()


@app.command()
def new(
    number: Annotated[str, typer.Argument(metavar="N", help="a planned lab, or a new number")],
    title: Annotated[str, typer.Option(help="English title, for a number that is not planned")] = "",
    title_pl: Annotated[str, typer.Option("--title-pl", help="Polish title, likewise")] = "",
    module: Annotated[str, typer.Option(help="module folder, such as m7_bonus, likewise")] = "",
) -> None:
    """Make the skeleton of a lab and of its test."""
    from labs.scaffold import make

    for path in make(number, title, title_pl, module):
        print(f"made {near(path)}")
    print("next: make readme, which puts it into the table of labs")


@app.command()
def mutants(
    lab: Annotated[str | None, typer.Argument(metavar="[N]", help="one lab; all where none is given")] = None,
    systematic: Annotated[
        bool, typer.Option("--systematic", help="instead, edit the exercises in every way of a fixed list")
    ] = False,
    brief: Annotated[
        bool, typer.Option("--brief", help="let a mutant pass over the parts that could prove nothing more")
    ] = False,
    procs: Annotated[
        str | None,
        typer.Option(
            "--procs",
            metavar="N",
            help="processes for labs that run on several; 1 where one has the only GPU",
        ),
    ] = None,
) -> None:
    """Prove that the claims can fail: known mistakes are put into the steps, and each claim must notice one."""
    count = launch.whole_number("PROCS", procs) if procs else None
    entries = (
        [catalog.find_ready(lab)] if lab else [entry for entry in catalog.all_labs().values() if entry.ready]
    )
    if systematic:
        end_with(max(surveyed(entry) for entry in entries))
    status = 0
    for entry in (entry for entry in entries if entry.distributed):
        spec = launch.RunSpec(
            entry.number,
            "labs.kit.runner.matrix",
            "local",
            None,
            procs=count or entry.processes_to_judge,
            flags=(entry.import_name, *(["--brief"] if brief else [])),
        )
        status = launch.LAUNCHERS["local"].submit(spec) or status
    alone = [entry.import_name for entry in entries if not entry.distributed]
    if alone:
        from labs.kit.runner.matrix import show_matrices

        status = show_matrices(alone, brief=brief) or status
    end_with(status)
