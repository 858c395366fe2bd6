"""The commands for a learner: write a lab's steps, have them judged, ask for a hint or the solution, begin anew."""

import typer

from labs import catalog, launch
from labs.commands.options import (
    NOTHING,
    PASS_ON,
    DryRun,
    ExerciseNumber,
    Gpus,
    LabNumber,
    LauncherName,
    Nodes,
    Procs,
    Smoke,
    with_request,
)
from labs.commands.output import end_with, near
from labs.commands.run import spec_of, start
from labs.errors import UsageError
from labs.home import Home

app = typer.Typer()


@app.command()
def exercise(lab: LabNumber) -> None:
    """Write work/labNN.py, where you write the lab's steps yourself. An existing file is left alone."""
    from labs.exercises import Source, begin

    source = Source(catalog.find_ready(lab))
    number = source.entry.number
    path, new = begin(source)
    print(f"{'made' if new else 'already there, left as it is:'} {near(path)}")
    for entry in source.exercises:
        print(f"  {entry.id}  {entry.step}")
    print(
        f"write the bodies, then: labs check {number}   stuck? labs hint {number}   anew: labs reset {number}"
    )


@app.command(context_settings=PASS_ON)
@with_request
def check(
    context: typer.Context, which: ExerciseNumber, nodes: Nodes = "1", procs: Procs = None, gpus: Gpus = "auto",
    launcher: LauncherName = None, smoke: Smoke = False, dry_run: DryRun = False, request: launch.Request = NOTHING,
) -> None:  # fmt: skip
    """Judge your steps, or one of them, by the lab's claims, and say what is wrong with the smallest input."""
    from labs.exercises import Source, select

    lab, dot, _ = which.partition(".")
    home, entry = Home.from_environment(), catalog.find_ready(lab)
    chosen = select(Source(entry), which)
    path = home.work_file(entry.number)
    if not path.exists():
        raise UsageError(f"there is no {near(path)} to check\nmake it with: labs exercise {entry.number}")
    flags = [*(["--exercise", chosen[0].id] if dot else []), *context.args]
    spec = spec_of(home, lab, nodes, procs, gpus, launcher, request, smoke, flags, path)
    end_with(start(spec, asked=bool(launcher), dry_run=dry_run))


@app.command()
def hint(which: ExerciseNumber) -> None:
    """Give the next hint of the first exercise that you have not passed, or of the one you name."""
    from labs.exercises import Progress, Source, select

    source = Source(catalog.find_ready(which.partition(".")[0]))
    done = Progress(source.entry.number)
    open_ones = [exercise for exercise in select(source, which) if not done.passed(exercise.id)]
    if not open_ones:
        print("all passed; there is nothing to hint at")
        return
    wanted = open_ones[0]
    seen = done.of(wanted.id)
    seen["hints"] = min(seen["hints"] + 1, len(wanted.hints))
    done.save()
    print(f"exercise {wanted.id}, {wanted.step}")
    for number, text in enumerate(wanted.hints[: seen["hints"]], 1):
        print(f"  hint {number} of {len(wanted.hints)}: {text}")


@app.command()
def solution(which: ExerciseNumber) -> int:
    """Show the lab's own steps: after you passed, or when you ask a second time."""
    from labs.exercises import Progress, Source, select

    source = Source(catalog.find_ready(which.partition(".")[0]))
    wanted = select(source, which)
    done = Progress(source.entry.number)
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
    moved_to = set_aside(source.entry.number)
    path, _ = begin(source)
    print(f"{near(path)} is fresh" + (f"; what you had is in {near(moved_to)}" if moved_to else ""))
