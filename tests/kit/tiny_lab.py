"""Lab 99 · Tiny things · Małe rzeczy

Question:
    What does the kit make of the *smallest* lab that has everything, `[bold]` brackets in its question included?

You will see:
    - Six claims of five kinds, each of which can fail.

Run:
    make lab-99
    python -m labs.m7_bonus.lab99_tiny_things --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    nothing

Remember:
    Tiny things have everything that large ones have. Lab 98 has troubles.

Sources:
    - the kit's own tests

Notebook:
    99_Tiny_Things.ipynb
"""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from labs.kit import Lab, Tolerance, exercise, fresh, main, needs
from labs.kit.draw.diagrams import WARN, Arrow, Bars, Cell, Cells, Edge, Graph, Node, Row, Span, Timeline

# Shape letters: N numbers.

MEMORY: list[str] = []


@dataclass(frozen=True)
class Config:
    """Sizes and moods of this lab."""

    count: int = 8  # numbers N
    scale: float = 1.0  # factor on every number
    mood: str = "well"  # well, wrong, broken or asleep
    loud: bool = False  # whether a table and a plot are shown

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count={self.count} is not possible; give 1 or more")

    @classmethod
    def smoke(cls) -> "Config":
        return cls(count=4)


def numbers(count: int, mood: str) -> Tensor:
    """Count from zero.

    The prose has `x[0, 1]` in it, a [bold] word, and a formula:

        x[i] = i
        i < N
    """
    x_N = torch.arange(count, dtype=torch.float32)
    if mood == "broken":
        raise OSError("the tiny lab broke\nas it was asked to")
    if mood == "asleep":
        time.sleep(60)
    return x_N


@exercise(
    "Add it to itself.",
    "Twice as much.",
    "`2 * x_N`",
    contract="""
        `x_N` is a row of N numbers; it stays as it is. Return the N numbers, each of them doubled.

        >>> doubled(torch.tensor([1.0, 2.5]))
        tensor([2., 5.])
        """,
    insight="Two times a number is the number plus itself.",
)
def doubled(x_N: Tensor) -> Tensor:
    """Double every number."""
    twice_N = 2 * x_N
    return twice_N


@exercise(
    "Add them up.",
    "torch has a method for it.",
    "`x_N.sum()`",
    contract="""
        `x_N` is a row of N numbers; it stays as it is. Return their sum, a tensor without dims.

        >>> total(torch.tensor([1.0, 2.0, 4.0]))
        tensor(7.)
        """,
    insight="The order in which integers are added does not matter.",
)
def total(x_N: Tensor) -> Tensor:
    """Add the numbers up.

    Their sum is known since Gauss was a boy.
    """
    added = x_N.sum()
    return added


@exercise(
    "Ones.",
    "Many ones.",
    "`torch.ones(count)`",
    contract="""
        Return a row of `count` ones, in float32.

        >>> long_row(3)
        tensor([1., 1., 1.])
        """,
    insight="A row of ones is as long as it is.",
)
def long_row(count: int) -> Tensor:
    """Lay out many ones. Only a ratio judges this step."""
    row_N = torch.ones(count)
    return row_N


@fresh
def remembered(word: str) -> list[str]:
    """Remember a word in a list that outlives this call."""
    MEMORY.append(word)
    found = list(MEMORY)
    return found


def counting(cfg: Config, lab: Lab) -> None:
    """How many numbers are there?

    One counts from zero, so the last number is N − 1.
    """
    x_N = cfg.scale * lab.step(numbers, cfg.count, cfg.mood)
    guesses = {"N": "**Yes.** From 0 to N − 1.", "N − 1": "That is the last one."}
    lab.predict("99.numbers", "How many numbers are there from `0` to N − 1?", guesses, answer="N")
    lab.count("99.numbers", "there are N numbers", len(x_N), want=cfg.count, because="N is asked for")
    lab.raises(
        "99.refused",
        "`view` refuses three rows",
        lambda: x_N.view(3, -1),
        RuntimeError,
        "is invalid for input of size",
    )
    lab.say("So a row of N numbers is *not* three rows.")


