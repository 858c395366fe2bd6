"""A stage for real processes: what runs there is seen through the notes that its ranks leave, and is gone when the test is over."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
LIMIT_S = 20.0  # for what takes no time on an idle machine


class Ended(NamedTuple):
    status: int
    out: str
    err: str


class Stage:
    """Starts commands, reads the ranks' notes, and sees what is still alive."""

    def __init__(self, folder: Path) -> None:
        self.notes, self.run_folder = folder / "notes", folder / "run"
        self.notes.mkdir()
        self.run_folder.mkdir()
        self.started: list[subprocess.Popen[str]] = []

    def start(
        self, *words: str, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE, **environment: str
    ) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        everything = {**kept, "STAND_IN_NOTES": str(self.notes), **environment}
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=stdout,
            stderr=stderr,
            text=True,
            errors="replace",
            env=everything,
        )
        self.started.append(process)
        return process

    def node(
        self, verb: str, *, procs: int = 2, nodes: int = 1, node: int = 0, options: Sequence[str] = (), port: int = 0,
        stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE, kept: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:  # fmt: skip
        """Start one node's ranks as a launcher does."""
        size = [
            "--nodes",
            str(nodes),
            "--node",
            str(node),
            "--procs",
            str(procs),
            *([] if "--meet" in options else ["--port", str(port or free_port())]),
        ]
        where = [] if "--master" in options else ["--master", "127.0.0.1"]
        command = ["-m", "labs.launch.node", *size, *where, *options, "--", "tests.launch.stand_in", verb]
        return self.start(*command, stdout=stdout, stderr=stderr, **(kept or {}))

    def local(
        self, verb: str, *, nodes: int = 2, procs: int = 1, gpus: str = "auto"
    ) -> subprocess.Popen[str]:
        """Start a command that runs the stand-in by the local launcher."""
        return self.start(str(HERE / "command.py"), str(nodes), str(procs), gpus, str(self.run_folder), verb)

    def ranks(self, count: int) -> list[dict[str, Any]]:
        """Return the notes of so many ranks, once all are there."""
        files = [self.notes / f"rank{rank}.json" for rank in range(count)]
        until(lambda: all(file.exists() for file in files), f"{count} ranks")
        return [json.loads(file.read_text()) for file in files]

    def close(self) -> None:
        """End what a failed test left."""
        for process in self.started:
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=1)
        for file in self.notes.glob("*.json"):
            for pid in pids([json.loads(file.read_text())]):
                with suppress(ProcessLookupError):
                    os.kill(pid, 9)


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a process, and of all that shares its output."""
    out, err = process.communicate(timeout=LIMIT_S)
    return Ended(process.returncode, out, err)


def pids(notes: Iterable[dict[str, Any]]) -> list[int]:
    """Return the processes of these ranks, their helpers included."""
    return [note[name] for note in notes for name in ("pid", "helper") if name in note]


def until(true: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Wait until something has come true. Fails the test where it does not in time."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, f"waited {limit_s:g} s in vain for: {what}"
        time.sleep(0.02)


def all_gone(processes: Iterable[int], limit_s: float = 2.0) -> None:
    """Wait until none of these processes is alive."""
    until(lambda: not any(alive(pid) for pid in processes), "the end of all processes", limit_s)


def alive(pid: int) -> bool:
    try:
        return bool(
            psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        )  # whoever adopted an orphan may be slow to bury it
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()
