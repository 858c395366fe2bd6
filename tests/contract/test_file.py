"""What every lab's file keeps, whatever it is about: its header, its width and length, its imports, its Config."""

import ast
import re
import subprocess
import sys

import pytest

from labs import catalog
from labs.catalog import Entry
from labs.errors import UsageError
from labs.flags import read
from labs.kit.runner import config as flags
from tests.contract.reading import READY, every_lab, file_of, files_of, lesson_of, tree_of

MAX_WIDTH = 110
MAX_LINES = 600
MAX_FIELDS = 8
HEAVY = (
    "matplotlib",
    "sklearn",
    "torchvision",
    "lightning",
    "onnx",
    "onnxruntime",
    "deepspeed",
    "kornia",
    "tensorboard",
)


@every_lab
def test_the_header_is_complete(entry: Entry) -> None:
    assert set(entry.sections) == set(catalog.SECTIONS)
    assert all(entry.sections.values())
    assert entry.title != ""
    assert entry.title_pl not in ("", entry.title)
    assert f"make lab-{entry.number:02d}" in entry.sections["Run"]
    assert f"python -m {entry.import_name}" in entry.sections["Run"]


@every_lab
def test_what_to_remember_is_a_few_sentences(entry: Entry) -> None:
    assert 3 <= len(re.findall(r"[.!?](?:\s|$)", entry.sections["Remember"])) <= 8


@every_lab
def test_every_source_says_where_it_is(entry: Entry) -> None:
    sources = re.split(r"^- ", entry.sections["Sources"], flags=re.MULTILINE)[1:]
    assert sources
    assert [source for source in sources if not re.search(r"https?://|arXiv:\d|doi", source)] == []


@every_lab
def test_lines_are_of_a_readable_width_and_never_excused_from_it(entry: Entry) -> None:
    lines = [
        (path.name, place, line)
        for path in files_of(entry)
        for place, line in enumerate(path.read_text("utf-8").splitlines(), 1)
    ]
    assert [
        f"{name}:{place}" for name, place, line in lines if len(line) > MAX_WIDTH or "fmt: skip" in line
    ] == []


@every_lab
def test_no_file_is_too_long(entry: Entry) -> None:
    assert [
        path.name for path in files_of(entry) if len(path.read_text("utf-8").splitlines()) > MAX_LINES
    ] == []


@every_lab
def test_of_ours_only_the_kit_is_imported_and_the_labs_own_files(entry: Entry) -> None:
    allowed = rf"labs\.kit(\.|$)|labs\.{entry.module}\._lab{entry.number:02d}_|labs\.{entry.module}\.[a-z]\w+_training$"
    for path in files_of(entry):
        nodes = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {
            name
            for node in nodes
            for name in (
                [node.module or "."]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
            )
        }
        assert not [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level]
        ours = {name for name in names if re.match(r"labs(\.|$)", name)}
        if path != file_of(entry):
            ours.discard(entry.import_name)
        assert {name for name in ours if not re.match(allowed, name)} == set(), path.name


def test_importing_labs_is_silent_and_light() -> None:
    """All in one process: one that imported something heavy would be named."""
    program = f"""
import sys
opened = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+") and "__pycache__" not in str(arguments[0]):
        opened.append(arguments[0])
import importlib, torch, labs.kit
sys.addaudithook(watch)
for name in {[entry.import_name for entry in READY]!r}:
    before = set(sys.modules)
    importlib.import_module(name)
    heavy = set({HEAVY!r}) & {{new.partition(".")[0] for new in set(sys.modules) - before}}
    assert not heavy, (name, heavy)
    assert not opened, (name, opened)
    assert not torch.cuda.is_initialized(), name
    assert "labs.launch" not in sys.modules, name
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@every_lab
def test_the_config_is_small_and_every_field_is_explained(entry: Entry) -> None:
    lesson = lesson_of(entry.number)
    fields = flags.flags_of(lesson.config)
    assert len(fields) <= MAX_FIELDS
    assert entry.path
    assert read(entry.path) == fields, "a login node without torch judges flags by reading them"
    assert [flag.name for flag in fields if not flag.help] == []
    smoke = lesson.config.smoke()  # type: ignore[attr-defined]
    assert isinstance(smoke, lesson.config)
    assert smoke != lesson.config()
    with pytest.raises((AttributeError, TypeError)):
        smoke.anything = 1  # type: ignore[attr-defined]


@every_lab
@pytest.mark.parametrize("flag", ["--no-such-flag=1", "bad value"])
def test_a_bad_flag_is_refused_with_the_valid_ones(entry: Entry, flag: str) -> None:
    fields = flags.flags_of(lesson_of(entry.number).config)
    number = next(field for field in fields if field.type in (int, float))
    typed = flag if flag.startswith("--") else f"--{number.name.replace('_', '-')}=many"
    with pytest.raises(UsageError) as caught:
        flags.parser_of(lesson_of(entry.number).config, "").parse_args([typed])
    assert len(str(caught.value).splitlines()) <= 3
    assert all(f"--{field.name.replace('_', '-')}=" in str(caught.value) for field in fields)
