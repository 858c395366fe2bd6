"""What other work has left in this person's environment, and what the labs make of it: small looks, a sentence where there is one."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

from labs import home as homes
from labs import interfaces, isolation, launch, switches
from labs.doctor.check import Check
from labs.doctor.programs import ANSWER_S, Programs
from labs.errors import UsageError
from labs.files import check_place
from labs.home import Home
from labs.launch.slurm import cluster
from labs.places import torch_home
from labs.rank_variables import VARIABLES
from labs.temporary import LONGEST, SHORT

GROUP = "This environment"
SIZES = (
    "NODES",
    "PROCS",
    "GPUS",
    "SMOKE",
    "LAUNCHER",
    "DRYRUN",
    "ARGS",
    "LAB",
    "PORT",
)  # of make, beside a Request's
PIP = ("-m", "scripts.environment.pip")

Look = Callable[[], str | None]


def ranks() -> str | None:
    """Another launcher's state."""
    names = sorted(name for name in os.environ if name.startswith(VARIABLES))
    return f"{_named(names)}: of another launcher, and not heeded by labs run" if names else None


def modules() -> str | None:
    """Variables of Python, set for another one."""
    return isolation.set_aside()


def batch_settings() -> str | None:
    """Settings of Slurm's that are this person's own: all that is asked and submitted follows them."""
    names = [name for name in sorted(os.environ) if name == "SLURM_CONF" or name.startswith("SBATCH_")]
    return f"{_named(names)}: set for Slurm, and followed in all that labs ask and submit" if names else None


def batch_job() -> str | None:
    """A shell inside a job, here or elsewhere."""
    job = cluster.outer_job()
    if not job:
        return None
    if cluster.on_a_node():
        return (
            f"this shell is inside job {job}, on its node: labs run there, and do not submit unless asked to"
        )
    return (
        f"this shell holds job {job}, and is not on one of its nodes: go there with srun --nodes=1 --pty bash"
    )


def hands() -> str | None:
    """A person's folder in somebody else's hands."""
    try:
        Home.from_environment()
    except UsageError as error:
        return " · ".join(str(error).splitlines())
    return None


def network_names() -> str | None:
    """Interfaces that are named, and are of another machine."""
    return interfaces.trouble()


def addresses() -> str | None:
    """A host that has no IPv4."""
    there = [address for found in interfaces.usable().values() for address in found]
    outside = [address for address in there if not address.startswith(("127.", "::1", "fe80"))]
    only = outside and all(":" in address for address in outside)
    return f"this host has IPv6 alone ({outside[0]}): ranks on several nodes meet by it" if only else None


def torch_switches() -> str | None:
    """Switches that change what is measured."""
    return "; ".join(switches.said()) or None


def kept_elsewhere() -> str | None:
    """Places other than the person's own folder that take no files."""
    for variable, folder in {
        "TORCH_HOME": torch_home(),
        "TMPDIR": Path(os.environ.get("TMPDIR") or SHORT),
    }.items():
        try:
            check_place(folder, variable)
        except (UsageError, OSError) as error:
            return " · ".join(str(error).splitlines())
    return None


def own_venv() -> str | None:
    """A .venv of another place, or another person's checkout around this command."""
    checkout = Path(sys.prefix).parent
    if all((checkout / name).is_file() for name in homes.OF_A_CHECKOUT) and not checkout.samefile(
        homes.CHECKOUT
    ):
        return f"this Python is {sys.prefix}, the labs are {homes.CHECKOUT}: say make setup there"
    made_in = _made_in(homes.CHECKOUT / ".venv" / ".stamp")
    if made_in and not (made_in.exists() and made_in.samefile(homes.CHECKOUT)):
        return f"its .venv was made in {made_in}, and was moved or copied since: make setup sets it right"
    if other := homes.other_checkout():
        return f"you are in {other}, and these are the labs of {homes.CHECKOUT}: source {other}/.venv/bin/activate"
    return None


def packages_elsewhere(programs: Programs, seconds: float = ANSWER_S) -> str | None:
    """A configuration of pip's by which set-up could not work. Set-up itself knows which."""
    if not (homes.CHECKOUT / "scripts" / "environment" / "pip.py").exists():
        return None
    answer = programs.ask(sys.executable, *PIP, seconds=seconds, cwd=homes.CHECKOUT)
    return answer.out.strip() or None


def signs() -> str | None:
    """A terminal that cannot show everything."""
    encoding = (sys.stdout.encoding or "none").lower()
    if encoding.replace("-", "").startswith("utf"):
        return None
    return f"the locale's encoding is {encoding}: what it lacks is shown by similar signs; LC_ALL=C.UTF-8 has all"


def long_path() -> str | None:
    """A temporary folder with a path too long for sockets."""
    folder = os.environ.get("TMPDIR", "")
    if len(folder) <= LONGEST:
        return None
    return f"TMPDIR has {len(folder)} characters, too many for a socket's path: labs take a folder of their own in {SHORT}"


def exported_wishes() -> str | None:
    """Names that make takes for wishes, and that are exported for something else."""
    told = os.environ.get("LABS_FROM_ENVIRONMENT")
    names = (
        told.split()
        if told is not None
        else [*SIZES, *(wish.name.upper() for wish in fields(launch.Request))]
    )
    found = [name for name in names if os.environ.get(name)]
    return (
        f"{_named(found)}: exported, so make takes it for a wish of yours; unset what is not"
        if found
        else None
    )


LOOKS: dict[str, Look] = {
    "other launcher": ranks,
    "Python's own": modules,
    "Slurm's own": batch_settings,
    "Slurm job": batch_job,
    "in whose hands": hands,
    "interfaces": network_names,
    "IPv6": addresses,
    "torch's switches": torch_switches,
    "folders": kept_elsewhere,
    ".venv": own_venv,
    "terminal": signs,
    "TMPDIR": long_path,
    "exported": exported_wishes,
}


def all_looks(programs: Programs) -> Iterator[Callable[[], Check | None]]:
    """Yield all looks. What cannot be told is no finding."""
    looks = LOOKS | {"pip": lambda: packages_elsewhere(programs)}
    for name, look in looks.items():
        yield lambda name=name, look=look: _noted(name, look)  # type: ignore[misc]


def _noted(name: str, look: Look) -> Check | None:
    sentence = look()
    return Check(name, GROUP, "noted", sentence) if sentence else None


def _made_in(stamp: Path) -> Path | None:
    try:
        lines = stamp.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return Path(lines[1]) if len(lines) > 1 else None


def _named(names: list[str]) -> str:
    """Return variables with their values, as short as they can be told."""
    told = [f"{name}={os.environ[name][:30]}" for name in names[:4]]
    return ", ".join([*told, *([f"and {len(names) - 4} more"] if len(names) > 4 else [])])
