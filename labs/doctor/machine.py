"""Look at processors, GPUs, memory and disk, and at what a container or a batch system leaves of them."""

import os
import shutil
import sys
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

import psutil

from labs.doctor.check import Check
from labs.doctor.packages import Facts
from labs.doctor.programs import Programs
from labs.files import MIN_FREE_BYTES
from labs.home import Home

MIB, GIB = 2**20, 2**30
MEMORY_BYTES = 4 * GIB  # what the largest lab may take at its default size
SHM_BYTES = 256 * MIB  # docker's default of 64 MiB starves data workers
NO_LIMIT = 2**60  # cgroup v1 writes "no limit" as almost 2⁶³


def processors() -> Check:
    """Count cores: those of the machine, and those that this process may use."""
    cores, quota = os.cpu_count() or 1, cgroup_cores(cgroup_folders("cpu"))
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
    seen = facts.result()["torch"].get("gpus", [])
    if seen:
        return Check("GPU", "Machine", "ok", f"{_counted(seen)}{driver}")
    allows = "the GPU parts of labs"
    if rows:
        found = f"{_counted([name for name, _, _ in rows])}{driver}; torch does not see it"
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
            "broken",
            f"nvidia-smi: {answer.trouble}",
            allows,
            "mend the driver, then: make setup TORCH=cuda",
        )
    return Check(
        "GPU", "Machine", "missing", "none", allows, "a machine with a GPU, then: make setup TORCH=cuda"
    )


def _counted(names: list[str]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in Counter(names).items())


def memory() -> Check:
    """Hold the memory, as far as the cgroup grants it, against the largest lab."""
    here, allowed = psutil.virtual_memory(), cgroup_bytes(cgroup_folders("memory"))
    found = f"{here.total / GIB:.1f} GiB, {here.available / GIB:.1f} of it free"
    found += f", its cgroup allows {allowed / GIB:.1f}" if allowed is not None else ""
    if min(here.total, here.total if allowed is None else allowed) >= MEMORY_BYTES:
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
    size = shutil.disk_usage(folder).total
    if size >= SHM_BYTES:
        return Check(name, "Machine", "ok", f"{size / GIB:.1f} GiB in {folder}")
    return Check(
        name,
        "Machine",
        "missing",
        f"{size / MIB:.0f} MiB in {folder}",
        allows,
        "in a container: --shm-size=1g",
    )


def disk(home: Home) -> Check:
    """Look at the folder that will hold runs/ and work/, without making it."""
    folder = home.root
    there = next(place for place in (folder, *folder.parents) if place.exists())
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


# cgroups, of both versions --------------------------------------------------------------------------------------------


def cgroup_folders(
    controller: str, proc: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")
) -> list[Path]:
    """Return the folders whose limits bind this process: its own and all above, in v2's one tree and in v1's of the controller."""
    folders: list[Path] = []
    for line in _lines(proc):
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        root = next((mount / name for name in (names, controller) if name and (mount / name).is_dir()), mount)
        own = root / path.lstrip("/")
        folders += [folder for folder in (own, *own.parents) if folder.is_relative_to(root)]
    return folders


def cgroup_cores(folders: list[Path]) -> float | None:
    """Return the smallest quota of processor time, in cores; None where there is none."""
    quotas = [_words(folder / "cpu.max") for folder in folders]
    quotas += [
        _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us") for folder in folders
    ]
    return min(
        (
            int(quota[0]) / int(quota[1])
            for quota in quotas
            if len(quota) == 2 and quota[0] not in ("max", "-1")
        ),
        default=None,
    )


def cgroup_bytes(folders: list[Path]) -> int | None:
    """Return the smallest limit of memory, in bytes; None where there is none."""
    limits = [
        word
        for folder in folders
        for name in ("memory.max", "memory.limit_in_bytes")
        for word in _words(folder / name)
    ]
    return min((int(limit) for limit in limits if limit != "max" and int(limit) < NO_LIMIT), default=None)


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
