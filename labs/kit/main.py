"""The command line of a lab's own file: flags, run folder, lesson, record, exit status."""

import argparse
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from rich.markup import escape

from labs import home, record
from labs.errors import UsageError, no_space
from labs.kit import config as flags
from labs.kit import lesson as lessons
from labs.kit.attempt import Attempt
from labs.kit.lab import Lab
from labs.kit.lesson import Lesson
from labs.kit.screen import Screen
from labs.kit.session import blank, describe_machine, perform

INTERRUPTED = 130  # 128 + SIGINT


def main(run: Callable[[Any, Lab], None], config: type) -> NoReturn:
    """Run a lab as a script and exit: 0 where no claim failed, 1 where one did or the lab broke, 2 for bad usage, 130 for Ctrl-C."""
    lesson = lessons.read(run, config)
    sys.modules.setdefault(lesson.import_name, sys.modules["__main__"])  # a learner's file that imports the lab gets this one
    try:
        status = command(lesson, sys.argv[1:])
        sys.stdout.flush()
    except UsageError as error:
        print(error, file=sys.stderr)
        status = error.exit_status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)


def command(lesson: Lesson, arguments: list[str]) -> int:
    """Parse the arguments, run the lesson once, and return the exit status."""
    chosen = _parse(lesson, arguments)
    smoke, steps_file, launcher, folder = (chosen.pop(name) for name in ("smoke", "steps", "launcher", "folder"))
    cfg: Any = flags.build(lesson.config, smoke, chosen)
    attempt = Attempt(lesson, Path(steps_file).absolute()) if steps_file else None
    if attempt and not attempt.written:
        return _show_unwritten(lesson)
    notes = blank(lesson, cfg, smoke=smoke, launcher=launcher)
    folder = home.make_run_folder(Path(folder) if folder else home.run_folder(notes.lab, launcher))
    try:
        notes.save(folder)
        with (folder / "log.txt").open("w", encoding="utf-8") as log:
            only = frozenset(attempt.written) if attempt else None
            return _recorded(lesson, cfg, notes, Screen(only=only, log=log), folder, attempt)
    except OSError as error:
        if not no_space(error):
            raise
        shutil.rmtree(folder, ignore_errors=True)
        raise UsageError(
            f"the disk is full: {error.strerror} in {folder}\nfree some space, or choose another place with LABS_HOME=/some/folder"
        ) from None


def _parse(lesson: Lesson, arguments: list[str]) -> dict[str, Any]:
    parser = flags.parser_of(lesson.config, f"Lab {lesson.entry.number:02d} · {lesson.title}\n\n{lesson.entry.sections['Question']}")
    parser.add_argument("--steps", help="a file with your own steps in the place of the lab's")
    parser.add_argument("--launcher", default="local", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return vars(parser.parse_args(arguments))


def _recorded(lesson: Lesson, cfg: Any, notes: record.Run, screen: Screen, folder: Path, attempt: Attempt | None) -> int:
    """Run the lesson on the screen and save its record, however it ends."""
    screen.opening(notes.lab, notes.title, lesson.entry.sections["Question"])
    replacements = attempt.replacements() if attempt else {}
    try:
        perform(lesson, cfg, notes, screen, folder=folder, replacements=replacements, learner=frozenset(replacements))
        if attempt:
            notes.exercises = attempt.judge(notes, cfg)
    except KeyboardInterrupt:
        notes.status = "interrupted"
    except Exception:
        for copy in screen.copies:
            copy.print(traceback.format_exc(), markup=False)
        if attempt:
            notes.exercises = attempt.judge(notes, cfg)
    describe_machine(notes)
    notes.save(folder)
    return _closing(lesson, notes, screen, folder)


def _closing(lesson: Lesson, notes: record.Run, screen: Screen, folder: Path) -> int:
    """Say how it ended, where it is kept and what comes next; return the exit status."""
    for exercise in notes.exercises:
        _show_exercise(exercise, screen)
    where = os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)
    counts = [f"{notes.count(verdict)} {verdict}" for verdict in ("held", "failed", "not measured here") if notes.count(verdict)]
    screen.show(f"[bold]{' · '.join(counts) or 'no claims'}[/]  [dim]{notes.seconds:.1f} s · kept in {escape(where)}[/]", wrap=False)
    if notes.status == "interrupted":
        print(f"interrupted; what was measured until then is in {where}", file=sys.stderr)
        return INTERRUPTED
    if notes.exercises:
        return 0 if all(exercise.judgement == "passed" for exercise in notes.exercises) else 1
    if notes.status == "broke":
        print(f"{notes.error}\nits traceback is at the end of {where}/log.txt", file=sys.stderr)
    elif notes.status == "held" and lesson.exercises:
        screen.show(f"[dim]your turn: labs exercise {notes.lab}[/]", wrap=False)
    return 0 if notes.status == "held" else 1


def _show_unwritten(lesson: Lesson) -> int:
    for id_, step in lesson.exercises.items():
        _show_exercise(record.Exercise(id=id_, step=step, judgement="not written yet"), Screen())
    return 1


def _show_exercise(exercise: record.Exercise, screen: Screen) -> None:
    colour = {"passed": "green", "failed": "bold red", "not written yet": "yellow", "cannot be judged here": "yellow"}[exercise.judgement]
    reason = f": {escape(exercise.reason)}" if exercise.reason else ""
    screen.show(f"[{colour}]exercise {exercise.id} {exercise.judgement}[/]{reason}", wrap=False)
