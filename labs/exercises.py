"""Exercises, read from a lab's source without importing it: the learner's file, hints, solutions and progress."""

import ast
import json
import re
from dataclasses import dataclass
from datetime import datetime
from doctest import DocTestParser
from functools import cached_property
from inspect import cleandoc
from pathlib import Path
from textwrap import indent
from typing import Any, NamedTuple

from labs.catalog import Entry
from labs.errors import UsageError
from labs.files import read_json, unused, writable, write_whole
from labs.home import Home
from labs.places import refusal

PASSED = re.compile(rb'"judgement":\s*"passed"')
# The end of the learner's file: what runs the examples of the contracts.
TRIAL = """\
if __name__ == "__main__":
    import doctest

    print(doctest.testmod())
"""
TRIAL_IN_A_GROUP = """\
if __name__ == "__main__":
    import doctest

    from labs.kit.distributed.world import World

    with World().group():
        print(doctest.testmod())
"""


@dataclass(frozen=True)
class Exercise:
    """One step that the learner writes. `id` is `1.2`: the second exercise of lab 1."""

    id: str
    step: str
    hints: tuple[str, ...]
    contract: str
    insight: str
    stub: str
    solution: str


class _Marked(NamedTuple):
    """A function of a lab's file that is an exercise, and what its decorator says."""

    file: "_File"
    node: ast.FunctionDef
    hints: tuple[str, ...]
    contract: str
    insight: str


class _File:
    """One file with steps in it: the lab's own, or that of its helpers."""

    def __init__(self, path: Path, import_name: str) -> None:
        text = path.read_text(encoding="utf-8")
        self.import_name = import_name
        self.lines = text.splitlines()
        self.body = ast.parse(text).body

    def between(self, first: int, last: int | None) -> str:
        """Return the text from one line to another, both of them included."""
        return "\n".join(self.lines[first - 1 : last])

    def marked(self) -> list[_Marked]:
        """Return the exercises in this file."""
        functions = [node for node in self.body if isinstance(node, ast.FunctionDef)]
        return [_Marked(self, node, *said) for node in functions if (said := _said_of(node))]


class Source:
    """A lab's files, as far as its exercises need them."""

    def __init__(self, entry: Entry) -> None:
        assert entry.path is not None
        self.entry = entry
        self.files = [_File(entry.path, entry.import_name)]
        helpers = entry.path.with_name(f"_lab{entry.number:02d}_helpers.py")
        if helpers.exists():
            self.files.append(_File(helpers, f"{entry.import_name.rpartition('.')[0]}.{helpers.stem}"))

    @cached_property
    def _marked(self) -> list[_Marked]:
        return [found for file in self.files for found in file.marked()]

    @cached_property
    def exercises(self) -> list[Exercise]:
        """Return the lab's exercises in file order, those of its helpers last."""
        return [
            _exercise(f"{self.entry.number}.{number}", found) for number, found in enumerate(self._marked, 1)
        ]

    @cached_property
    def work_text(self) -> str:
        """Return the file in which the learner works: what the steps need, their stubs, and what tries their examples."""
        number = self.entry.number
        advice = f"Write the bodies, then: labs check {number}. Stuck? labs hint {number}."
        examples = f"The examples alone: python work/lab{number:02d}.py"
        title = f'"""Lab {number:02d} · {self.entry.title}: your steps.\n\n{advice}\n{examples}\n"""'
        stubs = "\n\n\n".join(exercise.stub for exercise in self.exercises)
        trial = TRIAL_IN_A_GROUP if self.entry.distributed else TRIAL
        return f"{title}\n\n{self._imports()}\n\n\n{stubs}\n\n\n{trial}"

    def _imports(self) -> str:
        """Return the imports that the steps and their examples use, and the lab's own types and constants among them."""
        blocks: list[str] = []
        for file in self.files:
            used = set().union(*(_names_in(found) for found in self._marked if found.file is file))
            used -= {found.node.name for found in self._marked}
            blocks += [
                _narrowed(node, used) for node in file.body if isinstance(node, ast.Import | ast.ImportFrom)
            ]
            own = sorted(used & {name for node in file.body for name in _defined(node)})
            blocks += [f"from {file.import_name} import {', '.join(own)}"] if own else []
        return "\n".join(dict.fromkeys(filter(None, blocks)))


