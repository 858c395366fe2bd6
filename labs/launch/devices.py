"""Which of this machine's GPUs each container gets. Two nodes never share one: NCCL refuses that."""

import re
from pathlib import Path

from labs.errors import UsageError
from labs.launch.spec import RunSpec

DEV = Path("/dev")


def there() -> int:
    """Return how many NVIDIA GPUs this machine has."""
    return sum(bool(re.fullmatch(r"nvidia\d+", device.name)) for device in DEV.glob("nvidia*"))


def of_node(spec: RunSpec, node: int) -> list[int]:
    """Return the GPUs of a node: as many as were asked for, or a fair share of all."""
    count = there() // spec.nodes if spec.gpus == "auto" else int(spec.gpus)
    return list(range(node * count, (node + 1) * count))


def check(spec: RunSpec) -> None:
    """Raise UsageError for more GPUs than there are."""
    if spec.gpus != "auto" and int(spec.gpus) * spec.nodes > there():
        asked = f"GPUS={spec.gpus} on {spec.nodes} nodes is more than the {there()} that this machine has"
        raise UsageError(f"{asked}\nleave GPUS out, or say GPUS=0")


def options(spec: RunSpec, client: str, node: int) -> list[str]:
    """Return the options that give a container its GPUs. docker takes one list, in quotes of its own; podman a device at a time."""
    numbers = [str(number) for number in of_node(spec, node)]
    if Path(client).name == "podman":
        return [word for number in numbers for word in ("--device", f"nvidia.com/gpu={number}")]
    return ["--gpus", f'"device={",".join(numbers)}"'] if numbers else []
