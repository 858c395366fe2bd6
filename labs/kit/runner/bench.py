"""Run a lab again and again, each time with another change, and repeat only what that change can reach."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from labs import record
from labs.kit.distributed.world import PeerLost, World, close_group
from labs.kit.measure.timing import Arms
from labs.kit.runner.context import RunContext, Settled
from labs.kit.runner.lesson import Function, Lesson
from labs.kit.runner.limits import Stopwatch, time_limit
from labs.kit.runner.marks import marks_of
from labs.kit.runner.session import rehearse
from labs.kit.runner.step_cache import StepCache

PATIENCE_S = 20.0  # at the least, how long a process waits for one that a mutant has led astray …
PATIENCE = 4  # … and at the least so many times what the whole lab took without a mutant: a busy machine is no mistake
SPREAD = (0.99, 0.995, 1.0, 1.005, 1.01)  # injected samples lie this close together: a quiet machine


class DoesNotHold(Exception):
    """The lab fails, or breaks, without any mutant; so nothing can be said about mutants."""


class Bench:
    """Runs a lab again and again, on its smoke Config, against what its reference run remembers."""

    def __init__(self, lesson: Lesson, world: World) -> None:
        self.lesson = lesson
        self.world = world
        self.cfg: Any = lesson.config.smoke()  # type: ignore[attr-defined]
        self.memory = StepCache()
        self.versions: list[int] = []
        self.runs = 0
        self.patience_s = 0.0  # as long as the lab's own run may take; known once that is over

    def reference(self) -> record.Run:
        """Run the lab as it is, with every bound of a ratio met. Raises DoesNotHold where a claim fails all the same.

        Run again, it remembers all anew, but for what can be run only once in a process (`fresh`).
        """
        steps = self.lesson.steps
        once = [self.lesson.reached_from(name) for name, step in steps.items() if marks_of(step).fresh]
        self.memory = StepCache(self.memory, frozenset(steps.keys() - frozenset().union(*once)))
        self.versions = []
        taken = Stopwatch()
        notes = self.run(RunContext(timer=distinct_arms, cache=self.memory))
        if notes.status != "held":
            failed = [f"{claim.id}: {claim.reason}" for claim in notes.claims if claim.verdict == "failed"]
            raise DoesNotHold(
                f"lab {self.lesson.entry.number:02d} does not hold without a mutant: {notes.error or '; '.join(failed)}"
            )
        self.patience_s = self.world.agreed(max(PATIENCE_S, PATIENCE * taken.seconds))
        self.versions = self.memory.versions
        return notes

    def replacing(self, name: str, function: Function) -> RunContext:
        """Return what it takes to run the parts that a step can reach with another function in its place."""
        cache = StepCache(self.memory, self.lesson.reached_from(name))
        only = self.lesson.parts_that_reach(name)
        return RunContext(timer=distinct_arms, cache=cache, replacements={name: function}, only=only)

    def with_same_arms(self, parts: frozenset[str]) -> record.Run:
        """For every ratio at once: both arms do the same. Samples are injected; the clock has tests of its own."""
        return self.run(RunContext(timer=same_arms, cache=StepCache(self.memory), only=parts))

    def run(self, context: RunContext, work_s: float = 0.0, wait_s: float = 0.0) -> record.Run:
        """Run the lab once; what breaks on one rank is broken for all.

        `work_s` bounds this process's own work, and `wait_s` how long it waits for another rank; by default the patience does.
        """
        self.runs += 1
        work_s, wait_s = work_s or self.patience_s, wait_s or self.patience_s
        own = self.world.with_prefix(
            f"run-{self.runs}",
            agree_s=wait_s or self.world.agree_s,
            collective_s=wait_s or self.world.collective_s,
        )
        with time_limit(work_s) if work_s else nullcontext():
            notes = rehearse(self.lesson, self.cfg, replace(context, world=own), smoke=True)
        close_group()
        if self._agree(notes):
            self.reference()
        return notes

    def _agree(self, notes: record.Run) -> bool:
        """Wait until every rank has come out of the run, and return whether what is remembered was written to on any.

        The last may come when the others have been out for long: it worked up to the limit, then waited in a collective, then
        for the others' word, and each of them takes all of its patience.
        """
        meeting = self.world.with_prefix(
            f"after-{self.runs}", agree_s=max(self.world.agree_s, 5 * self.patience_s), collective_s=0.0
        )
        errors = [error for error in meeting.gather("errors", notes.error) if error]
        if errors:
            notes.status, notes.error = "broke", min(errors, key=lambda error: PeerLost.__name__ in error)
        return any(meeting.gather("stale", bool(self.versions) and self.memory.versions != self.versions))


def distinct_arms(
    first: Function, second: Function, *, at_least: float | None, at_most: float | None
) -> Arms:
    """Run both arms once and return samples that lie well inside the claim's bound."""
    first(), second()
    centre = (at_least or at_most or 1.0) * (2.0 if at_most is None else 0.5 if at_least is None else 1.0)
    if at_least is not None and at_most is not None:
        centre = (at_least * at_most) ** 0.5
    return Arms([centre * factor for factor in SPREAD], [1.0] * len(SPREAD))


def same_arms(first: Function, second: Function, *, at_least: float | None, at_most: float | None) -> Arms:
    """Return samples of two arms that do the same; where that would be within the bound, of a first arm that lies outside it."""
    allowed = (at_least is None or at_least <= 1.0) and (at_most is None or at_most >= 1.0)
    outside = 2.0 * at_most if at_most is not None else (at_least or 1.0) / 2.0
    centre = outside if allowed else 1.0
    return Arms([centre * factor for factor in SPREAD], [1.0] * len(SPREAD))


def until_one_fails(claim: record.Claim) -> None:
    """End a run at the first claim that fails."""
    if claim.verdict == "failed":
        raise Settled
