"""Recognize a known mistake: by the claims that it fails, and by what was measured for them."""

from collections.abc import Iterable
from typing import Any

from labs.record import Run

MOST = 0.5  # more than this share of what was measured must be the same
NOISY = ("ratio", "stat")  # their values differ from run to run


def recognized(notes: Run, tries: Iterable[tuple[str, Run]]) -> str:
    """Return the name of the mistake whose run explains best why claims failed, or an empty string."""
    best, name = MOST, ""
    for mistake, other in tries:
        if (alike := likeness(notes, other)) > best:
            best, name = alike, mistake
    return name


def likeness(notes: Run, other: Run) -> float:
    """Return for what share of the failed claims the same was measured; 0 where others failed."""
    ours, theirs = _failed(notes), _failed(other)
    if not ours or ours.keys() != theirs.keys() or "broke" in (notes.status, other.status):
        return 0.0
    return sum(ours[id_] == theirs[id_] for id_ in ours) / len(ours)


def _failed(notes: Run) -> dict[str, tuple[Any, str]]:
    return {
        claim.id: (claim.value, claim.shown)
        for claim in notes.claims
        if claim.verdict == "failed" and claim.kind not in NOISY
    }
