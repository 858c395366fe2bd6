"""What a part talks to: `lab` runs steps, asks for guesses, judges claims and shows what was measured, in the order of time."""

import inspect
import random
import zlib
from collections import Counter
from collections.abc import Callable
from time import perf_counter
from typing import Any, ParamSpec, TypeVar, cast

import torch
from rich.markup import escape

from labs import record
from labs.kit.distributed.checkpoints import Checkpoints
from labs.kit.distributed.world import PeerLost
from labs.kit.runner import needs as needed
from labs.kit.runner.context import RunContext
from labs.kit.runner.judging import Judging
from labs.kit.runner.lesson import Lesson, title_and_prose
from labs.kit.runner.marks import marks_of
from labs.kit.runner.reading import callees_of, sentences
from labs.kit.runner.step_cache import ONCE, PLAIN, identical

P = ParamSpec("P")
T = TypeVar("T")
Function = Callable[..., Any]


class Lab(Judging):
    """One run of a lab. Its claims are in judging.py, its tables and pictures in showing.py.

    Where a run has several processes, each judges its own value, and a claim holds only if it holds on all of them.
    """

    def __init__(self, lesson: Lesson, notes: record.Run, context: RunContext) -> None:
        self.world = context.world
        self.folder = context.folder
        self.smoke = notes.smoke
        self.notes = notes
        self.lesson = lesson
        self._context = context
        self._screen = context.screen
        self._part: record.Part | None = None
        self._calls: Counter[tuple[str, str]] = Counter()  # of each step in each part
        self._once: list[tuple[Function, tuple[Any, ...], Any]] = []
        self._lacking: dict[str, str] = {}
        self._judged: list[str] = []  # the steps that the next claim judges …
        self._judged_before = (
            False  # … and whether a claim judged them already: the next step starts a new list
        )

    # Parts ------------------------------------------------------------------------------------------------------------

    def part(self, part: Callable[[Any, "Lab"], None], cfg: Any) -> None:
        """Run one part of the lesson. Where what it needs is not there, its claims are noted with the reason instead."""
        if self._context.only is not None and part.__name__ not in self._context.only:
            return
        if self._context.passes_over(part.__name__):
            return
        begun = perf_counter()
        if self.enter(part):
            part(cfg, self)
        self.notes.parts[-1].seconds = perf_counter() - begun
        self._part = None

    def enter(self, part: Function) -> bool:
        """Begin a part; return whether what it needs is there. Where not, its claims are noted with the reason."""
        entered = self._enter_part(part)
        lacking = self.lacking(entered.needs)
        for sentence in sentences(part) if lacking else ():
            self.not_measured(sentence, lacking)
        return not lacking

    def _enter_part(self, part: Function) -> record.Part:
        title, prose = title_and_prose(part)
        names = list(self.lesson.parts)
        entered = record.Part(
            number=names.index(part.__name__) + 1 if part.__name__ in names else len(self.notes.parts) + 1,
            name=part.__name__,
            title=title,
            prose=prose,
            source=inspect.getsource(inspect.unwrap(part)),
            needs=marks_of(part).needs,
        )
        self.notes.parts.append(entered)
        self._part, self._judged, self._judged_before = entered, [], False
        self.world.reach(f"part {part.__name__}")
        self._screen.part(entered)
        self._describe_helpers([part.__name__])
        return entered

    def has(self, need: str) -> bool:
        """Tell whether this run has what a claim or a part may need, such as "cuda" or "3 processes": needs.py has the list."""
        return not self.lacking(need)

    def lacking(self, need: str) -> str:
        """Return why something that is needed is not there, nothing where it is, or where nothing is needed."""
        if need and need not in self._lacking:
            self._lacking[need] = needed.lacking(need, self.world)
        return self._lacking[need] if need else ""

    # Steps ------------------------------------------------------------------------------------------------------------

    def step(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step and return what it returns. Randomness starts from a seed of its own, in each part anew."""
        return cast(T, self._called(self._part.name if self._part else "", function, args, kwargs))

    def once(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step, or return what it returned when another part of this run called it with the same arguments."""
        for known, seen, result in self._once:
            if known is function and identical(seen, (args, kwargs)):
                self._enter_step(function)
                return cast(T, result)
        result = self._called(ONCE, function, args, kwargs)
        self._once.append((function, (args, kwargs), result))
        return cast(T, result)

    def _called(self, part: str, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a step for a part, or for all of them, from a seed that does not hang on which other parts are run."""
        step = self._enter_call(function, args, kwargs)
        call = self._calls[part, step.name]
        self._calls[part, step.name] += 1
        self._seed(f"{part} {step.name} {_plain((*args, *kwargs.values())) if part == ONCE else call}")
        step.calls += 1
        with self._screen.waiting(step.title):
            begun = perf_counter()
            cache = self._context.cache
            key = part, step.name, call
            result = cache(key, function, args, kwargs) if cache else function(*args, **kwargs)
            step.seconds += perf_counter() - begun
        return result

    def _enter_call(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> record.Step:
        """Enter the step that is called, behind those of the lab's own that are handed to it."""
        for handed in self._steps_among([*args, *kwargs.values()]):
            self._enter_step(handed)
        return self._enter_step(function)

    def _seed(self, place: str) -> None:
        seed = zlib.crc32(place.encode()) + int(self.notes.config.get("seed", 0))
        if torch.cuda.is_available():
            torch.manual_seed(seed)
        else:  # torch.manual_seed writes a stack trace down for each device that is not there: most of a small step's time
            torch.default_generator.manual_seed(seed)
        random.seed(seed)

    def step_on_first(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step on rank 0 alone, while the others wait, and return on every rank what it returned there.

        Where it raises, the others raise PeerLost at once.
        """
        if not self.world.first:
            self._enter_call(function, args, kwargs)  # which claims judge it is the same on every rank
            trouble, result = self.world.gather("step on first", None)[0]
            if trouble:
                raise PeerLost(f"rank 0: {trouble}")
            return cast(T, result)
        try:
            with self.world.alone():
                result = self.step(function, *args, **kwargs)
        except BaseException as error:
            self.world.gather("step on first", (f"{type(error).__name__}: {error}", None))
            raise
        return cast(T, self.world.gather("step on first", ("", result))[0][1])

    def checkpoints(self, every: int) -> Checkpoints:
        """Return what keeps a training's checkpoints in the run folder, so that the same run, started again, goes on from there."""
        return Checkpoints(self.folder and self.folder / "checkpoints", every, self._resumed)

    def _resumed(self, step: int, text: str) -> None:
        self.notes.resumed = step
        self._screen.show(f"[bold]{escape(text)}[/]", indent=2)

    def _steps_among(self, arguments: list[Any]) -> list[Function]:
        """Return the lab's own steps that are handed to another, which will call them: its claims judge them, too."""
        unwrapped = [getattr(argument, "func", argument) for argument in arguments]
        names = [getattr(argument, "__name__", "") for argument in unwrapped]
        called = self.lesson.called_by_parts | set(self.lesson.exercises.values())
        return [step for step, name in zip(unwrapped, names, strict=True) if name in called]

    def _enter_step(self, function: Function) -> record.Step:
        name = function.__name__
        self.world.reach(f"step {name}")
        known = next((step for step in self.notes.steps if step.name == name), None)
        if known is None or known.helper:
            self._describe_helpers([name])
            known = known or self._describe(name, self.lesson.steps.get(name, function), function)
            known.helper = False
            self._content.append(record.StepHere(name=name))
            self._screen.step(known)
        self._judged = [name] if self._judged_before else list(dict.fromkeys([*self._judged, name]))
        self._judged_before = False
        return known

    def _describe_helpers(self, names: list[str]) -> None:
        """Note the lab's own functions and classes that this code leans on, unless they stand somewhere already."""
        own: dict[str, Function] = {**self.lesson.steps, **self.lesson.classes, **self.lesson.parts}
        known = {step.name for step in self.notes.steps}
        for name in callees_of(names, own):
            if name not in known and name not in self.lesson.parts and not self._is_step(name):
                self._describe(name, own[name], own[name], helper=True)

    def _is_step(self, name: str) -> bool:
        """Tell whether parts hand a function to `lab.step`, so that it will stand at its own place."""
        return name in self.lesson.called_by_parts or bool(self.lesson.exercise_of(name))

    def _describe(self, name: str, told: Any, source: Any, *, helper: bool = False) -> record.Step:
        title, prose = title_and_prose(told)
        step = record.Step(
            name=name,
            title=title,
            prose=prose,
            source=inspect.getsource(inspect.unwrap(source)),
            part=self._part.number if self._part else 0,
            helper=helper,
            aside=told.__module__ != self.lesson.run.__module__,
            exercise=self.lesson.exercise_of(name),
            by="learner" if name in self._context.learner else "lab",
        )
        self.notes.steps.append(step)
        return step


def _plain(things: tuple[Any, ...]) -> list[Any]:
    """Return the numbers and words among arguments: what is done once for other ones draws other numbers."""
    return [thing for thing in things if isinstance(thing, PLAIN)]
