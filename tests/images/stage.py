"""What a test of the launcher plays on: a checkout with the probe in it, an engine, and what is left of a run."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from labs.launch.docker import LABEL

ROOT, HERE = Path(__file__).parents[2], Path(__file__).parent
LIMIT_S = 300.0  # guards against hangs, on a busy machine too

Engine = Callable[..., str]


class Ended(NamedTuple):
    status: int
    out: str
    err: str


def ended(done: "subprocess.CompletedProcess[str]") -> Ended:
    return Ended(done.returncode, done.stdout, done.stderr)


class Stage:
    """A checkout with the probe in it, whose runs the docker launcher starts, and what became of them."""

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        environment: dict[str, str] | None = None,
        before: tuple[str, ...] = (),
    ) -> None:
        self.checkout, self.home, self.engine, self.before = (
            folder / "checkout",
            folder / "home",
            engine,
            before,
        )
        self.run_folder = self.home / "runs" / "lab43" / "2026-01-01T00-00-00-docker"
        self.environment = (
            os.environ | (environment or {}) | {"LABS_HOME": str(self.home), "PYTHONPATH": str(self.checkout)}
        )
        shutil.copytree(ROOT / "labs", self.checkout / "labs", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(HERE / "probe.py", self.checkout / "labs")
        self.started: list[subprocess.Popen[str]] = []

    def start(
        self, verb: str, *wishes: str, nodes: int = 2, procs: int = 1, user: int | None = None
    ) -> "subprocess.Popen[str]":
        # Launching needs the standard library alone; this interpreter may lie where nobody else can read.
        python = sys.executable if user is None else "/usr/bin/python3"
        command = [
            *self.before,
            python,
            str(HERE / "command.py"),
            str(nodes),
            str(procs),
            str(self.run_folder),
            verb,
            *wishes,
        ]
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.checkout,
            user=user, group=user, extra_groups=None if user is None else [],
        )  # fmt: skip
        self.started.append(process)
        return process

    def ended(self, process: "subprocess.Popen[str]") -> Ended:
        out, err = process.communicate(timeout=LIMIT_S)
        return Ended(process.returncode, out, err)

    def labs(self, *words: str) -> Ended:
        """A command of `labs`, in this checkout."""
        command = [sys.executable, "-m", "labs", *words]
        return ended(
            subprocess.run(
                command,
                env=self.environment,
                capture_output=True,
                text=True,
                cwd=self.checkout,
                timeout=LIMIT_S,
                check=False,
            )
        )

    def open_to_all(self) -> None:
        """Let everybody read what pytest keeps for its owner alone."""
        for folder in (self.checkout, *self.checkout.parents):
            if folder.owner() == "root" and folder.stat().st_mode & 0o777 == 0o700:
                folder.chmod(0o755)

    def facts(self, ranks: int) -> list[dict[str, Any]]:
        """Return what each rank saw, once all are there."""
        files = [self.run_folder / f"facts{rank}.json" for rank in range(ranks)]
        self.until(lambda: all(file.exists() and file.read_text() for file in files), f"{ranks} ranks")
        return [json.loads(file.read_text()) for file in files]

    def until(self, true: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + LIMIT_S / 2
        while not true():
            assert time.monotonic() < end, f"waited in vain for: {what}"
            time.sleep(0.05)

    def left(self) -> str:
        """Return what the launcher has left in the engine."""
        ours = ("--quiet", "--filter", f"label={LABEL}")
        return self.engine("ps", "--all", *ours) + self.engine("network", "ls", *ours)

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()
        for kind, all_, force in (("container", ["--all"], ["--force"]), ("network", [], [])):
            for id_ in self.engine(kind, "ls", "--quiet", *all_, "--filter", f"label={LABEL}").split():
                with suppress(AssertionError):  # gone meanwhile
                    self.engine(kind, "rm", *force, id_)
