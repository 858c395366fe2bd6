"""Boxes and arrows between them, painted, in characters and in words."""

from pathlib import Path

import pytest

from labs.kit.draw.graph import Edge, Graph, Node
from labs.kit.draw.tones import WARN
from tests.kit.draw.drawn import drawn

PRODUCT = Graph(
    {
        "x": Node(0, 0, "x"),
        "w": Node(0, 1, "a weight"),
        "mul": Node(1, 0.5, "mul", tone=1),
        "alone": Node(1, 1.5, "alone"),
    },
    [Edge("x", "mul"), Edge("w", "mul", "2"), Edge("mul", "x", "gradient", tone=WARN)],
    legend={1: "keeps its input"},
)


def test_in_words() -> None:
    assert PRODUCT.describe() == (
        "Boxes: x, a weight, mul, alone. "
        "Arrows lead from x to mul, from a weight to mul (2), from mul to x (gradient, a warning)."
    )
    assert Graph({"x": Node(0, 0, "x")}).describe() == "Boxes: x."


def test_in_characters() -> None:
    assert PRODUCT.lines() == [
        "x        ─────▶ mul",
        "a weight ── 2 ──▶ mul",
        "mul      ╌╌ gradient ╌╌▶ x",
        "alone",
    ]


def test_painted(tmp_path: Path) -> None:
    found = drawn(tmp_path, PRODUCT)
    assert sorted(found.words) == sorted(
        ["x", "a weight", "mul", "alone", "2", "gradient", "keeps its input"]
    )
    assert found.holds_its_texts()
    assert "stroke-dasharray" in found.source


def test_columns_that_do_not_fit_side_by_side_stand_one_below_the_other(tmp_path: Path) -> None:
    def chain(count: int) -> Graph:
        nodes = {f"n{n}": Node(n, 0, f"layer {n}") for n in range(count)}
        return Graph(nodes, [Edge(f"n{n}", f"n{n + 1}") for n in range(count - 1)])

    assert len({text.y for text in drawn(tmp_path, chain(4)).texts}) == 1
    assert len({text.y for text in drawn(tmp_path, chain(9)).texts}) == 9
    assert drawn(tmp_path, chain(9)).holds_its_texts()


def test_an_arrow_goes_round_what_stands_in_its_way(tmp_path: Path) -> None:
    nodes = {"a": Node(0, 0, "a"), "b": Node(1, 0, "b"), "c": Node(2, 0, "c")}
    straight, around = (
        drawn(tmp_path, Graph(nodes, [Edge("a", "b")])),
        drawn(tmp_path, Graph(nodes, [Edge("a", "c")])),
    )
    assert around.height > straight.height
    assert drawn(tmp_path, Graph(nodes, [Edge("a", "a", "again")])).height > straight.height


@pytest.mark.parametrize(
    "nodes", [{}, {"a": Node(3, 4, "one box, and much in it that has to be broken into lines")}]
)
def test_next_to_nothing(tmp_path: Path, nodes: dict[str, Node]) -> None:
    assert drawn(tmp_path, Graph(nodes)).holds_its_texts()


def test_an_arrow_to_no_node_is_refused() -> None:
    with pytest.raises(ValueError, match="'y', which is no node; there are: x"):
        Graph({"x": Node(0, 0, "x")}, [Edge("x", "y")])
