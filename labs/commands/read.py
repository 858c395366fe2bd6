"""The commands for readers: which labs there are, what one of them is about, and labs as notebooks."""

from pathlib import Path
from typing import Annotated

import typer

from labs import catalog, launch
from labs.catalog import Entry
from labs.commands.options import LabNumber, Language
from labs.commands.output import indented, near
from labs.home import Home

app = typer.Typer()


@app.command("list")
def list_labs(lang: Language = "en") -> None:
    """Show all labs: which are there, which are planned, how each one's last run ended."""
    launch.one_of("--lang", lang, ("en", "pl"))
    home, module = Home.from_environment(), ""
    newest = _newest_runs(home)
    states = launch.states(list(newest.values()))
    for entry in catalog.all_labs().values():
        if entry.module != module:
            module = entry.module
            print(f"\n{module} · {catalog.MODULES[module]}")
        folder = newest.get(entry.number)
        state = (
            _last_verdict(folder, states[folder]) if folder else "not run yet" if entry.ready else "planned"
        )
        print(f"  {entry.number:02d}  {_title(entry, lang):<38} {state}")
    print("\nread one: labs show N · run one: labs run N, or make lab-NN")


@app.command()
def show(lab: LabNumber, lang: Language = "en") -> None:
    """Show a lab's question, what it claims, what it needs and its exercises."""
    launch.one_of("--lang", lang, ("en", "pl"))
    entry = catalog.find(lab)
    print(f"Lab {entry.number:02d} · {_title(entry, lang)}  ({entry.module})")
    if not entry.ready:
        print(f"planned, not written yet; it will run on: {entry.needs}")
    for name, text in entry.sections.items():
        print(f"\n{name}\n{indented(text)}")
    if entry.ready:
        from labs.exercises import Progress, Source

        done = Progress(entry.number)
        names = [
            f"{exercise.id} {exercise.step}{' (passed)' if done.passed(exercise.id) else ''}"
            for exercise in Source(entry).exercises
        ]
        print(f"\nExercises\n{indented(chr(10).join(names) or 'none')}")


@app.command()
def notebooks(
    lab: Annotated[str, typer.Argument(metavar="[N]", help="one lab; all where none is given")] = "",
    folder: Annotated[bool, typer.Option("--folder", help="only print where they are")] = False,
) -> None:
    """Write labs as Jupyter notebooks: their prose, their steps as cells, and what `run` does between them."""
    from labs.notebooks import place, write_all

    if folder:
        print(place())
        return
    for path in write_all(lab):
        print(f"made {near(path)}")


def _newest_runs(home: Home) -> dict[int, Path]:
    """Return each lab's newest run."""
    return {int(folder.parent.name.removeprefix("lab")): folder for folder in home.all_runs()}


def _last_verdict(folder: Path, state: launch.State) -> str:
    """Return in a few words how a run ended, or how it is doing."""
    if state.ended:
        return launch.recorded(folder) or f"{state.word}, before it began"
    if state.word == "unknown":
        return f"not known whether it goes on: {state.detail}"
    return f"{state.word} as job {state.id}" if state.id else state.word


def _title(entry: Entry, lang: str) -> str:
    return entry.title_pl if lang == "pl" else entry.title
