"""Lab 98 · Troubles · Kłopoty

Question:
    What becomes of several processes when one of them goes wrong?

You will see:
    - One sum over all ranks, if nothing is wrong.

Run:
    make lab-98
    python -m labs.m7_bonus.lab98_troubles --smoke

Needs:
    2 processes or more, no GPU, 1 GiB of memory, 1 minute

Builds on:
    nothing

Remember:
    The others can only wait. Who is waited for has to be named.

Sources:
    - the kit's own tests

Notebook:
    98_Troubles.ipynb
"""

import os
import signal
import time
from dataclasses import dataclass

import torch
import torch.distributed as dist

from labs.kit import Lab, main

# Shape letters: none.


@dataclass(frozen=True)
class Config:
    """What the last rank does wrong."""

    trouble: str = "none"  # none, raise, skip, stall, late or die

    @classmethod
    def smoke(cls) -> "Config":
        return cls()


def misfortune(trouble: str) -> int:
    """Go wrong on the last rank, before the others can notice."""
    last = dist.get_rank() == dist.get_world_size() - 1
    if last and trouble == "raise":
        raise ValueError("the last rank cannot go on")
    if last and trouble == "stall":
        time.sleep(120)
    if last and trouble == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return dist.get_rank()


def added(rank: int, trouble: str) -> float:
    """Add up all ranks, unless this one skips it."""
    total = torch.tensor([float(rank)])
    if trouble != "skip" or dist.get_rank() < dist.get_world_size() - 1:
        dist.all_reduce(total)
    return total.item()


def waited(trouble: str) -> float:
    """Wait for the others, where one has skipped what they do."""
    if trouble == "skip":
        time.sleep(120)
    if trouble == "late" and dist.get_rank() == dist.get_world_size() - 1:
        time.sleep(5)
    return 0.0


def together(cfg: Config, lab: Lab) -> None:
    """What happens to the others?"""
    rank = lab.step(misfortune, cfg.trouble)
    total = lab.step(added, rank, cfg.trouble)
    lab.step(waited, cfg.trouble)
    size = dist.get_world_size()
    lab.equal("98.sum", "the ranks add up", total, size * (size - 1) / 2)


def run(cfg: Config, lab: Lab) -> None:
    lab.part(together, cfg)


if __name__ == "__main__":
    main(run, Config)
