"""Where things lie."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from labs import home
from labs.errors import UsageError, no_space


class Usage(NamedTuple):
    """What shutil.disk_usage returns."""

    total: int
    used: int
    free: int


def test_labs_home_is_where_the_person_wants_it(labs_home: Path) -> None:
    assert home.home() == labs_home
    assert home.work_file(7) == labs_home / "work" / "lab07.py"
    assert home.runs_folder(7) == labs_home / "runs" / "lab07"


def test_labs_home_may_be_relative_or_begin_with_a_tilde(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    monkeypatch.setenv("LABS_HOME", "here")
    assert home.home() == tmp_path / "here"
    monkeypatch.setenv("LABS_HOME", "~/labs")
    assert home.home() == tmp_path / "ada" / "labs"


@pytest.mark.parametrize("unset", [None, ""])
def test_without_labs_home_it_is_the_checkout_or_labs_in_the_persons_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unset: str | None
) -> None:
    monkeypatch.delenv("LABS_HOME")
    if unset is not None:
        monkeypatch.setenv("LABS_HOME", unset)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(home, "CHECKOUT", tmp_path / "checkout")
    assert home.home() == tmp_path / "labs"
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "Makefile").touch()
    assert home.home() == tmp_path / "checkout"


def test_beside_a_shared_checkout_it_is_on_the_scratch_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LABS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(home, "CHECKOUT", tmp_path / "checkout")
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "Makefile").touch()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert home.home() == tmp_path / "labs"
    monkeypatch.setenv("SCRATCH", "/scratch/ada")
    assert home.home() == Path("/scratch/ada/labs")


def test_what_is_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    made = home.writable(tmp_path / "labs" / "runs" / "lab01")
    assert [folder.stat().st_mode & 0o777 for folder in (made, *made.parents[:2])] == [0o700] * 3


def test_a_run_is_found_by_its_lab_its_name_or_its_folder(labs_home: Path) -> None:
    folders = [
        home.writable(labs_home / "runs" / "lab07" / name)
        for name in ("2030-01-01T00-00-00-local", "2030-01-02T00-00-00-slurm")
    ]
    for folder in folders:
        (folder / "run.json").write_text("{}")
    assert home.find_run("7") == home.find_run("lab-07") == folders[1]
    assert home.find_run(folders[0].name) == home.find_run(str(folders[0])) == folders[0]
    for wrong in ("8", "nope", "/nowhere"):
        with pytest.raises(UsageError, match="there is no run"):
            home.find_run(wrong)


def test_runs_of_one_second_get_different_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Noon":
            return cls(2030, 1, 2, 12, 0, 0)

    monkeypatch.setattr(home, "datetime", Noon)
    names = []
    for _ in range(3):
        folder = home.writable(home.run_folder(1, "local"))
        names.append(folder.name)
    assert names == [
        "2030-01-02T12-00-00-local",
        "2030-01-02T12-00-00-local-2",
        "2030-01-02T12-00-00-local-3",
    ]
    assert home.run_folder(1, "slurm").name == "2030-01-02T12-00-00-slurm"
    assert home.run_folder(2, "local").name == "2030-01-02T12-00-00-local"


def test_naming_a_folder_does_not_make_it(labs_home: Path) -> None:
    home.run_folder(1, "local")
    assert not labs_home.exists()


def test_looking_whether_a_folder_could_be_made_does_not_make_it(labs_home: Path) -> None:
    home.check_place(home.run_folder(1, "local"))
    assert not labs_home.exists()


class TestWritable:
    def test_a_folder_is_made_with_all_above_it(self, tmp_path: Path) -> None:
        folder = tmp_path / "a" / "b"
        assert home.writable(folder) == folder
        assert folder.is_dir()

    @pytest.mark.parametrize("inside", [False, True])
    def test_a_file_in_its_place_is_refused(self, tmp_path: Path, inside: bool) -> None:
        file = tmp_path / "file"
        file.touch()
        with pytest.raises(
            UsageError, match=r"cannot make the folder .*\nchoose another place with LABS_HOME="
        ):
            home.writable(file / "inside" if inside else file)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_of_someone_else_is_refused(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(UsageError, match="Permission denied"):
            home.writable(tmp_path / "inside")
        with pytest.raises(UsageError, match="permission denied"):
            home.writable(tmp_path)

    def test_what_may_not_be_written_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
        with pytest.raises(
            UsageError, match=r"cannot write into the folder .*: permission denied\nchoose another place"
        ):
            home.writable(tmp_path)

    @pytest.mark.parametrize(("missing", "refused"), [(1, True), (0, False)])
    def test_too_little_space_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int, refused: bool
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 0, home.MIN_FREE_BYTES - missing))
        if refused:
            with pytest.raises(
                UsageError,
                match=r"only 32.0 MiB are free for .*; 32 MiB are needed\nfree some space, or choose another place",
            ):
                home.writable(tmp_path)
        else:
            assert home.writable(tmp_path) == tmp_path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


class TestWriteWhole:
    def test_a_file_is_written_and_written_over(self, tmp_path: Path) -> None:
        for text in ("one ✔", "two"):
            home.write_whole(tmp_path / "file", text)
            assert (tmp_path / "file").read_text(encoding="utf-8") == text
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_a_full_disk_leaves_the_old_file(self, small_disk: Path) -> None:
        file = small_disk / "file"
        home.write_whole(file, "old")
        with pytest.raises(
            UsageError,
            match=r"cannot write .*: No space left on device\nfree some space, or choose another place",
        ):
            home.write_whole(file, "x" * 2**17)
        assert file.read_text(encoding="utf-8") == "old"
        assert [path.name for path in small_disk.iterdir()] == ["file"]

    def test_a_write_that_breaks_off_leaves_the_old_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home.write_whole(tmp_path / "file", "old")

        def half(path: Path, text: str, **_: Any) -> int:
            with path.open("w") as file:
                file.write(text[:2])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_text", half)
        with pytest.raises(UsageError, match="No space left"):
            home.write_whole(tmp_path / "file", "new")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}

    def test_a_folder_that_is_gone_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="No such file or directory"):
            home.write_whole(tmp_path / "gone" / "file", "new")


@pytest.mark.parametrize(
    ("text", "found"),
    [('{"a": 1}', {"a": 1}), ("", {}), ("{", {}), ("[]", {}), ("null", {}), ("3", {}), (None, {})],
)
def test_a_small_file_of_ours_is_read_or_as_good_as_empty(
    tmp_path: Path, text: str | None, found: dict[str, Any]
) -> None:
    if text is not None:
        (tmp_path / "file").write_text(text)
    assert home.read_json(tmp_path / "file") == found


@pytest.mark.parametrize(
    ("number", "full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False), (None, False)]
)
def test_a_full_disk_is_told_from_other_troubles(number: int | None, full: bool) -> None:
    assert no_space(OSError(number, "text") if number else OSError("text")) is full


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
