"""Turn a lab's file into a notebook: docstrings become text, steps become cells, and `run` is unrolled between them.

The notebook is made from the source's own lines, so comments survive. It is never edited: `make notebooks` writes it anew.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import cleandoc
from pathlib import Path
from typing import Any

from labs import catalog
from labs.catalog import Entry
from labs.errors import UsageError
from labs.files import writable, write_whole
from labs.home import Home

LINTERS = re.compile(r"  # (?:fmt|noqa|type): ?.*$", re.MULTILINE)
NOT_SHOWN = {"MUTANTS", "run"}


@dataclass
class Piece:
    """One definition of the lab's file, and the statements of `run` that can stand behind it."""

    source: str
    names: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)
    text: str = ""
    gap: int = 0  # empty lines above it in the file
    statements: list[str] = field(default_factory=list)


def place() -> Path:
    """Return where notebooks are written."""
    return Home.from_environment().root / "notebooks"


def write(entry: Entry) -> Path:
    """Write a lab's notebook under its original name and return its path."""
    import nbformat

    path = writable(place()) / f"{entry.notebook}.ipynb"
    book = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    book.cells = list(cells(entry))
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number}"  # the same source gives the same file
    nbformat.validate(book)
    write_whole(path, nbformat.writes(book) + "\n")
    return path


def cells(entry: Entry) -> Iterator[Any]:
    """Yield the notebook's cells, in order."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    yield new_markdown_cell(_opening(entry))
    pieces, imports = _pieces(entry)
    yield new_code_cell(f"{imports}\n{_beginning(entry)}" if not entry.distributed else imports)
    for piece in pieces:
        if piece.text:
            yield new_markdown_cell(piece.text)
        yield new_code_cell(piece.source)
        if piece.statements and not entry.distributed:
            yield new_code_cell("\n".join(piece.statements))
    yield from map(new_code_cell, _ending(entry))


def _opening(entry: Entry) -> str:
    sections = "\n\n".join(
        f"**{name}**\n\n{text}"
        for name, text in entry.sections.items()
        if name in ("You will see", "Builds on", "Sources")
    )
    question = " ".join(entry.sections["Question"].split())
    letters = next((line for line in _source(entry).splitlines() if line.startswith("# Shape letters")), "#")
    return f"# Lab {entry.number:02d} · {entry.title}\n\n*{question}*\n\n{sections}\n\n{letters.removeprefix('#').strip()}".rstrip()


def _source(entry: Entry) -> str:
    assert entry.path is not None
    return entry.path.read_text(encoding="utf-8")


def _beginning(entry: Entry) -> str:
    return f'from labs.kit.runner.notebook import begin, end\n\ncfg, lab = begin("{entry.import_name}", smoke=False)  # True: a tiny run'


def _ending(entry: Entry) -> list[str]:
    if not entry.distributed:
        return ["end(lab)"]
    launch = f'launch({entry.number}, "--procs", "{entry.processes}")  # add "--smoke" for a tiny run'
    return [
        f"# This lab is about several processes, so it runs beside the notebook.\nfrom labs.kit.runner.notebook import launch\n\n{launch}"
    ]


def _pieces(entry: Entry) -> tuple[list[Piece], str]:
    """Cut a lab's file into definitions, each with the statements of `run` that wait for it, and its imports."""
    source = _source(entry)
    tree, lines = ast.parse(source), source.splitlines()
    body = tree.body[1:]
    imports = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
    definitions = [
        node
        for node in body
        if node not in imports and not isinstance(node, ast.If) and not _names(node) & NOT_SHOWN
    ]
    pieces = _joined([_piece(node, lines, entry) for node in definitions])
    run = next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == "run")
    _unroll(run, lines, pieces, entry)
    head = [
        line
        for line in _slice(lines, imports[0].lineno, imports[-1].end_lineno)
        if not line.startswith("from labs.kit import ")
    ]
    return pieces, "\n".join([*head, *_of_the_kit(source, pieces)])


