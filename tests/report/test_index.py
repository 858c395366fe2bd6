"""The page over all runs: what it counts, what it leads to, what it passes over."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labs import catalog, record
from labs.report import index, page

Examined = Callable[[str], Any]


def copied(run: record.Run, folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    run.model_copy(update=changes).save(folder)
    return folder


def test_every_lab_with_its_last_verdicts_and_all_its_runs(
    run: record.Run, run_folder: Path, labs_home: Path, examined: Examined
) -> None:
    copied(
        run,
        labs_home / "runs" / "lab01" / "2030-01-01T12-00-00-local",
        nodes=1,
        procs=1,
        launcher="local",
        claims=[],
        status="held",
        exercises=[record.Exercise(id="1.2", step="second", judgement="passed")],
    )
    copied(
        run,
        labs_home / "runs" / "lab43" / "2030-01-03 #1",
        lab=43,
        title="DDP",
        module="labs.m6_production.lab43",
        status="broke",
        seconds=1,
    )
    path, strange = index.write()
    assert (path, strange) == (labs_home / "runs" / "index.html", [])
    read = examined(path.read_text(encoding="utf-8"))
    ready = [entry for entry in catalog.all_labs().values() if entry.ready]
    assert all(entry.title in read.text for entry in ready)
    assert read.text.count("not run yet") == len(ready) - 2
    said = " ".join(read.text.split())
    assert (
        f"3 runs, 4 min 11 s in all, 1 of {sum(len(index._exercises(entry)) for entry in ready)} exercises passed"
        in said
    )
    assert (
        "1 held 1 failed 1 not measured here 1 of 3 exercises4 min 10 s 2 runs, the last on 2 January 2030"
        in said
    )
    assert "slurm, 4 processes on 2 nodes, smoke" in said
    assert "broke" in said
    links = [link for link in read.all("href") if not link.startswith("#")]
    assert len(set(links)) == 3
    assert "lab43/2030-01-03%20%231/report.html" in links
    assert all((folder / "report.html").exists() for folder in (labs_home / "runs").glob("lab*/*")), (
        "pages that were missing are made"
    )


def test_what_cannot_be_read_is_passed_over_and_named(
    run: record.Run, run_folder: Path, labs_home: Path, examined: Examined
) -> None:
    runs = labs_home / "runs" / "lab01"
    for name, content in {
        "cut": '{"lab": 1, "ti',
        "empty": "",
        "other": "[]",
        "wrong": json.dumps({"lab": "one"}),
    }.items():
        (runs / name).mkdir()
        (runs / name / "run.json").write_text(content)
    (runs / "nothing").mkdir()
    (runs / "waits").mkdir()
    (runs / "waits" / "job.json").write_text('{"id": "7"}')
    (runs / "a file").write_text("x")
    visits, strange = index.find()
    assert [visit.folder for visit in visits] == [run_folder]
    assert [folder.name for folder in strange] == ["wrong", "other", "nothing", "empty", "cut"]
    read = examined(index.html(visits, strange))
    assert "Passed over" in read.text
    assert "lab01/cut" in read.text


def test_nothing_there_is_said(labs_home: Path, examined: Examined) -> None:
    path, _ = index.write()
    assert "No run yet. Begin with labs run 1." in examined(path.read_text(encoding="utf-8")).text


def test_a_lab_that_the_catalog_does_not_know(run: record.Run, labs_home: Path, examined: Examined) -> None:
    copied(run, labs_home / "runs" / "lab99" / "then", lab=99, module="elsewhere")
    read = examined(index.html(*index.find()))
    assert "Others" in read.text
    assert "</script><script>alert(1)</script>" in read.text, "a title is shown as it was typed"


def test_it_shows_what_is_there_now(run: record.Run, run_folder: Path) -> None:
    assert len(index.find()[0]) == 1
    shutil.rmtree(run_folder)
    assert index.find() == ([], [])


def test_damaged_progress_does_not_cost_the_index(run_folder: Path, labs_home: Path) -> None:
    (labs_home / "work").mkdir()
    (labs_home / "work" / "progress.json").write_text("{")
    index.write()


def test_an_existing_page_is_left_as_it_is(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page.write(run_folder)
    monkeypatch.setattr(page, "write", lambda *_: pytest.fail("made anew"))
    index.write()
