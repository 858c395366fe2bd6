"""The README says what is true: its table is made from the headers, and what it shows can be seen."""

import re
from functools import partial
from pathlib import Path

import pytest
from typer.main import get_command

from labs import catalog
from labs.commands.app import app
from labs.kit.runner.mutants import load
from scripts import readme

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAX_MODULE_LINES = 40


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root of its own, with labs in it that are those of the course."""
    path = tmp_path / "README.md"
    path.write_text(README, encoding="utf-8")
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    monkeypatch.setattr(readme, "READMES", [path])
    monkeypatch.setattr(readme, "labs_table", partial(lambda table, folder: table(ROOT), readme.labs_table))
    return path


def test_the_table_is_up_to_date() -> None:
    assert readme.main(["--check"]) == 0


def test_a_stale_table_is_found_and_made_anew(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy.write_text(README.replace("*planned*", "*ready*", 1), encoding="utf-8")
    assert readme.main(["--check"]) == 1
    assert capsys.readouterr().err == "README.md: its table of labs is not up to date; run: make readme\n"
    assert readme.main([]) == 0
    assert copy.read_text(encoding="utf-8") == README


def test_without_markers_nothing_is_written(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy.write_text("# Something else\n", encoding="utf-8")
    assert readme.main([]) == 2
    assert capsys.readouterr().err == "README.md lacks the lines <!-- labs --> and <!-- /labs -->\n"
    assert copy.read_text(encoding="utf-8") == "# Something else\n"


def test_every_lab_has_a_row() -> None:
    numbers = re.findall(r"^\| (\d\d) \| ", readme.labs_table(ROOT), re.MULTILINE)
    assert sorted(map(int, numbers)) == list(catalog.all_labs())


@pytest.mark.parametrize("module", catalog.MODULES)
def test_every_module_has_a_short_readme_with_its_own_labs(module: str) -> None:
    path = ROOT / "labs" / module / "README.md"
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {catalog.MODULES[module]}\n")
    assert len(text.splitlines()) <= MAX_MODULE_LINES
    numbers = re.findall(r"^\| (\d\d) \| ", text, re.MULTILINE)
    assert list(map(int, numbers)) == [
        number for number, entry in catalog.all_labs().items() if entry.module == module
    ]
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", text)
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_a_bar_in_a_question_does_not_break_the_row() -> None:
    assert readme.cell("a | b\n    c") == r"a \| b c"


def test_the_first_command_comes_early() -> None:
    lines = README.splitlines()
    assert lines.index("$ make lab-01") < 25
    assert lines[lines.index("$ make lab-01") + 1].startswith("Lab 01")


def test_links_and_the_layout_name_what_is_there() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", README)
    block = re.search(r"^```text\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert block
    folder = ""
    for line in block[1].splitlines():
        name = line.split()[0]
        folder = folder if line.startswith(" ") else name
        links.append(f"{folder}{name}" if line.startswith(" ") else name)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_commands_are_those_of_the_program() -> None:
    known = set(get_command(app).list_commands(None))  # type: ignore[attr-defined]
    assert set(re.findall(r"`labs (\w+)", README)) == known


def test_make_targets_are_there() -> None:
    targets = set(re.findall(r"^##([\w-]+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {
        name for name in re.findall(r"`make ([\w-]+)", README) if not re.fullmatch(r"lab-\d\d", name)
    } <= targets | {"help"}


def test_the_claims_and_mutants_that_are_shown_are_the_labs() -> None:
    lab = catalog.all_labs()[1]
    assert lab.path
    source = lab.path.read_text(encoding="utf-8")
    shown = re.findall(r"^  [✔✘] (.+?)  (01\.[\w-]+)$", README, re.MULTILINE)
    assert len(shown) == 3
    judged = re.findall(r"^    claim (01\.[\w-]+): (.+?\.) …$", README, re.MULTILINE)
    assert len(judged) == 1
    for text, id_ in [*shown, *((text, id_) for id_, text in judged)]:
        assert f'"{id_}"' in source
        assert f'"{text}"' in source
    mutants = load(lab.import_name).mutants
    assert re.findall(r"looks like a known mistake: (.+)\.$", README, re.MULTILINE) == [mutants[1].name]
    names = [f"{mutant.name} {mutant.step.__name__}" for mutant in mutants]
    assert re.findall(r"^  [A-Z]  (.+)$", README, re.MULTILINE) == names[:3]
    assert f"labs/{lab.module}/{lab.path.name}" in README
