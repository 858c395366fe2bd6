"""Ctrl-C means cancel: while a job is submitted, waits or runs, and also while no controller answers."""

import signal
import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from types import FrameType, TracebackType
from typing import NoReturn, Self

from labs.errors import UsageError
from labs.launch.output import say
from labs.launch.slurm import cluster

GONE_S = 15.0  # how long a cancelled job may take to be gone
ANSWER_S = 10.0  # as long as Slurm's own commands try to reach a controller
AGAIN_S = 1.0
AT_ONCE_S = 0.2
ENDING = (signal.SIGINT, signal.SIGTERM)
HEARD = (*ENDING, signal.SIGHUP)


class Asked(BaseException):
    """Somebody wishes the end of the job: Ctrl-C, or SIGTERM."""


class HungUp(BaseException):
    """The terminal is gone, which ends this command, and not the job."""


class Cancelling:
    """From the moment in which a job is submitted, a context in which Ctrl-C and SIGTERM cancel it.

    When only the connection breaks (SIGHUP), the job goes on. Ctrl-C once more leaves at once.
    """

    def __init__(self, job_name: str) -> None:
        self.name, self.id, self.number, self.hung_up = job_name, "", 0, False

    @property
    def status(self) -> int:
        """Return the exit status of a command whose job was cancelled."""
        return 128 + self.number

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._hear) for number in ENDING}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup wants it
            self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._hang_up)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            if kind is HungUp:
                time.sleep(AT_ONCE_S)
                # Of signals that came at once Python tells SIGHUP first, and the others at the next such call.
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            if kind in (Asked, HungUp) and self.number:
                persistently_cancel(self.id)
            elif kind is HungUp:
                raise SystemExit(128 + signal.SIGHUP)
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)
        return kind in (Asked, HungUp)

    def submitted(self, submit: Callable[[], str], note: Callable[[str], None]) -> str:
        """Submit a job, note its id, and return it. A wish that comes meanwhile is heard once the job has an id to cancel it by."""
        id_ = unhurried(submit)
        try:
            note(id_)
        except UsageError:  # a job that no folder knows could never be found again
            persistently_cancel(id_)
            raise
        self.id = id_
        if self.number:
            raise Asked
        if self.hung_up:
            raise HungUp
        return id_

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            if number == signal.SIGINT:
                self._leave()
        else:
            self.number = number
            if not self.id:
                say("cancelling, once Slurm has said the job's number; Ctrl-C once more leaves at once")
            elif not self.hung_up:
                raise Asked

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        first, self.hung_up = not self.hung_up, True
        if first and self.id and not self.number:
            raise HungUp

    def _leave(self) -> NoReturn:
        if self.id:
            say(f"job {self.id} may go on: end it with labs cancel {self.id}, or scancel {self.id}")
        else:
            say(f"a job may have been submitted: squeue --me --name={self.name} shows it, scancel ends it")
        raise SystemExit(128 + signal.SIGINT)


def cancel(id_: str) -> None:
    """Cancel a job, and wait until it is gone, or say that it is not yet. Raises UsageError where Slurm refuses, or does not answer."""
    cluster.ask("scancel", id_, patience_s=ANSWER_S)
    until = time.monotonic() + GONE_S
    while (job := cluster.job(id_)) and not job.ended and time.monotonic() < until:
        time.sleep(0.2)
    if not (job and job.ended):
        say(f"Slurm has taken the wish, and still clears the nodes of job {id_}")


def persistently_cancel(id_: str) -> None:
    """Cancel a job, also where no controller answers now: it is asked again until one does."""
    say(f"cancelling job {id_}")
    said = ""
    while True:
        try:
            return cancel(id_)
        except UsageError as error:
            reason = str(error).partition("\n")[0]
        if reason != said:
            said = reason
            say(f"{reason}\nit is tried again until Slurm answers; Ctrl-C once more leaves at once")
        time.sleep(AGAIN_S)


def unhurried(action: Callable[[], str]) -> str:
    """Return what an action returns, which runs in a thread that no signal interrupts, while they are heard here."""
    answer: SimpleQueue[tuple[str, BaseException | None]] = SimpleQueue()

    def act() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
        try:
            answer.put((action(), None))
        except BaseException as error:
            answer.put(("", error))

    Thread(target=act, daemon=True).start()  # a daemon: whoever leaves at once does not wait for it
    result, error = answer.get()
    if error:
        raise error
    return result
