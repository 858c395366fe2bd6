"""Bars made of parts, painted, in characters and in words."""

from pathlib import Path

import pytest

from labs.kit.draw.bars import Bars
from tests.kit.draw.drawn import drawn

MEMORY = Bars(
    {
        "whole": {"weights": 4 * 2**20, "gradients": 4 * 2**20},
        "sharded": {"weights": 2**20, "gradients": 2**20},
    }
)


def test_in_words() -> None:
    assert MEMORY.describe() == (
        "whole: weights 4 MiB, gradients 4 MiB; together 8 MiB. sharded: weights 1 MiB, gradients 1 MiB; together 2 MiB."
    )
    assert Bars({"eager": {"": 12.5}}, unit="ms").describe() == "eager: 12.5 ms."


def test_in_characters() -> None:
    assert MEMORY.lines() == [
        "whole    " + 25 * "░" + 25 * "▒" + " 8 MiB",
        "sharded  " + 6 * "░" + 6 * "▒" + " 2 MiB",
        "░ weights",
        "▒ gradients",
    ]
    assert Bars({"eager": {"": 12.5}}, unit="ms").lines() == ["eager  " + 50 * "█" + " 12.5 ms"]


def test_painted(tmp_path: Path) -> None:
    found = drawn(tmp_path, MEMORY)
    assert found.words.count("4 MiB") == 2
    assert {"weights", "gradients", "8 MiB", "2 MiB", "whole", "sharded"} <= set(found.words)
    assert found.holds_its_texts()


def test_long_names_and_many_parts(tmp_path: Path) -> None:
    parts = {f"part number {n}": n + 1.0 for n in range(9)}
    bars = Bars(
        {"a name that is too long to stand at the left of its bar": parts, "none": {"part number 1": 0.0}},
        unit="items",
    )
    assert drawn(tmp_path, bars).holds_its_texts()
    assert max(map(len, bars.lines())) <= 96


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (1536, "bytes", "1.5 KiB"),
        (1000 * 2**30, "bytes", "1,000 GiB"),
        (12, "bytes", "12 bytes"),
        (1234.5, "ms", "1,234 ms"),
        (0.1234, "s", "0.123 s"),
        (3.0, "", "3"),
    ],
)
def test_amounts_read_as_a_person_writes_them(value: float, unit: str, written: str) -> None:
    assert Bars({}, unit)._amount(value) == written


def test_less_than_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="less than nothing"):
        Bars({"a": {"b": -1.0}})
