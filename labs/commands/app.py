"""The `labs` command. It imports torch only when a lab is run in this very process."""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from labs import catalog, home, launch
from labs.catalog import Entry
from labs.commands import fetch, report, runs
from labs.commands.options import (
    DryRun,
    ExerciseNumber,
    Gpus,
    LabNumber,
    Language,
    LauncherName,
    Nodes,
    Procs,
    Smoke,
    with_request,
)
from labs.commands.submit import spec_of, start
from labs.errors import UsageError

INTERRUPTED = 130  # 128 + SIGINT
MUTANT_PROCESSES = 3  # the fewest on which a ring of processes is more than a plain exchange

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="50 PyTorch labs, each of which proves what it says on this very machine.",
)
app.add_typer(runs.app)
app.add_typer(fetch.app)
app.add_typer(report.app)
NOTHING = launch.Request()
PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True}


@app.command("list")
def list_labs(lang: Language = "en") -> None:
    """Show all labs: which are there, which are planned, how each one's last run ended."""
    launch.one_of("--lang", lang, ("en", "pl"))
    module = ""
    for entry in catalog.all_labs().values():
        if entry.module != module:
            module = entry.module
            print(f"\n{module} · {catalog.MODULES[module]}")
        state = _last_verdict(entry) if entry.ready else "planned"
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
        print(f"\n{name}\n{_indented(text)}")
    if entry.ready:
        from labs.exercises import Progress, Source

        done = Progress()
        names = [
            f"{exercise.id} {exercise.step}{' (passed)' if done.passed(exercise.id) else ''}"
            for exercise in Source(entry).exercises
        ]
        print(f"\nExercises\n{_indented(chr(10).join(names) or 'none')}")


@app.command(context_settings=PASS_ON)
@with_request
def run(
    context: typer.Context, lab: LabNumber, nodes: Nodes = "1", procs: Procs = None, gpus: Gpus = "auto",
    launcher: LauncherName = None, smoke: Smoke = False, dry_run: DryRun = False, request: launch.Request = NOTHING,
) -> None:  # fmt: skip
    """Run a lab. Flags that are not listed here go to the lab itself; `labs run N -- --help` lists those."""
    spec = spec_of(lab, nodes, procs, gpus, launcher, request, smoke, context.args)
    _end(start(spec, asked=bool(launcher), dry_run=dry_run))


@app.command()
def exercise(lab: LabNumber) -> None:
    """Write work/labNN.py, where you write the lab's steps yourself. An existing file is left alone."""
    from labs.exercises import Source, begin

    source = Source(catalog.find_ready(lab))
    number = source.entry.number
    path, new = begin(source)
    print(f"{'made' if new else 'already there, left as it is:'} {_near(path)}")
    for entry in source.exercises:
        print(f"  {entry.id}  {entry.step}")
    print(
        f"write the bodies, then: labs check {number}   stuck? labs hint {number}   anew: labs reset {number}"
    )


@app.command(context_settings=PASS_ON)
@with_request
def check(
    context: typer.Context, lab: LabNumber, nodes: Nodes = "1", procs: Procs = None, gpus: Gpus = "auto",
    launcher: LauncherName = None, smoke: Smoke = False, dry_run: DryRun = False, request: launch.Request = NOTHING,
) -> None:  # fmt: skip
    """Run a lab with your steps in the place of its own: its claims are the judge."""
    entry = catalog.find_ready(lab)
    path = home.work_file(entry.number)
    if not path.exists():
        raise UsageError(f"there is no {_near(path)} to check\nmake it with: labs exercise {entry.number}")
    spec = spec_of(lab, nodes, procs, gpus, launcher, request, smoke, context.args, path)
    status = start(spec, asked=bool(launcher), dry_run=dry_run)
    _note_passes(spec.folder)
    _end(status)


@app.command()
def hint(which: ExerciseNumber) -> None:
    """Give the next hint of the first exercise that you have not passed, or of the one you name."""
    from labs.exercises import Progress, Source, select

    source = Source(catalog.find_ready(which.partition(".")[0]))
    done = Progress()
    open_ones = [exercise for exercise in select(source, which) if not done.passed(exercise.id)]
    if not open_ones:
        print("all passed; there is nothing to hint at")
        return
    wanted = open_ones[0]
    seen = done.of(wanted.id)
    seen["hints"] = min(seen["hints"] + 1, len(wanted.hints))
    done.save()
    print(f"exercise {wanted.id}, {wanted.step}")
    for place, text in enumerate(wanted.hints[: seen["hints"]], 1):
        print(f"  hint {place} of {len(wanted.hints)}: {text}")


