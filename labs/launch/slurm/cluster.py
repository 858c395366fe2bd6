"""What Slurm says, asked by its own commands. They are asked seldom: two hundred learners ask one controller."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from labs.errors import UsageError

ANSWER_S = 20.0
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


def ask(*words: str, patience_s: float = ANSWER_S) -> str:
    """Return what a Slurm command prints. Raises UsageError with its first line where it fails or does not answer."""
    try:
        ended = subprocess.run(words, capture_output=True, text=True, timeout=patience_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        why = (
            "it is not installed here"
            if isinstance(error, FileNotFoundError)
            else f"no answer within {patience_s:g} s"
        )
        raise UsageError(
            f"{words[0]} failed: {why}\nSlurm's commands must work here; or say LAUNCHER=local"
        ) from None
    if ended.returncode:
        reason = (ended.stderr.strip() or ended.stdout.strip() or f"status {ended.returncode}").splitlines()[
            0
        ]
        raise UsageError(f"{words[0]} failed: {reason}")
    return ended.stdout


def why_not() -> str:
    """Return why no job can be submitted from here, or an empty string where a controller answers."""
    if not shutil.which("sbatch"):
        return "there is no Slurm here: no sbatch on the PATH"
    try:
        answer = ask("scontrol", "ping", patience_s=5.0)
    except UsageError as error:
        return f"sbatch is here, but no controller answers: {str(error).splitlines()[0]}"
    return "" if " UP" in answer else f"sbatch is here, but no controller answers: {answer.strip()}"


def job(id_: str) -> Job | None:
    """Return what is known of a job: from the controller, and for long ended ones from the accounting. None where nobody answers."""
    try:
        answer = ask("scontrol", "show", "job", id_, "--oneliner")
    except UsageError as error:
        return _long_ended(id_) if "nvalid job id" in str(error) else None
    fields = _pairs(answer)
    return Job(
        id_,
        fields.get("JobState", "UNKNOWN"),
        fields.get("Reason", ""),
        fields.get("NodeList", ""),
        int(fields.get("Restarts", 0)),
    )


def _long_ended(id_: str) -> Job:
    try:
        lines = ask("sacct", "-n", "-X", "-P", "-j", id_, "-o", "State,NodeList").splitlines()
    except UsageError:  # no accounting
        lines = []
    state, _, nodes = lines[-1].partition("|") if lines else ("", "", "")
    last = Job(id_, (state.split() or [LOST])[0], nodes=nodes)
    return last if last.ended else Job(id_, LOST, nodes=nodes)  # the accounting was not told of its end


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
    """Read a time limit as Slurm writes it, such as 1-00:00:00, and return whole minutes; None for no limit."""
    parts = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if not parts:
        return None
    days, hours, minutes_, seconds = (int(part or 0) for part in parts.groups())
    return (days * 24 + hours) * 60 + minutes_ + (seconds > 0)


def _pairs(line: str) -> dict[str, Any]:
    return dict(re.findall(r"(\w+)=(\S*)", line))
