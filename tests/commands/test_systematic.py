"""`labs mutants N --systematic`, with several processes, also where an edit ends one of them or leads one astray."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labs import catalog
from labs.commands import systematic
from tests.conftest import TINY, Command, checkout_with

TESTS = TINY.parent
HANGING_S = 280  # a guard against hangs, within that of pytest; three launches of three processes take a while on a busy machine


def test_edits_that_end_a_rank_or_let_others_wait_for_it_are_noticed_and_all_others_judged(
    tmp_path: Path,
) -> None:
    checkout = checkout_with(TESTS / "crashing_lab.py", "lab96_crashes.py", tmp_path / "checkout")
    target = tmp_path / "survey.json"
    command = [sys.executable, "-m", "labs", "mutants", "96", "--systematic"]
    environment = {**os.environ, "LABS_MATRIX": str(target)}
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=HANGING_S, env=environment, cwd=checkout, check=False
    )
    found = json.loads(target.read_text(encoding="utf-8"))
    noticed = {f"{edit['old']} → {edit['new']}": edit["noticed"] for edit in found["edits"]}
    # Ranks that wait for rank 0 hear that it has gone, or wait until their time is over: on a busy machine either comes first.
    assert noticed.pop("dist.get_rank() != -1 → dist.get_rank() != 0") in ("it did not end", "it raised")
    assert noticed == {
        "torch.tensor(number) → number": "it raised",
        "dist.get_rank() == dist.get_world_size() → dist.get_rank() != dist.get_world_size()": "it ended the process",
        "os.abort() → pass": "",
        "dist.get_rank() != -1 → dist.get_rank() == -1": "96.sum",
        "dist.get_rank() != -1 → dist.get_rank() != -2": "",
        "dist.all_reduce(total) → pass": "96.sum",
        "total.item() → total": "it returned another type",
    }
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1] == "killed 6 of 8 that are not equivalent (75 %)"
    assert ended.stderr.count("an edit ended the process: the others are tried in a new one") == 2


def test_a_lab_of_one_process_is_surveyed_in_one_of_its_own(labs: Command, tiny_checkout: Path) -> None:
    ended = labs("mutants", "99", "--systematic", cwd=tiny_checkout)
    assert ended.returncode == 1
    assert ended.stderr == ""
    line = 1 + TINY.read_text(encoding="utf-8").splitlines().index("    row_N = torch.ones(count)")
    assert f"lab99_tiny_things.py:{line} long_row: torch.ones → torch.zeros\n" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "killed 7 of 8 that are not equivalent (87 %)"


BEGUN, ENDED = {"step": "s", "old": "a", "new": "b"}, {"step": "s", "old": "a", "new": "b", "noticed": ""}


@pytest.mark.parametrize(
    ("launches", "status"),
    [
        ([(0, [BEGUN, ENDED])], 0),
        ([(1, [BEGUN, ENDED])], 1),
        ([(134, [BEGUN]), (1, [BEGUN]), (1, [ENDED])], 1),
        ([(139, [BEGUN, ENDED, BEGUN]), (0, [BEGUN, ENDED])], 0),
        ([(134, [BEGUN]), (134, [])], 134),
        ([(1, [])], 1),
        ([(139, [BEGUN, ENDED])], 139),
        ([(130, [BEGUN])], 130),
        ([(143, [BEGUN])], 143),
    ],
)
def test_a_new_process_goes_on_where_an_edit_ended_one_as_long_as_that_leads_on(
    monkeypatch: pytest.MonkeyPatch, launches: list[tuple[int, list[dict[str, str]]]], status: int
) -> None:
    left = list(launches)

    def run(entry: catalog.Entry, journal: Path) -> int:
        ended, lines = left.pop(0)
        with journal.open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(line)}\n" for line in lines)
        return ended

    monkeypatch.setattr(systematic, "_run", run)
    assert systematic.surveyed(next(iter(catalog.all_labs().values()))) == status
    assert left == []
