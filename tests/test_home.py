"""Where things lie."""

import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from labs import home
from labs.errors import UsageError
from labs.files import check_place, writable
from labs.home import Home


def test_labs_home_is_where_the_person_wants_it(labs_home: Path) -> None:
    assert Home.from_environment() == Home(labs_home)


def test_work_and_runs_lie_side_by_side(tmp_path: Path) -> None:
    assert Home(tmp_path).work_file(7) == tmp_path / "work" / "lab07.py"
    assert Home(tmp_path).runs_folder(7) == tmp_path / "runs" / "lab07"


def test_labs_home_may_be_relative_or_begin_with_a_tilde(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    monkeypatch.setenv("LABS_HOME", "here")
    assert Home.from_environment().root == tmp_path / "here"
    monkeypatch.setenv("LABS_HOME", "~/labs")
    assert Home.from_environment().root == tmp_path / "ada" / "labs"


@pytest.mark.parametrize("unset", [None, ""])
def test_without_labs_home_it_is_the_checkout_or_labs_in_the_persons_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unset: str | None
) -> None:
    monkeypatch.delenv("LABS_HOME")
    if unset is not None:
        monkeypatch.setenv("LABS_HOME", unset)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(home, "CHECKOUT", tmp_path / "checkout")
    assert Home.from_environment().root == tmp_path / "labs"
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "Makefile").touch()
    assert Home.from_environment().root == tmp_path / "checkout"


def test_beside_a_shared_checkout_it_is_on_the_scratch_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LABS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(home, "CHECKOUT", tmp_path / "checkout")
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "Makefile").touch()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert Home.from_environment().root == tmp_path / "labs"
    monkeypatch.setenv("SCRATCH", "/scratch/ada")
    assert Home.from_environment().root == Path("/scratch/ada/labs")


def test_a_run_is_found_by_its_lab_its_name_or_its_folder(labs_home: Path) -> None:
    mine = Home(labs_home)
    folders = [
        writable(labs_home / "runs" / "lab07" / name)
        for name in ("2030-01-01T00-00-00-local", "2030-01-02T00-00-00-slurm")
    ]
    for folder in folders:
        (folder / "run.json").write_text("{}")
    assert mine.find_run("7") == mine.find_run("lab-07") == folders[1]
    assert mine.find_run(folders[0].name) == mine.find_run(str(folders[0])) == folders[0]
    for wrong in ("8", "nope", "/nowhere"):
        with pytest.raises(UsageError, match="there is no run"):
            mine.find_run(wrong)


def test_runs_of_one_second_get_different_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Noon":
            return cls(2030, 1, 2, 12, 0, 0)

    monkeypatch.setattr(home, "datetime", Noon)
    names = []
    for _ in range(3):
        folder = writable(Home(tmp_path).run_folder(1, "local"))
        names.append(folder.name)
    assert names == [
        "2030-01-02T12-00-00-local",
        "2030-01-02T12-00-00-local-2",
        "2030-01-02T12-00-00-local-3",
    ]
    assert Home(tmp_path).run_folder(1, "slurm").name == "2030-01-02T12-00-00-slurm"
    assert Home(tmp_path).run_folder(2, "local").name == "2030-01-02T12-00-00-local"


def test_naming_a_folder_does_not_make_it(labs_home: Path) -> None:
    Home(labs_home).run_folder(1, "local")
    assert not labs_home.exists()


def test_looking_whether_a_folder_could_be_made_does_not_make_it(labs_home: Path) -> None:
    check_place(Home(labs_home).run_folder(1, "local"))
    assert not labs_home.exists()


def test_revision_names_the_commit_and_says_where_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "CHECKOUT", tmp_path)
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    file = tmp_path / "file"
    file.write_text("one")
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    clean = home.revision()
    assert len(clean) == 12
    file.write_text("two")
    assert home.revision() == f"{clean}-dirty"


def test_without_git_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert home.revision() == ""


def test_outside_a_repository_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "CHECKOUT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert home.revision() == ""


def test_a_container_is_told_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LABS_REVISION", "0123456789ab")
    assert home.revision() == "0123456789ab"
