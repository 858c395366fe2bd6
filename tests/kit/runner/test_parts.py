"""Parts of a lesson: what they show, in which order, and what they share."""

import dataclasses
import io
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from labs import record
from labs.kit import needs
from labs.kit.display.screen import Screen
from labs.kit.distributed.world import PeerLost
from labs.kit.runner.context import RunContext
from labs.kit.runner.lab import Lab
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.session import blank
from tests.kit.distributed.ranks import together

Part = Callable[[Any, Lab], None]
CFG = None  # these parts ask nothing of it


def drawn(count: int = 2, seed: int = 0) -> Tensor:
    """Draw numbers."""
    return torch.rand(count) + random.random()


def helper(x_N: Tensor) -> Tensor:
    """Help."""
    return x_N


def helped(x_N: Tensor) -> Tensor:
    """Take help."""
    return helper(x_N)


def guessing(cfg: Any, lab: Lab) -> None:
    """What is drawn?

    The *why* of it.
    """
    lab.predict("99.count", "How many?", {"one": "Two.", "two": "**Yes.**"}, answer="two")
    x_N = lab.step(drawn)
    lab.table("Drawn", ["value"], [[x_N[0].item()]])
    lab.count("99.count", "two numbers are drawn", len(x_N), want=2, because="two are asked for")
    lab.say("So it is `2`,\n    and *no* more.")


def again(cfg: Any, lab: Lab) -> None:
    """What is drawn again?"""
    lab.equal("99.same", "the same numbers", lab.step(helped, lab.step(drawn)), lab.step(drawn))


@needs("the package no_such_package")
def elsewhere(cfg: Any, lab: Lab) -> None:
    """What is not here?"""
    lab.equal("99.a", "one", 1, 1)
    lab.ratio("99.b", "two", lambda: 1, lambda: 2, at_least=2, because="it is")


@needs("the package json")
def here(cfg: Any, lab: Lab) -> None:
    """What is here?"""
    lab.equal("99.here", "one", 1, 1)


@needs("luck")
def lucky(cfg: Any, lab: Lab) -> None:
    """What has nobody heard of?"""


@dataclasses.dataclass
class Performance:
    notes: record.Run
    log: str


def performed(tiny: Lesson, *parts: Part, **context: Any) -> Performance:
    """Run parts of a lesson that has them."""
    steps: dict[str, Callable[..., Any]] = {**tiny.steps, "helper": helper, "helped": helped, "drawn": drawn}
    lesson = dataclasses.replace(tiny, parts={part.__name__: part for part in parts}, steps=steps)
    notes, log = blank(lesson, lesson.config(), smoke=True), io.StringIO()
    lab = Lab(lesson, notes, RunContext(screen=Screen(quiet=True, log=log), **context))
    for part in parts:
        lab.part(part, CFG)
    return Performance(notes, log.getvalue())


def test_a_part_has_a_heading_an_argument_and_its_source(tiny: Lesson) -> None:
    first, second = performed(tiny, guessing, again).notes.parts
    assert (first.number, first.name, first.title, first.prose, first.needs) == (
        1, "guessing", "What is drawn?", "The *why* of it.", "",
    )  # fmt: skip
    assert first.source.startswith("def guessing(")
    assert (second.number, second.prose) == (2, "")
    assert first.seconds > 0


def test_what_it_shows_stands_in_the_order_of_time(tiny: Lesson) -> None:
    run = performed(tiny, guessing)
    assert [thing.type for thing in run.notes.parts[0].content] == [
        "prediction", "step", "table", "claim", "paragraph",
    ]  # fmt: skip
    places = [
        run.log.index(text)
        for text in (
            "1 What is drawn?", "The *why* of it.", "How many?", "▸ Draw numbers", "Drawn\n", "✔ two numbers are drawn",
            "◆ the guess: two. **Yes.**", "So it is `2`, and *no* more.",
        )
    ]  # fmt: skip
    assert places == sorted(places)
    assert run.notes.opening == []


def test_the_answer_is_not_shown_before_its_claim(tiny: Lesson) -> None:
    shown = performed(tiny, guessing).log
    assert "**Yes.**" not in shown[: shown.index("✔ two numbers")]


def test_an_answer_that_is_not_offered_is_a_mistake(tiny: Lesson) -> None:
    def guessing_wrong(cfg: Any, lab: Lab) -> None:
        lab.predict("99.count", "How many?", {"one": "No."}, answer="two")

    with pytest.raises(ValueError, match=r"the answer 'two' to 99.count is not among the guesses: one"):
        performed(tiny, guessing_wrong)


