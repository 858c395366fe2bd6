"""What every lab's run keeps: it holds in little memory, says no word too much, and its record has all that the page shows."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema

from labs import catalog
from labs.catalog import Entry
from labs.kit.distributed.subgroup import by_torchrun
from tests.contract.reading import (
    called_steps_of,
    every_lab,
    file_of,
    functions_in,
    lesson_of,
    lightest_lab_with_ranks,
    parts_of,
)
from tests.contract.running import ran, run_folder

MAX_SMOKE_BYTES = 2 * 2**30
SHORTEST_REASON = 20  # characters that say something about a guess


@every_lab
def test_a_smoke_run_holds_in_little_memory_without_a_warning(
    entry: Entry, tmp_path: Path, smoke_pages: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("lab", entry.number)
    command = ["labs", "run", str(entry.number)] if entry.distributed else [entry.import_name]
    ended, notes = ran(entry, tmp_path, *command, "--smoke")
    shutil.copy(
        run_folder(entry, tmp_path) / "report.html", smoke_pages / f"lab{entry.number:02d}.html"
    )  # for tests/pages
    assert ended.peak_bytes <= MAX_SMOKE_BYTES
    assert str(file_of(entry)) not in ended.stderr
    assert "Warning" not in ended.stderr
    assert "could not be written" not in ended.stderr
    assert "\x1b" not in ended.stdout
    found = json.loads((run_folder(entry, tmp_path) / "run.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, json.loads((catalog.PACKAGE / "run.schema.json").read_text(encoding="utf-8")))
    assert (notes.lab, notes.status, notes.smoke) == (entry.number, "held", True)
    assert {path.name for path in tmp_path.iterdir()} == {"home", "stdout", "stderr"}

    # The set of claims is the same on every machine: the one that stands in the source.
    assert [claim.id for claim in notes.claims] == list(lesson_of(entry.number).sentences)
    unmeasured = {claim.id: claim.reason for claim in notes.claims if claim.verdict == "not measured here"}
    elsewhere = {id_: reason for id_, reason in unmeasured.items() if not reason.startswith("smoke")}
    assert len(elsewhere) <= len(notes.claims) / 3, elsewhere

    # Parts and steps stand in the order in which they are read and run.
    assert [part.name for part in notes.parts] == list(parts_of(entry))
    shown = {step.name: step for step in notes.steps if not step.helper}
    assert set(called_steps_of(entry)) - shown.keys() == set(), "an exercise, or a step, that no page shows"
    own = [shown[name].part for name in functions_in(file_of(entry)) if name in shown]
    assert own == sorted(own), "a step stands before the part that needs it first"

    # Two or three guesses, each proved by a claim; one picture of the mechanism; each picture is there.
    assert 2 <= len(notes.predictions) <= 3
    assert {prediction.id for prediction in notes.predictions} <= {claim.id for claim in notes.claims}
    for prediction in notes.predictions:
        assert len(prediction.guesses) >= 3 or entry.number == 99
        assert [guess.text for guess in prediction.guesses if len(guess.why) < SHORTEST_REASON] == []
    things = [thing for part in notes.parts for thing in part.content]
    assert any(thing.type == "diagram" for thing in things)
    drawn = [thing.path for thing in things if thing.type in ("figure", "picture", "diagram")]
    assert [path for path in drawn if not (run_folder(entry, tmp_path) / path).exists()] == []
    assert [part.name for part in notes.parts if not part.content] == []


@lightest_lab_with_ranks
def test_with_one_process_talk_between_ranks_is_not_measured_and_nothing_fails(
    entry: Entry, tmp_path: Path
) -> None:
    ended, notes = ran(entry, tmp_path, "labs", "run", str(entry.number), "--smoke", "--procs", "1")
    assert [claim.id for claim in notes.claims] == list(lesson_of(entry.number).sentences)
    reasons = {claim.reason for claim in notes.claims if claim.verdict == "not measured here"}
    assert {reason for reason in reasons if not re.match(r"needs \d+ processes$|smoke; ", reason)} == set()
    assert "needs 2 processes" in reasons
    assert "not measured here: needs 2 processes" in ended.stdout


@lightest_lab_with_ranks
def test_it_runs_unchanged_under_plain_torchrun(entry: Entry, tmp_path: Path) -> None:
    _, _, *torchrun = by_torchrun(2)  # `ran` puts the interpreter and -m before it
    _, notes = ran(entry, tmp_path, *torchrun, entry.import_name, "--smoke")
    assert (notes.status, notes.nodes, [rank.rank for rank in notes.ranks]) == ("held", 1, [0, 1])
    assert [claim.id for claim in notes.claims] == list(lesson_of(entry.number).sentences)
