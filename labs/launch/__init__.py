"""Where labs run. Neither torch nor the kit is imported here, so that a login node without them can submit."""

import socket
from collections import UserDict
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from labs.errors import UsageError
from labs.launch.claim import claimed
from labs.launch.spec import Launcher, Request, RunSpec, State, gpu_count, noted_job, one_of, whole_number
from labs.launch.states import recorded, settled


class Launchers(UserDict[str, Any]):
    """Launchers by their names. One is imported when it is asked for: a command needs one of them, and most need none."""

    def __getitem__(self, name: str) -> Launcher:
        found = self.data[name]
        if isinstance(found, str):
            module, _, kind = found.rpartition(".")
            found = self.data[name] = getattr(import_module(f"labs.launch.{module}"), kind)()
        launcher: Launcher = found
        return launcher


LAUNCHERS = Launchers(
    local="local.Local", slurm="slurm.Slurm", docker="docker.Docker", k8s="kubernetes.Kubernetes"
)


def choose(wanted: str | None, nodes: int = 1) -> Launcher:
    """Return the launcher that was asked for, else Slurm where a controller answers, else this machine where there is no cluster.

    Raises UsageError where this machine is part of a cluster and not the right place for a run.
    """
    return LAUNCHERS[one_of("LAUNCHER", wanted or _natural(nodes), list(LAUNCHERS))]


def states(folders: Sequence[Path]) -> dict[Path, State]:
    """Return how runs are doing; each place is asked once. Ends are noted, so that they are asked about only once."""
    return settled(folders, LAUNCHERS)


def state(folder: Path) -> State:
    """Return how a run is doing."""
    return states([folder])[folder]


def _natural(nodes: int) -> str:
    from labs.launch.slurm import cluster

    if job := cluster.outer_job():
        return _inside(job, nodes)
    trouble = cluster.why_not()
    if trouble and not cluster.is_no_cluster(trouble):
        raise UsageError(
            f"{trouble}\nthis may be a login node, where no lab runs unasked: add LAUNCHER=local to run it here all the same"
        )
    return "local" if trouble else "slurm"


def _inside(job: str, nodes: int) -> str:
    """Inside a job its node is there already, and it is the place to be. What has several is submitted as a job of its own."""
    from labs.launch.slurm import cluster

    own = "add LAUNCHER=slurm to submit a job of its own"
    if not cluster.on_a_node():
        raise UsageError(
            f"job {job} holds nodes, but this shell is not on one of them ({socket.gethostname()})\n"
            f"go there first: srun --nodes=1 --pty bash; or {own}, or LAUNCHER=local to run it here all the same"
        )
    if nodes > 1:
        raise UsageError(
            f"NODES={nodes}: inside job {job} a lab runs on this one node, {socket.gethostname()}, and cannot start ranks on others\n"
            f"{own}, or NODES=1 PROCS= for ranks on this node"
        )
    return "local"


__all__ = [
    "LAUNCHERS",
    "Launcher",
    "Request",
    "RunSpec",
    "State",
    "choose",
    "claimed",
    "gpu_count",
    "noted_job",
    "one_of",
    "recorded",
    "state",
    "states",
    "whole_number",
]
