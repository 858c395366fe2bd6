"""Show a job live: what its nodes print, why it waits, how it ended."""

import sys
import time
from pathlib import Path
from typing import Any

from labs import home
from labs.launch.slurm import cluster
from labs.launch.slurm.cluster import Job
from labs.launch.spec import noted_job
from labs.launch.tail import Tail, pump

LOOK_S = 0.2  # how often files are looked at; that costs the controller nothing
STDOUT, STDERR = 1, 2
TERMINATED, KILLED = 143, 137  # 128 + signal


def follow(folder: Path) -> int:
    """Show what the job of a run prints until it has ended, and return its exit status."""
    noted = noted_job(folder)
    nodes = range(int(noted["nodes"]))
    tails = [
        Tail(folder / "slurm" / f"node{node}.{kind}", STDERR if node or kind == "err" else STDOUT)
        for node in nodes
        for kind in ("out", "err")
    ]
    watch = _Watch(noted["id"])
    while not watch.job.ended:
        if not pump(tails):
            time.sleep(LOOK_S)
        watch.look(done=len(_notes(folder)) == len(nodes))
    while pump(tails):
        pass
    status, words = verdict(folder, watch.job)
    if words:
        print(f"exit {status}: {words}", file=sys.stderr)
    return status


class _Watch:
    """Asks the controller about a job, often at first and seldom later, and says what has changed."""

    def __init__(self, id_: str) -> None:
        self.id, self.begun, self.next, self.said = id_, time.monotonic(), 0.0, ""
        self.job = Job(id_, "PENDING", "None")

    def look(self, *, done: bool) -> None:
        """Ask, where it is time to. `done`: all nodes have noted their end, so that the job's own is near."""
        now = time.monotonic()
        if now < self.next and not done:
            return
        self.next = now + (0.5 if now - self.begun < 10 else 2.0 if self.job.state == "RUNNING" else 5.0)
        job = cluster.job(self.id)
        if job is None and done:
            job = Job(self.id, "COMPLETED")  # without accounting an ended job is forgotten after some minutes
        if job:
            self._say(job)
            self.job = job

    def _say(self, job: Job) -> None:
        if job.restarts > self.job.restarts:
            print(f"job {self.id} was requeued and begins again, from its last checkpoint where there is one", file=sys.stderr)
        words = f"waits: {job.waits}" if job.state == "PENDING" and job.reason not in ("", "None") else ""
        words = words or (f"runs on {job.nodes}" if job.state == "RUNNING" else "")
        if words and words != self.said:
            self.said = words
            print(f"job {self.id} {words}", file=sys.stderr)


def _notes(folder: Path) -> list[dict[str, Any]]:
    found = [home.read_json(path) | {"node": path.stem} for path in sorted((folder / "slurm").glob("node*.json"))]
    return [note for note in found if "status" in note]


def verdict(folder: Path, job: Job) -> tuple[int, str]:
    """Return the exit status of an ended job, and in words what ended it where its ranks have not said so themselves."""
    failed = sorted((note for note in _notes(folder) if note["status"]), key=lambda note: float(note["ended"]))
    where = f"{failed[0]['node']} (host {failed[0]['host']})" if failed else job.nodes
    match job.state:
        case "COMPLETED":
            return 0, ""
        case "OUT_OF_MEMORY":
            return KILLED, f"out of memory on {where}: ask for more with MEMORY="
        case "TIMEOUT" | "DEADLINE":
            return TERMINATED, "the job reached its time limit: ask for more with TIME="
        case "NODE_FAIL" | "BOOT_FAIL":
            return 1, f"a node failed under the job, one of {job.nodes}"
        case "CANCELLED":
            return TERMINATED, "the job was cancelled by somebody else's command, or by an administrator"
        case "PREEMPTED":
            return TERMINATED, "the job had to make room for one that goes first"
    if not failed:
        return 1, _unsaid(folder)
    status = int(failed[0]["status"])
    return status, f"{where} ended with status {status}" if status > 2 else ""


def _unsaid(folder: Path) -> str:
    """Return what Slurm itself noted of a job whose nodes said nothing."""
    lines = [
        line
        for path in sorted((folder / "slurm").glob("*_log.err"))
        for line in path.read_text(errors="replace").splitlines()
        if line.strip()
    ]
    if not lines:
        return f"the job left not even a log: do all nodes see {folder}? choose a folder that they share with LABS_HOME="
    return f"no node could start: {lines[-1].strip()} (more in {folder / 'slurm'})"
