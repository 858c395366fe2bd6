"""The learner's file: which of its functions take the place of a lab's steps."""

import ast
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any

from labs.errors import UsageError
from labs.home import owners_of
from labs.kit.attempt.printed import Printed
from labs.kit.runner.lesson import Function, Lesson
from labs.kit.runner.limits import OutOfTime, time_limit
from labs.ownership import check_file

LOADING_S = 60.0  # how long the file may take to load, with all that it imports


class WorkFile:
    """The learner's file, loaded. `written` are those of its functions that are exercises and no longer stubs."""

    def __init__(self, lesson: Lesson, path: Path) -> None:
        self.lesson = lesson
        self.path = path
        self.printed = Printed()
        self.names, stubs = _loaded(path, lesson.entry.number)
        self.written: dict[str, Function] = {
            name: self.names[name]
            for name in lesson.exercises.values()
            if name not in stubs and self._is_own(self.names.get(name))
        }

    def _is_own(self, thing: Any) -> bool:
        return isinstance(thing, FunctionType) and Path(thing.__code__.co_filename) == self.path

    @contextmanager
    def only(self, *names: str) -> Iterator[None]:
        """Let the learner's functions find the lab's own steps wherever they call exercises other than these."""
        before = {name: self.names[name] for name in self.lesson.exercises.values() if name in self.names}
        others = {name: self.lesson.steps[name] for name in before if name not in names}
        self.names.update(others)
        try:
            yield
        finally:
            self.names.update(before)

    def raised(self, error: BaseException) -> str:
        """Say what the learner's code raised, and in which line of this file."""
        first = str(error).strip().partition("\n")[0]
        said = f"{type(error).__name__}: {first}".removesuffix(": ")
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename) == self.path
        ]
        return f"it raised {said}" + (f" ({self.path.name}, line {lines[-1]})" if lines else "")


def _loaded(path: Path, number: int) -> tuple[dict[str, Any], set[str]]:
    """Run the learner's file; return its names, and those that are still stubs. Raises UsageError for what goes wrong there."""
    if not path.is_file():
        raise UsageError(f"there is no {path}\nmake it with: labs exercise {number}")
    check_file(path, owners_of(path))
    try:
        stubs = _stubs_in(path)
        with time_limit(LOADING_S):
            names = _names_in(path)
    except OutOfTime as error:
        what = f"{path.name} cannot be loaded: {error}"
    except SyntaxError as error:
        what = f"{path.name}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    except (Exception, SystemExit) as error:  # whatever the learner's file raises is shown to the learner
        line = traceback.extract_tb(error.__traceback__)[-1].lineno
        first = str(error).strip().partition("\n")[0]
        what = f"{path.name}, line {line}: {type(error).__name__}: {first}"
    else:
        return names, stubs
    raise UsageError(f"{what}\nmend it, or start again with: labs reset {number}")


def _stubs_in(path: Path) -> set[str]:
    """Return the functions whose code is still nothing but `raise NotImplementedError`."""
    functions = [
        node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    ]
    return {
        function.name
        for function in functions
        if "raise NotImplementedError('exercise " in ast.unparse(function.body[-1])
    }


def _names_in(path: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location(f"work_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pickle and torch.compile look a function's module up by its name
    spec.loader.exec_module(module)
    return vars(module)
