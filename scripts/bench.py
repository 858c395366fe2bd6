"""Measure what this machine does beside the project's targets, and keep the figures in bench/.

It judges nothing: a busy machine is slow. `--quick` measures less and keeps nothing.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from labs import catalog, home
from labs.catalog import Entry

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
LABS = Path(sys.executable).with_name("labs")
TORCHX_VERSION = "0.7.0"
COMMANDS = ("list", "show 1", "--help", "run 1 --dry-run")
MAKE_VARIABLES = re.compile(r"MAKE.*|MFLAGS|NODES|PROCS|GPUS|SMOKE|LAUNCHER|DRYRUN|ARGS|LAB|TORCH|PYTHON")


class Sample(NamedTuple):
    """One run of a command: seconds of the clock and of the processors, and the most memory that it held at once."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    status: int


@dataclass
class Figure:
    """One measured figure: the median over the samples, beside its target."""

    what: str
    unit: str
    target: str
    samples: list[float]
    note: str = ""
    value: float = field(init=False)

    def __post_init__(self) -> None:
        self.samples = [round(sample, 4) for sample in self.samples]
        self.value = round(median(self.samples), 4)


class Bench:
    """Runs commands in a home of their own, so that nobody's runs are touched."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.rounds = rounds
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not MAKE_VARIABLES.fullmatch(name)}
        self.environ = kept | {"LABS_HOME": str(folder)}

    def run(self, *command: str) -> Sample:
        """Run a command to its end, without its output, and measure it."""
        progress(" ".join((Path(command[0]).name, *command[1:])))
        with tempfile.TemporaryFile() as output:
            begun = time.perf_counter()
            child = subprocess.Popen(command, cwd=ROOT, env=self.environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            try:
                _, status, usage = os.wait4(child.pid, 0)
            except BaseException:
                child.kill()
                raise
            took = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        return Sample(took, usage.ru_utime + usage.ru_stime, peak, child.returncode)

    def commands(self) -> Iterator[Figure]:
        """Time the commands that must feel instant."""
        for words in COMMANDS:
            samples = [self.run(str(LABS), *words.split()) for _ in range(self.rounds + 1)][1:]  # the first one warms the disk's cache
            yield Figure(f"labs {words}", "s", "≤ 0.3", seconds(samples), failures(samples))

    def set_up(self) -> Iterator[Figure]:
        """Time set-up where there is nothing to do."""
        samples = [self.run("make", "--silent", "setup") for _ in range(self.rounds + 1)][1:]  # the first one may have had something to do
        yield Figure("make setup, nothing to do", "s", "≤ 0.05", seconds(samples), failures(samples))

    def lab(self, entry: Entry, *options: str, rounds: int, target: str) -> Iterator[Figure]:
        """Run a lab by our command and by plain Python, in turn, and compare: that is what launching costs."""
        number = str(entry.number)
        ours, plain = (str(LABS), "run", number, *options), (sys.executable, "-m", entry.import_name, *options)
        name = " ".join((f"lab {entry.number:02d}", *options))
        pairs = [(self.run(*ours), self.run(*plain)) for _ in range(rounds)]
        by_us = [ours for ours, _ in pairs]
        yield Figure(name, "s", target, seconds(by_us), self.verdicts(entry) + failures(by_us))
        yield Figure(f"{name}, peak memory", "MiB", "≤ 2048" if options else "≤ 4096", [sample.peak_mib for sample in by_us])
        by_cpu = median(ours.cpu_seconds / plain.cpu_seconds for ours, plain in pairs)  # others on the machine disturb it less
        ratios = [ours.seconds / plain.seconds for ours, plain in pairs]
        yield Figure(f"{name}: labs run against python -m", "×", "≤ 1.05", ratios, f"{by_cpu:.3f} × in processor time")

    def starters(self, entry: Entry, rounds: int) -> Iterator[Figure]:
        """Run a distributed lab by our command, by bare torchrun and by TorchX's local scheduler, in turn, and compare."""
        count = entry.processes
        beside = str(Path(sys.executable).parent)  # where TorchX looks for torchrun
        ours = [str(LABS), "run", str(entry.number), "--smoke"]
        torchrun = [f"{beside}/torchrun", "--standalone", f"--nproc-per-node={count}", "-m", entry.import_name, "--smoke"]
        torchx = [self.torchx(), "run", "-s", "local_cwd", "dist.ddp", "-j", f"1x{count}", "-m", entry.import_name, "--", "--smoke"]
        self.environ |= {"PATH": f"{beside}:{os.environ['PATH']}"}
        rows = [[self.run(*command) for command in (ours, torchrun, torchx)] for _ in range(rounds)]
        name = f"lab {entry.number:02d} --smoke, {count} processes"
        mine = [row[0] for row in rows]
        yield Figure(name, "s", "≤ 60", seconds(mine), self.verdicts(entry) + failures(mine))
        for place, other in ((1, "bare torchrun"), (2, "TorchX, local_cwd")):
            ratios = [row[0].seconds / row[place].seconds for row in rows]
            apart = median(row[place].seconds - row[0].seconds for row in rows)
            yield Figure(
                f"{name}: labs run against {other}", "×", "< 1", ratios, f"{apart:.1f} s sooner" + failures([row[place] for row in rows])
            )

    def torchx(self) -> str:
        """Install TorchX in an environment of its own, since it wants other versions than the labs do; return its command."""
        place = self.folder / "torchx"
        command = place / "bin" / "torchx"
        if not command.exists():
            progress(f"installing TorchX {TORCHX_VERSION}")
            venv.create(place, with_pip=True)
            subprocess.run([place / "bin" / "pip", "install", "-q", f"torchx=={TORCHX_VERSION}"], check=True, capture_output=True)
        return str(command)

    def record(self, entry: Entry) -> dict[str, Any]:
        """Return the record that the lab's newest run left; an empty one where there is none."""
        records = (self.folder / "runs" / f"lab{entry.number:02d}").glob("*/run.json")
        return home.read_json(max(records, key=os.path.getmtime, default=self.folder))

    def verdicts(self, entry: Entry) -> str:
        """Say how many claims held in the newest run."""
        claims = self.record(entry).get("claims", [])
        return f"{sum(claim['verdict'] == 'held' for claim in claims)} of {len(claims)} claims held"


