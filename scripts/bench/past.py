"""Runs that have ended, by the hundred: what it costs to say how runs are doing must not grow with them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labs import record
from scripts.bench.figures import Figure
from scripts.bench.runner import LABS, Runner, failures, seconds

FEW, MANY = 3, 300
LAB = 99  # none that is measured
RECORD_BYTES = 40_000  # as a lab leaves it


def figures(runner: Runner, rounds: int) -> Iterator[Figure]:
    """Time `labs status` and `labs list` beside few ended runs, and beside many."""
    for count in (FEW, MANY):
        place = Runner(runner.folder / f"past{count}")
        leave(place.folder, count, {"launcher": "local", "id": "", "lab": LAB, "nodes": 1})
        for command in ("status", "list"):
            first, *samples = [place.run(LABS, command) for _ in range(rounds + 1)]
            note = f"the first time {first.seconds:.2f} s{failures(samples)}"
            target = "≤ 1" if command == "status" else "≤ 0.3"
            yield Figure(f"labs {command}, {count} ended runs", "s", target, seconds(samples), note)


def leave(home: Path, count: int, job: dict[str, Any]) -> None:
    """Leave the folders of so many ended runs in a person's own, as if each had been the given job."""
    ended = record.Run(
        lab=LAB, title="Past", module="labs.m7_bonus.lab99", launcher=job["launcher"], nodes=job["nodes"], procs=1,
        status="held", smoke=True, started="2030-01-02T12:00:00+01:00", config={}, sections={"Question": "?" * RECORD_BYTES},
    )  # fmt: skip
    for number in range(count):
        folder = home / "runs" / f"lab{LAB}" / f"2030-01-02T12-00-00-{job['launcher']}-{number:03d}"
        folder.mkdir(parents=True)
        ended.save(folder)
        (folder / "job.json").write_text(json.dumps(job))
