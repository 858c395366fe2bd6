"""Run a lab in containers: one for each node, on a network that leads nowhere else, with the node starter inside.

The image brings Python and the packages, this checkout the labs, so that a lab runs as it stands in the checkout, edits included.
"""

import os
import re
import secrets
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from labs import home
from labs.errors import UsageError
from labs.files import writable
from labs.interfaces import OF_THIS_MACHINE
from labs.launch import devices, image, local, mounts
from labs.launch.engine import CLIENTS, NEVER_PULLED, Engine
from labs.launch.keeper import kept
from labs.launch.process_group import GRACE_S, ProcessGroup
from labs.launch.spec import RunSpec, State, node_starter, note_job, whole_number
from labs.launch.states import attended, end_with

PORT = "29500"  # each run has a network of its own
SIZE = re.compile(r"\d+[kmg]", re.IGNORECASE)
USUAL_SHM = "1g"  # docker's own 64 MiB are too little for data workers
CONTAINERS_GRACE_S = GRACE_S + 5  # the starter inside has its own grace, and the engine takes its time
BY_ITSELF = range(
    137
)  # a container that ends with a status has named the rank that broke; 137 may be the memory's end
REFUSED, KILLED = (
    125,
    137,
)  # of `docker run`: the engine could not make the container, and said why; SIGKILL ended it
LABEL = "labs.run"
PASSED_ON = (
    "LABS_TIMEOUT",
    "NCCL_",
    "GLOO_",
    "TORCH_",
)  # beginnings of variables that mean something to the ranks


class Docker:
    """Containers on this machine, made from the labs' image. podman serves where there is no docker."""

    name = "docker"
    takes = frozenset({"image", "memory", "cpus", "shm"})
    shares_folder = True

    def why(self) -> str:
        return "never by itself; say LAUNCHER=docker"

    def check(self, spec: RunSpec) -> None:
        """Refuse what this machine cannot do, before anything is made. The engine is asked only when it is needed."""
        local.check_size(spec)
        devices.check(spec)
        for name, size in {"MEMORY": spec.request.memory, "SHM": spec.request.shm}.items():
            if size and not SIZE.fullmatch(size):
                raise UsageError(
                    f"{name}={size[:20]} is not possible; give a number with k, m or g, such as {name}=2g"
                )
        cores = os.cpu_count() or 1
        if spec.request.cpus and whole_number("CPUS", spec.request.cpus) > cores:
            raise UsageError(
                f"CPUS={spec.request.cpus} is more than this machine has\nask for {cores} at the most"
            )

    def render(self, spec: RunSpec) -> str:
        run, client = "labs-run", CLIENTS[0]
        lines = [shlex.join([client, *words]) for words in _network(spec, client, run)]
        nodes = [
            shlex.join([client, *_container(spec, Engine(client), run, node)]) for node in range(spec.nodes)
        ]
        return "\n".join([*lines, *(f"{line} &" for line in nodes[1:]), nodes[0]]) + "\n"

    def submit(self, spec: RunSpec) -> int:
        """Run the containers to their end, and leave none of them, whatever happens."""
        assert spec.folder is not None
        engine, run = Engine.find(), f"labs-{secrets.token_hex(4)}"
        image.check(engine, image_of(spec))
        writable(spec.folder)
        mounts.require_written(engine, image_of(spec), spec.folder)
        note_job(spec, run)
        with kept(spec.folder), _made(engine, spec, run):
            status = _run(engine, spec, run)
        end_with(spec.folder, status)
        return status

    def states(self, folders: Sequence[Path]) -> dict[Path, State]:
        """Return what became of runs. Their containers end when the command does that started them."""
        return {folder: attended(folder) for folder in folders}

    def cancel(self, folder: Path) -> None:
        """End the containers of a run. The command that started them tidies up."""
        engine = Engine.find()
        engine.ask("kill", "--signal", "TERM", *_containers(engine, folder))

    def follow(self, folder: Path) -> int:
        """Show what the run prints, until it ends."""
        return local.follow(folder)


def _run(engine: Engine, spec: RunSpec, run: str) -> int:
    with ProcessGroup(BY_ITSELF, CONTAINERS_GRACE_S) as group:
        for node in reversed(range(spec.nodes)):
            command = [engine.client, *_container(spec, engine, run, node)]
            group.start(f"the container of node{node}", command, os.environ, leash=True)
        return _explained(engine, spec, run, group.wait())


def image_of(spec: RunSpec) -> str:
    """Return the image that was asked for, else the one for what this machine has."""
    return spec.request.image or image.name_of("gpu" if devices.of_node(spec, 0) else "cpu")


def _network(spec: RunSpec, client: str, run: str) -> list[list[str]]:
    """The engine's own addresses; nothing outside can be reached, and nothing outside can come in."""
    # The host would keep an address on it, and docker would lead there all that a container sends: to every service of the host.
    hidden = [] if Path(client).name == "podman" else ["--opt", "com.docker.network.bridge.inhibit_ipv4=true"]
    return [["network", "create", "--internal", *hidden, "--label", LABEL, run]] if spec.nodes > 1 else []


