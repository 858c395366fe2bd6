"""The cluster itself: it comes up, goes down without a trace, survives being killed half-way, and its nodes can have bad luck."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from scripts.slurm_cluster import cgroups, daemons, network, packages
from scripts.slurm_cluster.cluster import Cluster, Size
from scripts.slurm_cluster.commands import ClusterError
from scripts.slurm_cluster.host import CHECKOUT
from tests.cluster.desk import until

NAME = "harness"  # another one than that of the other tests, so that both can be up


def command(*words: str, **environment: str) -> subprocess.Popen[str]:
    everything = os.environ | {"SLURM_CLUSTER": NAME} | environment
    whole = [sys.executable, "-m", "scripts.slurm_cluster", *words]
    return subprocess.Popen(
        whole, cwd=CHECKOUT, env=everything, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def traces() -> set[str]:
    """Return all that a cluster could leave on this machine: processes, mounts, links, devices, cgroups, folders, files."""
    processes = {
        " ".join(process.info["cmdline"] or [])
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
    }
    ours = {line for line in processes if NAME in line and "host.sh" in line}
    mounts = {line for line in Path("/proc/self/mounts").read_text().splitlines() if NAME in line}
    links = {
        path.name for path in Path("/sys/class/net").glob("to-*")
    }  # others may make links of their own meanwhile
    devices = {str(path) for path in Path("/dev").glob("*gpu*")}
    groups = {str(path) for path in cgroups.MOUNT.glob(f"*/*{NAME}*")}
    return (
        ours
        | mounts
        | links
        | devices
        | groups
        | {str(path) for path in [Cluster(NAME).folder] if path.exists()}
    )


@pytest.fixture
def own() -> Iterator[Cluster]:
    """A small cluster of its own, down before and after."""
    one = Cluster(NAME)
    one.down()
    yield one
    Cluster(NAME).down()
    assert not traces()


def test_up_exec_and_down_leave_nothing(own: Cluster) -> None:
    status, _, err = ended(command("up", "--nodes", "2"))
    assert status == 0, err
    assert "a cluster of 2 nodes is up" in err
    assert traces(), "a test that cannot see a cluster could not see what is left of one"
    assert ended(command("exec", "srun -N2 hostname | sort; id -un")) == (0, "node1\nnode2\nada\n", "")
    assert ended(command("exec", "exit 3"))[0] == 3
    assert ended(command("exec", "--user", "nobody", "true"))[:1] == (2,)
    assert ended(command("down"))[0] == 0
    assert not traces()
    status, _, err = ended(command("exec", "sinfo"))
    assert (status, "no cluster is up" in err) == (2, True)


def test_a_second_one_is_refused(own: Cluster) -> None:
    first = command("up", "--nodes", "1")
    until(lambda: bool(traces()), "the first one on its way")
    status, _, err = ended(command("up", "--nodes", "1"))
    assert (status, "right now" in err) == (2, True), err
    assert ended(first)[0] == 0
    status, _, err = ended(command("up", "--nodes", "1"))
    assert (status, "is up already" in err, len(err.splitlines())) == (2, True, 2), err


@pytest.mark.parametrize("after_s", [0.3, 1.0, 2.5])
def test_after_a_kill_half_way_the_next_one_cleans_up(own: Cluster, after_s: float) -> None:
    first = command("up", "--nodes", "2")
    time.sleep(after_s)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    status, _, err = ended(command("up", "--nodes", "1"))
    assert status == 0, err


def test_ctrl_c_leaves_nothing(own: Cluster) -> None:
    first = command("up", "--nodes", "2")
    until(lambda: bool(traces()), "it on its way")
    first.send_signal(signal.SIGINT)
    assert ended(first)[0] != 0
    assert not traces()


def test_one_whose_owner_died_is_cleaned_up(own: Cluster) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    own.up(Size(nodes=1), owner=dead.pid)
    Cluster(NAME).up(Size(nodes=1))


def test_a_node_can_be_cut_off_healed_killed_and_restarted(own: Cluster) -> None:
    own.up(Size(nodes=2, gpus=0))
    node = own.node("node2")
    network.cut(own.controller, node)
    assert own.controller.run("ping", "-c1", "-W1", "node2").returncode != 0
    network.heal(own.controller, node)
    until(
        lambda: own.controller.run("bash", "-c", "exec 3<>/dev/tcp/node2/6818").returncode == 0,
        "node2 answers",
    )
    node.kill()
    assert not node.up
    own.start_node(node)
    daemons.wait_idle(own.controller, own.nodes)
    assert sorted(own.controller.ask("srun", "-N2", "hostname").split()) == ["node1", "node2"]
    with pytest.raises(ClusterError, match="there is no node node3; choose from: node1, node2"):
        own.node("node3")


def test_the_machine_knows_neither_the_people_nor_the_network(own: Cluster) -> None:
    own.up(Size(nodes=1))
    assert "ada" not in Path("/etc/passwd").read_text()
    assert (
        network.PREFIX
        not in subprocess.run(["ip", "addr"], capture_output=True, text=True, check=True).stdout
    )
    assert own.login.ask("id", "-un", "20001") == "ada\n"


DAEMON = "labs-stranger"


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """A package with a daemon, which Debian enables as it does others; gone from this machine afterwards."""
    tree = tmp_path / "tree"
    script = f"""#!/bin/sh
