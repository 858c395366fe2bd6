"""What the contract's tests share: every lab's files as syntax trees, and its lesson."""

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from labs import catalog
from labs.catalog import Entry
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.mutants import load

READY = [entry for entry in catalog.all_labs().values() if entry.ready]


def name_of(entry: Entry) -> str:
    return f"lab{entry.number:02d}"


every_lab = pytest.mark.parametrize("entry", READY, ids=name_of)
every_lab_without_ranks = pytest.mark.parametrize(
    "entry", [entry for entry in READY if not entry.distributed], ids=name_of
)
every_distributed_lab = pytest.mark.parametrize(
    "entry", [entry for entry in READY if entry.distributed], ids=name_of
)
# What is the launcher's doing more than the lab's is shown by the lightest of them; by all where LABS_TEST_ALL is set.
WITH_RANKS = [entry for entry in READY if entry.distributed and entry.processes > 1]
lightest_lab_with_ranks = pytest.mark.parametrize(
    "entry",
    [entry for entry in WITH_RANKS if os.environ.get("LABS_TEST_ALL") or entry.number == 13],
    ids=name_of,
)


@cache
def lesson_of(number: int) -> Lesson:
    return load(catalog.all_labs()[number].import_name)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def file_of(entry: Entry) -> Path:
    assert entry.path is not None
    return entry.path


def files_of(entry: Entry) -> list[Path]:
    """The lab's file, and those of its helpers and its mutants beside it."""
    return [file_of(entry), *sorted(file_of(entry).parent.glob(f"_lab{entry.number:02d}_*.py"))]


def functions_in(path: Path) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree_of(path).body if isinstance(node, ast.FunctionDef)}


def parts_of(entry: Entry) -> dict[str, ast.FunctionDef]:
    """The lab's parts: its functions of exactly `cfg` and `lab`, without `run`."""
    functions = functions_in(file_of(entry))
    return {
        name: node
        for name, node in functions.items()
        if [argument.arg for argument in node.args.args] == ["cfg", "lab"] and name != "run"
    }


def steps_of(entry: Entry) -> dict[str, ast.FunctionDef]:
    """All functions that are no parts, of the lab's file and of its helpers' alike, however a part comes to call them."""
    files = [path for path in files_of(entry) if not path.stem.endswith("_mutants")]
    functions = {name: node for path in files for name, node in functions_in(path).items()}
    return {name: node for name, node in functions.items() if name not in parts_of(entry) and name != "run"}


def called_steps_of(entry: Entry) -> dict[str, ast.FunctionDef]:
    """Those steps that a part hands to `lab.step` by name, or that are exercises."""
    lesson = lesson_of(entry.number)
    wanted = lesson.called_by_parts | set(lesson.exercises.values())
    return {name: node for name, node in steps_of(entry).items() if name in wanted}


def body_lines(function: ast.FunctionDef) -> int:
    """The lines of a function from `def` on, without those of its docstring."""
    told = function.body[0] if ast.get_docstring(function) else None
    docstring = (told.end_lineno or 0) - told.lineno + 1 if told else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def statements(function: ast.FunctionDef) -> int:
    """The statements of a function at any depth, without its docstring."""
    found = sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1
    return found - (ast.get_docstring(function) is not None)


def arguments_of(step: ast.FunctionDef) -> list[ast.arg]:
    return [*step.args.posonlyargs, *step.args.args, *step.args.kwonlyargs]


def own_returns(step: ast.FunctionDef) -> Iterator[ast.Return]:
    """The step's own return statements, without those of functions inside it."""
    waiting: list[ast.AST] = list(step.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))
