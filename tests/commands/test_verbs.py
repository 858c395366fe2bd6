"""Which family has which verb, and what a command does not import."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer import core

from labs.commands import verbs
from tests.conftest import ROOT, Command

# What each of these costs is a good part of the whole command.
DEAR = (
    "pydantic",
    "rich",
    "jinja2",
    "pygments",
    "email",
    "importlib.metadata",
    "labs.record",
    "labs.report",
    "labs.fetch",
    "labs.exercises",
    "labs.launch.docker",
    "labs.launch.kubernetes",
    "labs.launch.local",
    "labs.launch.slurm",
)


@pytest.mark.parametrize("family", verbs.FAMILIES)
def test_the_table_names_what_a_family_has(family: str) -> None:
    app = import_module(f"labs.commands.{family}").app
    assert tuple(typer.main.get_group(app).commands) == verbs.FAMILIES[family]


TELL = """
import sys
from labs.commands.app import main
try:
    main()
finally:
    print(*sys.modules, sep="\\n", file=sys.stderr)
"""


def imported_by(*words: str) -> set[str]:
    command = [sys.executable, "-c", TELL, *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=True)
    return set(ended.stderr.splitlines())


@pytest.mark.parametrize("words", [["list"], ["list", "--lang", "pl"], ["status"]], ids=" ".join)
def test_what_costs_is_not_imported(words: list[str], labs_home: Path) -> None:
    folder = labs_home / "runs" / "lab01" / "2030-01-01T00-00-00-local"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{\n  "status": "held"\n}\n')
    modules = imported_by(*words)
    assert "typer" in modules
    assert not [name for name in modules if name.startswith(DEAR)]


def test_a_verb_does_not_pay_for_others() -> None:
    modules = imported_by("show", "1")
    families = {name.rpartition(".")[2] for name in modules if name.startswith("labs.commands.")}
    assert families & set(verbs.FAMILIES) == {"read"}


def test_a_slip_is_understood(labs: Command) -> None:
    assert "No such command 'statsu'. Did you mean 'status'" in labs("statsu").stderr


def test_all_help_looks_alike(labs: Command) -> None:
    for verb in ("run", "fetch", "list"):
        assert labs(verb, "--help").stdout.startswith("Usage: ")


def test_with_another_typer_texts_are_taken_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    inside: Any = core
    before = inside.build_runtime_param
    monkeypatch.setattr(inside, "build_runtime_param", before)  # is put back in the end
    monkeypatch.delattr("typer._coercion.PassThroughRuntimeParam")
    verbs.take_texts_as_typed()
    assert inside.build_runtime_param is before
    monkeypatch.delattr(inside, "build_runtime_param")
    verbs.take_texts_as_typed()
