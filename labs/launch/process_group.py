"""Processes that belong together: each leads a process group of its own, one's failure ends all, and none is left behind."""

import os
import selectors
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Self

from labs.errors import UsageError
from labs.launch.orphan_guard import OrphanGuard
from labs.launch.output import Output, say

PATIENCE_S = 5.0  # once one has failed, the others may end by themselves and say why
GRACE_S = 5.0  # between the wish to end and SIGKILL
ENDING = (signal.SIGINT, signal.SIGTERM)
ORDINARY = range(3)  # all is well, a claim failed, bad usage: what ends with these has told its story itself
FORWARDED = (*ENDING, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(eq=False)
class Child:
    """One process of a group. Its output is its own affair unless an Output is given."""

    name: str
    process: subprocess.Popen[bytes]
    output: Output | None

    def send(self, number: int) -> None:
        """Send a signal. It goes to the process alone, whose helpers are its own to end; only SIGKILL goes to all of its group."""
        if number == signal.SIGKILL:
            with suppress(
                ProcessLookupError, PermissionError
            ):  # all have ended; macOS says the latter of zombies
                os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)


class ProcessGroup:
    """Starts processes, passes on signals, and waits for all. Statuses in `quiet` are named only where others had to be ended for them."""

    def __init__(self, quiet: range, grace_s: float = GRACE_S) -> None:
        self.quiet, self.grace_s = quiet, grace_s
        self.children: list[Child] = []
        self.status = 0
        self._unsaid = ""
        self._ending = False
        self._due: list[tuple[float, int]] = []  # what all are sent next, and when

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._selector = stack.enter_context(selectors.DefaultSelector())
            self._signals = stack.enter_context(_signals())
            self._selector.register(self._signals, selectors.EVENT_READ, self._hear)
            self._guard = OrphanGuard()
            stack.callback(self._guard.release)
            stack.callback(self._kill)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        output: Output | None = None,
        *,
        leash: bool = False,
    ) -> None:
        """Start a process. With an Output it gets a pipe, without one this process's own terminal.

        With a leash its stdin is a pipe that breaks when this process ends, however that may be.
        """
        nothing, pipe, joined = (
            (subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT) if output else (None, None, None)
        )
        stdin = subprocess.PIPE if leash else nothing
        try:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=stdin,
                stdout=pipe,
                stderr=joined,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise UsageError(f"{name} could not be started: {error.strerror}") from None
        child = Child(name, process, output)
        self.children.append(child)
        self._hold()
        if process.stdout:
            os.set_blocking(process.stdout.fileno(), False)
            self._selector.register(process.stdout, selectors.EVENT_READ, partial(self._read, child))

    def wait(self) -> int:
        """Return once all have ended: 0, the status of the first that broke, or 128 + the signal that was to end them."""
        while self.children:
            for key, _ in self._selector.select(self._seconds_to_due()):
                key.data()
            self._send_due()
            for child in [child for child in self.children if child.process.poll() is not None]:
                self._bury(child)
                self._judge(child)
        return self.status

    def _hear(self) -> None:
        for number in self._signals.recv(4096):
            if number in ENDING:
                self._asked_to_end(number)
            elif number in FORWARDED:
                self._send(number)

    def _asked_to_end(self, number: int) -> None:
        self.status = self.status or 128 + number
        if not self._ending:
            self._end(number)
        elif number == signal.SIGINT:  # Ctrl-C once more: no grace
            self._end(signal.SIGKILL)

    def _end(self, number: int, after_s: float = 0) -> None:
        when = monotonic() + after_s
        self._due = [(when, number), (when + self.grace_s, signal.SIGKILL)]

    def _seconds_to_due(self) -> float | None:
        return max(0.0, self._due[0][0] - monotonic()) if self._due else None

    def _send_due(self) -> None:
        while self._due and self._due[0][0] <= monotonic():
            if self._unsaid:
                say(f"{self._unsaid}; the others went on, and are ended now")
            self._unsaid, self._ending = "", True
            self._send(self._due.pop(0)[1])

    def _send(self, number: int) -> None:
        for child in self.children:
            child.send(number)

    def _read(self, child: Child) -> None:
        pipe = child.process.stdout
        if pipe and child.output and not child.output.read(pipe.fileno()):
            self._selector.unregister(pipe)

    def _bury(self, child: Child) -> None:
        """See that nothing is left of an ended process: neither helpers nor unread output."""
        child.send(signal.SIGKILL)
        if child.process.stdin:
            child.process.stdin.close()
        if child.process.stdout and child.output:
            with (
                child.process.stdout as pipe,
                suppress(KeyError),
            ):  # the latter where its output had ended before
                self._read(child)
                self._selector.unregister(pipe)
            child.output.end()
        self.children.remove(child)
        self._hold()

    def _hold(self) -> None:
        self._guard.hold(child.process.pid for child in self.children)

    def _judge(self, child: Child) -> None:
        """Name a process that broke, and let its failure end the others."""
        code = child.process.returncode
        if self._ending or code == 0:
            return
        named = f"{child.name} {_how(code)}"
        if not self.status:
            self._unsaid = named
            self._end(signal.SIGTERM, after_s=PATIENCE_S)
        if code not in self.quiet:
            self._unsaid = ""
            say("\n  | ".join([named, *(child.output.last_lines if child.output else [])]))
        status = code if code > 0 else 128 - code
        if not self.status or (self.status in ORDINARY and status not in ORDINARY):
            self.status = status

    def _kill(self) -> None:
        for child in self.children:
            with child.process:
                child.send(signal.SIGKILL)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Yield a socket on which each signal arrives as a byte, so that one `select` waits for signals and output alike."""
    ignored = {
        number for number in FORWARDED if signal.getsignal(number) is signal.SIG_IGN
    }  # as nohup wants it of SIGHUP, Slurm of SIGUSR2
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        before = {number: signal.signal(number, _noted) for number in {signal.SIGCHLD, *FORWARDED} - ignored}
        waker = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(waker)
            # Another thread may have taken a SIGCHLD and not have noted it yet: if it found the default by then, Python would complain.
            if before[signal.SIGCHLD] is signal.SIG_DFL:
                del before[signal.SIGCHLD]
            for number, handler in before.items():
                signal.signal(number, handler)


def _noted(number: int, frame: object) -> None:
    """Do nothing: Python writes to the socket only for signals that have a handler."""


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    name = next((known.name for known in signal.Signals if known == -code), "real-time")
    return f"was killed by signal {-code} ({name})"
