"""A table of many columns fits on a page: long headings break between their words, and on a narrow page its rows are taken apart."""

from pathlib import Path

import pytest

from labs import record
from labs.report import page
from tests.pages.browser import Browser
from tests.pages.test_every_page import WIDTHS, complaints

HEADINGS = ["numbers", "eager, µs", "compiled, µs", "this process, all forgotten", "new process", "new process, empty cache",
            "another function, empty cache"]  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_of_many_columns_fits(browser: Browser, tmp_path: Path, width: int) -> None:
    row = ["16,777,216", "19,573", "10,065", "1,253,000", "54,069", "75,335", "7,566"]
    run = record.Run(
        lab=1, title="t", module="m", launcher="local", nodes=1, procs=1, status="held", smoke=False, started="?", config={},
        opening=[record.Table(title="When it has paid", columns=HEADINGS, rows=[row, row])],
    )  # fmt: skip
    run.save(tmp_path)
    assert complaints(browser, page.write(tmp_path), "cutOff()", width) == []
