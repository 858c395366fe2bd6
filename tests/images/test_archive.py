"""Images on the move: to a file and back, to a registry and back, into a folder for bwrap; and digests as a registry gives them."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from labs.errors import UsageError
from labs.launch import Request, RunSpec
from labs.launch import engine as engines
from labs.launch.slurm import runtime
from scripts.images import archive, pin
from tests.images.conftest import SCRIPT
from tests.images.programs import unpacked
from tests.images.registry import Registry, registry
from tests.images.stage import ROOT, Engine

WHO = os.geteuid() or 20001  # root becomes somebody without rights
# All that a package list needs to be read, of the labs' own image: a few megabytes that travel as the whole would.
SMALL = """
FROM {image} AS whole
FROM scratch
COPY --from=whole /usr/bin/cat /usr/bin/cat
COPY --from=whole /lib64/ld-linux-x86-64.so.2 /lib64/
COPY --from=whole /usr/lib/x86_64-linux-gnu/libc.so.6 /lib/
COPY --from=whole /opt/packages.txt /opt/packages.txt
LABEL number={number}
"""


def build(engine: Engine, name: str, image: str, number: int) -> str:
    builder, recipe = engines.Engine.find(building=True).client, SMALL.format(image=image, number=number)
    command = [builder, "build", "--quiet", "--tag", name, "-"]
    environment = os.environ | {"DOCKER_BUILDKIT": "1"}
    done = subprocess.run(command, input=recipe, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return id_of(engine, name)


def id_of(engine: Engine, name: str) -> str:
    return engine("image", "inspect", "--format", "{{.Id}}", name).strip()


@pytest.fixture
def small(engine: Engine, image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A small image in the place of labs:cpu."""
    name = "small:cpu"
    build(engine, name, image, 1)
    monkeypatch.setattr("labs.launch.image.name_of", "small:{}".format)
    yield name
    subprocess.run(["docker", "rmi", "--force", name], capture_output=True, check=False)


@pytest.fixture(scope="module")
def server(harness: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    program = unpacked(harness.HERE / "programs", "docker-registry", "usr/bin/docker-registry")
    with registry(tmp_path_factory.mktemp("registry"), program) as found:
        yield found


def test_a_saved_image_comes_back_the_same(engine: Engine, small: str, tmp_path: Path) -> None:
    id_, packages = id_of(engine, small), engine("run", "--rm", small, "cat", "/opt/packages.txt")
    archive.save("cpu", str(tmp_path / "away" / "labs.tar"))
    assert sorted(path.name for path in (tmp_path / "away").iterdir()) == ["labs.packages.txt", "labs.tar"]
    assert (tmp_path / "away" / "labs.packages.txt").read_text(encoding="utf-8") == packages
    assert "torch==" in packages
    engine("rmi", small)
    assert small not in engine("images", "--format", "{{.Repository}}:{{.Tag}}")
    archive.load(str(tmp_path / "away" / "labs.tar"))
    assert id_of(engine, small) == id_


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("words", [("save", "cpu", "labs.tar"), ("unpack", "cpu", "root")])
def test_stopped_half_way_it_leaves_nothing(engine: Engine, tmp_path: Path, words: tuple[str, ...]) -> None:
    process = start(tmp_path, *words)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert list(tmp_path.iterdir()) == []
    assert engine("ps", "--all", "--quiet") == ""


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    """Start a verb that writes into a folder, and return once a part of it is there."""
    before = set(folder.rglob("*"))
    process = subprocess.Popen([*SCRIPT, *words], cwd=folder, stderr=subprocess.DEVNULL, text=True)
    end = time.monotonic() + 60
    while not any(part.is_file() and part.stat().st_size for part in set(folder.rglob("*")) - before):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.02)
    return process


