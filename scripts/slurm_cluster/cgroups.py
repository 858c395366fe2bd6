"""The part of the machine's cgroups that the cluster gets, so that Slurm can bind, limit and kill for real."""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.slurm_cluster.commands import ClusterError

MOUNT = Path("/sys/fs/cgroup")
NEEDED = ("cpu", "cpuacct", "cpuset", "devices", "freezer", "memory")  # of version 1; Slurm uses these
GONE_S = 2.0


def kind() -> str:
    """Return what this machine lets Slurm use: `v1`, or `none` where processes can only be followed."""
    return "v1" if all((MOUNT / name / "cgroup.procs").exists() for name in NEEDED) else "none"


def why_none() -> str:
    """Say what jobs lack on a machine where `kind` is `none`."""
    reason = "cgroups of version 2 alone" if (MOUNT / "cgroup.controllers").exists() else "no usable cgroups"
    return f"this machine has {reason}: jobs are not bound to cores, memory and GPUs here"


def make(name: str, controllers: Sequence[str] = NEEDED) -> None:
    """Make one group for the cluster under each controller."""
    for controller in controllers:
        # Only where it says so does a new cpuset begin with its parent's cores; without any no process can enter.
        group = MOUNT / controller / name
        group.mkdir(exist_ok=True)
        if controller == "cpuset":
            for file in ("cpuset.cpus", "cpuset.mems"):
                (group / file).write_text((MOUNT / controller / file).read_text())
            (group / "cgroup.clone_children").write_text("1")


def remove(name: str, controllers: Sequence[str] = NEEDED) -> None:
    """End all that still runs in the cluster's groups, and remove them."""
    deadline = time.monotonic() + GONE_S
    for controller in controllers:
        top = MOUNT / controller / name
        while top.exists():
            for group in [Path(folder) for folder, _, _ in os.walk(top, topdown=False)]:
                _kill(group)
                with contextlib.suppress(OSError):
                    group.rmdir()
            if time.monotonic() > deadline:
                raise ClusterError(f"{top} could not be removed: something still runs in it")
            if top.exists():
                time.sleep(0.02)


def _kill(group: Path) -> None:
    with contextlib.suppress(OSError):
        for pid in (group / "cgroup.procs").read_text().split():
            os.kill(int(pid), 9)
