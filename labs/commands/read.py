"""The commands for readers: which labs there are, what one of them is about, and labs as notebooks."""

from typing import Annotated

import typer

from labs import catalog, launch
from labs.catalog import Entry
from labs.commands.options import LabNumber, Language
from labs.commands.output import indented, near
from labs.files import read_json
from labs.home import Home

app = typer.Typer()


@app.command("list")
def list_labs(lang: Language = "en") -> None:
    """Show all labs: which are there, which are planned, how each one's last run ended."""
    launch.one_of("--lang", lang, ("en", "pl"))
    home, module = Home.from_environment(), ""
    for entry in catalog.all_labs().values():
        if entry.module != module:
            module = entry.module
            print(f"\n{module} · {catalog.MODULES[module]}")
        state = _last_verdict(home, entry) if entry.ready else "planned"
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

        done = Progress()
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


def _last_verdict(home: Home, entry: Entry) -> str:
    """Return how a lab's newest run ended, in one word, or an empty string."""
    runs = sorted(home.runs_folder(entry.number).glob("*/*.json"))
    if runs and runs[-1].name == "job.json":  # a job that has not begun, or was cancelled before
        return f"waits as job {read_json(runs[-1])['id']}, or was cancelled: labs status {entry.number}"
    return str(read_json(runs[-1]).get("status", "")) if runs else "not run yet"


def _title(entry: Entry, lang: str) -> str:
    return entry.title_pl if lang == "pl" else entry.title
