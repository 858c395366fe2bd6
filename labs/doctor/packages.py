"""Look at Python and at the packages that the labs import. Only a child imports them: they may crash, hang, or take seconds."""

import json
import platform
import re
import signal
import sys
from concurrent.futures import Future
from contextlib import suppress
from importlib import metadata
from typing import Any

from labs import home
from labs.doctor.check import Check
from labs.doctor.programs import Programs

Facts = dict[str, dict[str, Any]]  # by package, what the child says of it

IMPORTS_S = 8.5  # for all packages together, so that the doctor ends within ten seconds

AGAIN = "labs doctor, once more: what was read once comes faster"

# In this order they are imported: what all labs need first, the slow ones last.
PACKAGES = {
    "torch": "all labs",
    "matplotlib": "the labs' pictures",
    "onnxruntime": "labs 41 and 42",
    "torchvision": "labs with ready-made vision models",
    "lightning": "lab 37",
    "deepspeed": "the DeepSpeed part of lab 44",
}
DISTRIBUTIONS = {"onnxruntime": ("onnxruntime", "onnxruntime-gpu")}


def python() -> Check:
    """Hold the version of this Python against the oldest that will do."""
    found, oldest = f"{platform.python_version()} ({sys.executable})", _oldest_python()
    if tuple(map(int, oldest.split("."))) > sys.version_info[:2]:
        return Check(
            "Python",
            "Python",
            "broken",
            found,
            "all labs",
            f"install Python {oldest} or newer, then: make setup",
        )
    return Check("Python", "Python", "ok", found)


def _oldest_python() -> str:
    versions = home.CHECKOUT / "versions.env"
    written = (
        re.search(r"^PYTHON_MIN=([\d.]+)$", versions.read_text(encoding="utf-8"), re.MULTILINE)
        if versions.exists()
        else None
    )
    return written[1] if written else "3"


def package(name: str, facts: Future[Facts]) -> Check:
    """Judge a package by its metadata and by its import."""
    said = facts.result()[name]
    version = _version(name) or said.get("version", "")
    if said.get("absent") or not version:
        get = "it is for Linux only" if name == "deepspeed" and sys.platform != "linux" else "make setup"
        return Check(name, "Python", "missing", "not installed", PACKAGES[name], get)
    if "slow" in said:
        return Check(name, "Python", "slow", f"{version}; {said['slow']}", PACKAGES[name], AGAIN)
    if "error" in said:
        return Check(
            name,
            "Python",
            "broken",
            f"{version}; {said['error']}",
            PACKAGES[name],
            said.get("get", "make distclean setup"),
        )
    return Check(name, "Python", "ok", f"{version}{said.get('more', '')}")


def _version(name: str) -> str:
    for distribution in DISTRIBUTIONS.get(name, (name,)):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(distribution)
    return ""


def ask_child(programs: Programs) -> Facts:
    """Let a child import all packages and return what it found out, also where it did not come to the end."""
    answer = programs.ask(
        sys.executable, "-m", "labs.doctor.child", *PACKAGES, seconds=IMPORTS_S, cwd=home.CHECKOUT
    )
    facts: Facts = {}
    for line in answer.out.splitlines():
        with suppress(ValueError):  # of the last line there may be only a part
            facts.update(json.loads(line))
    unheard = [name for name in PACKAGES if name not in facts]
    stopper = {name: _why_it_stopped(name, answer.status) for name in unheard[:1]}
    return facts | stopper | {name: {"more": "; there was no time to import it"} for name in unheard[1:]}


def _why_it_stopped(name: str, status: int | None) -> dict[str, Any]:
    if status is None:  # the slow disk of a first import is no fault of theirs
        return {"slow": f"slow, not broken: {IMPORTS_S:g} s were not enough to import it this time"}
    end = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return {"error": f"its import ended Python with {end}"}