@app.command()
def solution(which: ExerciseNumber) -> int:
    """Show the lab's own steps: after you passed, or when you ask a second time."""
    from labs.exercises import Progress, Source, select

    source = Source(catalog.find_ready(which.partition(".")[0]))
    wanted = select(source, which)
    done = Progress()
    early = [
        exercise.id
        for exercise in wanted
        if not done.passed(exercise.id) and not done.of(exercise.id)["asked"]
    ]
    for exercise in wanted:
        done.of(exercise.id)["asked"] += 1
    done.save()
    if early:
        print(
            f"not passed yet: {', '.join(early)}; to see the solution all the same, ask again\na hint first? labs hint {early[0]}"
        )
        return 1
    print("\n\n\n".join(f"# exercise {exercise.id}\n{exercise.solution}" for exercise in wanted))
    return 0


@app.command()
def reset(lab: LabNumber) -> None:
    """Set your steps aside, under another name, and start with fresh stubs."""
    from labs.exercises import Source, begin, set_aside

    source = Source(catalog.find_ready(lab))
    kept = set_aside(source.entry.number)
    path, _ = begin(source)
    print(f"{_near(path)} is fresh" + (f"; what you had is in {_near(kept)}" if kept else ""))


@app.command()
def mutants(
    lab: Annotated[str | None, typer.Argument(metavar="[N]", help="one lab; all where none is given")] = None,
) -> None:
    """Prove that the claims can fail: known mistakes are put into the steps, and each claim must notice one."""
    entries = (
        [catalog.find_ready(lab)] if lab else [entry for entry in catalog.all_labs().values() if entry.ready]
    )
    status = 0
    for entry in (entry for entry in entries if entry.distributed):
        spec = launch.RunSpec(
            entry.number,
            "labs.kit.runner.matrix",
            "local",
            None,
            procs=MUTANT_PROCESSES,
            flags=(entry.import_name,),
        )
        status = launch.LAUNCHERS["local"].submit(spec) or status
    alone = [entry.import_name for entry in entries if not entry.distributed]
    if alone:
        from labs.kit.runner.matrix import show_matrices

        status = show_matrices(alone) or status
    _end(status)


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
    place = launch.choose(launcher)
    folder = home.unused(home.home() / "runs" / f".preflight-{os.getpid()}")
    spec = launch.RunSpec(
        0,
        "labs.kit.distributed.preflight",
        place.name,
        folder,
        *sizes,
        flags=("--json",) if json_ else (),
        request=request,
    )
    try:
        _end(start(spec, asked=bool(launcher), dry_run=dry_run))
    finally:
        if not request.detach:
            shutil.rmtree(folder, ignore_errors=True)


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
        print(f"made {_near(path)}")


@app.command()
def tensorboard(
    port: Annotated[
        str, typer.Option(help="where it listens, on this machine alone; PORT= with make")
    ] = "6006",
) -> None:
    """Show all runs in TensorBoard: the series of their figures, and their claims."""
    from labs.tensorboard import serve

    serve(port)


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
        print(f"made {_near(path)}")
    print("next: make readme, which puts it into the table of labs")


def _end(status: int) -> NoReturn:
    """End with this status. (typer returns 130 for Ctrl-C, so a status that is returned could not be told from that.)"""
    sys.stdout.flush()
    raise SystemExit(status)


def _note_passes(folder: Path | None) -> None:
    from labs.exercises import Progress

    if folder is None or not (folder / "run.json").exists():
        return
    done = Progress()
    for exercise in home.read_json(folder / "run.json").get("exercises", []):
        if exercise["judgement"] == "passed":
            done.note_pass(exercise["id"])
    done.save()


def _last_verdict(entry: Entry) -> str:
    """Return how a lab's newest run ended, in one word, or an empty string."""
    runs = sorted(home.runs_folder(entry.number).glob("*/*.json"))
    if runs and runs[-1].name == "job.json":  # a job that has not begun, or was cancelled before
        return f"waits as job {home.read_json(runs[-1])['id']}, or was cancelled: labs status {entry.number}"
    return str(home.read_json(runs[-1]).get("status", "")) if runs else "not run yet"


def _title(entry: Entry, lang: str) -> str:
    return entry.title_pl if lang == "pl" else entry.title


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


def _near(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main() -> None:
    """Run the command and exit: 0, 1 where a claim failed or a lab broke, 2 for bad usage, 130 for Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # see labs/__init__.py
    try:
        result: Any = app(standalone_mode=False)
        status = result if isinstance(result, int) else 0
        if status == INTERRUPTED:
            print("interrupted", file=sys.stderr)
        sys.stdout.flush()
    except UsageError as error:
        print(error, file=sys.stderr)
        status = error.exit_status
    except typer.TyperException as error:
        print(f"{_sentence(error)}\nsee: labs --help", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)


def _sentence(error: typer.TyperException) -> str:
    text: str = error.format_message() if hasattr(error, "format_message") else str(error)
    return text


if __name__ == "__main__":
    main()
