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


def start_detached(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Start what is to outlive this command."""
    with log.open("wb") as out:
        _children.append(
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
                start_new_session=True,
                cwd="/",
            )
        )


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
