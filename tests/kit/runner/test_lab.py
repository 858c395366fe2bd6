"""What a lab's parts talk to."""

import io
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from labs import record
from labs.kit.display.screen import Screen
from labs.kit.distributed.checkpoints import FullState
from labs.kit.draw import diagrams
from labs.kit.runner.bench import distinct_arms
from labs.kit.runner.claims import Tolerance
from labs.kit.runner.context import RunContext
from labs.kit.runner.lab import Lab
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.session import blank


@pytest.fixture
def notes(tiny: Lesson) -> record.Run:
    return blank(tiny, tiny.config(), smoke=False)


@pytest.fixture
def lab(tiny: Lesson, notes: record.Run) -> Lab:
    return Lab(tiny, notes, RunContext(timer=distinct_arms))


def drawn() -> tuple[float, float]:
    """Draw two numbers."""
    return torch.rand(()).item(), random.random()


def one() -> int:
    """Return one."""
    return 1


def two() -> int:
    """Return two."""
    return 2


def claimed(lab: Lab, id_: str, value: int = 1) -> bool:
    return lab.count(id_, "one is one", value, want=1, because="it is")


def test_a_step_returns_what_it_returns_and_is_noted(tiny: Lesson, lab: Lab, notes: record.Run) -> None:
    assert lab.step(tiny.steps["numbers"], 3, mood="well").tolist() == [0, 1, 2]
    (step,) = notes.steps
    assert (step.name, step.title, step.exercise, step.by, step.calls) == (
        "numbers", "Count from zero", "", "lab", 1,
    )  # fmt: skip
    assert "x[i] = i" in step.prose
    assert step.source.startswith("def numbers(")


def test_a_step_that_is_called_again_is_noted_once(lab: Lab, notes: record.Run) -> None:
    for _ in range(3):
        lab.step(one)
    lab.step(two)
    assert [(step.name, step.calls) for step in notes.steps] == [("one", 3), ("two", 1)]
    assert [thing.name for thing in notes.opening if isinstance(thing, record.StepHere)] == ["one", "two"]


def test_randomness_is_the_same_in_every_run_and_different_in_every_call(tiny: Lesson) -> None:
    runs = []
    for _ in range(2):
        lab = Lab(tiny, blank(tiny, tiny.config(), smoke=True), RunContext())
        torch.rand(3)
        random.random()
        runs.append([lab.step(drawn) for _ in range(3)])
    assert runs[0] == runs[1]
    assert len({value for pair in runs[0] for value in pair}) == 6


def test_a_seed_in_the_config_changes_the_randomness(tiny: Lesson) -> None:
    values = set()
    for seed in (0, 1):
        notes = blank(tiny, tiny.config(), smoke=True)
        notes.config["seed"] = seed
        values.add(Lab(tiny, notes, RunContext()).step(drawn))
    assert len(values) == 2


def test_claims_say_whether_they_held(lab: Lab) -> None:
    assert claimed(lab, "99.yes") is True
    assert claimed(lab, "99.no", 2) is False


def test_every_kind_of_claim_is_noted_with_its_kind(lab: Lab, notes: record.Run) -> None:
    lab.equal("99.exact", "t", [1], [1])
    lab.close("99.close", "t", 1, 1, within=Tolerance(0, "b"))
    lab.bytes("99.bytes", "t", 4, want=4, because="b")
    lab.count("99.count", "t", 4, at_least=4, unit="lines", because="b")
    lab.raises("99.raises", "t", lambda: [][0], IndexError, "out of range")
    lab.ratio("99.ratio", "t", one, two, at_least=2, because="b")
    lab.stat("99.stat", "t", [1.0, 1.1, 0.9, 1.0, 1.0], because="b")
    assert [claim.kind for claim in notes.claims] == [
        "exact",
        "close",
        "bytes",
        "count",
        "raises",
        "ratio",
        "stat",
    ]
    assert {claim.verdict for claim in notes.claims} == {"held"}
    assert [claim.unit for claim in notes.claims[2:4]] == ["bytes", "lines"]
    assert [claim.because for claim in notes.claims] == ["", "b", "b", "b", "", "b", "b"]
    assert [claim.bound for claim in notes.claims] == [
        record.Bound(want=1),
        record.Bound(tolerance=0),
        record.Bound(want=4),
        record.Bound(at_least=4),
        record.Bound(want="IndexError: …out of range…"),
        record.Bound(at_least=2),
        record.Bound(at_least=0, standard_errors=2),
    ]


