"""How runs are doing, over folders as runs leave them. On a real cluster: tests/cluster/test_records.py."""

import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from labs import presence, record
from labs.launch import LAUNCHERS, State
from labs.launch.spec import noted_job
from labs.launch.states import QUIET_S, attended, end_with, noted_end, recorded, settled
from tests.launch.test_closing import LEAST

ELSEWHERE = "some-other-host"


class Place:
    """A place that knows how its runs are doing, and counts how often it is asked."""

    def __init__(self, answers: dict[str, State]) -> None:
        self.answers, self.asked = answers, list[list[str]]()

    def states(self, folders: Sequence[Path]) -> dict[Path, State]:
        self.asked.append([folder.name for folder in folders])
        return {folder: self.answers[folder.name] for folder in folders}


def run(folder: Path, launcher: str = "", **record_: Any) -> Path:
    """Make a run's folder: with a job where a launcher is named, with a record where something of it is said."""
    folder.mkdir(parents=True)
    if launcher:
        (folder / "job.json").write_text(
            json.dumps({"launcher": launcher, "id": "7", "host": socket.gethostname()})
        )
    if record_:
        record.Run(**LEAST | record_).save(folder)
    return folder


def test_a_place_is_asked_once_for_all_and_about_an_end_never_again(tmp_path: Path) -> None:
    folders = [run(tmp_path / name, "place") for name in ("waits", "ended", "lost")]
    place = Place(
        {
            "waits": State("7", "pending", "all are busy"),
            "ended": State("7", "failed", "node1 ended with status 3", ended=True, status=3),
            "lost": State("7", "unknown", "nobody answers"),
        }
    )
    for _ in range(2):
        states = settled(folders, {"place": place})  # type: ignore[dict-item]
        assert list(states.values()) == list(place.answers.values())
    assert place.asked == [["waits", "ended", "lost"], ["waits", "lost"]]
    assert noted_job(folders[1])["launcher"] == "place"


def test_an_end_closes_a_record_that_could_not_be_closed(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", "place", status="running")
    place = Place({"run": State("7", "node_fail", "a node failed: node2", ended=True, status=1)})
    settled([folder], {"place": place})  # type: ignore[dict-item]
    notes = record.load(folder)
    assert (notes.status, notes.error) == ("broke", "a node failed: node2")


def test_a_place_of_another_version_is_said(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", "moon", status="running")
    assert settled([folder], LAUNCHERS) == {folder: State("", "unknown", "LAUNCHER=moon is not there")}
    assert record.load(folder).status == "running"


def test_an_end_is_noted_with_its_status(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", "local")
    assert noted_end(folder) is None
    end_with(folder, 3)
    assert noted_end(folder) == State("7", "ended with status 3", ended=True, status=3)


def test_a_full_disk_does_not_keep_an_end_from_being_told(disk_of: Callable[[str], Path]) -> None:
    folder = run(disk_of("64k") / "run", "place", status="running")
    with suppress(OSError):
        (folder / "filler").write_bytes(b"x" * 2**17)
    place = Place({"run": State("7", "failed", "the disk was full", ended=True, status=1)})
    assert settled([folder], {"place": place}) == {folder: place.answers["run"]}  # type: ignore[dict-item]


@pytest.mark.parametrize("launcher", ["", "local", "docker"])
@pytest.mark.parametrize("status", ["held", "failed", "broke", "interrupted"])
def test_a_run_of_an_older_version_is_as_its_record_says(tmp_path: Path, launcher: str, status: str) -> None:
    folder = run(tmp_path / "run", launcher, status=status)
    state = settled([folder], LAUNCHERS)[folder]
    assert (state.word, state.ended) == (status, True)
    assert record.load(folder).status == status


@pytest.mark.parametrize("launcher", ["", "local", "docker"])
def test_a_run_at_which_nobody_is_at_work_has_ended(tmp_path: Path, launcher: str) -> None:
    here = {"rank": 0, "node": 0, "host": socket.gethostname(), "pid": 1, "device": "cpu"}
    folder = run(tmp_path / "run", launcher, status="running", ranks=[here])
    with presence.shown(folder):
        assert settled([folder], LAUNCHERS)[folder] == State("", "running")
        assert record.load(folder).status == "running"
    state = settled([folder], LAUNCHERS)[folder]
    assert (state.word, state.ended) == ("broke", True)
    assert record.load(folder).error == state.detail
    assert "it was killed, or its machine went down" in state.detail


def test_of_another_machines_run_its_own_word_counts_until_it_was_silent_for_long(tmp_path: Path) -> None:
    there = {"rank": 0, "node": 0, "host": ELSEWHERE, "pid": 1, "device": "cpu"}
    folder = run(tmp_path / "run", status="running", ranks=[there])
    (folder / presence.LOG).touch()
    assert attended(folder) == State("", "running", f"on {ELSEWHERE}, as it says itself")
    long_ago = time.time() - 2 * QUIET_S
    os.utime(folder / presence.LOG, (long_ago, long_ago))
    assert (attended(folder).word, attended(folder).ended) == ("broke", True)
    with presence.shown(folder):
        os.utime(folder / presence.LOG, (long_ago, long_ago))
        assert attended(folder) == State("", "running")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, ""),
        ("{", ""),
        ('{"claims": [{"status": "held"}], "status": "broke"}', "broke"),
        ('{\n  "sections": {\n    "status": "held"\n  },\n  "status": "failed"\n}', "failed"),
        ('{\n  "long": "' + "x" * 5000 + '",\n  "status": "failed"\n}', "failed"),
    ],
)
def test_a_status_is_the_records_own(tmp_path: Path, content: str | None, word: str) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    assert recorded(tmp_path) == word
