"""`labs fetch`: what it says, and from where. tests/fetch/test_get.py has the faults of the network."""

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from labs.commands.fetch import fetch
from labs.errors import UsageError
from labs.fetch.assets import ASSETS, Asset, Source


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds both networks' files, small ones with digests to fit."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for asset in ASSETS:
        (folder / f"{asset.name}.bin").write_bytes(asset.name.encode())

    def sources(self: Asset) -> list[Source]:
        return [
            Source(
                f"http://nowhere.invalid/{self.name}.bin",
                "sha256",
                hashlib.sha256(self.name.encode()).hexdigest(),
            )
        ]

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(Asset, "sources", sources)
    monkeypatch.setattr(Asset, "unpack", lambda self: None)
    return folder


@pytest.fixture
def address(mirror: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(mirror))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_list_fetches_nothing(mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch(list_=True)
    said = capsys.readouterr().out
    assert "resnet18   45 MB, for labs 28, 46: labs fetch resnet18\n" in said
    assert said.endswith(f"kept in {tmp_path / 'torch'}; choose another place with TORCH_HOME=/some/folder\n")
    assert not (tmp_path / "torch").exists()


def test_everything_comes_from_a_mirror(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(origin=address)
    assert capsys.readouterr().out.count(" fetched: ") == len(ASSETS)
    fetch(list_=True)
    assert capsys.readouterr().out.count(" is here: ") == len(ASSETS)
    assert (tmp_path / "torch" / "hub" / "checkpoints" / "vgg19.bin").read_bytes() == b"vgg19"


def test_one_thing_comes_from_a_folder(mirror: Path, tmp_path: Path) -> None:
    fetch(["resnet18"], origin=str(mirror))
    assert [path.name for path in (tmp_path / "torch").rglob("*.bin")] == ["resnet18.bin"]


def test_a_mirror_that_lacks_a_file_is_one_sentence(mirror: Path, address: str) -> None:
    (mirror / "resnet18.bin").unlink()
    with pytest.raises(UsageError, match=r"resnet18\.bin could not be fetched: .*File not found"):
        fetch(["resnet18"], origin=address)
