"""One host of the cluster: a set of namespaces, found again by any process through its first process's command line."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from scripts.slurm_cluster.people import ROOT as ROOT_USER
from scripts.slurm_cluster.people import Person
from scripts.slurm_cluster.trouble import ClusterError, bury, let_run

SCRIPT = Path(__file__).with_name("host.sh")
CHECKOUT = Path(__file__).resolve().parents[2]
HIDDEN = ("/tmp", "/root", "/home", "/run")  # a host has its own of these
READY_S = 10.0
PASSED_ON = ("PATH", "TERM", "LANG", "PYTHONPATH")


@dataclass(frozen=True)
class Host:
    """A host by its name and address. It is the cluster's folder that says which cluster it belongs to."""

    cluster: Path
    name: str
    address: str

    @property
    def folder(self) -> Path:
        return self.cluster / "hosts" / self.name

    @property
    def log(self) -> Path:
        """Where its daemons write."""
        return self.folder / "log" / "slurm"

    @property
    def outer_pid(self) -> int:
        """Return the pid, as the machine counts, of its first process. Raises ClusterError where the host is down."""
        found = inits(self.cluster, self.name)
        if not found:
            raise ClusterError(f"{self.name} is down")
        return found[0]

    @property
    def up(self) -> bool:
        return bool(inits(self.cluster, self.name))

    def start(self, gpus: int, cgroup: str) -> None:
        """Make its namespaces, and wait until its view of the machine is there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.log.mkdir(parents=True)
        spaces = [
            "--net",
            "--uts",
            "--ipc",
            "--pid",
            "--mount",
            "--fork",
            "--kill-child=KILL",
            "--mount-proc",
        ]
        words = ["bash", str(SCRIPT), str(self.cluster), self.name, str(gpus), cgroup, *kept_places()]
        let_run(["unshare", *spaces, *words], self.folder / "log" / "host.log")

    def wait(self) -> None:
        """Wait until `start` is through."""
        until = time.monotonic() + READY_S
        while not (self.folder / "ready").exists():
            if time.monotonic() > until or not inits(self.cluster, self.name, fresh=True):
                said = (self.folder / "log" / "host.log").read_text().strip().splitlines()
                raise ClusterError(f"{self.name} did not start: {said[-1] if said else 'it said nothing'}")
            time.sleep(0.01)

    def kill(self) -> None:
        """Switch it off: all that runs on it is gone, and nobody is told."""
        for pid in _starters(self.cluster, self.name) + inits(self.cluster, self.name):
            with_pid_gone(pid)

    def words(self, command: Sequence[str], user: Person = ROOT_USER, folder: Path | str = "/") -> list[str]:
        """Return the command that runs another one on this host, as somebody, in a folder."""
        spaces = ["--net", "--uts", "--ipc", "--pid", "--mount"]
        who = ["--setuid", str(user.uid), "--setgid", str(user.uid)] if user.uid else []
        return ["nsenter", "--target", str(self.outer_pid), *spaces, *who, f"--wd={folder}", "--", *command]

    def run(
        self, *command: str, user: Person = ROOT_USER, folder: Path | str = "/", input_: str = "", timeout: float | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a command on this host, to its end."""
        everything = environment_of(user, environment)
        return subprocess.run(
            self.words(command, user, folder),
            env=everything, text=True, capture_output=True, timeout=timeout, check=False, input=input_,
        )  # fmt: skip

    def ask(self, *command: str) -> str:
        """Run a command on this host for its output. Raises ClusterError where it fails."""
        done = self.run(*command)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()
            raise ClusterError(f"{command[0]} on {self.name} failed: {said[-1]}")
        return done.stdout


def environment_of(user: Person, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a login's environment: little of this process's own."""
    return (
        {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        | user.environment
        | dict(more or {})
    )


def kept_places() -> list[str]:
    """Return what all hosts must see at its own place although they hide the folder around it: the labs, and their Python."""
    places = {CHECKOUT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    return sorted(str(place) for place in places if any(place.is_relative_to(hidden) for hidden in HIDDEN))


def inits(cluster: Path, name: str = "", *, fresh: bool = False) -> list[int]:
    """Return the first processes of the hosts of a cluster, or of one. `fresh`: also those that are only on their way."""
    starting = _starters(cluster, name) if fresh else []
    return starting + _found(cluster, name, "bash")


def _starters(cluster: Path, name: str) -> list[int]:
    return _found(cluster, name, "unshare")


def _found(cluster: Path, name: str, program: str) -> list[int]:
    """Look for processes by their command line: nobody else's names host.sh and this cluster's folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if (
            str(SCRIPT.name) not in [Path(word).name for word in words]
            or process.info["status"] == psutil.STATUS_ZOMBIE
        ):
            continue
        rest = words[[Path(word).name for word in words].index(SCRIPT.name) + 1 :]
        if (
            Path(words[0]).name == program
            and rest[:1] == [str(cluster)]
            and (not name or rest[1:2] == [name])
        ):
            found.append(process.pid)
    return found


def with_pid_gone(pid: int) -> None:
    """Kill a process, and wait until it is gone."""
    try:
        process = psutil.Process(pid)
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return
    until = time.monotonic() + READY_S
    while time.monotonic() < until and _lives(process):
        time.sleep(0.005)
    bury()


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
