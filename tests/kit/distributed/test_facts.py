"""What a rank sees of itself: both address families, where it keeps files, and what it could not look at."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from labs import cgroups, interfaces
from labs.kit.distributed import facts
from labs.kit.distributed.world import World


def test_a_look_that_fails_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise PermissionError(13, "Permission denied", "/sys/fs/cgroup")

    monkeypatch.setattr(cgroups, "memory", fail)
    monkeypatch.setattr(interfaces, "usable", fail)
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    (tmp_path / "file").touch()
    seen = facts.facts(World(), tmp_path / "file")
    assert seen["failures"]["memory"] == "/sys/fs/cgroup: Permission denied"
    assert "File exists" in seen["failures"]["shared folder"]
    assert {"memory", "interface", "shared folder"} <= seen["failures"].keys()
    assert seen["versions"]["torch"]


def test_a_host_is_known_by_addresses_of_both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::7%3", 0, 0, 3))
    four = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("198.18.0.2", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [six, six, four])
    assert facts.addresses_of("node0") == ["2001:db8::7", "198.18.0.2"]
    monkeypatch.setattr(interfaces, "usable", lambda: {"lo": ["::1"], "eth0": ["fe80::1", "2001:db8::7"]})
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    assert facts.interface_of(["2001:db8::7"]) == "eth0"
    assert facts.interface_of(["198.18.0.9"]) == ""


def test_a_name_that_nobody_knows_has_no_address() -> None:
    assert facts.addresses_of("no-such-host.invalid") == []


def test_where_tmpdir_is_no_good_the_place_is_seen_that_python_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", "/no/such/folder")
    assert facts.own_places()["TMPDIR"] == "/tmp"


def test_two_ranks_on_this_machine_are_on_one_machine() -> None:
    assert facts.machine() == facts.machine()
    if os.path.exists("/proc"):
        assert "net:[" in facts.machine()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            RuntimeError("\n[enforce fail] Unable to find address for: ib0\nmore"),
            "[enforce fail] Unable to find address for: ib0",
        ),
        (KeyError(), "KeyError"),
        (OSError("odd"), "odd"),
    ],
)
def test_an_exception_is_one_line(error: Exception, said: str) -> None:
    assert facts.in_one_line(error) == said
