"""Look at the programs that labs use, and at the places where labs can run: containers, Slurm, Kubernetes."""

import re
import shutil
import sys
from typing import NamedTuple

from labs import compiler as trial
from labs.doctor.check import Check, Verdict
from labs.doctor.programs import ANSWER_S, Answer, Programs
from labs.errors import UsageError
from labs.launch import engine as engines
from labs.launch.engine import Engine

COMPILE_S = 6.0
GROUP = "Where labs can run"


class Tool(NamedTuple):
    """A program that only has to answer. `get` is its package, or a sentence where it is in no package that all systems know."""

    group: str
    command: tuple[str, ...]
    allows: str
    get: str


TOOLS = {
    "git": Tool("Tools", ("git", "--version"), "the revision in every run's record", "git"),
    "graphviz": Tool("Tools", ("dot", "-V"), "graphs as pictures", "graphviz"),
}
SANDBOXES = {
    "apptainer": Tool(GROUP, ("apptainer", "--version"), "RUNTIME=apptainer", "ask the administrator"),
    # It answers from inside a sandbox of its own, which proves that it may make one.
    "bwrap": Tool(
        GROUP, ("bwrap", "--ro-bind", "/", "/", "bwrap", "--version"), "RUNTIME=bwrap", "bubblewrap"
    ),
}
START = (
    {"docker": "start Docker Desktop", "podman": "podman machine start"}
    if sys.platform == "darwin"
    else {"docker": "sudo systemctl start docker", "podman": "see: podman info"}
)
MANAGERS = {
    "brew": "brew install",
    "apt-get": "sudo apt-get install",
    "dnf": "sudo dnf install",
    "pacman": "sudo pacman -S",
}


def tool(programs: Programs, name: str) -> Check:
    """Look whether a program is there and answers."""
    return _answering(programs, name, (TOOLS | SANDBOXES)[name])


def compiler(programs: Programs) -> Check:
    """Look for the compiler that torch.compile takes, and let it compile a few lines, which are then called."""
    get = (
        "xcode-select --install" if sys.platform == "darwin" else "gcc-c++" if shutil.which("dnf") else "g++"
    )
    wanted = Tool("Tools", (trial.named(), "--version"), "torch.compile", get)
    found = _answering(programs, "C++ compiler", wanted)
    if found.verdict != "ok":
        return found
    trouble = trial.why_not(patience_s=COMPILE_S)
    if trouble is None:
        return found
    verdict: Verdict = "slow" if trial.SLOW in trouble else "broken"
    told = f"{found.found} is there: {trouble}"
    return Check(found.name, found.group, verdict, told, wanted.allows, "labs doctor, once that is mended")


def engine(programs: Programs, name: str) -> Check:
    """Look for a container engine: its client, and the engine itself, which says what it is."""
    if not shutil.which(name):
        return Check(name, GROUP, "missing", f"no {name}", "LAUNCHER=docker", f"install {name}")
    answer = programs.ask(name, "info", "--format", "{{json .}}")
    if answer.status is None:
        found = f"the client is there, its engine is slow: {answer.trouble}"
        return Check(name, GROUP, answer.failed, found, "LAUNCHER=docker", START[name])
    try:
        there = engines.read(name, answer.status, answer.out, answer.err)
    except UsageError as error:
        return Check(name, GROUP, answer.failed, str(error), "LAUNCHER=docker", START[name])
    return Check(name, GROUP, "ok", _what_it_is(there))


def _what_it_is(there: Engine) -> str:
    """Return an engine's version, and what is not as everywhere: where it runs, and as whom."""
    maps = "root inside is you" if there.rootless else "it maps users" if there.remaps else ""
    far = f"it runs on {there.host}, and must see the files of this machine" if there.is_elsewhere else ""
    return ", ".join(filter(None, (there.version, maps, far)))


def slurm(programs: Programs) -> Check:
    """Look for sbatch, and for a controller that answers."""
    allows = "LAUNCHER=slurm"
    if not shutil.which("sbatch"):
        return Check("Slurm", GROUP, "missing", "no sbatch", allows, "log in to a cluster")
    answer = programs.ask("scontrol", "ping")
    up = re.search(r"Slurmctld.* is UP", answer.out)
    if up:
        return Check("Slurm", GROUP, "ok", up[0])
    return Check(
        "Slurm",
        GROUP,
        answer.failed,
        f"sbatch is there, its controller {_does_not_answer(answer)}",
        allows,
        "see: scontrol ping",
    )


def kubernetes(programs: Programs) -> Check:
    """Look for kubectl, for a context, and for an API that answers."""
    allows = "LAUNCHER=k8s"
    if not shutil.which("kubectl"):
        return Check("Kubernetes", GROUP, "missing", "no kubectl", allows, "install kubectl")
    context = programs.ask("kubectl", "config", "current-context")
    if context.status != 0:
        return Check(
            "Kubernetes",
            GROUP,
            "missing",
            "kubectl is there, and no context",
            allows,
            "name a kubeconfig in KUBECONFIG",
        )
    answer = programs.ask("kubectl", "get", "--raw", "/version", f"--request-timeout={ANSWER_S:g}s")
    version = re.search(r'"gitVersion":\s*"([^"]+)"', answer.out)
    if answer.status == 0 and version:
        return Check("Kubernetes", GROUP, "ok", f"{version[1]} in context {context.out.strip()}")
    found = f"the API of context {context.out.strip()}: {answer.trouble}"
    return Check("Kubernetes", GROUP, answer.failed, found, allows, "see: kubectl cluster-info")


def _answering(programs: Programs, name: str, wanted: Tool) -> Check:
    program = wanted.command[0]
    get = _install(wanted.get)
    if not shutil.which(program):
        return Check(name, wanted.group, "missing", f"no {program}", wanted.allows, get)
    answer = programs.ask(*wanted.command)
    said = (answer.out.strip() or answer.err.strip()).splitlines()
    verdict: Verdict = "ok" if answer.status == 0 and said else answer.failed
    if verdict == "ok":
        return Check(name, wanted.group, verdict, said[0])
    return Check(
        name,
        wanted.group,
        verdict,
        f"{program} is there: {answer.trouble}",
        wanted.allows,
        f"see: {' '.join(wanted.command)}",
    )


def _does_not_answer(answer: Answer) -> str:
    return f"is slow: {answer.trouble}" if answer.failed == "slow" else f"is not: {answer.trouble}"


def _install(package: str) -> str:
    """Return the command that installs a package here; a sentence stays what it is."""
    if " " in package:
        return package
    manager = next((command for name, command in MANAGERS.items() if shutil.which(name)), "install")
    return f"{manager} {package}"
