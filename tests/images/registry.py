"""A registry of images, of our own, on this machine alone."""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READY_S = 20.0
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """What it says of itself, without an engine in between."""

    def __init__(self, port: int) -> None:
        self.port, self.name = port, f"127.0.0.1:{port}"

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[bytes, str]:
        """Return what it answers, and the digest that it gives with it."""
        request = urllib.request.Request(
            f"http://{self.name}/v2/{path}",
            body,
            {"Accept": MANIFEST, "Content-Type": MANIFEST},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=READY_S) as answer:
            return answer.read(), answer.headers.get("Docker-Content-Digest", "")

    def manifest(self, repository: str, tag: str) -> tuple[bytes, str]:
        return self.ask("GET", f"{repository}/manifests/{tag}")

    def answers(self) -> bool:
        try:
            self.ask("GET", "")
        except OSError:
            return False
        return True


@contextmanager
def registry(folder: Path, program: Path) -> Iterator[Registry]:
    """Serve an empty registry from a folder, and end it."""
    found = Registry(free_port())
    environment = {
        "REGISTRY_HTTP_ADDR": found.name,
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(folder / "images"),
        "OTEL_TRACES_EXPORTER": "none",
    }
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {}}\nhttp: {}\n", encoding="utf-8"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "serve", str(config)], env=os.environ | environment, stdout=log, stderr=log
        )
    try:
        end = time.monotonic() + READY_S
        while not found.answers():
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.05)
        yield found
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])
