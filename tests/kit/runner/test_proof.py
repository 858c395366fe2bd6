"""Which parts a mutant may pass over."""

from typing import Any

import pytest

from labs import record
from labs.kit.runner.proof import Proof

PARTS = {1: "early", 2: "late"}


def claim(id_: str, verdict: record.Verdict, part: int = 1, *judges: str) -> record.Claim:
    return record.Claim(id=id_, text="t", kind="count", verdict=verdict, part=part, judges=list(judges))


@pytest.fixture
def proof() -> Proof:
    """Of a lab whose step `a` is judged by a claim of the early part, and `b` by claims of both."""
    where: dict[str, Any] = {"launcher": "local", "nodes": 1, "procs": 1, "started": "now", "config": {}}
    notes = record.Run(lab=99, title="t", module="m", status="held", smoke=True, **where)
    notes.parts = [record.Part(number=number, name=name, title="t") for number, name in PARTS.items()]
    notes.claims = [
        claim("99.one", "held", 1, "a"),
        claim("99.two", "held", 1, "b"),
        claim("99.three", "held", 2, "b"),
        claim("99.elsewhere", "not measured here", 2, "a"),
    ]
    return Proof(notes)


def trial(proof: Proof, step: str, **verdicts: record.Verdict) -> None:
    proof.begin(step)
    for id_, verdict in verdicts.items():
        proof.told(claim(f"99.{id_}", verdict))


def test_a_part_with_a_claim_that_never_failed_is_run(proof: Proof) -> None:
    trial(proof, "a", one="failed", two="held")
    assert not proof.passes_over("late")
    assert proof.end(frozenset({"99.one"})) == frozenset()


def test_a_part_whose_claims_all_failed_before_is_passed_over_and_they_were_not_looked_at(
    proof: Proof,
) -> None:
    trial(proof, "b", two="held", three="failed")
    proof.end(frozenset({"99.three"}))
    trial(proof, "a", one="failed", two="held")
    assert proof.passes_over("late")
    assert not proof.passes_over("early"), "99.one and 99.two were never seen to fail"
    assert proof.end(frozenset({"99.one"})) == {"99.three"}


@pytest.mark.parametrize(
    ("step", "verdicts", "why"),
    [
        ("a", {"one": "held", "two": "held"}, "nothing noticed it yet"),
        ("a", {"one": "failed", "two": "failed"}, "nothing held yet"),
        ("a", {"one": "held", "two": "failed"}, "no claim that judges its step noticed it"),
        ("a", {"one": "failed", "two": "not measured here"}, "nothing held yet"),
    ],
)
def test_a_mutant_that_has_not_proved_its_worth_goes_on(
    proof: Proof, step: str, verdicts: dict[str, record.Verdict], why: str
) -> None:
    proof.end(frozenset({"99.three"}))
    trial(proof, step, **verdicts)
    assert not proof.passes_over("late"), why


def test_of_a_step_that_no_claim_judges_any_failure_counts(proof: Proof) -> None:
    proof.end(frozenset({"99.three"}))
    trial(proof, "helper", one="failed", two="held")
    assert proof.passes_over("late")


def test_what_one_trial_was_told_does_not_count_in_the_next(proof: Proof) -> None:
    proof.end(frozenset({"99.three"}))
    trial(proof, "a", one="failed", two="held")
    trial(proof, "a")
    assert not proof.passes_over("late")
    assert proof.end(frozenset()) == frozenset()
