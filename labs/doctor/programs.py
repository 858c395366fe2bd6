"""Ask other programs, none of which can keep the doctor waiting."""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from labs.doctor.check import Verdict

ANSWER_S = 3.0  # a program or a service that is well answers within this


class Answer(NamedTuple):
    """What a program said on its two outputs. `status` is None where it did not end in time."""

    status: int | None
    out: str
    err: str

    @property
    def failed(self) -> Verdict:
        """Return how a program that gave no good answer is judged."""
        return "slow" if self.status is None else "broken"

    @property
    def trouble(self) -> str:
        """Return in one line what went wrong."""
        if self.status is None:
            return f"no answer within {ANSWER_S:g} s"
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return lines[-1].strip() if lines else f"exit status {self.status}"


class Programs:
    """Runs programs, each within a deadline and in a process group of its own, so that none outlives its question."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = threading.Event()

    def ask(self, *command: str, seconds: float = ANSWER_S, cwd: Path | None = None) -> Answer:
        """Run a program to its end, or to the deadline, and return what it said until then."""
        if self._stopped.is_set():
            return Answer(None, "", "")
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, errors="replace", start_new_session=True, cwd=cwd,
            )  # fmt: skip
        except OSError as error:
            return Answer(127, "", f"it cannot be run: {error.strerror}")
        self._running.add(child)
        if self._stopped.is_set():  # while it was started: `stop` did not see it
            _kill(child)
        try:
            out, err = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _kill(child)
            return Answer(None, *child.communicate())
        finally:
            self._running.discard(child)
        return Answer(child.returncode, out, err)

    def stop(self) -> None:
        """End all programs now, and start no more."""
        self._stopped.set()
        for child in tuple(self._running):
            _kill(child)


def _kill(child: subprocess.Popen[str]) -> None:
    """End a program together with what it started, which would else hold its outputs open."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
