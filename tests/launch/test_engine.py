"""What is said of engines that are not there, or fail, or say nothing. On a real engine: tests/images."""

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
        (tmp_path / name).write_text("""#!/bin/sh\necho '{"host": {}}'\n""", encoding="utf-8")
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
@pytest.mark.parametrize("client_is_old", [False, True])
def test_why_an_engine_will_not_do_is_said(
    client: Client, answer: str, said: str, client_is_old: bool
) -> None:
    """Old clients succeed all the same, and put the reason among what they know themselves."""
    errors = json.dumps({"ID": "", "ServerErrors": [answer]})
    client(f"echo '{errors}'" if client_is_old else f"echo '{answer}' >&2; exit 1")
    with pytest.raises(UsageError, match=said):
        Engine.find()


def test_an_answer_that_nobody_understands_is_shown(client: Client) -> None:
    client("echo 'Please log in to your corporate container portal.'")
    with pytest.raises(UsageError, match="docker does not work here: Please log in to your corporate"):
        Engine.find()


def test_a_client_that_cannot_be_run_is_said(client: Client, tmp_path: Path) -> None:
    made = client("")
    (tmp_path / "docker").write_text("#!/no/such/shell\n")
    with pytest.raises(UsageError, match=f"{made.client} cannot be run: No such file or directory"):
        made.ask("ps")


@pytest.mark.parametrize(
    ("info", "want"),
    [
        ({"Name": "here", "SecurityOptions": ["name=seccomp,profile=default"]}, {}),
        ({"Name": "here", "SecurityOptions": None}, {}),
        ({"Name": "here", "SecurityOptions": ["name=rootless", "name=cgroupns"]}, {"rootless": True}),
        ({"Name": "here", "SecurityOptions": ["name=userns"]}, {"remaps": True}),
        ({"Name": "docker-desktop"}, {"host": "docker-desktop"}),
    ],
)
def test_an_engine_is_asked_what_it_is(client: Client, info: dict[str, Any], want: dict[str, Any]) -> None:
    made = client(f"echo '{json.dumps(info)}'")
    assert Engine.find() == Engine(made.client, **{"host": "here", **want})


def test_podman_is_asked_what_it_is() -> None:
    said = json.dumps({"host": {"hostname": "vm", "security": {"rootless": True}}})
    assert engine.read("/x/podman", 0, said, "") == Engine("/x/podman", rootless=True, host="vm")


def test_an_engine_of_another_name_may_be_elsewhere() -> None:
    assert [Engine("docker", host=name).is_elsewhere for name in ("", socket.gethostname(), "far")] == [
        False,
        False,
        True,
    ]


@pytest.fixture
def silent_socket(tmp_path: Path) -> Iterator[str]:
    """An engine's address where calls are taken, and never answered."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/s")
        server.listen()
        taken: list[socket.socket] = []
        over = threading.Event()

        def take() -> None:
            server.settimeout(0.1)
            while not over.is_set():
                try:
                    taken.append(server.accept()[0])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=take)
        thread.start()
        yield f"unix://{tmp_path}/s"
        over.set()
        thread.join()
        for one in taken:
            one.close()


@pytest.mark.skipif(not shutil.which("docker"), reason="there is no client of docker here")
def test_an_engine_that_takes_calls_and_never_answers_is_said(
    silent_socket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", silent_socket)
    monkeypatch.setattr(engine, "ANSWER_S", 1.0)
    monkeypatch.setattr(engine, "CLIENTS", ("docker", "docker"))
    with pytest.raises(UsageError) as refused:
        Engine.find()
    assert str(refused.value).splitlines() == [
        f"docker's engine (DOCKER_HOST={silent_socket}) says nothing: `docker info` had no answer within 1 s",
        "start it anew, or run the labs without it: LAUNCHER=local",
    ]


def test_another_engine_serves_where_one_is_silent(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, podman = client("sleep 5").client, tmp_path / "podman"
    shutil.copy(silent, podman)
    podman.write_text("#!/bin/sh\necho '{\"host\": {}}'\n")
    monkeypatch.setattr(engine, "CLIENTS", (silent, silent, str(podman)))
    monkeypatch.setattr(engine, "ANSWER_S", 0.2)
    assert Engine.find() == Engine(str(podman))


@pytest.mark.parametrize("verb", ["ask", "fact", "answer", "try_"])
def test_an_engine_that_falls_silent_on_the_way_holds_nobody_up(
    client: Client, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    made = client("sleep 5")
    monkeypatch.setattr(engine, "WORK_S", 0.2)
    words = ("labs:cpu", "{{.Size}}") if verb == "fact" else ("ps",)
    if verb in ("answer", "try_"):
        assert not getattr(made, verb)(*words)
        return
    with pytest.raises(
        engine.NoAnswer, match=r"says nothing: `docker (ps|image)` had no answer within 0.2 s"
    ):
        getattr(made, verb)(*words)


def test_an_engine_that_cannot_build_is_no_engine_for_building(client: Client) -> None:
    client('test "$1" != build && echo "{\\"Name\\": \\"here\\"}"')
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


@pytest.mark.parametrize(
    ("words", "last"),
    [
        ("docker: no such image.\nSee 'docker run --help'.\n", "docker: no such image"),
        ("docker: no such image\n\nRun 'docker run --help' for more information\n", "docker: no such image"),
        ("", "no reason given"),
    ],
)
def test_the_reason_is_what_stands_above_the_way_to_the_help(words: str, last: str) -> None:
    assert engine.last_line(words) == last