def _container(spec: RunSpec, engine: Engine, run: str, node: int) -> list[str]:
    name = f"node{node}"
    # Names that only the world outside knows are looked up in vain: a second is enough to find that out, not ten.
    hasty = ["--dns-option", "timeout:1", "--dns-option", "attempts:1"]
    network = ["--network", run, "--network-alias", name, *hasty] if spec.nodes > 1 else ["--network", "none"]
    environment = {**image.surroundings(), "OMP_NUM_THREADS": str(_threads(spec)), **_passed_on()}
    starter = node_starter(
        spec,
        image.PYTHON,
        str(node),
        "node0" if spec.nodes > 1 else local.LOOPBACK,
        "--port",
        PORT,
        "--leash",
    )
    return [
        "run", "--interactive", *NEVER_PULLED, "--name", f"{run}-{name}", "--hostname", name, "--label", f"{LABEL}={spec.folder}",
        *network, *mounts.user(engine), *_limits(spec), *devices.options(spec, engine.name, node), "--read-only", "--tmpfs",
        "/tmp:exec,mode=1777", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", *_mounts(engine, spec),
        *(word for pair in environment.items() for word in ("--env", "=".join(pair))), "--workdir", str(home.CHECKOUT),
        image_of(spec), *starter,
    ]  # fmt: skip


def _limits(spec: RunSpec) -> list[str]:
    # Without a limit on swap of its own, docker would let a container have as much swap again.
    memory = (
        ["--memory", spec.request.memory, "--memory-swap", spec.request.memory] if spec.request.memory else []
    )
    cpus = ["--cpus", spec.request.cpus] if spec.request.cpus else []
    return [*memory, *cpus, "--shm-size", spec.request.shm or USUAL_SHM]


def _mounts(engine: Engine, spec: RunSpec) -> list[str]:
    """The run's folder to write to; the labs, a learner's file and fetched weights to read. All stand where they stand outside."""
    read = [home.CHECKOUT / "labs", spec.attempt, Path(_passed_on().get("TORCH_HOME", "/"))]
    seen = [word for path in read if path and path != Path("/") for word in mounts.mount(engine, path)]
    # Labels of SELinux would have to be changed for a container to read a person's files: leave them.
    return [
        *mounts.mount(engine, Path(spec.folder or ""), writable=True),
        *seen,
        "--security-opt",
        "label=disable",
    ]


def _passed_on() -> dict[str, str]:
    usual = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "torch"
    fetched = {"TORCH_HOME": str(usual)} if os.access(usual, os.R_OK | os.X_OK) else {}
    return fetched | set_by_the_person()


def set_by_the_person() -> dict[str, str]:
    """Return what in this environment means something to the ranks. What the labs set by themselves, they set in there, too.

    Names of this machine's interfaces and cards are not handed on: inside there are others.
    """
    wanted = {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(PASSED_ON) and name not in OF_THIS_MACHINE
    }
    return {
        name: value for name, value in wanted.items() if (name, value) != ("TORCH_CPP_LOG_LEVEL", "ERROR")
    }


def _threads(spec: RunSpec) -> int:
    """A limit on processor time is no limit on threads: torch would start one for each core that the machine has."""
    cores = int(spec.request.cpus or (os.cpu_count() or 1) // spec.nodes)
    return max(1, cores // spec.procs)


def _containers(engine: Engine, folder: Path) -> list[str]:
    """Return the ids of a run's containers that run."""
    return engine.ask("ps", "--quiet", "--filter", f"label={LABEL}={folder.absolute()}").split()


@contextmanager
def _made(engine: Engine, spec: RunSpec, run: str) -> Iterator[None]:
    """Make the network, and remove it and all containers in the end. A second Ctrl-C does not keep us from that."""
    try:
        for words in _network(spec, engine.client, run):
            engine.ask(*words)
        yield
    finally:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        engine.try_("rm", "--force", "--volumes", *(f"{run}-node{node}" for node in range(spec.nodes)))
        if spec.nodes > 1:
            engine.try_("network", "rm", run)
        _sweep(engine)
        signal.signal(signal.SIGINT, before)


def _sweep(engine: Engine) -> None:
    """Remove what earlier runs left that could not do so themselves, because they were killed."""
    for kind in ("container", "network"):
        engine.try_(kind, "prune", "--force", "--filter", f"label={LABEL}", "--filter", "until=1h")


def _explained(engine: Engine, spec: RunSpec, run: str, status: int) -> int:
    """Say where the memory of a container was not enough: the rank itself cannot."""
    for node in range(spec.nodes):
        if (
            status == KILLED
            and engine.answer("inspect", "--format", "{{.State.OOMKilled}}", f"{run}-node{node}") == "true"
        ):
            print(
                f"exit {status}: out of memory in the container of node{node}\nask for more with MEMORY=",
                file=sys.stderr,
            )
    return UsageError.exit_status if status == REFUSED else status
