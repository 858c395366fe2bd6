"""What a claim or a part may need of a machine: the one list of names, and how each is looked up."""

import os
import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec

import torch

from labs.kit.distributed.world import World

Check = Callable[[World, str], bool]

# N stands for a number, NAME for a package as it is imported.
NEEDS: dict[str, Check] = {
    "N processes": lambda world, count: world.size >= int(count),
    "N processes or fewer": lambda world, count: world.size <= int(count),
    "N nodes": lambda world, count: world.nodes >= int(count),
    "cuda": lambda world, _: world.device.type == "cuda",
    "a C++ compiler": lambda world, _: _has_compiler(world.device),
    "the package NAME": lambda _, name: _installed(name),
}


def met(need: str, world: World) -> bool:
    """Tell whether every process of the run has what is needed. Raises ValueError for a need that is not on the list."""
    for form, check in NEEDS.items():
        if found := re.fullmatch(_pattern(form), need):
            return all(world.gather(f"need {need}", check(world, "".join(found.groups()))))
    raise ValueError(f"{need!r} is no known need; the list in needs.py has: {', '.join(NEEDS)}")


def _pattern(form: str) -> str:
    return re.sub(r"\bN\b", r"(\\d+)", re.sub(r"\bNAME\b", r"([\\w.]+)", re.escape(form)))


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the package that `name` would be a part of
        return False


def _has_compiler(device: torch.device) -> bool:
    """Tell whether inductor finds what it compiles with: C++ for a processor, C for what starts a GPU's kernels."""
    variable, *names = (
        ("CXX", "g++", "c++", "clang++") if device.type == "cpu" else ("CC", "gcc", "cc", "clang")
    )
    return any(shutil.which(name) for name in (os.environ.get(variable), *names) if name)
