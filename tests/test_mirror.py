"""Tests mirror the package: each module has a test of its name in the folder of its name, and each such test a module."""

from pathlib import Path

from tests.conftest import ROOT

LABS, TESTS = ROOT / "labs", ROOT / "tests"
WHOLE = {
    "cluster",
    "images",
    "scripts",
}  # folders of tests of the whole, on real clusters and engines, and of what is no package

# Modules without a test of their name, and what tests them instead. A folder's name stands for all that is in it.
TESTED_ELSEWHERE: dict[str, str] = {}
# Tests that are of no one module.
OF_NO_MODULE: dict[str, str] = {}


def modules() -> dict[str, Path]:
    """Return the modules with something to test, each by its path without the suffix."""
    files = [path for path in LABS.rglob("*.py") if not path.name.startswith("_")]
    return {str(path.relative_to(LABS).with_suffix("")): path for path in files}


def tests() -> set[str]:
    """Return what the tests are of, by their own names: `launch/local` for launch/test_local.py."""
    files = [path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")]
    return {
        str(path.with_name(path.stem.removeprefix("test_"))) for path in files if path.parts[0] not in WHOLE
    }
