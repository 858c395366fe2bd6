"""What is said to a learner."""

import json
from pathlib import Path

import pytest
import torch

from labs import record
from labs.kit.attempt.conversation import Conversation
from labs.kit.display.screen import Screen
from labs.kit.runner.lesson import Lesson

WRONG = record.Exercise(
    id="99.2",
    step="total",
    judgement="failed",
    reason="3 of 5 calls are wrong, the smallest:",
    input="x_N = tensor([1., 2.])\nsize = 2",
    yours="tensor(2.)",
    expected="tensor(3.)",
    calls=5,
    different=3,
    claim="claim 99.total: their sum is what Gauss said [largest] difference 1",
    mistake="takes the mean",
    printed="\n".join(f"line {n} [of many]" for n in range(13)),
    next="labs hint 99.2",
)


def told(tiny: Lesson, folder: Path, capsys: pytest.CaptureFixture[str], *exercises: record.Exercise) -> str:
    Conversation(tiny, folder / "lab99.py", Screen()).tell(list(exercises))
    return capsys.readouterr().out


def test_all_that_is_known_is_said_in_order(
    tiny: Lesson, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    passed = record.Exercise(id="99.1", step="doubled", judgement="passed", insight="It is `x + x`.")
    later = record.Exercise(id="99.3", step="long_row", judgement="not written yet")
    (tmp_path / "progress.json").write_text(json.dumps({"99.2": {"hints": 1, "asked": 0}}), encoding="utf-8")
    assert (
        told(tiny, tmp_path, capsys, passed, WRONG, later)
        == """\
99.1 doubled   passed
    It is `x + x`.

99.2 total     3 of 5 calls are wrong, the smallest:
      x_N = tensor([1., 2.])
      size = 2
      you:   tensor(2.)
      right: tensor(3.)
    claim 99.total: their sum is what Gauss said [largest] difference 1
    It looks like a known mistake: takes the mean.
    it printed:
      line 0 [of many]
      line 1 [of many]
      line 2 [of many]
      line 3 [of many]
      line 4 [of many]
      line 5 [of many]
      line 6 [of many]
      line 7 [of many]
      line 8 [of many]
      line 9 [of many]
      … and 3 lines more
    next: labs hint 99.2   (2 of 3 hints left)

99.3 long_row  not written yet
"""
    )


@pytest.mark.parametrize(
    ("progress", "left"),
    [
        (None, "(3 of 3 hints left)"),
        ('{"99.2": {"hints": 3}}', "(all hints seen)"),
        ("[]", "(3 of 3 hints left)"),
    ],
)
def test_hints_left_are_those_not_asked_for(
    tiny: Lesson, tmp_path: Path, capsys: pytest.CaptureFixture[str], progress: str | None, left: str
) -> None:
    if progress is not None:
        (tmp_path / "progress.json").write_text(progress, encoding="utf-8")
    assert f"next: labs hint 99.2   {left}\n" in told(tiny, tmp_path, capsys, WRONG)


def test_who_passed_is_shown_the_way_to_the_labs_own_steps(
    tiny: Lesson, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    passed = [record.Exercise(id=f"99.{n}", step="doubled", judgement="passed") for n in (1, 2)]
    assert told(tiny, tmp_path, capsys, *passed).endswith("compare with the lab's own: labs solution 99\n")
    assert told(tiny, tmp_path, capsys, passed[0]).endswith(
        "compare with the lab's own: labs solution 99.1\n"
    )
    assert "solution" not in told(tiny, tmp_path, capsys, passed[0], WRONG)


def test_what_cannot_be_judged_here_is_said_with_what_to_type(
    tiny: Lesson, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unsure = record.Exercise(
        id="99.1",
        step="doubled",
        judgement="cannot be judged here",
        reason="claim 99.doubled was not measured here: needs 3 processes",
        next="labs check 99 --procs 3",
    )
    assert (
        told(tiny, tmp_path, capsys, unsure)
        == """\
99.1 doubled  cannot be judged here
    claim 99.doubled was not measured here: needs 3 processes
    next: labs check 99 --procs 3
"""
    )


def test_why_no_input_is_shown_is_said(
    tiny: Lesson, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = WRONG.model_copy(
        update={"input": "", "yours": "", "expected": "", "printed": "", "not_compared": "too large"}
    )
    said = told(tiny, tmp_path, capsys, bare)
    assert "its calls were not compared with those of the lab's own step: too large\n" in said


def test_rows_of_a_tensor_stay_below_one_another(
    tiny: Lesson, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = str(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    said = told(tiny, tmp_path, capsys, WRONG.model_copy(update={"yours": mine, "expected": ""}))
    assert "      you:   tensor([[1., 2.],\n                     [3., 4.]])\n" in said
