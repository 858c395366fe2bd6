"""Show a job live: what its nodes print, why it waits, how it ended."""

import errno
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from labs.files import read_json
from labs.launch.file_follower import FileFollower, pump
from labs.launch.slurm import accounting, cluster
from labs.launch.slurm.cluster import Job
from labs.launch.spec import State, noted_job
from labs.launch.states import end, noted_end

SILENT_S = (
    30.0  # when all nodes have noted their ends, a controller that does not answer is waited for so long
)
NODE_FAILED = ("NODE_FAIL", "BOOT_FAIL")
ACCOUNTED_S = 10.0  # an ended job may be unknown for so long: the controller has forgotten it, the accounting does not know yet
PROMPT_S = 0.2  # an answer that comes so soon is waited for
LOOK_S = 0.2  # how often files are looked at; that costs the controller nothing
STDOUT, STDERR = 1, 2
FULL_BYTES = 2**16
FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
TERMINATED, KILLED = 143, 137  # 128 + signal


def follow(folder: Path, *, insist: bool = True) -> int:
    """Show what the job of a run prints until it has ended, and return its exit status.

    Where no controller answers, it is waited for as long as the job may go on; without `insist` only what is there is shown.
    """
    noted = noted_job(folder)
    nodes = range(int(noted["nodes"]))
    followers = [
        FileFollower(folder / "slurm" / f"node{node}.{kind}", STDERR if node or kind == "err" else STDOUT)
        for node in nodes
        for kind in ("out", "err")
    ]
    before = noted_end(folder)
    state = before or _followed(folder, noted["id"], followers, insist)
    while pump(followers):
        pass
    if state.detail and state.status:
        print(f"exit {state.status}: {state.detail}", file=sys.stderr)
    if state.ended and not before and (taken := accounting.summary(noted["id"])):
        print(taken, file=sys.stderr)
    return state.status


def _followed(folder: Path, id_: str, followers: Sequence[FileFollower], insist: bool) -> State:
    """Show what comes until the job has ended; note its end, and return it."""
    watch, nodes = _Watch(id_), int(noted_job(folder)["nodes"])
    while not watch.job.ended:
        if not pump(followers):
            time.sleep(LOOK_S)
        done = len(_notes(folder, watch.job)) == nodes
        watch.look(done=done)
        if watch.silent and not (insist or watch.answered):
            return State(id_, "unknown", f"Slurm does not answer; job {id_} may go on: labs status", status=2)
        if done and watch.silent_s > SILENT_S:  # of the job's end its nodes know enough
            return ended(folder, Job(id_, cluster.LOST))
    failed = cluster.dead(watch.job.nodes) if watch.job.state in NODE_FAILED else ""
    state = ended(folder, watch.job, failed)
    end(folder, state)
    return state


def ended(folder: Path, job: Job, failed_nodes: str = "") -> State:
    """Return the state of a run whose job has ended: where it ran, or what went wrong where that is not said by its ranks."""
    status, words = verdict(folder, job, failed_nodes)
    return State(job.id, job.state.lower(), words if status else job.nodes, ended=True, status=status)


class _Question:
    """A question about a job that does not hold up whoever asks: a controller may take its time, and the nodes go on printing."""

    def __init__(self, id_: str) -> None:
        self.answer: Job | None = None
        self._thread = Thread(target=self._ask, args=[id_], daemon=True)
        self._thread.start()

    def _ask(self, id_: str) -> None:
        self.answer = cluster.job(id_)

    def is_answered(self, within_s: float) -> bool:
        self._thread.join(within_s)
        return not self._thread.is_alive()


class _Watch:
    """Asks the controller about a job, often at first and seldom later, and says what has changed."""

    def __init__(self, id_: str) -> None:
        self.id, self.begun, self.next, self.lost_since, self.last_words = id_, time.monotonic(), 0.0, 0.0, ""
        self.job = Job(id_, "PENDING", "None")
        self.answered, self.silent_since = False, 0.0
        self.question: _Question | None = None

    @property
    def silent(self) -> bool:
        """Tell whether the last question got no answer."""
        return self.silent_since > 0

    @property
    def silent_s(self) -> float:
        return time.monotonic() - self.silent_since if self.silent else 0.0

    def look(self, *, done: bool) -> None:
        """Ask, where it is time to. `done`: all nodes have noted their end, so that the job's own is near."""
        now = time.monotonic()
        done = done and self.job.state == "RUNNING"  # the notes of an attempt before a requeue say nothing
        if self.question is None:
            if now < self.next and not done:
                return
            self.next = now + (0.5 if now - self.begun < 10 else 2.0 if self.job.state == "RUNNING" else 5.0)
            self.question = _Question(self.id)
        if not self.question.is_answered(PROMPT_S):
            return
        job, self.question = self.question.answer, None
        if job is None:  # no controller answers: it will again
            self._note_silence()
            return
        self.answered, self.silent_since = True, 0.0
        if job.state == cluster.LOST:
            self.lost_since = self.lost_since or now
            if now - self.lost_since < ACCOUNTED_S:
                return
        self._say(job)
        self.job = job

    def _note_silence(self) -> None:
        if self.answered and not self.silent:
            print(
                f"Slurm does not answer now; job {self.id} goes on, and is shown as it does", file=sys.stderr
            )
        self.silent_since = self.silent_since or time.monotonic()

    def _say(self, job: Job) -> None:
        if job.restarts > self.job.restarts:
            why = accounting.cause_of_requeue(self.id, self.job.nodes)
            print(
                f"job {self.id} was requeued, {why}; it begins again, from its last checkpoint where there is one",
                file=sys.stderr,
            )
        words = f"waits: {job.waits}" if job.state == "PENDING" and job.reason not in ("", "None") else ""
        words = words or (f"runs on {job.nodes}" if job.state == "RUNNING" else "")
        if words and words != self.last_words:
            self.last_words = words
            print(f"job {self.id} {words}", file=sys.stderr)


