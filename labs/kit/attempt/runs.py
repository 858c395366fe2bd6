"""Run parts of a lab again and again: unseen, each for no longer than it may take, and on all processes alike."""

import traceback
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any

from labs import record
from labs.kit.attempt.printed import Printed
from labs.kit.attempt.watch import LEAST_S
from labs.kit.distributed.world import World, close_group
from labs.kit.runner.bench import PATIENCE, PATIENCE_S
from labs.kit.runner.context import RunContext
from labs.kit.runner.lesson import Function, Lesson
from labs.kit.runner.limits import OutOfTime, time_limit
from labs.kit.runner.session import blank, perform
from labs.kit.runner.step_cache import StepCache

UNKNOWN_S = 600.0  # what a run may take as long as it is not known how long the lab's own steps take
TIMES_LONGER = 5  # then a run with the learner's steps may take so many times that
MEET_S = 900.0  # how long ranks wait for one another between runs: as long as the longest of them may take


class Runs:
    """Runs of one lab with one Config. `printed` takes what is printed meanwhile."""

    def __init__(self, lesson: Lesson, cfg: Any, world: World, printed: Printed, *, smoke: bool) -> None:
        self.lesson = lesson
        self.cfg = cfg
        self.smoke = smoke
        self.printed = printed
        self.world = world.with_prefix("check", agree_s=MEET_S, collective_s=world.collective_s)
        self.count = 0
        self.collective_s, self.agree_s = world.collective_s, world.agree_s
        self.limit_s = UNKNOWN_S

    def next_world(self) -> World:
        """Return the same processes under a name of their own, so that a run that breaks leaves the next one untouched."""
        self.count += 1
        return self.world.with_prefix(f"{self.count}", agree_s=self.agree_s, collective_s=self.collective_s)

    def be_patient(self, own_s: float) -> None:
        """Bound how long ranks wait for one another, now that it is known how long the lab's own steps take."""
        self.collective_s = min(self.collective_s, max(PATIENCE_S, PATIENCE * self.world.agreed(own_s)))
        self.agree_s = 2 * self.collective_s + LEAST_S

    def bound(self, own_s: float) -> None:
        """Bound how long a run may take, now that it is known how long the lab's own steps take."""
        self.limit_s = max(LEAST_S, TIMES_LONGER * self.world.agreed(own_s))

    def run(
        self,
        replacements: dict[str, Function],
        parts: frozenset[str],
        cache: StepCache,
        context: RunContext,
        *,
        notes: record.Run | None = None,
        world: World | None = None,
    ) -> record.Run:
        """Run parts of the lab with other functions in the place of its steps. What breaks is in the notes."""
        world = world or self.next_world()
        notes = notes or blank(self.lesson, self.cfg, smoke=self.smoke, world=world)
        own = replace(context, world=world, replacements=replacements, cache=cache, only=parts)
        with redirect_stdout(self.printed):
            try:
                with time_limit(self.limit_s, self.limit_s):
                    perform(self.lesson, self.cfg, notes, own)
            except (Exception, OutOfTime):  # `perform` has noted what broke; the log gets all of it
                for copy in own.screen.copies:
                    copy.print(traceback.format_exc(), markup=False)
            close_group()
        self._agree_on(notes)
        return notes

    def _agree_on(self, notes: record.Run) -> None:
        """Let a run that broke on one rank be broken on all, so that all go on alike."""
        ends = self.world.gather("end", (notes.status, notes.error))
        errors = [error for status, error in ends if status == "broke"]
        if errors:
            notes.status = "broke"
            notes.error = next((error for error in errors if "PeerLost" not in error), errors[0])
