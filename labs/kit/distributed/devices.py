"""On which device each rank of a run computes. All ranks choose together: a GPU for every one of them, or the CPU for all."""

from collections.abc import Sequence

import torch

CPU = torch.device("cpu")
Visible = Sequence[Sequence[str]]  # for each rank, in rank order, the GPUs that it sees


def visible(ranks: int) -> list[str]:
    """Return what tells the GPUs that this process sees from one another and, where there are more ranks, from all others.

    Only then is CUDA started, which takes a moment, for their own names. A driver that is too old for torch tells how many there
    are, too, so it is asked first whether they can be used.
    """
    if not torch.cuda.is_available():
        return []
    places = range(torch.cuda.device_count())
    return [
        str(torch.cuda.get_device_properties(place).uuid) if ranks > 1 else str(place) for place in places
    ]


def shared_out(visible: Visible) -> list[int | None]:
    """Give every rank a GPU of its own, as its place among those that the rank sees; None to all where one would go without.

    Ranks on one machine see the same GPUs, unless somebody has dealt them out. So do containers on one machine, and "nodes" that
    are one machine.
    """
    taken: set[str] = set()
    places: list[int | None] = []
    for gpus in visible:
        place = next((place for place, gpu in enumerate(gpus) if gpu not in taken), None)
        if place is None:
            return [None] * len(visible)
        taken.add(gpus[place])
        places.append(place)
    return places


def chosen(visible: Visible, rank: int) -> torch.device:
    """Return the device of one rank."""
    place = shared_out(visible)[rank]
    return CPU if place is None else torch.device("cuda", place)


def enter(device: torch.device) -> None:
    """Let `cuda` without a number mean this GPU."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


def in_words(visible: Visible, nodes: int, *, used: bool = True) -> str:
    """Say how many processes share how many GPUs, and what follows from that: "2 processes, 1 GPU: all on the CPU".

    Where GPUs are not `used`, their number is left out.
    """
    who = _counted(len(visible), "process", "processes") + (f" on {nodes} nodes" if nodes > 1 else "")
    several, device = len(visible) > 1, chosen(visible, 0)
    if device == CPU or not used:
        where = "all on the CPU" if several else "on the CPU"
    else:
        where = "each on a GPU of its own" if several else f"on {device}"
    return f"{who}{_gpus_in_words(visible, nodes) if used else ''}: {where}"


def _gpus_in_words(visible: Visible, nodes: int) -> str:
    size = len(visible) // nodes
    own = [_different(visible[node * size : (node + 1) * size]) for node in range(nodes)]
    unequal = f" ({', '.join(map(str, own))})" if len(set(own)) > 1 else ""
    return f", {_counted(_different(visible), 'GPU', 'GPUs')}{unequal}"


def _different(visible: Visible) -> int:
    return len({gpu for gpus in visible for gpu in gpus})


def _counted(number: int, one: str, many: str) -> str:
    return f"{number or 'no'} {one if number < 2 else many}"
