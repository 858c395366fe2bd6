"""Files and folders of a person's own."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from labs import files
from labs.errors import UsageError
from labs.files import read_json, writable, write_whole


class Usage(NamedTuple):
    """What shutil.disk_usage returns."""

    total: int
    used: int
    free: int


def test_what_is_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    made = writable(tmp_path / "labs" / "runs" / "lab01")
    assert [folder.stat().st_mode & 0o777 for folder in (made, *made.parents[:2])] == [0o700] * 3


class TestWritable:
    def test_a_folder_is_made_with_all_above_it(self, tmp_path: Path) -> None:
        folder = tmp_path / "a" / "b"
        assert writable(folder) == folder
        assert folder.is_dir()

    @pytest.mark.parametrize("inside", [False, True])
    def test_a_file_in_its_place_is_refused(self, tmp_path: Path, inside: bool) -> None:
        file = tmp_path / "file"
        file.touch()
        with pytest.raises(
            UsageError,
            match=r"cannot make the folder .* is not a folder\nchoose another place with LABS_HOME=",
        ):
            writable(file / "inside" if inside else file)

    def test_a_folder_that_cannot_be_made_after_all_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(path: Path, **_: Any) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(Path, "mkdir", fails)
        with pytest.raises(
            UsageError, match=r"cannot make the folder .*: Read-only file system\nchoose another"
        ):
            writable(tmp_path / "labs")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_of_someone_else_is_refused(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(UsageError, match="Permission denied"):
            writable(tmp_path / "inside")
        with pytest.raises(UsageError, match="permission denied"):
            writable(tmp_path)

    def test_what_may_not_be_written_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
        with pytest.raises(
            UsageError, match=r"cannot write into the folder .*: permission denied\nchoose another place"
        ):
            writable(tmp_path)

    @pytest.mark.parametrize(("missing", "refused"), [(1, True), (0, False)])
    def test_too_little_space_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int, refused: bool
    ) -> None:
        monkeypatch.setattr(
            shutil, "disk_usage", lambda path: Usage(2**40, 0, files.MIN_FREE_BYTES - missing)
        )
        if refused:
            with pytest.raises(
                UsageError,
                match=r"only 32.0 MiB are free for .*; 32 MiB are needed\nfree some space, or choose another place",
            ):
                writable(tmp_path)
        else:
            assert writable(tmp_path) == tmp_path


class TestMadeAnew:
    def test_a_name_that_is_taken_gets_the_next_number(self, tmp_path: Path) -> None:
        made = [files.made_anew(tmp_path / "runs" / "then") for _ in range(3)]
        assert [folder.name for folder in made] == ["then", "then-2", "then-3"]
        assert {folder.stat().st_mode & 0o777 for folder in made} == {0o700}

    def test_one_that_cannot_be_made_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(
            UsageError, match=r"cannot make the folder .*: File name too long\nchoose another"
        ):
            files.made_anew(tmp_path / ("x" * 300))


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
            write_whole(tmp_path / "file", text)
            assert (tmp_path / "file").read_text(encoding="utf-8") == text
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_a_full_disk_leaves_the_old_file(self, small_disk: Path) -> None:
        file = small_disk / "file"
        write_whole(file, "old")
        with pytest.raises(
            UsageError,
            match=r"cannot write .*: No space left on device\nfree some space, or choose another place",
        ):
            write_whole(file, "x" * 2**17)
        assert file.read_text(encoding="utf-8") == "old"
        assert [path.name for path in small_disk.iterdir()] == ["file"]

    def test_a_write_that_breaks_off_leaves_the_old_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_whole(tmp_path / "file", "old")

        def half(path: Path, text: str, **_: Any) -> int:
            with path.open("w") as file:
                file.write(text[:2])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_text", half)
        with pytest.raises(UsageError, match="No space left"):
            write_whole(tmp_path / "file", "new")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}

    def test_a_folder_that_is_gone_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="No such file or directory"):
            write_whole(tmp_path / "gone" / "file", "new")


@pytest.mark.parametrize(
    ("text", "found"),
    [('{"a": 1}', {"a": 1}), ("", {}), ("{", {}), ("[]", {}), ("null", {}), ("3", {}), (None, {})],
)
def test_a_small_file_of_ours_is_read_or_as_good_as_empty(
    tmp_path: Path, text: str | None, found: dict[str, Any]
) -> None:
    if text is not None:
        (tmp_path / "file").write_text(text)
    assert read_json(tmp_path / "file") == found
