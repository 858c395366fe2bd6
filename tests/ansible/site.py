"""A site: hosts, the inventory that an administrator wrote for them, all that Ansible said, and a person who logs in."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.hosts.hosts import Hosts
from scripts.slurm_cluster.commands import run
from tests.ansible.playbook import Played, play

LIMIT_S = 300.0  # for a lab on two busy nodes


class Site:
    """Hosts with an inventory, on which Ada is one of the people. `whole`: the playbook that does all; `said`: what was run."""

    def __init__(self, hosts: Hosts, folder: Path, whole: str, **variables: object) -> None:
        self.hosts, self.folder, self.whole, self.said = hosts, folder, whole, list[Played]()
        self.key = folder / "ada"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f", str(self.key)])
        person = {"name": "ada", "group": "course", "key": self.key.with_suffix(".pub").read_text().strip()}
        self.inventory = folder / "inventory.ini"
        given = {"users_people": [person], **variables}
        lines = (f"{name}={json.dumps(value)}\n" for name, value in given.items())
        self.inventory.write_text(hosts.inventory.read_text() + "".join(lines))

    def play(self, name: str, *words: str, **variables: object) -> Played:
        """Run a playbook with this inventory."""
        self.said.append(play(self.hosts, name, *words, inventory=self.inventory, **variables))
        return self.said[-1]

    def needs_the_labs(self) -> None:
        """Skip a test on hosts that do without them."""
        if self.whole != "site":
            pytest.skip("the wheels here are for another Python than these hosts have")

    def add_node(self, name: str) -> None:
        """Write one more node into the inventory."""
        line = f"{name} ansible_host={self.hosts.host(name).address}"
        self.inventory.write_text(self.inventory.read_text().replace("[all:vars]", f"{line}\n\n[all:vars]"))

    def drop_node(self, name: str) -> None:
        """Take a node out of the inventory that `add_node` wrote into it."""
        lines = self.inventory.read_text().splitlines(keepends=True)
        self.inventory.write_text("".join(line for line in lines if not line.startswith(f"{name} ")))

    def on(self, host: str, *command: str) -> str:
        """Run a command on a host, as root, and return what it prints."""
        return self.hosts.host(host).ask(*command)

    def nodes(self) -> dict[str, str]:
        """Return the state of each node, as Slurm's controller sees it."""
        lines = self.on("ctl", "sinfo", "--noheader", "--Node", "--format", "%N %T").splitlines()
        return dict(line.split() for line in lines)

    def state(self, job: str) -> str:
        """Return a job's state, as accounting keeps it."""
        return self.on(
            "ctl", "sacct", "--noheader", "--allocations", "--parsable2", "--format", "state", "--jobs", job
        ).strip()

    def as_ada(self, command: str) -> "subprocess.CompletedProcess[str]":
        """Let Ada run a command on the login host, over ssh."""
        return subprocess.run(
            self.hosts.stage.enter([*self._ssh(), f"ada@{self.hosts.host('desk').address}", command]),
            text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=LIMIT_S, check=False,
        )  # fmt: skip

    def submit(self, command: str, *options: str) -> str:
        """Let Ada submit a job, and return its id."""
        done = self.as_ada(f"sbatch --parsable {' '.join(options)} --wrap '{command}'")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _ssh(self) -> Sequence[str]:
        options = [
            "BatchMode=yes",
            f"UserKnownHostsFile={self.hosts.folder}/known_hosts",
            "IdentitiesOnly=yes",
        ]
        return ["ssh", "-i", str(self.key), *(word for option in options for word in ("-o", option))]
