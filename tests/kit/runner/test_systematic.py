"""Every edit of an exercise is judged by the lab's claims, and what none of them noticed is found."""

import dataclasses
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from labs.kit.distributed.world import World
from labs.kit.runner import lesson as lessons
from labs.kit.runner import systematic
from labs.kit.runner.bench import Bench, DoesNotHold, until_one_fails
from labs.kit.runner.edits import Edit, compiled
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.marks import Equivalent, marks_of
from labs.kit.runner.systematic import ENDLESS, OTHER_TYPE, RAISED, WROTE, Survey, counted, survey, type_of
from tests.conftest import checkout_with

LAB = Path(__file__).parents[1] / "edited_lab.py"
NAME = "labs.m7_bonus.lab97_edited_things"


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    """The edited lab, imported anew, in a checkout from where a process that is started now finds it too."""
    copy = checkout_with(LAB, "lab97_edited_things.py", tmp_path / "checkout")
    monkeypatch.chdir(copy)
    spec = importlib.util.spec_from_file_location(NAME, copy / "labs" / "m7_bonus" / "lab97_edited_things.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, NAME, module)
    spec.loader.exec_module(module)
    return lessons.read(module.run, module.Config)


def noticed(result: Survey, step: str) -> dict[str, str]:
    mine = [judged for judged in result.judged if judged.edit.step == step]
    return {f"{judged.edit.old} → {judged.edit.new}": judged.noticed for judged in mine}


def only(lesson: Lesson, *steps: str) -> Lesson:
    """The lab with these exercises alone."""
    return dataclasses.replace(
        lesson, exercises={id_: name for id_, name in lesson.exercises.items() if name in steps}
    )


def listing(lesson: Lesson, *equivalents: Equivalent) -> Lesson:
    """The lab with these edits listed as equivalent."""
    vars(lesson)["equivalents"] = equivalents
    return lesson


def forget(lesson: Lesson) -> None:
    """Let the lab be run in this process as if for the first time."""
    lesson.namespaces[0]["MEMORY"].clear()


def edit_of(lesson: Lesson, step: str, source: str) -> Edit:
    return Edit(step, lesson.steps[step].__code__.co_firstlineno, "as it was", "by hand", source)


def marked(function: Any, **marks: Any) -> None:
    function.__lab_marks__ = dataclasses.replace(marks_of(function), **marks)


SPOILT = "def tripled(x_N):\n    return x_N.mul_(3)\n"
HALVINGS = {
    "steps = 0 → steps = -1": "97.halvings",
    "steps = 0 → steps = 1": "97.halvings",
    "count > 1 → count >= 1": "97.halvings",
    "count > 1 → count <= 1": ENDLESS,
    "count > 1 → count > 0": "97.halvings",
    "count > 1 → count > 2": "97.halvings",
    "count //= 2 → count *= 2": ENDLESS,
    "count //= 2 → count = 2": ENDLESS,
    "count //= 2 → pass": ENDLESS,
    "count //= 2 → count //= 1": ENDLESS,
    "count //= 2 → count //= 3": "97.halvings",
    "count //= 2 → count //= 0": RAISED,
    "steps += 1 → steps -= 1": "97.halvings",
    "steps += 1 → steps = 1": "97.halvings",
    "steps += 1 → pass": "97.halvings",
    "steps += 1 → steps += 0": "97.halvings",
    "steps += 1 → steps += 2": "97.halvings",
}
WHOLE = "x_N.contiguous().clone().mul_(3)"
TRIPLED = {
    f"{WHOLE} → x_N.contiguous().clone()": "97.tripled",
    f"{WHOLE} → x_N.contiguous().clone().mul_()": RAISED,
    "x_N.contiguous().clone() → x_N.contiguous()": WROTE,
    "x_N.contiguous() → x_N": "",
    f"{WHOLE} → x_N.contiguous().clone().mul_(2)": "97.tripled",
    f"{WHOLE} → x_N.contiguous().clone().mul_(4)": "97.tripled",
    f"{WHOLE} → x_N.contiguous().clone().mul_(0)": "97.tripled",
    f"{WHOLE} → x_N.contiguous().clone().mul_(1)": "97.tripled",
}


def test_what_noticed_each_edit_and_what_nothing_noticed(
    edited: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systematic, "PATIENCE_S", 1.0)
    told: list[str] = []
    result = survey(only(edited, "halvings", "tripled"), progress=told.append)
    assert noticed(result, "halvings") == HALVINGS
    assert noticed(result, "tripled") == TRIPLED
    assert [edit.place for edit in result.survivors] == [("tripled", "x_N.contiguous()", "x_N")]
    assert (result.share, result.fine) == (24 / 25, True)
    assert counted(result) == {"97.halvings": 11, ENDLESS: 5, "97.tripled": 5, RAISED: 2, WROTE: 1}
    assert told[0] == "the lab itself"
    assert told[-2] == f"25 of 25: tripled, {WHOLE} → x_N.contiguous().clone().mul_(1)"


def test_less_than_enough_is_not_fine_and_an_equivalent_edit_does_not_count(edited: Lesson) -> None:
    lesson = only(edited, "tripled")
    result = survey(lesson)
    assert (result.share, result.fine) == (7 / 8, False)
    listed = Equivalent(edited.steps["tripled"], "x_N.contiguous()", "x_N", "it is contiguous")
    forget(edited)
    result = survey(listing(lesson, listed))
    assert [(edit.place, why) for edit, why in result.equivalent] == [
        (("tripled", "x_N.contiguous()", "x_N"), "it is contiguous")
    ]
    assert (result.survivors, result.share, result.faults, result.fine) == ([], 1.0, [], True)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("x_N.clones()", "x_N", "no edit reads so"),
        (WHOLE, "x_N.contiguous().clone()", "it is not equivalent, 97.tripled noticed it"),
        (WHOLE, "x_N.contiguous().clone().mul_()", "it is not equivalent, it raised noticed it"),
    ],
)
def test_a_listed_edit_that_is_none_or_that_is_noticed_is_a_fault(
    edited: Lesson, old: str, new: str, fault: str
) -> None:
    step = edited.steps["tripled"]
    fine = Equivalent(step, "x_N.contiguous()", "x_N", "it is contiguous")
    result = survey(listing(only(edited, "tripled"), fine, Equivalent(step, old, new, "it is not")))
    assert result.faults == [f"EQUIVALENT tripled, {old} → {new}: {fault}"]
    assert (result.share, result.fine) == (1.0, False)


