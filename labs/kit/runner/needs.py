"""What a claim or a part may need of a machine: the one list of names, and how each is looked up."""

import re
from collections.abc import Callable
from importlib.util import find_spec

from labs.kit.distributed.world import World
from labs.kit.topics.compiling import missing_compiler

Check = Callable[[World, str], bool]

NEEDS: dict[str, Check] = {
    r"(\d+) processes": lambda world, count: world.size >= int(count),
    r"(\d+) processes or fewer": lambda world, count: world.size <= int(count),
    r"(\d+) nodes": lambda world, count: world.nodes >= int(count),
    r"cuda()": lambda world, _: world.device.type == "cuda",
    r"a C\+\+ compiler()": lambda world, _: not missing_compiler(world.device),
    r"the package ([\w.]+)": lambda world, name: find_spec(name) is not None,
}


def met(need: str, world: World) -> bool:
    """Tell whether every process of the run has what is needed. Raises ValueError for a need that is not on the list."""
    for pattern, check in NEEDS.items():
        if found := re.fullmatch(pattern, need):
            return all(world.gather(f"need {need}", check(world, found[1])))
    known = ", ".join(pattern.replace("\\", "").replace("()", "") for pattern in NEEDS)
    raise ValueError(f"{need!r} is no known need; the list in needs.py has: {known}")
