"""Which torch, and from where."""

import platform
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from scripts.environment import torch_source
from scripts.environment.screen import SetupError
from scripts.environment.torch_source import OWN_INDEX, answers, choices, choose, read_versions, source

VERSIONS = {
    "TORCH_VERSION": "2.13.0",
    "TORCHVISION_VERSION": "0.28.0",
    "CUDA_VERSION": "13.0",
    "TORCH_INDEX_CPU": "http://127.0.0.1:9/cpu",
    "TORCH_INDEX_CU126": "http://127.0.0.1:9/cu126",
}


@pytest.fixture
def on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")


@pytest.fixture
def on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")


@pytest.fixture
def index() -> Iterator[str]:
    """A package index on loopback that knows torch and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/cpu/torch/" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/cpu"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("wanted", "recorded", "gpu", "flavour"),
    [
        ("", "", False, "cpu"),
        ("", "", True, "cuda"),
        ("", "cpu", True, "cpu"),  # only an explicit wish changes a .venv
        ("auto", "cpu", True, "cuda"),
        ("cpu", "cuda", True, "cpu"),
        ("cuda", "", False, "cuda"),  # a login node has no GPU, its cluster has
        ("cu126", "cuda", True, "cu126"),
    ],
)
@pytest.mark.usefixtures("on_linux")
def test_flavour(
    wanted: str, recorded: str, gpu: bool, flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_source, "has_nvidia_gpu", lambda: gpu)
    assert choose(wanted, recorded, VERSIONS) == flavour


def test_a_choice_is_a_line_in_versions_env() -> None:
    assert choices(VERSIONS) == ["auto", "cpu", "cuda", "cu126"]
    with pytest.raises(
        SetupError, match="TORCH=cu999 is no choice: take one of auto, cpu, cuda, cu126, or leave it out"
    ):
        choose("cu999", "", VERSIONS)


@pytest.mark.usefixtures("on_macos")
def test_macos_has_no_cuda() -> None:
    with pytest.raises(SetupError, match="not for macOS"):
        choose("cuda", "", VERSIONS)
    assert choose("auto", "", VERSIONS) == "cpu"
    assert source("cpu", VERSIONS).origin == OWN_INDEX


@pytest.mark.usefixtures("on_linux")
def test_cpu_from_pytorchs_index_where_it_answers(index: str) -> None:
    chosen = source("cpu", VERSIONS | {"TORCH_INDEX_CPU": index})
    assert chosen == (
        "cpu",
        ("torch==2.13.0", "torchvision==0.28.0"),
        ("--no-deps", "--index-url", index),
        "PyTorch's CPU wheels",
    )


@pytest.mark.usefixtures("on_linux")
def test_cpu_from_pips_own_index_elsewhere() -> None:
    assert source("cpu", VERSIONS) == ("cpu", ("torch==2.13.0", "torchvision==0.28.0"), (), OWN_INDEX)


def test_cuda_leaves_no_room_for_a_cpu_wheel() -> None:
    assert source("cuda", VERSIONS).requirements == ("torch===2.13.0", "torchvision===0.28.0")
    assert source("cu126", VERSIONS).requirements == ("torch==2.13.0+cu126", "torchvision==0.28.0+cu126")


def test_a_probe_that_is_answered(index: str) -> None:
    assert answers(f"{index}/torch/")
    assert not answers(f"{index}/no-such-package/")


def test_a_probe_that_is_refused() -> None:
    assert not answers("http://127.0.0.1:9/cpu/torch/")


def test_a_probe_into_silence_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        assert not answers(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.3)
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("body", "gpu"), [("echo 'GPU 0: H200'", True), ("echo 'no driver'; exit 9", False), ("exit 0", False)]
)
def test_the_drivers_tool_tells_of_a_gpu(
    body: str, gpu: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{body}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(torch_source, "NVIDIA_DEVICES", (str(tmp_path / "no such device"),))
    assert torch_source.has_nvidia_gpu() is gpu


def test_a_device_tells_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(torch_source, "NVIDIA_DEVICES", (str(tmp_path),))
    assert torch_source.has_nvidia_gpu()


def test_versions_env_reads_the_same_everywhere(tmp_path: Path) -> None:
    (tmp_path / "versions.env").write_text("# a comment\nA=1\n\nB=http://x/y=z\n")
    assert read_versions(tmp_path / "versions.env") == {"A": "1", "B": "http://x/y=z"}
