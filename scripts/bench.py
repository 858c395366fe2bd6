"""Measure what this machine does beside the project's targets, and keep the figures in bench/.

It judges nothing: a busy machine is slow. `--quick` measures less and keeps nothing.
"""

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, NoReturn

sys.path.insert(0, str(Path(__file__).parents[1]))

from labs import catalog, home
from labs.catalog import Entry
from scripts.measure import measuring

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
LABS = Path(sys.executable).with_name("labs")
TORCHX_VERSION = "0.7.0"
ALONE, TOGETHER = 1, 43  # the labs on which launching one process, and two, is compared with other ways
WIDTHS = 8, 15, 22  # of target, spread and note
COMMANDS = ("list", "show 1", "--help", "run 1 --dry-run")
MAKE_VARIABLES = re.compile(r"MAKE.*|MFLAGS|NODES|PROCS|GPUS|SMOKE|LAUNCHER|DRYRUN|ARGS|LAB|TORCH|PYTHON")


class Sample(NamedTuple):
    """One run of a command: seconds of the clock and of the processors, the most memory of its largest process, its exit status."""

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
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as report:
            files: dict[str, Any] = {
                "stdin": subprocess.DEVNULL,
                "stdout": output,
                "stderr": output,
                "pass_fds": [report.fileno()],
            }
            child = subprocess.Popen(
                measuring(report.fileno(), list(command)),
                cwd=ROOT,
                env=self.environ,
                process_group=0,
                **files,
            )
            try:
                child.wait()
            except BaseException:
                os.killpg(child.pid, signal.SIGKILL)
                raise
            report.seek(0)
            return Sample(*json.load(report))

    def commands(self) -> Iterator[Figure]:
        """Time the commands that must feel instant."""
        for words in COMMANDS:
            samples = [self.run(str(LABS), *words.split()) for _ in range(self.rounds + 1)][
                1:
            ]  # the first one warms the disk's cache
            yield Figure(f"labs {words}", "s", "≤ 0.3", seconds(samples), failures(samples))

    def set_up(self) -> Iterator[Figure]:
        """Time set-up where there is nothing to do. Where there is, do not do it: who measures changes nothing."""
        if self.run("make", "--question", "setup").status:
            return
        samples = [self.run("make", "--silent", "setup") for _ in range(self.rounds)]
        yield Figure("make setup, nothing to do", "s", "≤ 0.05", seconds(samples), failures(samples))

    def lab(self, entry: Entry, *options: str) -> Iterator[Figure]:
        """Run a lab once, as a person would."""
        sample = self.run(str(LABS), "run", str(entry.number), *options)
        name = " ".join((f"lab {entry.number:02d}", *options))
        yield Figure(
            name,
            "s",
            "≤ 60" if options else "≤ 180",
            [sample.seconds],
            self.verdicts(entry) + failures([sample]),
        )
        yield Figure(
            f"{name}, peak memory",
            "MiB",
            "≤ 2048" if options else "≤ 4096",
            [sample.peak_mib],
            "of the largest process",
        )

    def overhead(self, entry: Entry, *options: str, rounds: int) -> Iterator[Figure]:
        """Run a lab by our command and by plain Python, in turn, and compare: that is what launching costs."""
        ours, plain = (
            (str(LABS), "run", str(entry.number), *options),
            (sys.executable, "-m", entry.import_name, *options),
        )
        name = " ".join((f"lab {entry.number:02d}", *options))
        pairs = [(self.run(*ours), self.run(*plain)) for _ in range(rounds)]
        by_cpu = median(
            ours.cpu_seconds / plain.cpu_seconds for ours, plain in pairs
        )  # others on the machine disturb it less
        ratios = [ours.seconds / plain.seconds for ours, plain in pairs]
        yield Figure(
            f"{name}: labs run against python -m", "×", "≤ 1.05", ratios, f"{by_cpu:.3f} × in processor time"
        )

    def starters(self, entry: Entry, rounds: int) -> Iterator[Figure]:
        """Run a distributed lab by our command, by bare torchrun and by TorchX's local scheduler, in turn, and compare."""
        count = entry.processes
        beside = str(Path(sys.executable).parent)  # where TorchX looks for torchrun
        ours = [str(LABS), "run", str(entry.number), "--smoke"]
        torchrun = [
            f"{beside}/torchrun",
            "--standalone",
            f"--nproc-per-node={count}",
            "-m",
            entry.import_name,
            "--smoke",
        ]
        torchx = [
            self.torchx(),
            "run",
            "-s",
            "local_cwd",
            "dist.ddp",
            "-j",
            f"1x{count}",
            "-m",
            entry.import_name,
            "--",
            "--smoke",
        ]
        self.environ |= {"PATH": f"{beside}:{os.environ['PATH']}"}
        rows = [[self.run(*command) for command in (ours, torchrun, torchx)] for _ in range(rounds)]
        name = f"lab {entry.number:02d} --smoke, {count} processes"
        mine = [row[0] for row in rows]
        for place, other in ((1, "bare torchrun"), (2, "TorchX, local_cwd")):
            ratios = [row[0].seconds / row[place].seconds for row in rows]
            apart = median(row[place].seconds - row[0].seconds for row in rows)
            yield Figure(
                f"{name}: labs run against {other}",
                "×",
                "< 1",
                ratios,
                f"{apart:.1f} s sooner" + failures([*mine, *[row[place] for row in rows]]),
            )

    def torchx(self) -> str:
        """Install TorchX in an environment of its own, since it wants other versions than the labs do; return its command."""
        place = self.folder / "torchx"
        command = place / "bin" / "torchx"
        if not command.exists():
            progress(f"installing TorchX {TORCHX_VERSION}")
            venv.create(place, with_pip=True)
            subprocess.run(
                [place / "bin" / "pip", "install", "-q", f"torchx=={TORCHX_VERSION}"],
                check=True,
                capture_output=True,
            )
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
        yield from bench.lab(entry, "--smoke")
        if not quick:
            yield from bench.lab(entry)
        if entry.number == ALONE:
            yield from bench.overhead(entry, "--smoke", rounds=bench.rounds)
        if entry.number == TOGETHER:
            yield from bench.starters(entry, rounds=1 if quick else 3)


