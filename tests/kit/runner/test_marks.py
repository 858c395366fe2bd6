"""What a lab says about its steps."""

import pytest

from labs.kit.runner.marks import Marks, exercise, fresh, marks_of, needs


def step() -> int:
    return 1


@pytest.mark.parametrize("hints", [(), ("one",), ("one", "two"), ("one", "two", "three", "four")])
def test_an_exercise_has_three_hints(hints: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"three hints, got {len(hints)}"):
        exercise(*hints)


def test_a_mark_leaves_the_function_what_it_is() -> None:
    def own() -> int:
        return 2

    assert exercise("a", "b", "c")(own) is own
    assert fresh(own) is own
    assert own() == 2


def test_marks_add_up_in_either_order() -> None:
    def first() -> None: ...
    def second() -> None: ...

    both = Marks(("a", "b", "c"), contract="d", insight="e", fresh=True)
    assert marks_of(exercise("a", "b", "c", contract="d", insight="e")(fresh(first))) == both
    assert marks_of(fresh(exercise("a", "b", "c", contract="d", insight="e")(second))) == both


def test_a_part_says_what_it_needs() -> None:
    def part() -> None: ...

    assert needs("cuda")(part) is part
    assert marks_of(part) == Marks(needs="cuda")


def test_a_function_without_marks_has_empty_ones() -> None:
    assert marks_of(step) == Marks((), contract="", insight="", fresh=False, needs="")
