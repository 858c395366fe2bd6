"""Lab 98 · Summing up · Sumowanie

Question:
    What do ranks make of a learner's step?

You will see:
    - One sum over all ranks, three times.

Run:
    make lab-98
    python -m labs.m7_bonus.lab98_summing_up --smoke

Needs:
    2 processes or more, no GPU, 1 GiB of memory, 1 minute

Builds on:
    nothing

Remember:
    A sum over all ranks needs all ranks.

Sources:
    - the kit's own tests

Notebook:
    98_Summing_Up.ipynb
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from labs.kit import Lab, exercise, main

# Shape letters: N numbers.

Doubling = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Config:
    """How many numbers each rank has."""

    count: int = 4  # numbers N

    @classmethod
    def smoke(cls) -> "Config":
        return cls(count=3)


@exercise(
    "All ranks.",
    "A collective.",
    "`dist.all_reduce`",
    contract="""
        `x_N` are this rank's own numbers; it stays as it is. Return the sum over all ranks, on every rank.

        >>> summed(torch.tensor([1.0, 2.0]))
        tensor([1., 2.])
        """,
    insight="The sum is the same on all ranks, to the last bit.",
)
def summed(x_N: Tensor) -> Tensor:
    """Sum over all ranks."""
    total_N = x_N.clone()
    dist.all_reduce(total_N)
    return total_N


@exercise("a", "b", "c", contract="Return `x_N` twice as large.", insight="So.")
def doubled(x_N: Tensor) -> Tensor:
    """Double every number."""
    twice_N = 2 * x_N
    return twice_N


def of_one(function: Doubling) -> float:
    """Double five ones on one rank alone, and sum them up."""
    twice_N = function(torch.ones(5))
    return twice_N.sum().item()


def together(cfg: Config, lab: Lab) -> None:
    """What is the sum?"""
    rank, size = dist.get_rank(), dist.get_world_size()
    for turn in range(2):
        lab.step(summed, torch.full((turn + 1,), float(rank)))
    total_N = lab.step(summed, torch.full((cfg.count,), rank + 1.0))
    want_N = torch.full((cfg.count,), size * (size + 1) / 2)
    lab.equal("98.sum", "All ranks have the sum.", total_N, want_N)
    lab.equal("98.many", "Three ranks have a larger one.", total_N, want_N, needs="3 processes")


def apart(cfg: Config, lab: Lab) -> None:
    """What is twice a number?"""
    sum_of_one = lab.step_on_first(of_one, doubled)
    lab.equal("98.alone", "Five ones doubled by one rank alone sum to ten.", sum_of_one, 10.0)
    lab.equal(
        "98.twice", "Twice is twice.", lab.step(doubled, torch.ones(cfg.count)), torch.full((cfg.count,), 2.0)
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (together, apart):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
