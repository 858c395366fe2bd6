"""Each sentence with which a user is refused is quoted by a test, which makes it come."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

# The kit's and the labs' own sentences are the matter of their tests.
LOOKED_AT = [
    path
    for path in (*sorted((ROOT / "labs").rglob("*.py")), *sorted((ROOT / "scripts").rglob("*.py")))
    if not re.match(r"(kit|m\d_\w+)$", path.relative_to(ROOT).parts[1])
]
QUOTED = 12  # so many characters in a row; of a sentence's own, unless others share all its words


def sentences() -> dict[str, list[str]]:
    """Return the fixed parts of each sentence, by the place where it is raised."""
    return {
        f"{path.relative_to(ROOT)}:{node.lineno}": parts
        for path in LOOKED_AT
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and getattr(node.exc.func, "id", "") == "UsageError"
        and (parts := fixed_parts(node.exc.args[0]))
    }


def fixed_parts(message: ast.expr) -> list[str]:
    """Return what of a message is always the same; nothing of one that was made elsewhere."""
    values = message.values if isinstance(message, ast.JoinedStr) else [message]
    return [
        value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)
    ]


def windows(parts: list[str]) -> set[str]:
    """Return each row of so many characters; of a sentence that has none, its longest part."""
    rows = {part[start : start + QUOTED] for part in parts for start in range(len(part) - QUOTED + 1)}
    return rows or {max(parts, key=len)}


@cache
def quoted_in_tests() -> str:
    """Return all that stands in strings of tests, with patterns read as the text that they match."""
    strings = (
        str(node.value)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path.name != Path(__file__).name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return "\0".join(re.sub(r"\\(?=[^\w\s])", "", text) for text in strings)


SENTENCES = sentences()
COMMON = Counter(window for parts in SENTENCES.values() for window in windows(parts))


@pytest.mark.parametrize("where", SENTENCES)
def test_a_test_quotes_it(where: str) -> None:
    all_ = windows(SENTENCES[where])
    own = {window for window in all_ if COMMON[window] == 1}
    assert any(window in quoted_in_tests() for window in own or all_), (
        f"no test quotes the sentence at {where}"
    )


def test_a_sentence_that_no_test_quotes_is_noticed() -> None:
    assert not any(window in quoted_in_tests() for window in windows(["xylophones quarrel"]))
