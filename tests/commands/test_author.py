"""The commands for who writes labs, as real processes."""

from pathlib import Path

import pytest

from labs import launch
from labs.commands import author
from tests.conftest import Command


def test_the_matrix_of_the_tiny_lab_is_complete(labs: Command, tiny_checkout: Path) -> None:
    ended = labs("mutants", "99", cwd=tiny_checkout)
    assert ended.returncode == 0, ended.stderr
    assert "6 of 6 claims can fail" in ended.stdout


@pytest.mark.parametrize(("asked", "procs"), [(None, 3), ("1", 1)])
def test_mistakes_in_what_ranks_do_are_tried_on_as_many_as_one_asks_for(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, procs: int
) -> None:
    specs: list[launch.RunSpec] = []

    def submit(spec: launch.RunSpec) -> int:
        specs.append(spec)
        return 0

    monkeypatch.setattr(launch.LAUNCHERS["local"], "submit", submit)
    with pytest.raises(SystemExit, match="0"):
        author.mutants("43", systematic=False, procs=asked)
    assert [(spec.lab, spec.procs) for spec in specs] == [(43, procs)]
