"""Each check of shown pages complains about a page that is broken in its way, and about nothing on one that is not."""

from pathlib import Path

import pytest

from tests.pages.browser import Browser
from tests.pages.test_every_page import complaints, drawable

SVG = '<svg role="img" viewBox="0 0 100 40" width="200"><title>t</title>{}</svg>'
BOX = '<path d="M0 0H100V40H0Z" fill="{}"/>'
TEXT = '<text x="{}" y="20" fill="{}" font-size="{}">{}</text>'
SOUND = f"""<p>Text <a href="#there">there</a> <a href="https://example.org/x">outside</a></p><p id="there">here</p>
<details><summary>more</summary><p>inside</p></details>{SVG.format(BOX.format("#111") + TEXT.format(9, "#fff", 10, "a"))}"""
BROKEN = {
    "a wide page": ("cutOff()", '<div style="width: 600px">wide</div>'),
    "a box that scrolls": (
        "cutOff()",
        '<div style="overflow-x: auto; width: 9px"><p style="width: 99px">x</p></div>',
    ),
    "a box that cuts off": (
        "cutOff()",
        '<div style="overflow: hidden; width: 9px"><p style="width: 99px">x</p></div>',
    ),
    "a text beyond its sheet": ("drawings()", SVG.format(TEXT.format(95, "#000", 10, "beyond"))),
    "texts on one another": (
        "drawings()",
        SVG.format(TEXT.format(5, "#000", 10, "one") + TEXT.format(9, "#000", 10, "two")),
    ),
    "small text": ("small(9)", SVG.format(TEXT.format(5, "#000", 4, "small"))),
    "faint text": ("faint(4.5)", '<p style="color: #999">grey on white</p>'),
    "faint text on a box": (
        "faint(4.5)",
        '<p style="background: #777"><span style="color: #666">on grey</span></p>',
    ),
    "faint text on a fill": (
        "faint(4.5)",
        SVG.format(BOX.format("#0072b2") + TEXT.format(9, "#000", 10, "on blue")),
    ),
    "a black line": ("unseen()", SVG.format('<path d="M0 0H9" stroke="#000" fill="none"/>')),
    "a lost anchor": ("astray()", '<a href="#nowhere">x</a>'),
    "a file beside it": ("astray()", '<a href="other.html">x</a>'),
    "no address": ("astray()", "<a>x</a>"),
    "an empty box": ("empty()", "<figure> <div></div> </figure>"),
}


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    return tmp_path / "page.html"


def write(page: Path, body: str) -> Path:
    page.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><title>t</title><main>{body}</main>', encoding="utf-8"
    )
    return page


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found(browser: Browser, shown: Path, name: str) -> None:
    check, body = BROKEN[name]
    assert complaints(browser, write(shown, body), check, 400) != []


@pytest.mark.parametrize("check", sorted({check for check, _ in BROKEN.values()}))
def test_what_is_sound_is_left_in_peace(browser: Browser, shown: Path, check: str) -> None:
    assert complaints(browser, write(shown, SOUND), check, 400) == []


def test_what_does_not_open_by_keys_is_found(browser: Browser, shown: Path) -> None:
    folded = "<details><summary{}>more</summary><p>inside</p></details>"
    for attribute, left_closed in (("", 0), (' tabindex="-1"', 1)):
        complaints(browser, write(shown, folded.format(attribute)), "summaries()", 400)
        browser.press("Tab", 9)
        if browser.value("checks.focused()") >= 0:
            browser.press("Enter", 13)
        assert browser.value("checks.closed()") == left_closed


def test_what_is_not_printed_is_found(browser: Browser, shown: Path) -> None:
    folded = write(shown, "<details><summary>more</summary><p>inside</p></details>")
    assert complaints(browser, folded, "unprinted()", 700, media="print") != []


def test_a_character_that_no_font_has_is_found() -> None:
    assert drawable("→")
    assert not drawable("🧠")
    assert not drawable("漢")
