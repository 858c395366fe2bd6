"""Pieces one below the other in a file."""

from pathlib import Path

from labs.kit.draw import diagrams
from labs.kit.draw.diagrams import Bars, Cells, Graph, Node, Row, Span, Timeline
from tests.kit.draw.drawn import Drawn, drawn

PIECES = (
    Cells([Row("cells", ["0"])]),
    Timeline({"a longer lane": [Span(0, 1, "on")]}),
    Bars({"bar": {"part": 1.0}}),
    Graph({"x": Node(0, 0, "a box")}),
)


def test_pieces_stand_one_below_the_other_on_a_narrow_sheet(tmp_path: Path) -> None:
    found = drawn(tmp_path, *PIECES)
    places = {text.words: text.y for text in found.texts}
    assert places["cells"] < places["a longer lane"] < places["bar"] < places["a box"]
    assert found.width == 347
    assert found.holds_its_texts()


def test_their_labels_have_the_same_room(tmp_path: Path) -> None:
    def start_of(word: str, *pieces: diagrams.Drawing) -> float:
        return next(text.left for text in drawn(tmp_path, *pieces).texts if text.words == word)

    assert start_of("0", PIECES[0]) < start_of("0", *PIECES)


def test_the_same_pieces_are_the_same_bytes_and_their_title_is_kept(tmp_path: Path) -> None:
    for name in ("one.svg", "other.svg"):
        diagrams.draw("A & B", PIECES, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()
    assert "A &amp; B" in Drawn(tmp_path / "one.svg").source


def test_every_piece_can_be_told_and_written() -> None:
    assert all(piece.describe() and piece.lines() for piece in PIECES)
