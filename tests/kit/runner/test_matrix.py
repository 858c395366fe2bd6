"""The matrix of claims and mutants, as a person sees it."""

import dataclasses
from pathlib import Path

import pytest

from labs.kit.runner import matrix as shown
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.marks import Mutant
from labs.kit.runner.mutants import Matrix, Trial


@pytest.fixture
def show(
    tiny: Lesson, tiny_checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> "Show":
    monkeypatch.chdir(tiny_checkout)
    return Show(tiny, monkeypatch, capsys)


class Show:
    """Shows the tiny lab's matrix with other mutants."""

    def __init__(
        self, tiny: Lesson, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.tiny, self.monkeypatch, self.capsys = tiny, monkeypatch, capsys

    def __call__(self, *mutants: Mutant, brief: bool = False) -> tuple[int, str]:
        lesson = dataclasses.replace(self.tiny)
        vars(lesson)["mutants"] = mutants
        self.monkeypatch.setattr(shown, "load", lambda name: lesson)
        status = shown.show_matrices([lesson.import_name], brief=brief)
        said = self.capsys.readouterr()
        return status, said.out + said.err


def test_a_complete_matrix_is_fine(show: Show) -> None:
    status, output = show(*show.tiny.mutants)
    assert status == 0
    assert "6 of 6 claims can fail\n" in output
    assert output.count("✘") == 1 + 8  # one in the heading
    assert "99.elsewhere is not judged here: needs the package no_such_package" in output
    assert all(mutant.name in output for mutant in show.tiny.mutants)


def test_what_a_mutant_passed_over_is_left_empty(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    over = frozenset({"99.late"})
    trials = Trial("a", "s", frozenset({"99.early"}), passed_over=over), Trial("b", "s", over)
    asked: list[bool] = []

    def matrix(*_: object, brief: bool) -> Matrix:
        asked.append(brief)
        return Matrix(99, ("99.early", "99.late"), {}, trials)

    monkeypatch.setattr(shown, "matrix", matrix)
    status, output = show(brief=True)
    assert (status, asked) == (0, [True])
    assert "99.early ✘ ·\n99.late    ✘\n" in output


def test_survivors_are_named_and_fail(show: Show) -> None:
    status, output = show(*show.tiny.mutants[1:-1])
    assert status == 1
    assert "3 of 6 claims can fail; never seen to fail: 99.numbers, 99.refused, 99.remembered" in output


def test_faults_are_named_and_fail(show: Show) -> None:
    doubled = show.tiny.steps["doubled"]
    status, output = show(
        *show.tiny.mutants,
        Mutant("idle", doubled, "2 * x_N", "x_N * 2"),
        Mutant("crash", doubled, "2 * x_N", "nothing"),
    )
    assert status == 1
    assert "idle doubled no claim noticed it" in output
    assert "crash doubled it does not run to the end: lab 99 broke in step doubled: NameError" in output


def test_a_lab_that_does_not_hold_is_said_without_a_traceback(show: Show) -> None:
    show.tiny.namespaces[0]["MEMORY"].append("from before")
    status, output = show()
    assert status == 1
    assert "lab 99 does not hold without a mutant: 99.remembered" in output
