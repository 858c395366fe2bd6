"""What is to be run, said once and handed to any launcher. Nothing here knows labs or torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labs.errors import UsageError

LONGEST_NUMBER = 6  # digits


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

    @property
    def arguments(self) -> list[str]:
        """Return the command line of the lab's own file."""
        attempt = ["--attempt", str(self.attempt)] if self.attempt else []
        kept = ["--launcher", self.launcher, "--folder", str(self.folder)] if self.folder else []
        return [*(["--smoke"] if self.smoke else []), *attempt, *kept, *self.flags]


class Launcher(Protocol):
    """A place where labs run."""

    name: str

    def why(self) -> str:
        """Return in a few words why this launcher is the natural choice here."""

    def check(self, spec: RunSpec) -> None:
        """Raise UsageError, before anything is made, for what this place cannot do."""

    def render(self, spec: RunSpec) -> str:
        """Return exactly what `submit` would do, as text, and do nothing."""

    def submit(self, spec: RunSpec) -> int:
        """Run the lab to its end and return its exit status."""


def whole_number(name: str, text: str) -> int:
    """Return a number of nodes or processes. Raises UsageError in words that name the variable."""
    if not text.isdecimal() or len(text) > LONGEST_NUMBER or int(text) < 1:
        raise UsageError(f"{name}={text[:20]} is not possible; give a whole number from 1 up, such as {name}=2")
    return int(text)


def gpu_count(text: str) -> str:
    """Return `auto` or a number of GPUs from 0 up, as text. Raises UsageError otherwise."""
    if text != "auto" and not text.isdecimal():
        raise UsageError(f"GPUS={text} is not possible; give auto or a whole number from 0 up, such as GPUS=1")
    return text


def one_of(name: str, text: str, allowed: Sequence[str]) -> str:
    """Return text if it is allowed. Raises UsageError with the list otherwise."""
    if text not in allowed:
        raise UsageError(f"{name}={text[:20]} is not there; choose from: {', '.join(allowed)}")
    return text
