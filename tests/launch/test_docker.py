"""What the docker launcher would say to an engine, as text. On a real engine: tests/images."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from labs import home
from labs.errors import UsageError
from labs.launch import LAUNCHERS, Request, RunSpec, devices, docker
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


def test_what_podman_does_not_know_is_not_said_to_it() -> None:
    by_podman, by_docker = (
        docker._network(spec(nodes=2), client, "x")[0] for client in ("/usr/bin/podman", "docker")
    )
    assert [word for word in by_docker if word not in by_podman] == [
        "--opt",
        "com.docker.network.bridge.inhibit_ipv4=true",
    ]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"memory": "lots"}, "MEMORY=lots is not possible; give a number with k, m or g, such as MEMORY=2g"),
        ({"shm": "1x"}, "SHM=1x is not possible; give a number with k, m or g, such as SHM=2g"),
        ({"cpus": "9999"}, "CPUS=9999 is more than this machine has\nask for"),
    ],
    ids=str,
)
def test_a_wish_that_cannot_be_met_is_refused(place: Launcher, wish: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        place.check(replace(spec(), request=Request(**wish)))


@pytest.mark.usefixtures("gpus")
def test_no_gpu_where_none_is_wanted(place: Launcher) -> None:
    (words,) = containers(place.render(spec(gpus="0")))
    assert "--gpus" not in words
    assert docker.image_of(spec(gpus="0")) == "labs:cpu"
    with pytest.raises(
        UsageError,
        match="GPUS=3 on 2 nodes is more than the 4 that this machine has\nleave GPUS out, or say GPUS=0",
    ):
        place.check(spec(nodes=2, gpus="3"))


def test_no_container_is_made_from_what_has_our_name_elsewhere(place: Launcher) -> None:
    for words in containers(place.render(spec(nodes=2))):
        assert after(words, "--pull") == ["never"]


def test_a_folder_may_have_a_comma_in_its_name(place: Launcher) -> None:
    (words,) = containers(place.render(replace(spec(), folder=Path("/my runs, all/x"))))
    assert after(words, "--mount")[0] == 'type=bind,"source=/my runs, all/x","target=/my runs, all/x"'
