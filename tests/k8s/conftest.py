"""A stage: the launcher, the official client and real sockets on one side, a recording on the other. Only `make test-k8s` runs it."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from labs.launch import LAUNCHERS, Request, RunSpec
from labs.launch.kubernetes import live
from tests import asked
from tests.k8s.replay import Faults, Server, Tape

RECORDINGS = Path(__file__).parent / "recordings"
MODULE = "labs.m6_production.lab43_ddp_concepts"
BOUND_S = 60.0  # guards against hangs


def pytest_configure(config: pytest.Config) -> None:
    asked.watch(config, "k8s")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it is asked for by name: `make test` has enough to do."""
    return None if asked.by_name(config, "k8s") else True


@dataclass
class Told:
    """What a person saw of a run."""

    status: int
    out: str
    err: str
    folder: Path
    server: Server[Tape]

    @property
    def note(self) -> Any:
        return json.loads((self.folder / "job.json").read_text())

    def asked(self, method: str) -> list[tuple[str, Any]]:
        return [(path, body) for how, path, body in self.server.tape.asked if how == method]


class Stage:
    """Replays recordings to the launcher."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], folder: Path
    ) -> None:
        self.monkeypatch, self.capfd, self.folder = monkeypatch, capfd, folder
        self.server: Server[Tape] | None = None
        self.launcher = LAUNCHERS["k8s"]
        monkeypatch.setattr("labs.launch.kubernetes.drawn", lambda count=6: "7f3a")

    def serve(self, name: str, speed: float = 20.0, faults: Faults | None = None) -> Server[Tape]:
        self.server = Server(Tape(RECORDINGS / f"{name}.json", speed, faults or Faults()))
        self.monkeypatch.setenv("KUBECONFIG", str(self.server.kubeconfig(self.folder / "kubeconfig")))
        usual = live.Patience()
        scaled = replace(
            usual,
            **{
                bound: getattr(usual, bound) / speed
                for bound in ("refused", "vain", "settling", "results", "notice")
            },
        )
        scaled = replace(scaled, results=max(scaled.results, 3.0), away=5.0, quiet=0.3)
        self.monkeypatch.setattr(live, "Patience", lambda: scaled)
        return self.server

    def spec(self, **wishes: str) -> RunSpec:
        assert self.server
        job = next((step for step in self.server.tape.steps if step.kind == "Job"), None)
        posted = self.server.tape.posts("jobs")
        sent = job.found["spec"] if job else posted[0]["request"]["body"]["spec"] if posted else {}
        folder = self.folder / f"at-{self.server.tape.speed:g}" / "runs" / "lab43" / "now-k8s"
        lab = 0 if job and job.name.startswith("preflight") else self._lab(job.name if job else "lab43")
        return RunSpec(
            lab,
            MODULE,
            "k8s",
            folder,
            nodes=sent.get("completions") or 1,
            gpus="0",
            request=Request(**wishes),
        )

    def run(self, *, signals: tuple[float, ...] = (), **wishes: str) -> Told:
        """Submit a run to what is served. `signals`: Ctrl-C so many seconds of the recording after the POST."""
        spec = self.spec(**wishes)
        assert self.server
        assert spec.folder
        over = threading.Event()
        for after in signals:
            threading.Thread(
                target=self._interrupt, args=(self.server.tape, after, over), daemon=True
            ).start()
        try:
            status = self.launcher.submit(spec)
        finally:
            over.set()
        out, err = self.capfd.readouterr()
        return Told(status, out, err, spec.folder, self.server)

    @staticmethod
    def _lab(name: str) -> int:
        return int(name[3:5])

    @staticmethod
    def _interrupt(tape: Tape, after: float, over: threading.Event) -> None:
        while tape.now() < tape.first + after:
            time.sleep(0.01)
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    def close(self) -> None:
        if self.server:
            self.server.close()
        until = time.monotonic() + BOUND_S
        while any(thread.name.startswith(("watch ", "log ")) for thread in threading.enumerate()):
            assert time.monotonic() < until, "a watcher or follower outlives its run"
            time.sleep(0.02)


@pytest.fixture
def stage(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Stage]:
    made = Stage(monkeypatch, capfd, tmp_path)
    yield made
    made.close()
