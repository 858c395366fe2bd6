"""Lanes over time, painted, in characters and in words."""

from pathlib import Path

import pytest

from labs.kit.draw.timeline import Span, Timeline
from labs.kit.draw.tones import WARN
from tests.kit.draw.drawn import drawn

BUSY = Timeline(
    {
        "rank 0": [Span(0, 3, "forward"), Span(3, 8, "backward", tone=2)],
        "rank 1": [Span(2, 2.05, "late", tone=WARN)],
    }
)


def test_in_words() -> None:
    assert (
        BUSY.describe()
        == "rank 0: forward from 0 to 3, backward from 3 to 8, in ms. rank 1: late from 2 to 2.05, in ms."
    )
    many = Timeline({"gpu": [Span(n, n + 0.5) for n in range(20)], "idle": []}, unit="s")
    assert "busy from 11 to 11.5 and 8 more, in s." in many.describe()
    assert many.describe().endswith("idle: nothing, in s.")


def test_in_characters() -> None:
    first, second, axis, late = BUSY.lines()
    assert first == "rank 0 [░░░░░░ forward ░░░░░░░][▒▒▒▒▒▒▒▒▒▒▒▒▒▒ backward ▒▒▒▒▒▒▒▒▒▒▒▒▒▒]"
    assert second == "rank 1 " + 16 * " " + "!"
    assert (axis.split(), late) == (["0", "8", "ms"], "! late")


def test_painted(tmp_path: Path) -> None:
    found = drawn(tmp_path, BUSY)
    assert {"rank 0", "rank 1", "forward", "backward", "late", "0", "ms"} <= set(found.words)
    late = next(text for text in found.texts if text.words == "late")
    lane = next(text for text in found.texts if text.words == "rank 1")
    assert late.y > lane.y + 20, "what does not fit into its span stands in the legend"
    assert found.holds_its_texts()


def test_long_names_stand_above_their_lanes(tmp_path: Path) -> None:
    name = "the stream on which copies run, of rank 0 alone"
    found = drawn(tmp_path, Timeline({name: [Span(0, 1, "copy")]}))
    assert found.holds_its_texts()
    assert max(map(len, Timeline({2 * name: [Span(0, 1)]}).lines())) <= 96


@pytest.mark.parametrize("lanes", [{}, {"a": []}, {"a": [Span(1, 1)]}])
def test_next_to_nothing(tmp_path: Path, lanes: dict[str, list[Span]]) -> None:
    assert drawn(tmp_path, Timeline(lanes)).holds_its_texts()
    assert Timeline(lanes).lines()


def test_a_span_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        Timeline({"a": [Span(2, 1)]})
