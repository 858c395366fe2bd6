"""Interfaces that somebody named: there or not, on this machine or inside another."""

import os
import socket

import pytest

from labs import interfaces
from labs.launch import docker

THERE = {"lo": ["127.0.0.1", "::1"], "eth0": ["198.18.0.2"], "eth1": ["2001:db8::7"]}


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interfaces, "usable", lambda: THERE)
    for name in interfaces.OF_THIS_MACHINE:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "text", "good"),
    [
        ("GLOO_SOCKET_IFNAME", "eth0", True),
        ("GLOO_SOCKET_IFNAME", "eth0,eth1", True),
        ("GLOO_SOCKET_IFNAME", "eth", False),
        ("GLOO_SOCKET_IFNAME", "eth0,ib0", False),
        ("GLOO_SOCKET_IFNAME", ",", False),
        ("TP_SOCKET_IFNAME", "ib0", False),
        ("NCCL_SOCKET_IFNAME", "eth", True),
        ("NCCL_SOCKET_IFNAME", "ib,eth", True),
        ("NCCL_SOCKET_IFNAME", "=eth", False),
        ("NCCL_SOCKET_IFNAME", "=eth1", True),
        ("NCCL_SOCKET_IFNAME", "ib", False),
        ("NCCL_SOCKET_IFNAME", "^docker,lo", True),
        ("NCCL_SOCKET_IFNAME", "^=eth0", True),
        ("NCCL_SOCKET_IFNAME", "^lo,eth", False),
    ],
)
def test_a_name_is_held_against_those_that_are_there(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, good: bool
) -> None:
    monkeypatch.setenv(name, text)
    said = f"{name}={text} names no network interface of this host ({socket.gethostname()}), which has: eth0, eth1, lo"
    assert interfaces.trouble() == (None if good else said)


def test_nothing_named_is_no_trouble() -> None:
    assert interfaces.trouble() is None
    assert interfaces.named() == ""


def test_ranks_on_one_machine_meet_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    around = {"GLOO_SOCKET_IFNAME": "ib0", "TP_SOCKET_IFNAME": "ib0", "PATH": "/bin"}
    assert interfaces.on_one_machine(around) == {
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_SOCKET_IFNAME": "lo",
        "PATH": "/bin",
    }
    monkeypatch.setattr(interfaces, "usable", lambda: {"eth0": ["198.18.0.2"]})
    assert interfaces.on_one_machine(around) == {"PATH": "/bin"}


def test_a_process_can_be_kept_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TP_SOCKET_IFNAME", "ib0")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "ib0")
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "ib0")
    monkeypatch.delenv("NCCL_SOCKET_IFNAME")
    with interfaces.on_this_machine_alone():
        assert interfaces.named() == os.environ["NCCL_SOCKET_IFNAME"] == "lo"
        assert "TP_SOCKET_IFNAME" not in os.environ
    assert (os.environ["TP_SOCKET_IFNAME"], interfaces.named()) == ("ib0", "ib0")
    assert "NCCL_SOCKET_IFNAME" not in os.environ, "what is started later may be on other machines"


def test_loopback_leads_to_nobody_else() -> None:
    assert interfaces.is_loopback("lo")
    assert not interfaces.is_loopback("eth0")
    assert not interfaces.is_loopback("ib0")


def test_no_name_of_this_machine_is_handed_into_a_container_or_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in interfaces.OF_THIS_MACHINE:
        monkeypatch.setenv(name, "ib0")
    monkeypatch.setenv("NCCL_DEBUG", "INFO")
    handed = docker.set_by_the_person()
    assert handed["NCCL_DEBUG"] == "INFO"
    assert not interfaces.OF_THIS_MACHINE & handed.keys()


def test_what_is_usable_is_up_and_has_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    found = interfaces.usable()
    assert any("127.0.0.1" in addresses for addresses in found.values())
    assert all(found.values())
