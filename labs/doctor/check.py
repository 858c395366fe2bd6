"""What the doctor says of one thing."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "missing", "broken"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. Where it is not ok, `allows` says what it is good for and `get` how to come by it."""

    name: str
    group: str
    verdict: Verdict
    found: str
    allows: str = ""
    get: str = ""
