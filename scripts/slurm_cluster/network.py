"""The cluster's network: a bridge inside the controller's own namespace, so that the machine's network stays as it is."""

from scripts.slurm_cluster.commands import run
from scripts.slurm_cluster.host import Host

# 198.18.0.0/15 is set aside for tests of networks (RFC 2544, RFC 6890): nobody's real machines are there.
PREFIX = "198.18.77"
BRIDGE = "br0"


def address(index: int) -> str:
    """Return the address of the host with this index, from 0 up."""
    return f"{PREFIX}.{index + 1}"


def make_bridge(controller: Host) -> None:
    """Give the controller the bridge, with its own address on it."""
    _ip(
        controller,
        f"link add {BRIDGE} type bridge",
        f"addr add {controller.address}/24 dev {BRIDGE}",
        f"link set {BRIDGE} up",
    )


def connect(controller: Host, host: Host) -> None:
    """Lay a cable from a host to the bridge."""
    end = cable(host)
    _ip(
        controller,
        f"link add {end} type veth peer name eth0 netns {host.outer_pid}",
        f"link set {end} master {BRIDGE} up",
    )
    _ip(host, f"addr add {host.address}/24 dev eth0", "link set eth0 up")


def cut(controller: Host, host: Host) -> None:
    """Pull a host's cable. Nothing is told to anybody: connections just go silent."""
    _ip(controller, f"link set {cable(host)} down")


def heal(controller: Host, host: Host) -> None:
    """Plug it in again."""
    _ip(controller, f"link set {cable(host)} up")


def cable(host: Host) -> str:
    return f"to-{host.name}"


def _ip(host: Host, *commands: str) -> None:
    # Without the host's mounts: /run of the machine is not needed, and `netns PID` is one of the machine's own.
    command = ["nsenter", "--target", str(host.outer_pid), "--net", "--", "ip", "-batch", "-"]
    run(command, what=f"setting up the network of {host.name}", input_="\n".join(commands) + "\n")
