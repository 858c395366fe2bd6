"""Is the server there? And how long has something been true, in time that the server was there?"""

import sys
import time
from dataclasses import dataclass, field

from labs.launch.kubernetes import told
from labs.launch.kubernetes.api import Refused
from labs.launch.kubernetes.told import Ending


@dataclass
class Contact:
    """Is the server there? Time without it does not count towards other bounds."""

    quiet_s: float  # without the server before that is said
    away_s: float  # before it is given up
    why: dict[str, str] = field(default_factory=dict)
    given_up: Ending | None = None
    _last: float = field(default_factory=time.monotonic)
    _counted: float = 0.0
    _away_since: float | None = None
    _said: bool = False

    def hear(self, kind: str, why: str) -> None:
        if kind != "Event":
            self.why[kind] = why

    def denied(self, refused: Refused) -> None:
        words = "your login has run out: log in anew" if refused.status == 401 else refused.message
        self.given_up = Ending(
            told.REFUSED, f"{words}; the run itself goes on, and `labs logs` follows it again"
        )

    def clock(self) -> float:
        """Return the seconds that have passed with the server in reach."""
        now = time.monotonic()
        away = next((why for why in self.why.values() if why), "")
        if not away:
            self._counted += now - self._last
            if self._said:
                print("the cluster answers again", file=sys.stderr)
            self._away_since, self._said = None, False
        else:
            self._away_since = self._away_since or now
            self._wait(now - self._away_since, away)
        self._last = now
        return self._counted

    def _wait(self, lasted: float, why: str) -> None:
        if lasted > self.quiet_s and not self._said:
            self._said = True
            print(
                f"the cluster does not answer ({why}); the run does not depend on that, so this waits",
                file=sys.stderr,
            )
        if lasted > self.away_s:
            self.given_up = Ending(
                told.FAILED,
                f"the cluster has not answered for {lasted / 60:.0f} minutes; `labs logs` follows the run again",
            )


class Since:
    """Remembers since when something is true."""

    def __init__(self) -> None:
        self._begun: dict[str, float] = {}

    def __call__(self, now: float, what: str, true: bool) -> float | None:
        """Return how long it has been true; None where it is not."""
        if not true:
            self._begun.pop(what, None)
            return None
        return now - self._begun.setdefault(what, now)