def test_a_claim_is_made_once(lab: Lab) -> None:
    claimed(lab, "99.once")
    with pytest.raises(ValueError, match=r"the claim 99.once is made twice"):
        claimed(lab, "99.once")


@pytest.mark.parametrize("id_", ["once", "99.Once", "9.once", "99.two words", "99."])
def test_a_claims_id_has_the_labs_number_and_plain_words(lab: Lab, id_: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        claimed(lab, id_)


def test_claims_judge_the_steps_since_the_claims_before_them(lab: Lab, notes: record.Run) -> None:
    claimed(lab, "99.before")
    lab.step(one)
    lab.step(one)
    lab.step(two)
    claimed(lab, "99.both")
    claimed(lab, "99.both-again")
    lab.step(two)
    claimed(lab, "99.second")
    assert [claim.judges for claim in notes.claims] == [[], ["one", "two"], ["one", "two"], ["two"]]


@pytest.mark.parametrize("kind", ["ratio", "stat"])
def test_what_is_noisy_is_measured_but_not_judged_in_a_smoke_run(tiny: Lesson, kind: str) -> None:
    notes = blank(tiny, tiny.config(), smoke=True)
    lab = Lab(tiny, notes, RunContext())
    if kind == "ratio":
        held = lab.ratio("99.noisy", "t", lambda: torch.ones(2**18).sum(), one, at_least=1, because="b")
    else:
        held = lab.stat("99.noisy", "t", [1.0, 1.1, 0.9, 1.0, 1.0], because="b")
    (claim,) = notes.claims
    assert held is False
    assert claim.verdict == "not measured here"
    assert claim.reason.startswith("smoke; here ")
    assert isinstance(claim.value, float)
    assert len(claim.samples) >= 5


def test_a_ratio_is_timed_by_the_clock_in_a_full_run(tiny: Lesson, notes: record.Run) -> None:
    lab = Lab(tiny, notes, RunContext())
    long, short = torch.ones(2**20), torch.ones(4)
    assert lab.ratio("99.clock", "t", long.sum, short.sum, at_least=2, because="b") is True
    assert len(notes.claims[0].samples) == 15


def test_what_a_lab_shows_before_its_first_part_is_its_opening(
    tiny: Lesson, notes: record.Run, tmp_path: Path
) -> None:
    lab = Lab(tiny, notes, RunContext(folder=tmp_path))
    lab.step(one)
    lab.table("Numbers", ["a", "b"], [(1, None), ("x", 2.5)])
    claimed(lab, "99.one")
    lab.plot("Growth", [1, 2], {"y": [3, 4]}, x_label="x", y_label="y")
    assert [thing.type for thing in notes.opening] == ["step", "table", "claim", "figure"]
    _, table, _, figure = notes.opening
    assert isinstance(table, record.Table)
    assert table.rows[1] == ["x", "2.5"]
    assert isinstance(figure, record.Figure)
    assert (tmp_path / figure.path).read_text(encoding="utf-8").rstrip().endswith("</svg>")
    assert notes.claims[0].part == 0


def test_a_value_that_is_no_number_is_left_out_of_a_plot_and_said(
    tiny: Lesson, notes: record.Run, tmp_path: Path
) -> None:
    lab = Lab(tiny, notes, RunContext(folder=tmp_path))
    series = {"near": [1.0, math.nan, 3.0, 4.0], "far": [math.inf, 2.0, 3.0, 4.0]}
    lab.plot("Growth", [1, 2, 4, 8], series, x_label="x", y_label="y")
    lab.plot("Nothing", [1], {"near": [math.nan]}, x_label="x", y_label="y")
    said, figure, nothing = notes.opening
    assert isinstance(figure, record.Figure)
    assert (figure.x, figure.series) == ([4, 8], {"near": [3.0, 4.0], "far": [3.0, 4.0]})
    assert isinstance(said, record.Paragraph)
    assert said.text == "Growth: 2 of 4 places are left out, where a value is no finite number."
    assert isinstance(nothing, record.Paragraph)
    assert record.Run.model_validate_json(notes.model_dump_json()).opening == notes.opening


def test_pictures_and_listings_are_kept_and_shown(tiny: Lesson, notes: record.Run, tmp_path: Path) -> None:
    log = io.StringIO()
    lab = Lab(tiny, notes, RunContext(folder=tmp_path, screen=Screen(quiet=True, log=log)))
    lab.picture(
        "Two greys", [[torch.zeros(4, 4), torch.ones(4, 4)]], columns=["dark", "[light]"], rows=["grey"]
    )
    lab.listing("Generated", "x = [bold]\n    y", language="python")
    picture, listing = notes.opening
    assert isinstance(picture, record.Picture)
    assert (tmp_path / picture.path).exists()
    assert isinstance(listing, record.Listing)
    shown = log.getvalue()
    assert all(text in shown for text in ("Two greys", "[light]", "x = [bold]", "        y"))


class Boxes:
    """A drawing that paints nothing."""

    def describe(self) -> str:
        return "Two boxes."

    def lines(self) -> list[str]:
        return ["[0][1]"]

    def paint(self, canvas: Any, top: float) -> float:
        return top


def test_a_diagram_is_described_shown_and_drawn(
    tiny: Lesson, notes: record.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn_to: list[Path] = []
    monkeypatch.setattr(diagrams, "draw", lambda title, drawings, target: drawn_to.append(target))
    log = io.StringIO()
    lab = Lab(tiny, notes, RunContext(folder=tmp_path, screen=Screen(quiet=True, log=log)))
    lab.diagram("One storage", Boxes(), Boxes())
    (diagram,) = notes.opening
    assert isinstance(diagram, record.Diagram)
    assert (diagram.description, diagram.text) == ("Two boxes. Two boxes.", ["[0][1]", "[0][1]"])
    assert drawn_to == [tmp_path / diagram.path]
    assert log.getvalue().count("    [0][1]\n") == 2


def test_nothing_is_drawn_where_nothing_is_kept(lab: Lab, notes: record.Run) -> None:
    lab.plot("Growth", [1, 2], {"y": [3, 4]}, x_label="x", y_label="y")
    lab.diagram("Boxes", Boxes())
    assert [thing.type for thing in notes.opening] == ["figure", "diagram"]


def looking(log: io.StringIO, seen: list[str]) -> None:
    """Look at the log."""
    seen.append(log.getvalue())


def test_a_step_is_said_before_it_runs(tiny: Lesson, notes: record.Run) -> None:
    log, seen = io.StringIO(), list[str]()
    Lab(tiny, notes, RunContext(screen=Screen(quiet=True, log=log))).step(looking, log, seen)
    assert "▸ Look at the log  looking" in seen[0]


def test_what_checkpoints_say_is_shown_and_the_step_is_in_the_record(
    tiny: Lesson, notes: record.Run, tmp_path: Path
) -> None:
    weights = torch.nn.Linear(2, 1)
    shown = io.StringIO()
    for _ in range(2):
        lab = Lab(tiny, notes, RunContext(screen=Screen(quiet=True, log=shown), folder=tmp_path))
        kept = lab.checkpoints(every=2)
        for step in range(kept.resume(FullState(model=weights)), 3):
            kept.after(step + 1, FullState(model=weights))
    assert notes.resumed == 2
    assert shown.getvalue() == "  resumed from step 2, where the checkpoint of an earlier attempt stands\n"
    assert Lab(tiny, notes, RunContext()).checkpoints(every=2).resume(FullState(model=weights)) == 0


def taking(step: Any, value: int) -> Any:
    """Call another step."""
    return step(value)


def test_a_step_that_is_handed_to_another_is_judged_with_it(
    tiny: Lesson, lab: Lab, notes: record.Run
) -> None:
    row = tiny.steps["long_row"]
    assert lab.step(taking, row, 3).tolist() == [1, 1, 1]
    claimed(lab, "99.handed")
    assert [step.name for step in notes.steps] == ["long_row", "taking"]
    assert set(notes.claims[-1].judges) >= {"long_row", "taking"}
