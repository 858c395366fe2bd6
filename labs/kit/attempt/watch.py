"""Watch a learner's functions at work: the lab runs with its own steps, and beside each call the learner's is called on a copy.

So the inputs are the lab's own, whatever the learner's functions return, and a function that hangs or raises spoils nothing.
"""

import functools
import random
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from labs.kit.attempt.calls import Call, Outcome
from labs.kit.attempt.comparison import Finding, smaller
from labs.kit.attempt.copies import CannotCopy
from labs.kit.attempt.work_file import WorkFile
from labs.kit.distributed.world import World
from labs.kit.runner.lesson import Function
from labs.kit.runner.limits import OutOfTime, time_limit

LEAST_S = 10.0  # what every call may take …
TIMES_LONGER = 20  # … or so many times what the lab's own step takes
MOST_CALLS = 1000  # further calls of one step are not watched
WAITED = re.compile(r"timed? ?out|connection (?:closed|reset)|broken pipe|closed by", re.IGNORECASE)


class Spoiled(Exception):
    """On several processes: one call went wrong on some rank, so that ranks no longer agree where they are."""


@dataclass
class Watched:
    """What was seen of one function; of findings of a kind the one with the smallest input."""

    calls: int = 0
    compared: int = 0
    different: int = 0
    smallest: Finding | None = None  # it returned something else, or raised
    layout: Finding | None = None  # its result shares memory where it should not, or the other way round
    changed: Finding | None = None  # it changed an argument
    stuck: Finding | None = None  # it did not end, or ranks lost one another in it
    not_compared: str = ""  # why some calls were not compared


class Watcher:
    """Makes the functions that take the place of the lab's steps while it is watched."""

    def __init__(self, file: WorkFile, names: list[str], world: World) -> None:
        self.file = file
        self.world = world
        self.watched = {name: Watched() for name in names}
        self.together: Counter[str] = Counter()  # calls in which all ranks take part

    def replacements(self) -> dict[str, Function]:
        return {name: self._beside(name) for name in self.watched}

    def _beside(self, name: str) -> Function:
        """Return the lab's own step, which has the learner's called beside it."""
        step, watched = self.file.lesson.steps[name], self.watched[name]

        @functools.wraps(step)
        def both(*args: Any, **kwargs: Any) -> Any:
            watched.calls += 1
            if watched.stuck and self._all_take_part:  # this rank got stuck when it had called it by itself
                self._agree(name, watched, watched.stuck.words)
            call = self._copied(name, watched, args, kwargs)
            if call is None:
                return step(*args, **kwargs)
            watched.compared += 1
            start = _randomness()
            right = Outcome.of(step, args, kwargs)
            end = _randomness()
            _set_randomness(start)
            mine = self._attempted(name, call, right.seconds)
            _set_randomness(end)
            self._look(watched, call, mine, right)
            if self._all_take_part:
                raised = self.file.raised(mine.error) if mine.error and not right.error else ""
                trouble = watched.stuck.words if watched.stuck else raised
                self._agree(name, watched, trouble, call)
            return right.again()

        return both

    @property
    def _all_take_part(self) -> bool:
        return self.world.size > 1 and not self.world.by_itself

    def _copied(self, name: str, watched: Watched, args: Any, kwargs: Any) -> Call | None:
        """Return a call with copies of its arguments; None where it is not to be watched.

        Ranks have to decide alike, so what one of them does by itself does not count for calls of all.
        """
        self.together[name] += self._all_take_part
        calls = self.together[name] if self._all_take_part else watched.calls
        if watched.stuck or calls > MOST_CALLS:
            return None
        try:
            return Call(self.file.lesson.steps[name], args, kwargs)
        except TypeError:  # the step will say so itself
            return None
        except CannotCopy as why:
            watched.not_compared = str(why)
            return None

    def _attempted(self, name: str, call: Call, own_s: float) -> Outcome:
        """Call the learner's function for no longer than a generous multiple of what the lab's own took."""
        limit_s = max(LEAST_S, TIMES_LONGER * own_s)
        limit_s = min(limit_s, self.world.agree_s / 2) if self.world.size > 1 else limit_s
        self.file.printed.name = name
        with self.file.only(name):
            try:
                with time_limit(limit_s, limit_s):
                    return call.on_copies(self.file.written[name])
            except OutOfTime as error:
                return Outcome(error=error)

    def _look(self, watched: Watched, call: Call, mine: Outcome, right: Outcome) -> None:
        """Note in what both differ."""
        if isinstance(mine.error, OutOfTime):
            own = f"the lab's own step takes {max(right.seconds, 0.01):.2g} s"
            watched.stuck = call.finding(words=f"{mine.error}; {own}")
            return
        found = call.difference(mine, right, self.file.raised(mine.error) if mine.error else "")
        if found:
            watched.different += 1
            watched.smallest = smaller(watched.smallest, found)
        if mine.error is None:
            watched.changed = smaller(watched.changed, call.changed())
        if mine.error is right.error is None:
            watched.layout = smaller(watched.layout, call.sharing(mine.value, right.value))

    def _agree(self, name: str, watched: Watched, trouble: str, call: Call | None = None) -> None:
        """Let every rank know how the call went on any, and end the run on all of them where it went wrong."""
        troubles = self.world.gather(f"beside {name}", trouble)
        if any(troubles):
            found = watched.stuck or (call.finding() if call else None)
            assert found is not None
            watched.stuck = replace(found, words=_cause(troubles))
            raise Spoiled


def _cause(troubles: list[str]) -> str:
    """Name the cause among what went wrong on the ranks: not what it did to others, which waited for it."""
    wrong = {rank: trouble for rank, trouble in enumerate(troubles) if trouble}
    first = next((rank for rank, trouble in wrong.items() if not WAITED.search(trouble)), None)
    if first is not None:
        return f"on rank {first} {wrong[first]}"
    done = [str(rank) for rank in range(len(troubles)) if rank not in wrong]
    waiting = next(iter(wrong))
    if not done:
        return f"on rank {waiting} {wrong[waiting]}: the ranks wait for one another"
    return (
        f"on rank {waiting} it waited in vain for rank {', '.join(done)}, where it had returned already: "
        f"all ranks take part in every collective, in the same order"
    )


def _randomness() -> tuple[Any, ...]:
    on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return torch.get_rng_state(), on_gpu, random.getstate(), np.random.get_state()


def _set_randomness(state: tuple[Any, ...]) -> None:
    torch.set_rng_state(state[0])
    if state[1]:
        torch.cuda.set_rng_state_all(state[1])
    random.setstate(state[2])
    np.random.set_state(state[3])
