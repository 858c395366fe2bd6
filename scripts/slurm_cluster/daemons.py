"""The daemons of each host, started as an administrator would, each by its own command."""

import time

from scripts.slurm_cluster.commands import ClusterError
from scripts.slurm_cluster.host import READY_S, Host


def munged(host: Host) -> None:
    """Start what signs and checks who speaks. All hosts share one key."""
    paths = [
        "--socket=/run/munge/munge.socket.2",
        "--pid-file=/run/munge/munged.pid",
        "--seed-file=/run/munge/seed",
    ]
    host.ask(
        "munged",
        "--force",
        f"--key-file={host.cluster}/munge.key",
        *paths,
        "--log-file=/var/log/slurm/munged.log",
        "--num-threads=2",
    )


def slurmctld(host: Host) -> None:
    """Start the controller."""
    host.ask("slurmctld")


def slurmd(host: Host) -> None:
    """Start a node's own daemon."""
    host.ask("slurmd")


def stop(host: Host, daemon: str, signal: str = "TERM") -> None:
    """End a daemon of a host, and wait until it is gone. Only with TERM does it save what it knows."""
    host.run("pkill", f"-{signal}", "-x", daemon)
    deadline = time.monotonic() + READY_S
    while host.run("pgrep", "-x", daemon).returncode == 0 and time.monotonic() < deadline:
        time.sleep(0.02)


def wait_idle(controller: Host, nodes: list[Host]) -> None:
    """Wait until all nodes take jobs. Raises ClusterError with Slurm's own reason where one does not."""
    deadline = time.monotonic() + READY_S
    expected = {node.name for node in nodes}
    while expected - idle(controller):
        if time.monotonic() > deadline:
            late = sorted(expected - idle(controller))
            why = (
                controller.run("sinfo", "-h", "-N", "-n", late[0], "-o", "%T, %E").stdout.strip().splitlines()
            )
            raise ClusterError(
                f"{', '.join(late)} not ready after {READY_S:g} s: {why[0] if why else 'no controller answers'}"
            )
        time.sleep(0.05)


def idle(controller: Host) -> set[str]:
    """Return the names of the nodes that take jobs."""
    lines = controller.run("sinfo", "-h", "-N", "-o", "%N %T").stdout.splitlines()
    return {line.split()[0] for line in lines if line.split()[1] in ("idle", "mixed", "allocated")}
