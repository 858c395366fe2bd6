"""What control groups, of both versions, leave to this process: a container's limits, and those of a Slurm job."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil

NO_LIMIT = 2**60  # version 1 writes "no limit" as almost 2⁶³


@dataclass(frozen=True)
class Memory:
    """Memory in bytes: the machine's, what a control group allows of it (None: all), and what is free within both.

    What lies in /dev/shm is a part of it, and is charged to the group of the process that wrote it.
    """

    machine: int
    allowed: int | None
    free: int

    @property
    def usable(self) -> int:
        """Return how much this process and those beside it may have together."""
        return self.machine if self.allowed is None else self.allowed


def memory(folders: list[Path] | None = None) -> Memory:
    """Return the memory as it is for this process, or for one that these folders bind."""
    here = psutil.virtual_memory()
    binding = [
        (limit, limit - used)
        for limit, used in _memory_limits(folders_of("memory") if folders is None else folders)
        if limit < here.total
    ]
    allowed = min((limit for limit, _ in binding), default=None)
    return Memory(here.total, allowed, max(0, min([here.available, *(free for _, free in binding)])))


def cores(folders: list[Path] | None = None) -> float | None:
    """Return the smallest quota of processor time, in cores; None where there is none."""
    found = folders_of("cpu") if folders is None else folders
    quotas = [_words(folder / "cpu.max") for folder in found]
    quotas += [_words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us") for folder in found]
    return min(
        (
            int(quota[0]) / int(quota[1])
            for quota in quotas
            if len(quota) == 2 and quota[0] not in ("max", "-1")
        ),
        default=None,
    )


def folders_of(controller: str, proc: Path = Path("/proc/self")) -> list[Path]:
    """Return the folders whose limits bind this process: its own and all above that can be seen, of either version.

    The kernel names a group from the top of the tree. A container, or a cluster's node, may see but a part of it, and mountinfo says which.
    """
    found: list[Path] = []
    for line in _lines(proc / "cgroup"):
        _, names, group = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        for root, mount in _mounts(proc, controller if names else ""):
            below = PurePosixPath(group)
            own = mount / (below.relative_to(root) if below.is_relative_to(root) else "")
            found += [folder for folder in (own, *own.parents) if folder.is_relative_to(mount)]
    return list(dict.fromkeys(found))


def _mounts(proc: Path, controller: str) -> Iterator[tuple[str, Path]]:
    """Yield where version 1's tree of a controller, or without one version 2's tree, is mounted, and which part of it."""
    for line in _lines(proc / "mountinfo"):
        place, _, kind = line.partition(" - ")
        kind, _, options = kind.split(" ", 2)
        if kind == ("cgroup" if controller else "cgroup2") and (
            not controller or controller in options.split(",")
        ):
            _, _, _, root, mount, *_ = place.split()
            yield root, Path(mount)


def _memory_limits(folders: list[Path]) -> Iterator[tuple[int, int]]:
    """Yield each limit, and how much of it is taken for good: cached files give way when somebody needs the room, /dev/shm does not."""
    for folder in folders:
        for limit, usage, prefix in (
            ("memory.max", "memory.current", ""),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        ):
            allowed = _number(folder / limit)
            if allowed is not None and allowed < NO_LIMIT:
                stat = dict(line.split() for line in _lines(folder / "memory.stat"))
                cached = sum(int(stat.get(f"{prefix}{age}active_file", 0)) for age in ("", "in"))
                yield allowed, (_number(folder / usage) or 0) - cached


def _number(path: Path) -> int | None:
    words = _words(path)
    return int(words[0]) if words and words[0].isdecimal() else None


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
