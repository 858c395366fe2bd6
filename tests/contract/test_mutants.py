"""Every claim can fail, every known mistake counts, and of each exercise five wrong solutions fail on a claim that judges it."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from labs import catalog
from labs.catalog import Entry
from tests.contract.reading import every_lab, lesson_of
from tests.contract.running import HANGING_S, surroundings

WRONG_SOLUTIONS = 5


@pytest.fixture(scope="module")
def matrix_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Compute each lab's matrix of claims and mutants, once, as `labs mutants --brief` does: on three processes where it is distributed."""

    @cache
    def matrix(number: int) -> tuple[int, dict[str, Any]]:
        folder = tmp_path_factory.mktemp(f"lab{number:02d}")
        target = folder / "matrix.json"
        command = [sys.executable, "-m", "labs", "mutants", str(number), "--brief"]
        environment = {**surroundings(folder), "LABS_MATRIX": str(target)}
        ended = subprocess.run(
            command,
            cwd=catalog.PACKAGE.parent,
            env=environment,
            capture_output=True,
            text=True,
            timeout=HANGING_S,
            check=False,
        )
        assert target.exists(), ended.stdout + ended.stderr
        return ended.returncode, json.loads(target.read_text(encoding="utf-8"))

    return matrix


@every_lab
def test_every_claim_can_fail_and_five_wrong_solutions_of_each_exercise_do(
    entry: Entry, matrix_of: Any
) -> None:
    status, found = matrix_of(entry.number)
    assert [trial for trial in found["trials"] if trial["fault"] or not trial["killed"]] == []
    assert status == 0
    assert len(found["claims"]) >= 5
    for step in lesson_of(entry.number).exercises.values():
        judging = {id_ for id_, steps in found["judges"].items() if step in steps}
        wrong = [
            trial["name"]
            for trial in found["trials"]
            if trial["step"] == step and judging & set(trial["killed"])
        ]
        assert len(wrong) >= WRONG_SOLUTIONS, (step, wrong)


@every_lab
def test_an_edit_stands_in_the_source_of_its_step_and_has_a_name_of_its_own(
    entry: Entry, tmp_path: Path
) -> None:
    mutants = lesson_of(entry.number).mutants
    assert len({mutant.name for mutant in mutants}) == len(mutants)
