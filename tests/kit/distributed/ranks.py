"""Processes that agree, in one process: threads on one store, since what is said goes through the store alone."""

import threading
from collections.abc import Callable
from typing import Any

import torch.distributed as dist

from labs.kit.distributed.seal import Seal
from labs.kit.distributed.world import World


def together(size: int, action: Callable[[World], Any], agree_s: float = 5.0) -> list[Any]:
    """Run an action once for each rank, side by side, and return what each returned or raised."""
    store, seal, results = dist.HashStore(), Seal(), [None] * size

    def rank(place: int) -> None:
        try:
            results[place] = action(World(rank=place, size=size, store=store, seal=seal, agree_s=agree_s))
        except Exception as error:
            results[place] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=rank, args=(place,)) for place in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
