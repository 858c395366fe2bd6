"""What is read off a part's source, and off the names in code."""

from collections.abc import Callable
from functools import cached_property, partial, wraps
from typing import Any

import pytest

from labs.kit.runner import reading
from labs.kit.runner.reading import Sentence

LOOK = "look"


def inner(x: Any) -> Any:
    return [x]


def middle(x: Any) -> Any:
    return inner(x)


def outer(x: Any) -> Any:
    return [(lambda: middle(part))() for part in (x,)]


def beside(x: Any) -> Any:
    return x


@wraps(beside)
def wrapped(x: Any) -> Any:
    return beside(x)


class Base:
    """Calls a step in a method."""

    def method(self) -> Any:
        return inner(1)


class Derived(Base):
    """Calls it only as its base does."""


class Many:
    """Calls steps in every way that a class can."""

    @property
    def first(self) -> Any:
        return inner(1)

    @cached_property
    def second(self) -> Any:
        return middle(1)

    @staticmethod
    def third() -> Any:
        return outer(1)

    @classmethod
    def fourth(cls) -> Any:
        return beside(1)


def building() -> Any:
    return Derived().method()


CODE: dict[str, Callable[..., Any]] = {
    thing.__name__: thing for thing in (inner, middle, outer, beside, Base, Derived, building)
}


def claiming(cfg: Any, lab: Any) -> Any:
    """Why?"""
    x = lab.step(middle, 1)
    lab.once(outer, lab.step_on_first(beside, 2))
    lab.step(partial(inner, 1))
    lab.other(inner)
    if lab.equal("01.b", "the second letter comes first", x, 1, needs="cuda"):
        lab.say("01.say")
    lab.ratio("01.a", 'with "marks" in it', inner, lambda: lab.step(inner, 1), at_least=2, because="b")
    return lab.raises("01.0", "z", inner, OSError, "") or lab.equal("01.00", "after it", 1, 1)


def test_claims_stand_in_the_order_of_the_source() -> None:
    assert reading.sentences(claiming) == [
        Sentence("01.b", "the second letter comes first", "exact"),
        Sentence("01.a", 'with "marks" in it', "ratio"),
        Sentence("01.0", "z", "raises"),
        Sentence("01.00", "after it", "exact"),
    ]


def counted(cfg: Any, lab: Any) -> None:
    lab.count(f"01.{cfg}", "t", 1, want=1)


def named(cfg: Any, lab: Any) -> None:
    lab.count("01.a", LOOK, 1, want=1)


def by_keyword(cfg: Any, lab: Any) -> None:
    lab.count(id_="01.a", text="t", got=1, want=1)


def not_text(cfg: Any, lab: Any) -> None:
    lab.count(1, "t", 1, want=1)


@pytest.mark.parametrize("part", [counted, named, by_keyword, not_text])
def test_an_id_and_a_text_are_written_out(part: Callable[..., Any]) -> None:
    with pytest.raises(
        ValueError, match=rf"{part.__name__}: a claim's id and text are written out: lab.count\("
    ):
        reading.sentences(part)


def test_steps_are_what_is_handed_to_lab_step_by_name() -> None:
    assert reading.stepped(claiming) == {"middle", "outer", "beside", "inner"}


@pytest.mark.parametrize(
    ("edited", "reached"),
    [
        ("inner", {"inner", "middle", "outer", "Base", "Derived", "building"}),
        ("middle", {"middle", "outer"}),
        ("outer", {"outer"}),
        ("beside", {"beside"}),
    ],
)
def test_an_edit_reaches_the_step_and_all_from_which_it_is_called(edited: str, reached: set[str]) -> None:
    assert reading.callers_of(edited, CODE) == reached


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (["outer"], ["inner", "middle"]),
        (["building"], ["inner", "Base", "Derived"]),
        (["inner"], []),
        (["outer", "middle"], ["inner"]),
        (["unknown"], []),
        ([], []),
    ],
)
def test_what_is_called_stands_in_the_order_of_the_file(names: list[str], called: list[str]) -> None:
    assert reading.callees_of(names, CODE) == called


def test_a_class_mentions_what_its_methods_do() -> None:
    assert {"inner", "middle", "outer", "beside"} <= reading.names_in(Many)


def test_a_wrapped_function_mentions_what_is_inside() -> None:
    assert "beside" not in reading.names_in(wrapped)


def test_what_has_no_code_mentions_nothing() -> None:
    assert reading.names_in(len) == set()
