"""Run a lab here. One process runs in the command's own interpreter; several nodes are several starters on loopback."""

import os
import runpy
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from labs.errors import UsageError
from labs.files import read_json
from labs.launch.file_follower import FileFollower, pump
from labs.launch.process_group import GRACE_S, ProcessGroup
from labs.launch.spec import RunSpec, State, Variable, node_starter, shell_line

LOOPBACK = "127.0.0.1"
STDOUT = 1
PROCESSES_PER_CORE = 8
STARTERS_GRACE_S = GRACE_S + 2  # a starter needs its own grace first, to end its ranks
BY_ITSELF = range(256)  # a starter that ends with a status has named the rank that broke


class Local:
    """This machine, without a queue or a container."""

    name = "local"
    takes: frozenset[str] = frozenset()
    shares_nodes = False

    def why(self) -> str:
        return "no cluster was asked for, and no Slurm answers here"

    def check(self, spec: RunSpec) -> None:
        """Refuse what would only bring the machine to its knees."""
        check_size(spec)

    def render(self, spec: RunSpec) -> str:
        hidden = "CUDA_VISIBLE_DEVICES= " if spec.gpus == "0" else ""
        if spec.nodes * spec.procs == 1:
            return f"{hidden}{shell_line([sys.executable, '-m', spec.module, *spec.arguments])}\n"
        port = Variable("$PORT")
        nodes = [hidden + shell_line(_starter(spec, node, port)) for node in _order(spec)]
        return "PORT=29500  # or any that is free: each run looks for one\n" + " &\n".join(nodes) + "\n"

    def submit(self, spec: RunSpec) -> int:
        if spec.gpus == "0":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return _here(spec) if spec.nodes * spec.procs == 1 else _beside(spec)

    def state(self, folder: Path) -> State:
        noted = read_json(folder / "run.json")
        word = str(noted.get("status", "unknown"))
        return State("", word, str(noted.get("error", "")), ended=word != "running")

    def cancel(self, folder: Path) -> None:
        raise UsageError(
            f"{folder.name} runs in a terminal of this machine, not as a job\npress Ctrl-C there"
        )

    def follow(self, folder: Path) -> int:
        pump([FileFollower(folder / "log.txt", STDOUT)])
        return 0


def check_size(spec: RunSpec) -> None:
    """Raise UsageError for more processes than this machine could bear."""
    asked, bearable = spec.nodes * spec.procs, PROCESSES_PER_CORE * (os.cpu_count() or 1)
    if asked > bearable:
        problem = f"NODES={spec.nodes} PROCS={spec.procs} asks for {asked} processes on one machine with {os.cpu_count()} cores"
        raise UsageError(f"{problem}\nask for {bearable} at the most, or for a cluster with LAUNCHER=")


def _here(spec: RunSpec) -> int:
    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # while torch is imported; the lab takes over when it has done so
    sys.argv = [spec.module, *spec.arguments]
    try:
        runpy.run_module(spec.module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _beside(spec: RunSpec) -> int:
    port = str(_free_port())
    with ProcessGroup(BY_ITSELF, STARTERS_GRACE_S) as group:
        for node in _order(spec):
            group.start(f"the starter of node{node}", _starter(spec, node, port), os.environ)
        return group.wait()


def _order(spec: RunSpec) -> Iterator[int]:
    """Node 0 comes last, so that in a shell it is the one in the foreground."""
    return reversed(range(spec.nodes))


def _starter(spec: RunSpec, node: int, port: str) -> list[str]:
    return node_starter(spec, sys.executable, str(node), LOOPBACK, port, "--one-machine")


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        port: int = server.getsockname()[1]
        return port
