"""Exercises of a lab on two processes: a rank that goes wrong is named, and no other waits for it for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labs import record
from tests.conftest import checkout_with

HANGS_S = 5.0  # the collective's timeout in these tests
BOUND_S = 150.0  # two processes import torch and run the lab some times, on a busy machine
HEAD = "import torch\nimport torch.distributed as dist\n"
SUMMED = (
    HEAD
    + """
def summed(x_N):
    total_N = x_N.clone()
    if {wrong}:
        {what}
    dist.all_reduce(total_N)
    return total_N

def doubled(x_N):
    return x_N + x_N
"""
)
LAST = "dist.get_rank() == 1 and len(x_N) == 2"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the package with a lab for two ranks."""
    lab = Path(__file__).with_name("two_rank_lab.py")
    return checkout_with(lab, "lab98_summing_up.py", tmp_path / "checkout")


def checked(checkout: Path, text: str, *more: str) -> tuple[int, str, dict[str, record.Exercise]]:
    """Have a learner's file judged on two processes."""
    home = checkout.parent / "home"
    (home / "work").mkdir(parents=True)
    (home / "work" / "lab98.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "labs", "check", "98", "--launcher", "local", *more]
    environment = {**os.environ, "LABS_TIMEOUT": str(HANGS_S), "PYTHONPATH": str(checkout)}
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=BOUND_S, env=environment, cwd=checkout, check=False
    )
    assert "Traceback" not in ended.stdout + ended.stderr
    (folder,) = (home / "runs" / "lab98").iterdir()
    return ended.returncode, ended.stdout, {found.id: found for found in record.load(folder).exercises}


def test_a_right_step_cannot_be_judged_by_a_claim_that_needs_more_ranks(checkout: Path) -> None:
    status, said, found = checked(checkout, SUMMED.format(wrong=False, what="pass"))
    assert (found["98.1"].judgement, found["98.2"].judgement) == ("cannot be judged here", "passed")
    assert found["98.1"].reason == "claim 98.many was not measured here: needs 3 processes"
    assert "next: labs check 98 --procs 3\n" in said
    assert status == 1


def test_a_right_step_passes_where_all_can_be_judged(checkout: Path) -> None:
    status, said, found = checked(checkout, SUMMED.format(wrong=False, what="pass"), "--procs", "3")
    assert [exercise.judgement for exercise in found.values()] == ["passed", "passed"], said
    assert status == 0


def test_what_one_rank_gets_wrong_is_shown_with_its_smallest_input(checkout: Path) -> None:
    wrong = "dist.get_rank() == 1 and len(x_N) != 1"
    _, _, found = checked(
        checkout, SUMMED.format(wrong=wrong, what="x_N = x_N; dist.all_reduce(total_N); return total_N + 1")
    )
    assert found["98.1"].judgement == "failed"
    assert found["98.1"].reason == "on rank 1 2 of 3 calls are wrong, the smallest:"
    assert (found["98.1"].input, found["98.1"].yours) == ("x_N = tensor([1., 1.])", "tensor([2., 2.])")
    assert found["98.1"].claims == ["98.sum"]
    assert found["98.2"].judgement == "passed"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("while True: pass", "on rank 1 it did not end within 10 s; the lab's own step takes "),
        (
            "return total_N",
            "on rank 0 it waited in vain for rank 1, where it had returned already: all ranks take part ",
        ),
        ("raise ValueError('not I')", "on rank 1 it raised ValueError: not I (lab98.py, line 7)"),
    ],
    ids=["endless", "skips a collective", "raises"],
)
def test_a_rank_that_goes_wrong_is_named_and_nobody_waits_for_ever(
    checkout: Path, what: str, said: str
) -> None:
    status, _, found = checked(checkout, SUMMED.format(wrong=LAST, what=what))
    assert (status, found["98.1"].judgement) == (1, "failed")
    assert found["98.1"].reason.startswith(said)
    assert found["98.1"].input == "x_N = tensor([0., 0.])"
    assert found["98.2"].judgement == "passed"


ALONE = SUMMED.replace("return x_N + x_N", "if len(x_N) == 5:\n        {alone}\n    return x_N + x_N")


@pytest.mark.parametrize(
    ("alone", "said"),
    [
        ("return x_N", "on rank 0 1 of 2 calls are wrong, the smallest:"),
        ("while True: pass", "on rank 0 it did not end within 10 s; the lab's own step takes "),
        ("raise ValueError('not I')", "on rank 0 it raised ValueError: not I (lab98.py, line 13)"),
    ],
    ids=["wrong", "endless", "raises"],
)
def test_what_a_rank_calls_by_itself_is_watched_too_and_nobody_waits_for_the_others(
    checkout: Path, alone: str, said: str
) -> None:
    status, _, found = checked(checkout, ALONE.format(wrong=False, what="pass", alone=alone), "--procs", "3")
    assert (status, found["98.2"].judgement) == (1, "failed")
    assert found["98.2"].reason.startswith(said)
    assert found["98.2"].input == "x_N = tensor([1., 1., 1., 1., 1.])"
    assert found["98.1"].judgement == "passed"
