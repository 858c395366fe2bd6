"""What is said where an image cannot be moved. On a real engine: tests/images."""

from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.launch.engine import Engine
from scripts.images import archive


def test_an_image_that_breaks_off_while_it_is_unpacked_is_said(tmp_path: Path) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho no archive\n")
    client.chmod(0o755)
    (tmp_path / "root").mkdir()
    with pytest.raises(UsageError, match=r"labs:cpu could not be unpacked into .*/root: tar: "):
        archive.extract(Engine(str(client)), "labs:cpu", tmp_path / "root")