def _notes(folder: Path, job: Job) -> list[dict[str, Any]]:
    """Return what the nodes of the job's newest attempt noted at their ends: those that never began left an earlier one's note."""
    notes = [read_json(path) | {"node": path.stem} for path in sorted((folder / "slurm").glob("node*.json"))]
    ended = [(note.get("restarts", 0), note) for note in notes if "status" in note]
    newest = max([job.restarts, *(restarts for restarts, _ in ended)])
    return [note for restarts, note in ended if restarts == newest]


def verdict(folder: Path, job: Job, failed_nodes: str = "") -> tuple[int, str]:
    """Return the exit status of an ended job, and in words what ended it where its ranks have not said so themselves.

    Nobody is asked: `failed_nodes` are those of which the caller knows that they do not answer.
    """
    notes = _notes(folder, job)
    failed = sorted((note for note in notes if note["status"]), key=_cause_first)
    match job.state:
        case "COMPLETED":
            return 0, ""
        case "TIMEOUT" | "DEADLINE":
            return TERMINATED, "the job reached its time limit: ask for more with TIME="
        case "NODE_FAIL" | "BOOT_FAIL":
            return 1, f"a node failed under the job: {failed_nodes or f'one of {job.nodes}'}"
        case "CANCELLED":
            return TERMINATED, f"the job was cancelled{accounting.canceller(job.id)}, and not by this command"
        case "PREEMPTED":
            return TERMINATED, "the job had to make room for one that goes first"
        case cluster.LOST if len(notes) == int(noted_job(folder).get("nodes", 0)) and not failed:
            return 0, ""  # it had ended well before Slurm forgot it
        case cluster.LOST if not failed or failed[0]["status"] == TERMINATED:
            return 1, "Slurm has lost the job: its controller was started anew without knowing it"
    noted = f"{failed[0]['node']} (host {failed[0]['host']})" if failed else ""
    where, seen = _seen_by_srun(folder, job)
    if job.state == "OUT_OF_MEMORY" or seen == "Out Of Memory":
        return KILLED, f"out of memory on {where or noted or job.nodes}: ask for more with MEMORY="
    if seen == "Killed" and where.split()[0] not in [note["node"] for note in notes]:
        return KILLED, f"the starter of {where} was killed by signal 9 (SIGKILL)"
    if killed := _end_of_srun(folder, job):
        return KILLED, f"srun, which starts the nodes' tasks, was ended from outside ({killed})"
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


def _end_of_srun(folder: Path, job: Job) -> str:
    """Return how the shell of the batch script saw srun end where a signal ended it, such as Killed; empty where none did."""
    for path in (folder / "slurm").glob(f"{job.id}_0_log.err"):
        ended = re.search(
            r"slurm_script: line \d+: +\d+ ([A-Z][\w ]*?) +srun ", path.read_text(errors="replace")
        )
        if ended:
            return ended[1]
    return ""


def _unsaid(folder: Path) -> str:
    """Return what Slurm itself noted of a job whose nodes said nothing."""
    if shutil.disk_usage(folder).free < FULL_BYTES:
        return f"the disk that holds {folder} is full, so that the job could not even write its log: free some space"
    lines = [
        line
        for path in sorted((folder / "slurm").glob("*_log.err"))
        for line in path.read_text(errors="replace").splitlines()
        if line.strip()
    ]
    if not lines:
        return f"the job left not even a log: do all nodes see {folder}? choose a folder that they share with LABS_HOME="
    if full := next((text for text in FULL if any(text in line for line in lines)), ""):
        return f"no node could start, since there is no space for its files: {full}; free some of what {folder.parents[2]} holds"
    return f"no node could start: {lines[-1].strip()} (more in {folder / 'slurm'})"
