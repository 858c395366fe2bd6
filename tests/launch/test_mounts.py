"""A person's files in containers, by engines of every kind. On a real engine: tests/images."""

import csv
import os
import socket
from pathlib import Path

import pytest

from labs.errors import UsageError
from labs.launch import mounts
from labs.launch.engine import Engine

PERSON = f"{os.getuid()}:{os.getgid()}"


@pytest.mark.parametrize(
    ("engine", "want"),
    [
        (Engine("docker"), ["--user", PERSON]),
        (Engine("docker", rootless=True), ["--user", "0:0"]),
        (Engine("docker", remaps=True), ["--user", PERSON, "--userns", "host"]),
    ],
)
def test_files_belong_to_the_person_by_every_engine(engine: Engine, want: list[str]) -> None:
    assert mounts.user(engine) == want


def test_podman_without_root_maps_the_person_to_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert mounts.user(Engine("podman", rootless=True))[2:] == ["--userns", "keep-id"]
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert mounts.user(Engine("podman"))[2:] == []


@pytest.mark.parametrize("name", ["plain", "a,b", 'with "quotes"', "two\nlines", "a:b", "readonly,source=c"])
def test_any_name_of_a_folder_reaches_the_engine(name: str) -> None:
    option, value = mounts.mount(Engine("docker"), Path("/runs", name))
    fields = next(csv.reader([value] if "\n" not in value else value.splitlines(keepends=True)))
    assert option == "--mount"
    assert fields == ["type=bind", f"source=/runs/{name}", f"target=/runs/{name}", "readonly"]


def test_podman_gets_a_comma_in_another_way() -> None:
    assert mounts.mount(Engine("podman"), Path("/a,b")) == ["--volume", "/a,b:/a,b:ro"]
    assert mounts.mount(Engine("podman"), Path("/a,b"), writable=True) == ["--volume", "/a,b:/a,b"]
    assert mounts.mount(Engine("podman"), Path("/a")) == ["--mount", "type=bind,source=/a,target=/a,readonly"]


def client(tmp_path: Path, script: str) -> str:
    path = tmp_path / "docker"
    path.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/said\n{script}\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


REFUSES = "echo 'invalid mount config: bind source path does not exist: /runs/x.' >&2; exit 125"


@pytest.mark.parametrize(
    ("traits", "script", "said"),
    [
        (
            {"host": "far"},
            REFUSES,
            "docker's engine runs on far, where {} of this machine is not to be had: "
            "invalid mount config: bind source path does not exist: /runs/x",
        ),
        ({"host": "far"}, "exit 1", "docker's engine runs on far, where {} of this machine is not to be had"),
        (
            {"remaps": True},
            "exit 1",
            "docker's engine maps users, and lets none of its containers write into {}",
        ),
        (
            {"rootless": True},
            "exit 1",
            "docker's engine maps users, and lets none of its containers write into {}",
        ),
    ],
)
def test_an_engine_that_does_not_have_the_folder_is_told_before_anything_runs(
    tmp_path: Path, traits: dict[str, str], script: str, said: str
) -> None:
    engine = Engine(client(tmp_path, script), **traits)  # type: ignore[arg-type]
    with pytest.raises(UsageError) as refused:
        mounts.require_written(engine, "labs:cpu", tmp_path)
    assert str(refused.value).splitlines() == [said.format(tmp_path), mounts.ADVICE]
    assert "--pull never" in (tmp_path / "said").read_text()
    assert not (tmp_path / mounts.MARK).exists()


def test_an_engine_that_has_it_is_taken_and_one_of_this_machine_is_not_even_asked(tmp_path: Path) -> None:
    made = client(tmp_path, 'for last; do :; done; test -w "$last"')
    mounts.require_written(Engine(made, host="far"), "labs:cpu", tmp_path)
    assert (tmp_path / "said").exists()
    (tmp_path / "said").unlink()
    mounts.require_written(Engine(made, host=socket.gethostname()), "labs:cpu", tmp_path)
    assert not (tmp_path / "said").exists()
