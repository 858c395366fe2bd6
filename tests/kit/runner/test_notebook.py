"""What a notebook's cells talk to; tests/test_notebooks.py executes whole notebooks."""

from pathlib import Path

import pytest

from labs import record
from labs.kit.runner import notebook

GUESS = record.Prediction(
    id="01.a", question="<i>?", guesses=[record.Guess(text="`x`", why="**Yes.** <u>")], answer="`x`"
)


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


def test_a_diagram_is_drawn_with_its_description(shown: list[str], tmp_path: Path) -> None:
    (tmp_path / "boxes.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>')
    diagram = record.Diagram(title="Two <boxes>", path="boxes.svg", description="One [0], then [1].")
    notebook.NotebookScreen(tmp_path).diagram(diagram)
    assert shown[0].startswith("<b>Two &lt;boxes&gt;</b><svg ")
    assert "One [0], then [1]." in shown[0]


def test_what_stands_in_the_notebook_is_not_shown_again(shown: list[str], tmp_path: Path) -> None:
    screen = notebook.NotebookScreen(tmp_path)
    screen.part(record.Part(number=1, name="p", title="Why?", prose="So."))
    screen.step(record.Step(name="s", title="Step", prose="", source=""))
    screen.prediction(GUESS)
    assert shown == []


def test_an_answer_and_closing_words_have_their_marks(shown: list[str], tmp_path: Path) -> None:
    screen = notebook.NotebookScreen(tmp_path)
    screen.answer(GUESS)
    screen.paragraph(record.Paragraph(text="It is `x` and *not* <y>."))
    assert shown == [
        "◆ the guess: <code>x</code>. <strong>Yes.</strong> &lt;u&gt;",
        "<p>It is <code>x</code> and <em>not</em> &lt;y&gt;.</p>",
    ]


@pytest.mark.parametrize(
    ("verdict", "shows"),
    [
        ("held", "✔ t <code>01.a</code><br><small>9 of 9 layouts – why</small>"),
        ("failed", "✘ t <code>01.a</code><br><small><b>failed: </b>9 of 9 layouts – why</small>"),
        (
            "not measured here",
            "– t <code>01.a</code><br><small><b>not measured here: </b>needs cuda – why</small>",
        ),
    ],
)
def test_a_claim_says_how_it_was_judged(
    shown: list[str], tmp_path: Path, verdict: record.Verdict, shows: str
) -> None:
    notebook.NotebookScreen(tmp_path).claim(
        record.Claim(
            id="01.a",
            text="t",
            kind="exact",
            verdict=verdict,
            shown="9 of 9 layouts",
            reason="needs cuda",
            because="why",
        )
    )
    assert shown == [shows]


def test_what_came_from_outside_is_escaped(shown: list[str], tmp_path: Path) -> None:
    screen = notebook.NotebookScreen(tmp_path)
    screen.claim(
        record.Claim(id="01.a", text="<b>", kind="exact", verdict="failed", shown="<i>", because="<u>")
    )
    screen.table(record.Table(title="<b>", columns=["<i>"], rows=[["<u>"]]))
    screen.listing(record.Listing(title="<b>", text="<u>"))
    screen.paragraph(record.Paragraph(text="<u>"))
    screen.answer(GUESS)
    assert len(shown) == 5
    assert not any("<u>" in piece or "<i>" in piece for piece in shown)


def test_a_lab_runs_beside_the_notebook(
    tiny_checkout: Path, labs_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tiny_checkout)
    monkeypatch.setenv("PYTHONPATH", str(tiny_checkout))
    notebook.launch(99, "--smoke")
    said = capsys.readouterr().out
    assert "99.doubled" in said
    assert "\x1b" not in said, "no animation in a notebook"
    assert len(list((labs_home / "runs" / "lab99").glob("*/report.html"))) == 1
