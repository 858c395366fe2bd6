"""The command line of a lab's own file: flags, run folder, lesson, record, exit status."""

import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from rich.markup import escape

from labs import presence, record, switches, temporary
from labs.errors import UsageError, no_space
from labs.files import made_anew, writable
from labs.flags import add_own
from labs.home import Home
from labs.kit.attempt.conversation import Conversation
from labs.kit.attempt.judge import Judge
from labs.kit.attempt.work_file import WorkFile
from labs.kit.display.asking import Asking
from labs.kit.display.screen import Screen
from labs.kit.distributed.seal import ForeignValue
from labs.kit.distributed.world import World, leave
from labs.kit.runner import config as flags
from labs.kit.runner import lesson as lessons
from labs.kit.runner.context import Ask, RunContext
from labs.kit.runner.lab import Lab
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.session import blank, describe_machine, perform, where
from labs.places import refusal


def main(run: Callable[[Any, Lab], None], config: type) -> NoReturn:
    """Run a lab as a script and exit: 0 where no claim failed, 1 where one did or the lab broke, 2 for bad usage, 128 + signal."""
    lesson = lessons.read(run, config)
    sys.modules.setdefault(
        lesson.import_name, sys.modules["__main__"]
    )  # a learner's file that imports the lab gets this one
    signal.signal(signal.SIGINT, signal.default_int_handler)  # all is imported; see labs/__init__.py
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it of SIGHUP
            signal.signal(number, _terminated)
    before, sys.unraisablehook = sys.unraisablehook, _deliver_again
    temporary.shorten()
    status = _status(lambda: command(lesson, sys.argv[1:]))
    sys.unraisablehook = before
    leave(status)


def _deliver_again(ignored: Any) -> None:
    """Let a Ctrl-C come once more that fell into a callback of the garbage collector's, where Python ignores what is raised."""
    if isinstance(ignored.exc_value, KeyboardInterrupt):
        number = getattr(ignored.exc_value, "number", signal.SIGINT)
        main_thread = threading.main_thread().ident  # a signal, since it must wake what sleeps or waits
        later = threading.Timer(0.05, signal.pthread_kill, [main_thread, number])
        later.daemon = True
        later.start()
    else:
        sys.__unraisablehook__(ignored)


def _status(action: Callable[[], int]) -> int:
    """Return the action's exit status, or that of the way it ended."""
    speaks = os.environ.get("RANK", "0") == "0"
    try:
        status = action()
        sys.stdout.flush()
    except UsageError as error:
        if speaks:
            print(error, file=sys.stderr)
        return error.exit_status
    except Terminated as terminated:
        return 128 + terminated.number
    except KeyboardInterrupt:
        if speaks:
            print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except ForeignValue as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output went away, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # not of a step's: a place where the run is kept
        if not (refused := refusal(error)):
            raise
        print(refused, file=sys.stderr)
        return refused.exit_status
    return status


class Terminated(KeyboardInterrupt):
    """SIGTERM came, or SIGHUP of a closed terminal: end as on Ctrl-C, with a record of what was measured."""

    def __init__(self, number: int) -> None:
        self.number = number


def _terminated(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)


def _tell_before_the_end(notes: record.Run) -> None:
    """Let SIGTERM end this run as before, but not once it broke: its reason is told first. The launcher's grace bounds that."""

    def terminated(number: int, frame: FrameType | None) -> None:
        if notes.status != "broke":
            raise Terminated(number)

    if signal.getsignal(signal.SIGTERM) is _terminated:
        signal.signal(signal.SIGTERM, terminated)


