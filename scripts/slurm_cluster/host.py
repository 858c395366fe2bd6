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

from scripts.slurm_cluster.commands import ClusterError, reap, start_detached, wait_for
from scripts.slurm_cluster.people import ROOT as ROOT_USER
from scripts.slurm_cluster.people import Person

SCRIPT = Path(__file__).with_name("host.sh")
CHECKOUT = Path(__file__).resolve().parents[2]
HIDDEN = ("/tmp", "/root", "/home", "/run")  # a host has its own of these
READY_S = 60.0  # a guard against hangs, for a host and for each of its daemons, on a busy machine too
NAMESPACES = ("--net", "--uts", "--ipc", "--pid", "--mount")
OF_ITS_OWN = ("--fork", "--kill-child=KILL", "--mount-proc")
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
    def _console(self) -> Path:
        return self.folder / "log" / "host.log"

    @property
    def outer_pid(self) -> int:
        """Return the pid, as the machine counts, of its first process. Raises ClusterError where the host is down."""
        pids = init_pids(self.cluster, self.name)
        if not pids:
            raise ClusterError(f"{self.name} is down")
        return pids[0]

    @property
    def up(self) -> bool:
        return bool(init_pids(self.cluster, self.name))

    def start(self, gpus: int, cgroup: str) -> subprocess.Popen[bytes]:
        """Begin to make its namespaces and its view of the machine; `wait` for what this returns."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.log.mkdir(parents=True)
        script = ["bash", str(SCRIPT), str(self.cluster), self.name, str(gpus), cgroup, *paths_to_keep()]
        return start_detached(["unshare", *NAMESPACES, *OF_ITS_OWN, *script], self._console)

    def wait(self, started: subprocess.Popen[bytes]) -> None:
        """Wait until it is up."""
        what = f"{self.name} did not start"
        wait_for(self.folder / "ready", started, self._console, what=what, bound_s=READY_S)

    def kill(self) -> None:
        """Switch it off: all that runs on it is gone, and nobody is told."""
        for pid in _unshare_pids(self.cluster, self.name) + init_pids(self.cluster, self.name):
            kill_and_wait(pid)

    def command(
        self, command: Sequence[str], user: Person = ROOT_USER, folder: Path | str = "/"
    ) -> list[str]:
        """Return the command that runs another one on this host, as somebody, in a folder."""
        identity = ["--setuid", str(user.uid), "--setgid", str(user.uid)] if user.uid else []
        return [
            "nsenter",
            "--target",
            str(self.outer_pid),
            *NAMESPACES,
            *identity,
            f"--wd={folder}",
            "--",
            *command,
        ]

    def run(
        self, *command: str, user: Person = ROOT_USER, folder: Path | str = "/", input_: str = "", timeout: float | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a command on this host, to its end."""
        environ = environment_of(user, environment)
        return subprocess.run(
            self.command(command, user, folder),
            env=environ, text=True, capture_output=True, timeout=timeout, check=False, input=input_,
        )  # fmt: skip

    def ask(self, *command: str) -> str:
        """Run a command on this host for its output. Raises ClusterError where it fails."""
        done = self.run(*command)
        if done.returncode:
            lines = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()
            raise ClusterError(f"{command[0]} on {self.name} failed: {lines[-1]}")
        return done.stdout


def environment_of(user: Person, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a login's environment: little of this process's own."""
    return (
        {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        | user.environment
        | dict(more or {})
    )


def paths_to_keep() -> list[str]:
    """Return what all hosts must see under its own path although they hide the folder around it: the labs, and their Python."""
    paths = {CHECKOUT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    return sorted(str(path) for path in paths if any(path.is_relative_to(hidden) for hidden in HIDDEN))


def init_pids(cluster: Path, name: str = "", *, fresh: bool = False) -> list[int]:
    """Return the first processes of the hosts of a cluster, or of one. `fresh`: also those that are only on their way."""
    starting = _unshare_pids(cluster, name) if fresh else []
    return starting + _pids_of("bash", cluster, name)


def _unshare_pids(cluster: Path, name: str) -> list[int]:
    return _pids_of("unshare", cluster, name)


def _pids_of(program: str, cluster: Path, name: str) -> list[int]:
    """Look for processes by their command line: nobody else's names host.sh and this cluster's folder."""
    wanted = [str(cluster), *([name] if name else [])]
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and _runs_host_script(process.info["cmdline"] or [], program, wanted)
    ]


def _runs_host_script(command: list[str], program: str, first_arguments: list[str]) -> bool:
    names = [Path(word).name for word in command]
    if SCRIPT.name not in names or names[0] != program:
        return False
    arguments = command[names.index(SCRIPT.name) + 1 :]
    return arguments[: len(first_arguments)] == first_arguments


def kill_and_wait(pid: int) -> None:
    """Kill a process, and wait until it is gone."""
    try:
        process = psutil.Process(pid)
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and _lives(process):
        time.sleep(0.005)
    reap()


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
