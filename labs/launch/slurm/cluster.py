"""What Slurm says, asked by its own commands. They are asked seldom: two hundred learners ask one controller."""

import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Timer
from time import monotonic
from typing import Any

from labs.errors import UsageError
from labs.launch.slurm import settings

ANSWER_S = 20.0
PING_S = 5.0  # whoever takes longer to say that all is well is not
POLL_S = 5.0  # for a question that will be asked again
WORD_S = 2.0  # after so long whoever waits is told for what
JOB_FIELDS = "%i|%T|%r|%N"  # as squeue writes a job
NO_ACCOUNTING = "accounting storage is disabled"
UNCONFIGURED = "Could not establish a configuration source"  # Slurm's words where it finds no slurm.conf, and is told of none
LOST = "LOST"  # our own word: no controller knows it, and no accounting its end
ENDED = {
    LOST,
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "OUT_OF_MEMORY",
    "NODE_FAIL",
    "PREEMPTED",
    "DEADLINE",
    "BOOT_FAIL",
    "REVOKED",
}
WAITS = {
    "Resources": "all nodes that fit are busy",
    "Priority": "jobs of a higher priority are before it",
    "BeginTime": "Slurm lets a requeued job wait about two minutes; an administrator can say: scontrol update jobid=N starttime=now",
    "Dependency": "another job must end first",
    "ReqNodeNotAvail,_Reserved_for_maintenance": "a maintenance is ahead: ask for less with TIME=, or wait until it is over",
    "ReqNodeNotAvail": "its nodes are down, drained or reserved",
    "Nodes_required": "its nodes are down, drained or reserved",
    "PartitionDown": "the partition is switched off",
    "PartitionInactive": "the partition takes no jobs now",
    "PartitionTimeLimit": "its time limit is above the partition's: ask for less with TIME=",
    "PartitionNodeLimit": "it asks for more nodes than the partition has",
    "PartitionConfig": "it asks for what the partition does not have",
    "Reservation": "its reservation has not begun yet",
    "JobHeldUser": "it is held: scontrol release N lets it go",
    "JobHeldAdmin": "an administrator holds it",
    "Licenses": "a licence is not free",
    "None": "Slurm has not looked at it yet",
}


@dataclass(frozen=True)
class Job:
    """What Slurm says of a job."""

    id: str
    state: str  # PENDING, RUNNING, COMPLETED …
    reason: str = ""
    nodes: str = ""  # as Slurm abbreviates them, node[1-2]
    restarts: int = 0

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def waits(self) -> str:
        """Return in words why it waits."""
        known = next((words for name, words in WAITS.items() if self.reason.startswith(name)), "")
        if not known and self.reason.startswith("QOS"):
            known = "a limit of its QOS is reached"
        if not known and self.reason.startswith("Assoc"):
            known = "a limit of its account is reached"
        return f"{known} ({self.reason})" if known else self.reason


@dataclass(frozen=True)
class Partition:
    """A part of the cluster: its size, and the limits for jobs in it."""

    name: str
    nodes: int
    most_nodes: int | None
    most_minutes: int | None
    default: bool
    gpus_of_node: int
    cores_of_node: int
    memory_of_node: int  # MiB


_until: ContextVar[float] = ContextVar("_until", default=math.inf)


@contextmanager
def one_patience(seconds: float = ANSWER_S) -> Iterator[None]:
    """Let all questions within this share one patience, and say after two seconds that Slurm has not answered yet."""
    outer, word = _until.get(), Timer(WORD_S, _say_that_it_takes_long, [seconds])
    word.daemon = True
    before = _until.set(min(outer, monotonic() + seconds))
    if outer == math.inf:  # else the word is said already
        word.start()
    try:
        yield
    finally:
        word.cancel()
        _until.reset(before)


def _say_that_it_takes_long(seconds: float) -> None:
    print(f"Slurm has not answered yet; it is waited for, {seconds:g} s at the most", file=sys.stderr)


