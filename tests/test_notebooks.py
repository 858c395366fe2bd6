"""Labs as notebooks: made from the source, run as they are."""

import ast
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from labs import catalog, home, notebooks, record
from labs.errors import UsageError

READY = [entry for entry in catalog.all_labs().values() if entry.ready]
ALONE = [entry for entry in READY if not entry.distributed]
EXECUTED = (
    ALONE if os.environ.get("LABS_TEST_ALL") else ALONE[:1]
)  # each takes seconds: `make test-all` executes all of them


@pytest.mark.parametrize("entry", READY, ids=lambda entry: entry.notebook)
def test_a_notebook_has_every_step_once_with_its_prose_above_it(
    entry: catalog.Entry, labs_home: Path
) -> None:
    path = notebooks.write(entry)
    assert path == labs_home / "notebooks" / f"{entry.notebook}.ipynb"
    book = nbformat.read(path, as_version=4)
    sources = [cell.source for cell in book.cells]
    assert entry.path is not None
    for node in ast.parse(entry.path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name != "run":
            places = [place for place, source in enumerate(sources) if f"def {node.name}(" in source]
            assert len(places) == 1, node.name
            told = (ast.get_docstring(node) or "").partition("\n")[0].rstrip(".")
            assert not told or sources[places[0] - 1].startswith(f"## {told}"), node.name
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    assert not any(
        word in code for word in ("MUTANTS", "__main__", "# noqa", "# fmt:", "Mutant", "@exercise")
    )


@pytest.mark.parametrize("entry", ALONE, ids=lambda entry: entry.notebook)
def test_every_claim_of_run_stands_in_its_notebook_in_order(entry: catalog.Entry, labs_home: Path) -> None:
    assert entry.path is not None
    tree = ast.parse(entry.path.read_text(encoding="utf-8"))
    run = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run")
    cells = nbformat.read(notebooks.write(entry), as_version=4).cells
    code = "\n".join(
        cell.source for cell in cells if cell.cell_type == "code" and not cell.source.startswith("%")
    )
    unrolled = [ast.dump(node) for node in ast.parse(code).body]
    places = [unrolled.index(ast.dump(node)) for node in run.body]
    assert places == sorted(places)


def test_the_same_source_gives_the_same_notebook(labs_home: Path) -> None:
    first = notebooks.write(READY[0]).read_bytes()
    assert notebooks.write(READY[0]).read_bytes() == first


def test_a_lab_of_several_processes_gets_a_cell_that_launches_it(labs_home: Path) -> None:
    entry = catalog.find("43")
    last = nbformat.read(notebooks.write(entry), as_version=4).cells[-1]
    assert 'launch(43, "--procs", "2")' in last.source


def test_lines_stand_as_far_apart_as_in_the_file(labs_home: Path) -> None:
    entry = catalog.find("1")
    assert entry.path
    constants = nbformat.read(notebooks.write(entry), as_version=4).cells[2].source
    assert constants in notebooks.LINTERS.sub("", entry.path.read_text(encoding="utf-8"))


def test_only_labs_that_are_there_become_notebooks(labs_home: Path) -> None:
    assert len(notebooks.write_all()) == len(READY)
    assert len(notebooks.write_all("1")) == 1
    with pytest.raises(UsageError):
        notebooks.write_all("77")


@pytest.mark.parametrize("entry", EXECUTED, ids=lambda entry: entry.notebook)
def test_a_notebook_runs_from_top_to_bottom(
    entry: catalog.Entry, labs_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(home.CHECKOUT))
    book = nbformat.read(notebooks.write(entry), as_version=4)
    for cell in book.cells:
        cell.source = cell.source.replace("smoke=False", "smoke=True")
    NotebookClient(
        book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(labs_home)}}
    ).execute()
    (folder,) = (labs_home / "runs").glob("*/*-notebook")
    notes = record.load(folder)
    assert notes.status == "held"
    assert notes.count("held") > 0
    shown = str([cell.get("outputs") for cell in book.cells])
    assert all(claim.id in shown for claim in notes.claims)
    assert (folder / "report.html").exists()
