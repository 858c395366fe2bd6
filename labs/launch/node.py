"""Start the ranks of one node. Every launcher runs this once on each node:

python -m labs.launch.node --nodes 2 --node 0 --procs 2 --master node0 --meet FILE -- MODULE ARG…

Rank 0 listens on a port that is free on node 0, whose starter writes it into a file that the other nodes see; or on --port.
"""

import argparse
import errno
import ipaddress
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import NoReturn

from labs import interfaces
from labs.errors import UsageError
from labs.files import writable
from labs.launch.closing import close
from labs.launch.meeting import announced_port, port_from
from labs.launch.output import Output
from labs.launch.process_group import ENDING, ORDINARY, ProcessGroup
from labs.rank_variables import without_rank_variables

USAGE = "python -m labs.launch.node --nodes N --node K --procs P --master NAME (--meet FILE | --port PORT) [options] -- MODULE [ARG…]"
RETRY_S = 0.5


@dataclass(frozen=True)
class Node:
    """This node's place among the others, and what its ranks run."""

    nodes: int
    node: int
    procs: int
    master: str
    port: int | None
    meet: Path | None
    timeout: float
    logs: Path | None
    secret: Path | None
    one_machine: bool
    leash: bool
    command: tuple[str, ...]

    def __str__(self) -> str:
        return f"node{self.node} (host {socket.gethostname()})"

    def ranks(self) -> range:
        return range(self.node * self.procs, (self.node + 1) * self.procs)

    def environment(self, rank: int) -> dict[str, str]:
        """Return what a rank finds in its environment, by the names that torchrun uses too."""
        own = {
            "RANK": rank,
            "LOCAL_RANK": rank - self.node * self.procs,
            "WORLD_SIZE": self.nodes * self.procs,
            "LOCAL_WORLD_SIZE": self.procs,
            "GROUP_RANK": self.node,
            "LABS_NODE": self.node,
            "MASTER_ADDR": self.master,
            "MASTER_PORT": self.port,
            **({"LABS_MEETING": place} if (place := self.logs or (self.meet and self.meet.parent)) else {}),
            **({"LABS_SECRET_FILE": self.secret} if self.secret else {}),
            "PYTHONUNBUFFERED": 1,
        }
        around = without_rank_variables(os.environ)
        threads = _cores() // (self.procs * (self.nodes if self.one_machine else 1))
        return {
            "OMP_NUM_THREADS": str(max(1, threads)),
            **(interfaces.on_one_machine(around) if self.one_machine else around),
            **{name: str(value) for name, value in own.items()},
        }


def parse(words: Sequence[str]) -> Node:
    """Read the command line. Leaves with status 2 where it makes no sense."""
    parser = argparse.ArgumentParser(
        usage=USAGE, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, required=True, help="how many nodes there are")
    parser.add_argument("--node", type=int, required=True, help="which of them this is, from 0 up")
    parser.add_argument("--procs", type=int, required=True, help="ranks on each node")
    parser.add_argument("--master", required=True, help="name or address of node 0")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument(
        "--meet", type=Path, help="a file that all nodes see, not there yet: node 0 writes its port"
    )
    way.add_argument("--port", type=int, help="a port that is free on node 0")
    parser.add_argument(
        "--timeout", type=float, default=60.0, help="seconds to wait for the master's name and port"
    )
    parser.add_argument(
        "--logs", type=Path, help="a folder that gets rank3.log and so on; rank 0 speaks on the terminal"
    )
    parser.add_argument(
        "--secret",
        type=Path,
        help="a file with 32 random bytes, the same for all nodes, where they share no folder to leave one in",
    )
    parser.add_argument(
        "--one-machine",
        action="store_true",
        help="all nodes are on this machine: loopback is right, cores are shared",
    )
    parser.add_argument(
        "--leash",
        action="store_true",
        help="end when stdin does: in a container, when the command outside is gone",
    )
    end = words.index("--") if "--" in words else len(words)
    node = Node(**vars(parser.parse_args(words[:end])), command=tuple(words[end + 1 :]))
    if not node.command:
        parser.error("behind -- comes the module that each rank runs")
    if not (0 <= node.node < node.nodes and node.procs > 0 and (node.port is None or 0 < node.port < 2**16)):
        parser.error("--node counts from 0 to NODES - 1, --procs from 1 up, and --port from 1 to 65535")
    return node


