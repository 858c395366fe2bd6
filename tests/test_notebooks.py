"""Labs as notebooks: made from the source, run as they are."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from labs import catalog, home, notebooks, record
from labs.errors import UsageError
from scripts.environment.install import install_kernel, read_project
from tests.conftest import ROOT

READY = [entry for entry in catalog.all_labs().values() if entry.ready]
ALONE = [entry for entry in READY if not entry.distributed]
EXECUTED = (
    ALONE if os.environ.get("LABS_TEST_ALL") else ALONE[:1]
)  # each takes seconds: `make test-all` executes all of them


@pytest.fixture
def tiny_entry(tiny_checkout: Path) -> catalog.Entry:
    return catalog.read_header(tiny_checkout / "labs" / "m7_bonus" / "lab99_tiny_things.py")


def written(entry: catalog.Entry) -> list[Any]:
    """Write a lab's notebook and return its cells."""
    cells: list[Any] = nbformat.read(notebooks.write(entry), as_version=4).cells
    return cells


@pytest.mark.parametrize("entry", READY, ids=lambda entry: entry.notebook)
def test_a_notebook_has_every_step_once_with_its_prose_above_it(
    entry: catalog.Entry, labs_home: Path
) -> None:
    path = notebooks.write(entry)
    assert path == labs_home / "notebooks" / f"{entry.notebook}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    sources = [cell.source for cell in cells]
    assert entry.path is not None
    for node in ast.parse(entry.path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name != "run":
            told = (ast.get_docstring(node) or "").partition("\n")[0].rstrip(".")
            if [argument.arg for argument in node.args.args] == ["cfg", "lab"]:
                assert sum(source.startswith(f"## {told}") for source in sources) == 1, node.name
                continue
            step = re.compile(rf"^def {node.name}\(", re.MULTILINE)
            places = [place for place, source in enumerate(sources) if step.search(source)]
            assert len(places) == 1, node.name
            assert not told or sources[places[0] - 1].startswith(f"**{told}**"), node.name
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert not any(word in code for word in ("__main__", "# noqa", "# fmt:", "@exercise", "@needs"))


@pytest.mark.parametrize("entry", ALONE, ids=lambda entry: entry.notebook)
def test_every_statement_of_a_part_stands_in_its_notebook(entry: catalog.Entry, labs_home: Path) -> None:
    assert entry.path is not None
    cells = written(entry)
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    unrolled = [ast.dump(node) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.stmt)]
    for part in ast.parse(entry.path.read_text(encoding="utf-8")).body:
        if isinstance(part, ast.FunctionDef) and [each.arg for each in part.args.args] == ["cfg", "lab"]:
            missing = [ast.unparse(node) for node in part.body[1:] if ast.dump(node) not in unrolled]
            assert part.name == "run" or missing == []


def test_the_tiny_lab_reads_as_a_lesson(tiny_entry: catalog.Entry, labs_home: Path) -> None:
    cells = written(tiny_entry)
    told = [cell.source for cell in cells if cell.cell_type == "markdown"]
    assert told[0].startswith("# Lab 99 · Tiny things\n\n*What does the kit make of the *smallest* lab")
    assert told[1] == "## How many numbers are there?\n\nOne counts from zero, so the last number is N − 1."
    assert "labs exercise 99" in next(text for text in told if text.startswith("**Double every number**"))
    assert told[-1].startswith("## Remember\n\nTiny things have everything that large ones have.")


def test_a_question_stands_before_its_answer_which_is_folded(
    tiny_entry: catalog.Entry, labs_home: Path
) -> None:
    cells = written(tiny_entry)
    place = next(place for place, cell in enumerate(cells) if "**Your guess.**" in cell.source)
    assert cells[place].source == (
        "**Your guess.** How many numbers are there from `0` to N − 1?\n\n- N\n- N − 1\n\n"
        "<details><summary>Answer</summary>\n\nN – **Yes.** From 0 to N − 1.\n\nN − 1 – That is the last one.\n\n</details>"
    )
    assert "lab.predict(" in cells[place + 1].source
    assert cells[place + 1].metadata == notebooks.FOLDED
    open_ = [cell.source for cell in cells[:place] if cell.metadata != notebooks.FOLDED]
    assert not any("From 0 to N" in source for source in open_)


def test_a_part_begins_once_and_one_with_needs_under_a_condition(
    tiny_entry: catalog.Entry, labs_home: Path
) -> None:
    sources = [cell.source for cell in written(tiny_entry)]
    begun = [source for source in sources if "enter(lab, " in source]
    assert [source.partition("\n")[0] for source in begun] == [
        'enter(lab, "counting")',
        'enter(lab, "arithmetic")',
        'enter(lab, "timing")',
        'if enter(lab, "elsewhere"):',
    ]
    assert begun[-1].splitlines()[1].startswith('    lab.equal("99.elsewhere"')


