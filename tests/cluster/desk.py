"""A person at the login node of the test cluster: starts things there, reads what they print, and presses Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from scripts.slurm_cluster import daemons
from scripts.slurm_cluster.cluster import Cluster
from scripts.slurm_cluster.host import CHECKOUT, Host, environment_of
from scripts.slurm_cluster.people import Person

HERE = Path(__file__).parent
SOON_S = 30.0  # for what takes a second or two on an idle machine
DAEMONS = ("bash", "sleep", "munged", "slurmd", "ps", "slurmd: ")


class Ended(NamedTuple):
    status: int
    out: str
    err: str


class Started:
    """A command that runs on the login node, with its output in two files that are read while it grows."""

    def __init__(self, words: Sequence[str], environment: dict[str, str], folder: Path) -> None:
        self._files = [folder / f"{time.monotonic_ns()}.{kind}" for kind in ("out", "err")]
        with self._files[0].open("wb") as out, self._files[1].open("wb") as err:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment
            )

    @property
    def out(self) -> str:
        return self._files[0].read_text(errors="replace")

    @property
    def err(self) -> str:
        return self._files[1].read_text(errors="replace")

    @cached_property
    def job(self) -> str:
        """Return the job's id, once the command has said it."""
        self.says(r"job \d+")
        found = re.search(r"job (\d+)", self.err)
        assert found
        return found[1]

    def says(self, pattern: str, limit_s: float = SOON_S) -> None:
        """Wait until it has said something, on either channel."""
        until(
            lambda: bool(re.search(pattern, self.out + self.err)),
            f"it says {pattern}",
            limit_s,
            lambda: self.out + self.err,
        )

    def send(self, number: int) -> None:
        """Send a signal to the command itself; its parent only leads into the namespaces."""
        for child in psutil.Process(self.process.pid).children():
            child.send_signal(number)

    def ended(self, limit_s: float = SOON_S) -> Ended:
        """Wait for its end."""
        until(
            lambda: self.process.poll() is not None, "the command's end", limit_s, lambda: self.out + self.err
        )
        return Ended(self.process.returncode, self.out, self.err)

    def close(self) -> None:
        """End what a failed test left."""
        if self.process.poll() is None:
            self.send(signal.SIGKILL)
            self.process.kill()
        self.process.wait()


class Desk:
    """A person at the login node. `notes` is where the stand-in's ranks write who they are."""

    def __init__(self, cluster: Cluster, person: Person, folder: Path) -> None:
        self.cluster, self.person, self.folder = cluster, person, folder
        self.home = (
            cluster.folder / "home" / person.name
        )  # as the machine sees it; on the cluster it is person.home
        self.notes = self.home / f"notes{time.monotonic_ns()}"
        self.notes.mkdir()
        os.chown(self.notes, person.uid, person.uid)
        self.started: list[Started] = []

    def start(self, *words: str, **environment: str) -> Started:
        """Start a command on the login node."""
        ours = {
            "PYTHONPATH": str(CHECKOUT),
            "STAND_IN_NOTES": f"{self.person.home}/{self.notes.name}",
            "OMP_NUM_THREADS": "1",
        }
        everything = environment_of(self.person, ours | environment)
        one = Started(self.cluster.login.command(words, self.person, CHECKOUT), everything, self.folder)
        self.started.append(one)
        return one

    def labs(self, *words: str, limit_s: float = SOON_S, **environment: str) -> Ended:
        """Run `labs`, to its end."""
        return self.begin_labs(*words, **environment).ended(limit_s)

    def begin_labs(self, *words: str, **environment: str) -> Started:
        return self.start(sys.executable, "-m", "labs", *words, **environment)

    def begin(
        self,
        verb: str,
        *,
        nodes: int = 2,
        procs: int = 1,
        gpus: str = "0",
        environment: dict[str, str] | None = None,
        **wishes: str,
    ) -> Started:
        """Start a stand-in lab, which does what the verb says."""
        sizes = {"nodes": nodes, "procs": procs, "gpus": gpus}
        asked = [json.dumps(sizes), json.dumps({"memory": "500M"} | wishes)]
        return self.start(sys.executable, str(HERE / "command.py"), *asked, verb, **(environment or {}))

    def ranks(self, count: int, limit_s: float = SOON_S) -> list[dict[str, Any]]:
        """Return the notes of so many ranks, once all are there."""
        files = [self.notes / f"rank{rank}.json" for rank in range(count)]
        until(
            lambda: all(file.exists() for file in files),
            f"{count} ranks",
            limit_s,
            lambda: "".join(one.err for one in self.started),
        )
        return [json.loads(file.read_text()) for file in files]

    def runs(self, lab: int = 99) -> list[Path]:
        """Return the run folders of a lab, as the machine sees them, from the oldest to the newest."""
        return sorted((self.home / "labs" / "runs" / f"lab{lab:02d}").glob("*"))

    def slurm(self, *words: str) -> str:
        """Ask Slurm as the administrator."""
        return self.cluster.controller.ask(*words)

    def forget_jobs(self, signal: str = "TERM") -> None:
        """Start the controller anew without any memory of jobs. New ones get other ids: nodes refuse one that they have seen."""
        newest = max(
            [0, *(int(word) for word in self.slurm("squeue", "-h", "--states=all", "-o", "%A").split())]
        )
        daemons.stop(self.cluster.controller, "slurmctld", signal)
        self.slurm("rm", "-f", "/var/spool/slurmctld/job_state", "/var/spool/slurmctld/job_state.old")
        conf = self.cluster.folder / "etc" / "slurm" / "slurm.conf"
        lines = [line for line in conf.read_text().splitlines() if not line.startswith("FirstJobId=")]
        conf.write_text("\n".join([*lines, f"FirstJobId={newest + 100}"]) + "\n")
        daemons.slurmctld(self.cluster.controller)

    def state(self, job: str) -> str:
        """Return what the controller says of a job."""
        found = re.search(r"JobState=(\S+)", self.slurm("scontrol", "show", "job", job, "--oneliner"))
        assert found
        return found[1]

    def on(self, node: Host, pattern: str) -> list[int]:
        """Return the processes of a node whose command line has a pattern, as the node counts."""
        found = node.run("pgrep", "-f", pattern).stdout.split()
        return [int(pid) for pid in found]

    def nothing_left(self, limit_s: float = SOON_S) -> None:
        """Wait until no node runs anything but its daemons. Fails the test where something stays."""
        until(lambda: not self._left(), "nothing left on any node", limit_s, lambda: str(self._left()))

    def _left(self) -> list[str]:
        found = []
        for node in [node for node in self.cluster.nodes if node.up]:
            lines = node.run("ps", "-e", "-o", "args=").stdout.splitlines()
            found += [
                f"{node.name}: {line}"
                for line in lines
                if not line.split("/")[-1].startswith(DAEMONS) and not line.startswith(DAEMONS)
            ]
        return [line for line in found if "host.sh" not in line]

    def close(self) -> None:
        """End all that this test has started, its jobs too."""
        for one in self.started:
            one.close()
        self.slurm("scancel", "--user", self.person.name)
        until(lambda: not self.slurm("squeue", "-h", "-u", self.person.name).strip(), "the end of its jobs")


def until(
    true: Callable[[], bool], what: str, limit_s: float = SOON_S, seen: Callable[[], str] = str
) -> None:
    """Wait until something has come true. Fails the test where it does not in time, and shows what was seen."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, f"waited {limit_s:g} s in vain for: {what}\n{seen()}"
        time.sleep(0.05)
