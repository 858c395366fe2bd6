"""What is to be run, said once and handed to any launcher. Nothing here knows labs or torch."""

import json
import os
import re
import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from labs.errors import UsageError
from labs.files import read_json, write_whole

# Of Slurm, of our containers, and of Kubernetes.
JOB_ID = re.compile(r"\d+|labs-[0-9a-f]{8}|(lab\d\d|preflight)-[0-9a-z]{4,6}")
LONGEST_NUMBER = 6  # digits
PROCESSES_PER_CORE = 8  # more would only bring a machine to its knees


def _asks(help_: str) -> str:
    wish: str = field(default="", metadata={"help": help_})
    return wish


@dataclass(frozen=True)
class Request:
    """What a place is asked for beyond nodes, processes and GPUs. Empty: as the place decides."""

    time: str = _asks("time limit: minutes, such as 30, or 1:30:00")
    memory: str = _asks("memory on each node, such as 8G")
    cpus: str = _asks("cores on each node, such as 4")
    image: str = _asks("container image")
    runtime: str = _asks("what a Slurm node runs the lab in: none, bwrap, apptainer or pyxis")
    partition: str = _asks("Slurm partition")
    account: str = _asks("Slurm account")
    qos: str = _asks("Slurm QOS")
    reservation: str = _asks("Slurm reservation")
    constraint: str = _asks("features that Slurm nodes must have")
    sbatch_args: str = _asks("further options of sbatch, such as '--mail-type=END --exclude=node7'")
    shm: str = _asks("size of /dev/shm in a container, such as 1G")
    namespace: str = _asks("Kubernetes namespace, by default the context's")
    kubecontext: str = _asks("context of the kubeconfig, by default its current one")
    queue: str = _asks("queue that lets a Kubernetes job start (Kueue), such as students")
    pull: str = _asks("when Kubernetes pulls the image: Always, IfNotPresent or Never")
    pullsecret: str = _asks("Secret by which Kubernetes pulls the image")
    selector: str = _asks("labels that Kubernetes nodes must have, such as gpu=h100,zone=a")
    tolerations: str = _asks("taints of Kubernetes nodes that are borne, such as gpu=yes:NoSchedule")
    serviceaccount: str = _asks("Kubernetes service account of the pods")
    runtimeclass: str = _asks("Kubernetes runtime class, such as nvidia")
    resource: str = _asks("what Kubernetes calls a GPU, by default nvidia.com/gpu")
    claim: str = _asks(
        "Kubernetes volume claim, shared by all nodes, that keeps run folders with their checkpoints"
    )
    retries: str = _asks("how often Kubernetes runs that broke begin anew, from the checkpoints in CLAIM=")
    detach: str = _asks("1: return as soon as it is submitted; labs status, logs and cancel go on from there")

    @property
    def detached(self) -> bool:
        """Tell whether the command is to return as soon as the run is submitted."""
        return self.detach not in ("", "0", "no", "false")

    def check(self, launcher: str, takes: frozenset[str]) -> None:
        """Raise UsageError for a wish that means nothing to the launcher, unless it was not typed: TIME= is GNU time's, too."""
        strange = [name.lower() for name in os.environ.get("LABS_FROM_ENVIRONMENT", "").split()]
        vain = next(
            (
                wish.name
                for wish in fields(self)
                if getattr(self, wish.name) and wish.name not in takes and wish.name not in strange
            ),
            None,
        )
        if vain:
            understood = ", ".join(f"{name.upper()}=" for name in sorted(takes)) or "none of this kind"
            raise UsageError(
                f"{vain.upper()}={getattr(self, vain)} means nothing to LAUNCHER={launcher}, which takes: {understood}\nleave it out"
            )


@dataclass(frozen=True)
class RunSpec:
    """One run of one lab: what, how large, where its files go."""

    lab: int
    module: str  # import name of the lab's file
    launcher: str
    folder: Path | None = None  # the run's own; None where nothing is kept
    nodes: int = 1
    procs: int = 1  # processes on each node
    gpus: str = "auto"  # GPUs on each node: a number, or auto for all there are
    smoke: bool = False
    flags: tuple[str, ...] = ()  # of the lab's own Config
    attempt: Path | None = None  # a learner's file, whose functions take the place of the lab's
    request: Request = Request()
    memory: str = ""  # on each node, such as 2G: what the lab needs, where nobody asks for more
    uses_gpu: bool = True  # takes GPUs where there are any; a lab that needs none leaves them to others

    @property
    def arguments(self) -> list[str]:
        """Return the command line of the lab's own file."""
        attempt = ["--attempt", str(self.attempt)] if self.attempt else []
        record = ["--launcher", self.launcher, "--folder", str(self.folder)] if self.folder else []
        return [*(["--smoke"] if self.smoke else []), *attempt, *record, *self.flags]

    @property
    def later_commands(self) -> str:
        """Return in one line the commands that go on with the run once it is submitted."""
        which = self.lab or "preflight"
        return f"labs status {which} · labs logs {which} · labs cancel {which}"


