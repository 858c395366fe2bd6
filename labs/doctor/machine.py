"""Look at processors, GPUs, memory and disk, and at what a container or a batch system leaves of them."""

import os
import shutil
import sys
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

from labs import cgroups
from labs.doctor.check import Check
from labs.doctor.packages import AGAIN, Facts
from labs.doctor.programs import Programs
from labs.files import MIN_FREE_BYTES
from labs.home import Home

MIB, GIB = 2**20, 2**30
MEMORY_BYTES = 4 * GIB  # what the largest lab may take at its default size
SHM_BYTES = 256 * MIB  # docker's default of 64 MiB starves data workers


def processors() -> Check:
    """Count cores: those of the machine, and those that this process may use."""
    cores, quota = os.cpu_count() or 1, cgroups.cores()
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else cores
    found = f"{cores} cores" + (f", this process may use {usable}" if usable < cores else "")
    return Check(
        "CPU", "Machine", "ok", found + (f", its cgroup allows {quota:g}" if quota is not None else "")
    )


def gpu(programs: Programs, facts: Future[Facts]) -> Check:
    """Hold what torch sees against what the driver says."""
    answer = (
        programs.ask("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
        if shutil.which("nvidia-smi")
        else None
    )
    rows = (
        [line.rpartition(", ") for line in answer.out.splitlines() if ", " in line]
        if answer and answer.status == 0
        else []
    )
    driver = f", driver {rows[0][2].strip()}" if rows else ""
    torch = facts.result()["torch"]
    seen = torch.get("gpus", [])
    if seen:
        return Check("GPU", "Machine", "ok", f"{_counted(seen)}{driver}")
    allows = "the GPU parts of labs"
    if rows and "slow" in torch:
        found = (
            f"{_counted([name for name, _, _ in rows])}{driver}; whether torch sees it was not known in time"
        )
        return Check("GPU", "Machine", "slow", found, allows, AGAIN)
    if rows:
        why = torch.get("gpu_trouble", "")
        does_not = f"torch cannot compute on it: {why}" if why else "torch does not see it"
        found = f"{_counted([name for name, _, _ in rows])}{driver}; {does_not}"
        return Check(
            "GPU",
            "Machine",
            "broken",
            found,
            allows,
            "make setup TORCH=cuda, or TORCH=cu126 for an older driver",
        )
    if answer:
        return Check(
            "GPU",
            "Machine",
            answer.failed,
            f"nvidia-smi: {answer.trouble}",
            allows,
            AGAIN if answer.failed == "slow" else "mend the driver, then: make setup TORCH=cuda",
        )
    return Check(
        "GPU", "Machine", "missing", "none", allows, "a machine with a GPU, then: make setup TORCH=cuda"
    )


def _counted(names: list[str]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in Counter(names).items())


def memory() -> Check:
    """Hold the memory, as far as the cgroup grants it, against the largest lab."""
    here = cgroups.memory()
    found = f"{here.machine / GIB:.1f} GiB"
    found += f", its cgroup allows {here.allowed / GIB:.1f}" if here.allowed is not None else ""
    found += f", {here.free / GIB:.1f} of it free"
    if here.usable >= MEMORY_BYTES:
        return Check("memory", "Machine", "ok", found)
    return Check(
        "memory",
        "Machine",
        "missing",
        found,
        f"all labs at full size: {MEMORY_BYTES / GIB:g} GiB",
        "make them small: SMOKE=1",
    )


def shared_memory(folder: Path = Path("/dev/shm")) -> Check:
    """Look at the file system through which processes hand tensors to one another."""
    name, allows = "shared memory", "data workers and processes that share tensors"
    if not folder.exists():
        if sys.platform != "linux":
            return Check(name, "Machine", "ok", f"no {folder}: this system shares memory in another way")
        return Check(name, "Machine", "missing", f"no {folder}", allows, f"mount a tmpfs on {folder}")
    memory = cgroups.memory()
    size = min(shutil.disk_usage(folder).total, memory.usable)
    part = "" if memory.allowed is None else ", a part of the memory that its cgroup allows"
    if size >= SHM_BYTES:
        return Check(name, "Machine", "ok", f"{size / GIB:.1f} GiB in {folder}{part}")
    return Check(
        name,
        "Machine",
        "missing",
        f"{size / MIB:.0f} MiB in {folder}{part}",
        allows,
        "in a container: --shm-size=1g",
    )


def disk(home: Home) -> Check:
    """Look at the folder that will hold runs/ and work/, without making it."""
    folder = home.root
    there = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    free = shutil.disk_usage(there).free
    found = f"{free / GIB:.1f} GiB free for runs/ and work/ in {folder}"
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        return Check(
            "disk",
            "Machine",
            "broken",
            f"{there} takes no files",
            "all labs",
            "choose another place: LABS_HOME=/some/folder",
        )
    if free < MIN_FREE_BYTES:
        return Check(
            "disk",
            "Machine",
            "missing",
            found,
            "all labs",
            "free some space, or choose another place: LABS_HOME=/some/folder",
        )
    return Check("disk", "Machine", "ok", found)
