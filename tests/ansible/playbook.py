"""Runs a playbook as an administrator does, and reads what it says of each host."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from scripts.hosts.hosts import Hosts
from scripts.slurm_cluster.host import CHECKOUT

FOLDER = CHECKOUT / "slurm" / "ansible"
HERE = Path(__file__).parent
PROGRAM = Path(sys.prefix) / "bin" / "ansible-playbook"
LIMIT_S = 2400.0  # a guard against hangs; the labs and their Python come over too
COUNTS = re.compile(r"^(\S+) +: (ok=\d+ .*)$", re.MULTILINE)


@dataclass(frozen=True)
class Played:
    """What became of a run: its status, all that it printed, and each host's counts, such as changed."""

    status: int
    text: str = field(repr=False)

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        found = COUNTS.findall(self.text.rpartition("PLAY RECAP")[2])
        return {
            host: {word.split("=")[0]: int(word.split("=")[1]) for word in counts.split()}
            for host, counts in found
        }

    @property
    def changed(self) -> int:
        """How many tasks changed something, on all hosts together."""
        return sum(counts["changed"] for counts in self.recap.values())

    @property
    def problems(self) -> list[str]:
        """What is wrong with the inventory and its hosts, as it says, sentence by sentence."""
        said = re.search(r"^TASK \[Say what is wrong\].*\n.*=> ?\n((?: +.*\n)+)", self.text, re.MULTILINE)
        assert said, self.text[-3000:]
        message = yaml.safe_load(said[1])["msg"]
        return message if isinstance(message, list) else message.splitlines()


def command(
    hosts: Hosts, name: str, *words: str, inventory: Path | None = None, **variables: object
) -> list[str]:
    """Return the command that runs a playbook on these hosts."""
    places = [folder / f"{name}.yml" for folder in (FOLDER, FOLDER / "playbooks", HERE)]
    playbook = next(place for place in places if place.exists())
    given = ["--extra-vars", json.dumps(variables)] if variables else []
    return hosts.stage.enter(
        [str(PROGRAM), "--inventory", str(inventory or hosts.inventory), *given, *words, str(playbook)]
    )


def environment(hosts: Hosts) -> dict[str, str]:
    """Return the environment of a run: nothing of the person's own Ansible counts, and nothing is left in their home."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return own | {
        "ANSIBLE_CONFIG": str(FOLDER / "ansible.cfg"),
        "ANSIBLE_HOME": str(hosts.folder / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
    }


def play(hosts: Hosts, name: str, *words: str, inventory: Path | None = None, **variables: object) -> Played:
    """Run a playbook to its end, with options and variables of this run alone."""
    done = subprocess.run(
        command(hosts, name, *words, inventory=inventory, **variables),
        env=environment(hosts), cwd=FOLDER, text=True, errors="replace", timeout=LIMIT_S, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return Played(done.returncode, done.stdout)
