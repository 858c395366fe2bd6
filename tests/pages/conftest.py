"""What the tests of shown pages share: a browser, and a page for each lab, made by its smoke run."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
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
def page_of(smoke_pages: Path, tmp_path_factory: pytest.TempPathFactory) -> PageOf:
    """Return the page that a lab's smoke run leaves. Where no test has run the lab yet, it runs, once for all processes."""

    def page(number: int) -> Path:
        kept = smoke_pages / f"lab{number:02d}.html"
        with kept.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                shutil.copy(_run(number, tmp_path_factory.mktemp(kept.stem)), kept)
        return kept

    return page


def _run(number: int, home: Path) -> Path:
    tiny = number == TINY_NUMBER
    folder = checkout_with(TINY, "lab99_tiny_things.py", home / "checkout") if tiny else ROOT
    words = [sys.executable, "-m", "labs", "run", str(number), "--smoke", *(["--", "--loud"] if tiny else [])]
    environ = {**os.environ, "LABS_HOME": str(home)}
    ended = subprocess.run(
        words, cwd=folder, env=environ, capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (found,) = home.glob("runs/lab*/*/report.html")
    return found
