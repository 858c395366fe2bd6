"""Fetching, from a server on loopback that can break off, lie, and go away. The real addresses are not reached in tests."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.fetch import assets
from labs.fetch.assets import Asset, Source
from labs.fetch.get import get

CONTENT = bytes(range(256)) * 8000  # 2 MB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; the first `breaks` answers end half-way; `content` may be something else; heeds ranges or not."""

    breaks, ranges, content = 0, True, CONTENT

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        range_ = self.headers.get("Range", "")
        self.server.asked.append(range_)
        start = int(range_.removeprefix("bytes=").rstrip("-")) if range_ and self.server.ranges else 0
        if start >= len(self.server.content):
            self.send_error(416)
            return
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.breaks:
            self.server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def asset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asset:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(
        Asset, "sources", lambda self: [Source("http://nowhere.invalid/net-0123.pth", "sha256", DIGEST[:8])]
    )
    return Asset("net", "Net_Weights.V1", 2, (1,))


def fetched(asset: Asset, origin: str) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    get(asset, origin, lambda done, total: told.append((done, total)))
    return told


def test_a_file_is_fetched_whole_and_only_once(asset: Asset, server: Server) -> None:
    told = fetched(asset, server.origin)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert asset.there()
    assert (asset.place() / "net-0123.pth").read_bytes() == CONTENT
    assert fetched(asset, server.origin) == []
    assert len(server.asked) == 1


def test_a_broken_connection_is_said_and_the_next_try_goes_on_from_there(
    asset: Asset, server: Server
) -> None:
    server.breaks = 1
    with pytest.raises(
        UsageError, match=r"connection broke after 1,024,000 of 2,048,000 bytes\nthe next try goes on"
    ):
        fetched(asset, server.origin)
    assert not asset.there()
    fetched(asset, server.origin)
    assert server.asked == ["", "bytes=1024000-"]
    assert asset.there()


def test_a_server_that_knows_no_ranges_sends_all_again(asset: Asset, server: Server) -> None:
    server.breaks, server.ranges = 1, False
    with pytest.raises(UsageError):
        fetched(asset, server.origin)
    fetched(asset, server.origin)
    assert asset.there()


def test_what_had_come_whole_but_was_not_named_yet_is_kept(asset: Asset, server: Server) -> None:
    asset.place().mkdir(parents=True)
    (asset.place() / "net-0123.pth.part").write_bytes(CONTENT)
    fetched(asset, server.origin)
    assert asset.there()


def test_another_content_is_refused_and_removed(asset: Asset, server: Server) -> None:
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(UsageError, match=r"is not what it should be: its sha256 does not begin with"):
        fetched(asset, server.origin)
    assert list(asset.place().iterdir()) == []


def test_a_file_that_was_changed_later_is_fetched_again(asset: Asset, server: Server) -> None:
    fetched(asset, server.origin)
    (asset.place() / "net-0123.pth").write_bytes(b"damaged")
    assert not asset.there()
    fetched(asset, server.origin)
    assert asset.there()


def test_no_network_is_one_sentence(asset: Asset) -> None:
    with pytest.raises(UsageError, match=r"net-0123\.pth could not be fetched: "):
        fetched(asset, "")


def test_a_folder_can_be_the_origin(asset: Asset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no net-0123\.pth"):
        fetched(asset, str(tmp_path))
    with pytest.raises(UsageError, match=r"holds no net-0123\.pth"):
        fetched(asset, str(tmp_path / "not-there"))
    bundle = tmp_path / "bundle" / "torch" / "hub"
    bundle.mkdir(parents=True)
    (bundle / "net-0123.pth").write_bytes(CONTENT)
    fetched(asset, str(tmp_path / "bundle"))
    assert asset.there()


def test_only_known_names_can_be_fetched() -> None:
    assert assets.select([]) == list(assets.ASSETS)
    assert [asset.name for asset in assets.select(["vgg19"])] == ["vgg19"]
    with pytest.raises(
        UsageError, match="there is nothing called vgg to fetch; choose from: resnet18, vgg19"
    ):
        assets.select(["vgg"])


@pytest.mark.parametrize("asset", assets.ASSETS, ids=lambda asset: asset.name)
def test_torchvision_knows_every_asset_and_its_checksums(asset: Asset) -> None:
    for source in asset.sources():
        assert source.url.startswith("https://")
        assert len(source.digest) >= 8
        int(source.digest, 16)


def test_weights_lie_where_torchvision_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """torch.hub finds the file under the very name and folder, and asks nobody."""
    import torch
    from torchvision.models import ResNet18_Weights, resnet18

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    asset = assets.select(["resnet18"])[0]
    asset.place().mkdir(parents=True)
    net = resnet18()
    torch.save(net.state_dict(), asset.place() / asset.sources()[0].name)
    monkeypatch.setattr(Source, "fits", lambda self, file: file.exists())
    found = ResNet18_Weights.IMAGENET1K_V1.get_state_dict(progress=False)
    assert torch.equal(found["conv1.weight"], net.conv1.weight)
