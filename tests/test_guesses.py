"""Guesses read off a part's source."""

import ast

import pytest

from labs import guesses
from labs.guesses import Guesses

ABOVE = """
import torch

SIZE = 2**10
TABLE = {"one": "No.", f"{SIZE}": "**Yes.**"}
UNKNOWN = torch.ones(2)
LATER = UNKNOWN + 1
LOOP = LOOP + 1


class Config:
    rows: int = SIZE // 256
    name: str = "x"


words = f"There are {cfg.rows} rows. "
"""


def read(call: str, above: str = ABOVE) -> Guesses:
    made = read_or_not(call, above)
    assert made is not None
    return made


def read_or_not(call: str, above: str = ABOVE) -> Guesses | None:
    node = ast.parse(call).body[0]
    found = guesses.asking(node)
    assert found is not None
    return guesses.read(found, ast.parse(above).body)


def test_what_is_written_out_is_read() -> None:
    assert read(
        'lab.predict("01.a", "How " "many?", {"one": "No.", "two": "**Yes.**"}, answer="two")'
    ) == Guesses("How many?", {"one": "No.", "two": "**Yes.**"}, "two")


def test_by_keyword_or_by_place_is_the_same() -> None:
    assert read('lab.predict("01.a", "q", {"a": "b"}, "a")') == read(
        'lab.predict(answer="a", guesses={"a": "b"}, question="q", id_="01.a")'
    )


def test_names_are_followed_and_the_config_has_its_defaults() -> None:
    asked = read('lab.predict("01.a", words + f"How many {cfg.name}s of {SIZE:,}?", TABLE, answer=f"{SIZE}")')
    assert asked == Guesses(
        "There are 4 rows. How many xs of 1,024?", {"one": "No.", "1024": "**Yes.**"}, "1024"
    )


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ('f"Has {UNKNOWN[0]} more?"', "Has `UNKNOWN[0]` more?"),
        ('f"Has `x[{len(y)}]` more than {LATER}?"', "Has `x[len(y)]` more than `LATER`?"),
        ('f"{SIZE} and {layers}"', "`SIZE` and `layers`"),
        ("asked_of(x)", "`asked_of(x)`"),
        ("LOOP", "`LOOP`"),
    ],
)
def test_what_only_a_run_knows_is_shown_as_code(question: str, shown: str) -> None:
    assert read(f'lab.predict("01.a", {question}, {{"a": "b"}}, answer="a")').question == shown


def test_guesses_that_are_made_by_a_run_are_not_told_before_it() -> None:
    assert read('lab.predict("01.a", "q", made(x), answer="a")') == Guesses("q", {}, "a")
    assert read('lab.predict("01.a", "q", {**TABLE, "c": "d"}, answer="a")').offered == {"c": "d"}


@pytest.mark.parametrize(
    "row", ['("q", {"a": "b"}, "a")', 'Asked("q", {"a": "b"}, "a")', 'Asked("q", {"a": "b"}, answer="a")']
)
@pytest.mark.parametrize("words", ["*ROW", "*helpers.ROW"])
def test_a_question_may_stand_in_a_row_of_its_own(row: str, words: str) -> None:
    assert read(f'lab.predict("01.a", {words})', f"ROW = {row}") == Guesses("q", {"a": "b"}, "a")


@pytest.mark.parametrize("words", ["*row_of(x)", "*UNKNOWN_ROW", '"q"', "**row"])
def test_a_question_that_only_a_run_knows_is_not_asked_before_it(words: str) -> None:
    assert read_or_not(f'lab.predict("01.a", {words})') is None


def test_a_config_that_cannot_be_read_is_left_to_the_run() -> None:
    above = "class Config:\n    rows: int = torch.ones(2)"
    assert (
        read('lab.predict("01.a", f"{cfg.rows}?", {"a": "b"}, answer="a")', above).question == "`cfg.rows`?"
    )


@pytest.mark.parametrize(
    "statement",
    ["lab.say('x')", "predict('x')", "x = lab.predict('x')", "lab.predict", "pass", "other.predict('x')"],
)
def test_other_statements_ask_nothing(statement: str) -> None:
    assert guesses.asking(ast.parse(statement).body[0]) is None
