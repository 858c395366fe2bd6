"""A .venv that is renamed or copied with its checkout: its commands go on, its activation says what to do until set-up has been there."""

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from scripts.environment import relocatable, steps
from scripts.environment.relocatable import loosen, settle

SHOWS = "import sys, where\nprint(sys.prefix, where.__file__, sys.argv[1:])\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a module, and with a .venv of which a command by pip and one for long paths lead there."""
    root = tmp_path / "old place"
    (root / "where.py").parent.mkdir()
    (root / "where.py").touch()
    venv.create(root / ".venv", symlinks=True)
    python = root / ".venv" / "bin" / "python"
    heads = {"plain": f"#!{python}", "quoted": f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''"}
    for name, head in {
        **heads,
        "shell": "#!/bin/sh\necho shell; exit",
        "other": "#!/usr/bin/env python",
    }.items():
        (python.parent / name).write_text(f"{head}\n{SHOWS}")
        (python.parent / name).chmod(0o755)
    (next(root.glob(".venv/lib/python*/site-packages")) / "labs.pth").write_text(str(root))
    return root


def said_by(command: Path, *words: str) -> str:
    done = subprocess.run([str(command), *words], capture_output=True, text=True, check=False, cwd="/")
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("how", [shutil.move, lambda old, new: shutil.copytree(old, new, symlinks=True)])
def test_commands_go_on_wherever_it_is_now(checkout: Path, tmp_path: Path, how: object) -> None:
    kept = {name: (checkout / ".venv" / "bin" / name).read_text() for name in ("shell", "other")}
    loosen(checkout / ".venv", checkout)
    new = tmp_path / "new place"
    how(checkout, new)  # type: ignore[operator]
    for name in ("plain", "quoted"):
        assert said_by(new / ".venv" / "bin" / name, "a b") == f"{new}/.venv {new}/where.py ['a b']"
    assert {name: (new / ".venv" / "bin" / name).read_text() for name in kept} == kept


def test_a_link_to_a_command_leads_to_its_own_python(checkout: Path, tmp_path: Path) -> None:
    loosen(checkout / ".venv", checkout)
    link = tmp_path / "link"
    link.symlink_to(checkout / ".venv" / "bin" / "plain")
    assert said_by(link).startswith(f"{checkout}/.venv ")


def test_another_disk_may_hold_it(checkout: Path, tmp_path: Path) -> None:
    disk = shutil.move(checkout / ".venv", tmp_path / "disk")
    (checkout / ".venv").symlink_to(disk)
    loosen(checkout / ".venv", checkout)
    python = checkout / ".venv" / "bin" / "python"
    assert said_by(python, "-c", SHOWS) == f"{checkout}/.venv {checkout}/where.py []"


def activated(root: Path, shell: str = "bash") -> "subprocess.CompletedProcess[str]":
    command = [
        shell,
        "-c",
        "cd /; . \"$0\" && python -c 'import sys; print(sys.prefix)'",
        f"{root}/.venv/bin/activate",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_is_not_activated_for_another_place_until_it_is_set_right(
    checkout: Path, tmp_path: Path, shell: str
) -> None:
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")
    loosen(checkout / ".venv", checkout)
    assert activated(checkout, shell).stdout == f"{checkout}/.venv\n"
    new = shutil.copytree(checkout, tmp_path / "it's new", symlinks=True)
    refused = activated(new, shell)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"this .venv was made as {checkout}/.venv, and was moved or copied since: say make setup in its checkout first\n"
    )


@pytest.mark.parametrize("name", ["new", "new place"])
def test_set_up_sets_it_right(checkout: Path, tmp_path: Path, name: str) -> None:
    loosen(checkout / ".venv", checkout)
    new = Path(shutil.copytree(checkout, tmp_path / name, symlinks=True))
    settle(new / ".venv", checkout)
    assert activated(new).stdout == f"{new}/.venv\n"
    assert activated(checkout).stdout == f"{checkout}/.venv\n", "the other one is left as it is"
    loosen(new / ".venv", new)
    assert (new / ".venv" / "bin" / "activate").read_text().count("# labs: end") == 1


def test_a_shell_that_tells_no_place_is_activated_as_ever(checkout: Path) -> None:
    if not shutil.which("dash"):
        pytest.skip("there is no dash here")
    loosen(checkout / ".venv", checkout)
    assert activated(checkout, "dash").stdout == f"{checkout}/.venv\n"


def test_a_stamp_knows_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settled: list[Path] = []
    monkeypatch.setattr(steps, "settle", lambda _, old: settled.append(old))
    monkeypatch.setattr(steps, "STAMP", tmp_path / ".stamp")
    steps.settle_here()
    steps.write_stamp("cpu", "digest")
    steps.settle_here()
    assert (settled, capsys.readouterr().err) == ([], "")
    for name in ("gone", "there"):
        (tmp_path / "there").mkdir(exist_ok=True)
        (tmp_path / ".stamp").write_text(f"cpu digest\n{tmp_path / name}\n")
        steps.settle_here()
    assert settled == [tmp_path / "gone", tmp_path / "there"]
    assert (
        f"set-up: .venv was made in {tmp_path}/there; now it is this folder's.\n" in capsys.readouterr().err
    )
    assert steps.read_stamp() == ("cpu", "digest")


def test_two_names_of_one_folder_are_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "settle", lambda *_: pytest.fail("it is the same folder"))
    monkeypatch.setattr(steps, "STAMP", tmp_path / ".stamp")
    (tmp_path / "home").symlink_to(steps.ROOT)
    (tmp_path / ".stamp").write_text(f"cpu digest\n{tmp_path / 'home'}\n")
    steps.settle_here()


def test_a_file_is_never_half_written(tmp_path: Path) -> None:
    file = tmp_path / "run"
    file.write_text("old")
    file.chmod(0o750)
    with file.open() as reader:
        relocatable.write(file, b"new")
        assert reader.read() == "old"
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o750)
    assert os.listdir(tmp_path) == ["run"]
