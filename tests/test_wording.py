"""How numbers, bounds and claims read."""

from typing import Any

import pytest

from labs import wording
from labs.record import Bound, Claim


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1048576, "1,048,576"), (-1234, "-1,234"), (10**18, "1,000,000,000,000,000,000"), (0.0, "0"),
        (2.0, "2"), (-3.0, "-3"), (1048576.0, "1,048,576"), (0.25, "0.25"), (1.2345e-7, "1.23e-07"), (1e18, "1e+18"),
        (float("inf"), "inf"), (float("nan"), "nan"),
    ],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert wording.number(value) == text


def test_an_amount_has_its_unit_where_there_is_one() -> None:
    assert wording.amount(16384, "bytes") == "16,384 bytes"
    assert wording.amount(16384, "") == "16,384"


@pytest.mark.parametrize(
    ("bound", "unit", "text"),
    [
        (Bound(), "", ""),
        (Bound(want=4), "bytes", "exactly 4 bytes"),
        (Bound(want=0), "", "exactly 0"),
        (Bound(at_least=2), "×", "at least 2 ×"),
        (Bound(at_most=0), "steps", "at most 0 steps"),
        (Bound(at_least=1.5, at_most=2), "", "at least 1.5 and at most 2"),
        (Bound(tolerance=1.14e-6), "", "allowed 1.1e-06"),
        (Bound(tolerance=0.0), "", "allowed 0"),
        (Bound(at_least=0.0, standard_errors=2.0), "points", "above 0 points by 2 standard errors"),
        (Bound(at_least=0.5, standard_errors=2.5), "", "above 0.5 by 2.5 standard errors"),
        (Bound(want="RuntimeError: …size…"), "", "RuntimeError: …size…"),
        (Bound(text="≥ 2"), "×", "≥ 2"),
    ],
)
def test_bounds(bound: Bound, unit: str, text: str) -> None:
    assert wording.bound_in_words(bound, unit) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"shown": "400 of 400 layouts", "value": 400}, "400 of 400 layouts"),
        ({"verdict": "failed", "shown": "3, exactly 4"}, "3, exactly 4"),
        ({"verdict": "not measured here", "reason": "needs cuda", "shown": "x"}, "needs cuda"),
        ({"value": 3, "unit": "bytes", "bound": Bound(at_most=4)}, "3 bytes, at most 4 bytes"),
        ({"bound": Bound(at_most=4)}, "at most 4"),
        ({}, ""),
    ],
)
def test_a_claim_in_one_line(fields: dict[str, Any], text: str) -> None:
    claim = Claim(**{"id": "01.a", "text": "t", "kind": "count", "verdict": "held"} | fields)
    assert wording.detail(claim) == text
