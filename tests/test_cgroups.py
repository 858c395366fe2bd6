"""Limits of control groups: trees of both versions, as files, since a test cannot have the other version's kernel."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from labs import cgroups
from labs.cgroups import Memory

GIB = 2**30
MACHINE = 24 * GIB


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 24 GiB, 20 of them free."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=MACHINE, available=20 * GIB))


def tree(root: Path, files: dict[str, dict[str, str | int]], cgroup: str, mounts: dict[str, str]) -> None:
    """Make a tree of control groups below a folder, and what the kernel says: where in it this process is, and which parts are mounted."""
    for place, contents in files.items():
        (root / place).mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            (root / place / name).write_text(f"{text}\n")
    (root / "cgroup").write_text(cgroup)
    usual = "23 28 0:21 / /proc rw,nosuid shared:4 - proc proc rw\n"
    (root / "mountinfo").write_text(
        usual
        + "".join(
            f"40 32 0:34 {part} {root / place} rw,nosuid shared:9 - {kind_of(place)}\n"
            for place, part in mounts.items()
        )
    )


def kind_of(place: str) -> str:
    """Return a mount's type, source and options, as the kernel writes them."""
    return f"cgroup cgroup rw,{place}" if place else "cgroup2 cgroup2 rw,nsdelegate"


def folders(root: Path, controller: str) -> list[Path]:
    return cgroups.folders_of(controller, root)


def test_limits_of_version_2_also_those_above(tmp_path: Path) -> None:
    above: dict[str, str | int] = {"cpu.max": "150000 100000", "memory.max": 2 * GIB, "memory.current": GIB}
    tree(
        tmp_path, {"a": above, "a/b": {"cpu.max": "max 100000", "memory.max": "max"}}, "0::/a/b\n", {"": "/"}
    )
    assert folders(tmp_path, "cpu") == [tmp_path / "a" / "b", tmp_path / "a", tmp_path]
    assert cgroups.cores(folders(tmp_path, "cpu")) == 1.5
    assert cgroups.memory(folders(tmp_path, "memory")) == Memory(MACHINE, 2 * GIB, GIB)


def test_limits_of_version_1_in_the_tree_of_each_controller(tmp_path: Path) -> None:
    files: dict[str, dict[str, str | int]] = {
        "cpu,cpuacct/job": {"cpu.cfs_quota_us": 50000, "cpu.cfs_period_us": 100000},
        "cpu,cpuacct": {"cpu.cfs_quota_us": -1, "cpu.cfs_period_us": 100000},
        "memory": {"memory.limit_in_bytes": 9223372036854771712, "memory.usage_in_bytes": 4 * GIB},
        "memory/job": {"memory.limit_in_bytes": GIB, "memory.usage_in_bytes": GIB // 4},
    }
    tree(
        tmp_path,
        files,
        "5:cpu,cpuacct:/job\n4:memory:/job\n1:name=systemd:/\n0::/\n",
        {"cpu,cpuacct": "/", "memory": "/"},
    )
    assert cgroups.cores(folders(tmp_path, "cpu")) == 0.5
    assert cgroups.memory(folders(tmp_path, "memory")) == Memory(MACHINE, GIB, GIB * 3 // 4)


@pytest.mark.parametrize(
    ("place", "line", "limit"),
    [("", "0::{group}\n", "memory.max"), ("memory", "4:memory:{group}\n", "memory.limit_in_bytes")],
)
@pytest.mark.parametrize(
    ("group", "part", "below"),
    [
        ("/kubepods/pod1/c1", "/kubepods/pod1/c1", "."),
        ("/", "/", "."),
        ("/machine/slurm/job_7/step_0", "/machine", "slurm/job_7"),
        ("/elsewhere", "/kubepods/pod1/c1", "."),
    ],
    ids=["a container", "a container with a namespace", "a node of a cluster", "one that moved"],
)
def test_where_a_part_of_the_tree_is_seen_it_is_the_right_one(
    tmp_path: Path, place: str, line: str, limit: str, group: str, part: str, below: str
) -> None:
    where = str(Path(place, below))
    tree(tmp_path, {where: {limit: 2 * GIB}}, line.format(group=group), {place: part})
    assert cgroups.memory(folders(tmp_path, "memory")).allowed == 2 * GIB


@pytest.mark.parametrize(
    ("limit", "usage", "prefix"),
    [("memory.max", "memory.current", ""), ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")],
)
def test_cached_files_give_way_and_shared_memory_does_not(
    tmp_path: Path, limit: str, usage: str, prefix: str
) -> None:
    stat = {"inactive_file": GIB // 2, "active_file": GIB // 4, "shmem": GIB // 4, "inactive_anon": GIB // 2}
    lines = "\n".join(f"{prefix}{name} {size}" for name, size in stat.items())
    (tmp_path / "memory.stat").write_text(lines)
    (tmp_path / limit).write_text(str(2 * GIB))
    (tmp_path / usage).write_text(str(GIB * 3 // 2))
    assert cgroups.memory([tmp_path]).free == 2 * GIB - GIB * 3 // 4


def test_the_least_of_all_that_is_free_counts(tmp_path: Path) -> None:
    """A job may have plenty left where the machine has not, and the other way round."""
    tree(tmp_path, {"a": {"memory.max": 22 * GIB, "memory.current": GIB}}, "0::/a\n", {"": "/"})
    assert cgroups.memory(folders(tmp_path, "memory")) == Memory(MACHINE, 22 * GIB, 20 * GIB)
    (tmp_path / "a" / "memory.current").write_text(str(23 * GIB))
    assert cgroups.memory(folders(tmp_path, "memory")).free == 0


def test_no_control_group_no_limit(tmp_path: Path) -> None:
    assert cgroups.folders_of("cpu", tmp_path / "none") == []
    assert cgroups.cores([tmp_path]) is None
    assert cgroups.memory([tmp_path]) == Memory(MACHINE, None, 20 * GIB)


def test_a_limit_above_what_the_machine_has_is_none(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(str(64 * GIB))
    found = cgroups.memory([tmp_path])
    assert (found.allowed, found.usable) == (None, MACHINE)
