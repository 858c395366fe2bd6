"""A lab's file cut into definitions, parts and statements."""

import ast
from pathlib import Path

import pytest

from labs import catalog
from labs.unrolled import CannotUnroll, Unrolled

TINY = (Path(__file__).parent / "kit" / "tiny_lab.py").read_text(encoding="utf-8")
READY = [entry for entry in catalog.all_labs().values() if entry.ready]

LAB = '''"""Lab 97 · Cut · Cięte"""

import os  # noqa: F401
from functools import cache

import torch

from labs.kit import Lab, Tolerance, exercise, main, needs

# Shape letters: N numbers,
# M more of them.

ONE = 1  # the first
TWO = 2

# Only a guess asks for it.
OFFERED = {"a": "No.", "b": "**Yes.**"}


class Config:
    rows: int = 4


# Why it is cached.
@exercise(
    "a", "b", "c",
)
@cache
# Why it is a function.
def first(x: int) -> int:
    """Take the first.

    And the prose.
    """

    y = x  # type: ignore[index]
    return y


def bare(x: int) -> int:
    return x


def second_part(cfg: Config, lab: Lab) -> None:
    """Which is second?"""
    lab.count("97.b", "b", late(1), want=1, because="b")


def first_part(
    cfg: Config,
    lab: Lab,
) -> None:
    """Which is *first*?

    Prose of the part.
    """
    # Why it is two.
    x = lab.step(first, 2)

    # A remark of its own.

    question = f"How many of {cfg.rows}?"
    text = """keeps
    its spaces"""  # fmt: skip
    lab.predict("97.a", question, OFFERED, answer="b")
    lab.equal("97.a", "a", x, ONE)
    x[0] = 3
    if x:
        # Inside.
        lab.say("not folded")
    lab.say(
        "The end."
    )


@needs("cuda")
def elsewhere(cfg: Config, lab: Lab) -> None:
    """Where?"""
    for each in range(2):
        x = [x for x in (each,)]
    lab.equal("97.c", "c", x, 1)


def late(x: int) -> int:
    """Come late."""
    return LATE


LATE = 1


def never(x: int) -> int:
    """Be of no use."""
    return x


def run(cfg: Config, lab: Lab) -> None:
    for part in (first_part, second_part, elsewhere):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
'''


@pytest.fixture
def cut() -> Unrolled:
    return Unrolled(LAB)


def test_imports_and_letters_stand_as_they_are(cut: Unrolled) -> None:
    assert cut.imports == "import os\nfrom functools import cache\n\nimport torch"
    assert cut.kit == ["Lab", "Tolerance", "exercise", "main", "needs"]
    assert cut.letters == "Shape letters: N numbers, M more of them."


def test_parts_stand_in_the_order_of_run(cut: Unrolled) -> None:
    assert [(part.name, part.title, part.prose, part.needs) for part in cut.parts] == [
        ("first_part", "Which is *first*?", "Prose of the part.", False),
        ("second_part", "Which is second?", "", False),
        ("elsewhere", "Where?", "", True),
    ]


def test_a_part_has_the_definitions_above_it_and_those_that_it_leans_on(cut: Unrolled) -> None:
    first, second, elsewhere = cut.parts
    assert [definition.title for definition in first.definitions] == ["", "Take the first", "bare"]
    assert [definition.title for definition in second.definitions] == ["Come late", ""]
    assert second.definitions[1].source == "LATE = 1"
    assert elsewhere.definitions == []
    assert [definition.title for definition in cut.rest] == ["Be of no use"]


def test_neighbours_without_a_word_are_one_and_keep_their_distance(cut: Unrolled) -> None:
    assert (
        cut.parts[0].definitions[0].source
        == "ONE = 1  # the first\nTWO = 2\n\n\nclass Config:\n    rows: int = 4"
    )


def test_a_step_has_its_code_and_comments_but_not_what_speaks_to_the_kit(cut: Unrolled) -> None:
    step = cut.parts[0].definitions[1]
    assert (step.title, step.prose, step.exercise) == ("Take the first", "And the prose.", True)
    assert step.source == (
        "# Why it is cached.\n# Why it is a function.\n@cache\ndef first(x: int) -> int:\n    y = x\n    return y"
    )


