"""A real engine, an image built by `make image`'s own script, and runs of the docker launcher on it.

These tests run when they are asked for by name (`make test-docker`): they take minutes, gigabytes and an engine. Where none can be had
they fail in CI, and are skipped on a person's machine.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from labs.launch.docker import LABEL

ROOT, HERE = Path(__file__).parents[2], Path(__file__).parent
SCRIPT = [sys.executable, str(ROOT / "scripts" / "image.py")]
CANARY = "canary-7f3a.invalid"  # lent to the build, and looked for in all that it made
LIMIT_S = 120.0
ANYBODY = (
    "--rm",
    "--user",
    "4321:4321",
    "--read-only",
    "--tmpfs",
    "/tmp:exec",
    "--cap-drop",
    "ALL",
    "--network",
    "none",
)  # and nothing allowed


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--yes", action="store_true", help="install what an engine needs, where it is missing")
    parser.addoption("--gpu", action="store_true", help="build the image with CUDA too: 12 GB more")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    asked = any("images" in Path(argument.partition("::")[0]).parts for argument in config.args)
    return None if asked else True


def by_path(name: str) -> ModuleType:
    """Import a file that lies beside this one: tests are no package."""
    spec = importlib.util.spec_from_file_location(f"images_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Engine = Callable[..., str]
Script = Callable[..., Ended]


@pytest.fixture(scope="session")
def harness(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """An engine of our own. What the tests made in it goes with it, if they started it."""
    harness = by_path("engine")
    ours = not harness.SOCKET.exists()
    try:
        os.environ.update(harness.up(install=bool(request.config.getoption("--yes") or os.environ.get("CI"))))
    except harness.EngineError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
    yield harness
    if ours:
        harness.down()


@pytest.fixture(scope="session")
def engine(harness: ModuleType) -> Engine:
    """The client, with a command's words: returns what it printed, and fails the test where it failed."""

    def client(*words: str) -> str:
        done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return client


@pytest.fixture(scope="session")
def image(harness: ModuleType) -> str:
    """The name of the image for CPUs, built from this checkout."""
    return build(harness, "cpu")


@pytest.fixture(scope="session")
def gpu_image(request: pytest.FixtureRequest, harness: ModuleType) -> str:
    """The name of the image with CUDA."""
    if not (request.config.getoption("--gpu") or os.environ.get("LABS_TEST_ALL")):
        pytest.skip("the image with CUDA takes 12 GB: ask for it with ARGS=--gpu")
    return build(harness, "gpu")


def build(harness: ModuleType, target: str) -> str:
    if os.environ.get("LABS_TEST_IMAGE"):  # labs:cpu, or labs:gpu, is there already
        return f"labs:{target}"
    base = harness.make_base()
    lent = {"PIP_TRUSTED_HOST": CANARY, "CPU_BASE": base, "GPU_BASE": base}
    # A bridge of our engine's leads nowhere, so the build uses the machine's own network.
    command = [*SCRIPT, "build", target, "--network", "host"]
    done = subprocess.run(command, env=os.environ | lent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return f"labs:{target}"


@pytest.fixture
def script(harness: ModuleType) -> Script:
    """`scripts/image.py` with a verb and its words."""

    def run(*words: str, **environment: str) -> Ended:
        done = subprocess.run([*SCRIPT, *words], env=os.environ | environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        return ended(done)

    return run


@pytest.fixture
def engine_for_all(harness: ModuleType) -> Iterator[None]:
    """The engine, for those too who are not in its group."""
    socket = Path(os.environ["DOCKER_HOST"].removeprefix("unix://"))
    before = socket.stat().st_mode
    socket.chmod(0o666)
    yield
    socket.chmod(before)


@pytest.fixture
def folder_for_all() -> Iterator[Path]:
    """A folder in which anybody may write: pytest's own are its owner's alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


def ended(done: "subprocess.CompletedProcess[str]") -> Ended:
    return Ended(done.returncode, done.stdout, done.stderr)


class Stage:
    """A checkout with the probe in it, whose runs the docker launcher starts, and what became of them."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.checkout, self.home, self.engine = folder / "checkout", folder / "home", engine
        self.run_folder = self.home / "runs" / "lab43" / "2026-01-01T00-00-00-docker"
        self.environment = os.environ | {"LABS_HOME": str(self.home), "PYTHONPATH": str(self.checkout)}
        shutil.copytree(ROOT / "labs", self.checkout / "labs", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(HERE / "probe.py", self.checkout / "labs")
        self.started: list[subprocess.Popen[str]] = []

    def start(self, verb: str, *wishes: str, nodes: int = 2, procs: int = 1, user: int | None = None) -> "subprocess.Popen[str]":
        # Launching needs the standard library alone; this interpreter may lie where nobody else can read.
        python = sys.executable if user is None else "/usr/bin/python3"
        command = [python, str(HERE / "command.py"), str(nodes), str(procs), str(self.run_folder), verb, *wishes]
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.checkout,
            user=user, group=user, extra_groups=None if user is None else [],
        )  # fmt: skip
        self.started.append(process)
        return process

    def ended(self, process: "subprocess.Popen[str]") -> Ended:
        out, err = process.communicate(timeout=LIMIT_S)
        return Ended(process.returncode, out, err)

    def labs(self, *words: str) -> Ended:
        """A command of `labs`, in this checkout."""
        command = [sys.executable, "-m", "labs.cli", *words]
        return ended(
            subprocess.run(command, env=self.environment, capture_output=True, text=True, cwd=self.checkout, timeout=LIMIT_S, check=False)
        )

    def open_to_all(self) -> None:
        """Let everybody read what pytest keeps for its owner alone."""
        for folder in (self.checkout, *self.checkout.parents):
            if folder.owner() == "root" and folder.stat().st_mode & 0o777 == 0o700:
                folder.chmod(0o755)

    def facts(self, ranks: int) -> list[dict[str, Any]]:
        """Return what each rank saw, once all are there."""
        files = [self.run_folder / f"facts{rank}.json" for rank in range(ranks)]
        self.until(lambda: all(file.exists() and file.read_text() for file in files), f"{ranks} ranks")
        return [json.loads(file.read_text()) for file in files]

    def until(self, true: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + LIMIT_S / 2
        while not true():
            assert time.monotonic() < end, f"waited in vain for: {what}"
            time.sleep(0.05)

    def left(self) -> str:
        """Return what the launcher has left in the engine."""
        ours = ("--quiet", "--filter", f"label={LABEL}")
        return self.engine("ps", "--all", *ours) + self.engine("network", "ls", *ours)

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()
        ours = f"--quiet --filter label={LABEL}"
        for kind, all_, force in (("container", "--all", "--force"), ("network", "", "")):  # what is gone meanwhile is no error
            sweep = f"docker {kind} ls {all_} {ours} | xargs --no-run-if-empty docker {kind} rm {force}"
            subprocess.run(sweep, shell=True, capture_output=True, check=False)


@pytest.fixture
def stage(tmp_path: Path, engine: Engine, image: str) -> Iterator[Stage]:
    made = Stage(tmp_path, engine)
    yield made
    made.close()
