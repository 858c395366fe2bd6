"""The record of a run that could not close it itself."""

from pathlib import Path
from typing import Any

import pytest

from labs import record
from labs.launch.closing import close

LEAST: dict[str, Any] = {
    "lab": 1, "title": "t", "module": "m", "launcher": "local", "nodes": 1, "procs": 2,
    "status": "running", "smoke": True, "started": "2030-01-02T12:00:00+01:00", "config": {},
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "word"), [(137, "broke"), (1, "broke"), (143, "interrupted"), (129, "interrupted")]
)
def test_a_run_that_was_killed_is_closed_for_it_with_its_page(tmp_path: Path, status: int, word: str) -> None:
    record.Run(**LEAST).save(tmp_path)
    close(tmp_path, status)
    notes, why = record.load(tmp_path), f"ended with status {status} before it could say why"
    assert (notes.status, notes.error) == (word, why)
    assert (why if word == "broke" else word) in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_what_is_known_of_its_end_is_said(tmp_path: Path) -> None:
    record.Run(**LEAST).save(tmp_path)
    close(tmp_path, 1, "a node failed")
    assert record.load(tmp_path).error == "a node failed"


@pytest.mark.parametrize(
    "content", [None, "", "[]", record.Run(**LEAST | {"status": "held"}).model_dump_json()]
)
def test_any_other_run_is_left_alone(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    close(tmp_path, 1)
    assert not (tmp_path / "report.html").exists()
    assert content is None or (tmp_path / "run.json").read_text() == content


def test_a_record_that_says_no_more_than_that_it_runs_is_closed_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text('{"status": "running"}')
    close(tmp_path, 1)
    assert "broke" in (tmp_path / "run.json").read_text()
    assert "the page could not be written" in capsys.readouterr().err
