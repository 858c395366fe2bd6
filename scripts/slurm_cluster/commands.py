"""Running commands, and the one kind of failure that a person can do something about."""

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

STRAGGLERS_S = 30.0  # for what a killed command had started, which may go on writing for a moment

_children: list[subprocess.Popen[bytes]] = []


class ClusterError(Exception):
    """Says in one or two sentences what is wrong, and what to do."""


def run(command: Sequence[str], *, what: str = "", input_: str | None = None) -> str:
    """Run a command and return what it prints. Raises ClusterError with its last words where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, input=input_, check=False)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()
        raise ClusterError(f"{what or command[0]} failed: {lines[-1]}")
    return done.stdout


def start_detached(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start what is to outlive this command, and return it."""
    with log.open("wb") as out:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=environment,
            start_new_session=True,
            cwd="/",
        )
    _children.append(child)
    return child


def wait_for(ready: Path, child: subprocess.Popen[bytes], log: Path, *, what: str, bound_s: float) -> None:
    """Wait until a process that `start_detached` started has made a file. Raises ClusterError with its last words where it ends.

    It is not looked for among all processes: until the kernel has put its new program in place, it has no command line.
    """
    deadline = time.monotonic() + bound_s
    while not ready.exists():
        if time.monotonic() > deadline or child.poll() is not None:
            lines = log.read_text(encoding="utf-8").strip().splitlines()
            raise ClusterError(f"{what}: {lines[-1] if lines else 'it said nothing'}")
        time.sleep(0.01)


def reap() -> None:
    """Reap those of them that have ended, where this command is still their parent."""
    _children[:] = [child for child in _children if child.poll() is None]


def remove(folder: Path) -> None:
    """Remove a folder and all in it. Raises ClusterError where something in it cannot go, or is written again and again."""
    deadline = time.monotonic() + STRAGGLERS_S
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except OSError as error:
            if time.monotonic() > deadline:
                raise ClusterError(f"{folder} could not be removed: {error}") from None
            time.sleep(0.1)
