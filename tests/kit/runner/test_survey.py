"""The survey of systematic edits, as a person sees it and as a program reads it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from labs.kit.runner import survey as shown
from labs.kit.runner.edits import Edit
from labs.kit.runner.marks import Equivalent
from labs.kit.runner.systematic import RAISED, Judged, Survey
from tests.kit.runner.mutant_steps import plain

LAB = Path(__file__).parents[1] / "edited_lab.py"
KILLED = Judged(Edit("plain", 12, "a + b", "a - b", ""), "99.sum")
CRASHING = Judged(Edit("plain", 12, "[a + b]", "a", ""), RAISED)
LEFT = Judged(Edit("plain", 12, 'x["a"]', "[b]", ""))
LISTED = Equivalent(plain, 'x["a"]', "[b]", "both are [sums]")


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny: object) -> "Show":
    return Show(monkeypatch, capsys, tiny)


class Show:
    """Shows a survey that is made up, of the tiny lab."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny: object
    ) -> None:
        self.monkeypatch, self.capsys, self.tiny = monkeypatch, capsys, tiny

    def __call__(self, *judged: Judged, equivalents: tuple[Equivalent, ...] = ()) -> tuple[int, list[str]]:
        result = Survey(99, "lab99_tiny.py", judged, equivalents, {"other": "needs cuda"})
        self.monkeypatch.setattr(shown, "load", lambda name: self.tiny)
        self.monkeypatch.setattr(shown, "survey", lambda *words: result)
        status = shown.show_survey("any")
        return status, self.capsys.readouterr().out.splitlines()


def test_what_was_noticed_is_counted_and_the_last_line_says_how_much(show: Show) -> None:
    status, lines = show(*[KILLED] * 19, CRASHING)
    assert status == 0
    assert lines[1:] == [
        "Lab 99: 20 edits of its exercises",
        "    19  99.sum",
        "     1  it raised",
        "  –  other is not judged here: needs cuda",
        "killed 20 of 20 that are not equivalent (100 %)",
    ]


def test_a_survivor_is_shown_with_its_line_and_as_it_would_be_listed(show: Show) -> None:
    status, lines = show(*[KILLED] * 18, LEFT)
    assert status == 1
    assert lines[3:5] == [
        '  ✘  lab99_tiny.py:12 plain: x["a"] → [b]',
        '     Equivalent(plain, \'x["a"]\', "[b]", ""),',
    ]
    assert lines[-1] == "killed 18 of 19 that are not equivalent (94 %)"


def test_an_equivalent_edit_is_set_apart_with_its_reason(show: Show) -> None:
    status, lines = show(KILLED, LEFT, equivalents=(LISTED,))
    assert status == 0
    assert lines[3] == '  =  lab99_tiny.py:12 plain: x["a"] → [b] both are [sums]'
    assert lines[-1] == "killed 1 of 1 that are not equivalent (100 %)"


def test_a_listed_edit_that_is_none_fails(show: Show) -> None:
    status, lines = show(KILLED, equivalents=(LISTED,))
    assert status == 1
    assert '  ✘  EQUIVALENT plain, x["a"] → [b]: no edit reads so' in lines


def test_nothing_to_edit_fails(show: Show) -> None:
    assert show()[0] == 1


def test_a_program_reads_it_as_json(show: Show, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LABS_MATRIX", str(tmp_path / "survey.json"))
    show(*[KILLED], LEFT, equivalents=(LISTED,))
    found = json.loads((tmp_path / "survey.json").read_text(encoding="utf-8"))
    assert found["edits"][0] == {
        "step": "plain", "line": 12, "old": "a + b", "new": "a - b", "noticed": "99.sum",
    }  # fmt: skip
    assert (found["lab"], found["share"], found["fine"], found["survivors"]) == (99, 1.0, True, [])
    assert found["equivalent"] == [{"step": "plain", "old": 'x["a"]', "new": "[b]", "why": "both are [sums]"}]


def test_a_lab_that_does_not_hold_is_said_without_a_traceback(
    tiny: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.namespaces[0]["MEMORY"].append("from before")  # type: ignore[attr-defined]
    monkeypatch.setattr(shown, "load", lambda name: tiny)
    assert shown.show_survey("any") == 1
    assert capsys.readouterr().out.startswith("lab 99 does not hold without a mutant: 99.remembered")


def test_what_edits_say_is_not_heard_and_a_way_around_that_is() -> None:
    program = """
import os, sys
from labs.kit.runner.survey import silence
print("before")
with silence() as around:
    print("loud"); print("louder", file=sys.stderr); os.system("echo loudest"); print("around", file=around, flush=True)
print("after")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("before\nafter\n", "around\n")
