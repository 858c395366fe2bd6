"""A lab's file as the kit sees it: its header, its parts in the order of reading, its steps, exercises and known mistakes."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from labs import catalog
from labs.kit.runner.marks import Equivalent, Mutant, marks_of
from labs.kit.runner.reading import Sentence, asks_for_device, callees_of, callers_of, sentences, stepped

Function = Callable[..., Any]
PART = ["cfg", "lab"]  # the parameters by which a part is known


@dataclass(frozen=True)
class Lesson:
    """A lab, read from the module that defines its `run`."""

    entry: catalog.Entry
    run: Function
    config: type
    namespaces: tuple[dict[str, Any], ...]
    parts: dict[str, Function]
    steps: dict[str, Function]
    classes: dict[str, type]
    exercises: dict[str, str]

    @property
    def title(self) -> str:
        return self.entry.title

    @property
    def import_name(self) -> str:
        return self.entry.import_name

    @cached_property
    def sentences(self) -> dict[str, Sentence]:
        """Return every claim of the lab by its id, as it stands in the source."""
        return {found.id: found for part in self.parts.values() for found in sentences(part)}

    @cached_property
    def called_by_parts(self) -> frozenset[str]:
        """Return the names of the functions that parts hand to `lab.step`: they are shown where they are called."""
        return frozenset().union(*(stepped(part) for part in self.parts.values()))

    @cached_property
    def on_device(self) -> frozenset[str]:
        """Return the names of the parts that compute on the run's device. All others compute on the CPU, whatever else there is."""
        asking = {name for name, function in self.code.items() if asks_for_device(function)}
        reached = {name: {name, *callees_of([name], self.code)} for name in self.parts}
        return frozenset(
            name
            for name, part in self.parts.items()
            if reached[name] & asking or marks_of(part).needs.startswith("cuda")
        )

    @cached_property
    def mutants(self) -> tuple[Mutant, ...]:
        """Return the known mistakes, from the file beside the lab's."""
        return tuple(getattr(self._beside("mutants"), "MUTANTS", ()))

    @cached_property
    def equivalents(self) -> tuple[Equivalent, ...]:
        """Return the systematic edits that change no true statement."""
        return tuple(getattr(self._beside("mutants"), "EQUIVALENT", ()))

    def _beside(self, what: str) -> ModuleType | None:
        return _beside(self.entry, what)

    def exercise_of(self, step: str) -> str:
        """Return the id of a step's exercise, `1.2`, or an empty string."""
        return next((id_ for id_, name in self.exercises.items() if name == step), "")

    @property
    def code(self) -> dict[str, Function]:
        """Return all that the lab defines and that can call, or be called, by name."""
        return {**self.steps, **self.classes, **self.parts}

    def reached_from(self, step: str) -> frozenset[str]:
        """Return the names of what an edit of a step can reach: the step, and all from whose code it can be reached."""
        return callers_of(step, self.code)

    def parts_that_reach(self, step: str) -> frozenset[str]:
        """Return the names of the parts from whose code a step can be reached."""
        return self.reached_from(step) & self.parts.keys()

    @contextmanager
    def replaced(self, replacements: Mapping[str, Function]) -> Iterator[None]:
        """Put other functions in the place of steps, for every caller in the lab's files, and take them out again."""
        if unknown := replacements.keys() - self.steps.keys():
            raise KeyError(f"{self.title} has no steps {', '.join(sorted(unknown))}")
        originals = [
            (namespace, name, namespace[name])
            for namespace in self.namespaces
            for name in replacements
            if name in namespace
        ]
        for namespace, name, _ in originals:
            namespace[name] = replacements[name]
        try:
            yield
        finally:
            for namespace, name, original in originals:
                namespace[name] = original


def read(run: Function, config: type) -> Lesson:
    """Read the lab whose `run` and `Config` these are."""
    entry = catalog.read_header(Path(run.__code__.co_filename))
    namespaces = [run.__globals__]
    if helpers := _beside(entry, "helpers"):
        namespaces.append(vars(helpers))
    own = [thing for namespace in namespaces for thing in _own(namespace)]
    functions: dict[str, Function] = {
        thing.__name__: thing for thing in own if isinstance(thing, FunctionType) and thing is not run
    }
    classes = {thing.__name__: thing for thing in own if isinstance(thing, type) and thing is not config}
    parts = {
        name: function
        for name, function in functions.items()
        if list(inspect.signature(function).parameters) == PART
    }
    steps = {name: function for name, function in functions.items() if name not in parts}
    marked = [name for name, step in steps.items() if marks_of(step).hints]
    exercises = {f"{entry.number}.{place}": name for place, name in enumerate(marked, 1)}
    return Lesson(entry, run, config, tuple(namespaces), parts, steps, classes, exercises)


def title_and_prose(function: Function) -> tuple[str, str]:
    """Split a docstring into its first line, without the full stop, and the rest."""
    told = inspect.cleandoc(
        function.__doc__ or function.__name__
    )  # its own: getdoc would take that of a base class
    first, _, rest = told.partition("\n")
    return first.rstrip("."), rest.strip("\n")


def _own(namespace: dict[str, Any]) -> list[Any]:
    """Return the functions and classes that a module defines itself, in the order of its file."""
    own = [
        thing
        for thing in namespace.values()
        if isinstance(thing, FunctionType | type) and thing.__module__ == namespace["__name__"]
    ]
    return sorted(own, key=_line)


def _line(thing: Any) -> int:
    code = getattr(thing, "__code__", None)
    return int(code.co_firstlineno) if code else inspect.getsourcelines(thing)[1]


def _beside(entry: catalog.Entry, what: str) -> ModuleType | None:
    """Import `_labNN_mutants.py` or `_labNN_helpers.py` from beside the lab's own file; None where there is none."""
    assert entry.path is not None
    path = entry.path.with_name(f"_lab{entry.number:02d}_{what}.py")
    name = f"{entry.import_name.rpartition('.')[0]}.{path.stem}"
    if name in sys.modules or not path.exists():
        return sys.modules.get(name)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