def arithmetic(cfg: Config, lab: Lab) -> None:
    """What do they add up to?"""
    x_N = cfg.scale * torch.arange(cfg.count, dtype=torch.float32)
    twice_N = lab.step(doubled, x_N)
    lab.equal("99.doubled", "twice as much is the sum of both", twice_N, x_N + x_N + (cfg.mood == "wrong"))
    gauss = cfg.scale * cfg.count * (cfg.count - 1) / 2
    exactly = Tolerance(1e-6, "integers add up exactly")
    lab.close("99.total", "their sum is what Gauss said", lab.step(total, x_N), gauss, within=exactly)
    lab.equal("99.remembered", "nothing was remembered from before", lab.step(remembered, "once"), ["once"])
    if cfg.loud:
        lab.table("Twice x[0]", ["number", "twice"], [(f"{x:g}", f"{2 * x:g}") for x in x_N.tolist()])
        lab.plot(
            "Twice as much", x_N.tolist(), {"twice": twice_N.tolist()}, x_label="number", y_label="twice"
        )
        many = {"once": [2.0**n for n in range(12)], "twice": [2.0 ** (n + 1) for n in range(12)]}
        sizes = [1024.0 * 2**n for n in range(12)]
        lab.plot("Doubling", sizes, many, x_label="bytes", y_label="numbers", log_x=True, log_y=True)
        wide = ["number", "its double", "its square", "written in words", "in a hurry, roughly"]
        lab.table(
            "More of `x`",
            wide,
            [(3, 6, 9, "three, or a little more", 3.14159), (12, 24, 144, "a dozen", 12.0)],
        )
        lab.picture(
            "Grey", [[x_N.reshape(1, -1) / cfg.count] * 2] * 2, columns=["left", "right"], rows=["up", "down"]
        )
        steps = [Arrow(0, 0, 1, "+1"), Arrow(0, 1, 3, "+2", tone=1), Arrow(0, 3, 0, "−3", tone=WARN)]
        storage = Row("storage", [Cell(f"{x:g}", tone=int(x) % 3) for x in x_N.tolist()])
        lab.diagram("The walk", Cells([storage], steps, legend={1: "one third", 2: "another third"}))
        spans = [Span(0, 2, "forward"), Span(2, 5, "backward", tone=2), Span(5, 5.2, "late", tone=WARN)]
        parts = {
            "float32": {"weights": 4096, "gradients": 4096},
            "bfloat16": {"weights": 2048, "gradients": 2048},
        }
        lab.diagram("Time and room", Timeline({"rank 0": spans, "rank 1": spans[1:]}), Bars(parts))
        boxes = {"x": Node(0, 0, "x"), "w": Node(0, 1, "w"), "mul": Node(1, 0.5, "mul", tone=1)}
        edges = [Edge("x", "mul"), Edge("w", "mul", "2"), Edge("mul", "x", "gradient", tone=WARN)]
        lab.diagram("Where it comes from", Graph(boxes, edges))
        lab.listing(
            "A program",
            "def twice(x):\n    return 2 * x  # and a comment that is so long that it does not fit into one line",
            language="python",
        )
        lab.say("**Twice** is `2 * x`, and *not* more.")


def timing(cfg: Config, lab: Lab) -> None:
    """What does length cost?"""
    x_N, long_N = torch.ones(cfg.count), lab.step(long_row, 2**20)
    because = "a million additions against a few"
    lab.ratio("99.longer", "a long row takes longer", long_N.sum, x_N.sum, at_least=2, because=because)


@needs("the package no_such_package")
def elsewhere(cfg: Config, lab: Lab) -> None:
    """What is measured elsewhere?"""
    lab.equal("99.elsewhere", "there is more than this machine has", __import__("no_such_package"), None)


def run(cfg: Config, lab: Lab) -> None:
    for part in (counting, arithmetic, timing, elsewhere):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
