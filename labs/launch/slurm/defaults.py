"""The site's and a person's own defaults for sbatch, which stand in the environment: kept, or said where they give way."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from labs.launch.slurm import cluster, settings
from labs.launch.spec import Request

# Slurm's variable for each wish, which holds where nobody says otherwise.
WISHES = {
    "time": "SBATCH_TIMELIMIT",
    "memory": "SBATCH_MEM_PER_NODE",
    "partition": "SBATCH_PARTITION",
    "account": "SBATCH_ACCOUNT",
    "qos": "SBATCH_QOS",
    "reservation": "SBATCH_RESERVATION",
    "constraint": "SBATCH_CONSTRAINT",
}
# What a lab's job must decide by itself: its sizes, its files, how it is submitted and how its end is seen.
OWN = {
    "SBATCH_ARRAY_INX", "SBATCH_CLUSTERS", "SBATCH_CONTAINER", "SBATCH_CPUS_PER_GPU", "SBATCH_EXPORT", "SBATCH_GPUS",
    "SBATCH_GPUS_PER_NODE", "SBATCH_GPUS_PER_TASK", "SBATCH_GRES", "SBATCH_JOB_NAME", "SBATCH_MEM_PER_CPU", "SBATCH_MEM_PER_GPU",
    "SBATCH_OPEN_MODE", "SBATCH_SIGNAL", "SBATCH_WAIT",
}  # fmt: skip


def filled(request: Request) -> Request:
    """Return the request with what the environment says where it says nothing itself."""
    unsaid = {wish: os.environ.get(name, "") for wish, name in WISHES.items() if not getattr(request, wish)}
    if limit := cluster.minutes(unsaid.get("time", "")):
        unsaid["time"] = str(limit)
    return replace(request, **unsaid)


def gives_way(request: Request) -> list[str]:
    """Return a sentence for each default of the environment that the run does not heed."""
    wished = [
        f"{name}={os.environ[name]} gives way to {wish.upper()}={getattr(request, wish)}"
        for wish, name in WISHES.items()
        if os.environ.get(name) and getattr(request, wish) not in ("", os.environ[name])
    ]
    own = [
        f"{name}={os.environ[name]} is not heeded: a lab's job decides that by itself"
        for name in sorted(OWN & os.environ.keys())
    ]
    return wished + own


@contextmanager
def passed_on() -> Iterator[None]:
    """Let sbatch see what it is to heed of its variables, and nothing of a job around this command."""
    from submitit.helpers import clean_env

    kept = settings.for_jobs(os.environ) | {
        name: value
        for name, value in os.environ.items()
        if name.startswith("SBATCH_") and name not in OWN | {*WISHES.values()}
    }
    with clean_env():
        os.environ.update(kept)
        yield