def line(figure: Figure) -> str:
    """Return a figure as a row of the table."""
    spread = f"{min(figure.samples):.3g} … {max(figure.samples):.3g}" if len(figure.samples) > 1 else ""
    return row(figure.what, f"{figure.value:.4g} {figure.unit}", figure.target, spread, figure.note)


def row(*cells: str) -> str:
    """Return a row of a table in Markdown, which reads well on a terminal too: the number stands on the right."""
    what, value, *others = cells
    return (
        "| "
        + " | ".join(
            [
                f"{what:<64}",
                f"{value:>12}",
                *(f"{cell:<{width}}" for cell, width in zip(others, WIDTHS, strict=True)),
            ]
        )
        + " |"
    )


def machine_name() -> str:
    """Name the machine by its kind, never by its host name."""
    return f"{platform.system()}-{platform.machine()}-{os.cpu_count()}-cores".lower()


def document(
    measured: list[Figure], record: dict[str, Any], load: list[tuple[float, float, float]]
) -> dict[str, Any]:
    """Return what is kept: the figures, and on what they were measured. The load is uptime's, at the start and at the end."""
    about = {name: record.get(name) for name in ("git", "machine", "versions")}
    return {
        "date": f"{datetime.now():%Y-%m-%d}",
        **about,
        "load": load,
        "figures": [asdict(figure) for figure in measured],
    }


def keep(found: dict[str, Any], about: str = "") -> Path:
    """Write a run's figures; a later run about the same labs, of the same day on a like machine, takes their place."""
    BENCH.mkdir(exist_ok=True)
    path = BENCH / f"{found['date']}-{about}{machine_name()}.json"
    home.write_whole(path, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return path


def main(arguments: list[str]) -> int:
    """Measure, showing each figure as soon as it is there, and keep them all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round of everything, no default runs, nothing kept"
    )
    parser.add_argument("labs", nargs="*", metavar="N", help="only these labs, kept under their numbers")
    words = parser.parse_args(arguments)
    quick = words.quick
    entries = [catalog.find_ready(lab) for lab in words.labs] or [
        entry for entry in catalog.all_labs().values() if entry.ready
    ]
    load, measured = [os.getloadavg()], []
    with tempfile.TemporaryDirectory(prefix="labs-bench-") as folder:
        bench = Bench(Path(folder), rounds=1 if quick else 5)
        print(row("what", "median", "target", "spread", "note"))
        print("| --- | ---: | --- | --- | --- |")
        for figure in figures(bench, entries, quick):
            progress("")
            print(line(figure), flush=True)
            measured.append(figure)
        record = bench.record(entries[0])
    if not quick:
        path = keep(
            document(measured, record, [*load, os.getloadavg()]),
            "".join(f"lab{entry.number:02d}-" for entry in entries if words.labs),
        )
        print(f"kept in {path.parent.name}/{path.name}")
    return 0


def exit_with(main: Callable[[list[str]], int], arguments: list[str]) -> NoReturn:
    """End this process with what `main` returns; or with 130, and a word, where somebody stops it."""
    try:
        sys.exit(main(arguments))
    except KeyboardInterrupt:
        print("\nstopped; nothing is kept", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    exit_with(main, sys.argv[1:])
