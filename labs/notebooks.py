"""Turn a lab's file into a notebook: a part is a heading with its argument, its steps are cells, and so is each of its statements.

The notebook is made from the source's own lines, so comments survive. It is never edited: `make notebooks` writes it anew.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labs import catalog
from labs.catalog import Entry
from labs.errors import UsageError
from labs.files import writable, write_whole
from labs.guesses import Guesses
from labs.home import Home
from labs.unrolled import CannotUnroll, Definition, Part, Unrolled

# JupyterLab shows such a cell closed; what it prints is shown.
FOLDED = {"jupyter": {"source_hidden": True}}
KERNEL = "pytorch-deep-dive-labs"  # the distribution's name: set-up makes it, beside the labs that it runs
OF_THE_NOTEBOOK = "from labs.kit.runner.notebook import"


def place() -> Path:
    """Return where notebooks are written."""
    return Home.from_environment().root / "notebooks"


def write(entry: Entry) -> Path:
    """Write a lab's notebook under its original name and return its path."""
    import nbformat

    path = writable(place()) / f"{entry.notebook}.ipynb"
    book = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"name": KERNEL, "display_name": "PyTorch Deep Dive labs", "language": "python"}
        }
    )
    book.cells = list(cells(entry))
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number}"  # the same source gives the same file
    nbformat.validate(book)
    write_whole(path, nbformat.writes(book) + "\n")
    return path


def write_all(which: str = "") -> list[Path]:
    """Write the notebooks of all labs that are there, or of one, and return their paths."""
    ready = [entry for entry in catalog.all_labs().values() if entry.ready]
    return [write(entry) for entry in ([catalog.find_ready(which)] if which else ready)]


def cells(entry: Entry) -> Iterator[Any]:
    """Yield the notebook's cells, in order."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    assert entry.path is not None
    try:
        helpers = entry.path.parent.glob(f"_lab{entry.number:02d}_*.py")
        beside = [path.read_text(encoding="utf-8") for path in sorted(helpers)]
        lab = Unrolled(entry.path.read_text(encoding="utf-8"), beside)
    except CannotUnroll as error:
        raise UsageError(f"lab {entry.number:02d} cannot become a notebook: {error}") from None
    yield new_markdown_cell(_opening(entry, lab.letters))
    yield new_code_cell(_beginning(entry, lab))
    for part in lab.parts:
        yield new_markdown_cell(f"## {part.title}\n\n{part.prose}".rstrip())
        yield from _definitions(entry, part.definitions)
        yield from _declared(part) if entry.distributed else _done(part)
    yield from _definitions(entry, lab.rest)
    if remember := entry.sections.get("Remember"):
        yield new_markdown_cell(f"## Remember\n\n{remember}")
    yield new_code_cell(_ending(entry))


def _opening(entry: Entry, letters: str) -> str:
    told = ("You will see", "Builds on", "Sources")
    sections = [f"**{name}**\n\n{text}" for name, text in entry.sections.items() if name in told]
    question = " ".join(entry.sections["Question"].split())
    return "\n\n".join(
        [f"# Lab {entry.number:02d} · {entry.title}", f"*{question}*", *sections, letters]
    ).rstrip()


def _beginning(entry: Entry, lab: Unrolled) -> str:
    """Return the first cell's code: imports, of the kit's names only those that cells use, and the start of the run."""
    definitions = [*(each for part in lab.parts for each in part.definitions), *lab.rest]
    shown = [part.source for part in lab.parts] if entry.distributed else []
    statements = [statement.source for part in lab.parts for statement in part.statements]
    code = "\n".join([*(each.source for each in definitions), *(shown or statements)])
    kit = [name for name in lab.kit if re.search(rf"\b{name}\b", code)]
    imports = [lab.imports, *([f"from labs.kit import {', '.join(kit)}"] if kit else [])]
    if entry.distributed:
        return "\n".join(imports)
    begin = f'cfg, lab = begin("{entry.import_name}", smoke=False)  # True: a tiny run'
    return "\n".join([*imports, f"{OF_THE_NOTEBOOK} begin, end, enter", "", begin])


def _definitions(entry: Entry, definitions: list[Definition]) -> Iterator[Any]:
    """Yield what is told of each definition, its first line as a caption, and its code."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    for definition in definitions:
        if definition.title:
            note = f"*An exercise of this lab: `labs exercise {entry.number}` lets you write it yourself.*"
            told = [f"**{definition.title}**", definition.prose, *([note] if definition.exercise else [])]
            yield new_markdown_cell("\n\n".join(filter(None, told)))
        yield new_code_cell(definition.source)


def _done(part: Part) -> Iterator[Any]:
    """Yield what a part does, statement by statement, its questions before the code that answers them."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    entering = f'enter(lab, "{part.name}")'
    if part.constants:
        yield new_code_cell("\n".join(part.constants), metadata=FOLDED)
    if part.needs:
        asked = [statement.guesses for statement in part.statements if statement.guesses]
        yield from (new_markdown_cell(_question(guesses)) for guesses in asked)
        body = "\n".join(statement.source for statement in part.statements)
        yield new_code_cell(f"if {entering}:\n{body}", metadata=FOLDED if asked else {})
        return
    for place_, statement in enumerate(part.statements):
        if statement.guesses:
            yield new_markdown_cell(_question(statement.guesses))
        source = statement.source if place_ else f"{entering}\n{statement.source}"
        yield new_code_cell(source, metadata=FOLDED if statement.folded else {})


def _declared(part: Part) -> Iterator[Any]:
    """Yield a part as the function that it is: it runs in processes of its own, beside the notebook."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    yield from (new_markdown_cell(_question(each.guesses)) for each in part.statements if each.guesses)
    yield new_code_cell(part.source)


def _question(guesses: Guesses) -> str:
    """Return a question with the answers that it offers, and folded what is to be said of them."""
    offered = "\n".join(f"- {text}" for text in guesses.offered)
    reasons = "\n\n".join(f"{text} – {why}" for text, why in guesses.offered.items())
    answer = f"<details><summary>Answer</summary>\n\n{reasons or guesses.answer}\n\n</details>"
    return "\n\n".join(filter(None, [f"**Your guess.** {guesses.question}", offered, answer]))


def _ending(entry: Entry) -> str:
    if not entry.distributed:
        return "end(lab)"
    launch = f'launch({entry.number}, "--procs", "{entry.processes}")  # add "--smoke" for a tiny run'
    why = "# This lab is about several processes, so it runs beside the notebook."
    return f"{why}\n{OF_THE_NOTEBOOK} launch\n\n{launch}"
