"""The command `labs fetch`."""

from typing import Annotated

import typer

from labs.fetch.assets import Asset, select
from labs.places import torch_home

app = typer.Typer()


@app.command()
def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]…", help="what to fetch; everything where nothing is named"),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="only show what there is, and what is here")] = False,
    origin: Annotated[
        str,
        typer.Option("--from", metavar="PLACE", help="a folder, or a mirror's address, that holds the files"),
    ] = "",
) -> None:
    """Fetch pretrained weights and data sets that some labs can use. All labs also run without them, and say what they used."""
    for asset in select(names or []):
        if asset.there():
            print(f"{asset.name:<10} is here: {asset.place()}")
        elif list_:
            labs = (
                f"for labs {', '.join(map(str, asset.labs))}" if asset.labs else "for experiments of your own"
            )
            print(f"{asset.name:<10} {asset.megabytes} MB, {labs}: labs fetch {asset.name}")
        else:
            _fetch(asset, origin)
    print(f"kept in {torch_home()}; choose another place with TORCH_HOME=/some/folder")


def _fetch(asset: Asset, origin: str) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from labs.fetch.get import get

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(asset.name, total=asset.megabytes * 1e6)
        get(asset, origin, lambda done, total: bar.update(task, completed=done, total=total or None))
    print(f"{asset.name:<10} fetched: {asset.place()}")
