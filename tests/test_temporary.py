"""Temporary folders of any length."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAYS = "import os, tempfile; from labs.temporary import shorten; shorten(); print(tempfile.gettempdir(), os.environ['TMPDIR'])"


@pytest.mark.parametrize(("length", "kept"), [(20, True), (100, False)])
def test_only_a_path_that_is_too_long_for_a_socket_is_replaced(
    tmp_path: Path, length: int, kept: bool
) -> None:
    place = Path("/tmp", "x" * 5) if kept else tmp_path / ("x" * length)
    place.mkdir(parents=True, exist_ok=True)
    ended = subprocess.run(
        [sys.executable, "-c", SAYS],
        env={**os.environ, "TMPDIR": str(place)},
        capture_output=True,
        text=True,
        check=True,
    )
    used, said = ended.stdout.split()
    assert used == said
    assert (used == str(place)) is kept
    assert len(used) < 60
    assert Path(used).exists() is kept, "what was made for the process is gone with it"