def ask(*words: str, patience_s: float = ANSWER_S) -> str:
    """Return what a Slurm command prints. Raises UsageError with its first line where it fails or does not answer."""
    patience_s = max(0.0, min(patience_s, _until.get() - monotonic()))
    try:
        ended = subprocess.run(
            words, capture_output=True, text=True, timeout=patience_s, check=False,
            env=settings.for_questions(os.environ),
            start_new_session=True,  # a Ctrl-C at the terminal is ours to answer, not theirs to die of
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        if isinstance(error, subprocess.TimeoutExpired):
            why = f"no answer within {patience_s:g} s"
        else:
            why = "it is not installed here" if isinstance(error, FileNotFoundError) else str(error.strerror)
        raise UsageError(
            f"{words[0]} failed: {why}\nSlurm's commands must work here; or say LAUNCHER=local"
        ) from None
    if ended.returncode:
        raise UsageError(f"{words[0]} failed: {_reason(ended)}")
    return ended.stdout


def _reason(ended: subprocess.CompletedProcess[str]) -> str:
    """Return why a command failed: its fatal line, else its first one."""
    lines = (ended.stderr.strip() or ended.stdout.strip() or f"status {ended.returncode}").splitlines()
    return next((line for line in lines if "fatal: " in line), lines[0])


def why_not() -> str:
    """Return why no job can be submitted from here, or an empty string where a controller answers."""
    if not shutil.which("sbatch"):
        return "there is no Slurm here: no sbatch on the PATH"
    conf = os.environ.get("SLURM_CONF")
    if conf and not os.path.exists(conf):
        return f"sbatch is here, but SLURM_CONF={conf} names no file"
    try:
        with one_patience(PING_S):
            answer = ask("scontrol", "ping")
    except UsageError as error:
        return f"sbatch is here, but no controller answers: {str(error).splitlines()[0]}"
    return "" if " UP" in answer else f"sbatch is here, but no controller answers: {' '.join(answer.split())}"


def is_no_cluster(trouble: str) -> bool:
    """Tell whether what `why_not` says means that this is no cluster at all: no sbatch, or a package that nobody has set up."""
    return trouble.startswith("there is no Slurm here") or (
        UNCONFIGURED in trouble and not os.environ.get("SLURM_CONF")
    )


def outer_job() -> str:
    """Return the job in whose shell or script this command runs, or an empty string.

    A shell may outlive its job, as one of tmux does: where Slurm says that the job has ended, it is none.
    """
    named = os.environ.get("SLURM_JOB_ID", "")
    known = job(named) if named else None
    return "" if known and known.ended else named


def on_a_node() -> bool:
    """Tell whether this command runs on a node of its job, and not in a shell of salloc's that stayed where it was."""
    return "SLURMD_NODENAME" in os.environ


def jobs(ids: Collection[str]) -> dict[str, Job]:
    """Return what is known of one's own jobs: one question to the controller, and one to the accounting about those it has forgotten.

    A job of which the accounting would know, but does not answer, is not among them. Raises UsageError where no controller answers.
    """
    wanted = {id_ for id_ in ids if id_.isdecimal()}
    own = ["--all", "--states=all", f"--user={os.getuid()}"]
    lines = ask("squeue", "--noheader", *own, f"--format={JOB_FIELDS}").splitlines()
    found = {job.id: job for job in map(_queued, lines)}
    forgotten = sorted(wanted - found.keys(), key=int)
    return {id_: found[id_] for id_ in wanted & found.keys()} | (
        _all_long_ended(forgotten) if forgotten else {}
    )


def _queued(line: str) -> Job:
    id_, state, reason, nodes = (field.strip() for field in line.split("|", 3))
    return Job(id_, state, reason.replace(" ", "_"), nodes)


def _all_long_ended(ids: list[str]) -> dict[str, Job]:
    """Return the ends of jobs as the accounting knows them; of none where it does not answer."""
    fields = ["--noheader", "--allocations", "--parsable2", "--format=JobIDRaw,State,NodeList"]
    try:
        lines = ask("sacct", *fields, f"--jobs={','.join(ids)}").splitlines()
    except UsageError as error:
        if NO_ACCOUNTING not in str(error):
            return {}
        lines = []
    accounted = {id_: line for id_, _, line in (line.partition("|") for line in lines)}
    return {id_: _accounted(id_, accounted.get(id_, "")) for id_ in ids}


def _accounted(id_: str, line: str) -> Job:
    state, _, nodes = line.partition("|")
    last = Job(id_, (state.split() or [LOST])[0], nodes=nodes)
    return last if last.ended else Job(id_, LOST, nodes=nodes)  # the accounting was not told of its end


def job(id_: str) -> Job | None:
    """Return what is known of a job: from the controller, and for long ended ones from the accounting. None where nobody answers."""
    try:
        answer = ask("scontrol", "show", "job", id_, "--oneliner", patience_s=POLL_S)
    except UsageError as error:
        return _all_long_ended([id_]).get(id_) if "nvalid job id" in str(error) else None
    fields = _pairs(answer)
    return Job(
        id_,
        fields.get("JobState", "UNKNOWN"),
        fields.get("Reason", ""),
        fields.get("NodeList", ""),
        int(fields.get("Restarts", 0)),
    )


def dead(nodes: str) -> str:
    """Return which of these nodes do not answer, or an empty string."""
    if nodes in ("", "(null)"):
        return ""
    try:
        lines = ask("sinfo", "-h", "-N", "-n", nodes, "-o", "%N %T").splitlines()
    except UsageError:
        return ""
    return ", ".join(
        sorted({line.split()[0] for line in lines if line.endswith("*") or "down" in line.split()[1]})
    )


def partitions() -> dict[str, Partition]:
    """Return the partitions by name."""
    nodes = _nodes()
    described = [
        _pairs(line)
        for line in ask("scontrol", "show", "partition", "--oneliner").splitlines()
        if line.startswith("PartitionName=")
    ]
    return {
        one["PartitionName"]: _partition(one, nodes.get(one["PartitionName"], (0, 0, 0))) for one in described
    }


def _partition(fields: dict[str, str], node: tuple[int, int, int]) -> Partition:
    most = fields.get("MaxNodes", "UNLIMITED")
    return Partition(
        fields["PartitionName"], int(fields.get("TotalNodes", 0)), int(most) if most.isdecimal() else None,
        minutes(fields.get("MaxTime", "UNLIMITED")), fields.get("Default") == "YES", *node,
    )  # fmt: skip


def _nodes() -> dict[str, tuple[int, int, int]]:
    """Return GPUs, cores and MiB of memory of each partition's largest node."""
    largest: dict[str, tuple[int, int, int]] = {}
    for line in ask("sinfo", "-h", "-o", "%R|%G|%c|%m").splitlines():
        name, gres, cores, memory = line.split("|")
        gpus = sum(int(count) for count in re.findall(r"gpu(?::[^:,(]+)?:(\d+)", gres))
        own = gpus, int(cores.rstrip("+")), int(memory.rstrip("+"))
        largest[name] = tuple(map(max, own, largest.get(name, (0, 0, 0))))  # type: ignore[assignment]
    return largest


def minutes(limit: str) -> int | None:
    """Read a time limit as Slurm takes and writes it, such as 30, 30:00 or 1-00:00:00, and return whole minutes; None for no limit."""
    parts = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", limit)
    if not parts:
        return None
    given = [int(part) for part in parts.groups()[1:] if part is not None]
    if parts[1] is None:  # minutes, minutes:seconds, or hours:minutes:seconds
        given = {1: [0, *given, 0], 2: [0, *given], 3: given}[len(given)]
    hours, minutes_, seconds = (*given, 0, 0)[:3]
    return (int(parts[1] or 0) * 24 + hours) * 60 + minutes_ + (seconds > 0)


def _pairs(line: str) -> dict[str, Any]:
    return dict(re.findall(r"(\w+)=(\S*)", line))
