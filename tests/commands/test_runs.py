"""Runs that go on by themselves, over folders as a launcher leaves them. On a real cluster: tests/cluster/test_runs.py."""

import json
from pathlib import Path

import pytest

from labs import launch
from labs.commands import runs
from labs.errors import UsageError
from labs.launch import State


class Stand:
    """A launcher whose run waits until it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = False

    def state(self, folder: Path) -> State:
        return (
            State("7", "cancelled", ended=True) if self.cancelled else State("7", "pending", "all are busy")
        )

    def cancel(self, folder: Path) -> None:
        self.cancelled = True

    def follow(self, folder: Path) -> int:
        return 3


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    stand = Stand()
    monkeypatch.setitem(launch.LAUNCHERS, "stand", stand)
    return stand


@pytest.fixture
def folder(labs_home: Path) -> Path:
    path = labs_home / "runs" / "lab43" / "then-stand"
    path.mkdir(parents=True)
    (path / "job.json").write_text(json.dumps({"launcher": "stand", "id": "7"}))
    return path


@pytest.mark.usefixtures("stand", "folder")
def test_a_run_that_waits_is_shown_and_ends_by_cancel(capsys: pytest.CaptureFixture[str]) -> None:
    runs.status()
    assert capsys.readouterr().out == "lab43/then-stand  7 pending: all are busy\n"
    runs.cancel("43")
    assert capsys.readouterr().out == "lab43/then-stand is cancelled\n"
    runs.status()
    assert capsys.readouterr().out == "no job of yours waits or runs\n"
    runs.status("43")
    assert capsys.readouterr().out == "lab43/then-stand  7 cancelled\n"


def test_what_has_ended_cannot_be_cancelled(stand: Stand, folder: Path) -> None:
    stand.cancelled = True
    with pytest.raises(UsageError, match="lab43/then-stand has ended already; there is nothing to cancel"):
        runs.cancel("43")


@pytest.mark.usefixtures("stand")
def test_logs_are_followed_or_those_of_one_rank_are_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("log.txt", "rank2.log", "rank10.log"):
        (folder / name).write_text(f"{name}\n")
    assert runs.logs("43") == 3
    assert [runs.logs("43", rank) for rank in ("0", "10")] == [0, 0]
    assert capsys.readouterr().out == "log.txt\nrank10.log\n"
    with pytest.raises(UsageError, match="then-stand keeps no output of rank 3; choose from: 0, 2, 10"):
        runs.logs("43", "3")


def test_a_run_of_this_machine_is_no_job_to_cancel(labs_home: Path) -> None:
    folder = labs_home / "runs" / "lab01" / "then-local"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"status": "running"}')
    with pytest.raises(UsageError, match="then-local runs in a terminal of this machine, not as a job"):
        runs.cancel("1")
