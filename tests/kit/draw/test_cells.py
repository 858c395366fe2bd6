"""Rows of cells with arrows, painted, in characters and in words."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labs.kit.draw.cells import Arrow, Cell, Cells, Row
from labs.kit.draw.tones import WARN, WARN_COLOUR
from tests.kit.draw.drawn import drawn

WALK = Cells(
    [Row("storage", ["0", Cell("1", 1), Cell("2", WARN)])],
    [Arrow(0, 0, 2, "+2"), Arrow(0, 2, 1, "−1", tone=WARN)],
    legend={1: "seen"},
)


def test_in_words() -> None:
    assert WALK.describe() == (
        "storage: 0, 1 (seen), 2 (a warning). Arrows lead from 0 to 2 (+2), from 2 to 1 (−1, a warning)."
    )
    twice = Cells([Row("", ["a", "a"])], [Arrow(0, 0, 1)])
    assert twice.describe() == "Cells: a, a. An arrow leads from cell 0 to cell 1."


def test_in_characters() -> None:
    assert WALK.lines() == [
        "            ┌──+2───┐",
        "            │  ┌╌╌−1╌╌┐",
        "            │  ▼    ▼ │",
        "storage │ 0  │░1 ░│!2 !│",
        "░ seen",
    ]


def test_painted(tmp_path: Path) -> None:
    found = drawn(tmp_path, WALK)
    assert sorted(found.words) == sorted(["storage", "0", "1", "2", "+2", "−1", "seen"])
    assert WARN_COLOUR in found.source
    assert "stroke-dasharray" in found.source, "a warning is told not by its colour alone"
    assert "stroke-dasharray" not in drawn(tmp_path, Cells([Row("", ["0", "1"])], [Arrow(0, 0, 1)])).source


def test_a_long_row_goes_on_below_with_its_arrows(tmp_path: Path) -> None:
    long = Cells(
        [Row("a long row", [f"chunk {n}" for n in range(20)])],
        [Arrow(0, 1, 18, "far"), Arrow(0, 3, 3, "self")],
    )
    found = drawn(tmp_path, long)
    assert len({text.y for text in found.texts if text.words.startswith("chunk")}) > 2
    assert found.words.count("far") == 1
    assert found.holds_its_texts()
    assert sum("▼" in line for line in long.lines()) == 2
    assert sum("far" in line for line in long.lines()) == 1


def test_an_arrow_that_leads_nowhere_is_refused() -> None:
    for arrow in (Arrow(0, 0, 3), Arrow(1, 0, 0), Arrow(0, -1, 0)):
        with pytest.raises(ValueError, match="leads to no cell"):
            Cells([Row("", ["0", "1", "2"])], [arrow])


@settings(max_examples=10)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=3).flatmap(
        lambda sizes: st.tuples(
            st.just(sizes),
            st.sampled_from(["", "row", "a label that is too long to stand at the left"]),
            st.lists(
                st.integers(0, len(sizes) - 1).flatmap(
                    lambda row: st.tuples(
                        st.just(row), st.integers(0, sizes[row] - 1), st.integers(0, sizes[row] - 1)
                    )
                ),
                max_size=8,
            ),
            st.integers(1, 12),
        )
    )
)
def test_nothing_reaches_beyond_the_sheet_or_the_terminal(
    made: tuple[list[int], str, list[tuple[int, int, int]], int],
) -> None:
    sizes, label, ends, length = made
    rows = [Row(label, [str(10 ** (length - 1) + place) for place in range(size)]) for size in sizes]
    cells = Cells(rows, [Arrow(*where, text="step") for where in ends])
    assert max(map(len, cells.lines())) <= 96
    with TemporaryDirectory() as folder:
        found = drawn(Path(folder), cells)
    assert found.holds_its_texts()
    assert min(text.size for text in found.texts) >= 9.5
    assert all(cell in found.words for row in rows for cell in row.cells)
