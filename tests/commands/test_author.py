"""The commands for who writes labs, as real processes."""

from pathlib import Path

import pytest

from labs import launch
from labs.commands import author
from labs.kit.runner import matrix
from tests.conftest import Command


def test_the_matrix_of_the_tiny_lab_is_complete(labs: Command, tiny_checkout: Path) -> None:
    ended = labs("mutants", "99", cwd=tiny_checkout)
    assert ended.returncode == 0, ended.stderr
    assert "6 of 6 claims can fail" in ended.stdout


def test_a_brief_matrix_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def show(names: list[str], *, brief: bool) -> int:
        asked.append((names, brief))
        return 0

    def submit(spec: launch.RunSpec) -> int:
        asked.append(spec.flags)
        return 0

    monkeypatch.setattr(matrix, "show_matrices", show)
    monkeypatch.setattr(launch.LAUNCHERS["local"], "submit", submit)
    for lab, brief in (("1", True), ("1", False), ("43", True), ("43", False)):
        with pytest.raises(SystemExit, match="0"):
            author.mutants(lab, brief=brief)
    alone, ranks = "labs.m1_tensors.lab01_storage_vs_view", "labs.m6_production.lab43_ddp_concepts"
    assert asked == [([alone], True), ([alone], False), (ranks, matrix.BRIEF), (ranks,)]


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
