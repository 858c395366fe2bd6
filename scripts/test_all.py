"""Run all there is to test: every lab by every launcher, the image with CUDA, two hundred jobs on Slurm. It takes an hour or more.

.venv/bin/python -m scripts.test_all [local] [docker] [slurm] [load]      all of them, if none is named

What came of it is kept in bench/, by lab and launcher. The first lines of what failed are in it too.
"""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from labs import home
from labs.kit.measure import machine
from scripts.bench import results
from scripts.bench.runner import ROOT
from scripts.entry import exit_with

# Make's target for each part, and what pytest is told there.
PARTS = {
    "local": ("test", ""),
    "docker": ("test-docker", "--gpu"),
    "slurm": ("test-slurm", ""),
    "load": ("test-slurm-load", ""),
}
OUTCOMES = {"failure": "failed", "error": "failed", "skipped": "skipped"}


def main(names: list[str]) -> int:
    wrong = [name for name in names if name not in PARTS]
    if wrong:
        print(f"{wrong[0]} is no part; choose from: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    kept: dict[str, Any] = {
        "date": f"{datetime.now():%Y-%m-%d}",
        "git": home.revision(),
        "machine": machine.hardware(),
    }
    kept |= {"versions": machine.versions(), "parts": {}, "labs": {}, "failed": {}}
    statuses = [tested(name, kept) for name in names or PARTS]
    for lab, cells in sorted(kept["labs"].items(), key=lambda item: int(item[0])):
        print(
            f"lab {int(lab):02d}  "
            + "  ".join(f"{name} {outcome} {seconds:.0f} s" for name, (outcome, seconds) in cells.items())
        )
    results.keep(kept, "all-tests")
    return int(any(statuses))


def tested(name: str, kept: dict[str, Any]) -> int:
    """Run one part, add what came of it, and return its status."""
    target, words = PARTS[name]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = ["make", "--silent", target, f"ARGS={words} --junitxml={report}"]
        status = subprocess.run(
            command, cwd=ROOT, env=os.environ | {"LABS_TEST_ALL": "1"}, check=False
        ).returncode
        cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    counted = Counter(map(outcome, cases))
    kept["parts"][name] = {
        "status": status,
        **counted,
        "seconds": round(sum(float(case.get("time", 0)) for case in cases)),
    }
    for case in cases:
        if (lab := case.find("properties/property[@name='lab']")) is not None:
            kept["labs"].setdefault(str(lab.get("value")), {})[name] = (
                outcome(case),
                float(case.get("time", 0)),
            )
        if outcome(case) == "failed":
            kept["failed"][f"{case.get('classname')}.{case.get('name')}"] = next(iter(case)).get(
                "message", ""
            )[:300]
    return status


def outcome(case: ElementTree.Element) -> str:
    return next((OUTCOMES[part.tag] for part in case if part.tag in OUTCOMES), "passed")


if __name__ == "__main__":
    exit_with(main)
