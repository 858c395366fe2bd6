"""Where labs run. Neither torch nor the kit is imported here, so that a login node without them can submit."""

import os

from labs.launch.docker import Docker
from labs.launch.local import Local
from labs.launch.slurm import Slurm, cluster
from labs.launch.spec import Launcher, Request, RunSpec, State, gpu_count, noted_job, one_of, whole_number

LAUNCHERS: dict[str, Launcher] = {launcher.name: launcher for launcher in (Local(), Slurm(), Docker())}


def choose(wanted: str | None) -> Launcher:
    """Return the launcher that was asked for, else Slurm where a controller answers, else this machine."""
    return LAUNCHERS[one_of("LAUNCHER", wanted or _natural(), list(LAUNCHERS))]


def _natural() -> str:
    inside_a_job = "SLURM_JOB_ID" in os.environ  # whose nodes are there already
    return "local" if inside_a_job or cluster.why_not() else "slurm"


__all__ = [
    "LAUNCHERS",
    "Launcher",
    "Request",
    "RunSpec",
    "State",
    "choose",
    "gpu_count",
    "noted_job",
    "one_of",
    "whole_number",
]
