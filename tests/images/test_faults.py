"""What a person gets wrong, or an engine lacks: one clear sentence and exit status 2, before anything is made."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from labs.errors import UsageError
from scripts.images import archive
from tests.images.conftest import Script
from tests.images.stage import Stage

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
RUN = ("run", "1", "--launcher", "docker")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--image", "no/such:image"), "there is no image no/such:image here"),
        (("--memory", "lots"), "MEMORY=lots is not possible"),
        (("--shm", "1x"), "SHM=1x is not possible"),
        (("--cpus", "9999"), "CPUS=9999 is more than this machine has"),
        (("--cpus", "half"), "CPUS=half is not possible"),
        (("--gpus", "9999"), "GPUS=9999 on 1 node is more than"),
        (("--partition", "lab"), "PARTITION=lab means nothing to LAUNCHER=docker"),
    ],
)
def test_a_wish_that_cannot_be_met(stage: Stage, words: tuple[str, ...], said: str) -> None:
    ended = stage.labs(*RUN, *words)
    assert ended.status == 2
    assert said in ended.err
    assert len(ended.err.splitlines()) <= 4  # the launcher's name, and three lines
    assert not stage.home.exists()


@pytest.fixture
def docker_alone(stage: Stage, tmp_path: Path) -> None:
    """A machine with docker, and without the podman that would serve in its place."""
    (tmp_path / "bin").mkdir()
    for name in ("docker", "git"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "/nowhere")
    stage.environment["PATH"] = str(tmp_path / "bin")


@pytest.mark.usefixtures("docker_alone")
def test_an_engine_that_does_not_answer(stage: Stage) -> None:
    stage.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    ended = stage.labs(*RUN)
    assert (ended.status, stage.home.exists()) == (2, False)
    assert "its engine does not answer: start it" in ended.err


@ROOT_ONLY
@pytest.mark.usefixtures("docker_alone")
def test_an_engine_without_the_right_to_use_it(stage: Stage) -> None:
    stage.open_to_all()
    stage.home.mkdir()
    os.chown(stage.home, 20001, 20001)
    ended = stage.ended(stage.start("facts", user=20001))
    assert (ended.status, list(stage.home.iterdir())) == (2, [])
    assert "you may not use it: ask to be put into the group docker" in ended.err


def test_a_dry_run_needs_no_engine(stage: Stage) -> None:
    stage.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    ended = stage.labs("run", "43", "--launcher", "docker", "--nodes", "2", "--dry-run")
    assert ended.status == 0
    made, *nodes = ended.out.splitlines()
    assert made.startswith("docker network create --internal")
    assert [line.split()[:2] for line in nodes] == [["docker", "run"]] * 2
    assert not stage.home.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("build", "tpu"), "TARGET=tpu is not there; choose from: cpu, gpu"),
        (("save", "tpu", ""), "TARGET=tpu is not there"),
        (("load", ""), "FILE= is no file: name one that `make image-save` wrote"),
        (("load", "/no/file.tar"), "FILE=/no/file.tar is no file"),
        (("push", "cpu", ""), "REGISTRY= says where to"),
        (("unpack", "cpu", ""), "DIR= is not possible"),
        (("unpack", "cpu", "/usr"), "DIR=/usr is not possible"),
    ],
)
def test_image_script(script: Script, words: tuple[str, ...], said: str) -> None:
    ended = script(*words)
    assert ended.status == 2
    assert said in ended.err
    assert len(ended.err.splitlines()) <= 3


def test_an_image_that_is_not_there(
    harness: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labs.launch.image.name_of", "no/such:{}".format)
    for move in (archive.save, archive.push, archive.unpack):
        with pytest.raises(UsageError, match="there is no image no/such:cpu here"):
            move("cpu", str(tmp_path / "there"))
    assert list(tmp_path.iterdir()) == []


def test_a_torch_that_a_target_does_not_take(script: Script) -> None:
    assert "TORCH=cpu is no choice for TARGET=gpu" in script("build", "gpu", TORCH="cpu").err
    assert "TORCH=cu126 is no choice for TARGET=cpu" in script("build", "cpu", TORCH="cu126").err


def test_a_disk_that_is_too_small(script: Script, image: str, disk_of: Callable[[str], Path]) -> None:
    small_disk = disk_of("40m")
    for words in (("save", "cpu", str(small_disk / "labs.tar")), ("unpack", "cpu", str(small_disk / "root"))):
        ended = script(*words)
        assert ended.status == 2
        assert "GB of free disk are needed" in ended.err
    assert list(small_disk.glob("*.tar")) == []


def test_a_file_that_holds_no_image(script: Script, tmp_path: Path) -> None:
    (tmp_path / "wrong.tar").write_text("no image")
    assert script("load", str(tmp_path / "wrong.tar")).status == 2
