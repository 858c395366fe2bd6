"""What a run leaves behind: the form of `run.json`. Its JSON schema, `labs/run.schema.json`, is made from these classes."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from labs.home import write_whole

Kind = Literal["exact", "close", "bytes", "count", "raises", "ratio", "stat"]
Verdict = Literal["held", "failed", "not measured here"]
Status = Literal["running", "held", "failed", "broke", "interrupted"]
Judgement = Literal["passed", "failed", "not written yet", "cannot be judged here"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Claim(_Record):
    """A sentence that can be false, with what was measured and how it was judged."""

    id: str = Field(pattern=r"^\d{2,}\.[a-z0-9-]+$")
    text: str
    kind: Kind
    verdict: Verdict
    reason: str = Field(default="", description="why it failed or was not measured; empty where it held")
    value: float | int | str | None = Field(
        default=None,
        description="what was measured: differences (exact), the error (close), the median ratio …",
    )
    unit: str = ""
    bound: str = Field(default="", description="what the value is held against, as text")
    because: str = Field(
        default="", description="where the bound comes from: a formula, a specification, physics"
    )
    shown: str = Field(default="", description="value, unit and bound as a person reads them")
    cases: int | None = Field(
        default=None, description="over how many cases an exact or close claim was judged", ge=0
    )
    samples: list[float] = Field(
        default_factory=list, description="the paired ratios or differences behind a ratio or a stat"
    )
    step: int = Field(default=0, description="the step under which the claim stands; 0 before the first")
    judges: list[str] = Field(
        default_factory=list,
        description="the steps called since the claims before it, and those that they call: what it judges",
    )


class Table(_Record):
    """Rows that a person reads."""

    type: Literal["table"] = "table"
    title: str
    columns: list[str]
    rows: list[list[str]]

    def numeric(self, index: int) -> bool:
        """Tell whether a column holds numbers alone, and so stands on the right; the first one names its rows."""
        return index > 0 and all(re.match(r"[-+−]?[\d.,]+(e[-+]?\d+)?\b", row[index]) for row in self.rows)


class Figure(_Record):
    """A picture in the run folder, and the numbers in it."""

    type: Literal["figure"] = "figure"
    title: str
    path: str
    x_label: str = ""
    y_label: str = ""
    x: list[float] = Field(default_factory=list)
    series: dict[str, list[float]] = Field(default_factory=dict)


class Picture(_Record):
    """Images side by side, in one file of the run folder."""

    type: Literal["picture"] = "picture"
    title: str
    path: str
    columns: list[str]
    rows: list[str]


class Listing(_Record):
    """Text that a program wrote, such as generated code."""

    type: Literal["listing"] = "listing"
    title: str
    text: str
    language: str = Field(default="text", description="what it is written in, as Pygments calls it")


class ClaimHere(_Record):
    """The place of a claim among a step's tables and pictures."""

    type: Literal["claim"] = "claim"
    id: str


Content = Table | Figure | Picture | Listing | ClaimHere


class Step(_Record):
    """One idea of the lesson: its prose, its source and what came of it, in order."""

    number: int
    name: str
    title: str
    prose: str
    source: str
    exercise: str = ""
    by: Literal["lab", "learner"] = "lab"
    seconds: float = 0.0
    calls: int = 0
    content: list[Content] = Field(default_factory=list)


class Exercise(_Record):
    """How a learner's step was judged."""

    id: str
    step: str
    judgement: Judgement
    reason: str = ""


class Rank(_Record):
    """One process of the run."""

    rank: int
    node: int
    host: str
    pid: int
    device: str


class Run(_Record):
    """One execution of a lab."""

    schema_version: Literal[1] = 1
    lab: int
    title: str
    module: str
    launcher: str
    nodes: int
    procs: int
    status: Status
    error: str = Field(default="", description="what broke or interrupted the run, in one line")
    smoke: bool
    started: str = Field(description="local time with offset, ISO 8601")
    seconds: float = 0.0
    sections: dict[str, str] = Field(
        default_factory=dict, description="the lab's header: its question, what it needs, its sources …"
    )
    config: dict[str, Any]
    resumed: int = Field(
        default=0,
        description="the step from which its training went on, where an earlier attempt left a checkpoint",
    )
    claims: list[Claim] = Field(default_factory=list)
    opening: list[Content] = Field(default_factory=list, description="what stands before the first step")
    steps: list[Step] = Field(default_factory=list)
    exercises: list[Exercise] = Field(default_factory=list)
    ranks: list[Rank] = Field(default_factory=list)
    machine: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    git: str = Field(
        default="", description="revision of the checkout, with -dirty where files differ from it"
    )

    def count(self, verdict: Verdict) -> int:
        """Return how many claims got this verdict."""
        return sum(claim.verdict == verdict for claim in self.claims)

    def save(self, folder: Path) -> None:
        """Write `run.json` into the run folder, whole or not at all."""
        write_whole(folder / "run.json", self.model_dump_json(indent=2) + "\n")


class _Judged(BaseModel):
    verdict: Verdict


class Brief(BaseModel):
    """What a list of runs says of each; the rest of the record is not looked at."""

    lab: int
    title: str
    module: str
    launcher: str
    nodes: int
    procs: int
    status: Status
    smoke: bool
    started: str
    seconds: float = 0.0
    claims: list[_Judged] = Field(default_factory=list)

    def count(self, verdict: Verdict) -> int:
        """Return how many claims got this verdict."""
        return sum(claim.verdict == verdict for claim in self.claims)


def brief(folder: Path) -> Brief:
    """Read a run's record for a list. Raises pydantic.ValidationError where it is not of this form."""
    return Brief.model_validate_json((folder / "run.json").read_bytes())


def load(folder: Path) -> Run:
    """Read the record of a run folder. Raises pydantic.ValidationError where it is not of this form."""
    return Run.model_validate_json((folder / "run.json").read_text(encoding="utf-8"))