@pytest.mark.usefixtures("image", "engine_for_all")
def test_an_image_unpacked_runs_in_bwrap_and_belongs_to_who_unpacked_it(
    folder_for_all: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a person without rights, where root tests: they too could unpack it and run it."""
    assert shutil.which("bwrap"), "the harness installs bubblewrap"
    monkeypatch.setenv("LABS_HOME", str(folder_for_all / "home"))
    own, theirs = folder_for_all / "home", folder_for_all / "theirs"
    for home in (own, theirs):
        home.mkdir()
    if os.geteuid() == 0:
        os.chown(theirs, WHO, WHO)
    root = folder_for_all / "root"
    unpacked = as_person(
        "env",
        f"PYTHONPATH={ROOT}",
        f"LABS_HOME={theirs}",
        "/usr/bin/python3",
        *SCRIPT[1:],
        "unpack",
        "cpu",
        str(root),
    )
    assert unpacked.returncode == 0, unpacked.stderr
    assert f"run it with RUNTIME=bwrap IMAGE={root}" in unpacked.stderr
    assert {path.lstat().st_uid for path in root.rglob("*")} == {WHO}
    spec = RunSpec(1, "labs.x", "slurm", request=Request(image=str(root), runtime="bwrap"))
    runtime.check(spec)
    ran = as_person(
        *runtime.wrapped(
            spec,
            lambda python: [python, "-c", "import sys, torch; print(sys.prefix, torch.ones(2).sum().item())"],
        )
    )
    assert (ran.stdout, ran.stderr) == ("/opt/venv 2.0\n", "")


def as_person(*command: str) -> "subprocess.CompletedProcess[str]":
    none: list[int] = []
    group, groups = (WHO, none) if os.geteuid() == 0 else (None, None)
    return subprocess.run(
        command,
        user=WHO,
        group=group,
        extra_groups=groups,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_image_goes_to_a_registry_and_comes_back(engine: Engine, small: str, server: Registry) -> None:
    id_ = id_of(engine, small)
    archive.push("cpu", f"{server.name}/course/")
    there = f"{server.name}/course/{small}"
    assert there not in engine("images", "--format", "{{.Repository}}:{{.Tag}}")
    assert json.loads(server.manifest("course/small", "cpu")[0])["config"]["digest"] == id_
    engine("rmi", small)
    engine("pull", "--quiet", there)
    assert id_of(engine, there) == id_
    engine("rmi", there)


def test_a_registry_that_is_not_there_leaves_no_name_behind(engine: Engine, small: str) -> None:
    with pytest.raises(UsageError, match=r"`docker push` ended with status 1"):
        archive.push("cpu", "127.0.0.1:1/course")
    assert "127.0.0.1:1" not in engine("images", "--format", "{{.Repository}}")


def test_the_registry_listens_on_this_machine_alone(server: Registry) -> None:
    listening = subprocess.run(
        ["ss", "--listening", "--tcp", "--numeric", "--no-header"], capture_output=True, text=True, check=True
    ).stdout
    assert [
        line.split()[3] for line in listening.splitlines() if line.split()[3].endswith(f":{server.port}")
    ] == [server.name]


@pytest.fixture
def versions(engine: Engine, image: str, server: Registry, tmp_path: Path) -> Iterator[Path]:
    """versions.env with bases that come from our registry, each an image of its own."""
    text = pin.VERSIONS.read_text(encoding="utf-8")
    for number, name in enumerate(pin.BASES):
        there = f"{server.name}/bases/{name.lower()}:3.11"
        build(engine, there, image, number)
        engine("push", "--quiet", there)
        engine("rmi", "--force", there)
        text = "".join(
            f"{name}={there}\n" if line.startswith(f"{name}=") else line
            for line in text.splitlines(keepends=True)
        )
    file = tmp_path / "versions.env"
    file.write_text(text, encoding="utf-8")
    yield file
    engine(
        "rmi",
        "--force",
        *engine("images", "--format", "{{.Repository}}:{{.Tag}}", f"{server.name}/bases/*").split(),
    )


def test_digests_are_those_that_the_registry_gives(server: Registry, versions: Path) -> None:
    before = versions.read_text(encoding="utf-8")
    pin.pin(versions)
    expected = before
    for name in pin.BASES:
        tag = f"{server.name}/bases/{name.lower()}:3.11"
        expected = expected.replace(tag, f"{tag}@{server.manifest(f'bases/{name.lower()}', '3.11')[1]}")
    assert expected.count("@sha256:") == 2
    assert versions.read_text(encoding="utf-8") == expected
    pin.pin(versions)  # once more: from what is pinned already
    assert versions.read_text(encoding="utf-8") == expected


def test_no_digest_is_written_where_an_image_has_two(
    engine: Engine, server: Registry, versions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same image once more, under a manifest that is written with other blanks: another digest."""
    manifest = json.loads(server.manifest("bases/gpu_base", "3.11")[0])
    server.ask("PUT", "bases/gpu_base/manifests/other", json.dumps(manifest, indent=1).encode())
    other = f"{server.name}/bases/gpu_base:other"
    engine("pull", "--quiet", other)
    before = versions.read_text(encoding="utf-8")
    try:
        with pytest.raises(
            UsageError, match=r"names 2 digests for .*/bases/gpu_base:3\.11, and one is needed"
        ):
            pin.pin(versions)
    finally:
        engine("rmi", "--force", other)
    assert versions.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("name", ["docker.io/library/python:3.11-slim", "python", "docker.io/library/python"])
def test_a_repository_has_one_name(name: str) -> None:
    assert pin.repository(name) == "python"
    assert (
        pin.repository("127.0.0.1:5000/a/b:1") == pin.repository("127.0.0.1:5000/a/b") == "127.0.0.1:5000/a/b"
    )
