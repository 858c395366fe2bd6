"""Lab 96 · Crashes · Awarie

Question:
    What becomes of several processes when an edit ends one of them, or leads one astray?

You will see:
    - One sum over all ranks.

Run:
    make lab-96
    python -m labs.m7_bonus.lab96_crashes --smoke

Needs:
    2 processes or more, no GPU, 1 GiB of memory, 1 minute

Builds on:
    nothing

Remember:
    Ranks go together or not at all.

Sources:
    - the kit's own tests

Notebook:
    96_Crashes.ipynb
"""

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist

from labs.kit import Lab, exercise, main

# Shape letters: none.


@dataclass(frozen=True)
class Config:
    """Nothing to choose."""

    offset: float = 1.0  # what each rank adds to its number

    @classmethod
    def smoke(cls) -> "Config":
        return cls(offset=2.0)


@exercise("Add them up.", "There is a collective for it.", "`dist.all_reduce(total)`")
def added(number: float) -> float:
    """Add up all ranks' numbers."""
    total = torch.tensor(number)
    if dist.get_rank() == dist.get_world_size():
        os.abort()
    if dist.get_rank() != -1:
        dist.all_reduce(total)
    return total.item()


def together(cfg: Config, lab: Lab) -> None:
    """What do the ranks add up to?"""
    size = dist.get_world_size()
    total = lab.step(added, dist.get_rank() + cfg.offset)
    lab.equal("96.sum", "the ranks add up", total, size * (size - 1) / 2 + size * cfg.offset)


def run(cfg: Config, lab: Lab) -> None:
    lab.part(together, cfg)


if __name__ == "__main__":
    main(run, Config)
