"""The commands for who writes labs, as real processes."""

from pathlib import Path

from tests.conftest import Command


def test_the_matrix_of_the_tiny_lab_is_complete(labs: Command, tiny_checkout: Path) -> None:
    ended = labs("mutants", "99", cwd=tiny_checkout)
    assert ended.returncode == 0, ended.stderr
    assert "6 of 6 claims can fail" in ended.stdout
