"""What the trials of mutants have proved so far, and which parts could prove nothing more."""

from collections import defaultdict

from labs import record


class Proof:
    """Knows which claims no mutant has made fail yet, and passes over the parts that a mutant need not run.

    A mutant has proved its worth once a claim that judges its step has failed, and another one has held. From then on it runs
    only parts with a claim that is still to be seen failing.
    """

    def __init__(self, notes: record.Run) -> None:
        names = {part.number: part.name for part in notes.parts}
        held = [claim for claim in notes.claims if claim.verdict == "held"]
        self.open = {claim.id for claim in held}
        self.claims_of: defaultdict[str, set[str]] = defaultdict(set)
        self.judging: defaultdict[str, set[str]] = defaultdict(set)
        for claim in held:
            self.claims_of[names.get(claim.part, "")].add(claim.id)
            for step in claim.judges:
                self.judging[step].add(claim.id)
        self.begin("")

    def begin(self, step: str) -> None:
        """Forget the trial before, and take one of a mutant of this step."""
        self.step, self.failed, self.held = step, set[str](), False
        self.passed_over: set[str] = set()

    def told(self, claim: record.Claim) -> None:
        """Take down a claim of the trial, as all ranks have judged it."""
        self.held = self.held or claim.verdict == "held"
        if claim.verdict == "failed":
            self.failed.add(claim.id)

    def passes_over(self, part: str) -> bool:
        """Tell whether a part could prove nothing more, and remember its claims as not looked at."""
        noticed = self.failed & self.judging[self.step] if self.judging[self.step] else self.failed
        over = bool(noticed) and self.held and not self.claims_of[part] & self.open
        if over:
            self.passed_over |= self.claims_of[part]
        return over

    def end(self, killed: frozenset[str]) -> frozenset[str]:
        """Count what this trial killed as proved, and return the claims that it did not look at."""
        self.open -= killed
        return frozenset(self.passed_over)