def _exercise(id_: str, found: _Marked) -> Exercise:
    file, node = found.file, found.node
    signature = file.between(node.lineno, node.body[0].lineno - 1)
    told = "\n\n".join(filter(None, (ast.get_docstring(node) or "", found.contract)))
    stub = f'{signature}\n{_as_docstring(told)}    raise NotImplementedError("exercise {id_}")'
    solution = file.between(node.lineno, node.end_lineno)
    return Exercise(id_, node.name, found.hints, found.contract, found.insight, stub, solution)


def _as_docstring(text: str) -> str:
    """Return a text as the docstring of a function in a file; empty for an empty text."""
    if not text:
        return ""
    opening = 'r"""' if "\\" in text else '"""'
    closing = '\n"""' if "\n" in text else '"""'
    return indent(f"{opening}{text}{closing}", "    ") + "\n"


def _said_of(node: ast.FunctionDef) -> tuple[tuple[str, ...], str, str] | None:
    """Return the hints, the contract and the insight that stand above an exercise; None for other functions."""
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "exercise":
            hints = tuple(ast.literal_eval(hint) for hint in mark.args)
            said = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in mark.keywords}
            return hints, cleandoc(said.get("contract", "")), said.get("insight", "")
    return None


def _names_in(found: _Marked) -> set[str]:
    """Return the names that a step and the example of its contract use, without those of its decorators."""
    examples = DocTestParser().get_examples(found.contract)
    code = [found.node.args, *found.node.body, *(ast.parse(example.source) for example in examples)]
    code += [found.node.returns] if found.node.returns else []
    return {name.id for part in code for name in ast.walk(part) if isinstance(name, ast.Name)}


def _narrowed(node: ast.Import | ast.ImportFrom, used: set[str]) -> str:
    """Return an import with only those of its names that are used; empty where none is."""
    kept = [alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) in used]
    if not kept:
        return ""
    return ast.unparse(
        ast.Import(kept) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, kept, node.level)
    )


def _defined(node: ast.stmt) -> list[str]:
    """Return the names of a module's own types, constants and helpers."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
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
    """What a person has done: exercises passed, as the records of all runs say, and hints and solutions asked for.

    The latter are noted in `work/progress.json`. Older versions noted passes there too, which count as they did.
    Where a lab is named, only the records of its runs are read.
    """

    def __init__(self, lab: int | None = None) -> None:
        self.lab, self.home = lab, Home.from_environment()
        self.path = self.home.work / "progress.json"
        try:
            self.entries: dict[str, dict[str, Any]] = _checked(
                json.loads(self.path.read_text(encoding="utf-8"))
            )
        except FileNotFoundError:
            self.entries = {}
        except OSError as error:
            raise refusal(error) or error from None
        except ValueError as error:
            raise UsageError(
                f"cannot read {self.path}: {error}\nmend it, or move it away to start anew"
            ) from None

    def of(self, exercise: str) -> dict[str, Any]:
        """Return what was asked for of one exercise: hints (how many), asked (times its solution was)."""
        return self.entries.setdefault(exercise, {"hints": 0, "asked": 0})

    @cached_property
    def passed_ones(self) -> set[str]:
        """The exercises that were passed, wherever they were judged."""
        noted = {exercise for exercise, entry in self.entries.items() if "passed" in entry}
        return noted.union(*(_passed_in(folder / "run.json") for folder in self.home.all_runs(self.lab)))

    def passed(self, exercise: str) -> bool:
        return exercise in self.passed_ones

    def save(self) -> None:
        writable(self.path.parent)
        write_whole(self.path, json.dumps(self.entries, indent=2) + "\n")


def _passed_in(path: Path) -> set[str]:
    """Return the exercises that were passed in a run. Most runs judge none: only those that do are read as JSON."""
    try:
        text = path.read_bytes()
    except OSError:
        return set()
    if not PASSED.search(text):
        return set()
    judged = read_json(path).get("exercises")
    found = [one for one in judged if isinstance(one, dict)] if isinstance(judged, list) else []
    return {str(one.get("id")) for one in found if one.get("judgement") == "passed"}


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
