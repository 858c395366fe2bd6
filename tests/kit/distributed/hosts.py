"""Two hosts on a network of their own, made of namespaces; all is gone with them. Only root can make them."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

NAMES = ("host0", "host1")
READY = 'hostname "$1"; mount --bind "$2" /etc/hosts; ip link set lo up; echo ready; exec sleep 600'


class Hosts:
    """Two hosts. `begin` starts a command on one of them."""

    def __init__(self, pids: list[int]) -> None:
        self.pids = pids

    def begin(self, host: int, *command: str, **environment: str) -> subprocess.Popen[str]:
        into = [
            "nsenter",
            "-t",
            str(self.pids[host]),
            "--net",
            "--uts",
            "--mount",
            f"--wd={Path.cwd()}",
            "--",
        ]
        return subprocess.Popen(
            [*into, "env", *(f"{name}={value}" for name, value in environment.items()), *command],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip


@contextmanager
def two_hosts(
    folder: Path, addresses: tuple[str, str], own_names: tuple[str, str] | None = None
) -> Iterator[Hosts]:
    """Make them, with these addresses on eth0; in /etc/hosts each has its address, or what `own_names` says, by its name."""
    for host, other in ((0, 1), (1, 0)):
        known = {NAMES[host]: (own_names or addresses)[host], NAMES[other]: addresses[other]}
        lines = [f"{address.partition('/')[0]} {name}" for name, address in known.items()]
        (folder / f"hosts{host}").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
    with ExitStack() as stack:
        pids = [_host(stack, name, folder / f"hosts{number}") for number, name in enumerate(NAMES)]
        cable = "type veth peer name eth0 netns"
        _ip(pids[0], f"link add eth0 {cable} {pids[1]}")
        for pid, address in zip(pids, addresses, strict=True):
            _ip(pid, f"addr add {address} dev eth0{' nodad' * (':' in address)}")
            _ip(pid, "link set eth0 up")
        yield Hosts(pids)


def _host(stack: ExitStack, name: str, hosts: Path) -> int:
    command = ["unshare", "--net", "--uts", "--mount", "sh", "-c", READY, "-", name, str(hosts)]
    process = stack.enter_context(
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    )
    stack.callback(process.kill)
    assert process.stdout
    if process.stdout.readline() != "ready\n":
        pytest.skip("only root can make hosts of namespaces")
    return process.pid


def _ip(pid: int, words: str) -> None:
    subprocess.run(["nsenter", "-t", str(pid), "--net", "ip", *words.split()], check=True)
