"""From what was typed to a run; tests/test_cli.py starts real ones."""

from pathlib import Path
from typing import Any

import pytest

from labs import record
from labs.commands import submit

LEAST: dict[str, Any] = {
    "lab": 1, "title": "t", "module": "m", "launcher": "local", "nodes": 1, "procs": 2,
    "status": "running", "smoke": True, "started": "2030-01-02T12:00:00+01:00", "config": {},
}  # fmt: skip


def test_a_run_that_was_killed_is_closed_for_it_with_its_page(tmp_path: Path) -> None:
    record.Run(**LEAST).save(tmp_path)
    submit._close(tmp_path, 137)
    notes = record.load(tmp_path)
    assert (notes.status, notes.error) == ("broke", "ended with status 137 before it could say why")
    assert "ended with status 137 before it could say why" in (tmp_path / "report.html").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    "content", [None, "", '{"status": "running"}', record.Run(**LEAST | {"status": "held"}).model_dump_json()]
)
def test_any_other_run_is_left_alone(
    tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    submit._close(tmp_path, 1)
    assert not (tmp_path / "report.html").exists()
