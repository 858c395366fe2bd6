"""scripts/setup.py and its steps: each fault is caused, and is one sentence and a status."""

import ast
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from venv import create as make_venv

import pytest

from scripts.environment import lock, steps
from scripts.environment.command import COMMAND
from scripts.environment.install import require_disk
from scripts.environment.screen import SetupError, duration
from scripts.environment.torch_source import read_versions

SETUP = Path(__file__).parents[2] / "scripts" / "setup.py"
UNDER_AN_OLD_PYTHON = """
import runpy, sys
sys.version_info = (3, 6, 9, "final", 0)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def set_up(
    folder: Path, environ: dict[str, str], *words: str, python: str = sys.executable
) -> "subprocess.CompletedProcess[str]":
    command = [python, *(words or ("scripts/setup.py",))]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)


def under_an_old_python(path: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", UNDER_AN_OLD_PYTHON, str(SETUP), *words]
    return subprocess.run(command, env=os.environ | {"PATH": str(path)}, capture_output=True, text=True)


def test_an_old_python_can_read_the_entry() -> None:
    ast.parse(SETUP.read_text(encoding="utf-8"), feature_version=(3, 4))


def test_an_old_python_is_told_what_to_do(tmp_path: Path) -> None:
    done = under_an_old_python(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("set-up: this is Python 3.6.9 (")
    assert "need 3.11 or newer: install one and run `make setup PYTHON=/path/to/it`." in done.stderr
    assert done.stderr.count("\n") == 1


def pythons(folder: Path, **bodies: str) -> Path:
    """Make programs such as python3_12, named python3.12."""
    for name, body in bodies.items():
        program = folder / name.replace("_", ".")
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    return folder


MISSING, PRESENT = 'echo "not installed" >&2; exit 127', '[ "$1" = -c ] && echo "$0" || echo took over "$@"'


def test_a_newer_python_under_another_name_takes_over(tmp_path: Path) -> None:
    done = under_an_old_python(pythons(tmp_path, python3_11=MISSING, python3_12=PRESENT))
    assert (done.returncode, done.stdout) == (0, f"took over -I {SETUP}\n")


def test_pins_are_found_with_the_oldest_python(checkout: Path, offline: dict[str, str]) -> None:
    oldest = {"PATH": str(pythons(checkout, python3_11=PRESENT))}
    done = set_up(checkout, offline | oldest, "scripts/setup.py", "lock")
    assert (done.returncode, done.stdout) == (0, f"took over -I {checkout}/scripts/setup.py lock\n")


def test_a_newer_python_finds_no_pins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: "3.110.1")
    monkeypatch.setattr(lock, "resolve", lambda *_: pytest.fail("pins of another Python"))
    assert lock.main() == 2
    assert capsys.readouterr().err == (
        "lock: pins that suit every Python are found with the oldest: install Python 3.11.\n"
    )


@pytest.mark.parametrize(
    "words",
    [("my labs/scripts/setup.py",), ("-P", "my labs/scripts/setup.py"), ("-m", "scripts.setup")],
    ids=["from another folder", "from a safe path", "as a module"],
)
def test_it_finds_its_own_checkout(checkout: Path, offline: dict[str, str], words: tuple[str, ...]) -> None:
    folder = checkout if "-m" in words else checkout.parent
    safe = {"PYTHONSAFEPATH": "1"} if "-P" in words else {}
    done = set_up(folder, offline | safe | {"TORCH": "rocm"}, *words)
    assert done.stderr.startswith("set-up: TORCH=rocm is no choice: take one of auto, cpu, cuda, cu130")
    assert done.returncode == 2


def test_neither_pythons_variables_nor_files_in_the_checkout_lead_it_astray(
    checkout: Path, offline: dict[str, str]
) -> None:
    for name in ("random", "tempfile", "fcntl", "hashlib", "types", "tomllib"):
        (checkout / f"{name}.py").write_text("raise SystemExit('a file of the person was imported')\n")
    strange = {
        "PYTHONHOME": "/nowhere",
        "PYTHONPATH": str(checkout),
        "PYTHONWARNINGS": "error",
        "TORCH": "rocm",
    }
    done = subprocess.run(
        ["make", "setup", f"PYTHON={sys.executable}"],
        cwd=checkout,
        env=offline | strange,
        capture_output=True,
        text=True,
    )
    assert done.stderr.startswith("set-up: TORCH=rocm is no choice")


def test_what_it_starts_sees_no_variables_of_another_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "PYTHONOPTIMIZE", "PYTHON"):
        monkeypatch.setenv(name, "7")
    done = under_an_old_python(pythons(tmp_path, python3_12='[ "$1" = -c ] && echo "$0" || /usr/bin/env'))
    assert [line for line in done.stdout.splitlines() if line.startswith("PYTHON")] == ["PYTHON=7"]


def test_a_wrong_torch_is_named(checkout: Path, offline: dict[str, str]) -> None:
    done = set_up(checkout, offline | {"TORCH": "rocm"})
    assert done.returncode == 2
    assert (
        done.stderr
        == "set-up: TORCH=rocm is no choice: take one of auto, cpu, cuda, cu130, cu126, or leave it out.\n"
    )
    assert not (checkout / ".venv").exists()


def test_no_network_is_one_sentence_and_leaves_nothing_half_made(
    checkout: Path, offline: dict[str, str]
) -> None:
    done = set_up(checkout, offline)
    assert done.returncode == 2
    assert "set-up: pip's index cannot be reached, or has no torch==" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert [entry.name for entry in (checkout / ".venv").iterdir()] == ["setup.log"]
    assert "No matching distribution found for torch" in (checkout / ".venv" / "setup.log").read_text(
        encoding="utf-8"
    )


def test_ctrl_c_is_one_line(checkout: Path, offline: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "scripts/setup.py"],
        cwd=checkout,
        env=offline,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == "set-up: making .venv (TORCH=cpu)\n"
        os.killpg(child.pid, signal.SIGINT)
        assert child.stderr.read() == "set-up: stopped; `make setup` starts it again.\n"
    assert child.returncode == 130
    assert not (checkout / ".venv" / ".stamp").exists()


def test_too_little_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_500_000_000))
    require_disk(tmp_path, "cpu")
    with pytest.raises(SetupError, match=r"^10 GB of free disk are needed for this torch, 5\.5 GB are here"):
        require_disk(tmp_path, "cu126")


def test_a_python_without_ensurepip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ensurepip" else object())
    monkeypatch.setattr(shutil, "which", lambda tool: tool if tool == "apt-get" else None)
    with pytest.raises(
        SetupError, match="this Python has no ensurepip: install it with `sudo apt install python3-venv"
    ):
        steps.require_modules({})


VERSIONS = read_versions(steps.ROOT / "versions.env")
WITHOUT = "import sys\nfor name in {!r}: sys.modules[name] = None\n"


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (["_ctypes"], "was built without _ctypes, and nothing here works without"),
        (["_lzma", "_bz2"], "was built without _bz2, _lzma, and nothing here works without"),
    ],
)
def test_a_python_that_was_built_without_a_part_is_told_before_anything_is_fetched(
    checkout: Path, offline: dict[str, str], tmp_path: Path, missing: list[str], said: str
) -> None:
    make_venv(tmp_path / "python", with_pip=False)
    (next(tmp_path.glob("python/lib/python*/site-packages")) / "sitecustomize.py").write_text(
        WITHOUT.format(missing)
    )
    python = tmp_path / "python" / "bin" / "python"
    done = set_up(checkout, offline, python=str(python))
    assert (done.returncode, (checkout / ".venv").exists()) == (2, False)
    assert done.stderr.startswith(f"set-up: this Python ({python}) {said}: name another one with PYTHON=")
    assert done.stderr.count("\n") == 1


def test_a_venv_whose_python_lost_a_part_is_not_usable(venv: Path) -> None:
    assert steps.is_usable(VERSIONS)
    assert not steps.is_usable(VERSIONS | {"PYTHON_MODULES": "zlib,_no_such_part"})


def test_this_python_has_what_is_asked_for() -> None:
    steps.require_modules(VERSIONS)


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A .venv whose Python is the one of these tests."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.delenv("TORCH", raising=False)
    monkeypatch.setattr(steps, "VENV", tmp_path)
    monkeypatch.setattr(steps, "STAMP", tmp_path / ".stamp")
    monkeypatch.setattr(steps, "TOOLS", tmp_path / ".tools")
    monkeypatch.setattr(steps, "make_venv", lambda: pytest.fail("a whole .venv is not made anew"))
    monkeypatch.setattr(steps, "loosen", lambda *_: None)
    return tmp_path


def test_a_whole_venv_is_left_alone(
    venv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "install", lambda *_: pytest.fail("nothing is to be installed"))
    steps.write_stamp("cpu", steps.digest_of_inputs())
    steps.set_up("")
    assert capsys.readouterr().err == "set-up: nothing to do, .venv has everything (TORCH=cpu).\n"


def test_tools_are_added_once_and_anew_where_others_are_wanted(
    venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[Path] = []
    monkeypatch.setattr(steps, "install_tools", lambda _, into: added.append(into))
    steps.add_tools()
    os.utime(steps.TOOLS, (0, 0))
    steps.add_tools()
    assert added == [venv]
    assert steps.TOOLS.stat().st_mtime > 0, "make sees that it is newer than the stamp"
    steps.TOOLS.write_text("of other versions")
    steps.add_tools()
    assert added == [venv, venv]


def test_tools_that_did_not_come_are_tried_again(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise SetupError("no network")

    monkeypatch.setattr(steps, "install_tools", fail)
    with pytest.raises(SetupError):
        steps.add_tools()
    assert not steps.TOOLS.exists()


def test_an_update_that_fails_goes_on_next_time(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        assert steps.STAMP.stat().st_mtime == 0, "make comes back to it"
        raise SetupError("no network")

    monkeypatch.setattr(steps, "install", fail)
    steps.write_stamp("cpu", "made from other versions")
    steps.write_stamp("cpu", "other")
    with pytest.raises(SetupError):
        steps.set_up("")
    assert steps.read_stamp() == ("cpu", steps.UNFINISHED)
    monkeypatch.setattr(steps, "install", lambda *_: "all there")
    steps.set_up("")
    assert steps.read_stamp() == ("cpu", steps.digest_of_inputs())


def test_another_torch_makes_a_new_venv(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def install(_root: Path, _venv: Path, flavour: str, _versions: dict[str, str]) -> str:
        made.append(flavour)
        return "all there"

    monkeypatch.setattr(steps, "require_disk", lambda *_: None)
    monkeypatch.setattr(steps, "make_venv", lambda: made.append("venv"))
    monkeypatch.setattr(steps, "install", install)
    steps.write_stamp("cpu", steps.digest_of_inputs())
    steps.set_up("cu126")
    assert made == ["venv", "cu126"]
    assert steps.read_stamp()[0] == "cu126"
    assert (venv / "bin" / "labs").read_text(encoding="utf-8") == COMMAND


def test_a_venv_without_stamp_is_half_made(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(steps, "make_venv", lambda: made.append("venv"))
    monkeypatch.setattr(steps, "install", lambda *_: "all there")
    steps.set_up("cpu")
    assert made == ["venv"]


def test_a_venv_whose_python_went_away_is_not_usable(venv: Path) -> None:
    assert steps.is_usable({"PYTHON_MIN": "3.11"})
    assert not steps.is_usable({"PYTHON_MIN": "3.99"})
    (venv / "bin" / "python").unlink()
    assert not steps.is_usable({"PYTHON_MIN": "3.11"})


def test_a_second_set_up_waits_for_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = []
    file = tmp_path / "versions.env"
    file.touch()

    def second() -> None:
        with steps.one_at_a_time(file):
            order.append("second")

    thread = threading.Thread(target=second)
    with steps.one_at_a_time(file):
        thread.start()
        while "another one is at work here" not in capsys.readouterr().err:
            time.sleep(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_read_only_checkout_is_one_sentence(
    venv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/checkout/.venv")

    monkeypatch.setattr(steps, "make_venv", fail)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert steps.main() == 2
    assert capsys.readouterr().err.splitlines()[-1] == "set-up: Permission denied: /checkout/.venv"


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (112, "1 min 52 s")])
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_who_shares_a_checkout_is_told_whom_to_ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    monkeypatch.setattr(steps, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(steps, "STAMP", tmp_path / ".venv" / ".stamp")
    steps.require_own()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    owner = tmp_path.owner()
    with pytest.raises(
        SetupError, match=rf"is not there, or not whole, and you may not change it: ask {owner} to run"
    ):
        steps.require_own()
