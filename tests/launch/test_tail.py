"""Files shown as they grow."""

import os
from pathlib import Path

from labs.launch.tail import Tail, pump


def test_what_is_new_is_copied_once(tmp_path: Path) -> None:
    path, (reader, writer) = tmp_path / "x", os.pipe()
    tail = Tail(path, writer)
    assert not tail.pump(), "not there yet"
    path.write_bytes(b"one\n")
    assert tail.pump()
    with path.open("ab") as file:
        file.write(b"two\n")
    assert pump([tail, Tail(tmp_path / "never", writer)])
    assert not pump([tail])
    assert os.read(reader, 100) == b"one\ntwo\n"


def test_a_reader_that_went_away_is_no_error(tmp_path: Path) -> None:
    path, (reader, writer) = tmp_path / "x", os.pipe()
    os.close(reader)
    path.write_bytes(b"x")
    assert Tail(path, writer).pump()