def test_a_guess_is_asked_for_and_kept(tiny: Lesson) -> None:
    asked: list[record.Prediction] = []

    def ask(prediction: record.Prediction) -> str:
        asked.append(prediction)
        return "one"

    (prediction,) = performed(tiny, guessing, ask=ask).notes.predictions
    assert asked == [prediction]
    assert (prediction.id, prediction.answer, prediction.guessed) == ("99.count", "two", "one")
    assert prediction.guesses[0] == record.Guess(text="one", why="Two.")
    assert performed(tiny, guessing).notes.predictions[0].guessed is None


def test_claims_and_steps_know_their_part(tiny: Lesson) -> None:
    notes = performed(tiny, guessing, again).notes
    assert [(claim.id, claim.part) for claim in notes.claims] == [("99.count", 1), ("99.same", 2)]
    assert [(step.name, step.part, step.helper) for step in notes.steps] == [
        ("drawn", 1, False),
        ("helper", 2, True),
        ("helped", 2, False),
    ]
    assert notes.claims[1].judges == ["drawn", "helped", "helper"]


def test_a_step_of_an_earlier_part_is_judged_there_alone(tiny: Lesson) -> None:
    def later(cfg: Any, lab: Lab) -> None:
        lab.equal("99.later", "one is one", 1, 1)

    def unjudged(cfg: Any, lab: Lab) -> None:
        lab.step(drawn)

    assert performed(tiny, unjudged, later).notes.claims[0].judges == []


def test_a_step_is_announced_once_in_a_run(tiny: Lesson) -> None:
    run = performed(tiny, guessing, again)
    assert [thing.type for thing in run.notes.parts[1].content] == ["step", "claim"]
    assert run.log.count("▸ Draw numbers") == 1


def test_a_part_whose_need_is_met_is_run(tiny: Lesson) -> None:
    (part,) = performed(tiny, here).notes.parts
    assert (part.needs, [thing.type for thing in part.content]) == ("the package json", ["claim"])


def test_where_a_need_is_not_met_the_claims_are_noted_from_the_source(tiny: Lesson) -> None:
    notes = performed(tiny, elsewhere).notes
    assert [
        (claim.id, claim.text, claim.kind, claim.verdict, claim.reason, claim.part) for claim in notes.claims
    ] == [
        ("99.a", "one", "exact", "not measured here", "needs the package no_such_package", 1),
        ("99.b", "two", "ratio", "not measured here", "needs the package no_such_package", 1),
    ]
    assert [thing.type for thing in notes.parts[0].content] == ["claim", "claim"]


