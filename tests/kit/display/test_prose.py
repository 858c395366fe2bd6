"""Text: markup, paragraphs, bars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from labs.kit.display import prose
from labs.kit.display.screen import THEME

STRANGE = st.text(alphabet="ab [](){}*`/_=#0,:·", max_size=40)


def rendered(markup: str) -> Text:
    return Console(theme=THEME, emoji=False, highlight=False).render_str(markup, highlight=False)


@pytest.mark.parametrize(
    ("text", "seen", "styles"),
    [
        ("plain", "plain", []),
        ("call `view` now", "call view now", ["code"]),
        ("a *storage* holds", "a storage holds", ["stress"]),
        ("`a` and *b*", "a and b", ["code", "stress"]),
        ("**Yes.** It is", "Yes. It is", ["strong"]),
        ("**Yes**, *so* it is", "Yes, so it is", ["strong", "stress"]),
        ("2 ** 3 ** 4", "2 ** 3 ** 4", []),
        ("a**b**c", "a**b**c", []),
        ("***a***", "***a***", []),
        ("[strong]not ours[/strong]", "[strong]not ours[/strong]", []),
        ("2 * 3 * 4", "2 * 3 * 4", []),
        ("a*b*c", "a*b*c", []),
        ("`x[0, 1]`", "x[0, 1]", ["code"]),
        ("x[0, 1] and x[i]", "x[0, 1] and x[i]", []),
        ("a [bold] word, [/bold] too", "a [bold] word, [/bold] too", []),
        ("[code]not ours[/code]", "[code]not ours[/code]", []),
        ("`x[bold]`", "x[bold]", ["code"]),
        ("`[i]`", "[i]", ["code"]),
        ("`a * b * c`", "a * b * c", ["code"]),
        ("`*args` and `**kwargs`", "*args and **kwargs", ["code", "code"]),
        ("C:\\[x]", "C:\\[x]", []),
        ("a :smile: stays", "a :smile: stays", []),
    ],
)
def test_code_and_stress_are_styled_and_all_else_survives(text: str, seen: str, styles: list[str]) -> None:
    shown = rendered(prose.inline(text))
    assert shown.plain == seen
    assert [str(span.style) for span in shown.spans] == styles


@given(STRANGE)
def test_no_character_of_a_text_is_lost(text: str) -> None:
    assert sorted(rendered(prose.inline(text)).plain.replace("`", "").replace("*", "")) == sorted(
        text.replace("`", "").replace("*", "")
    )


@given(STRANGE)
def test_piped_text_is_the_text_itself(text: str) -> None:
    assert rendered(prose.plain(prose.inline(text))).plain == text


@pytest.mark.parametrize("text", ["**Yes.** `a` and *b*", "[code]not ours[/code]", "x[strong]"])
def test_what_was_marked_is_marked_in_a_pipe(text: str) -> None:
    assert rendered(prose.plain(prose.inline(text))).plain == text


def test_paragraphs_are_joined_and_formulas_stand_line_by_line() -> None:
    text = "One\nparagraph\n  of three lines.\n\n    a = b·c\n    d = e\n\nAnother."
    assert list(prose.paragraphs(text)) == [
        ("One paragraph of three lines.", 0),
        ("a = b·c", 4),
        ("d = e", 4),
        ("Another.", 0),
    ]


def test_a_formula_for_the_page_is_a_formula_on_the_screen() -> None:
    assert list(prose.paragraphs("As in\n\n$$\n    a = b\n$$\n\nand so on.")) == [
        ("As in", 0),
        ("a = b", 4),
        ("and so on.", 0),
    ]


@pytest.mark.parametrize("nothing", ["", "\n", "\n\n  \n"])
def test_no_prose_is_no_paragraph(nothing: str) -> None:
    assert list(prose.paragraphs(nothing)) == []


def test_bars_are_drawn_to_one_scale() -> None:
    head, *lines = prose.bars([1, 2, 16], {"sum": [1.0, 2.0, 4.0]}, "stride", "ns")
    assert head.split() == ["stride", "ns"]
    assert [line.count(prose.BAR) for line in lines] == [10, 20, 40]
    assert [line.split()[-1] for line in lines] == ["1", "2", "4"]
    assert len({line.index(prose.BAR) for line in lines}) == 1


def test_series_stand_below_each_other_under_their_names() -> None:
    _, *lines = prose.bars([1, 2], {"near": [1.0, 1.0], "far away": [2.0, 4.0]}, "x", "y")
    assert [line.split(prose.BAR)[0].split() for line in lines] == [
        ["1", "near"],
        ["far", "away"],
        ["2", "near"],
        ["far", "away"],
    ]
    assert [line.count(prose.BAR) for line in lines] == [10, 20, 10, 40]


@pytest.mark.parametrize("values", [[0.0, 0.0], [1e-9, 1e9], [0.0, 1.0]])
def test_every_value_has_a_bar(values: list[float]) -> None:
    _, *lines = prose.bars([1, 2], {"y": values}, "x", "y")
    assert all(1 <= line.count(prose.BAR) <= prose.BAR_WIDTH for line in lines)


def test_of_many_places_some_are_shown_and_that_is_said() -> None:
    x = list(range(40))
    _, *lines, last = prose.bars(x, {name: [1.0] * 40 for name in "abc"}, "step", "loss")
    shown = [line.split()[0] for line in lines[::3]]
    assert (len(lines), shown[0], shown[-1]) == (30, "0", "39")
    assert last == "10 of 40 places are shown here; the picture has all"


def test_as_many_as_fit_are_all_shown_evenly() -> None:
    assert prose.spread(5, 9) == [0, 1, 2, 3, 4]
    assert prose.spread(9, 5) == [0, 2, 4, 6, 8]
    assert prose.spread(1, 5) == [0]
    assert prose.spread(0, 5) == []
    assert prose.spread(7, 1) == [0, 6], "both ends, however little room there is"
