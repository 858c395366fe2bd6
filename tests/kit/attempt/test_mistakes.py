"""Known mistakes, recognized."""

from typing import Any

import pytest

from labs import record
from labs.kit.attempt.mistakes import likeness, recognized


def run(status: str = "failed", **failed: Any) -> record.Run:
    claims = [
        record.Claim(id=f"99.{name}", text="t", kind="exact", verdict="failed", value=value, shown=str(value))
        for name, value in failed.items()
    ]
    claims.append(record.Claim(id="99.fine", text="t", kind="exact", verdict="held", value=1))
    claims.append(record.Claim(id="99.timed", text="t", kind="ratio", verdict="failed", value=len(failed)))
    return record.Run(
        lab=99, title="t", module="m", launcher="local", nodes=1, procs=1, status=status, smoke=True,  # type: ignore[arg-type]
        started="2030-01-01T00:00:00+00:00", config={}, claims=claims,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (run(a=1, b=2, c=3), 1.0),
        (run(a=1, b=2, c=4), 2 / 3),
        (run(a=1, b=2), 0.0),
        (run(a=1, b=2, c=3, d=4), 0.0),
        (run("broke", a=1, b=2, c=3), 0.0),
        (run(), 0.0),
    ],
)
def test_likeness_is_the_share_of_alike_values_among_the_same_failed_claims(
    other: record.Run, share: float
) -> None:
    assert likeness(run(a=1, b=2, c=3), other) == share


def test_the_best_match_is_told_and_half_is_not_enough() -> None:
    tries = [("some", run(a=1, b=2, c=4)), ("none", run(a=0, b=0, c=0)), ("all", run(a=1, b=2, c=3))]
    ours = run(a=1, b=2, c=3)
    assert recognized(ours, tries) == "all"
    assert recognized(ours, tries[:2]) == "some"
    assert recognized(ours, tries[1:2]) == ""
    assert recognized(run(a=1, b=2), [("half", run(a=1, b=3))]) == ""
