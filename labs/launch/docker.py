"""Run a lab in containers: one for each node, on a network that leads nowhere else, with the node starter inside."""

import os
import re
import secrets
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labs import home
from labs.errors import UsageError
from labs.launch import local
from labs.launch.crew import GRACE_S, Crew
from labs.launch.engine import Engine
from labs.launch.spec import RunSpec, State, node_starter, whole_number

PORT = "29500"  # each run has a network of its own
SIZE = re.compile(r"\d+[kmg]", re.IGNORECASE)
USUAL_SHM = "1g"  # docker's own 64 MiB are too little for data workers
CONTAINERS_GRACE_S = GRACE_S + 5  # the starter inside has its own grace, and the engine takes its time
BY_ITSELF = range(137)  # a container that ends with a status has named the rank that broke; 137 may be the memory's end
KILLED = 137
LABEL = "labs.run"


class Docker:
    """Containers on this machine, made from the labs' image. podman serves where there is no docker."""

    name = "docker"
    takes = frozenset({"image", "memory", "cpus", "shm"})
    shares_nodes = False

    def why(self) -> str:
        return "never by itself; say LAUNCHER=docker"

    def check(self, spec: RunSpec) -> None:
        """Refuse what this machine or its engine cannot do, before anything is made."""
        local.check_size(spec)
        for name, size in {"MEMORY": spec.request.memory, "SHM": spec.request.shm}.items():
            if size and not SIZE.fullmatch(size):
                raise UsageError(f"{name}={size} is not possible; give a number with k, m or g, such as {name}=2g")
        if spec.request.cpus:
            whole_number("CPUS", spec.request.cpus)
        Engine.find().size(image_of(spec))

    def render(self, spec: RunSpec) -> str:
        engine, run = Engine.find(), "labs-run"
        lines = [shlex.join([engine.name, *words]) for words in _network(spec, run)]
        nodes = [shlex.join([engine.name, *_container(spec, engine, run, node)]) for node in range(spec.nodes)]
        return "\n".join([*lines, *(f"{line} &" for line in nodes[1:]), nodes[0]]) + "\n"

    def submit(self, spec: RunSpec) -> int:
        """Run the containers to their end, and leave none of them, whatever happens."""
        assert spec.folder is not None
        home.writable(spec.folder)
        engine, run = Engine.find(), f"labs-{secrets.token_hex(4)}"
        with _made(engine, spec, run), Crew(BY_ITSELF, CONTAINERS_GRACE_S) as crew:
            for node in reversed(range(spec.nodes)):
                command = [engine.client, *_container(spec, engine, run, node)]
                crew.start(f"the container of node{node}", command, os.environ, leash=True)
            status = crew.wait()
            return _explained(engine, spec, run, status)

    def state(self, folder: Path) -> State:
        """Return what the run's own record says."""
        return local.Local().state(folder)

    def cancel(self, folder: Path) -> None:
        """End the containers of a run."""
        engine = Engine.find()
        found = engine.ask("ps", "--quiet", "--filter", f"label={LABEL}={folder}").split()
        engine.ask("kill", "--signal", "TERM", *found)

    def follow(self, folder: Path) -> int:
        """Show what the run has printed so far."""
        return local.Local().follow(folder)


def image_of(spec: RunSpec) -> str:
    """Return the image that was asked for, else the one for what this machine has."""
    return spec.request.image or ("labs:gpu" if _gpus(spec) else "labs:cpu")


def _gpus(spec: RunSpec) -> str:
    """Return how many GPUs a container gets, `all` of them, or an empty string."""
    if spec.gpus == "auto":
        return "all" if Path("/dev/nvidia0").exists() else ""
    return "" if spec.gpus == "0" else spec.gpus


def _network(spec: RunSpec, run: str) -> list[list[str]]:
    """The engine's own addresses; nothing outside can be reached, and nothing outside can come in."""
    return [["network", "create", "--internal", run]] if spec.nodes > 1 else []


def _container(spec: RunSpec, engine: Engine, run: str, node: int) -> list[str]:
    place = spec.folder
    name = f"node{node}"
    network = ["--network", run, "--network-alias", name] if spec.nodes > 1 else ["--network", "none"]
    limits = [
        word
        for option, value in {"--memory": spec.request.memory, "--cpus": spec.request.cpus}.items()
        if value
        for word in (option, value)
    ]
    gpus = ["--gpus", _gpus(spec)] if _gpus(spec) else []
    # Files belong to the person who runs it. podman without root maps that person to root inside, unless told otherwise.
    user = ["--user", f"{os.getuid()}:{os.getgid()}", *(["--userns", "keep-id"] if engine.name == "podman" and os.getuid() else [])]
    mounts = [f"type=bind,source={place},target={place}"]
    if spec.attempt:
        mounts.append(f"type=bind,source={spec.attempt},target={spec.attempt},readonly")
    threads = max(1, int(spec.request.cpus or (os.cpu_count() or 1) // spec.nodes) // spec.procs)
    return [
        "run", "--interactive", "--name", f"{run}-{name}", "--hostname", name, "--label", f"{LABEL}={place}",
        *network, *user, *limits, *gpus, "--shm-size", spec.request.shm or USUAL_SHM,
        "--read-only", "--tmpfs", "/tmp:exec,mode=1777", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        *(word for mount in mounts for word in ("--mount", mount)), "--env", f"OMP_NUM_THREADS={threads}", "--workdir", "/opt/labs",
        image_of(spec), *node_starter(spec, "python", str(node), "node0" if spec.nodes > 1 else local.LOOPBACK, PORT, "--leash"),
    ]  # fmt: skip


@contextmanager
def _made(engine: Engine, spec: RunSpec, run: str) -> Iterator[None]:
    """Make the network, and remove it and all containers in the end. A second Ctrl-C does not keep us from that."""
    try:
        for words in _network(spec, run):
            engine.ask(*words)
        yield
    finally:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        engine.try_("rm", "--force", "--volumes", *(f"{run}-node{node}" for node in range(spec.nodes)))
        for _ in _network(spec, run):
            engine.try_("network", "rm", run)
        signal.signal(signal.SIGINT, before)


def _explained(engine: Engine, spec: RunSpec, run: str, status: int) -> int:
    """Say where the memory of a container was not enough: the rank itself cannot."""
    for node in range(spec.nodes):
        if status == KILLED and engine.ask("inspect", "--format", "{{.State.OOMKilled}}", f"{run}-node{node}").strip() == "true":
            print(f"exit {status}: out of memory in the container of node{node}: ask for more with MEMORY=", file=sys.stderr)
    return status
