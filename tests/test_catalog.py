"""Which labs there are, and what their headers say."""

import re
import shutil
from pathlib import Path

import pytest

from labs import catalog
from labs.errors import UsageError

HEADER = catalog.first_string(Path(__file__).parent / "kit" / "tiny_lab.py")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lab99_tiny_things.py"


def test_there_are_fifty_labs_in_seven_modules() -> None:
    labs = catalog.all_labs()
    assert list(labs) == list(range(1, 51))
    assert list(dict.fromkeys(lab.module for lab in labs.values())) == list(catalog.MODULES)


def test_every_lab_has_two_titles_and_says_what_it_needs() -> None:
    for lab in catalog.all_labs().values():
        assert lab.title
        assert lab.title_pl
        assert lab.needs
        assert re.fullmatch(rf"{lab.number:02d}_[A-Za-z0-9_-]+", lab.notebook)


def test_titles_and_files_are_all_different() -> None:
    labs = catalog.all_labs().values()
    for names in (
        [lab.title for lab in labs],
        [lab.title_pl for lab in labs],
        [lab.import_name for lab in labs],
    ):
        assert len(set(names)) == 50


def test_no_lab_is_both_planned_and_written() -> None:
    planned = [entry.number for entry in catalog.read_planned()]
    written = [int(path.name[3:5]) for path in catalog.PACKAGE.glob("m*_*/lab[0-9]*.py")]
    assert sorted([*planned, *written]) == list(range(1, 51))


def test_file_name_number_and_folder_agree_with_the_header() -> None:
    for path in catalog.PACKAGE.glob("m*_*/lab[0-9]*.py"):
        entry = catalog.read_header(path)
        assert path.stem == catalog.file_stem(entry.notebook)
        assert path.stem.startswith(f"lab{entry.number:02d}_")
        assert entry.import_name == f"labs.{path.parent.name}.{path.stem}"
        assert path.parent.name in catalog.MODULES


def test_a_header_is_read_no_further_than_its_end(file: Path) -> None:
    file.write_text(f'"""{HEADER}"""\n\nthis is no Python (\n"""', encoding="utf-8")
    with file.open("ab") as binary:
        binary.write(b"\n" * 100_000 + b"\xff\xfe, nor is it text\n")
    entry = catalog.read_header(file)
    assert (entry.number, entry.title, entry.title_pl, entry.notebook) == (
        99,
        "Tiny things",
        "Małe rzeczy",
        "99_Tiny_Things",
    )
    assert list(entry.sections) == list(catalog.SECTIONS)
    assert entry.sections["Builds on"] == "nothing"
    assert entry.sections["Remember"].startswith("Tiny things have everything")
    assert entry.sections["Run"] == "make lab-99\npython -m labs.m7_bonus.lab99_tiny_things --smoke"


@pytest.mark.parametrize("section", catalog.SECTIONS)
def test_a_section_that_lacks_or_is_empty_is_named(file: Path, section: str) -> None:
    without = re.sub(rf"^{section}:\n(?:    .*\n|\n(?=    ))*", "", HEADER, flags=re.MULTILINE)
    assert without != HEADER
    for text in (without, without + f"\n{section}:\n"):
        file.write_text(f'"""{text}"""\n', encoding="utf-8")
        with pytest.raises(ValueError, match=f"lab99_tiny_things.py: the header lacks {section}$"):
            catalog.read_header(file)


@pytest.mark.parametrize(
    "first", ["Lab 99 · Only English", "Tiny things · Małe rzeczy", "Lab X · a · b", "", "Lab 99 - a - b"]
)
def test_a_first_line_without_number_and_both_titles_is_refused(file: Path, first: str) -> None:
    file.write_text(f'"""{first}\n{HEADER.partition(chr(10))[2]}"""\n', encoding="utf-8")
    with pytest.raises(ValueError, match="the first line must read"):
        catalog.read_header(file)


@pytest.mark.parametrize("text", ["", "import torch\n", '"""never ends\n', "x = 1\n" * 10])
def test_a_file_without_a_header_is_refused(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="does not start with a header"):
        catalog.read_header(file)


@pytest.mark.parametrize("wanted", ["1", "01", "001", "lab1", "lab01", "lab-1", "lab_01", "LAB01", " 1 "])
def test_a_lab_is_found_by_any_of_its_names(wanted: str) -> None:
    assert catalog.find(wanted).number == 1


@pytest.mark.parametrize(
    "wanted",
    ["0", "51", "-1", "x", "", "1.0", "1 2", "lab", "lab--1", "1e1", "99999999999", "²", "../1", "9" * 5000],
)
def test_another_name_is_refused_with_what_is_allowed(wanted: str) -> None:
    with pytest.raises(UsageError, match=r"labs are numbered 1 to 50\nsee them with: labs list"):
        catalog.find(wanted)


def test_a_planned_lab_cannot_be_run_and_the_others_are_listed() -> None:
    planned = catalog.read_planned()
    if not planned:
        pytest.skip("every lab is written")
    with pytest.raises(UsageError, match=r"is planned and not written yet; these can be run: 1\b"):
        catalog.find_ready(str(planned[0].number))
    assert catalog.find_ready("1").ready


@pytest.mark.parametrize(
    ("notebook", "stem"),
    [("01_Storage_vs_View", "lab01_storage_vs_view"), ("48_Neural-Style", "lab48_neural_style")],
)
def test_a_notebook_name_becomes_a_file_name(notebook: str, stem: str) -> None:
    assert catalog.file_stem(notebook) == stem


def test_the_copy_of_a_lab_in_another_folder_is_a_lab_of_that_module(tmp_path: Path) -> None:
    (tmp_path / "m3_data").mkdir()
    copy = shutil.copy(
        Path(__file__).parent / "kit" / "tiny_lab.py", tmp_path / "m3_data" / "lab99_tiny_things.py"
    )
    assert catalog.read_header(Path(copy)).module == "m3_data"


@pytest.mark.parametrize(("processes", "gib"), [(1, 2), (3, 2), (4, 3), (8, 6), (30, 20)])
def test_memory_grows_with_the_processes_of_a_node(processes: int, gib: int) -> None:
    entry = catalog.Entry(43, "m", "t", "t", "n", "3 processes or more, no GPU, 2 GiB of memory, 1 minute")
    assert entry.memory_of_node(processes) == gib


def test_a_lab_uses_a_gpu_where_its_needs_name_one() -> None:
    needs = {"1 process, no GPU, 1 GiB of memory": False, "1 process, a GPU for one of the claims": True}
    found = {text: catalog.Entry(1, "m", "t", "t", "n", text).uses_gpu for text in needs}
    assert found == needs
