"""The commands for readers, as real processes."""

import re
from pathlib import Path

import pytest

from labs import catalog
from labs.commands import read
from labs.launch import State
from tests.commands.conftest import PLANNED
from tests.conftest import Command


def test_list_has_all_labs_and_how_their_last_run_ended(labs: Command, labs_home: Path) -> None:
    ended = labs("list")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.findall(r"^  (\d\d)  ", ended.stdout, re.MULTILINE) == [
        f"{number:02d}" for number in range(1, 51)
    ]
    assert re.search(r"^  01  Storage vs. view +not run yet$", ended.stdout, re.MULTILINE)
    folder = labs_home / "runs" / "lab01" / "2030-01-01T00-00-00-local"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"status": "held"}')
    assert re.search(r"^  01  Storage vs. view +held$", labs("list").stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("recorded", "state", "said"),
    [
        ("held", State("7", "completed", ended=True), "held"),
        ("", State("7", "cancelled", ended=True, status=143), "cancelled, before it began"),
        ("interrupted", State("7", "pending", "all are busy"), "pending as job 7"),
        ("running", State("", "running"), "running"),
        ("running", State("7", "unknown", "no answer"), "not known whether it goes on: no answer"),
    ],
)
def test_the_last_run_is_told_as_its_place_and_its_record_say(
    tmp_path: Path, recorded: str, state: State, said: str
) -> None:
    if recorded:
        (tmp_path / "run.json").write_text(f'{{"status": "{recorded}"}}')
    assert read._last_verdict(tmp_path, state) == said


@pytest.mark.parametrize("content", ["", "[]"])
def test_list_survives_a_broken_record(labs: Command, labs_home: Path, content: str) -> None:
    folder = labs_home / "runs" / "lab01" / "2030-01-01T00-00-00-local"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(content)
    ended = labs("list")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_titles_come_in_polish_too(labs: Command) -> None:
    assert "Magazyn danych a widok" in labs("list", "--lang", "pl").stdout
    assert "Magazyn danych a widok" in labs("show", "1", "--lang", "pl").stdout


def test_show_has_the_whole_header_and_the_exercises(labs: Command) -> None:
    shown = labs("show", "01").stdout
    entry = catalog.find("1")
    for name, text in entry.sections.items():
        assert f"\n{name}\n" in shown
        assert all(line.strip() in shown for line in text.splitlines())
    assert "1.1 read_by_address" in shown


@pytest.mark.skipif(not PLANNED, reason="every lab is written")
def test_show_says_of_a_planned_lab_that_it_is_planned(labs: Command) -> None:
    ended = labs("show", str(PLANNED))
    assert ended.returncode == 0
    assert "planned, not written yet" in ended.stdout
