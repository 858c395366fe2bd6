"""Run all there is to test: every lab by every launcher, the image with CUDA, two hundred jobs on Slurm, and every lab's claims
against mistakes that are made systematically. It takes hours.

.venv/bin/python -m scripts.test_all [local] [docker] [slurm] [load] [systematic]      all of them, if none is named

What came of it is kept in bench/, by lab and part. The first lines of what failed are in it too.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from labs import catalog, home
from labs.kit.measure import machine
from scripts.bench import results
from scripts.bench.runner import LABS, ROOT
from scripts.entry import exit_with

# Make's target for each part that pytest runs, and what pytest is told there.
BY_PYTEST = {
    "local": ("test", ""),
    "docker": ("test-docker", "--gpu"),
    "slurm": ("test-slurm", ""),
    "load": ("test-slurm-load", ""),
}
PARTS = (*BY_PYTEST, "systematic")
OUTCOMES = {"failure": "failed", "error": "failed", "skipped": "skipped"}
MESSAGE_LENGTH = 300


class Case(NamedTuple):
    """One test, or one lab's claims: what came of it, and the first words of a failure."""

    name: str
    lab: str
    outcome: str
    seconds: float
    message: str = ""


def main(names: list[str]) -> int:
    wrong = [name for name in names if name not in PARTS]
    if wrong:
        print(f"{wrong[0]} is no part; choose from: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    outcomes: dict[str, Any] = {
        "date": f"{datetime.now():%Y-%m-%d}",
        "git": home.revision(),
        "machine": machine.hardware(),
        "versions": machine.versions(),
        "parts": {},
        "labs": {},
        "failed": {},
    }
    for name in names or PARTS:
        status, cases = run(name)
        add(outcomes, name, status, cases)
    print(*table(outcomes), sep="\n")
    results.keep(outcomes, "all-tests")
    return int(any(part["status"] for part in outcomes["parts"].values()))


def run(name: str) -> tuple[int, list[Case]]:
    """Run one part, and return its status and its cases."""
    if name in BY_PYTEST:
        return run_pytest(*BY_PYTEST[name])
    cases = list(run_systematic_mutants())
    return int(any(case.outcome == "failed" for case in cases)), cases


def run_pytest(target: str, words: str) -> tuple[int, list[Case]]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = ["make", "--silent", target, f"ARGS={words} --junitxml={report}"]
        environ = os.environ | {"LABS_TEST_ALL": "1"}
        status = subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode
        tests = ElementTree.parse(report).iter("testcase") if report.exists() else ()
        return status, [case_of(test) for test in tests]


def case_of(test: ElementTree.Element) -> Case:
    """Return a test of pytest's report as a case."""
    lab = test.find("properties/property[@name='lab']")
    marks = [part for part in test if part.tag in OUTCOMES]
    return Case(
        name=f"{test.get('classname')}.{test.get('name')}",
        lab="" if lab is None else str(lab.get("value")),
        outcome=OUTCOMES[marks[0].tag] if marks else "passed",
        seconds=float(test.get("time", 0)),
        message=marks[0].get("message", "") if marks else "",
    )


def run_systematic_mutants() -> Iterator[Case]:
    """Try each lab's claims against systematic mistakes, and say at once what came of it."""
    for number in (number for number, entry in catalog.all_labs().items() if entry.ready):
        begun = time.monotonic()
        command = [LABS, "mutants", str(number), "--systematic"]
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        outcome = "failed" if done.returncode else "passed"
        verdict = last_sentence(done.stdout or done.stderr)
        print(f"lab {number:02d}  systematic {outcome}: {verdict}", flush=True)
        name = f"labs mutants {number} --systematic"
        yield Case(name, str(number), outcome, time.monotonic() - begun, verdict)


def last_sentence(text: str) -> str:
    """Return the last line that has words in it: a frame may come after it."""
    return next((line.strip(" │") for line in reversed(text.splitlines()) if re.search(r"\w", line)), "")


def add(outcomes: dict[str, Any], name: str, status: int, cases: list[Case]) -> None:
    """Add what came of a part. One that ended badly without a case has failed as a whole."""
    counts = Counter(case.outcome for case in cases)
    outcomes["parts"][name] = {
        "status": status,
        **counts,
        "seconds": round(sum(case.seconds for case in cases)),
    }
    for case in cases:
        if case.lab:
            outcomes["labs"].setdefault(case.lab, {})[name] = (case.outcome, round(case.seconds, 3))
        if case.outcome == "failed":
            outcomes["failed"][case.name] = case.message[:MESSAGE_LENGTH]
    if status and not counts["failed"]:
        outcomes["failed"][name] = f"ended with status {status}, and no test had failed"


def table(outcomes: dict[str, Any]) -> Iterator[str]:
    """Return a line for each lab, and one for each part."""
    for lab, parts in sorted(outcomes["labs"].items(), key=lambda item: int(item[0])):
        cells = (f"{name} {outcome} {seconds:.0f} s" for name, (outcome, seconds) in parts.items())
        yield f"lab {int(lab):02d}  {'  '.join(cells)}"
    for name, part in outcomes["parts"].items():
        yield f"{name}: " + ", ".join(f"{key} {value}" for key, value in part.items())


if __name__ == "__main__":
    exit_with(main)
