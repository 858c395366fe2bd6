"""A lab's file as the kit reads it."""

import pytest

from labs.kit.runner import lesson
from labs.kit.runner.lesson import Lesson


def test_steps_stand_in_file_order_without_run_and_without_imported_functions(tiny: Lesson) -> None:
    assert list(tiny.steps) == ["numbers", "doubled", "total", "long_row", "remembered"]


def test_exercises_are_numbered_in_file_order(tiny: Lesson) -> None:
    assert tiny.exercises == {"99.1": "doubled", "99.2": "total", "99.3": "long_row"}
    assert [tiny.exercise_of(step) for step in tiny.steps] == ["", "99.1", "99.2", "99.3", ""]


def test_title_name_and_mutants_are_the_labs_own(tiny: Lesson) -> None:
    assert tiny.title == "Tiny things"
    assert tiny.import_name == "labs.m7_bonus.lab99_tiny_things"
    assert tiny.mutants == tiny.namespace["MUTANTS"]


def answer() -> int:
    return 42


def test_a_replaced_step_is_found_by_every_caller_and_taken_out_again(tiny: Lesson) -> None:
    before = dict(tiny.namespace)
    with tiny.replaced({"doubled": answer, "total": answer}):
        assert tiny.namespace["doubled"] is answer
        assert tiny.run.__globals__["total"] is answer
        assert tiny.namespace["numbers"] is before["numbers"]
    assert tiny.namespace == before


def test_a_replaced_step_is_taken_out_after_an_error(tiny: Lesson) -> None:
    before = dict(tiny.namespace)
    with pytest.raises(RuntimeError, match="on purpose"), tiny.replaced({"doubled": answer}):
        raise RuntimeError("on purpose")
    assert tiny.namespace == before


def test_what_the_lab_does_not_have_cannot_be_replaced(tiny: Lesson) -> None:
    with pytest.raises(KeyError), tiny.replaced({"no_such_step": answer}):
        pass
    assert "no_such_step" not in tiny.namespace


def test_a_docstring_is_a_title_and_prose(tiny: Lesson) -> None:
    title, prose = lesson.title_and_prose(tiny.steps["total"])
    assert (title, prose) == ("Add the numbers up", "Their sum is known since Gauss was a boy.")
    assert lesson.title_and_prose(answer) == ("answer", "")
