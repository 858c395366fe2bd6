"""The whole cluster: up, down, and one node's bad luck."""

import json
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from scripts.slurm_cluster import accounting, cgroups, config, daemons, network, packages
from scripts.slurm_cluster.commands import ClusterError, remove, run
from scripts.slurm_cluster.host import Host, init_pids, kill_and_wait
from scripts.slurm_cluster.people import Person, make_people, write_accounts

STATE = Path("/var/lib")  # on disk, and in no folder that a host hides
SYSTEM_HOSTS = ("ctl", "login")  # before the nodes, in the order of their addresses


@dataclass(frozen=True)
class Size:
    """How large a cluster is."""

    nodes: int = 3
    gpus: int = 2
    users: int = 3
    cores: int = os.cpu_count() or 1
    mib: int = 4000


class Cluster:
    """A cluster by its name. Any process can go on with one that another has started."""

    def __init__(self, name: str = os.environ.get("SLURM_CLUSTER", "labs")) -> None:
        if not name.isalnum():
            raise ClusterError(f"SLURM_CLUSTER={name} is not possible; give letters and digits")
        self.name, self.folder = name, STATE / f"labs-slurm-{name}"

    @cached_property
    def size(self) -> Size:
        """Return its size. Raises ClusterError where it is not up."""
        note = self._read_note()
        if not note:
            raise ClusterError("no cluster is up; start one with: make slurm-up NODES=3")
        return Size(**note["size"])

    @property
    def controller(self) -> Host:
        return self._host("ctl", 0)

    @property
    def login(self) -> Host:
        return self._host("login", 1)

    @property
    def nodes(self) -> list[Host]:
        return [
            self._host(f"node{number}", len(SYSTEM_HOSTS) + number - 1)
            for number in range(1, self.size.nodes + 1)
        ]

    @property
    def people(self) -> list[Person]:
        return make_people(self.size.users)

    def node(self, name: str) -> Host:
        """Return a node by its name."""
        nodes = {node.name: node for node in self.nodes}
        if name not in nodes:
            raise ClusterError(f"there is no node {name}; choose from: {', '.join(nodes)}")
        return nodes[name]

    def up(self, size: Size, owner: int = 0) -> None:
        """Start all of it. `owner`: the process whose end also ends its claim to the cluster, 0 for nobody's."""
        packages.require_root()
        with self._lock():
            self._refuse_a_second()
            self._clean()
            try:
                self._make(size)
            except BaseException:
                self._clean()
                raise
            note = {"size": asdict(size), "owner": owner}
            (self.folder / "up.json").write_text(json.dumps(note))

    def down(self) -> None:
        """End all of it; nothing is left."""
        with self._lock():
            self._clean()

    def start_node(self, node: Host) -> None:
        """Switch a node on, also one that was killed."""
        self._start([node])
        daemons.munged(node)
        daemons.slurmd(node)

    def _make(self, size: Size) -> None:
        self.size = size
        self._write_files()
        self._start([self.controller])
        daemons.munged(self.controller)
        with ThreadPoolExecutor(1) as pool:
            controlled = pool.submit(self._start_controller)
            self._start([self.login, *self.nodes])
            for host in [self.login, *self.nodes]:
                daemons.munged(host)
            controlled.result()
        for node in self.nodes:
            daemons.slurmd(node)
        daemons.wait_idle(self.controller, self.nodes)

    def _start_controller(self) -> None:
        """Start what the nodes report to. People come before slurmctld: it could miss those who come while it starts."""
        accounting.start_database(self.controller, self._password)
        accounting.start_slurmdbd(self.controller)
        accounting.register(self.controller, self.name, self.people)
        daemons.slurmctld(self.controller)

    def _start(self, hosts: list[Host]) -> None:
        group = self._cgroup if cgroups.kind() == "v1" else ""
        if group:
            cgroups.make(group)
        started = [(host, host.start(self.size.gpus, group)) for host in hosts]
        for host, process in started:
            host.wait(process)
            if host.name == "ctl":
                network.make_bridge(host)
            else:
                network.connect(self.controller, host)

    def _write_files(self) -> None:
        self.folder.mkdir(parents=True)
        self._copy_etc()
        for part in ("etc/slurm", "home", "hosts", "gpus"):
            (self.folder / part).mkdir()
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(128))
        (self.folder / "munge.key").chmod(0o400)
        write_accounts(self.folder / "etc", self.people)
        for person in self.people:
            home = self.folder / "home" / person.name
            home.mkdir(mode=0o700)
            os.chown(home, person.uid, person.uid)
        hosts = [self.controller, self.login, *self.nodes]
        lines = ["127.0.0.1 localhost", *(f"{host.address} {host.name}" for host in hosts)]
        (self.folder / "etc" / "hosts").write_text("\n".join(lines) + "\n")
        for name in (*config.FILES, "slurmdbd.conf"):
            (self.folder / "etc" / "slurm" / name).write_text(config.render(name, self._values()))
        secret = self.folder / "etc" / "slurm" / "slurmdbd.conf"
        shutil.chown(secret, "slurm", "slurm")
        secret.chmod(0o600)

    def _copy_etc(self) -> None:
        """Copy the machine's /etc as it is now, for hosts that are started, or restarted, at any time. Its own Slurm stays out."""
        run(["cp", "-a", "/etc", str(self.folder / "etc")], what="copying /etc")
        shutil.rmtree(self.folder / "etc" / "slurm", ignore_errors=True)
        (self.folder / "etc" / "hosts").unlink(missing_ok=True)  # it may be a link to a file elsewhere

    @cached_property
    def _password(self) -> str:
        return accounting.new_password()

    def _values(self) -> dict[str, Any]:
        size = self.size
        nodes = [
            {
                "name": node.name,
                "address": node.address,
                "cores": size.cores,
                "mib": size.mib,
                "features": [f"n{number}"],
                "gpus": self._gpus,
            }
            for number, node in enumerate(self.nodes, 1)
        ]
        return {
            # As by default, and as on most clusters: jobs start there also where a node's own name leads to loopback.
            "listens_everywhere": True,
            "slurm_version": config.version(), "cluster_name": self.name, "accounting": True, "database_password": self._password,
            "controller": {"name": self.controller.name, "address": self.controller.address},
            "nodes": nodes, "partitions": config.PARTITIONS, "cgroups": cgroups.kind(), "seconds": config.SECONDS,
            "scheduler": config.SCHEDULER, "default_mib_per_core": size.mib // (2 * size.cores), "lines": [],
        }  # fmt: skip

    @property
    def _gpus(self) -> list[dict[str, Any]]:
        """Return a node's GPUs, as runs of one type."""
        count = self.size.gpus
        return (
            [{"type": "fake", "count": count, "files": f"{self.folder}/gpus/gpu[0-{count - 1}]"}]
            if count
            else []
        )

    def _host(self, name: str, index: int) -> Host:
        return Host(self.folder, name, network.address(index))

    @property
    def _cgroup(self) -> str:
        return f"labs-slurm-{self.name}"

    def _read_note(self) -> dict[str, Any]:
        try:
            note: dict[str, Any] = json.loads((self.folder / "up.json").read_text())
        except (OSError, ValueError):
            return {}
        return note if init_pids(self.folder, "ctl") else {}

    def _refuse_a_second(self) -> None:
        note = self._read_note()
        if note and (not note["owner"] or psutil.pid_exists(note["owner"])):
            nodes = note["size"]["nodes"]
            raise ClusterError(
                f"a cluster {self.name} of {nodes} nodes is up already\nend it with: make slurm-down"
            )

    def _clean(self) -> None:
        """Remove whatever there is of this cluster, whole or half."""
        for pid in init_pids(self.folder, fresh=True):
            kill_and_wait(pid)
        if cgroups.kind() == "v1":
            cgroups.remove(self._cgroup)
        remove(self.folder)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let one command at a time change the cluster. The kernel lets go of the name when its holder dies, and no file is left."""
        with socket.socket(socket.AF_UNIX) as held:
            try:
                held.bind(f"\0labs-slurm-{self.name}")
            except OSError:
                raise ClusterError(
                    f"another command starts or ends the cluster {self.name} right now\ntry again when it is done"
                ) from None
            yield


def say(text: str) -> None:
    """Tell the person what goes on."""
    print(text, file=sys.stderr)
