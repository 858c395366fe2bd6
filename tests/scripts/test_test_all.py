"""scripts/test_all.py: what each part brings is kept by lab, and nothing that went wrong is lost."""

import json
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from labs import catalog
from scripts import test_all
from scripts.bench import results
from scripts.test_all import Case

REPORT = """
<testsuite>
  <testcase classname="tests.images" name="runs[43]" time="4.5"><properties><property name="lab" value="43"/></properties></testcase>
  <testcase classname="tests.images" name="runs[1]" time="1"><properties><property name="lab" value="1"/></properties>
    <failure message="no">trace</failure></testcase>
  <testcase classname="tests.images" name="gpu" time="0"><skipped message="12 GB"/></testcase>
</testsuite>
"""
# Stands in for `labs`: lab 2 has a claim that no mistake makes fail.
LABS = """#!/bin/sh
[ "$*" = "mutants 2 --systematic" ] && { echo "1 claim cannot fail" >&2; exit 1; }
[ "$1 $3" = "mutants --systematic" ] && echo "all claims can fail"
"""


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "labs"
    command.write_text(LABS)
    command.chmod(0o755)
    monkeypatch.setattr(test_all, "LABS", str(command))
    entries = {number: SimpleNamespace(ready=number != 3) for number in (1, 2, 3)}
    monkeypatch.setattr(catalog, "all_labs", lambda: entries)
    monkeypatch.setattr(results, "FOLDER", tmp_path / "bench")


def test_cases_of_a_report() -> None:
    cases = [test_all.case_of(test) for test in ElementTree.fromstring(REPORT).iter("testcase")]
    assert cases == [
        Case("tests.images.runs[43]", "43", "passed", 4.5),
        Case("tests.images.runs[1]", "1", "failed", 1.0, "no"),
        Case("tests.images.gpu", "", "skipped", 0.0, "12 GB"),
    ]


@pytest.mark.usefixtures("labs")
def test_systematic_mistakes_are_kept_by_lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert test_all.main(["systematic"]) == 1
    (file,) = (tmp_path / "bench").iterdir()
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert {lab: parts["systematic"][0] for lab, parts in kept["labs"].items()} == {
        "1": "passed",
        "2": "failed",
    }
    assert kept["failed"] == {"labs mutants 2 --systematic": "1 claim cannot fail"}
    assert kept["parts"]["systematic"].items() >= {"status": 1, "passed": 1, "failed": 1}.items()
    assert "lab 01  systematic passed: all claims can fail" in capsys.readouterr().out


def test_a_part_that_could_not_run_is_kept_as_failed() -> None:
    kept: dict[str, dict[str, object]] = {"parts": {}, "labs": {}, "failed": {}}
    test_all.add(kept, "docker", 2, [Case("gpu", "", "skipped", 0.0)])
    assert kept["failed"] == {"docker": "ended with status 2, and no test had failed"}


def test_an_unknown_part_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert test_all.main(["podman"]) == 2
    assert capsys.readouterr().err == (
        "podman is no part; choose from: local, docker, slurm, load, systematic\n"
    )
