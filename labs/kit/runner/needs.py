"""What a claim or a part may need of a machine: the one list of names, and how each is looked up."""

import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import torch

from labs import compiler
from labs.kit.distributed.world import World

IMPORT_S = 60.0
# Returns nothing where it is there; else why it cannot be used, or "" where it is simply not there.
Check = Callable[[World, str], str | None]


def _unless(there: bool) -> str | None:
    return None if there else ""


@cache
def _importable(name: str) -> str | None:
    """Try to import a package, in a process of its own: a broken one may end Python, and a whole one leaves its mark."""
    try:
        if find_spec(name) is None:
            return ""
    except ModuleNotFoundError:  # the package that `name` would be a part of
        return ""
    if name.partition(".")[0] in sys.modules:
        return None
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", f"import {name}"], capture_output=True, text=True, errors="replace",
            timeout=IMPORT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"its import was not done after {IMPORT_S:g} s"
    said = (done.stderr.strip().splitlines() or [f"Python ended with status {done.returncode}"])[-1]
    return f"it cannot be imported: {said}" if done.returncode else None


def _onnxruntime_on(device: torch.device) -> str | None:
    """Ask the onnxruntime that is installed: its build for CPUs alone runs on a machine with a GPU too, and never uses it."""
    if device.type != "cuda" or _importable("onnxruntime") is not None:
        return ""
    import onnxruntime

    has = onnxruntime.get_available_providers()
    return None if "CUDAExecutionProvider" in has else f"its providers are {', '.join(has)}"


# N stands for a number, NAME for a package as it is imported.
NEEDS: dict[str, Check] = {
    "N processes": lambda world, count: _unless(world.size >= int(count)),
    "N processes or fewer": lambda world, count: _unless(world.size <= int(count)),
    "N nodes": lambda world, count: _unless(world.nodes >= int(count)),
    "cuda": lambda world, _: _unless(world.device.type == "cuda"),
    "cuda in onnxruntime": lambda world, _: _onnxruntime_on(world.device),
    "a C++ compiler": lambda world, _: compiler.why_not(_language(world.device)),
    "the package NAME": lambda _, name: _importable(name),
}


def lacking(need: str, world: World) -> str:
    """Return nothing where every process of the run has what is needed, else why a claim is not measured: "needs 3 processes".

    Raises ValueError for a need that is not on the list.
    """
    for form, check in NEEDS.items():
        if found := re.fullmatch(_pattern(form), need):
            answers = world.gather(f"need {need}", check(world, "".join(found.groups())))
            lacks = [answer for answer in answers if answer is not None]
            return ": ".join(filter(None, (f"needs {need}", *lacks[:1]))) if lacks else ""
    raise ValueError(f"{need!r} is no known need; the list in needs.py has: {', '.join(NEEDS)}")


def _pattern(form: str) -> str:
    return re.sub(r"\bN\b", r"(\\d+)", re.sub(r"\bNAME\b", r"([\\w.]+)", re.escape(form)))


def _language(device: torch.device) -> compiler.Language:
    """Return what inductor compiles: C++ for a processor, C for what starts a GPU's kernels."""
    return compiler.CPP if device.type == "cpu" else compiler.C