class Launcher(Protocol):
    """A place where labs run."""

    name: str
    takes: frozenset[str]  # names of the fields of Request that mean something here
    shares_folder: bool  # all nodes of a run see its folder; else each has its own of that name

    def why(self) -> str:
        """Return in a few words why this launcher is the natural choice here."""

    def check(self, spec: RunSpec) -> None:
        """Raise UsageError, before anything is made, for what this place cannot do."""

    def render(self, spec: RunSpec) -> str:
        """Return exactly what `submit` would do, as text, and do nothing."""

    def submit(self, spec: RunSpec) -> int:
        """Run the lab to its end and return its exit status."""

    def states(self, folders: Sequence[Path]) -> "dict[Path, State]":
        """Return what became of runs that this launcher started, by as few questions as can be. Waits for a bounded time."""

    def cancel(self, folder: Path) -> None:
        """End a run. Raises UsageError where that is not possible from here."""

    def follow(self, folder: Path) -> int:
        """Show what a run prints, until it ends, and return its exit status."""


class Variable(str):
    """A word such as $PORT, which the shell that runs a rendered command is to fill in."""


def shell_line(words: Sequence[str]) -> str:
    """Return words as a shell needs them: all are quoted but its variables."""
    return " ".join(word if isinstance(word, Variable) else shlex.quote(word) for word in words)


def node_starter(spec: RunSpec, python: str, node: str, master: str, *where: str) -> list[str]:
    """Return the command that starts one node's ranks. It is the same everywhere; see labs.launch.node.

    `where` says how they meet, such as `--port 29500`, and what else that place needs.
    """
    size = ["--nodes", str(spec.nodes), "--node", node, "--procs", str(spec.procs), "--master", master]
    logs = ["--logs", str(spec.folder)] if spec.folder else []
    return [python, "-m", "labs.launch.node", *size, *where, *logs, "--", spec.module, *spec.arguments]


def whole_number(name: str, text: str) -> int:
    """Return a number of nodes or processes. Raises UsageError in words that name the variable."""
    if not text.isdecimal() or len(text) > LONGEST_NUMBER or int(text) < 1:
        raise UsageError(
            f"{name}={text[:20]} is not possible; give a whole number from 1 up, such as {name}=2"
        )
    return int(text)


def gpu_count(text: str) -> str:
    """Return `auto` or a number of GPUs from 0 up, as text. Raises UsageError otherwise."""
    if text != "auto" and not text.isdecimal():
        raise UsageError(
            f"GPUS={text} is not possible; give auto or a whole number from 0 up, such as GPUS=1"
        )
    return text


def one_of(name: str, text: str, allowed: Sequence[str]) -> str:
    """Return text if it is allowed. Raises UsageError with the list otherwise."""
    if text not in allowed:
        raise UsageError(f"{name}={text[:20]} is not there; choose from: {', '.join(allowed)}")
    return text


@dataclass(frozen=True)
class State:
    """What a place says of a run that goes on by itself."""

    id: str
    word: str
    detail: str = ""
    ended: bool = False
    status: int = 0  # its exit status, where it has ended


def note_job(spec: RunSpec, id_: str) -> None:
    """Note in the run folder which job runs it, so that any shell can find it, also on a later day."""
    assert spec.folder is not None
    noted = {
        "launcher": spec.launcher,
        "id": id_,
        "lab": spec.lab,
        "nodes": spec.nodes,
        "procs": spec.procs,
        "smoke": spec.smoke,
        "host": socket.gethostname(),
    }
    write_whole(spec.folder / "job.json", json.dumps(noted, indent=2) + "\n")


def noted_job(folder: Path) -> dict[str, Any]:
    """Return what `note_job` noted, or an empty dict. An id that no launcher gives is none: it will stand in a command."""
    noted = read_json(folder / "job.json")
    known = not noted or JOB_ID.fullmatch(str(noted.get("id", "")))
    return noted if known else noted | {"id": ""}
