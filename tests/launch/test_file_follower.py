"""Files shown as they grow."""

import os
from pathlib import Path

from labs.launch.file_follower import FileFollower, pump


def test_what_is_new_is_copied_once(tmp_path: Path) -> None:
    path, (reader, writer) = tmp_path / "x", os.pipe()
    follower = FileFollower(path, writer)
    assert not follower.pump(), "not there yet"
    path.write_bytes(b"one\n")
    assert follower.pump()
    with path.open("ab") as file:
        file.write(b"two\n")
    assert pump([follower, FileFollower(tmp_path / "never", writer)])
    assert not pump([follower])
    assert os.read(reader, 100) == b"one\ntwo\n"


def test_a_reader_that_went_away_is_no_error(tmp_path: Path) -> None:
    path, (reader, writer) = tmp_path / "x", os.pipe()
    os.close(reader)
    path.write_bytes(b"x")
    assert FileFollower(path, writer).pump()
