"""What the docker launcher would say to an engine, as text. On a real engine: tests/images."""

import shlex
from pathlib import Path

import pytest

from labs import home
from labs.errors import UsageError
from labs.launch import LAUNCHERS, Request, RunSpec, devices, docker, engine
from labs.launch.spec import Launcher


@pytest.fixture
def place() -> Launcher:
    return LAUNCHERS["docker"]


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with four GPUs, as far as their devices tell."""
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidia3", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    monkeypatch.setattr(devices, "DEV", tmp_path)


def spec(nodes: int = 1, gpus: str = "auto", attempt: Path | None = None, **wishes: str) -> RunSpec:
    return RunSpec(
        43, "labs.x", "docker", Path("/runs/x"), nodes, 1, gpus, attempt=attempt, request=Request(**wishes)
    )


def containers(text: str) -> list[list[str]]:
    return [
        shlex.split(line.removesuffix(" &")) for line in text.splitlines() if line.startswith("docker run")
    ]


def after(words: list[str], option: str) -> list[str]:
    return [words[place + 1] for place, word in enumerate(words) if word == option]


def test_two_nodes_meet_by_name_on_a_network_of_their_own(place: Launcher) -> None:
    text = place.render(spec(nodes=2))
    assert text.startswith("docker network create --internal ")
    other, first = containers(text)
    assert (after(first, "--hostname"), after(other, "--hostname")) == (["node0"], ["node1"])
    assert after(first, "--master") == after(other, "--master") == ["node0"]
    assert after(first, "--network") == after(other, "--network") == ["labs-run"]


def test_one_node_has_no_network(place: Launcher) -> None:
    (words,) = containers(place.render(spec()))
    assert after(words, "--network") == ["none"]


def test_mounts_are_the_run_to_write_and_labs_and_steps_to_read(
    place: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", "/weights")
    (words,) = containers(place.render(spec(attempt=Path("/work/lab43.py"))))
    labs = home.CHECKOUT / "labs"
    assert after(words, "--mount") == [
        "type=bind,source=/runs/x,target=/runs/x",
        f"type=bind,source={labs},target={labs},readonly",
        "type=bind,source=/work/lab43.py,target=/work/lab43.py,readonly",
        "type=bind,source=/weights,target=/weights,readonly",
    ]


def test_limits(place: Launcher) -> None:
    (words,) = containers(place.render(spec(memory="2g", shm="3g", cpus="1")))
    assert after(words, "--memory") == after(words, "--memory-swap") == ["2g"]
    assert (after(words, "--shm-size"), after(words, "--cpus")) == (["3g"], ["1"])
    assert "OMP_NUM_THREADS=1" in after(words, "--env")


def test_a_container_is_told_which_labs_it_runs(place: Launcher) -> None:
    (words,) = containers(place.render(spec()))
    assert {f"PYTHONPATH={home.CHECKOUT}", f"LABS_REVISION={home.revision()}"} <= set(after(words, "--env"))


@pytest.mark.usefixtures("gpus")
def test_nodes_share_the_gpus_and_none_is_given_twice(place: Launcher) -> None:
    second, first = containers(place.render(spec(nodes=2)))
    assert (after(first, "--gpus"), after(second, "--gpus")) == (['"device=0,1"'], ['"device=2,3"'])
    assert "labs:gpu" in first
    assert devices.options(spec(nodes=2), "podman", 1) == [
        "--device",
        "nvidia.com/gpu=2",
        "--device",
        "nvidia.com/gpu=3",
    ]


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


def test_an_engine_that_breaks_off_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    client, file = tmp_path / "docker", tmp_path / "labs.tar"
    client.write_text("#!/bin/sh\necho a part of it\necho the disk is gone >&2\nexit $1\n", encoding="utf-8")
    client.chmod(0o755)
    file.write_text("of yesterday", encoding="utf-8")
    with pytest.raises(UsageError, match="`docker 1` failed: the disk is gone"):
        engine.Engine(str(client)).write(file, "1")
    assert file.read_text(encoding="utf-8") == "of yesterday"
    assert sorted(tmp_path.iterdir()) == [client, file]
    engine.Engine(str(client)).write(file, "0")
    assert file.read_text(encoding="utf-8") == "a part of it\n"


def test_what_podman_does_not_know_is_not_said_to_it() -> None:
    by_podman, by_docker = (
        docker._network(spec(nodes=2), client, "x")[0] for client in ("/usr/bin/podman", "docker")
    )
    assert [word for word in by_docker if word not in by_podman] == [
        "--opt",
        "com.docker.network.bridge.inhibit_ipv4=true",
    ]


@pytest.mark.usefixtures("gpus")
def test_no_gpu_where_none_is_wanted(place: Launcher) -> None:
    (words,) = containers(place.render(spec(gpus="0")))
    assert "--gpus" not in words
    assert docker.image_of(spec(gpus="0")) == "labs:cpu"
    with pytest.raises(UsageError, match="GPUS=3 on 2 nodes is more than the 4 that this machine has"):
        place.check(spec(nodes=2, gpus="3"))