def _of_the_kit(source: str, pieces: list[Piece]) -> list[str]:
    """Return an import of those of the kit's names that the cells use: never of what makes the file a script."""
    offered = next(
        (
            line.partition(" import ")[2].split(", ")
            for line in source.splitlines()
            if line.startswith("from labs.kit import ")
        ),
        [],
    )
    code = "\n".join("\n".join([piece.source, *piece.statements]) for piece in pieces)
    used = [name for name in offered if re.search(rf"\b{name}\b", code)]
    return [f"from labs.kit import {', '.join(used)}"] if used else []


def _piece(node: ast.stmt, lines: list[str], entry: Entry) -> Piece:
    first, text = _with_comment_above(node, lines), ""
    kept = _slice(lines, first, node.end_lineno)
    if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
        doc = node.body[0]
        text = _told(node, entry)
        kept = [
            *_slice(lines, node.lineno, doc.lineno - 1),
            *_slice(lines, (doc.end_lineno or doc.lineno) + 1, node.end_lineno),
        ]
    uses = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    return Piece(_clean("\n".join(kept)), _names(node), uses, text, _gap_above(first, lines))


def _told(node: ast.FunctionDef, entry: Entry) -> str:
    title, _, prose = cleandoc(ast.get_docstring(node) or "").partition("\n")
    exercise = any(
        isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "exercise"
        for mark in node.decorator_list
    )
    note = (
        f"\n\n*An exercise of this lab: `labs exercise {entry.number}` lets you write it yourself.*"
        if exercise
        else ""
    )
    return f"## {title.rstrip('.')}\n\n{prose.strip()}{note}"


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Join neighbours that have no text of their own, such as constants, into one cell."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and not piece.text and not joined[-1].text:
            before = joined[-1]
            source = before.source + "\n" * (1 + piece.gap) + piece.source
            joined[-1] = Piece(source, before.names | piece.names, before.uses | piece.uses)
        else:
            joined.append(piece)
    return joined


def _unroll(run: ast.FunctionDef, lines: list[str], pieces: list[Piece], entry: Entry) -> None:
    """Put each statement of `run` behind the last definition that it leans on, in the order of `run`."""
    place = 0
    defined = {name for piece in pieces for name in piece.names}
    previous_end = (run.body[0].lineno - 1) if run.body else 0
    for node in run.body:
        if (
            clash := {
                name.id
                for name in ast.walk(node)
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
            }
            & defined
        ):
            raise UsageError(
                f"lab {entry.number:02d} cannot become a notebook: `run` calls a variable {clash.pop()}, like a definition of the file"
            )
        place = max(
            place, _last_needed({name.id for name in ast.walk(node) if isinstance(name, ast.Name)}, pieces)
        )
        above = _slice(lines, previous_end + 1, node.lineno - 1)
        text = "\n".join(line[4:] for line in [*above, *_slice(lines, node.lineno, node.end_lineno)])
        pieces[place].statements.append(_clean(text.strip("\n")))
        previous_end = node.end_lineno or node.lineno


def _last_needed(names: set[str], pieces: list[Piece]) -> int:
    """Return the place of the last piece that these names lead to, also by way of other pieces."""
    needed: set[int] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        for place, piece in enumerate(pieces):
            if name in piece.names and place not in needed:
                needed.add(place)
                todo.extend(piece.uses)
    return max(needed, default=0)


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    return {
        name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }


def _with_comment_above(node: ast.stmt, lines: list[str]) -> int:
    marks: list[ast.expr] = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(mark.lineno for mark in marks)])
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    return first


def _gap_above(first: int, lines: list[str]) -> int:
    return next((gap for gap in range(first - 1) if lines[first - 2 - gap]), 0)


def _slice(lines: list[str], first: int, last: int | None) -> list[str]:
    return lines[first - 1 : last]


def _clean(source: str) -> str:
    return LINTERS.sub("", source)


def write_all(which: str = "") -> list[Path]:
    """Write the notebooks of all labs that are there, or of one, and return their paths."""
    entries = (
        [catalog.find_ready(which)]
        if which
        else [entry for entry in catalog.all_labs().values() if entry.ready]
    )
    return [write(entry) for entry in entries]
