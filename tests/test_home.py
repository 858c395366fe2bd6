"""Where things lie."""

import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from labs import home
from labs.errors import UsageError
from labs.files import check_place, made_anew, writable
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


def test_a_run_is_found_by_its_jobs_number_where_that_is_no_labs(labs_home: Path) -> None:
    mine = Home(labs_home)
    folders = {}
    for lab, job in ((7, "12"), (43, "7"), (43, "4711")):
        folders[job] = writable(labs_home / "runs" / f"lab{lab:02d}" / f"job{job}")
        (folders[job] / "job.json").write_text(f'{{"id": "{job}"}}')
    assert mine.find_run("4711") == mine.find_run("job4711") == folders["4711"]
    assert mine.find_run("12") == mine.find_run("7") == folders["12"], "7 is a lab's number first"
    assert mine.find_run("job7") == folders["7"]
    with pytest.raises(UsageError, match="there is no run 4712"):
        mine.find_run("4712")


def test_runs_of_one_second_get_different_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Noon":
            return cls(2030, 1, 2, 12, 0, 0)

    monkeypatch.setattr(home, "datetime", Noon)
    names = []
    for _ in range(3):
        folder = made_anew(Home(tmp_path).run_folder(1, "local"))
        names.append(folder.name)
    assert names == [
        "2030-01-02T12-00-00-local",
        "2030-01-02T12-00-00-local-2",
        "2030-01-02T12-00-00-local-3",
    ]
    assert Home(tmp_path).run_folder(1, "slurm").name == "2030-01-02T12-00-00-slurm"
    assert Home(tmp_path).run_folder(2, "local").name == "2030-01-02T12-00-00-local"


def test_all_runs_are_what_has_a_record_or_a_job(labs_home: Path) -> None:
    for name in (
        "lab07/b/run.json",
        "lab07/b/job.json",
        "lab07/a/job.json",
        "lab100/c/run.json",
        "lab1x/d/run.json",
    ):
        writable((labs_home / "runs" / name).parent)
        (labs_home / "runs" / name).touch()
    writable(labs_home / "runs" / "lab07" / "empty")
    runs = labs_home / "runs"
    assert Home(labs_home).all_runs() == [runs / "lab07" / "a", runs / "lab07" / "b", runs / "lab100" / "c"]


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


def test_who_is_in_another_checkout_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "copy" / "labs" / "m1_tensors").mkdir(parents=True)
    for name in home.OF_A_CHECKOUT:
        (tmp_path / "copy" / name).touch()
    (tmp_path / "same").symlink_to(home.CHECKOUT)
    for place, other in {
        tmp_path: None,
        tmp_path / "copy": tmp_path / "copy",
        tmp_path / "copy" / "labs" / "m1_tensors": tmp_path / "copy",
        home.CHECKOUT / "labs": None,
        tmp_path / "same": None,
    }.items():
        monkeypatch.chdir(place)
        assert home.other_checkout() == other, place


def test_in_a_folder_that_is_gone_there_is_nothing_to_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert home.other_checkout() is None


def test_a_container_is_told_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LABS_REVISION", "0123456789ab")
    assert home.revision() == "0123456789ab"