def command(lesson: Lesson, arguments: list[str]) -> int:
    """Parse the arguments, run the lesson once, and return the exit status."""
    chosen = _parse(lesson, arguments)
    smoke, attempt, only, launcher, folder, predict = (
        chosen.pop(name) for name in ("smoke", "attempt", "exercise", "launcher", "folder", "predict")
    )
    cfg: Any = flags.build(lesson.config, smoke, chosen)
    world = World.from_environment()
    world.require_interfaces()
    if world.first:
        for line in switches.said():
            print(line, file=sys.stderr)
    judge = _judge(lesson, Path(attempt).absolute(), only, world, cfg, smoke=smoke) if attempt else None
    if judge and not judge.cases:
        return _close_check(judge, judge.verdicts(), Screen(quiet=not world.first))
    notes = blank(lesson, cfg, smoke=smoke, launcher=launcher, world=world)
    context = RunContext(world=world, folder=_folder(folder, lesson, launcher, world))
    if predict and not judge:
        context = replace(context, ask=_asking(world))
    return _kept(lesson, cfg, notes, context, judge)


def _judge(lesson: Lesson, path: Path, only: str, world: World, cfg: Any, *, smoke: bool) -> Judge:
    """Return what judges the learner's file: all exercises, or the one that was named."""
    if only and only not in lesson.exercises:
        raise UsageError(f"there is no exercise {only}; this lab has: {', '.join(lesson.exercises)}")
    return Judge(WorkFile(lesson, path), world, cfg, [only] if only else lesson.exercises, smoke=smoke)


def _asking(world: World) -> Ask:
    """Return what asks for guesses: rank 0, which tells the others. Where nobody sits at the terminal, that is said."""
    possible = world.gather("can ask", Asking.possible())[0]
    if not possible:
        if world.first:
            print(
                "nobody can be asked here (a pipe, or a job): guesses are shown with their answers",
                file=sys.stderr,
            )
        return lambda prediction: None
    asking = Asking(Screen().terminal, patience_s=world.agree_s / 2 if world.size > 1 else None)
    if world.size == 1:
        return asking
    return lambda prediction: world.gather("guess", asking(prediction) if world.first else None)[0]


def _folder(wanted: str | None, lesson: Lesson, launcher: str, world: World) -> Path:
    """Return the run's folder, made by rank 0 and the same for all."""
    if world.first:
        named = Home.from_environment().run_folder(lesson.entry.number, launcher)
        made = writable(Path(wanted)) if wanted else made_anew(named)
        return Path(world.gather("folder", made)[0])
    return Path(world.gather("folder", None)[0])


def _kept(lesson: Lesson, cfg: Any, notes: record.Run, context: RunContext, judge: Judge | None) -> int:
    """Run the lesson with a log and a record on disk; where the disk is full, leave nothing half-made."""
    folder = context.folder
    assert folder is not None
    if not context.world.first:
        return _recorded(lesson, cfg, notes, context, judge)
    try:
        notes.save(folder)
        with presence.shown(folder), (folder / presence.LOG).open("w", encoding="utf-8") as log:
            screen = Screen(quiet=judge is not None, log=log)
            return _recorded(lesson, cfg, notes, replace(context, screen=screen), judge)
    except KeyboardInterrupt:
        notes.status = "interrupted"
        _save(notes, folder)
        raise
    except OSError as error:
        if not no_space(error):
            raise
        if not (folder / "checkpoints").exists():  # with them the same run can go on, once there is space
            shutil.rmtree(folder, ignore_errors=True)
        advice = "free some space, or choose another place with LABS_HOME=/some/folder"
        raise UsageError(f"the disk is full: {error.strerror} in {folder}\n{advice}") from None
    finally:
        _close(notes, folder)


def _close(notes: record.Run, folder: Path) -> None:
    """Say of a run that ended in a way of its own, such as `sys.exit` in a learner's step, that it did."""
    if notes.status == "running" and folder.exists():
        notes.status, notes.error = "broke", f"{sys.exception()!r} ended it"
        with suppress(UsageError):
            _save(notes, folder)


def _save(notes: record.Run, folder: Path) -> None:
    """Keep the record, and its page beside it."""
    from labs.report import page  # rank 0 alone needs it

    notes.save(folder)
    page.leave(folder, notes)


