"""What a run leaves behind: the form of `run.json`. Its JSON schema, `labs/run.schema.json`, is made from these classes."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from labs.files import write_whole

Kind = Literal["exact", "close", "bytes", "count", "raises", "ratio", "stat"]
Verdict = Literal["held", "failed", "not measured here"]
Status = Literal["running", "held", "failed", "broke", "interrupted"]
Judgement = Literal["passed", "failed", "not written yet", "cannot be judged here"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Bound(_Record):
    """What a value is held against: one value, limits, or how far it may lie from what is expected."""

    want: float | int | str | None = Field(default=None, description="exactly this; for `raises` the error")
    at_least: float | int | None = None
    at_most: float | int | None = None
    tolerance: float | None = Field(default=None, description="the largest error that is allowed")
    standard_errors: float | None = Field(
        default=None, description="by how many of them a mean must exceed at_least"
    )
    text: str = Field(default="", description="how an earlier version of this form worded the bound")


class Claim(_Record):
    """A sentence that can be false, with what was measured and how it was judged."""

    id: str = Field(pattern=r"^\d{2,}\.[a-z0-9-]+$")
    text: str
    kind: Kind
    verdict: Verdict
    reason: str = Field(default="", description="why it failed or was not measured; empty where it held")
    value: float | int | str | None = Field(
        default=None,
        description="what was measured: equal cases (exact), the error (close), the median ratio …",
    )
    unit: str = ""
    bound: Bound = Field(default_factory=Bound, description="what the value is held against")
    because: str = Field(
        default="", description="where the bound comes from: a formula, a specification, physics"
    )
    shown: str = Field(
        default="", description="value, unit and bound as a person reads them; see labs/wording.py"
    )
    cases: int | None = Field(default=None, description="over how many cases it was judged", ge=0)
    samples: list[float] = Field(
        default_factory=list, description="the paired ratios or differences behind a ratio or a stat"
    )
    device: str = Field(default="", description="where it was measured: cpu, cuda:0 …")
    part: int = Field(default=0, description="the part that makes the claim; 0 outside of any")
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


class Diagram(_Record):
    """A drawing of a mechanism, in one file of the run folder, and what it shows in words and as lines of text."""

    type: Literal["diagram"] = "diagram"
    title: str
    path: str
    description: str = Field(description="what it shows, for those who cannot see it")
    text: list[str] = Field(default_factory=list, description="the drawing in characters, for a terminal")


class Listing(_Record):
    """Text that a program wrote, such as generated code."""

    type: Literal["listing"] = "listing"
    title: str
    text: str
    language: str = Field(default="text", description="what it is written in, as Pygments calls it")


class Paragraph(_Record):
    """What a part says once it has measured."""

    type: Literal["paragraph"] = "paragraph"
    text: str


class ClaimHere(_Record):
    """The place of a claim in a part."""

    type: Literal["claim"] = "claim"
    id: str


class StepHere(_Record):
    """The place at which a part calls a step for the first time."""

    type: Literal["step"] = "step"
    name: str


class PredictionHere(_Record):
    """The place at which a part asks for a guess."""

    type: Literal["prediction"] = "prediction"
    id: str


Content = Table | Figure | Picture | Diagram | Listing | Paragraph | ClaimHere | StepHere | PredictionHere


class Guess(_Record):
    """One of the answers that a prediction offers, and what is to be said of it."""

    text: str
    why: str


class Prediction(_Record):
    """A question that is asked before the number comes. The claim of the same id proves its answer."""

    id: str
    question: str
    guesses: list[Guess]
    answer: str = Field(description="the text of the guess that is right")
    guessed: str | None = Field(
        default=None, description="what the person at the terminal chose, if one was asked"
    )


class Step(_Record):
    """One function or class of the lab that a reader needs: what it does, its source, and how long it ran."""

    name: str
    title: str
    prose: str
    source: str
    part: int = Field(default=0, description="the part that needs it first; 0 outside of any")
    helper: bool = Field(default=False, description="called by steps, never by a part")
    aside: bool = Field(
        default=False, description="from the helpers' file beside the lab: not what it is about"
    )
    exercise: str = ""
    by: Literal["lab", "learner"] = "lab"
    seconds: float = 0.0
    calls: int = 0


class Part(_Record):
    """One idea of the lesson: its argument, the code that makes its claims, and what came of it, in the order of time."""

    number: int
    name: str
    title: str
    prose: str = ""
    source: str = ""
    needs: str = ""
    seconds: float = 0.0
    content: list[Content] = Field(default_factory=list)


class Exercise(_Record):
    """How a learner's step was judged."""

    id: str
    step: str
    judgement: Judgement
    reason: str = Field(default="", description="what is wrong, or why it cannot be judged here")
    input: str = Field(default="", description="the smallest input at which the step is wrong")
    yours: str = Field(default="", description="what the learner's step made of it")
    expected: str = Field(default="", description="what was right")
    calls: int = Field(default=0, description="how many calls were compared with the lab's own step", ge=0)
    different: int = Field(default=0, description="how many of them were wrong", ge=0)
    not_compared: str = Field(default="", description="why some calls were not compared")
    claim: str = Field(default="", description="the claim that failed, with what was measured")
    claims: list[str] = Field(
        default_factory=list, description="ids of all claims that failed, or were not measured"
    )
    mistake: str = Field(default="", description="the known mistake that it looks like")
    printed: str = Field(default="", description="what the learner's step printed")
    insight: str = Field(default="", description="what is told to who passed")
    next: str = Field(default="", description="what to type next")


class Rank(_Record):
    """One process of the run."""

    rank: int
    node: int
    host: str
    pid: int
    device: str


class Run(_Record):
    """One execution of a lab."""

    schema_version: Literal[2] = 2
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
    predictions: list[Prediction] = Field(default_factory=list)
    opening: list[Content] = Field(default_factory=list, description="what stands before the first part")
    parts: list[Part] = Field(default_factory=list)
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

    def parts_named(self, numbers: Iterable[int]) -> list[str]:
        """Return the names of the parts with these numbers."""
        wanted = set(numbers)
        return [part.name for part in self.parts if part.number in wanted]

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
    """Read the record of a run folder, of whichever version. Raises ValueError where it is not of this form."""
    found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    if not isinstance(found, dict) or found.get("schema_version") != 1:
        return Run.model_validate(found)
    try:
        return Run.model_validate(_of_today(found))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no record of version 1: {error!r}") from None


def _of_today(found: dict[str, Any]) -> dict[str, Any]:
    """Return a record of version 1 in today's form: each of its steps was what a part is now."""
    steps = found.get("steps", [])
    changed = {
        "schema_version": 2,
        "claims": [_claim_of_today(claim) for claim in found.get("claims", [])],
        "parts": [_part_of_today(step) for step in steps],
        "steps": [_without(step, "number", "content") | {"part": step["number"]} for step in steps],
    }
    return {**found, **changed}


def _claim_of_today(claim: dict[str, Any]) -> dict[str, Any]:
    bound = {"text": claim.get("bound", "")}
    return _without(claim, "step") | {"part": claim.get("step", 0), "bound": bound}


def _part_of_today(step: dict[str, Any]) -> dict[str, Any]:
    content = [{"type": "step", "name": step["name"]}, *step.get("content", [])]
    kept = {name: step[name] for name in ("number", "name", "title", "seconds") if name in step}
    return kept | {"content": content}


def _without(thing: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in thing.items() if name not in names}
