"""A run as a chapter."""

from labs import record
from labs.report.chapter import sections


def test_each_part_has_its_own_code_and_guesses_and_then_what_came_of_it(run: record.Run) -> None:
    opening, first, second = sections(run)
    assert (opening.part.number, [type(thing) for thing in opening.content], opening.code) == (
        0,
        [record.Table],
        [],
    )
    assert [(code.step.name, code.shown) for code in first.code] == [("first", "folded"), ("helping", "open")]
    assert [prediction.id for prediction in first.predictions] == ["01.held"]
    assert not [thing for thing in first.content if thing.type in ("step", "prediction")]
    assert [(code.step.name, code.shown) for code in second.code] == [("second", "hidden")]


def test_a_step_of_no_part_stands_before_the_first(run: record.Run) -> None:
    run.steps[1].part = 7
    run.steps[2].part = 0
    assert [code.step.name for code in sections(run)[0].code] == ["helping", "second"]


def test_a_guess_that_was_not_recorded_is_left_out(run: record.Run) -> None:
    run.predictions.clear()
    assert sections(run)[1].predictions == []
