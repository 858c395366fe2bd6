"""Preflight: one rank, two nodes that really meet, and nodes that have a folder each."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labs.kit.distributed import preflight
from labs.kit.distributed.findings import Finding
from labs.kit.distributed.world import World
from tests.kit.distributed.hosts import Hosts, two_hosts

SIX, FOUR = ("2001:db8::1/64", "2001:db8::2/64"), ("198.18.7.1/24", "198.18.7.2/24")


def test_one_rank_alone_is_ready(tmp_path: Path) -> None:
    everybody, findings = preflight.examine(World(), tmp_path)
    assert len(everybody) == 1
    assert [finding.name for finding in findings if not finding.ok] == []


def test_two_nodes_meet_for_real(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "labs", "preflight", "--nodes", "2", "--json"]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "LABS_HOME": str(tmp_path)},
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["ready"] is True
    assert [(one["rank"], one["node"]) for one in found["ranks"]] == [(0, 0), (1, 1)]
    assert "all 2 met, on 2 nodes" in found["checks"][0]["found"]
    assert not (tmp_path / "runs").exists()


def test_nodes_that_have_a_folder_each_are_ready_where_that_is_meant(tmp_path: Path) -> None:
    """Two real nodes, each with a folder of its own, as two pods have."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32))
    for meant, status in (("--own-folders", 0), ("--json", 1)):
        nodes = [
            subprocess.Popen(
                [sys.executable, "-m", "labs.launch.node", "--nodes", "2", "--node", str(node), "--procs", "1", "--master", "127.0.0.1",
                 "--port", str(port), "--secret", str(secret), "--one-machine", "--",
                 "labs.kit.distributed.preflight", "--folder", str(tmp_path / str(node)), "--json", meant],
                stdout=subprocess.PIPE, text=True, stderr=subprocess.STDOUT,
            )
            for node in range(2)
        ]  # fmt: skip
        said = [node.communicate(timeout=60)[0] for node in nodes]
        assert [node.returncode for node in nodes] == [status] * 2, said
        (folder,) = [one for one in json.loads(said[0])["checks"] if one["name"] == "shared folder"]
        assert folder["ok"] is (status == 0)


def judged(hosts: Hosts, folder: Path, **environment: str) -> tuple[list[int], dict[str, Any]]:
    """Run preflight on both hosts, as Slurm would; return their exit statuses and what they found."""
    ranks = [
        hosts.begin(
            host, sys.executable, "-m", "labs.launch.node", "--nodes", "2", "--node", str(host), "--procs", "1",
            "--master", "host0", "--meet", str(folder / "port"), "--logs", str(folder), "--",
            "labs.kit.distributed.preflight", "--folder", str(folder), "--json",
            LABS_TIMEOUT="30", **environment,
        )
        for host in range(2)
    ]  # fmt: skip
    said = [rank.communicate(timeout=300)[0] for rank in ranks]
    assert "Traceback" not in "".join(said)
    return [rank.returncode for rank in ranks], json.loads(said[0][said[0].index("{") :])


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in found["checks"]}


@pytest.mark.parametrize("addresses", [SIX, FOUR], ids=["IPv6 alone", "IPv4"])
def test_two_hosts_are_ready_by_either_family_of_addresses(
    tmp_path: Path, addresses: tuple[str, str]
) -> None:
    with two_hosts(tmp_path, addresses) as hosts:
        statuses, found = judged(hosts, tmp_path)
    assert (statuses, found["ready"]) == ([0, 0], True), found
    assert by_name(found)["interface"]["found"] == "eth0 on host0, eth0 on host1"


def test_debians_127_0_1_1_is_no_matter_where_an_interface_is_named(tmp_path: Path) -> None:
    own_names = (FOUR[0], "127.0.1.1")
    with two_hosts(tmp_path, FOUR, own_names) as hosts:
        statuses, found = judged(hosts, tmp_path, GLOO_SOCKET_IFNAME="eth0")
    assert (statuses, found["ready"]) == ([0, 0], True), found


def test_an_interface_that_is_on_no_host_is_a_finding(tmp_path: Path) -> None:
    with two_hosts(tmp_path, FOUR) as hosts:
        statuses, found = judged(hosts, tmp_path, GLOO_SOCKET_IFNAME="ib0")
    assert (statuses, found["ready"]) == ([1, 1], False)
    said = by_name(found)
    assert said["interface"]["found"].startswith(
        "GLOO_SOCKET_IFNAME=ib0 names no network interface of this host (host0), which has: eth0, lo"
    )
    assert not said["all-reduce"]["ok"]
    assert said["versions"]["ok"]


def test_on_one_machine_a_name_of_another_ones_interface_is_no_matter(tmp_path: Path) -> None:
    for words in (["--nodes", "2"], ["--procs", "2"], []):
        ended = subprocess.run(
            [sys.executable, "-m", "labs", "preflight", "--launcher", "local", *words],
            capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, "LABS_HOME": str(tmp_path), "GLOO_SOCKET_IFNAME": "ib0", "NCCL_SOCKET_IFNAME": "=ib0"},
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "loopback on" in ended.stdout


def test_a_step_that_fails_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Finding:
        raise RuntimeError("[enforce fail at device.cc:84] no way out\nand a page of C++")

    monkeypatch.setattr(preflight, "_talk", fail)
    _, findings = preflight.examine(World(), tmp_path)
    (bad,) = [finding for finding in findings if not finding.ok]
    assert (bad.name, bad.found) == (
        "all-reduce",
        "rank 0 could not talk to the others: [enforce fail at device.cc:84] no way out",
    )


def test_ranks_that_do_not_meet_are_a_finding(tmp_path: Path) -> None:
    place = {
        "RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29599",
        "LABS_TIMEOUT": "1",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "labs.kit.distributed.preflight", "--folder", str(tmp_path), "--json"],
        env={**os.environ, **place}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    found = json.loads(ended.stdout)
    assert (ended.returncode, found["ready"], found["ranks"]) == (1, False, [])
    assert [check["name"] for check in found["checks"]] == ["ranks"]
    assert "Traceback" not in ended.stderr


def test_files_that_come_late_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network file system, which may keep a new file to itself for seconds."""
    world = World(rank=0, size=2, nodes=2)
    everybody = [{"node": 0}, {"node": 1}]
    (tmp_path / "seen-by-0").touch()
    monkeypatch.setattr(preflight, "SHOWN_S", 0.3)
    assert preflight._unseen(world, tmp_path, everybody, own_folders=False) == [1]
    monkeypatch.setattr(preflight, "SHOWN_S", 60.0)
    assert preflight._unseen(world, tmp_path, everybody, own_folders=True) == [1]
    monkeypatch.setattr("time.sleep", lambda _: (tmp_path / "seen-by-1").touch())
    assert preflight._unseen(world, tmp_path, everybody, own_folders=False) == []
