"""Exercises, read from a lab's source without importing it: the learner's file, hints, solutions and progress."""

import ast
import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from labs.catalog import Entry
from labs.errors import UsageError
from labs.files import unused, writable, write_whole
from labs.home import Home


@dataclass(frozen=True)
class Exercise:
    """One step that the learner writes. `id` is `1.2`: the second exercise of lab 1."""

    id: str
    step: str
    hints: tuple[str, ...]
    stub: str
    solution: str


class Source:
    """A lab's file, as far as its exercises need it."""

    def __init__(self, entry: Entry) -> None:
        assert entry.path is not None
        self.entry = entry
        self.text = entry.path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)
        self.lines = self.text.splitlines()

    @cached_property
    def exercises(self) -> list[Exercise]:
        """Return the lab's exercises in file order."""
        marked = [
            (node, hints)
            for node in self.tree.body
            if isinstance(node, ast.FunctionDef) and (hints := _hints(node))
        ]
        return [
            self._exercise(f"{self.entry.number}.{place}", node, hints)
            for place, (node, hints) in enumerate(marked, 1)
        ]

    def _exercise(self, id_: str, node: ast.FunctionDef, hints: tuple[str, ...]) -> Exercise:
        head_end = node.body[0].end_lineno if ast.get_docstring(node) else node.body[0].lineno - 1
        head = self.lines[node.lineno - 1 : head_end]
        stub = "\n".join([*head, f'    raise NotImplementedError("exercise {id_}")'])
        return Exercise(id_, node.name, hints, stub, "\n".join(self.lines[node.lineno - 1 : node.end_lineno]))

    @cached_property
    def work_text(self) -> str:
        """Return the file in which the learner works: what the steps need, and their stubs."""
        number = self.entry.number
        advice = f"Write the bodies, then: labs check {number}. Stuck? labs hint {number}."
        title = f'"""Lab {number:02d} · {self.entry.title}: your steps.\n\n{advice}\n"""'
        stubs = "\n\n\n".join(exercise.stub for exercise in self.exercises)
        return f"{title}\n\n{self._imports()}\n\n\n{stubs}\n"

    def _imports(self) -> str:
        """Return the imports that the steps use, and the lab's own types and constants among them."""
        wanted = {exercise.step for exercise in self.exercises}
        used = {name.id for node in self.tree.body if isinstance(node, ast.FunctionDef) and node.name in wanted
                for name in ast.walk(node) if isinstance(name, ast.Name)}  # fmt: skip
        used.discard("exercise")
        blocks = [
            _narrowed(node, used) for node in self.tree.body if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        own = sorted(used & {name for node in self.tree.body for name in _defined(node)})
        if own:
            blocks.append(f"from {self.entry.import_name} import {', '.join(own)}")
        return "\n".join(block for block in blocks if block)


def _hints(node: ast.FunctionDef) -> tuple[str, ...]:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "exercise":
            return tuple(ast.literal_eval(argument) for argument in mark.args)
    return ()


def _narrowed(node: ast.Import | ast.ImportFrom, used: set[str]) -> str:
    """Return an import with only those of its names that are used; empty where none is."""
    kept = [alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) in used]
    if not kept:
        return ""
    return ast.unparse(
        ast.Import(kept) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, kept, node.level)
    )


def _defined(node: ast.stmt) -> list[str]:
    """Return the names of a module's own types, constants and helpers; never of its exercises."""
    if isinstance(node, ast.ClassDef) or (isinstance(node, ast.FunctionDef) and not _hints(node)):
        return [node.name]
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return [target.id for target in targets if isinstance(target, ast.Name)]


def select(source: Source, wanted: str) -> list[Exercise]:
    """Return the exercise that `1.2` means, or all of the lab where only `1` is said. Raises UsageError for others."""
    if not source.exercises:
        raise UsageError(f"lab {source.entry.number:02d} has no exercises")
    _, dot, place = wanted.partition(".")
    if not dot:
        return source.exercises
    found = [exercise for exercise in source.exercises if exercise.id == f"{source.entry.number}.{place}"]
    if not found:
        raise UsageError(
            f"there is no exercise {wanted!r}; lab {source.entry.number:02d} has: {', '.join(exercise.id for exercise in source.exercises)}"
        )
    return found


class Progress:
    """What a person has done, kept in `work/progress.json`: hints seen, solutions asked for, exercises passed."""

    def __init__(self) -> None:
        self.path = Home.from_environment().work / "progress.json"
        try:
            self.entries: dict[str, dict[str, Any]] = _checked(
                json.loads(self.path.read_text(encoding="utf-8"))
            )
        except FileNotFoundError:
            self.entries = {}
        except (OSError, ValueError) as error:
            raise UsageError(
                f"cannot read {self.path}: {error}\nmend it, or move it away to start anew"
            ) from None

    def of(self, exercise: str) -> dict[str, Any]:
        """Return what is known of one exercise: hints (how many), asked (times), passed (when, or absent)."""
        return self.entries.setdefault(exercise, {"hints": 0, "asked": 0})

    def passed(self, exercise: str) -> bool:
        return "passed" in self.entries.get(exercise, {})

    def note_pass(self, exercise: str) -> None:
        """Remember when an exercise was passed for the first time."""
        self.of(exercise).setdefault("passed", f"{datetime.now():%Y-%m-%d %H:%M}")

    def save(self) -> None:
        writable(self.path.parent)
        write_whole(self.path, json.dumps(self.entries, indent=2) + "\n")


def _checked(found: Any) -> dict[str, dict[str, Any]]:
    """Return what was read if it has the form of a progress file. Raises ValueError otherwise."""
    entries = found.values() if isinstance(found, dict) else [None]
    if not all(
        isinstance(entry, dict)
        and isinstance(entry.get("hints"), int)
        and isinstance(entry.get("asked"), int)
        for entry in entries
    ):
        raise ValueError("it is no record of exercises")
    return dict(found)


def begin(source: Source) -> tuple[Path, bool]:
    """Write the learner's file unless it is there; return its path, and whether it is new."""
    path = Home.from_environment().work_file(source.entry.number)
    if path.exists():
        return path, False
    writable(path.parent)
    write_whole(path, source.work_text)
    return path, True


def set_aside(number: int) -> Path | None:
    """Move the learner's file out of the way, keeping it, and return its new place; None where there was none."""
    path = Home.from_environment().work_file(number)
    if not path.exists():
        return None
    kept = unused(path.with_name(f"{path.stem}-{datetime.now():%Y-%m-%dT%H-%M-%S}.py"))
    path.rename(kept)
    return kept
