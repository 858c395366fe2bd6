"""Keep the records of runs as a reference: what was measured there, of which claim, on which device and by which versions.

python -m scripts.bench.reference NAME RUN_FOLDER… puts them into bench/reference/NAME, without the prose that the labs have anyway.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from labs import record
from labs.files import write_whole
from scripts.bench.results import FOLDER
from scripts.entry import exit_with

REFERENCES = FOLDER / "reference"
PROSE = {"sections", "opening", "parts", "steps", "exercises"}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="what they are a reference for, such as h100-torch-2.11")
    parser.add_argument("runs", nargs="+", type=Path, help="folders with a run.json")
    options = parser.parse_args(arguments)
    kept = REFERENCES / options.name
    kept.mkdir(parents=True, exist_ok=True)
    for folder in options.runs:
        run = record.load(folder)
        write_whole(kept / f"{named(run)}.json", measured(run))
    write_whole(kept / "README.md", overview(options.name, references(kept)))
    print(f"kept in {kept.relative_to(FOLDER.parent)}")
    return 0


def named(run: record.Run) -> str:
    """Name a run by its lab and by how many processes it had, if those are not the lab's own."""
    return f"lab{run.lab:02d}-{run.nodes * run.procs}-process{'es' if run.nodes * run.procs > 1 else ''}"


def measured(run: record.Run) -> str:
    """Return a run's record as JSON without the prose."""
    found = run.model_dump(mode="json", exclude=PROSE)
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def references(folder: Path) -> list[record.Run]:
    """Return the runs that are kept in a folder, by their labs."""
    return [
        record.Run.model_validate_json(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("lab*.json"))
    ]


def overview(name: str, runs: list[record.Run]) -> str:
    """Return a page of the runs: on what, and how each lab ended."""
    machines = "; ".join(sorted({_machine(run) for run in runs}))
    rows = [
        f"| {run.lab:02d} | {run.title} | {_devices(run)} | {run.count('held')} | {run.count('failed')} |"
        f" {run.count('not measured here')} | {run.seconds:.1f} |"
        for run in runs
    ]
    reasons = [
        f"- `{claim.id}`, {len(run.ranks)} process{'es' if len(run.ranks) > 1 else ''}: {claim.reason}"
        for run in runs
        for claim in run.claims
        if claim.verdict != "held"
    ]
    head = "| lab | title | device | held | failed | not measured | seconds |\n| --- | --- | --- | --- | --- | --- | --- |"
    return "\n".join(
        [
            f"# Reference runs: {name}",
            "",
            f"{machines}. Each record beside this page has every claim's value, bound and verdict, and all versions.",
            "",
            head,
            *rows,
            "",
            "Not held:",
            "",
            *reasons,
            "",
        ]
    )


def _machine(run: record.Run) -> str:
    gpus = ", ".join(run.machine.get("gpus", [])) or "no GPU"
    return f"{gpus}, {run.machine['cores']} cores, Python {run.versions['python']}, torch {run.versions['torch']}"


def _devices(run: record.Run) -> str:
    by_device = Counter(rank.device for rank in run.ranks)
    return ", ".join(f"{count} × {device}" for device, count in by_device.items())


if __name__ == "__main__":
    exit_with(main)
