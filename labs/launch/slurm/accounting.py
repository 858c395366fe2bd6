"""What Slurm's accounting knows of a job once it has ended, or an attempt of it has: what it took, and why it was requeued."""

import pwd
import re
import time
from collections.abc import Callable

from labs.errors import UsageError
from labs.launch.slurm import cluster

PATIENCE_S = 5.0  # for an answer
BEHIND_S = 2.0  # so far the accounting may lag behind
LOOK_S = 0.3
CAUSES = {
    "PREEMPTED": "it had to make room for one that goes first",
    "REQUEUED": "somebody asked for it, as Slurm says",
}
MIB = {"": 1 / 2**20, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}


def summary(id_: str) -> str:
    """Return in one line what an ended job took; empty where no accounting knows it."""
    rows = _once(lambda: _rows(id_, "State,Elapsed,TotalCPU,AllocTRES,MaxRSS"), _ended)
    if not _ended(rows):
        return ""
    _, elapsed, cpu, resources, _ = rows[0]
    gpus = re.search(r"gres/gpu=(\d+)", resources)
    peak = max(map(_mib, (row[4] for row in rows)))
    told = [
        f"took {_clock(_seconds(elapsed))}",
        f"{peak:.0f} MiB of memory at most on one node" if peak >= 1 else "",
        f"{_clock(_seconds(cpu))} of CPU time",
        f"{_clock(int(gpus[1]) * _seconds(elapsed))} of GPU time" if gpus else "",
    ]
    return f"job {id_} " + ", ".join(filter(None, told))


def cause_of_requeue(id_: str, nodes: str) -> str:
    """Return why a job's last attempt was ended and requeued, as Slurm says it. `nodes`: on which it ran."""
    attempts = _once(
        lambda: [
            row for row in _rows(id_, "State", "-X", "-D") if row[0].split()[0] not in ("PENDING", "RUNNING")
        ],
        bool,
    )
    state = attempts[-1][0].split()[0] if attempts else ""
    dead = cluster.dead(nodes)
    if state == "NODE_FAIL":
        return f"since {dead or 'a node'} failed"
    if state:
        return f"since {CAUSES.get(state, f'its state was {state}, as Slurm says')}"
    return (
        f"for a cause that is not known ({dead} does not answer)" if dead else "for a cause that is not known"
    )


def canceller(id_: str) -> str:
    """Return by whom a job was cancelled; empty where no accounting says it."""
    rows = _rows(id_, "State", "-X")
    by = re.fullmatch(r"CANCELLED by (\d+)", rows[-1][0]) if rows else None
    if not by:
        return ""
    try:
        return f" by {pwd.getpwuid(int(by[1])).pw_name}"
    except KeyError:
        return f" by user {by[1]}"


def _rows(id_: str, fields: str, *options: str) -> list[list[str]]:
    """Return the fields of a job, and without -X of its steps; nothing where there is no accounting."""
    try:
        said = cluster.ask("sacct", "-n", "-P", *options, "-j", id_, "-o", fields, patience_s=PATIENCE_S)
    except UsageError:
        return []
    return [line.split("|") for line in said.splitlines()]


def _ended(rows: list[list[str]]) -> bool:
    return bool(rows) and rows[0][0].split()[0] in cluster.ENDED


def _once(ask: Callable[[], list[list[str]]], enough: Callable[[list[list[str]]], bool]) -> list[list[str]]:
    """Ask until the accounting has caught up, or has had its time; not again where there is none."""
    until = time.monotonic() + BEHIND_S
    while not enough(rows := ask()) and time.monotonic() < until and _is_there():
        time.sleep(LOOK_S)
    return rows


def _is_there() -> bool:
    try:
        said = cluster.ask("scontrol", "show", "config", patience_s=PATIENCE_S)
    except UsageError:
        return False
    return "accounting_storage/slurmdbd" in said


def _seconds(text: str) -> float:
    """Read a duration as sacct writes it: 1-02:03:04, 02:03:04 or 03:04.567."""
    days, _, clock = text.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = 60 * seconds + float(part or 0)
    return int(days or 0) * 86400 + seconds


def _clock(seconds: float) -> str:
    """Write a duration: 7.5 s, or 1:02:03 from a minute up."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d} min"


def _mib(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)([KMGT]?)", text)
    return float(found[1]) * MIB[found[2]] if found else 0.0
