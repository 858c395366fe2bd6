"""All hosts of an Ansible cluster: up, down, a power cut for all, and the inventory that names them."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from scripts.hosts import repository, tree
from scripts.hosts.debian import SUITES
from scripts.hosts.host import Host
from scripts.hosts.stage import READY_S, Stage
from scripts.slurm_cluster import packages
from scripts.slurm_cluster.commands import ClusterError, remove, run

STATE = Path("/var/lib")  # on disk: a host's files are many
NAMES = ("ctl", "desk", "node1", "node2", "node3")
FIRST = 11  # the last number of the first host's address
NEEDED = {
    "mmdebstrap": "/usr/bin/mmdebstrap",
    "systemd-container": "/usr/bin/systemd-nspawn",
    "dpkg-dev": "/usr/bin/dpkg-scanpackages",
    "openssh-client": "/usr/bin/ssh",
    "iproute2": "/usr/sbin/ip",
    "util-linux": "/usr/bin/nsenter",
}


class Hosts:
    """The hosts of a name. Any process can go on with those that another has started."""

    def __init__(self, name: str = os.environ.get("LABS_HOSTS", "labs")) -> None:
        if not name.isalnum():
            raise ClusterError(f"LABS_HOSTS={name} is not possible; give letters and digits")
        self.name, self.folder = name, STATE / f"labs-hosts-{name}"
        self.stage = Stage(self.folder)

    @property
    def all(self) -> list[Host]:
        return [
            Host(self.stage, name, self.stage.address(FIRST + number)) for number, name in enumerate(NAMES)
        ]

    @property
    def key(self) -> Path:
        """The private key that `admin` on every host lets in."""
        return self.folder / "key"

    @property
    def shared(self) -> Path:
        """The folder that all hosts see as /shared."""
        return self.folder / "shared"

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.ini"

    @cached_property
    def suite(self) -> str:
        """The suite of Debian that runs on them. Raises ClusterError where they are not up."""
        note = self._read_note()
        if not note:
            raise ClusterError("no hosts are up; start them with: make hosts-up")
        return str(note["suite"])

    def host(self, name: str) -> Host:
        """Return a host by its name."""
        hosts = {host.name: host for host in self.all}
        if name not in hosts:
            raise ClusterError(f"there is no host {name}; choose from: {', '.join(hosts)}")
        return hosts[name]

    def up(self, suite: str = "bookworm", owner: int = 0) -> None:
        """Boot all of them, bare. `owner`: the process whose end also ends its claim to them, 0 for nobody's."""
        packages.require_root()
        if suite not in SUITES:
            raise ClusterError(f"SUITE={suite} is not possible; choose from: {', '.join(SUITES)}")
        with self._lock():
            self._refuse_a_second()
            self._clean()
            try:
                self._make(suite)
            except BaseException:
                self._clean()
                raise
            note = {"suite": suite, "owner": owner}
            (self.folder / "up.json").write_text(json.dumps(note))

    def down(self) -> None:
        """End all of it; nothing is left but what saves time the next time."""
        with self._lock():
            self._clean()

    def power_cycle(self) -> None:
        """Cut the power of all hosts at once, and switch them on again."""
        for host in self.all:
            host.kill()
        self.switch_on(self.all)

    def switch_on(self, hosts: list[Host]) -> None:
        """Let these boot, and wait until one can log in on each."""
        files, repo = tree.of(self.suite), repository.of(self.suite)
        binds = [f"--bind-ro={repo}:{repository.PLACE}", f"--bind={self.shared}:/shared"]
        for host in hosts:
            host.switch_on(files, self.key.with_suffix(".pub"), binds)
        for host in hosts:
            _until(host.answers, host)

    def _make(self, suite: str) -> None:
        self.suite = suite
        tree.of(suite)
        repository.of(suite)
        self.shared.mkdir(parents=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "admin", "-f", str(self.key)])
        self.stage.start(NAMES)
        self.switch_on(self.all)
        known = (f"{host.address} {host.public_key()}\n" for host in self.all)
        (self.folder / "known_hosts").write_text("".join(known))
        self.inventory.write_text(self._inventory())

    def _inventory(self) -> str:
        address = {host.name: host.address for host in self.all}
        line = {name: f"{name} ansible_host={address[name]}" for name in NAMES}
        ssh = f"-o UserKnownHostsFile={self.folder}/known_hosts"
        return "\n".join([
            "[controller]", line["ctl"], "", "[login]", line["desk"], "", "[nodes]", line["node1"], line["node2"], "",
            "[all:vars]", "ansible_user=admin", f"ansible_ssh_private_key_file={self.key}", f'ansible_ssh_common_args="{ssh}"',
            # Others may have hosts at the same addresses: a kept connection of theirs would lead there.
            f"ansible_control_path_dir={self.folder}/ssh", "ansible_python_interpreter=/usr/bin/python3",
            f'base_apt_sources=["{repository.LINE}"]',
            "cluster_shared_folder=/shared", "shared_source=", "",
        ])  # fmt: skip

    def _read_note(self) -> dict[str, Any]:
        try:
            note: dict[str, Any] = json.loads((self.folder / "up.json").read_text())
        except (OSError, ValueError):
            return {}
        return note if self.stage.up else {}

    def _refuse_a_second(self) -> None:
        note = self._read_note()
        if note and (not note["owner"] or psutil.pid_exists(note["owner"])):
            raise ClusterError(f"the hosts {self.name} are up already\nend them with: make hosts-down")

    def _clean(self) -> None:
        """Remove whatever there is of them, whole or half."""
        self.stage.end()
        remove(self.folder)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let one command at a time change them. The kernel lets go of the name when its holder dies, and no file is left."""
        with socket.socket(socket.AF_UNIX) as held:
            try:
                held.bind(f"\0labs-hosts-{self.name}")
            except OSError:
                raise ClusterError(
                    f"another command starts or ends the hosts {self.name} right now\ntry again when it is done"
                ) from None
            yield


def _until(true: Callable[[], bool], host: Host) -> None:
    deadline = time.monotonic() + READY_S
    while not true():
        if time.monotonic() > deadline:
            raise ClusterError(f"nobody can log in on {host.name}: {host.last_words()}")
        time.sleep(0.1)
