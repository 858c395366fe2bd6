"""What the tests of shown pages share: a browser, and a page for each lab, made by its smoke run."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY, checkout_with
from tests.pages.browser import Browser, Unavailable

CHECKS = Path(__file__).with_name("checks.js").read_text(encoding="utf-8")
TINY_NUMBER = 99
PageOf = Callable[[int], Path]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser; without one the tests are skipped, on CI they fail."""
    try:
        with Browser(tmp_path_factory.mktemp("profile")) as started:
            yield started
    except Unavailable as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> PageOf:
    """Return the page that a lab's smoke run leaves. Each lab runs once, when its page is first asked for."""

    @cache
    def page(number: int) -> Path:
        home = tmp_path_factory.mktemp(f"lab{number:02d}")
        folder = (
            checkout_with(TINY, "lab99_tiny_things.py", home / "checkout") if number == TINY_NUMBER else ROOT
        )
        own = ["--", "--loud"] if number == TINY_NUMBER else []
        words = [sys.executable, "-m", "labs", "run", str(number), "--smoke", *own]
        environ = {**os.environ, "LABS_HOME": str(home)}
        ended = subprocess.run(
            words, cwd=folder, env=environ, capture_output=True, text=True, timeout=240, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        (found,) = home.glob("runs/lab*/*/report.html")
        return found

    return page
