"""What a host's disk holds beyond the bare Debian that it began with, so that a test can tell whether anything was changed."""

import os
import stat
from pathlib import Path

from scripts.hosts import tree
from scripts.hosts.host import Host
from scripts.hosts.hosts import Hosts

# What a running system writes by itself, what a question to apt leaves, what a login leaves, and the runs of labs: no part of a
# host's configuration.
RESTLESS = (
    "var/cache/apt/", "var/lib/apt/lists/", "var/lib/dpkg/lock/", "var/lib/dpkg/lock-frontend/", "var/lib/dpkg/triggers/Lock/",
    "var/lib/dpkg/status-old/", "home/labcheck/labs/runs/",
    "var/log/", "var/tmp/", "tmp/", "var/lib/systemd/", "var/lib/private/", "home/admin/.ansible/", "root/.ansible/", "etc/machine-id",
    "var/spool/slurmd/", "var/spool/slurmctld/", "var/lib/slurm/", "var/lib/mysql/", "var/lib/munge/", "home/admin/.cache/",
    "home/admin/.sudo_as_admin_successful/",
)  # fmt: skip

REWRITTEN = "var/lib/dpkg/status"  # with the same words in it, whenever apt is asked to install what is there

Fingerprint = dict[str, tuple[int, ...]]


def fingerprint(hosts: Hosts) -> dict[str, Fingerprint]:
    """Return for each host what stands on its disk: each file's mode, owner, size and time."""
    bare = tree.of(hosts.suite)
    prints = {host.name: _of_host(host, bare) for host in hosts.all}
    return prints | {"shared": _of(hosts.shared, Path("/nowhere"))}


def differences(before: dict[str, Fingerprint], after: dict[str, Fingerprint]) -> list[str]:
    """Return which files are new, gone or others, as host:path."""
    return sorted(
        f"{host}:{path}"
        for host, files in after.items()
        for path in files.keys() | before[host].keys()
        if files.get(path) != before[host].get(path)
    )


def running(host: Host) -> set[str]:
    """Return the services that run on a host, but for logins."""
    words = ["systemctl", "list-units", "--type=service", "--state=running", "--plain", "--no-legend"]
    names = {line.split()[0] for line in host.ask(*words).splitlines()}
    return {name for name in names if not name.startswith(("user@", "user-runtime-dir@", "systemd-"))}


def _of_host(host: Host, bare: Path) -> Fingerprint:
    return _of(host.folder / "disk", bare)


def _of(top: Path, bare: Path) -> Fingerprint:
    found: Fingerprint = {}
    for folder, folders, files in os.walk(top):
        for name in [*folders, *files]:
            path = Path(folder, name)
            inside = str(path.relative_to(top))
            if not f"{inside}/".startswith(RESTLESS) and not _is_only_a_way(path, bare / inside):
                found[inside] = _look(path)[: 3 if inside == REWRITTEN else None]
    return found


def _is_only_a_way(path: Path, in_tree: Path) -> bool:
    """A folder of the tree's own, which is on the disk because something in it was touched."""
    return (
        path.is_dir()
        and not path.is_symlink()
        and in_tree.is_dir()
        and path.stat().st_mode == in_tree.stat().st_mode
    )


def _look(path: Path) -> tuple[int, ...]:
    about = path.lstat()
    if stat.S_ISDIR(about.st_mode):
        return about.st_mode, about.st_uid
    return about.st_mode, about.st_uid, about.st_size, about.st_mtime_ns
