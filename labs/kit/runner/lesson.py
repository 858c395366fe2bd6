"""A lab's file as the kit sees it: its header, its steps in file order, its exercises and its known mistakes."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from labs import catalog
from labs.kit.runner.marks import Mutant, marks_of

Function = Callable[..., Any]


@dataclass(frozen=True)
class Lesson:
    """A lab, read from the module that defines its `run`."""

    entry: catalog.Entry
    run: Function
    config: type
    namespace: dict[str, Any]
    steps: dict[str, Function]
    exercises: dict[str, str]
    mutants: tuple[Mutant, ...]

    @property
    def title(self) -> str:
        return self.entry.title

    @property
    def import_name(self) -> str:
        return self.entry.import_name

    def exercise_of(self, step: str) -> str:
        """Return the id of a step's exercise, `1.2`, or an empty string."""
        return next((id_ for id_, name in self.exercises.items() if name == step), "")

    @contextmanager
    def replaced(self, replacements: Mapping[str, Function]) -> Iterator[None]:
        """Put other functions in the place of steps, for every caller in the lab's module, and take them out again."""
        originals = {name: self.namespace[name] for name in replacements}
        self.namespace.update(replacements)
        try:
            yield
        finally:
            self.namespace.update(originals)


def read(run: Function, config: type) -> Lesson:
    """Read the lab whose `run` and `Config` these are."""
    namespace = run.__globals__
    entry = catalog.read_header(Path(run.__code__.co_filename))
    steps = _steps(namespace, run)
    marked = [name for name, step in steps.items() if marks_of(step).hints]
    exercises = {f"{entry.number}.{place}": name for place, name in enumerate(marked, 1)}
    return Lesson(entry, run, config, namespace, steps, exercises, tuple(namespace.get("MUTANTS", ())))


def title_and_prose(step: Function) -> tuple[str, str]:
    """Split a step's docstring into its first line, without the full stop, and the rest."""
    first, _, rest = (inspect.getdoc(step) or step.__name__).partition("\n")
    return first.rstrip("."), rest.strip("\n")


def _steps(namespace: dict[str, Any], run: Function) -> dict[str, Function]:
    own = [
        thing
        for thing in namespace.values()
        if isinstance(thing, FunctionType) and thing.__module__ == run.__module__
    ]
    in_file_order = sorted(own, key=lambda step: step.__code__.co_firstlineno)
    return {step.__name__: step for step in in_file_order if step is not run}
