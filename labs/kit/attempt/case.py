"""What is known of one exercise that a learner wrote, and the verdict that follows."""

import re
from dataclasses import dataclass, field

from labs import record
from labs.kit.attempt.comparison import Finding
from labs.kit.attempt.watch import Watched

# What to type where a claim needs something that this run did not have; {} is the lab's number.
ELSEWHERE = {
    r"needs (\d+) processes(?: or fewer)?$": "labs check {} --procs {}",
    r"needs (\d+) nodes$": "labs check {} --nodes {}",
    r"needs cuda$": "labs check {}   on a machine with a GPU",
    r"needs cuda in onnxruntime": "labs check {}   on a machine with a GPU and onnxruntime-gpu",
    r"needs ([^:]+)": "labs check {}   where there is {}",
    r"smoke;": "labs check {}   without --smoke",
    r"too noisy:": "labs check {}   again, while this machine does nothing else",
}


@dataclass
class Case:
    """One exercise that was written, and what is known of it."""

    id: str
    name: str
    example: Finding | None = None
    watched: Watched = field(default_factory=Watched)
    raised: str = ""  # what it raised in a run that the claims judge
    blamed: str = ""  # what the claims say against it
    claims: list[str] = field(default_factory=list)  # those that do so, or cannot say
    unsure: str = ""  # why the claims cannot judge it here
    missing: str = ""  # what was missing for that
    mistake: str = ""

    @property
    def settled(self) -> bool:
        """Tell whether it failed before the claims are asked."""
        return bool(self.watched.stuck or self.watched.changed)

    def verdict(self, printed: str, insight: str) -> record.Exercise:
        """Return how the exercise was judged."""
        told = record.Exercise(
            id=self.id, step=self.name, judgement="passed", claims=self.claims, printed=printed
        )
        if self.settled or self.raised or self.blamed or self.example:
            return self._failed(told)
        if self.unsure:
            update = {"judgement": "cannot be judged here", "reason": self.unsure, "next": self._elsewhere()}
            return told.model_copy(update=update)
        return told.model_copy(update={"insight": insight})

    def _failed(self, told: record.Exercise) -> record.Exercise:
        found = self._finding()
        telling = {"input": found.input, "yours": found.yours, "expected": found.expected} if found else {}
        update = {
            "judgement": "failed",
            "reason": self._reason(found),
            "claim": self.blamed,
            "mistake": self.mistake,
            "calls": self.watched.compared,
            "different": self.watched.different,
            "not_compared": self.watched.not_compared,
            "next": f"labs hint {self.id}",
        }
        return told.model_copy(update=update | telling)

    def _finding(self) -> Finding | None:
        """Return the input that shows best what is wrong."""
        seen = self.watched
        return (
            seen.stuck
            or seen.changed
            or self.example
            or seen.smallest
            or (seen.layout if self.blamed else None)
        )

    def _reason(self, found: Finding | None) -> str:
        if found is None:
            return self.raised or self.blamed
        where = "" if found.on_rank is None else f"on rank {found.on_rank} "
        if found.words:
            return where + found.words
        if found is self.example:
            return "the example of its contract gives something else"
        return (
            f"{where}{self.watched.different:,} of {self.watched.compared:,} calls are wrong, the smallest:"
        )

    def _elsewhere(self) -> str:
        """Return what to type so that the claims can judge it."""
        lab = self.id.partition(".")[0]
        for pattern, command in ELSEWHERE.items():
            if found := re.match(pattern, self.missing):
                return command.format(lab, *found.groups())
        return ""
