"""Targets that were asked for by name: where they lack what they need they end with a reason, what to type, and status 2."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """
from tests import asked

def pytest_configure(config):
    asked.watch(config, "needy")
"""
TESTS = {
    "passes": "def test_passes(): pass",
    "fails": "def test_fails(): assert False",
    "lacks": "from tests import asked\ndef test_lacks(): asked.lacks('no engine: start one')",
    "is_skipped": "import pytest\ndef test_is_skipped(): pytest.skip('not wanted')",
}

Ended = subprocess.CompletedProcess[str]


def pytest_on(folder: Path, *words: str, **environ: str) -> Ended:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(command, cwd=folder, env=inherited | environ, capture_output=True, text=True)


def needy(folder: Path, *names: str) -> str:
    """Write a folder of tests, and return it."""
    (folder / "needy").mkdir()
    (folder / "needy" / "conftest.py").write_text(CONFTEST)
    for name in names:
        (folder / "needy" / f"test_{name}.py").write_text(TESTS[name])
    return "needy"


@pytest.mark.parametrize("together", [(), ("-n", "2")], ids=["alone", "side by side"])
@pytest.mark.parametrize(
    ("names", "status", "said"),
    [
        (("passes", "is_skipped"), 0, "1 not run: not wanted"),
        (("is_skipped",), 2, "1 not run: not wanted"),
        (("passes", "lacks"), 2, "1 not run: no engine: start one"),
        (("fails", "lacks"), 1, "1 not run: no engine: start one"),
    ],
    ids=["a choice", "nothing ran", "something is lacking", "a failure comes first"],
)
def test_what_did_not_run_is_said(
    tmp_path: Path, together: tuple[str, ...], names: tuple[str, ...], status: int, said: str
) -> None:
    done = pytest_on(tmp_path, needy(tmp_path, *names), *together, PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stderr) == (status, "")
    assert said in done.stdout.splitlines()


def test_it_says_nothing_where_all_ran_or_nobody_asked(tmp_path: Path) -> None:
    asked = needy(tmp_path, "passes", "is_skipped")
    assert "not run" not in pytest_on(tmp_path, f"{asked}/test_passes.py", PYTHONPATH=str(ROOT)).stdout
    assert "not run" not in pytest_on(tmp_path, PYTHONPATH=str(ROOT)).stdout


@pytest.fixture
def no_engine(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH leads to no engine, but to what could install one."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "apt-get").symlink_to("/bin/false")
    return {"PATH": str(tmp_path / "bin"), "LABS_TEST_ENGINE": str(tmp_path / "engine")}


def test_without_an_engine_the_tests_of_images_end_with_what_to_type(no_engine: dict[str, str]) -> None:
    done = pytest_on(ROOT, "tests/images", **no_engine)
    assert done.returncode == 2
    (said,) = (line for line in done.stdout.splitlines() if "docker.io" in line)
    assert (
        " not run: there is no docker.io: as root, `make test-docker ARGS=--yes` installs docker.io," in said
    )
    assert "Traceback" not in done.stdout + done.stderr


def test_tests_that_need_no_engine_are_not_held_up(no_engine: dict[str, str]) -> None:
    done = pytest_on(ROOT, "tests/images/test_probe.py", **no_engine)
    assert (done.returncode, "not run" in done.stdout) == (0, False)


@pytest.mark.parametrize("words", [("tests/cluster/load.py",), ("-n", "2", "tests/cluster")])
def test_where_no_cluster_can_be_no_test_begins(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "anybody.py").write_text("import os\nos.geteuid = lambda: 1000\n")
    done = pytest_on(ROOT, "-p", "anybody", *words, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "only root can make a cluster: say the same with sudo" in done.stderr or "Linux's" in done.stderr


@pytest.mark.parametrize(
    "words", [("images", "build", "cpu"), ("images", "save", "cpu", ""), ("images", "pin"), ("bench.docker",)]
)
def test_without_an_engine_there_is_no_image(no_engine: dict[str, str], words: tuple[str, ...]) -> None:
    done = script(*words, DOCKER_HOST="unix:///nowhere/docker.sock", **no_engine)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(r"install docker or podman|start it", done.stderr)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("shell",), "no cluster is up; start one with: make slurm-up"),
        (("exec", "sinfo"), "no cluster is up; start one with: make slurm-up"),
        (("exec", ""), "CMD= says what to run there, such as: make slurm-exec CMD=sinfo"),
        (("node", "", "node2"), "ACTION= is not possible; choose from: kill, cut, heal, restart"),
        (("node", "kill", ""), "no cluster is up; start one with: make slurm-up"),
    ],
)
def test_without_a_cluster_nothing_can_be_done_there(words: tuple[str, ...], said: str) -> None:
    done = script("slurm_cluster", *words, SLURM_CLUSTER="nobodys")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)


def script(name: str, *words: str, **environ: str) -> Ended:
    command = [sys.executable, "-m", f"scripts.{name}", *words]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environ, capture_output=True, text=True)
