"""What the doctor says of one thing."""

from dataclasses import dataclass
from typing import Literal

# slow: no answer in time, which says nothing of the thing itself; noted: it works, and is not as everywhere.
Verdict = Literal["ok", "missing", "slow", "broken", "noted"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. Where it is not ok, `allows` says what it is good for and `get` how to come by it."""

    name: str
    group: str
    verdict: Verdict
    found: str
    allows: str = ""
    get: str = ""
