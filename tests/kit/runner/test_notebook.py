"""What a notebook's cells talk to; tests/test_notebooks.py executes whole notebooks."""

from pathlib import Path

import pytest

from labs import record
from labs.kit.runner import notebook


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    pieces: list[str] = []
    monkeypatch.setattr(notebook, "_show", pieces.append)
    return pieces


def test_a_drawing_is_described_and_keeps_to_the_notebooks_ink(shown: list[str], tmp_path: Path) -> None:
    (tmp_path / "curve.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M 0 0" style="stroke: #000000"/></svg>'
    )
    figure = record.Figure(
        title="A <curve>", path="curve.svg", x_label="n", y_label="s", x=[1, 2], series={"near": [3, 4]}
    )
    notebook.NotebookScreen(tmp_path).figure(figure)
    assert shown[0].startswith("<b>A &lt;curve&gt;</b><svg ")
    assert "A chart of s over n, from 1 to 2. near: from 3 to 4" in shown[0]
    assert "currentColor" in shown[0]


def test_what_came_from_outside_is_escaped(shown: list[str], tmp_path: Path) -> None:
    screen = notebook.NotebookScreen(tmp_path)
    screen.claim(
        record.Claim(id="01.a", text="<b>", kind="exact", verdict="failed", shown="<i>", because="<u>")
    )
    screen.table(record.Table(title="<b>", columns=["<i>"], rows=[["<u>"]]))
    screen.listing(record.Listing(title="<b>", text="<u>"))
    assert len(shown) == 3
    assert not any("<u>" in piece or "<i>" in piece for piece in shown)


def test_a_lab_runs_beside_the_notebook(
    tiny_checkout: Path, labs_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tiny_checkout)
    notebook.launch(99, "--smoke")
    said = capsys.readouterr().out
    assert "99.doubled" in said
    assert "\x1b" not in said, "no animation in a notebook"
    assert len(list((labs_home / "runs" / "lab99").glob("*/report.html"))) == 1
