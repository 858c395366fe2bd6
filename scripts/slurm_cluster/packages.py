"""What the cluster needs from Debian, installed on demand. No daemon of the machine is started by that, now or at its next boot."""

import os
import platform
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scripts.slurm_cluster.commands import ClusterError, run

# Each package by a program or file that shows that it is there.
NEEDED = {
    "slurmctld": "/usr/sbin/slurmctld",
    "slurmd": "/usr/sbin/slurmd",
    "slurmdbd": "/usr/sbin/slurmdbd",
    "slurm-client": "/usr/bin/sbatch",
    "slurm-wlm-mysql-plugin": "/usr/lib/*-linux-gnu/slurm-wlm/accounting_storage_mysql.so",
    "munge": "/usr/sbin/munged",
    "mariadb-server": "/usr/sbin/mariadbd",
    "iproute2": "/usr/sbin/ip",
    "bubblewrap": "/usr/bin/bwrap",
    "util-linux": "/usr/bin/nsenter",
}
UNITS = (".service", ".socket", ".timer", ".path")  # of systemd, which may be enabled
POLICY = Path("/usr/sbin/policy-rc.d")  # Debian asks it before a package may start a daemon


def missing(needed: Mapping[str, str] = NEEDED) -> list[str]:
    """Return the packages that are not there yet."""
    return [name for name, shown_by in needed.items() if not any(Path("/").glob(shown_by.lstrip("/")))]


def require_root() -> None:
    """Refuse where nobody could make the hosts of a cluster."""
    if platform.system() != "Linux":
        raise ClusterError(f"a cluster is made of Linux's namespaces, and this is {platform.system()}")
    if os.geteuid() != 0:
        raise ClusterError("only root can make a cluster: say the same with sudo, on a machine of your own")


def install(*, yes: bool, needed: Mapping[str, str] = NEEDED) -> None:
    """Install what is missing, after saying so, and asking where nobody has agreed beforehand."""
    packages = missing(needed)
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise ClusterError(
            f"these programs are missing: {', '.join(needed[name] for name in packages)}\ninstall them as your system does"
        )
    require_root()
    print(
        f"to be installed by apt-get, and started neither now nor at boot: {' '.join(packages)}",
        file=sys.stderr,
    )
    if not yes and not _agreed():
        raise ClusterError("nothing was installed; say YES=1 to install without being asked")
    before = _installed()
    with _nothing_starts():
        _apt_get("update", "-qq")
        try:
            _apt_get("install", "-qq", "--yes", "--no-install-recommends", *packages)
        finally:
            _leave_disabled(sorted(_installed() - before))


def _apt_get(verb: str, *options: str) -> None:
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", verb, *options], stdout=sys.stderr, env=environ, check=False)
    if done.returncode:
        raise ClusterError(f"apt-get {verb} ended with status {done.returncode}; its own words are above")


def _installed() -> set[str]:
    """Return the packages that this machine has."""
    return set(run(["dpkg-query", "--show", "--showformat", "${Package}\n"]).split())


def _leave_disabled(packages: list[str]) -> None:
    """Let no daemon of new packages start with the machine: Debian enables each one as it is installed."""
    if not packages:
        return
    files = [Path(line) for line in run(["dpkg", "--listfiles", *packages]).splitlines()]
    units = sorted(
        {file.name for file in files if file.parent.match("systemd/system") and file.suffix in UNITS}
    )
    scripts = sorted({file.name for file in files if file.parent == Path("/etc/init.d")})
    for script in scripts:
        run(["update-rc.d", script, "disable"])
    if units and shutil.which("systemctl"):
        run(["systemctl", "disable", "--quiet", *units])


def _agreed() -> bool:
    return sys.stdin.isatty() and input("install them? [y/N] ").strip().lower() in ("y", "yes")


@contextmanager
def _nothing_starts() -> Iterator[None]:
    """Forbid daemons to be started meanwhile, where the machine does not do so by itself."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(POLICY.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    try:
        yield
    finally:
        POLICY.unlink()
