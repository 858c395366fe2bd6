"""What a second process knows of the edits that a first one tried."""

from pathlib import Path

from labs.kit.distributed.world import World
from labs.kit.runner.edits import Edit
from labs.kit.runner.journal import CRASHED, Journal

FIRST, SECOND = (Edit("step", 7, old, "a - 1", "") for old in ("a + 1", "a + 2"))


def opened(folder: Path) -> Journal:
    return Journal(folder / "journal", World())


def test_what_was_judged_is_known_also_that_nothing_noticed_it(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for edit, noticed in ((FIRST, "99.total"), (SECOND, "")):
        assert journal.known(edit) is None
        journal.begin(edit)
        journal.end(edit, noticed)
    assert [opened(tmp_path).known(edit) for edit in (FIRST, SECOND)] == ["99.total", ""]


def test_an_edit_that_ended_the_process_is_tried_once_more_and_then_it_counts(tmp_path: Path) -> None:
    opened(tmp_path).begin(FIRST)
    second = opened(tmp_path)
    assert second.known(FIRST) is None
    second.begin(FIRST)
    assert opened(tmp_path).known(FIRST) == CRASHED
    assert opened(tmp_path).known(SECOND) is None


def test_an_innocent_edit_that_a_damaged_process_ended_in_is_judged(tmp_path: Path) -> None:
    opened(tmp_path).begin(FIRST)
    second = opened(tmp_path)
    second.begin(FIRST)
    second.end(FIRST, "")
    assert opened(tmp_path).known(FIRST) == ""


def test_without_a_path_nothing_is_kept() -> None:
    journal = Journal(None, World())
    journal.begin(FIRST)
    assert journal.known(FIRST) is None
