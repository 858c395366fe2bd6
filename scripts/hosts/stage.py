"""What the hosts stand on: a bridge, disks and processes in namespaces of their own, which all go when the stage goes."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from scripts.slurm_cluster import cgroups
from scripts.slurm_cluster.commands import ClusterError, start_detached, wait_for
from scripts.slurm_cluster.host import kill_and_wait

SCRIPT = Path(__file__).with_name("stage.sh")
NAMESPACES = ("--net", "--mount", "--pid")
OF_ITS_OWN = ("--fork", "--kill-child=KILL", "--mount-proc")
# 198.18.0.0/15 is set aside for tests of networks (RFC 2544, RFC 6890): nobody's real machines are there.
NETWORK = "198.18.78"
READY_S = 60.0  # a guard against hangs, on a busy machine


@dataclass(frozen=True)
class Stage:
    """A stage by its folder, which any process can find again."""

    folder: Path
    prefix = 24  # bits of the network's own in an address

    @property
    def group(self) -> str:
        """The control group that holds the hosts' own."""
        return self.folder.name

    @property
    def up(self) -> bool:
        return bool(self._pids("bash"))

    def address(self, number: int) -> str:
        return f"{NETWORK}.{number}"

    def start(self, hosts: Sequence[str]) -> None:
        """Set it up, with room for these hosts."""
        for group in (self.group, *(f"{self.group}/{host}" for host in hosts)):
            cgroups.make(group, hierarchies())
        script = ["bash", str(SCRIPT), str(self.folder), f"{self.address(1)}/{self.prefix}"]
        log = self.folder / "stage.log"
        started = start_detached(["unshare", *NAMESPACES, *OF_ITS_OWN, *script], log)
        what = "hosts cannot be had on this machine"
        wait_for(self.folder / "ready", started, log, what=what, bound_s=READY_S)

    def enter(self, command: Sequence[str], *namespaces: str) -> list[str]:
        """Return the command that runs another one on the hosts' network, from the machine's own folders and processes."""
        pids = self._pids("bash")
        if not pids:
            raise ClusterError("no hosts are up; start them with: make hosts-up")
        return ["nsenter", "--target", str(pids[0]), "--net", *namespaces, "--", *command]

    def end(self) -> None:
        """End all that is on it, and whatever of this machine still speaks with it, such as a kept connection of ssh."""
        inside = [pid for stage in self._pids("bash") for pid in _pids_on_the_network_of(stage)]
        for pid in self._pids("unshare") + self._pids("bash") + inside:
            kill_and_wait(pid)
        cgroups.remove(self.group, hierarchies())

    def _pids(self, program: str) -> list[int]:
        return [pid for pid in pids_with(str(SCRIPT), str(self.folder)) if _name_of(pid) == program]


def hierarchies() -> list[str]:
    """Return the trees of control groups of this machine, by their folders: many in version 1, one in version 2."""
    if (cgroups.MOUNT / "cgroup.procs").exists():
        return ["."]
    # cpu,cpuacct is one tree, which may be seen under three names.
    return [
        place.name
        for place in sorted(cgroups.MOUNT.iterdir())
        if (place / "cgroup.procs").exists() and not place.is_symlink()
    ]


def pids_with(*words: str) -> list[int]:
    """Return the living processes whose command line holds these words, one after another."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line, length = process.info["cmdline"] or [], len(words)
        at = [start for start in range(len(line)) if tuple(line[start : start + length]) == words]
        if at and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def _pids_on_the_network_of(stage: int) -> list[int]:
    """Return the processes that are on its network without being part of it."""
    network = os.stat(f"/proc/{stage}/ns/net").st_ino
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}/ns/net").st_ino == network and pid != os.getpid():
                found.append(pid)
    return found


def _name_of(pid: int) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        return Path(*psutil.Process(pid).cmdline()[:1]).name  # it has none while it becomes another program
    return ""
