"""Runs that go on by themselves, over folders as a launcher leaves them. On a real cluster: tests/cluster/test_runs.py."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from labs import launch, presence, record
from labs.commands import runs
from labs.errors import UsageError
from labs.launch import State
from tests.launch.test_closing import LEAST


class Stand:
    """A launcher whose run waits until it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = False

    def states(self, folders: Sequence[Path]) -> dict[Path, State]:
        waits = State("7", "pending", "all are busy")
        ended = State("7", "cancelled", ended=True, status=143)
        return dict.fromkeys(folders, ended if self.cancelled else waits)

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
    assert capsys.readouterr().out == "no run of yours waits or goes on\n"
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


def test_all_that_have_not_ended_are_cancelled_at_once(
    stand: Stand, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.cancel(all_=True)
    assert stand.cancelled
    assert capsys.readouterr().out == "lab43/then-stand is cancelled\n"
    runs.cancel(all_=True)
    assert capsys.readouterr().out == "no job of yours waits or runs\n"


@pytest.mark.parametrize(("which", "all_"), [("", False), ("43", True)])
def test_which_runs_to_cancel_is_to_be_said_once(stand: Stand, folder: Path, which: str, all_: bool) -> None:
    with pytest.raises(UsageError, match="say which run"):
        runs.cancel(which, all_)
    assert not stand.cancelled


def test_a_run_of_this_machine_is_no_job_to_cancel(labs_home: Path) -> None:
    folder = labs_home / "runs" / "lab01" / "then-local"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"status": "running"}')
    with (
        presence.shown(folder),
        pytest.raises(UsageError, match="then-local runs in a terminal of this machine, not as a job"),
    ):
        runs.cancel("1")


def test_what_was_told_to_end_and_has_not_yet_is_not_called_cancelled(
    stand: Stand, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stand, "cancel", lambda folder: None)
    runs.cancel("43")
    assert capsys.readouterr().out == "lab43/then-stand was told to end, and is pending still: labs status\n"


def test_a_run_of_this_machine_is_shown_while_it_runs_and_closed_when_nobody_is_there(
    labs_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = labs_home / "runs" / "lab01" / "then-local"
    folder.mkdir(parents=True)
    record.Run(**LEAST).save(folder)
    with presence.shown(folder):
        runs.status()
    assert capsys.readouterr().out == "lab01/then-local  running\n"
    (folder / "log.txt").write_text("what it printed\n")
    assert runs.logs("1") == 1
    said = capsys.readouterr()
    assert said.err == "broke: it ended without a word: it was killed, or its machine went down\n"
    runs.status()
    assert capsys.readouterr().out == "no run of yours waits or goes on\n"
    assert record.load(folder).status == "broke"


def test_a_preflight_that_goes_on_by_itself_is_found_by_its_name_and_its_job(
    stand: Stand, labs_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("8", "9"):
        path = labs_home / "runs" / f".preflight-{name}"
        path.mkdir(parents=True)
        (path / "job.json").write_text(json.dumps({"launcher": "stand", "id": f"10{name}"}))
    runs.status()
    assert "preflight-9  7 pending" in capsys.readouterr().out
    runs.status("preflight")
    assert capsys.readouterr().out == "preflight-9  7 pending: all are busy\n"
    runs.status("job108")
    assert capsys.readouterr().out == "preflight-8  7 pending: all are busy\n"
    assert runs.logs("preflight") == 3
    runs.cancel("preflight")
    assert stand.cancelled


def test_what_goes_on_by_itself_says_by_which_name() -> None:
    assert launch.RunSpec(43, "m", "slurm").later_commands == "labs status 43 · labs logs 43 · labs cancel 43"
    assert "labs status preflight ·" in launch.RunSpec(0, "m", "slurm").later_commands
