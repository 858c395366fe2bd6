"""What a node runs the lab in, as command lines. Two of the four run for real on the test cluster."""

from pathlib import Path

import pytest

from labs import home
from labs.errors import UsageError
from labs.launch import Request, RunSpec, image
from labs.launch.slurm import runtime

STARTER = ["-m", "labs.launch.node"]


def spec(name: str, image: str = "/images/labs", gpus: str = "0") -> RunSpec:
    return RunSpec(
        1, "labs.m1.lab01", "slurm", Path("/runs/x"), gpus=gpus, request=Request(runtime=name, image=image)
    )


def wrapped(name: str, gpus: str = "0") -> list[str]:
    return runtime.wrapped(spec(name, gpus=gpus), lambda python: [python, *STARTER])


@pytest.fixture
def own_home(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LABS_HOME", "/scratch/ada/labs")
    return "/scratch/ada/labs"


@pytest.mark.parametrize("name", ["bwrap", "apptainer", "pyxis"])
def test_a_container_runs_the_images_python_on_the_checkouts_labs(name: str, own_home: str) -> None:
    command = wrapped(name)
    told = [f"PYTHONPATH={home.CHECKOUT}", f"LABS_REVISION={home.revision()}"]
    assert command[-6:] == ["/usr/bin/env", *told, image.PYTHON, *STARTER]
    text = " ".join(command)
    assert own_home in text
    assert str(home.CHECKOUT) in text
    assert "/images/labs" in text


def test_none_runs_this_python() -> None:
    assert runtime.wrapped(spec("none", ""), lambda python: [python, *STARTER])[1:] == STARTER


def test_apptainer_whole(own_home: str) -> None:
    binds = f"{home.CHECKOUT},{own_home}"
    assert wrapped("apptainer", gpus="2")[:8] == [
        "apptainer",
        "exec",
        "--nv",
        "--bind",
        binds,
        "--pwd",
        str(home.CHECKOUT),
        "/images/labs",
    ]
    assert "--nv" not in wrapped("apptainer")


def test_pyxis_is_a_step_on_the_tasks_own_node(own_home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMD_NODENAME", "node2")
    assert wrapped("pyxis")[:9] == [
        "srun", "--overlap", "--nodes=1", "--ntasks=1", "--cpu-bind=none", "--nodelist=node2", "--container-image=/images/labs",
        f"--container-mounts={home.CHECKOUT}:{home.CHECKOUT},{own_home}:{own_home}", f"--container-workdir={home.CHECKOUT}",
    ]  # fmt: skip


def test_bwrap_gives_the_image_read_only_and_dies_with_its_task(own_home: str) -> None:
    command = wrapped("bwrap")
    assert command[:4] == ["bwrap", "--ro-bind", "/images/labs", "/"]
    assert "--die-with-parent" in command
    assert [command[place + 1] for place, word in enumerate(command) if word == "--bind"] == [
        str(home.CHECKOUT),
        own_home,
    ]


def test_bwrap_can_make_the_way_to_anybodys_folders_and_hides_nothing_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home" / "bob" / "labs").mkdir(parents=True)  # who unpacked it
    (tmp_path / "usr" / "lib").mkdir(parents=True)
    (tmp_path / "usr" / "lib" / "of.so").touch()
    checkout = tmp_path / str(home.CHECKOUT)[1:]
    checkout.mkdir(parents=True)
    for place, made in (("/home/ada/labs", ["/home"]), ("/usr/ada", []), ("/scratch/ada", [])):
        monkeypatch.setenv("LABS_HOME", place)
        command = runtime.wrapped(spec("bwrap", str(tmp_path)), lambda python: [python])
        found = [command[at + 1] for at, word in enumerate(command) if word == "--tmpfs"]
        assert found == ["/tmp", *made]
        assert made == [] or command.index("/home") < command.index("--bind"), "before what is mounted there"


@pytest.mark.parametrize(
    ("name", "image", "said"),
    [
        ("docker", "x", "RUNTIME=docker is not there; choose from: none, bwrap, apptainer, pyxis"),
        ("", "x", "IMAGE=x needs a runtime that can start it"),
        ("apptainer", "", "RUNTIME=apptainer needs an image"),
        (
            "apptainer",
            "docker://labs:cpu",
            "IMAGE=docker://labs:cpu is what an image is called here; of that name",
        ),
        ("pyxis", "labs:cpu", "IMAGE=labs:cpu is what an image is called here; of that name"),
        ("bwrap", "/nowhere", "IMAGE=/nowhere holds no /opt/venv/bin/python"),
    ],
)
def test_what_does_not_fit_together_is_refused(name: str, image: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        runtime.check(spec(name, image))


@pytest.mark.parametrize("name", ["apptainer", "pyxis"])
def test_an_image_of_a_registry_is_taken(name: str) -> None:
    runtime.check(spec(name, "registry.example.org/course/labs:cpu"))
