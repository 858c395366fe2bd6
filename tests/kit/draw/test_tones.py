"""Colours and the marks that stand for them."""

import pytest

from labs.kit.draw.tones import COLOURS, INK, MARKS, PAPER, WARN, WARN_COLOUR, colour_of, mark_of
from labs.report.drawing import OWN_INK
from tests.report.test_style import DARK, LIGHT, contrast


@pytest.mark.parametrize("colour", COLOURS)
def test_every_colour_stands_out_on_light_and_dark_paper(colour: str) -> None:
    for palette in (LIGHT, DARK):
        assert contrast(colour, palette["paper"]) >= 3, "WCAG 2.2, success criterion 1.4.11"


def test_tones_without_end() -> None:
    assert (colour_of(0), colour_of(1), colour_of(7), colour_of(WARN)) == (
        INK,
        COLOURS[0],
        COLOURS[0],
        WARN_COLOUR,
    )
    assert (mark_of(0), mark_of(1), mark_of(7), mark_of(WARN)) == (" ", MARKS[1], MARKS[1], "!")
    assert len({*MARKS, mark_of(WARN)}) == len(COLOURS) + 2


def test_a_page_knows_the_colours_that_it_puts_its_own_for() -> None:
    known = [pattern for pattern, _ in OWN_INK]
    assert all(any(pattern.search(colour) for pattern in known) for colour in (WARN_COLOUR, PAPER, INK))
    assert (LIGHT["failed"], LIGHT["paper"]) == (WARN_COLOUR, PAPER)
