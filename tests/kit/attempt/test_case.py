"""From what is known of an exercise to its verdict."""

from typing import Any

import pytest

from labs.kit.attempt.case import Case
from labs.kit.attempt.comparison import Finding
from labs.kit.attempt.watch import Watched

SMALL = Finding("x = 1", "2", "3", size=1)


def case(**known: Any) -> Case:
    return Case("1.2", "step", **known)


def test_what_nothing_speaks_against_passed() -> None:
    found = case().verdict("", "So.")
    assert (found.judgement, found.insight, found.next) == ("passed", "So.", "")


def test_a_difference_alone_is_no_failure() -> None:
    watched = Watched(calls=3, compared=3, different=3, smallest=SMALL, layout=SMALL)
    found = case(watched=watched).verdict("", "")
    assert (found.judgement, found.input) == ("passed", "")


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"example": SMALL}, "the example of its contract gives something else"),
        ({"example": Finding("x", words="it returned None")}, "it returned None"),
        ({"watched": Watched(stuck=Finding("x", words="it did not end"))}, "it did not end"),
        ({"watched": Watched(changed=Finding("x", words="it changed x"))}, "it changed x"),
        (
            {"watched": Watched(changed=Finding("x", words="it changed x", on_rank=1))},
            "on rank 1 it changed x",
        ),
        ({"raised": "it raised E"}, "it raised E"),
        ({"blamed": "claim c"}, "claim c"),
        (
            {"blamed": "claim c", "watched": Watched(compared=2000, different=1000, smallest=SMALL)},
            "1,000 of 2,000 calls are wrong, the smallest:",
        ),
        ({"blamed": "claim c", "watched": Watched(layout=Finding("x", words="it copies"))}, "it copies"),
    ],
)
def test_whatever_speaks_against_it_fails_it_and_is_said(known: dict[str, Any], reason: str) -> None:
    found = case(**known).verdict("words", "So.")
    assert (found.judgement, found.reason) == ("failed", reason)
    assert (found.next, found.printed, found.insight) == ("labs hint 1.2", "words", "")


def test_the_example_is_shown_before_other_inputs() -> None:
    smaller = Finding("y", size=0)
    found = case(example=SMALL, watched=Watched(smallest=smaller), blamed="claim c").verdict("", "")
    assert (found.input, found.claim) == ("x = 1", "claim c")


@pytest.mark.parametrize(
    ("missing", "command"),
    [
        ("needs 3 processes", "labs check 1 --procs 3"),
        ("needs 1 processes or fewer", "labs check 1 --procs 1"),
        ("needs 2 nodes", "labs check 1 --nodes 2"),
        ("needs cuda", "labs check 1   on a machine with a GPU"),
        ("needs cuda in onnxruntime", "labs check 1   on a machine with a GPU and onnxruntime-gpu"),
        ("needs a C++ compiler", "labs check 1   where there is a C++ compiler"),
        ("needs a C++ compiler: g++ fails: why", "labs check 1   where there is a C++ compiler"),
        ("smoke; here 3 ×", "labs check 1   without --smoke"),
        ("too noisy: 1.1 ×", "labs check 1   again, while this machine does nothing else"),
        ("nobody knows", ""),
    ],
)
def test_where_it_can_be_judged_is_said_as_what_to_type(missing: str, command: str) -> None:
    found = case(unsure="claim c was not measured here", missing=missing).verdict("", "")
    assert (found.judgement, found.next) == ("cannot be judged here", command)
