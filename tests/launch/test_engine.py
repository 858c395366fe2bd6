"""What is said of engines that are not there, or fail. On a real engine: tests/images."""

from collections.abc import Callable
from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.launch import engine
from labs.launch.engine import Engine

Client = Callable[[str], Engine]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Make an engine whose client is these lines of a shell."""

    def made(script: str) -> Engine:
        path = tmp_path / "docker"
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        monkeypatch.setattr(engine, "CLIENTS", (str(path),))
        return Engine(str(path))

    return made


def test_without_any_engine_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UsageError, match="there is no container engine here: install docker or podman"):
        engine.Engine.find()


def test_podman_by_the_name_of_docker_is_taken_by_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the package podman-docker makes it. Its options are podman's, not docker's."""
    for name in ("docker", "podman"):
        (tmp_path / name).write_text("#!/bin/sh\necho host:\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(engine, "CLIENTS", ("docker", "podman"))
    assert engine.Engine.find().client == str(tmp_path / "podman")
    (tmp_path / "podman").unlink()
    with pytest.raises(
        UsageError,
        match="docker is another name for podman here, and podman itself is not found: install podman",
    ):
        engine.Engine.find()


def test_an_engine_that_breaks_off_leaves_the_file_that_was_there(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "labs.tar"
    file.write_text("of yesterday", encoding="utf-8")
    broken = client("echo a part of it; echo the disk is gone >&2; exit 1")
    with pytest.raises(UsageError, match="`docker save` failed: the disk is gone"):
        broken.write(file, "save")
    assert file.read_text(encoding="utf-8") == "of yesterday"
    client("echo all of it").write(file, "save")
    assert file.read_text(encoding="utf-8") == "all of it\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docker", "labs.tar"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            "permission denied while trying to connect",
            "docker is there, but you may not use it: ask to be put into",
        ),
        (
            "Cannot connect to the Docker daemon",
            "the client docker is there, its engine does not answer: start it",
        ),
        ("something else.", "docker does not work here: something else"),
    ],
)
def test_why_an_engine_will_not_do_is_said(client: Client, answer: str, said: str) -> None:
    client(f"echo '{answer}' >&2; exit 1")
    with pytest.raises(UsageError, match=said):
        Engine.find()


def test_an_engine_that_cannot_build_is_no_engine_for_building(client: Client) -> None:
    client('test "$1" != build')
    assert Engine.find().name == "docker"
    with pytest.raises(UsageError, match="docker has no BuildKit: install its plug-in docker-buildx"):
        Engine.find(building=True)


def test_a_command_that_fails_is_named_with_its_reason(client: Client) -> None:
    broken = client("echo first >&2; echo it is so. >&2; exit 3")
    with pytest.raises(UsageError, match=r"^`docker pull` ended with status 3; its own words are above$"):
        broken.run("pull", "x")
    with pytest.raises(UsageError, match=r"^`docker info` failed: it is so$"):
        broken.ask("info")
    with pytest.raises(UsageError, match="there is no image labs:cpu here\nmake it with `make image`"):
        broken.size("labs:cpu")
    assert broken.answer("inspect") == ""


def test_too_little_room_is_said_before_gigabytes_are_on_their_way(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"1000000 GB of free disk are needed in .* are there: make room there"
    ):
        engine.require_room(tmp_path, 1e6)
    engine.require_room(tmp_path / "on another machine", 1e6)
