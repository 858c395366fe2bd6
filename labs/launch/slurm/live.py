"""Show a job live: what its nodes print, why it waits, how it ended."""

import re
import sys
import time
from pathlib import Path
from typing import Any

from labs.files import read_json
from labs.launch.file_follower import FileFollower, pump
from labs.launch.slurm import cluster
from labs.launch.slurm.cluster import Job
from labs.launch.spec import noted_job

ACCOUNTED_S = 10.0  # an ended job may be unknown for so long: the controller has forgotten it, the accounting does not know yet
LOOK_S = 0.2  # how often files are looked at; that costs the controller nothing
STDOUT, STDERR = 1, 2
TERMINATED, KILLED = 143, 137  # 128 + signal


def follow(folder: Path) -> int:
    """Show what the job of a run prints until it has ended, and return its exit status."""
    noted = noted_job(folder)
    nodes = range(int(noted["nodes"]))
    followers = [
        FileFollower(folder / "slurm" / f"node{node}.{kind}", STDERR if node or kind == "err" else STDOUT)
        for node in nodes
        for kind in ("out", "err")
    ]
    watch = _Watch(noted["id"])
    while not watch.job.ended:
        if not pump(followers):
            time.sleep(LOOK_S)
        watch.look(done=len(_notes(folder)) == len(nodes))
    while pump(followers):
        pass
    status, words = verdict(folder, watch.job)
    if words:
        print(f"exit {status}: {words}", file=sys.stderr)
    return status


class _Watch:
    """Asks the controller about a job, often at first and seldom later, and says what has changed."""

    def __init__(self, id_: str) -> None:
        self.id, self.begun, self.next, self.lost_since, self.last_words = id_, time.monotonic(), 0.0, 0.0, ""
        self.job = Job(id_, "PENDING", "None")

    def look(self, *, done: bool) -> None:
        """Ask, where it is time to. `done`: all nodes have noted their end, so that the job's own is near."""
        now = time.monotonic()
        done = done and self.job.state == "RUNNING"  # the notes of an attempt before a requeue say nothing
        if now < self.next and not done:
            return
        self.next = now + (0.5 if now - self.begun < 10 else 2.0 if self.job.state == "RUNNING" else 5.0)
        job = cluster.job(self.id)
        if job is None:  # no controller answers: it will again
            return
        if job.state == cluster.LOST:
            self.lost_since = self.lost_since or now
            if now - self.lost_since < ACCOUNTED_S:
                return
        self._say(job)
        self.job = job

    def _say(self, job: Job) -> None:
        if job.restarts > self.job.restarts:
            dead = cluster.dead(self.job.nodes)
            why = f"{dead} failed" if dead else "it had to make room for another one, or somebody wished it"
            print(
                f"job {self.id} was requeued, since {why}; it begins again, from its last checkpoint where there is one",
                file=sys.stderr,
            )
        words = f"waits: {job.waits}" if job.state == "PENDING" and job.reason not in ("", "None") else ""
        words = words or (f"runs on {job.nodes}" if job.state == "RUNNING" else "")
        if words and words != self.last_words:
            self.last_words = words
            print(f"job {self.id} {words}", file=sys.stderr)


def _notes(folder: Path) -> list[dict[str, Any]]:
    notes = [read_json(path) | {"node": path.stem} for path in sorted((folder / "slurm").glob("node*.json"))]
    return [note for note in notes if "status" in note]


def verdict(folder: Path, job: Job) -> tuple[int, str]:
    """Return the exit status of an ended job, and in words what ended it where its ranks have not said so themselves."""
    failed = sorted((note for note in _notes(folder) if note["status"]), key=_cause_first)
    match job.state:
        case "COMPLETED":
            return 0, ""
        case "TIMEOUT" | "DEADLINE":
            return TERMINATED, "the job reached its time limit: ask for more with TIME="
        case "NODE_FAIL" | "BOOT_FAIL":
            return 1, f"a node failed under the job: {cluster.dead(job.nodes) or f'one of {job.nodes}'}"
        case "CANCELLED":
            return TERMINATED, "the job was cancelled by somebody else's command, or by an administrator"
        case "PREEMPTED":
            return TERMINATED, "the job had to make room for one that goes first"
        case cluster.LOST if len(_notes(folder)) == int(noted_job(folder).get("nodes", 0)) and not failed:
            return 0, ""  # it had ended well before Slurm forgot it
        case cluster.LOST if not failed or failed[0]["status"] == TERMINATED:
            return 1, "Slurm has lost the job: its controller was started anew without knowing it"
    noted = f"{failed[0]['node']} (host {failed[0]['host']})" if failed else ""
    where, seen = _seen_by_srun(folder, job)
    if job.state == "OUT_OF_MEMORY" or seen == "Out Of Memory":
        return KILLED, f"out of memory on {where or noted or job.nodes}: ask for more with MEMORY="
    if seen == "Killed" and where.split()[0] not in [note["node"] for note in _notes(folder)]:
        return KILLED, f"the starter of {where} was killed by signal 9 (SIGKILL)"
    if not failed:
        return 1, _unsaid(folder)
    status = int(failed[0]["status"])
    return status, f"{noted} ended with status {status}" if status > 2 else ""


def _cause_first(note: dict[str, Any]) -> tuple[bool, float]:
    """A rank that broke comes before those that failed since it was gone, or were ended for it: they may have been quicker to say so."""
    return note["status"] in (1, 2, TERMINATED), float(note["ended"])


def _seen_by_srun(folder: Path, job: Job) -> tuple[str, str]:
    """Return where a node's own task was ended from outside, and how; empty where none was. It could not note that itself."""
    for path in (folder / "slurm").glob(f"{job.id}_0_log.err"):
        ended = re.search(
            r"srun: error: (\S+): tasks? (\d+)\S*: (Killed|Out Of Memory)", path.read_text(errors="replace")
        )
        if ended:
            return f"node{ended[2]} (host {ended[1]})", ended[3]
    return "", ""


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
