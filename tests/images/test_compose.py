"""compose.yaml with both generations of compose: a lab, TensorBoard and Jupyter, on this machine alone, and nothing is left."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.images.programs import unpacked
from tests.images.registry import free_port
from tests.images.stage import LIMIT_S, ROOT, Stage

WHO = os.geteuid() or 20001
PROJECT = "labs-test"
PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"


class Compose:
    """A generation of compose, in a checkout that belongs to a person."""

    def __init__(self, command: str, stage: Stage, image: str) -> None:
        self.checkout, self.engine, self.port = stage.checkout, stage.engine, free_port()
        self.command = [command, "--project-name", PROJECT, "--file", "docker/compose.yaml"]
        wishes = {"IMAGE": image, "LABS_UID": str(WHO), "LABS_GID": str(WHO), "PORT": str(self.port)}
        self.environment = os.environ | wishes
        (self.checkout / "docker").mkdir()
        shutil.copy(ROOT / "docker" / "compose.yaml", self.checkout / "docker")
        if os.geteuid() != WHO:
            os.chown(self.checkout, WHO, WHO)

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [*self.command, *words], cwd=self.checkout, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def get(self, path: str = "", holds: str = "", **headers: str) -> str:
        """Return a page, once the service answers and the page holds this."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}", headers=headers)
        end = time.monotonic() + LIMIT_S / 2
        while True:
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    page = str(answer.read().decode())
            except urllib.error.HTTPError:
                raise
            except OSError:
                page = None
            if page is not None and holds in page:
                return page
            assert time.monotonic() < end, f"{page}\n{self('logs')}"
            time.sleep(0.2)

    def listens(self) -> list[str]:
        listening = subprocess.run(
            ["ss", "--listening", "--tcp", "--numeric", "--no-header"],
            capture_output=True,
            text=True,
            check=True,
        )
        places = [line.split()[3] for line in listening.stdout.splitlines()]
        return [place for place in places if place.endswith(f":{self.port}")]

    def left(self) -> str:
        label = ("--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}")
        return (
            self.engine("ps", "--all", *label)
            + self.engine("network", "ls", *label)
            + self.engine("volume", "ls", *label)
        )


@pytest.fixture(params=["1.29", "2"])
def compose(
    request: pytest.FixtureRequest, harness: ModuleType, stage: Stage, image: str
) -> Iterator[Compose]:
    """bookworm's docker-compose is the old one in Python, trixie's the new one in Go, which is a command by itself too."""
    second = request.param == "2"
    command = (
        unpacked(harness.HERE / "programs", "docker-compose", PLUGIN, "trixie")
        if second
        else "docker-compose"
    )
    made = Compose(str(command), stage, image)
    yield made
    made("down", "--volumes")


def test_a_lab_its_curves_and_its_notebook(compose: Compose) -> None:
    assert " held" in compose("run", "--rm", "labs", "run", "1", "--smoke")
    (path,) = compose.checkout.glob("runs/lab01/*/run.json")
    assert json.loads(path.read_text(encoding="utf-8"))["status"] == "held"

    compose("up", "--detach", "tensorboard")
    assert "TensorBoard" in compose.get()
    compose.get("data/runs", holds=f"lab01/{path.parent.name}/tensorboard")
    assert compose.listens() == [f"127.0.0.1:{compose.port}"]
    compose("down")
    assert compose.left() == ""

    compose("up", "--detach", "jupyter")
    assert "version" in compose.get("api")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        compose.get("api/contents")
    key = re.search(r"token=(\w+)", compose("logs", "jupyter"))
    assert key
    notebooks = json.loads(compose.get("api/contents", Authorization=f"token {key[1]}"))["content"]
    (name,) = (notebook["name"] for notebook in notebooks if notebook["name"].startswith("01_"))
    compose("exec", "-T", "jupyter", "jupyter", "execute", f"notebooks/{name}")
    assert compose.listens() == [f"127.0.0.1:{compose.port}"]
    compose("down")

    assert compose.left() == ""
    made = [path for name in ("runs", "notebooks") for path in (compose.checkout / name).rglob("*")]
    assert {path.stat().st_uid for path in made} == {WHO}
