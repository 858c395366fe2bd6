"""The style sheet: every ink can be read on every paper, in the light and in the dark (WCAG 2.2, success criterion 1.4.3: 4.5 to 1)."""

import re

import pytest

from labs.report.page import TEMPLATES

CSS = (TEMPLATES / "style.css").read_text(encoding="utf-8")
LIGHT, DARK, PRINT = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", root))
    for root in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
)
INKS = (
    "ink",
    "quiet",
    "link",
    "held",
    "failed",
    "unmeasured",
    "keyword",
    "string",
    "comment",
    "name",
    "literal",
)


def luminance(colour: str) -> float:
    """Return the relative luminance as WCAG 2.2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_of_contrast() -> None:
    assert contrast("#fff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") < 4.5 < contrast("#767676", "#ffffff")


@pytest.mark.parametrize("palette", [LIGHT, DARK, LIGHT | PRINT], ids=["light", "dark", "print"])
@pytest.mark.parametrize("ink", INKS)
def test_every_ink_can_be_read(palette: dict[str, str], ink: str) -> None:
    for paper in ("paper", "leaf"):
        assert contrast(palette[ink], palette[paper]) >= 4.5, paper


def test_both_palettes_are_whole() -> None:
    assert set(LIGHT) == set(DARK)
    assert set(INKS) < set(LIGHT)