def test_each_statement_keeps_the_comments_above_it(cut: Unrolled) -> None:
    sources = [statement.source for statement in cut.parts[0].statements]
    assert sources[0] == "# Why it is two.\nx = lab.step(first, 2)"
    assert sources[3] == 'lab.equal("97.a", "a", x, ONE)'
    assert sources[5] == 'if x:\n    # Inside.\n    lab.say("not folded")'


def test_a_string_keeps_its_spaces(cut: Unrolled) -> None:
    assert cut.parts[0].statements[1].source == 'text = """keeps\n    its spaces"""'


def test_what_tells_an_answer_or_is_told_is_folded(cut: Unrolled) -> None:
    statements = cut.parts[0].statements
    assert [statement.folded for statement in statements] == [False, False, True, False, False, False, True]
    assert statements[6].source == 'lab.say(\n    "The end."\n)'


def test_what_only_serves_a_guess_stands_with_it(cut: Unrolled) -> None:
    part = cut.parts[0]
    assert part.constants == ['OFFERED = {"a": "No.", "b": "**Yes.**"}']
    guess = part.statements[2]
    assert guess.source == (
        '# A remark of its own.\n\nquestion = f"How many of {cfg.rows}?"\n'
        'lab.predict("97.a", question, OFFERED, answer="b")'
    )
    assert guess.guesses is not None
    assert (guess.guesses.question, list(guess.guesses.offered)) == ("How many of 4?", ["a", "b"])


def test_a_part_that_needs_something_keeps_its_indent(cut: Unrolled) -> None:
    loop, claim = cut.parts[2].statements
    assert loop.source == "    for each in range(2):\n        x = [x for x in (each,)]"
    assert claim.source == '    lab.equal("97.c", "c", x, 1)'


def test_a_part_as_a_function_has_no_docstring_and_no_mark(cut: Unrolled) -> None:
    assert cut.parts[2].source.startswith("def elsewhere(cfg: Config, lab: Lab) -> None:\n    for each")
    assert cut.parts[0].source.startswith(
        "def first_part(\n    cfg: Config,\n    lab: Lab,\n) -> None:\n    # Why"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("first = 1", "second_part calls a variable first, like something of the file"),
        ("cfg = None", "second_part calls a variable cfg, like something of the file"),
        ("torch, x = 1, 2", "second_part calls a variable torch, like something of the file"),
        ("for ONE in (): ...", "second_part calls a variable ONE, like something of the file"),
        ("def late(): ...", "second_part calls a variable late, like something of the file"),
        ("if cfg: return", "second_part returns before its end"),
    ],
)
def test_a_part_that_would_do_something_else_in_cells_is_refused(line: str, message: str) -> None:
    text = LAB.replace('    lab.count("97.b"', f'    {line}\n    lab.count("97.b"')
    assert text != LAB
    with pytest.raises(CannotUnroll, match=message):
        Unrolled(text)


@pytest.mark.parametrize(
    "line", ["def inner():\n        first = 1\n        return first", "x = [first for first in ()]"]
)
def test_names_inside_of_functions_and_comprehensions_are_their_own(line: str) -> None:
    Unrolled(LAB.replace('    lab.count("97.b"', f'    {line}\n    lab.count("97.b"'))


@pytest.mark.parametrize("text", [LAB, TINY], ids=["made up", "tiny"])
def test_nothing_of_a_part_is_lost(text: str) -> None:
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    for part in Unrolled(text).parts:
        body = functions[part.name].body[1:]
        joined = "\n".join(statement.source for statement in part.statements)
        again = ast.parse(f"if 1:\n{joined}").body[0].body if part.needs else ast.parse(joined).body  # type: ignore[attr-defined]
        assert sorted(map(ast.dump, again)) == sorted(map(ast.dump, body))


@pytest.mark.parametrize("entry", READY, ids=lambda entry: entry.notebook)
def test_every_lab_can_be_unrolled(entry: catalog.Entry) -> None:
    assert entry.path is not None
    Unrolled(entry.path.read_text(encoding="utf-8"))
