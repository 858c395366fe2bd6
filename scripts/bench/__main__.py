"""Measure what this machine does beside the project's targets, and keep the figures in bench/.

It judges nothing: a busy machine is slow. `--quick` measures less and keeps nothing.
"""

import argparse
import os
import tempfile
from pathlib import Path

from labs import catalog
from labs.catalog import Entry
from scripts.bench import labs, results
from scripts.bench.figures import Figure, header
from scripts.bench.runner import Runner, progress
from scripts.entry import exit_with


def main(arguments: list[str]) -> int:
    """Measure, showing each figure as soon as it is there, and keep them all."""
    options = parse(arguments)
    chosen = [catalog.find_ready(lab) for lab in options.labs]
    entries = chosen or [entry for entry in catalog.all_labs().values() if entry.ready]
    load = [os.getloadavg()]
    with tempfile.TemporaryDirectory(prefix="labs-bench-") as folder:
        runner = Runner(Path(folder))
        figures = measure(runner, entries, quick=options.quick)
        record = runner.record(entries[0])
    if not options.quick:
        about = "-".join(f"lab{entry.number:02d}" for entry in chosen)
        results.keep(results.document(figures, record, [*load, os.getloadavg()]), about)
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round of everything, no default runs, nothing kept"
    )
    parser.add_argument("labs", nargs="*", metavar="N", help="only these labs, kept under their numbers")
    return parser.parse_args(arguments)


def measure(runner: Runner, entries: list[Entry], *, quick: bool) -> list[Figure]:
    figures = []
    print(header())
    for figure in labs.figures(runner, entries, rounds=1 if quick else 5, quick=quick):
        progress("")
        print(figure, flush=True)
        figures.append(figure)
    return figures


if __name__ == "__main__":
    exit_with(main)
