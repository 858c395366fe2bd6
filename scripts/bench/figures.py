"""A measured figure, and the table that shows it beside its target."""

from dataclasses import dataclass, field
from statistics import median

WIDTHS = 8, 15, 22  # of target, spread and note


@dataclass
class Figure:
    """One measured figure: the median over the samples, beside its target."""

    what: str
    unit: str
    target: str
    samples: list[float]
    note: str = ""
    value: float = field(init=False)

    def __post_init__(self) -> None:
        self.samples = [round(sample, 4) for sample in self.samples]
        self.value = round(median(self.samples), 4)

    def __str__(self) -> str:
        """Return it as a row of the table."""
        spread = f"{min(self.samples):.3g} … {max(self.samples):.3g}" if len(self.samples) > 1 else ""
        return row(self.what, f"{self.value:.4g} {self.unit}", self.target, spread, self.note)


def header() -> str:
    return row("what", "median", "target", "spread", "note") + "\n| --- | ---: | --- | --- | --- |"


def row(what: str, value: str, *others: str) -> str:
    """Return a row of a table in Markdown, which reads well on a terminal too: the number stands on the right."""
    padded = [f"{cell:<{width}}" for cell, width in zip(others, WIDTHS, strict=True)]
    return f"| {' | '.join([f'{what:<64}', f'{value:>12}', *padded])} |"
