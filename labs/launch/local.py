"""Run a lab here. One process runs in the command's own interpreter; several nodes are several starters on loopback."""

import os
import runpy
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from labs.errors import UsageError
from labs.launch import devices
from labs.launch.file_follower import FileFollower, pump
from labs.launch.keeper import kept
from labs.launch.process_group import GRACE_S, ProcessGroup
from labs.launch.slurm import cluster
from labs.launch.spec import PROCESSES_PER_CORE, RunSpec, State, Variable, node_starter, shell_line
from labs.launch.states import attended, end_with
from labs.presence import LOG
from labs.rank_variables import without_rank_variables

LOOPBACK = "127.0.0.1"
STDOUT = 1
LOOK_S = 0.5
STARTERS_GRACE_S = GRACE_S + 2  # a starter needs its own grace first, to end its ranks
BY_ITSELF = range(256)  # a starter that ends with a status has named the rank that broke


class Local:
    """This machine, without a queue or a container."""

    name = "local"
    takes: frozenset[str] = frozenset()
    shares_folder = True

    def why(self) -> str:
        job = cluster.outer_job()
        return (
            f"inside job {job}, on its node" if job else "no cluster was asked for, and no Slurm answers here"
        )

    def check(self, spec: RunSpec) -> None:
        """Refuse what would only bring the machine to its knees, and GPUs that it has not."""
        check_size(spec)
        devices.check(spec, len(devices.seen(os.environ)))

    def render(self, spec: RunSpec) -> str:
        if spec.nodes * spec.procs == 1:
            return f"{_gpus(spec, 0)}{shell_line([sys.executable, '-m', spec.module, *spec.arguments])}\n"
        nodes = [
            _gpus(spec, node) + shell_line(_starter(spec, node, Variable("$MEET"))) for node in _order(spec)
        ]
        return (
            "MEET=$(mktemp -d)/port  # where node0 says on which port all meet\n" + " &\n".join(nodes) + "\n"
        )

    def submit(self, spec: RunSpec) -> int:
        run = _here if spec.nodes * spec.procs == 1 else _beside
        if not spec.folder:
            return run(spec)
        with kept(spec.folder):
            status = run(spec)
        end_with(spec.folder, status)
        return status

    def states(self, folders: Sequence[Path]) -> dict[Path, State]:
        return {folder: attended(folder) for folder in folders}

    def cancel(self, folder: Path) -> None:
        raise UsageError(
            f"{folder.name} runs in a terminal of this machine, not as a job\npress Ctrl-C there"
        )

    def follow(self, folder: Path) -> int:
        return follow(folder)


def follow(folder: Path) -> int:
    """Show what a run prints that lives with its command, until it ends, and return its exit status."""
    follower, state = FileFollower(folder / LOG, STDOUT), attended(folder)
    while pump([follower]) or not state.ended:
        if not state.ended:
            time.sleep(LOOK_S)
            state = attended(folder)
    if state.word != "held":
        print(": ".join(filter(None, (state.word, state.detail))), file=sys.stderr)
    return state.status


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
    os.environ.update(devices.variables(spec, 0, os.environ))
    alone = without_rank_variables(os.environ)
    for name in os.environ.keys() - alone.keys():
        del os.environ[name]
    try:
        runpy.run_module(spec.module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _beside(spec: RunSpec) -> int:
    with _meeting(spec) as meet, ProcessGroup(BY_ITSELF, STARTERS_GRACE_S) as group:
        for node in _order(spec):
            own = {**os.environ, **devices.variables(spec, node, os.environ)}
            group.start(f"the starter of node{node}", _starter(spec, node, str(meet)), own)
        return group.wait()


@contextmanager
def _meeting(spec: RunSpec) -> Iterator[Path]:
    """Yield a file in which node 0 can say its port: in the run's own folder, so that nothing is left elsewhere."""
    with nullcontext(spec.folder) if spec.folder else TemporaryDirectory(prefix="labs-") as place:
        meet = Path(place, ".port")
        meet.unlink(missing_ok=True)  # of a run in the same folder that was killed
        try:
            yield meet
        finally:
            meet.unlink(missing_ok=True)


def _gpus(spec: RunSpec, node: int) -> str:
    """Return what stands before a node's command, so that it sees the GPUs that were asked for and no others."""
    return "".join(f"{name}={value} " for name, value in devices.variables(spec, node, os.environ).items())


def _order(spec: RunSpec) -> Iterator[int]:
    """Node 0 comes last, so that in a shell it is the one in the foreground."""
    return reversed(range(spec.nodes))


def _starter(spec: RunSpec, node: int, meet: str) -> list[str]:
    return node_starter(spec, sys.executable, str(node), LOOPBACK, "--meet", meet, "--one-machine")