def check_port(node: Node) -> None:
    """Raise UsageError where rank 0 could not listen on its port."""
    assert node.port is not None
    both = socket.has_dualstack_ipv6()  # rank 0 listens for both families of addresses where there are two
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        socket.create_server(("", node.port), family=family, dualstack_ipv6=both).close()
    except OSError as error:
        why = (
            "is in use by another program"
            if error.errno == errno.EADDRINUSE
            else f"cannot be used ({error.strerror})"
        )
        raise UsageError(f"port {node.port} on {node} {why}: end that, or give another --port") from None


def check_master(node: Node) -> None:
    """Wait until the master's name resolves, and see that it does not lead back to this very node."""
    addresses = _addresses(node)
    if (
        node.node > 0
        and not node.one_machine
        and all(ipaddress.ip_address(address).is_loopback for address in addresses)
    ):
        raise UsageError(
            f"on {node} the master's name {node.master} resolves to {addresses[0]}, which is this node itself, and not node 0\n"
            "name node 0 by its address on the network, or mend /etc/hosts here (Debian writes 127.0.1.1 there)\n"
            "where all nodes are meant to be on one machine, say --one-machine"
        )


@contextmanager
def settled(node: Node) -> Iterator[Node]:
    """Yield the node with the port at which all meet. Raises UsageError where they cannot."""
    if node.meet is None:
        if node.node == 0:
            check_port(node)
        check_master(node)
        yield node
    elif node.node == 0:
        with announced_port(node.meet) as port:
            check_master(node)
            yield replace(node, port=port)
    else:
        check_master(node)
        yield replace(node, port=port_from(node.meet, node.timeout, str(node)))


def run(node: Node) -> int:
    """Start this node's ranks and return once all have ended."""
    with ProcessGroup(quiet=ORDINARY) as group:
        for rank in node.ranks():
            output = (
                Output(f"[node{node.node} rank {rank}]", node.logs and node.logs / f"rank{rank}.log")
                if rank
                else None
            )
            group.start(
                f"rank {rank} on {node}",
                [sys.executable, "-m", *node.command],
                node.environment(rank),
                output,
            )
        return group.wait()


def main() -> NoReturn:
    """Exit as the first rank that failed did; 2 where the ranks could not start, 128 + signal where one ended them."""
    for number in ENDING:
        signal.signal(number, _leave)
    try:
        node = parse(sys.argv[1:])
        if node.leash:
            Thread(target=_end_with_stdin, daemon=True).start()
        if node.logs:
            writable(node.logs)
        with settled(node) as node:
            status = run(node)
        if node.node == 0 and node.logs:
            close(node.logs, status)  # for rank 0, where that was killed
    except UsageError as error:
        print(error, file=sys.stderr)
        status = error.exit_status
    sys.exit(status)


def _addresses(node: Node) -> list[str]:
    """Return the master's addresses. Raises UsageError when the time is over, also while a look-up still hangs."""
    answer: Queue[list[str]] = Queue()
    trouble = ["no name server answers"]
    Thread(target=_look_up, args=(node.master, answer, trouble), daemon=True).start()
    try:
        return answer.get(timeout=node.timeout)
    except Empty:
        raise UsageError(
            f"on {node} the master's name {node.master} did not resolve within {node.timeout:g} s: {trouble[-1]}\n"
            "see that it is spelled right, and that this node knows it (DNS, /etc/hosts)"
        ) from None


def _look_up(name: str, answer: Queue[list[str]], trouble: list[str]) -> None:
    while True:
        try:
            answer.put(
                [str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
            )
            return
        except (
            OSError,
            UnicodeError,
        ) as error:  # the latter of a name that can be none, such as one with an empty part
            trouble.append(getattr(error, "strerror", None) or str(error))
            time.sleep(RETRY_S)


def _end_with_stdin() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _leave(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
