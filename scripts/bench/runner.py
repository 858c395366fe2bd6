"""Runs the commands that are measured, in a home of their own, so that nobody's runs are touched."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any, NamedTuple

from labs.catalog import Entry
from labs.files import read_json
from scripts.measure import measuring

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LABS = str(BIN / "labs")
TORCHX_VERSION = "0.7.0"
MAKE_VARIABLES = re.compile(r"MAKE.*|MFLAGS|NODES|PROCS|GPUS|SMOKE|LAUNCHER|DRYRUN|ARGS|LAB|TORCH|PYTHON")


class Sample(NamedTuple):
    """One run of a command: seconds of the clock and of the processors, the most memory of its largest process, its exit status."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    status: int


class Runner:
    """Runs commands with a folder as LABS_HOME, and without what make was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        inherited = {name: value for name, value in os.environ.items() if not MAKE_VARIABLES.fullmatch(name)}
        self.environ = inherited | {"LABS_HOME": str(folder)}

    def run(self, *command: str) -> Sample:
        """Run a command to its end, without its output, and measure it."""
        progress(" ".join((Path(command[0]).name, *command[1:])))
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as report:
            child = subprocess.Popen(
                measuring(report.fileno(), list(command)), cwd=ROOT, env=self.environ, process_group=0,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=[report.fileno()],
            )  # fmt: skip
            try:
                child.wait()
            except BaseException:
                os.killpg(child.pid, signal.SIGKILL)
                raise
            report.seek(0)
            return Sample(*json.load(report))

    def torchx(self) -> str:
        """Install TorchX in an environment of its own, since it wants other versions than the labs do; return its command."""
        folder = self.folder / "torchx"
        command = folder / "bin" / "torchx"
        if not command.exists():
            progress(f"installing TorchX {TORCHX_VERSION}")
            venv.create(folder, with_pip=True)
            install = [str(folder / "bin" / "pip"), "install", "-q", f"torchx=={TORCHX_VERSION}"]
            subprocess.run(install, check=True, capture_output=True)
        return str(command)

    def record(self, entry: Entry) -> dict[str, Any]:
        """Return the record that the lab's newest run left; an empty one where there is none."""
        records = (self.folder / "runs" / f"lab{entry.number:02d}").glob("*/run.json")
        return read_json(max(records, key=os.path.getmtime, default=self.folder))


def progress(text: str) -> None:
    """Show on a terminal what is being measured, in a line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def seconds(samples: list[Sample]) -> list[float]:
    return [sample.seconds for sample in samples]


def failures(samples: list[Sample]) -> str:
    """Return what a figure's note says of samples that failed, and nothing where none did."""
    return "".join(f"; exit status {sample.status}" for sample in samples if sample.status)
