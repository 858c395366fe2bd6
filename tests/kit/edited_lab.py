"""Lab 97 · Edited things · Zmieniane rzeczy

Question:
    What becomes of a lab whose exercises are edited in every way?

You will see:
    - Edits that a claim notices, and edits that none can.

Run:
    make lab-97
    python -m labs.m7_bonus.lab97_edited_things --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    nothing

Remember:
    Not every edit is a mistake.

Sources:
    - the kit's own tests

Notebook:
    97_Edited_Things.ipynb
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from labs.kit import Lab, exercise, fresh, main

# Shape letters: N numbers.

MEMORY: list[int] = []


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    count: int = 8  # numbers N

    @classmethod
    def smoke(cls) -> "Config":
        return cls(count=4)


@exercise("Begin with one.", "A loop that halves.", "`while count > 1:`")
def halvings(count: int) -> int:
    """Count how often a number can be halved."""
    steps = 0
    while count > 1:
        count //= 2
        steps += 1
    return steps


@exercise("Leave it as it is.", "Write into a copy.", "`x_N.clone().mul_(3)`")
def tripled(x_N: Tensor) -> Tensor:
    """Triple every number, and leave them as they are."""
    thrice_N = x_N.contiguous().clone().mul_(3)
    return thrice_N


@exercise("Once is enough.", "A list that stays.", "`MEMORY.append(word)`")
@fresh
def remembered(word: int) -> list[int]:
    """Remember a word in a list that outlives this call."""
    MEMORY.append(word)
    return list(MEMORY)


def numbers(count: int) -> Tensor:
    """Count from zero."""
    return torch.arange(count)


def halving(cfg: Config, lab: Lab) -> None:
    """How often can a number be halved?"""
    counts = [lab.step(halvings, count) for count in (1, 2, 3, 8)]
    lab.equal("97.halvings", "8 can be halved three times", counts, [0, 1, 1, 3])


def tripling(cfg: Config, lab: Lab) -> None:
    """What is three times as much?"""
    x_N = lab.step(numbers, cfg.count)
    thrice_N = lab.step(tripled, x_N)
    lab.equal("97.tripled", "three times as much is a sum", thrice_N, 3 * torch.arange(cfg.count))


def remembering(cfg: Config, lab: Lab) -> None:
    """What is remembered?"""
    lab.equal("97.remembered", "nothing was remembered from before", lab.step(remembered, 7), [7])


def run(cfg: Config, lab: Lab) -> None:
    for part in (halving, tripling, remembering):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
