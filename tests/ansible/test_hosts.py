"""The hosts themselves: they boot, keep their disks when the power goes, and leave nothing behind, whatever happens."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scripts.hosts.hosts import Hosts
from scripts.hosts.stage import hierarchies
from scripts.slurm_cluster import cgroups
from scripts.slurm_cluster.commands import ClusterError
from scripts.slurm_cluster.host import CHECKOUT
from tests.cluster.desk import until

NAME = "harness"  # another one than those of the other tests, so that all can be up
LIMIT_S = 600.0  # the first time a tree is made


def command(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.hosts", *words], cwd=CHECKOUT, env=os.environ | {"LABS_HOSTS": NAME},
        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process: subprocess.Popen[str], typed: str = "") -> tuple[int, str, str]:
    out, err = process.communicate(typed, timeout=LIMIT_S)
    return process.returncode, out, err


def traces() -> set[str]:
    """Return all that the hosts could leave on this machine: processes, mounts, links, control groups, files."""
    ours = f"labs-hosts-{NAME}"
    processes = {
        " ".join(process.info["cmdline"] or [])
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
    }
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    groups = [str(cgroups.MOUNT / tree / ours) for tree in hierarchies()]
    links = {path.name for path in Path("/sys/class/net").glob("vb-*")}
    return links | {
        *(line for line in [*processes, *mounts] if ours in line),
        *(place for place in [*groups, str(Hosts(NAME).folder)] if Path(place).exists()),
    }


@pytest.fixture
def own() -> Iterator[Hosts]:
    """Hosts of its own, down before and after."""
    hosts = Hosts(NAME)
    hosts.down()
    yield hosts
    Hosts(NAME).down()
    assert not traces()


def test_up_shell_and_down_leave_nothing(own: Hosts) -> None:
    status, _, err = ended(command("up"))
    assert status == 0, err
    assert traces(), "a test that cannot see hosts could not see what is left of them"
    status, out, _ = ended(command("shell", "node1"), "hostname; systemctl is-active ssh; exit 3\n")
    assert (status, out.split()) == (0, ["node1", "active"])
    status, _, err = ended(command("up"))
    assert (status, "are up already" in err) == (2, True), err
    status, _, err = ended(command("shell", "node9"))
    assert (status, "choose from: ctl" in err) == (2, True), err
    assert ended(command("down"))[0] == 0
    assert not traces()
    status, _, err = ended(command("shell", "node1"))
    assert (status, "switched off" in err) == (2, True), err


def test_a_power_cut_ends_all_but_the_disk(own: Hosts) -> None:
    own.up(owner=os.getpid())
    host = own.host("node1")
    host.ask(
        "sh",
        "-c",
        "echo kept > /etc/kept; echo lost > /run/lost; systemd-run --quiet --unit lost sleep 4321; systemctl is-active lost",
    )
    host.kill()
    with pytest.raises(ClusterError, match="node1 is switched off"):
        host.ask("true")
    own.switch_on([host])
    assert host.ask("cat", "/etc/kept") == "kept\n"
    assert host.run("sh", "-c", "test -e /run/lost || systemctl is-active lost").returncode != 0


def test_hosts_are_apart_from_the_machine_and_its_network(own: Hosts) -> None:
    own.up(owner=os.getpid())
    routes = own.host("node1").ask("ip", "-brief", "route")
    assert "default" not in routes
    assert not list(Path("/sys/class/net").glob("br0"))


@pytest.mark.parametrize("sign", ["hosts", "hosts/node1/console.log"])
def test_ctrl_c_leaves_nothing(own: Hosts, sign: str) -> None:
    first = command("up")
    until((own.folder / sign).exists, "them on their way", LIMIT_S)
    first.send_signal(signal.SIGINT)
    assert ended(first)[0] != 0
    assert not traces()


def test_after_a_kill_half_way_the_next_one_cleans_up(own: Hosts) -> None:
    first = command("up")
    until((own.folder / "hosts/node1/console.log").exists, "a host on its way", LIMIT_S)
    first.kill()
    first.communicate()
    status, _, err = ended(command("up"))
    assert status == 0, err
