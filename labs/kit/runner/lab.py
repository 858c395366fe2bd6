"""What a lab's `run` talks to: it runs steps, judges claims and shows tables and figures, in the lesson's order."""

import inspect
import random
import zlib
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from time import perf_counter
from typing import Any, ParamSpec, TypeVar, cast

import torch
from rich.markup import escape
from torch import Tensor

from labs import record
from labs.kit.distributed.checkpoints import Checkpoints
from labs.kit.draw import figures
from labs.kit.measure import timing
from labs.kit.runner import claims
from labs.kit.runner.context import RunContext
from labs.kit.runner.lesson import Lesson, title_and_prose
from labs.kit.runner.step_cache import with_callees

P = ParamSpec("P")
T = TypeVar("T")
Unit = claims.Number
Kind = record.Kind
NOISY = ("ratio", "stat")  # rank 0's samples are judged, and only in full runs


class Lab:
    """One run of a lab. Every claim method reads as a sentence, takes an id such as `01.shared`, and returns whether it held.

    Where a run has several processes, each judges its own value, and a claim holds only if it holds on all of them.
    """

    def __init__(self, lesson: Lesson, notes: record.Run, context: RunContext) -> None:
        self.world = context.world
        self.folder = context.folder
        self.smoke = notes.smoke
        self._lesson = lesson
        self.notes = notes
        self._context = context
        self._screen = context.screen
        self._judges_noisy = context.timer is not None or not notes.smoke
        self._current: record.Step | None = None
        self._judged: list[str] = []  # the steps that the next claim judges …
        self._judged_before = (
            False  # … unless a claim stands between it and them: the next step starts a new list
        )

    # Steps ------------------------------------------------------------------------------------------------------------

    def step(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step and return what it returns. Its prose is shown first, once; randomness starts from a seed of its own."""
        step = self._enter(function)
        seed = zlib.crc32(f"{step.name} {step.calls}".encode()) + int(self.notes.config.get("seed", 0))
        torch.manual_seed(seed)
        random.seed(seed)
        step.calls += 1
        with self._screen.waiting(step.title):
            begun = perf_counter()
            result = (
                self._context.cache(function, args, kwargs)
                if self._context.cache
                else function(*args, **kwargs)
            )
            step.seconds += perf_counter() - begun
        return result

    def step_on_first(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step on rank 0 alone, while the others wait, and return on every rank what it returned there."""
        if self.world.first:
            return cast(T, self.world.gather("step on first", self.step(function, *args, **kwargs))[0])
        self._enter(function)
        return cast(T, self.world.gather("step on first", None)[0])

    def checkpoints(self, every: int) -> Checkpoints:
        """Return what keeps a training's checkpoints in the run folder, so that the same run, started again, goes on from there."""
        return Checkpoints(self.folder and self.folder / "checkpoints", every, self._resumed)

    def _resumed(self, step: int, text: str) -> None:
        self.notes.resumed = step
        self._screen.show(f"[bold]{escape(text)}[/]", indent=2)

    def _enter(self, function: Callable[..., Any]) -> record.Step:
        name = function.__name__
        self.world.reach(name)
        known = next((step for step in self.notes.steps if step.name == name), None)
        if known is None:
            known = self._describe(name, function)
            self.notes.steps.append(known)
            self._screen.step(known)
        self._current = known
        self._judged = [name] if self._judged_before else list(dict.fromkeys([*self._judged, name]))
        self._judged_before = False
        return known

    def _describe(self, name: str, function: Callable[..., Any]) -> record.Step:
        title, prose = title_and_prose(self._lesson.steps.get(name, function))
        return record.Step(
            number=len(self.notes.steps) + 1,
            name=name,
            title=title,
            prose=prose,
            source=inspect.getsource(inspect.unwrap(function)),
            exercise=self._lesson.exercise_of(name),
            by="learner" if name in self._context.learner else "lab",
        )

    # Claims -----------------------------------------------------------------------------------------------------------

    def equal(
        self, id_: str, text: str, got: Any, want: Any, *, cases: int | None = None, because: str = ""
    ) -> bool:
        """Claim that two things are equal to the last bit. `cases` counts what was compared, by default their items."""
        return self._claim(id_, text, "exact", claims.equal(got, want, cases), because)

    def close(
        self,
        id_: str,
        text: str,
        got: Any,
        want: Any,
        *,
        tolerance: float,
        relative: bool = False,
        because: str,
    ) -> bool:
        """Claim that numbers or tensors agree within a tolerance; `because` says where the tolerance comes from."""
        return self._claim(id_, text, "close", claims.close(got, want, tolerance, relative=relative), because)

    def bytes(
        self,
        id_: str,
        text: str,
        got: int,
        *,
        want: int | None = None,
        at_least: Unit | None = None,
        at_most: Unit | None = None,
        because: str,
    ) -> bool:
        """Claim a number of bytes, or limits of it."""
        outcome = claims.number(got, want=want, at_least=at_least, at_most=at_most, unit="bytes")
        return self._claim(id_, text, "bytes", outcome, because)

    def count(
        self,
        id_: str,
        text: str,
        got: int,
        *,
        want: int | None = None,
        at_least: Unit | None = None,
        at_most: Unit | None = None,
        unit: str = "",
        because: str,
    ) -> bool:
        """Claim how many there are of something."""
        outcome = claims.number(got, want=want, at_least=at_least, at_most=at_most, unit=unit)
        return self._claim(id_, text, "count", outcome, because)

    def raises(
        self,
        id_: str,
        text: str,
        action: Callable[[], Any],
        kind: type[Exception],
        message: str,
        *,
        because: str = "",
    ) -> bool:
        """Claim that an action raises this error with this text in its message."""
        return self._claim(id_, text, "raises", claims.raises(action, kind, message), because)

    def ratio(
        self,
        id_: str,
        text: str,
        first: Callable[[], Any],
        second: Callable[[], Any],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        because: str,
        rounds: int = 15,
    ) -> bool:
        """Claim a bound on seconds of `first` over seconds of `second`, timed in turn. Judged in full runs only."""
        if self._context.timer is None:
            arms = timing.in_turn(
                first,
                second,
                rounds=rounds if self._judges_noisy else min(rounds, 5),
                agree=self.world.agreed,
            )
        else:
            arms = self._context.timer(first, second, at_least=at_least, at_most=at_most)
        return self._claim(
            id_, text, "ratio", claims.ratio(*arms, at_least=at_least, at_most=at_most), because
        )

    def stat(
        self,
        id_: str,
        text: str,
        differences: Sequence[float],
        *,
        above: float = 0.0,
        standard_errors: float = 2.0,
        unit: str = "",
        because: str,
    ) -> bool:
        """Claim that paired differences, one for each seed, lie above a bound by so many standard errors. Judged in full runs only."""
        outcome = claims.stat(differences, above=above, standard_errors=standard_errors, unit=unit)
        return self._claim(id_, text, "stat", outcome, because)

    def available(self, need: str, claims_about_it: dict[str, tuple[record.Kind, str]]) -> bool:
        """Tell whether this run has `need`: "cuda", "3 processes", or "the package deepspeed".

        Where not, note each claim (id: kind, text) as not measured here.
        """
        words = need.split()
        if need.startswith("the package "):
            here = all(self.world.gather(need, find_spec(words[-1]) is not None))
        else:
            here = self.world.size >= int(words[0]) if words[-1] == "processes" else torch.cuda.is_available()
        if not here:
            self.not_measured(f"needs {need}", claims_about_it)
        return here

    def not_measured(self, reason: str, claims_about_it: dict[str, tuple[record.Kind, str]]) -> None:
        """Note claims (id: kind, text) that cannot be measured here, and why."""
        for id_, (kind, text) in claims_about_it.items():
            self._claim(id_, text, kind, claims.Outcome(None, None, "", reason=reason), "")

    def _claim(self, id_: str, text: str, kind: record.Kind, outcome: claims.Outcome, because: str) -> bool:
        if any(earlier.id == id_ for earlier in self.notes.claims):
            raise ValueError(f"the claim {id_} is made twice")
        outcome = claims.together(self.world.gather(f"claim {id_}", outcome), first_only=kind in NOISY)
        held, reason = outcome.held, outcome.reason
        if kind in NOISY and not self._judges_noisy:
            held, reason = None, f"smoke; here {outcome.shown}"
        verdict: record.Verdict = "not measured here" if held is None else "held" if held else "failed"
        claim = record.Claim(
            id=id_, text=text, kind=kind, verdict=verdict, reason=reason, because=because,
            value=outcome.value, unit=outcome.unit, bound=outcome.bound, shown=outcome.shown, cases=outcome.cases, samples=outcome.samples,
            step=self._current.number if self._current else 0, judges=with_callees(self._judged, self._lesson.steps),
        )  # fmt: skip
        self._judged_before = True
        self.notes.claims.append(claim)
        self._content.append(record.ClaimHere(id=id_))
        self._screen.claim(claim)
        return verdict == "held"

    # Tables and pictures ----------------------------------------------------------------------------------------------

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show rows; floats get three digits."""
        table = record.Table(
            title=title, columns=list(columns), rows=[[_cell(cell) for cell in row] for row in rows]
        )
        self._content.append(table)
        self._screen.table(table)

    def plot(
        self,
        title: str,
        x: Sequence[float],
        series: dict[str, list[float]],
        *,
        x_label: str,
        y_label: str,
        log_x: bool = False,
        log_y: bool = False,
    ) -> None:
        """Draw one or more series over x: bars on the screen, an SVG file in the run folder."""
        path = figures.file_name(title)
        figure = record.Figure(
            title=title, path=path, x_label=x_label, y_label=y_label, x=list(x), series=series
        )
        if self.folder is not None and self.world.first:
            figures.draw(figure, self.folder, log_x=log_x, log_y=log_y)
        self._content.append(figure)
        self._screen.figure(figure)

    def picture(
        self, title: str, images: Sequence[Sequence[Tensor]], *, columns: Sequence[str], rows: Sequence[str]
    ) -> None:
        """Show images side by side: each (H, W), grey, or (3, H, W), in colour, from 0 to 1; one SVG file in the run folder."""
        picture = record.Picture(
            title=title, path=figures.file_name(title), columns=list(columns), rows=list(rows)
        )
        if self.folder is not None and self.world.first:
            figures.draw_images(picture, images, self.folder)
        self._content.append(picture)
        self._screen.picture(picture)

    def listing(self, title: str, text: str, *, language: str = "text") -> None:
        """Show text that a program wrote, such as generated code; `language` as Pygments calls it."""
        listing = record.Listing(title=title, text=text.rstrip(), language=language)
        self._content.append(listing)
        self._screen.listing(listing)

    @property
    def _content(self) -> list[record.Content]:
        return self._current.content if self._current else self.notes.opening


def _cell(cell: Any) -> str:
    return (
        f"{cell:.3g}"
        if isinstance(cell, float)
        else f"{cell:,}"
        if isinstance(cell, int) and not isinstance(cell, bool)
        else str(cell)
    )