def test_a_claim_may_have_a_need_of_its_own(tiny: Lesson) -> None:
    def mixed(cfg: Any, lab: Lab) -> None:
        lab.equal("99.a", "here", 1, 1, needs="the package json")
        lab.equal("99.b", "not here", __import__("json"), 1, needs="1000 processes")
        lab.count("99.c", "not here", 1 // len([1]), want=1, because="b", needs="1000 processes")

    claims = performed(tiny, mixed).notes.claims
    assert [claim.verdict for claim in claims] == ["held", "not measured here", "not measured here"]
    assert claims[1].reason == "needs 1000 processes"


def test_what_is_there_can_be_asked_for(tiny: Lesson) -> None:
    lab = Lab(tiny, blank(tiny, tiny.config(), smoke=True), RunContext())
    assert lab.has("the package json")
    assert not lab.has("1000 processes")


@pytest.mark.parametrize("ask", [lambda lab: lab.part(lucky, CFG), lambda lab: lab.has("luck"),
                                 lambda lab: lab.equal("99.a", "t", 1, 1, needs="luck")])  # fmt: skip
def test_a_need_that_nobody_has_heard_of_is_a_mistake(tiny: Lesson, ask: Callable[[Lab], Any]) -> None:
    lab = Lab(tiny, blank(tiny, tiny.config(), smoke=True), RunContext())
    with pytest.raises(ValueError, match="'luck' is no known need"):
        ask(lab)


# What a part finds does not hang on which other parts were run -----------------------------------------------------------


def seen_by(seen: dict[str, Any], name: str, look: Callable[[Lab], Any]) -> Part:
    """A part of this name that notes what it finds."""

    def part(cfg: Any, lab: Lab) -> None:
        """Look?"""
        seen[name] = look(lab)

    part.__name__ = name
    return part


@pytest.mark.parametrize(
    "look",
    [
        lambda lab: [lab.step(drawn).tolist() for _ in range(3)],
        lambda lab: lab.once(drawn, 3).tolist(),
        lambda lab: [lab.once(drawn, 3).tolist(), lab.step(drawn, 3).tolist(), lab.once(drawn, 4).tolist()],
    ],
    ids=["step", "once", "both"],
)
def test_a_part_run_alone_finds_the_same_numbers(tiny: Lesson, look: Callable[[Lab], Any]) -> None:
    def before(lab: Lab) -> Any:
        torch.rand(5)
        return lab.step(drawn), lab.once(drawn, 2), lab.once(drawn, 3)

    seen: dict[str, Any] = {}
    whole = performed(tiny, seen_by(seen, "first", before), seen_by(seen, "second", look)).notes
    in_the_whole = seen.pop("second")
    seen.clear()
    alone = performed(
        tiny, seen_by(seen, "first", before), seen_by(seen, "second", look), only=frozenset({"second"})
    ).notes
    assert seen == {"second": in_the_whole}
    assert [part.number for part in whole.parts] == [1, 2]
    assert [part.number for part in alone.parts] == [2]


def test_a_part_that_is_passed_over_leaves_the_others_their_numbers(tiny: Lesson) -> None:
    parts = {name: seen_by({}, name, lambda lab: lab.step(drawn)) for name in ("first", "second", "third")}
    notes = performed(tiny, *parts.values(), passes_over=lambda part: part == "second").notes
    assert [(part.number, part.name) for part in notes.parts] == [(1, "first"), (3, "third")]


def test_each_part_draws_other_numbers_and_each_call_too(tiny: Lesson) -> None:
    seen: dict[str, Any] = {}

    def look(lab: Lab) -> Any:
        return [lab.step(drawn).tolist() for _ in range(2)]

    performed(tiny, seen_by(seen, "first", look), seen_by(seen, "second", look))
    assert len({str(pair) for pairs in seen.values() for pair in pairs}) == 4


def test_once_is_once_for_the_same_arguments(tiny: Lesson) -> None:
    seen: dict[str, Any] = {}

    def look(lab: Lab) -> Any:
        return lab.once(drawn, 2), lab.once(drawn, count=2), lab.once(drawn, 3)

    notes = performed(tiny, seen_by(seen, "first", look), seen_by(seen, "second", look)).notes
    assert all(ours is theirs for ours, theirs in zip(seen["first"], seen["second"], strict=True))
    assert len(seen["first"][2]) == 3
    (step,) = notes.steps
    assert (step.calls, step.part) == (3, 1)


def test_what_is_done_once_draws_other_numbers_for_other_arguments(tiny: Lesson) -> None:
    seen: dict[str, Any] = {}

    def look(lab: Lab) -> Any:
        return [lab.once(drawn, 2, seed).tolist() for seed in range(3)]

    performed(tiny, seen_by(seen, "first", look))
    assert len({str(numbers) for numbers in seen["first"]}) == 3


def test_a_claim_judges_what_was_done_once_elsewhere(tiny: Lesson) -> None:
    def first(cfg: Any, lab: Lab) -> None:
        lab.once(drawn)

    def second(cfg: Any, lab: Lab) -> None:
        lab.count("99.two", "two numbers", len(lab.once(drawn)), want=2, because="b")

    assert performed(tiny, first, second).notes.claims[0].judges == ["drawn"]


def test_the_first_rank_steps_alone_where_there_is_only_one(tiny: Lesson) -> None:
    seen: dict[str, Any] = {}
    notes = performed(tiny, seen_by(seen, "first", lambda lab: lab.step_on_first(drawn, 3))).notes
    assert len(seen["first"]) == 3
    assert notes.steps[0].calls == 1


def applied(function: Callable[[Tensor], Tensor]) -> float:
    """Apply a step to three ones."""
    return function(torch.ones(3)).item()


def test_what_a_claim_judges_is_the_same_on_ranks_that_did_not_step(tiny: Lesson) -> None:
    total = tiny.steps["total"]

    def part(cfg: Any, lab: Lab) -> None:
        lab.equal("99.three", "three ones", lab.step_on_first(applied, total), 3.0)

    runs = together(2, lambda world: performed(tiny, part, world=world), agree_s=20)
    assert [lab.notes.claims[0].judges for lab in runs] == [["total", "applied"]] * 2


def test_a_step_that_breaks_on_the_first_rank_alone_ends_the_others_with_its_reason(tiny: Lesson) -> None:
    broken = seen_by({}, "never", lambda lab: lab.step_on_first(drawn, -1))
    first, second = together(2, lambda world: performed(tiny, broken, world=world), agree_s=20)
    assert isinstance(first, RuntimeError)
    assert isinstance(second, PeerLost)
    assert str(second).startswith("rank 0: RuntimeError: ")
