"""Every lab's page in a real browser: nothing is cut off, all can be read, opened by keys, followed and printed."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from labs import catalog, record
from labs.report import index
from tests.pages.browser import Browser
from tests.pages.conftest import CHECKS, TINY_NUMBER, PageOf

NUMBERS = [TINY_NUMBER, *(entry.number for entry in catalog.all_labs().values() if entry.ready)]
WIDTHS = (400, 900, 1500)
SCHEMES = ("light", "dark")
CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3
LEAST_PIXELS = 9
TAB, ENTER, SPACE = ("Tab", 9), ("Enter", 13), (" ", 32)

every_page = pytest.mark.parametrize("number", NUMBERS)


def complaints(
    browser: Browser, page: Path, check: str, width: int, scheme: str = "light", media: str = "screen"
) -> Any:
    browser.open(page, width, scheme, media)
    browser.value(CHECKS)
    return browser.value(f"checks.{check}")


@every_page
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off(browser: Browser, page_of: PageOf, number: int, width: int) -> None:
    assert complaints(browser, page_of(number), "cutOff()", width) == []
    assert complaints(browser, page_of(number), "openAll() || checks.cutOff()", width) == [], (
        "once all is opened"
    )


@every_page
@pytest.mark.parametrize("width", WIDTHS)
def test_drawings_are_read(browser: Browser, page_of: PageOf, number: int, width: int) -> None:
    assert complaints(browser, page_of(number), f"small({LEAST_PIXELS})", width) == []
    assert complaints(browser, page_of(number), "drawings()", width) == []


@every_page
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_stands_out(browser: Browser, page_of: PageOf, number: int, scheme: str) -> None:
    found = complaints(browser, page_of(number), f"openAll() || checks.faint({CONTRAST})", 900, scheme)
    assert found == []


@every_page
def test_no_drawing_is_black_in_the_dark(browser: Browser, page_of: PageOf, number: int) -> None:
    assert complaints(browser, page_of(number), "unseen()", 900, "dark") == []


@every_page
def test_what_is_folded_opens_by_keys(browser: Browser, page_of: PageOf, number: int) -> None:
    folded = complaints(browser, page_of(number), "summaries()", 900)
    links = browser.value("document.querySelectorAll('a').length")
    for _ in range(folded + links + 1):
        browser.press(*TAB)
        reached = browser.value("checks.focused()")
        if reached >= 0:
            browser.press(*(ENTER if reached % 2 else SPACE))
    assert browser.value("checks.closed()") == 0


@every_page
def test_no_link_leads_nowhere_and_no_box_is_empty(browser: Browser, page_of: PageOf, number: int) -> None:
    assert complaints(browser, page_of(number), "astray()", 900) == []
    assert complaints(browser, page_of(number), "openAll() || checks.empty()", 900) == []


@every_page
def test_on_paper_all_is_there(browser: Browser, page_of: PageOf, number: int) -> None:
    assert complaints(browser, page_of(number), "unprinted()", 700, media="print") == []
    assert complaints(browser, page_of(number), "cutOff()", 700, media="print") == []


@every_page
def test_every_character_is_in_a_font_of_a_bare_debian(
    browser: Browser, page_of: PageOf, number: int
) -> None:
    letters = complaints(browser, page_of(number), "openAll() || checks.letters()", 900)
    assert [letter for letter in letters if not drawable(letter)] == []


def drawable(letter: str) -> bool:
    """Tell whether DejaVu has a character: Debian installs it with a browser, and matplotlib brings it along."""
    return ord(letter) in characters()


@cache
def characters() -> frozenset[int]:
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    fonts = ("DejaVu Sans", "DejaVu Sans Mono", "DejaVu Serif")
    return frozenset().union(*(frozenset(FT2Font(findfont(font)).get_charmap()) for font in fonts))


def test_the_index_is_as_good(browser: Browser, labs_home: Path) -> None:
    verdicts: tuple[record.Verdict, ...] = ("held", "failed", "not measured here")
    claims = [
        record.Claim(id=f"01.c{place}", text="t", kind="count", verdict=verdict)
        for place, verdict in enumerate(verdicts)
    ]
    statuses: tuple[record.Status, ...] = ("held", "broke", "failed")
    for status in statuses:
        run = record.Run(
            lab=1, title="A lab", module="labs.m1_tensors.lab01", launcher="slurm", nodes=2, procs=2, status=status, smoke=True,
            started="2030-01-02T12:00:00+01:00", config={}, claims=claims,
        )  # fmt: skip
        folder = labs_home / "runs" / "lab01" / f"2030-01-02T12-00-00-{status}"
        folder.mkdir(parents=True)
        run.save(folder)
    (labs_home / "runs" / "lab01" / "nothing-that-can-be-read-in-a-folder-with-a-rather-long-name").mkdir()
    page, _ = index.write()
    for width in WIDTHS:
        assert complaints(browser, page, "openAll() || checks.cutOff()", width) == []
    for scheme in SCHEMES:
        assert complaints(browser, page, f"openAll() || checks.faint({CONTRAST})", 900, scheme) == []
    assert complaints(browser, page, "openAll() || checks.empty()", 900) == []
    assert [
        link for link in browser.value("[...document.links].map(link => link.href)") if not there(link)
    ] == []


def there(address: str) -> bool:
    path, _, _ = unquote(urlsplit(address).path).partition("#")
    return Path(path).exists()
