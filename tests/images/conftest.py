"""A real engine, an image built by `make image`'s own script, and runs of the docker launcher on it.

These tests run when they are asked for by name (`make test-docker`): they take minutes, gigabytes and an engine. Where none can be had
they end with the reason, and not with success.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from labs.launch import engine as launch_engine
from tests import asked
from tests.images import engine as own_engine
from tests.images import podman as own_podman
from tests.images.stage import LIMIT_S, Ended, Engine, Stage, ended

SCRIPT = [sys.executable, "-m", "scripts.images"]
CANARY = "canary-7f3a.invalid"  # lent to the build, and looked for in all that it made
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
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--yes", action="store_true", help="install what an engine needs, where it is missing")
    parser.addoption("--gpu", action="store_true", help="build the image with CUDA too: 12 GB more")


def pytest_configure(config: pytest.Config) -> None:
    asked.watch(config, "images")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if asked.by_name(config, "images") else True


Script = Callable[..., Ended]


@pytest.fixture(scope="session")
def harness(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """An engine of our own. What the tests made in it goes with it, if they started it."""
    ours = not own_engine.SOCKET.exists()
    try:
        os.environ.update(own_engine.up(install=request.config.getoption("--yes")))
    except own_engine.EngineError as error:
        asked.lacks(str(error))
    yield own_engine
    if ours:
        own_engine.down()


@pytest.fixture(scope="session")
def engine(harness: ModuleType) -> Engine:
    return client_of("docker", {})


def client_of(name: str, environment: dict[str, str]) -> Engine:
    """The client, with a command's words: returns what it printed, and fails the test where it failed."""

    def client(*words: str) -> str:
        everything = os.environ | environment
        done = subprocess.run(
            [name, *words], env=everything, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
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
    """`scripts.images` with a verb and its words."""

    def run(*words: str, **environment: str) -> Ended:
        done = subprocess.run(
            [*SCRIPT, *words],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
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
        folder.chmod(0o1777)
        yield folder


@pytest.fixture
def stage(tmp_path: Path, engine: Engine, image: str) -> Iterator[Stage]:
    made = Stage(tmp_path, engine)
    yield made
    made.close()


@pytest.fixture(scope="session")
def podman(request: pytest.FixtureRequest, image: str) -> Iterator[dict[str, str]]:
    """The environment in which podman runs the launcher's containers."""
    builder = launch_engine.Engine.find(building=True).client
    try:
        environment = own_podman.up(builder, image, install=request.config.getoption("--yes"))
    except own_engine.EngineError as error:
        asked.lacks(f"podman cannot run here: {error}")
    yield environment
    own_podman.down(environment)


@pytest.fixture
def podman_stage(tmp_path: Path, podman: dict[str, str]) -> Iterator[Stage]:
    """As `stage`, for podman."""
    made = Stage(tmp_path, client_of("podman", podman), podman, own_podman.APART)
    yield made
    made.close()