def test_a_fresh_step_is_edited_in_processes_of_its_own(edited: Lesson) -> None:
    result = survey(only(edited, "remembered"))
    assert noticed(result, "remembered") == {
        "MEMORY.append(word) → pass": "97.remembered",
        "MEMORY.append(word) → MEMORY.append()": RAISED,
        "list(MEMORY) → MEMORY": "",
    }
    assert edited.namespaces[0]["MEMORY"] == [7]


def test_edits_that_leave_something_behind_are_found_out_in_the_end(edited: Lesson) -> None:
    marked(edited.steps["remembered"], fresh=False)
    with pytest.raises(DoesNotHold, match=r"97\.remembered"):
        survey(only(edited, "remembered"))


@pytest.mark.parametrize(
    ("source", "noticed_by"),
    [
        ("def halvings(count):\n    return float(count.bit_length() - 1)\n", OTHER_TYPE),
        ("def halvings(count):\n    return count.bit_length() - 1\n", ""),
        ("def halvings(count):\n    return [0] * 10**11\n", RAISED),
        ("def halvings(count):\n    raise SystemError\n", RAISED),
        ("def halvings(count):\n    print('loud')\n    return count.bit_length() - 1\n", ""),
    ],
)
def test_what_a_step_returns_or_asks_for_counts_too(
    edited: Lesson, monkeypatch: pytest.MonkeyPatch, source: str, noticed_by: str
) -> None:
    monkeypatch.setattr(systematic, "edits_of", lambda step: [edit_of(edited, "halvings", source)])
    (judged,) = survey(only(edited, "halvings")).judged
    assert judged.noticed == noticed_by


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (1, "int"),
        (True, "bool"),
        (None, "NoneType"),
        (torch.ones(2), "Tensor"),
        ((1, (2.0, [3])), "tuple[int, tuple[float, list]]"),
        ([1, "a"], "list"),
    ],
)
def test_types_are_named_down_to_the_items_of_tuples(thing: Any, name: str) -> None:
    assert type_of(thing) == name


def test_a_step_that_no_claim_judges_here_is_not_edited(edited: Lesson) -> None:
    marked(edited.parts["tripling"], needs="the package no_such_package")
    lesson = only(edited, "tripled", "remembered")
    listed = Equivalent(edited.steps["tripled"], "any", "thing", "not to be told here")
    result = survey(listing(lesson, listed))
    assert result.elsewhere == {"tripled": "needs the package no_such_package"}
    assert {judged.edit.step for judged in result.judged} == {"remembered"}
    assert result.faults == []


def test_without_an_exercise_nothing_is_fine(edited: Lesson) -> None:
    assert not survey(only(edited)).fine


def test_what_is_remembered_is_made_anew_once_an_edit_has_written_to_it(edited: Lesson) -> None:
    bench = Bench(edited, World())
    bench.reference()
    remembered = bench.memory
    bench.run(bench.replacing("tripled", edited.steps["tripled"]))
    assert bench.memory is remembered
    spoilt = compiled(SPOILT, edited.steps["tripled"], "writes")
    assert bench.run(bench.replacing("tripled", spoilt)).status == "held"
    assert bench.memory is not remembered
    assert bench.memory.versions == bench.versions
    assert edited.namespaces[0]["MEMORY"] == [7]


def test_a_run_ends_at_the_first_claim_that_fails(edited: Lesson) -> None:
    bench = Bench(edited, World())
    bench.reference()
    halved = compiled("def halvings(count):\n    return 7\n", edited.steps["halvings"], "seven")
    context = dataclasses.replace(bench.replacing("halvings", halved), only=None, on_claim=until_one_fails)
    notes = bench.run(context)
    assert (notes.status, [claim.id for claim in notes.claims]) == ("failed", ["97.halvings"])


def test_what_an_earlier_process_has_kept_is_not_tried_again(edited: Lesson, tmp_path: Path) -> None:
    kept = tmp_path / "journal"
    lesson = only(edited, "tripled")
    first = survey(lesson, kept=kept)
    forget(edited)
    again = survey(lesson, kept=kept)
    assert again == first
    assert len(kept.read_text().splitlines()) == 2 * len(first.judged)