def progress(text: str) -> None:
    """Show on a terminal what is being measured, in a line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def seconds(samples: list[Sample]) -> list[float]:
    return [sample.seconds for sample in samples]


def failures(samples: list[Sample]) -> str:
    return "".join(f"; exit status {sample.status}" for sample in samples if sample.status)


def figures(bench: Bench, entries: list[Entry], quick: bool) -> Iterator[Figure]:
    """Measure everything, one figure after the other."""
    yield from bench.commands()
    yield from bench.set_up()
    for entry in entries:
        if entry.distributed:
            yield from bench.starters(entry, rounds=1 if quick else 3)
            continue
        yield from bench.lab(entry, "--smoke", rounds=bench.rounds, target="≤ 60")
        if not quick:
            yield from bench.lab(entry, rounds=bench.rounds if entry.number == 1 else 1, target="≤ 180")


def line(figure: Figure) -> str:
    """Return a figure as a line of the table."""
    spread = f"{min(figure.samples):.3g} … {max(figure.samples):.3g}" if len(figure.samples) > 1 else ""
    shown = f"{figure.what:<46} {figure.value:>8.4g} {figure.unit:<4} {figure.target:<8} {spread:<16} {figure.note}"
    return shown.rstrip()


def machine_name() -> str:
    """Name the machine by its kind, never by its host name."""
    return f"{platform.system()}-{platform.machine()}-{os.cpu_count()}-cores".lower()


def document(measured: list[Figure], record: dict[str, Any], load: list[tuple[float, float, float]]) -> dict[str, Any]:
    """Return what is kept: the figures, and on what they were measured. The load is uptime's, at the start and at the end."""
    about = {name: record.get(name) for name in ("git", "machine", "versions")}
    return {"date": f"{datetime.now():%Y-%m-%d}", **about, "load": load, "figures": [asdict(figure) for figure in measured]}


def keep(found: dict[str, Any]) -> Path:
    """Write a run's figures; a later run of the same day on a like machine takes their place."""
    BENCH.mkdir(exist_ok=True)
    path = BENCH / f"{found['date']}-{machine_name()}.json"
    home.write_whole(path, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return path


def main(arguments: list[str]) -> int:
    """Measure, showing each figure as soon as it is there, and keep them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of everything, no default runs, nothing kept")
    quick = parser.parse_args(arguments).quick
    entries = [entry for entry in catalog.all_labs().values() if entry.ready]
    load, measured = [os.getloadavg()], []
    with tempfile.TemporaryDirectory(prefix="labs-bench-") as folder:
        bench = Bench(Path(folder), rounds=1 if quick else 5)
        for figure in figures(bench, entries, quick):
            progress("")
            print(line(figure), flush=True)
            measured.append(figure)
        record = bench.record(entries[0])
    if not quick:
        path = keep(document(measured, record, [*load, os.getloadavg()]))
        print(f"kept in {path.parent.name}/{path.name}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nstopped; nothing is kept", file=sys.stderr)
        sys.exit(130)
