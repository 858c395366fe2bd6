"""The page of one run: everything of the record is on it, nothing of it can do harm, and it can be read by all."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labs import catalog, record
from labs.exercises import Progress
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.main import command
from labs.report import page

Examined = Callable[[str], Any]


def test_a_run_with_everything_in_it(run_folder: Path, examined: Examined) -> None:
    made = page.write(run_folder)
    assert made == run_folder / "report.html"
    read = examined(made.read_text(encoding="utf-8"))
    for part in (
        "2 of 3",
        "1 of 3 claims held, 1 failed, 1 was not measured here.",
        "2 January 2030, 12:00",
        "2 min 5 s",
        "slurm, 4 processes on 2 nodes, smoke",
    ):
        assert (part in read.text) == (part != "2 of 3"), part
    assert "failed: </script><script>alert(1)</script>" in read.text, (
        "what was typed is shown as it was typed"
    )


def test_nothing_that_came_from_outside_becomes_an_element(run_folder: Path) -> None:
    text = page.write(run_folder).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<b " not in text
    assert "alert(1)&lt;/script&gt;" in text


def test_every_claim_says_its_verdict_in_words_and_why(
    run_folder: Path, run: record.Run, examined: Examined
) -> None:
    text = page.write(run_folder).read_text(encoding="utf-8")
    read = examined(text)
    for claim in run.claims:
        assert f'id="claim-{claim.id}"' in text
        assert f"Claim {claim.id}: {claim.verdict}" in read.all("aria-label")
    assert re.search(r"held\s+01\.held\s+all 9 equal\s", read.text)
    assert re.search(
        r"not measured here\s+01\.noisy\s+too noisy\s+bound: at least 2 ×\s+a formula", read.text
    )
    assert read.text.count("exactly 2") == 1, "a bound that is part of what is shown is not said twice"


def test_drawings_are_described_and_a_lost_one_is_said(run_folder: Path, examined: Examined) -> None:
    read = examined(page.write(run_folder).read_text(encoding="utf-8"))
    assert sum(tag == "svg" and "role" in attributes for tag, attributes in read.elements) == 3
    assert "A chart of s over n, from 1 to 2. near: from 1 to 2.5, lowest 1, highest 2.5." in read.text
    assert "described </script>" in read.text
    assert "The drawing is not in the run folder any more." in read.text
    assert "│ 1 │" in read.text, "a lost diagram is shown in characters"
    assert "│ 0 │" not in read.text


def test_a_part_stands_in_the_order_of_reading(run_folder: Path, examined: Examined) -> None:
    read = examined(page.write(run_folder).read_text(encoding="utf-8"))
    order = [
        "What? </script>", "Your guess.", "How many?", "You guessed: ten", "The answer", "Right: nine", "One too many.", "Do it </script>",
        "return 77", "What this part does", "lab.step(first)", "A curve", "it holds x", "so much for", "Do that", "Needs cuda",
        "Exercise", "Remember", "Nine.", "Next", "Sources", "This run",
    ]  # fmt: skip
    place = (
        read.text.index("This run has")
        if "This run has" in read.text
        else read.text.index("What you will see")
    )
    for words in order:
        found = read.text.find(words, place)
        assert found >= 0, words
        place = found
    assert "lab.predict(" not in read.text


def test_a_solution_is_on_the_page_once_it_was_passed_or_asked_for(
    run: record.Run, run_folder: Path, labs_home: Path
) -> None:
    def text() -> str:
        return page.write(run_folder).read_text(encoding="utf-8")

    assert "the solution" not in text()
    assert "Your turn: exercise 1.2." in text()
    assert "Your code" in text(), "a learner's own step is no solution of ours"
    done = Progress()
    done.of("1.2")["asked"] = 1
    done.save()
    assert "the solution" not in text()
    done.of("1.2")["asked"] = 2
    done.save()
    assert "the solution" in text()
    assert "Your turn" not in text()
    (labs_home / "work" / "progress.json").write_text("{")
    assert "the solution" not in text(), "damaged progress does not cost the page"
    (labs_home / "work" / "progress.json").unlink()
    passed = record.Exercise(id="1.2", step="second", judgement="passed")
    (run_folder.parent / "another").mkdir()
    run.model_copy(update={"exercises": [passed]}).save(run_folder.parent / "another")
    assert "the solution" in text()


def test_a_run_of_the_earlier_form_is_a_page_too(run_folder: Path, examined: Examined) -> None:
    old = {
        "schema_version": 1, "lab": 1, "title": "Old", "module": "labs.m1_tensors.lab01", "launcher": "local", "nodes": 1, "procs": 1,
        "status": "held", "smoke": True, "started": "2030-01-02T12:00:00+01:00", "config": {},
        "claims": [{"id": "01.old", "text": "it held", "kind": "count", "verdict": "held", "value": 3, "bound": "= 3", "step": 1}],
        "steps": [
            {"number": 1, "name": "look", "title": "Look at it", "prose": "Long.", "source": "def look():\n    return 3\n", "seconds": 0.5,
             "calls": 1, "content": [{"type": "claim", "id": "01.old"}]},
        ],
    }  # fmt: skip
    (run_folder / "run.json").write_text(json.dumps(old))
    read = examined(page.write(run_folder).read_text(encoding="utf-8"))
    assert re.search(r"Look at it.*Long\..*return 3.*it held.*01\.old.*3, = 3", read.text, re.DOTALL)


@pytest.mark.parametrize(
    ("shown", "bound", "verdict", "lines"),
    [
        ("9 bytes", record.Bound(want=9), "held", ["9 bytes"]),
        ("8 bytes", record.Bound(want=9), "failed", ["8 bytes", "bound: exactly 9 bytes"]),
        ("9 bytes, at least 8 and at most 10", record.Bound(at_least=8, at_most=10), "held", ["9 bytes, at least 8 and at most 10"]),
        ("3, = 3", record.Bound(text="= 3"), "held", ["3, = 3"]),
        ("difference 0", record.Bound(tolerance=0.5), "held", ["difference 0", "bound: allowed 0.5"]),
    ],
)  # fmt: skip
def test_value_and_bound_are_said_once(
    shown: str, bound: record.Bound, verdict: record.Verdict, lines: list[str]
) -> None:
    claim = record.Claim(
        id="01.x", text="t", kind="bytes", verdict=verdict, shown=shown, bound=bound, unit="bytes"
    )
    assert page.detail(claim) == lines


def test_a_table_is_wide_where_its_words_do_not_fit() -> None:
    narrow = record.Table(
        title="t", columns=["a", "b"], rows=[["many short words in a long cell, one after another", "1"]]
    )
    assert not page.is_wide(narrow)
    assert page.is_wide(record.Table(title="t", columns=[f"column{n}" for n in range(6)], rows=[]))


def test_the_next_lab_is_one_that_can_be_run() -> None:
    following = page.next_lab(1)
    assert following is not None
    assert following.ready
    assert following.number > 1
    assert page.next_lab(1000) is None


@pytest.mark.parametrize(
    ("number", "following", "said"),
    [(1, 2, ""), (1, 3, "Lab 02 is"), (27, 33, "Labs 28 to 32 are"), (47, None, "")],
)
def test_labs_that_are_not_written_yet_are_named(number: int, following: int | None, said: str) -> None:
    entry = catalog.all_labs()[following] if following else None
    assert page.unwritten(number, entry) == said


def test_the_page_names_them_beside_the_next_lab(
    run_folder: Path, run: record.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.lab = 1
    assert "<code>make lab-02</code></p>" in page.html(run, run_folder)
    monkeypatch.setattr(page, "next_lab", lambda number: catalog.all_labs()[4])
    assert "<code>make lab-04</code>. Labs 02 to 03 are not written yet.</p>" in page.html(run, run_folder)


def test_it_says_how_to_run_it_again(run_folder: Path, run: record.Run) -> None:
    assert (
        page.again(run)
        == "labs check 1 --nodes 2 --procs 2 --launcher slurm --smoke -- --batch-size=8 --no-loud '--name=a b'"
    )
    run.exercises, run.config, run.launcher, run.nodes, run.procs, run.smoke = (
        [],
        {"loud": True},
        "local",
        1,
        1,
        False,
    )
    assert page.again(run) == "labs run 1 -- --loud"


@pytest.mark.parametrize("status", ["running", "held", "broke", "interrupted"])
def test_a_run_with_next_to_nothing_in_it(tmp_path: Path, examined: Examined, status: record.Status) -> None:
    least = record.Run(
        lab=1, title="t", module="m", launcher="local", nodes=1, procs=1, status=status, smoke=False, started="?", config={},
        error="rank 1 was killed" if status == "broke" else "",
    )  # fmt: skip
    least.save(tmp_path)
    read = examined(page.write(tmp_path).read_text(encoding="utf-8"))
    assert ("broke: rank 1 was killed" in read.text) == (status == "broke")
    assert ("This run has not ended." in read.text) == (status == "running")
    assert ("This run was interrupted." in read.text) == (status == "interrupted")
    assert "No claim was judged." in read.text


@pytest.mark.parametrize(("mood", "status"), [("well", 0), ("wrong", 1), ("broken", 1)])
def test_every_run_leaves_its_page_however_it_ends(
    tiny: Lesson, labs_home: Path, examined: Examined, mood: str, status: int
) -> None:
    assert command(tiny, ["--smoke", f"--mood={mood}"]) == status
    (path,) = labs_home.glob("runs/lab99/*/report.html")
    read = examined(path.read_text(encoding="utf-8"))
    assert all(claim.id in read.text for claim in record.load(path.parent).claims)
    assert all(part.title in read.text for part in record.load(path.parent).parts)


def test_a_page_that_cannot_be_made_does_not_cost_the_run(
    tiny: Lesson, labs_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(page, "html", lambda *_: 1 / 0)
    assert command(tiny, ["--smoke"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("the page could not be written: division by zero\ntry again with: labs report ")
    assert list(labs_home.glob("runs/lab99/*/run.json"))


def test_a_login_node_without_torch_can_make_it(run_folder: Path) -> None:
    program = "import sys, pathlib; from labs.report import page; page.write(pathlib.Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program, str(run_folder)], check=False).returncode == 0
    assert (run_folder / "report.html").exists()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "under 1 ms"),
        (0.004, "4 ms"),
        (0.31, "0.3 s"),
        (12.4, "12 s"),
        (125.2, "2 min 5 s"),
        (59.7, "1 min 0 s"),
    ],
)
def test_durations_read_as_a_person_writes_them(seconds: float, shown: str) -> None:
    assert page.duration(seconds) == shown
