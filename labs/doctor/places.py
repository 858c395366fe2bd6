"""Look at the programs that labs use, and at the places where labs can run: containers, Slurm, Kubernetes."""

import os
import re
import shutil
import sys
from typing import NamedTuple

from labs import launch
from labs.doctor.check import Check, Verdict
from labs.doctor.programs import ANSWER_S, Programs

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
    "apptainer": Tool(
        GROUP, ("apptainer", "--version"), "containers on Slurm", "ask the administrator for apptainer"
    ),
    # It answers from inside a sandbox of its own, which proves that it may make one.
    "bwrap": Tool(
        GROUP,
        ("bwrap", "--ro-bind", "/", "/", "bwrap", "--version"),
        "containers on Slurm, without root",
        "bubblewrap",
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
    """Look for the C++ compiler that torch.compile takes: CXX, else the first of the usual names."""
    named = os.environ.get("CXX", "").split()
    command = named or [next((name for name in ("g++", "clang++", "c++") if shutil.which(name)), "g++")]
    get = (
        "xcode-select --install" if sys.platform == "darwin" else "gcc-c++" if shutil.which("dnf") else "g++"
    )
    return _answering(
        programs,
        "C++ compiler",
        Tool("Tools", (*command, "--version"), "torch.compile and extensions in C++", get),
    )


def engine(programs: Programs, name: str) -> Check:
    """Look for a container engine: its client, and the engine itself."""
    allows = _with_launcher("docker")
    if not shutil.which(name):
        return Check(name, GROUP, "missing", f"no {name}", allows, f"install {name}")
    answer = programs.ask(
        name, "version", "--format", "{{.Server.Version}}" if name == "docker" else "{{.Client.Version}}"
    )
    if name == "podman" and answer.status == 0:
        answer = programs.ask(name, "info", "--format", "{{.Version.Version}}")
    if answer.status == 0:
        return Check(name, GROUP, "ok", answer.out.strip())
    return Check(
        name,
        GROUP,
        "broken",
        f"the client is there, its engine is not: {answer.trouble}",
        allows,
        START[name],
    )


def slurm(programs: Programs) -> Check:
    """Look for sbatch, and for a controller that answers."""
    allows = _with_launcher("slurm")
    if not shutil.which("sbatch"):
        return Check("Slurm", GROUP, "missing", "no sbatch", allows, "log in to a cluster's login node")
    answer = programs.ask("scontrol", "ping")
    up = re.search(r"Slurmctld.* is UP", answer.out)
    if up:
        return Check("Slurm", GROUP, "ok", up[0])
    return Check(
        "Slurm",
        GROUP,
        "broken",
        f"sbatch is there, its controller is not: {answer.trouble}",
        allows,
        "see: scontrol ping",
    )


def kubernetes(programs: Programs) -> Check:
    """Look for kubectl, for a context, and for an API that answers."""
    allows = _with_launcher("k8s")
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
            "get a kubeconfig; name it in KUBECONFIG",
        )
    answer = programs.ask("kubectl", "get", "--raw", "/version", f"--request-timeout={ANSWER_S:g}s")
    version = re.search(r'"gitVersion":\s*"([^"]+)"', answer.out)
    if answer.status == 0 and version:
        return Check("Kubernetes", GROUP, "ok", f"{version[1]} in context {context.out.strip()}")
    found = f"the API of context {context.out.strip()}: {answer.trouble}"
    return Check("Kubernetes", GROUP, "broken", found, allows, "see: kubectl cluster-info")


def _answering(programs: Programs, name: str, wanted: Tool) -> Check:
    program = wanted.command[0]
    get = _install(wanted.get)
    if not shutil.which(program):
        return Check(name, wanted.group, "missing", f"no {program}", wanted.allows, get)
    answer = programs.ask(*wanted.command)
    said = (answer.out.strip() or answer.err.strip()).splitlines()
    verdict: Verdict = "ok" if answer.status == 0 and said else "broken"
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


def _with_launcher(name: str) -> str:
    return f"labs with LAUNCHER={name}" + ("" if name in launch.LAUNCHERS else ", a launcher that is planned")


def _install(package: str) -> str:
    """Return the command that installs a package here; a sentence stays what it is."""
    if " " in package:
        return package
    manager = next((command for name, command in MANAGERS.items() if shutil.which(name)), "install")
    return f"{manager} {package}"