def _parse(lesson: Lesson, arguments: list[str]) -> dict[str, Any]:
    parser = flags.parser_of(
        lesson.config,
        f"Lab {lesson.entry.number:02d} · {lesson.title}\n\n{lesson.entry.sections['Question']}",
    )
    add_own(parser)
    return vars(parser.parse_args(arguments))


def _recorded(lesson: Lesson, cfg: Any, notes: record.Run, context: RunContext, judge: Judge | None) -> int:
    """Run the lesson on the screen, or judge a learner's steps, and save the record, however it ends."""
    screen, world = context.screen, context.world
    screen.opening(notes.lab, notes.title, lesson.entry.sections["Question"], where(lesson, world))
    stopped: KeyboardInterrupt | None = None
    _tell_before_the_end(notes)
    try:
        if judge:
            judge.run(notes, context)
        else:
            perform(lesson, cfg, notes, context)
    except KeyboardInterrupt as signal_:
        stopped = signal_
    except (
        Exception,
        ForeignValue,
    ):  # `perform` has noted what broke, which is said before anything else; the log gets all of it
        if world.first and not judge:
            print(notes.error, file=sys.stderr)
        for copy in screen.copies:
            copy.print(traceback.format_exc(), markup=False)
    if not world.first:
        return _farewell(notes, world) if not judge or stopped else 0  # rank 0 says how the exercises ended
    describe_machine(notes)
    assert context.folder is not None
    _save(notes, context.folder)
    if judge and not stopped:
        talking = Screen()
        talking.shown_on += screen.copies
        status = _close_check(judge, notes.exercises, talking)
        print(f"kept in {_near(context.folder)}")
    else:
        status = _closing(lesson, notes, screen, context.folder)
    return 128 + stopped.number if isinstance(stopped, Terminated) else status


def _farewell(notes: record.Run, world: World) -> int:
    """End a rank that does not speak: say what broke here, unless it was only left alone by another."""
    if notes.status == "broke" and "PeerLost" not in notes.error:
        print(notes.error, file=sys.stderr)
    return {"held": 0, "interrupted": 128 + signal.SIGINT}.get(notes.status, 1)


def _near(folder: Path) -> str:
    return os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)


def _closing(lesson: Lesson, notes: record.Run, screen: Screen, folder: Path) -> int:
    """Say how it ended, where it is kept and what comes next; return the exit status."""
    where = _near(folder)
    counts = [
        f"{notes.count(verdict)} {verdict}"
        for verdict in ("held", "failed", "not measured here")
        if notes.count(verdict)
    ]
    if guessed := [prediction for prediction in notes.predictions if prediction.guessed]:
        right = sum(prediction.guessed == prediction.answer for prediction in guessed)
        screen.show(f"[magenta]◆ you guessed {right} of {len(guessed)}[/]")
    screen.show(
        f"[bold]{' · '.join(counts) or 'no claims'}[/]  [dim]{notes.seconds:.1f} s · kept in {escape(where)}[/]",
        wrap=False,
    )
    if notes.status == "interrupted":
        print(f"interrupted; what was measured until then is in {where}", file=sys.stderr)
        return 128 + signal.SIGINT
    if notes.status == "broke":
        print(f"its traceback is at the end of {where}/log.txt", file=sys.stderr)
    elif notes.status == "held" and lesson.exercises:
        screen.show(f"[dim]your turn: labs exercise {notes.lab}[/]", wrap=False)
    return 0 if notes.status == "held" else 1


def _close_check(judge: Judge, exercises: list[record.Exercise], screen: Screen) -> int:
    """Say how the exercises were judged; return 0 where all that was written passed, and something was."""
    Conversation(judge.lesson, judge.file.path, screen).tell(exercises)
    written = [exercise for exercise in exercises if exercise.judgement != "not written yet"]
    return 0 if written and all(exercise.judgement == "passed" for exercise in written) else 1
