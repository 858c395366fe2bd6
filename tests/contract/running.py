"""Run a lab in processes of its own, with a bound on its time, and measure the memory that it takes."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from labs import record
from labs.catalog import Entry
from scripts.measure import measuring

HANGING_S = 840  # a guard against hangs, and no measure of speed: a busy machine is no failure


class Ended(NamedTuple):
    """A process that has ended. `peak_bytes` is the most memory that it held at once."""

    status: int
    stdout: str
    stderr: str
    peak_bytes: float


def surroundings(folder: Path) -> dict[str, str]:
    return {**os.environ, "LABS_HOME": str(folder / "home"), "PYTHONWARNINGS": "always"}


def to_its_end(command: list[str], folder: Path) -> Ended:
    """Run a command with a bound on its time, and return what it said and how much memory it took."""
    with (
        (folder / "stdout").open("w+") as stdout,
        (folder / "stderr").open("w+") as stderr,
        TemporaryFile() as report,
    ):
        files: dict[str, Any] = {"stdout": stdout, "stderr": stderr, "pass_fds": [report.fileno()]}
        process = subprocess.Popen(
            measuring(report.fileno(), command),
            cwd=folder,
            env=surroundings(folder),
            process_group=0,
            **files,
        )
        watchdog = threading.Timer(HANGING_S, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.start()
        try:
            process.wait()
        finally:
            watchdog.cancel()
        for file in (stdout, stderr, report):
            file.seek(0)
        *_, peak_mib, status = json.loads(report.read() or f"[0, {-signal.SIGKILL}]")
        return Ended(status, stdout.read(), stderr.read(), peak_mib * 2**20)


def ran(entry: Entry, folder: Path, *command: str) -> tuple[Ended, record.Run]:
    """Run a lab with this command of Python's, which must hold, and return what it said and its record."""
    ended = to_its_end([sys.executable, "-m", *command], folder)
    assert ended.status == 0, ended.stdout + ended.stderr
    return ended, record.load(run_folder(entry, folder))


def run_folder(entry: Entry, folder: Path) -> Path:
    (found,) = (folder / "home" / "runs" / f"lab{entry.number:02d}").iterdir()
    return found
