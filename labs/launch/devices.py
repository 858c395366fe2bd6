"""Which of this machine's GPUs each node gets, in containers or without. Two nodes never share one: NCCL refuses that."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from labs.errors import UsageError
from labs.launch.spec import RunSpec

DEV = Path("/dev")
VISIBLE = "CUDA_VISIBLE_DEVICES"
DRIVER_S = 10.0  # how long the driver's own program is waited for


def there() -> int:
    """Return how many NVIDIA GPUs this machine has."""
    if (DEV / "dxg").exists():  # Windows keeps them, and Linux within it sees no device of its own for each
        return _told_by_the_driver()
    return sum(bool(re.fullmatch(r"nvidia\d+", device.name)) for device in DEV.glob("nvidia*"))


def _told_by_the_driver() -> int:
    try:
        told = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=DRIVER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in told.stdout.splitlines())


def of_node(spec: RunSpec, node: int) -> list[int]:
    """Return the GPUs of a node: as many as were asked for, or a fair share of all."""
    count = there() // spec.nodes if spec.gpus == "auto" else int(spec.gpus)
    return list(range(node * count, (node + 1) * count))


def check(spec: RunSpec, has: int | None = None) -> None:
    """Raise UsageError for more GPUs than there are, or than somebody lets be seen."""
    has = there() if has is None else has
    if spec.gpus != "auto" and int(spec.gpus) * spec.nodes > has:
        nodes = f"{spec.nodes} node{'s' if spec.nodes > 1 else ''}"
        raise UsageError(
            f"GPUS={spec.gpus} on {nodes} is more than the {has} that this machine has\nleave GPUS out, or say GPUS=0"
        )


def seen(environment: Mapping[str, str]) -> list[str]:
    """Return the GPUs that processes without a container see here, as CUDA names them."""
    if VISIBLE in environment:
        return [name for name in environment[VISIBLE].split(",") if name]
    return [str(number) for number in range(there())]


def variables(spec: RunSpec, node: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what leaves a node's processes the GPUs that were asked for; nothing where that is all there are."""
    if spec.gpus == "auto":
        return {}
    count = int(spec.gpus)
    return {VISIBLE: ",".join(seen(environment)[node * count : (node + 1) * count])}


def options(spec: RunSpec, client: str, node: int) -> list[str]:
    """Return the options that give a container its GPUs. docker takes one list, in quotes of its own; podman a device at a time."""
    numbers = [str(number) for number in of_node(spec, node)]
    if Path(client).name == "podman":
        return [word for number in numbers for word in ("--device", f"nvidia.com/gpu={number}")]
    return ["--gpus", f'"device={",".join(numbers)}"'] if numbers else []
