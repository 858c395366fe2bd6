"""Everything that can be known to go wrong before a job is submitted, and what a run asks for where its owner did not say."""

import re
from dataclasses import replace
from pathlib import Path

from labs.errors import UsageError
from labs.launch.slurm import cluster, runtime
from labs.launch.slurm.cluster import Partition
from labs.launch.spec import RunSpec, whole_number

USUAL_MINUTES = (
    15  # the longest lab takes three; a requeue, a slow file system and a cold cache take the rest
)
OWN_OF_A_NODE = {"tmpfs", "ramfs", "devtmpfs"}  # file systems that no other node can see
MEMORY = re.compile(r"(\d+)([KMGT]?)B?", re.IGNORECASE)
MIB = {"": 1.0, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}


def check(spec: RunSpec) -> None:
    """Raise UsageError for what this cluster could only refuse, or would let wait for ever."""
    runtime.check(spec)
    minutes_of(spec)
    wish = spec.request
    if wish.cpus:
        whole_number("CPUS", wish.cpus)
    if wish.memory and not MEMORY.fullmatch(wish.memory):
        raise UsageError(
            f"MEMORY={wish.memory} is not possible; give a number with K, M, G or T, such as MEMORY=8G"
        )
    if trouble := cluster.why_not():
        raise UsageError(f"{trouble}\nlog in to the cluster, or run here with LAUNCHER=local")
    _fits(spec, _partition(spec))
    if spec.folder:
        _is_shared(spec.folder)


def resolved(spec: RunSpec) -> RunSpec:
    """Return the run with its time limit, cores and GPUs filled in from what the partition has."""
    partition = _partition(spec)
    limit = minutes_of(spec) or min(USUAL_MINUTES, partition.most_minutes or USUAL_MINUTES)
    gpus = str(min(spec.procs, partition.gpus_of_node)) if spec.gpus == "auto" else spec.gpus
    cpus = spec.request.cpus or str(min(spec.procs, partition.cores_of_node))
    return replace(spec, gpus=gpus, request=replace(spec.request, time=str(limit), cpus=cpus))


def minutes_of(spec: RunSpec) -> int:
    """Return the time limit that was asked for, in minutes; 0 for none. Raises UsageError for one that is no time."""
    text = spec.request.time
    limit = (
        int(text)
        if text.isdecimal()
        else cluster.minutes(text)
        if text.count(":") == 2
        else 0
        if not text
        else None
    )
    if limit is None or (text and limit < 1):
        raise UsageError(f"TIME={text} is not possible; give minutes, such as TIME=30, or TIME=1:30:00")
    return limit


def _partition(spec: RunSpec) -> Partition:
    known = cluster.partitions()
    wanted = spec.request.partition
    if wanted and wanted not in known:
        raise UsageError(f"PARTITION={wanted} is not there; choose from: {', '.join(sorted(known))}")
    chosen = known.get(wanted) or next((one for one in known.values() if one.default), None)
    if chosen is None:
        raise UsageError(
            f"this cluster has no default partition\nadd PARTITION=, one of: {', '.join(sorted(known))}"
        )
    return chosen


def _fits(spec: RunSpec, partition: Partition) -> None:
    most_nodes = min(partition.nodes, partition.most_nodes or partition.nodes)
    asked_memory = MEMORY.fullmatch(spec.request.memory)
    memory = float(asked_memory[1]) * MIB[asked_memory[2].upper()] if asked_memory else 0
    limits = {
        f"NODES={spec.nodes}": (spec.nodes, most_nodes, "nodes"),
        f"GPUS={spec.gpus}": (
            0 if spec.gpus == "auto" else int(spec.gpus),
            partition.gpus_of_node,
            "GPUs on a node",
        ),
        f"CPUS={spec.request.cpus}": (
            int(spec.request.cpus or 0),
            partition.cores_of_node,
            "cores on a node",
        ),
        f"MEMORY={spec.request.memory}": (memory, partition.memory_of_node, "MiB of memory on a node"),
        f"TIME={spec.request.time}": (minutes_of(spec), partition.most_minutes, "minutes for a job"),
    }
    for asked, (value, most, of_what) in limits.items():
        if most is not None and value > most:
            raise UsageError(
                f"{asked} is more than partition {partition.name} has: {most} {of_what}\nask for less, or for another PARTITION="
            )


def _is_shared(folder: Path) -> None:
    """Refuse a folder that lies in this node's own memory: Slurm would fail without a word, since not even its log could be written."""
    above = next(parent for parent in (folder, *folder.parents) if parent.exists()).resolve()
    kind, mounted = _file_system(above)
    if kind in OWN_OF_A_NODE:
        raise UsageError(
            f"{folder} lies on {mounted}, a {kind} that no other node sees\nchoose a folder that all nodes share with LABS_HOME="
        )


def _file_system(path: Path) -> tuple[str, str]:
    """Return type and mount point of the file system on which a place lies; empty where the system does not say."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "", ""
    mounts = {line.split()[1].replace("\\040", " "): line.split()[2] for line in lines}
    holds = max((mount for mount in mounts if path.is_relative_to(mount)), key=len, default="")
    return mounts.get(holds, ""), holds
