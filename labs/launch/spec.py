"""What is to be run, said once and handed to any launcher. Nothing here knows labs or torch."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from labs.errors import UsageError
from labs.files import read_json, write_whole

LONGEST_NUMBER = 6  # digits


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
    shm: str = _asks("size of /dev/shm in a container, such as 1G")
    detach: str = _asks("1: return as soon as it is submitted; labs status, logs and cancel go on from there")

    def check(self, launcher: str, takes: frozenset[str]) -> None:
        """Raise UsageError for a wish that means nothing to the launcher."""
        vain = next(
            (wish.name for wish in fields(self) if getattr(self, wish.name) and wish.name not in takes), None
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

    @property
    def arguments(self) -> list[str]:
        """Return the command line of the lab's own file."""
        attempt = ["--attempt", str(self.attempt)] if self.attempt else []
        record = ["--launcher", self.launcher, "--folder", str(self.folder)] if self.folder else []
        return [*(["--smoke"] if self.smoke else []), *attempt, *record, *self.flags]


class Launcher(Protocol):
    """A place where labs run."""

    name: str
    takes: frozenset[str]  # names of the fields of Request that mean something here
    shares_nodes: bool  # with other people's jobs, so that a run must say how much memory it needs

    def why(self) -> str:
        """Return in a few words why this launcher is the natural choice here."""

    def check(self, spec: RunSpec) -> None:
        """Raise UsageError, before anything is made, for what this place cannot do."""

    def render(self, spec: RunSpec) -> str:
        """Return exactly what `submit` would do, as text, and do nothing."""

    def submit(self, spec: RunSpec) -> int:
        """Run the lab to its end and return its exit status."""

    def state(self, folder: Path) -> "State":
        """Return what became of a run that this launcher started."""

    def cancel(self, folder: Path) -> None:
        """End a run. Raises UsageError where that is not possible from here."""

    def follow(self, folder: Path) -> int:
        """Show what a run prints, until it ends, and return its exit status."""


class Variable(str):
    """A word such as $PORT, which the shell that runs a rendered command is to fill in."""


def shell_line(words: Sequence[str]) -> str:
    """Return words as a shell needs them: all are quoted but its variables."""
    return " ".join(word if isinstance(word, Variable) else shlex.quote(word) for word in words)


def node_starter(spec: RunSpec, python: str, node: str, master: str, port: str, *more: str) -> list[str]:
    """Return the command that starts one node's ranks. It is the same everywhere; see labs.launch.node."""
    size = [
        "--nodes",
        str(spec.nodes),
        "--node",
        node,
        "--procs",
        str(spec.procs),
        "--master",
        master,
        "--port",
        port,
    ]
    logs = ["--logs", str(spec.folder)] if spec.folder else []
    return [python, "-m", "labs.launch.node", *size, *more, *logs, "--", spec.module, *spec.arguments]


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
    }
    write_whole(spec.folder / "job.json", json.dumps(noted, indent=2) + "\n")


def noted_job(folder: Path) -> dict[str, Any]:
    """Return what `note_job` noted, or an empty dict."""
    return read_json(folder / "job.json")