### BEGIN INIT INFO
# Provides: {DAEMON}
# Required-Start: $remote_fs
# Required-Stop: $remote_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
"""
    unit = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
    enabling = f"#!/bin/sh\ndeb-systemd-helper enable {DAEMON}.service\nupdate-rc.d {DAEMON} defaults\n"
    tidying = f"#!/bin/sh\ndeb-systemd-helper purge {DAEMON}.service\nupdate-rc.d {DAEMON} remove\n"
    control = f"Package: {DAEMON}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: a test\n"
    for place, text, mode in (
        (f"etc/init.d/{DAEMON}", script, 0o755),
        (f"lib/systemd/system/{DAEMON}.service", unit, 0o644),
        ("DEBIAN/postinst", enabling, 0o755),
        ("DEBIAN/postrm", tidying, 0o755),
        ("DEBIAN/control", control, 0o644),
    ):
        file = tree / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
    made = tmp_path / f"{DAEMON}.deb"
    subprocess.run(["dpkg-deb", "--build", tree, made], check=True, capture_output=True)
    yield made
    subprocess.run(["dpkg", "--purge", DAEMON], check=False, capture_output=True)


def starts_at_boot(name: str) -> list[str]:
    places = [
        *Path("/etc").glob(f"rc[2-5].d/S*{name}"),
        *Path("/etc/systemd/system").glob(f"*/{name}.service"),
    ]
    return [str(place) for place in places]


def test_what_is_installed_for_a_cluster_is_not_left_enabled_at_boot(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt_get = packages._apt_get
    enabled: list[str] = []

    def offline(verb: str, *options: str) -> None:
        if verb == "install":
            apt_get(verb, *options)
            enabled.extend(starts_at_boot(DAEMON))

    monkeypatch.setattr(packages, "_apt_get", offline)
    packages.install(yes=True, needed={str(package): "/nowhere"})
    assert enabled, "a test in which nothing was enabled could not see that it is disabled"
    assert starts_at_boot(DAEMON) == []


STRANGER = "labs-stranger"
FILE = Path("/etc", STRANGER)


@pytest.fixture
def stranger() -> Iterator[Callable[[], None]]:
    """What gives the machine a user and a file, as a package may while a cluster is up; both are gone afterwards."""

    def comes() -> None:
        subprocess.run(["useradd", "--system", STRANGER], check=True)
        FILE.touch()

    yield comes
    subprocess.run(["userdel", STRANGER], stderr=subprocess.DEVNULL, check=False)
    FILE.unlink(missing_ok=True)


def test_what_the_machine_gets_meanwhile_changes_nothing_in_a_running_cluster(
    own: Cluster, stranger: Callable[[], None]
) -> None:
    own.up(Size(nodes=1))
    stranger()
    own.node("node1").kill()
    own.start_node(own.node("node1"))
    daemons.wait_idle(own.controller, own.nodes)
    for host in (own.controller, own.login, *own.nodes):
        assert host.ask("id", "-un", "20001") == "ada\n"
        assert host.run("id", STRANGER).returncode != 0
        assert host.run("ls", str(FILE)).returncode != 0
    assert own.login.run("srun", "id", "-un", user=own.people[0]).stdout == "ada\n"


def test_what_a_host_writes_into_its_etc_is_its_own(own: Cluster, stranger: Callable[[], None]) -> None:
    own.up(Size(nodes=1))
    own.login.ask("touch", str(FILE))
    assert own.controller.run("ls", str(FILE)).returncode != 0
    assert not FILE.exists()
    names = own.login.ask("cat", "/etc/hostname") if Path("/etc/hostname").exists() else "login\n"
    assert names == own.login.ask("hostname") == "login\n"


def test_what_a_cluster_cannot_have_is_refused() -> None:
    for words in (
        ["up", "--nodes", "0"],
        ["up", "--nodes", "99"],
        ["up", "--gpus", "-1"],
        ["node", "burn", "node1"],
        ["nothing"],
    ):
        status, _, err = ended(command(*words))
        assert (status, "Traceback" in err) == (2, False), words
    status, _, err = ended(command("up", SLURM_CLUSTER="../x"))
    assert (status, "Traceback" in err) == (2, False), err
