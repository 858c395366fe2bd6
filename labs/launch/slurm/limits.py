"""Everything that can be known to go wrong before a job is submitted, and what a run asks for where its owner did not say."""

import re
from dataclasses import replace
from pathlib import Path

from labs.errors import OutOfReach, UsageError
from labs.launch.slurm import cluster, defaults, runtime, sbatch_args
from labs.launch.slurm.cluster import Partition
from labs.launch.spec import PROCESSES_PER_CORE, RunSpec, whole_number

USUAL_MINUTES = (
    15  # the longest lab takes three; a requeue, a slow file system and a cold cache take the rest
)
OWN_OF_A_NODE = {"tmpfs", "ramfs", "devtmpfs"}  # file systems that no other node can see
ODD = (
    "\\",
    "%j",
    "%t",
    "%A",
    "%a",
)  # the latter are submitit's codes; any other % is written twice for Slurm
MEMORY = re.compile(r"(\d+)([KMGT]?)B?", re.IGNORECASE)
MIB = {"": 1.0, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}


def check(spec: RunSpec) -> None:
    """Raise UsageError for what this cluster could only refuse, or would let wait for ever; OutOfReach where there is none to ask."""
    spec = replace(spec, request=defaults.filled(spec.request))
    _check_wishes(spec)
    if spec.folder:
        _can_be_named(spec.folder)
    if trouble := cluster.why_not():
        raise OutOfReach(f"{trouble}\nlog in to the cluster, or run here with LAUNCHER=local")
    _fits(spec, resolved(spec), _partitions(spec.request.partition))
    if spec.folder:
        _is_shared(spec.folder)


def resolved(spec: RunSpec) -> RunSpec:
    """Return the run with its time limit, memory, cores and GPUs filled in from the environment, its lab and its partitions."""
    request = defaults.filled(spec.request)
    partitions = _partitions(request.partition)
    shortest = min(one.most_minutes or USUAL_MINUTES for one in partitions)
    return _sized(
        replace(spec, request=request),
        min(USUAL_MINUTES, shortest),
        min(one.cores_of_node for one in partitions),
        min(one.gpus_of_node for one in partitions),
    )


def imagined(spec: RunSpec) -> tuple[RunSpec, list[str]]:
    """Return the run as it would be where a cluster has all that is asked for, and what only a cluster could say."""
    spec = replace(spec, request=defaults.filled(spec.request))
    sized = _sized(spec, USUAL_MINUTES, spec.procs, spec.procs)
    unsaid = [
        (spec.request.time, f"--time={sized.request.time}: less where the partition allows less"),
        (spec.request.cpus, f"--cpus-per-task={sized.request.cpus}: at most the cores of a node"),
        (
            spec.gpus.replace("auto", "") or not spec.uses_gpu,
            f"--gpus-per-node={sized.gpus}: at most the GPUs of a node, or none",
        ),
        (spec.request.partition, "the partition: the cluster's default"),
    ]
    return sized, [text for said, text in unsaid if not said]


def crowding(spec: RunSpec) -> list[str]:
    """Return a sentence where the processes of a node have less than a core each."""
    cores = int(spec.request.cpus)
    return [f"{spec.procs} processes share {cores} cores on each node"] if spec.procs > cores else []


def _sized(spec: RunSpec, minutes: int, cores: int, gpus: int) -> RunSpec:
    wish = spec.request
    given = (
        str(spec.procs) if spec.uses_gpu and gpus >= spec.procs else "0"
    )  # one for each rank, or they all do without
    request = replace(
        wish,
        time=str(minutes_of(spec) or minutes),
        memory=wish.memory or spec.memory,
        cpus=wish.cpus or str(min(spec.procs, cores)),
    )
    return replace(spec, gpus=given if spec.gpus == "auto" else spec.gpus, request=request)


def _check_wishes(spec: RunSpec) -> None:
    """Raise UsageError for what makes no sense on any cluster."""
    runtime.check(spec)
    minutes_of(spec)
    sbatch_args.words(spec.request.sbatch_args)
    if spec.request.cpus:
        whole_number("CPUS", spec.request.cpus)
    if spec.request.memory and not MEMORY.fullmatch(spec.request.memory):
        raise UsageError(
            f"MEMORY={spec.request.memory} is not possible; give a number with K, M, G or T, such as MEMORY=8G"
        )


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


def _partitions(wanted: str) -> list[Partition]:
    """Return the partitions by a list of names, as Slurm takes it; the default one where there is none."""
    known = cluster.partitions()
    names = [name for name in wanted.split(",") if name]
    for name in names:
        if name not in known:
            raise UsageError(f"PARTITION={name} is not there; choose from: {', '.join(sorted(known))}")
    chosen = [known[name] for name in names] or [one for one in known.values() if one.default]
    if not chosen:
        raise UsageError(
            f"this cluster has no default partition\nadd PARTITION=, one of: {', '.join(sorted(known))}"
        )
    return chosen


def _fits(asked: RunSpec, spec: RunSpec, partitions: list[Partition]) -> None:
    """Raise UsageError where no partition has what is asked for. Of several one is enough: Slurm takes the first that is free."""
    refusals = [_refusal(asked, spec, partition) for partition in partitions]
    if all(refusals):
        raise UsageError(f"{refusals[0]}\nask for less, or for another PARTITION=")


def _refusal(asked: RunSpec, spec: RunSpec, partition: Partition) -> str:
    """Return what is more than a partition has, or an empty string."""
    wish, most_nodes = spec.request, min(partition.nodes, partition.most_nodes or partition.nodes)
    memory = f"MEMORY={wish.memory}" + ("" if asked.request.memory else f", which PROCS={spec.procs} needs,")
    limits = {
        f"NODES={spec.nodes}": (spec.nodes, most_nodes, "nodes"),
        f"GPUS={spec.gpus}": (int(spec.gpus), partition.gpus_of_node, "GPUs on a node"),
        f"CPUS={wish.cpus}": (int(wish.cpus), partition.cores_of_node, "cores on a node"),
        memory: (_mib(wish.memory), partition.memory_of_node, "MiB of memory on a node"),
        f"TIME={asked.request.time or wish.time}": (
            minutes_of(spec),
            partition.most_minutes,
            "minutes for a job",
        ),
        f"PROCS={spec.procs}": (
            spec.procs,
            PROCESSES_PER_CORE * int(wish.cpus),
            f"processes on {wish.cpus} cores of a node",
        ),
    }
    for what, (value, most, of_what) in limits.items():
        if most is not None and value > most:
            return f"{what} is more than partition {partition.name} has: {most} {of_what}"
    return ""


def _mib(text: str) -> float:
    found = MEMORY.fullmatch(text)
    return float(found[1]) * MIB[found[2].upper()] if found else 0.0


def _can_be_named(folder: Path) -> None:
    """Refuse a folder whose name Slurm or submitit would read as another one: nobody would find the job's output."""
    odd = next((text for text in ODD if text in str(folder)), "") or next(
        (char for char in str(folder) if not char.isprintable()), ""
    )
    if odd:
        raise UsageError(
            f"the folder {str(folder)!r} has {odd!r} in its name, which Slurm does not take as it stands\n"
            "choose a folder without it with LABS_HOME="
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