def test_what_the_kit_offers_is_imported_where_cells_use_it(
    tiny_entry: catalog.Entry, labs_home: Path
) -> None:
    first = next(cell.source for cell in written(tiny_entry) if cell.cell_type == "code")
    assert "from labs.kit import Tolerance\n" in first
    assert 'cfg, lab = begin("labs.m7_bonus.lab99_tiny_things", smoke=False)' in first


def test_a_part_that_cannot_become_cells_is_refused_in_one_sentence(
    tiny_entry: catalog.Entry, labs_home: Path
) -> None:
    assert tiny_entry.path is not None
    text = tiny_entry.path.read_text(encoding="utf-8")
    tiny_entry.path.write_text(text.replace("twice_N = lab.step(", "total = lab.step("), encoding="utf-8")
    message = "lab 99 cannot become a notebook: arithmetic calls a variable total, like something of the file"
    with pytest.raises(UsageError, match=message):
        notebooks.write(tiny_entry)
    assert not list(labs_home.rglob("*.ipynb"))


def test_notebooks_are_written_without_torch(labs_home: Path) -> None:
    program = (
        "import sys; from labs.notebooks import write_all; write_all('1'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=home.CHECKOUT)


def test_the_same_source_gives_the_same_notebook(labs_home: Path) -> None:
    first = notebooks.write(READY[0]).read_bytes()
    assert notebooks.write(READY[0]).read_bytes() == first


def test_a_lab_of_several_processes_gets_a_cell_that_launches_it(labs_home: Path) -> None:
    sources = [cell.source for cell in written(catalog.find("43"))]
    assert 'launch(43, "--procs", "' in sources[-1]
    assert not any("enter(lab" in source or "begin(" in source for source in sources)


def test_a_part_of_a_lab_of_several_processes_is_shown_as_a_function(
    troubled_checkout: Path, labs_home: Path
) -> None:
    entry = catalog.read_header(troubled_checkout / "labs" / "m7_bonus" / "lab98_troubles.py")
    sources = [cell.source for cell in written(entry)]
    assert "## What happens to the others?" in sources
    assert any(source.startswith("def together(cfg: Config, lab: Lab)") for source in sources)
    assert any("from labs.kit import Lab" in source for source in sources)


def test_only_labs_that_are_there_become_notebooks(labs_home: Path) -> None:
    assert len(notebooks.write_all()) == len(READY)
    assert len(notebooks.write_all("1")) == 1
    with pytest.raises(UsageError):
        notebooks.write_all("77")


def test_notebooks_name_the_kernel_that_set_up_makes(tmp_path: Path) -> None:
    """Of the usual name, python3, a person may have a kernel of another project."""
    project = read_project(ROOT)["project"]["name"]
    install_kernel(tmp_path, project)
    kernel = json.loads((tmp_path / "share/jupyter/kernels" / notebooks.KERNEL / "kernel.json").read_text())
    assert kernel["argv"][0] == "python", "which Jupyter takes for its own Python"
    book = nbformat.read(notebooks.write(catalog.find_ready("1")), as_version=4)
    assert book.metadata.kernelspec == {
        key: kernel.get(key, notebooks.KERNEL) for key in ("name", "display_name", "language")
    }


def executed(entry: catalog.Entry, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Run a lab's notebook from top to bottom on its smoke Config, and return its cells."""
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    folder = notebooks.place().parent
    book = nbformat.read(notebooks.write(entry), as_version=4)
    for cell in book.cells:
        cell.source = cell.source.replace("smoke=False", "smoke=True")
    places = {"metadata": {"path": str(folder)}}
    NotebookClient(book, timeout=120, resources=places).execute()
    cells: list[Any] = book.cells
    return cells


@pytest.mark.parametrize("entry", EXECUTED, ids=lambda entry: entry.notebook)
def test_a_notebook_runs_from_top_to_bottom(
    entry: catalog.Entry, labs_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = executed(entry, home.CHECKOUT, monkeypatch)
    (folder,) = (labs_home / "runs").glob("*/*-notebook")
    notes = record.load(folder)
    assert notes.status == "held"
    assert notes.count("held") > 0
    shown = str([cell.get("outputs") for cell in cells])
    assert all(claim.id in shown for claim in notes.claims)
    assert (folder / "report.html").exists()


def test_the_tiny_labs_notebook_leaves_the_record_of_a_run(
    tiny_entry: catalog.Entry, tiny_checkout: Path, labs_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = executed(tiny_entry, tiny_checkout, monkeypatch)
    (folder,) = (labs_home / "runs").glob("lab99/*-notebook")
    notes = record.load(folder)
    assert (notes.status, notes.launcher) == ("held", "notebook")
    assert [part.name for part in notes.parts] == ["counting", "arithmetic", "timing", "elsewhere"]
    assert [prediction.answer for prediction in notes.predictions] == ["N"]
    assert notes.claims[-1].reason == "needs the package no_such_package"
    shown = str([cell.get("outputs") for cell in cells])
    assert all(claim.id in shown for claim in notes.claims)
    assert "◆ the guess: N. <strong>Yes.</strong>" in shown
    assert "<p>So a row of N numbers is <em>not</em> three rows.</p>" in shown
    assert (folder / "report.html").exists()
