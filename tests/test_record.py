"""The form of run.json."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from labs import catalog, record

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


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    run = record.Run.model_validate(
        LEAST | {"claims": [CLAIM], "ranks": [{"rank": 0, "node": 0, "host": "h", "pid": 1, "device": "cpu"}]}
    )
    run.steps = [
        record.Step(
            number=1,
            name="s",
            title="t",
            prose="p",
            source="x = 1",
            content=[record.ClaimHere(id="01.shared")],
        )
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
        {"schema_version": 2},
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
