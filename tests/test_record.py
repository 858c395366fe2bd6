"""The form of run.json."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from labs import catalog, record, wording

VERSION_1 = Path(__file__).with_name("run_of_version_1.json")
SCHEMA = catalog.PACKAGE / "run.schema.json"
LEAST: dict[str, Any] = {
    "lab": 1, "title": "t", "module": "m", "launcher": "local", "nodes": 1, "procs": 1,
    "status": "held", "smoke": True, "started": "2030-01-02T12:00:00+01:00", "config": {},
}  # fmt: skip
CLAIM = {"id": "01.shared", "text": "t", "kind": "exact", "verdict": "held"}


def test_the_schema_is_the_one_that_the_classes_make() -> None:
    assert SCHEMA.read_text(encoding="utf-8").rstrip() == json.dumps(record.Run.model_json_schema(), indent=2)


def test_the_schema_is_a_schema_and_keeps_the_documented_names() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert {"lab", "launcher", "nodes", "status", "claims", "ranks"} <= set(schema["properties"])
    assert {"id", "kind", "verdict", "reason", "value", "unit", "bound"} <= set(
        schema["$defs"]["Claim"]["properties"]
    )
    assert {"rank", "node", "host"} <= set(schema["$defs"]["Rank"]["properties"])


def everything() -> list[record.Content]:
    """One of each kind of content."""
    return [
        record.Table(title="t", columns=["a"], rows=[["1"]]),
        record.Figure(title="t", path="f.svg", x=[1], series={"y": [2]}),
        record.Picture(title="t", path="p.svg", columns=["a"], rows=["b"]),
        record.Diagram(title="t", path="d.svg", description="two boxes", text=["[0][1]"]),
        record.Listing(title="t", text="x = 1"),
        record.Paragraph(text="so it is"),
        record.PredictionHere(id="01.shared"),
        record.StepHere(name="s"),
        record.ClaimHere(id="01.shared"),
    ]


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    run = record.Run.model_validate(
        LEAST | {"claims": [CLAIM], "ranks": [{"rank": 0, "node": 0, "host": "h", "pid": 1, "device": "cpu"}]}
    )
    run.parts = [record.Part(number=1, name="p", title="t", content=everything())]
    run.steps = [record.Step(name="s", title="t", prose="p", source="x = 1", part=1)]
    run.predictions = [
        record.Prediction(id="01.shared", question="q", guesses=[record.Guess(text="a", why="w")], answer="a")
    ]
    run.save(tmp_path)
    assert record.load(tmp_path) == run
    jsonschema.validate(
        json.loads((tmp_path / "run.json").read_text(encoding="utf-8")),
        json.loads(SCHEMA.read_text(encoding="utf-8")),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"status": "fine"},
        {"schema_version": 3},
        {"claims": [CLAIM | {"bound": "= 1"}]},
        {"claims": [CLAIM | {"bound": {"surprise": 1}}]},
        {"parts": [{"number": 1}]},
        {"predictions": [{"id": "01.shared"}]},
        {"lab": "one"},
        {"claims": [CLAIM | {"surprise": 1}]},
        {"claims": [CLAIM | {"verdict": "maybe"}]},
        {"claims": [CLAIM | {"kind": "picture"}]},
        {"claims": [CLAIM | {"id": "Shared"}]},
        {"claims": [CLAIM | {"cases": -1}]},
        {"ranks": [{"rank": 0}]},
        {"opening": [{"type": "song"}]},
    ],
    ids=str,
)
def test_what_is_not_of_this_form_is_refused_by_the_classes_and_by_the_schema(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        record.Run.model_validate(LEAST | change)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(LEAST | change, json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", LEAST)
def test_no_field_of_the_least_record_can_be_left_out(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        record.Run.model_validate({key: value for key, value in LEAST.items() if key != name})


def test_verdicts_are_counted() -> None:
    run = record.Run.model_validate(LEAST | {"claims": [CLAIM, CLAIM, CLAIM | {"verdict": "failed"}]})
    assert [run.count(verdict) for verdict in ("held", "failed", "not measured here")] == [2, 1, 0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_does_not_break_the_file(tmp_path: Path, value: float) -> None:
    record.Run.model_validate(LEAST | {"claims": [CLAIM | {"value": value}]}).save(tmp_path)
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert record.load(tmp_path).claims[0].id == "01.shared"


@pytest.mark.parametrize(
    ("cell", "number"),
    [("12", True), ("-1.5", True), ("−1.5", True), ("1e-3", True), ("1,234", True), ("12 ms", True), ("refused", False), ("[2, 3]", False),
     ("", False), ("1x1", False)],
)  # fmt: skip
def test_numbers_stand_on_the_right(cell: str, number: bool) -> None:
    table = record.Table(title="t", columns=["a", "b"], rows=[["1", cell]])
    assert [table.numeric(0), table.numeric(1)] == [False, number]


def version_1(folder: Path, **changes: Any) -> Path:
    found = json.loads(VERSION_1.read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps(found | changes), encoding="utf-8")
    return folder


def test_an_old_run_opens_in_todays_form(tmp_path: Path) -> None:
    run = record.load(version_1(tmp_path))
    assert (run.schema_version, run.status, run.config, run.git) == (2, "failed", {"rows": 4}, "abc")
    assert [(part.number, part.name, part.title, part.seconds) for part in run.parts] == [
        (1, "views_of", "Look at one storage", 0.25),
        (2, "walk", "Walk through it", 0.125),
    ]
    assert [[thing.type for thing in part.content] for part in run.parts] == [
        ["step", "claim"],
        ["step", "figure", "claim"],
    ]
    assert [(step.part, step.prose, step.exercise, step.by, step.calls) for step in run.steps] == [
        (1, "In many ways.", "1.1", "lab", 2),
        (2, "", "", "learner", 1),
    ]
    assert [claim.part for claim in run.claims] == [0, 1, 2]
    assert [thing.type for thing in run.opening] == ["table"]
    assert record.load(version_1(tmp_path)) == run, "reading changes nothing"


def test_the_bounds_of_an_old_run_read_as_they_did(tmp_path: Path) -> None:
    claims = record.load(version_1(tmp_path)).claims
    assert [claim.bound.text for claim in claims] == ["= 1", "0 differences", "≥ 2"]
    assert [wording.detail(claim) for claim in claims] == ["1 tensors", "all 9 equal", "smoke; here 2.10 ×"]


def test_an_old_run_is_saved_in_todays_form(tmp_path: Path) -> None:
    run = record.load(version_1(tmp_path))
    run.save(tmp_path)
    assert record.load(tmp_path) == run
    found = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_an_old_run_stands_in_the_list_of_runs(tmp_path: Path) -> None:
    brief = record.brief(version_1(tmp_path))
    assert (brief.lab, brief.count("held"), brief.count("not measured here")) == (1, 2, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"claims": 3},
        {"claims": [3]},
        {"steps": 3},
        {"steps": [{}]},
        {"steps": ["s"]},
        {"steps": [{"name": 1}]},
    ],
    ids=str,
)
def test_a_damaged_old_run_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"version 1|validation error"):
        record.load(version_1(tmp_path, **change))


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '{"schema_version": 1}', '{"schema_version": 9}'])
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"validation error|JSON|Expecting"):
        record.load(tmp_path)


def test_parts_are_found_by_number() -> None:
    parts = [record.Part(number=number, name=f"part_{number}", title="t") for number in (1, 2, 3)]
    run = record.Run(**LEAST, parts=parts)
    assert run.parts_named([3, 1, 1, 0]) == ["part_1", "part_3"]
