"""Known mistakes, and the proof that claims notice them."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from labs.kit import needs
from labs.kit.runner.bench import DoesNotHold
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.marks import Mutant
from labs.kit.runner.mutants import Matrix, matrix, mutated, mutated_source
from tests.kit.runner import mutant_steps as steps

CLAIMS = ("99.numbers", "99.refused", "99.doubled", "99.total", "99.remembered", "99.longer")


@pytest.fixture
def in_tiny_checkout(tiny_checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is started now finds the tiny lab by its import name."""
    monkeypatch.chdir(tiny_checkout)


def with_mutants(lesson: Lesson, *mutants: Mutant) -> Lesson:
    """Return the lesson with these known mistakes, without asking the file beside it."""
    other = dataclasses.replace(lesson)
    vars(other)["mutants"] = mutants
    return other


def judged(lesson: Lesson, *mutants: Mutant) -> Matrix:
    return matrix(with_mutants(lesson, *mutants))


def of_two_parts(tiny: Lesson) -> Lesson:
    """Return a lesson whose first part doubles, and whose second sums up what was doubled."""
    names = tiny.namespaces[0]
    lab_99: Any = type("Names", (), {"__getattr__": lambda self, name: names[name]})()

    def first(cfg: Any, lab: Any) -> None:
        lab.equal("99.double", "Twice two is four.", lab.step(lab_99.doubled, torch.tensor([2.0])).item(), 4)
        lab.equal("99.one", "One is one.", 1, 1)

    def second(cfg: Any, lab: Any) -> None:
        twos = lab.step(lab_99.doubled, torch.ones(3))
        lab.equal("99.sum", "Three ones, doubled, are six.", lab.step(lab_99.total, twos).item(), 6)

    def run(cfg: Any, lab: Any) -> None:
        for part in (first, second):
            lab.part(part, cfg)

    return dataclasses.replace(tiny, run=run, parts={"first": first, "second": second})


class TestEdits:
    @pytest.mark.parametrize(
        ("step", "old", "new", "line"),
        [
            (steps.plain, "a + b", "a - b", "    c = a - b\n"),
            (steps.decorated, "a + 1", "a + 2", "    b = a + 2\n"),
            (steps.over_several_lines, "a *", "b *", "        b * b,\n"),
            (steps.bare, "a + 1", "a", "    b = a\n"),
            (steps.with_inner_return, "x + 1", "x", "        return x\n"),
            (steps.with_lambda, "x + 1", "x - 1", "    grow: Grow = lambda x: x - 1  # noqa: E731\n"),
        ],
    )
    def test_one_line_is_edited_and_no_other(
        self, step: Callable[..., Any], old: str, new: str, line: str
    ) -> None:
        source = mutated_source(Mutant("edit", step, old, new))
        assert line in source
        text = inspect.getsource(step)
        before = text[text.index("def ") :].splitlines()
        differ = [
            (ours, theirs) for ours, theirs in zip(before, source.splitlines(), strict=True) if ours != theirs
        ]
        assert len(differ) == 1

    @pytest.mark.parametrize(
        ("step", "old", "new", "message"),
        [
            (steps.plain, "a * b", "a", "occurs 0 times"),
            (steps.plain, "c", "d", "occurs 2 times"),
            (steps.plain, "Add two numbers", "Add three", "occurs 0 times"),
            (steps.plain, "def plain", "def other", "occurs 0 times"),
            (steps.plain, "return c", "return -c", "never its return"),
            (steps.plain, "c\n", "d\n", "occurs 2 times|never its return"),
            (steps.plain, "a + b\n", "a - b\n", "one line"),
            (steps.plain, "a + b", "a\n    c = b", "one line"),
            (steps.returning_over_lines, "a,", "b,", "never its return"),
            (steps.decorated, "three hints", "x", "occurs 0 times"),
            (steps.early_return, "a + 1", "a", "never its return"),
        ],
    )
    def test_an_unfair_edit_is_refused(
        self, step: Callable[..., Any], old: str, new: str, message: str
    ) -> None:
        with pytest.raises(ValueError, match=f"mutant 'edit': .*({message})"):
            mutated_source(Mutant("edit", step, old, new))

    def test_the_mutant_is_a_function_of_the_lab_and_its_step_stays(self, tiny: Lesson) -> None:
        (names,) = tiny.namespaces
        before = {name: thing for name, thing in names.items() if name != "__builtins__"}
        wrong = mutated(Mutant("triples", tiny.steps["doubled"], "2 * x_N", "3 * x_N"))
        assert wrong(torch.ones(2)).tolist() == [3, 3]
        assert wrong.__globals__ is names
        assert {name: thing for name, thing in names.items() if name != "__builtins__"} == before

    def test_the_source_of_a_mutant_can_be_shown(self, tiny: Lesson) -> None:
        wrong = mutated(Mutant("triples", tiny.steps["doubled"], "2 * x_N", "3 * x_N"))
        assert "3 * x_N" in inspect.getsource(wrong)


class TestMatrix:
    @pytest.mark.usefixtures("in_tiny_checkout")
    def test_every_claim_of_the_tiny_lab_can_fail(self, tiny: Lesson) -> None:
        result = matrix(tiny)
        assert result.claims == CLAIMS
        assert (result.survivors, result.faults) == ([], [])
        assert result.unmeasured == {"99.elsewhere": "needs the package no_such_package"}
        killed = {trial.name: set(trial.killed) for trial in result.trials}
        assert killed == {
            "counts too many": {"99.numbers", "99.refused"},
            "triples": {"99.doubled"},
            "adds two": {"99.doubled"},
            "takes the mean": {"99.total"},
            "forgets the last": {"99.total"},
            "remembers it twice": {"99.remembered"},
            "both arms the same": {"99.longer"},
        }

    def test_a_brief_matrix_proves_as_much_and_looks_at_less(self, tiny: Lesson) -> None:
        lesson = with_mutants(of_two_parts(tiny), tiny.mutants[1], tiny.mutants[3])
        whole, brief = matrix(lesson), matrix(lesson, brief=True)
        found = {trial.name: (set(trial.killed), set(trial.passed_over)) for trial in whole.trials}
        assert found == {"triples": ({"99.double", "99.sum"}, set()), "takes the mean": ({"99.sum"}, set())}
        found = {trial.name: (set(trial.killed), set(trial.passed_over)) for trial in brief.trials}
        assert found == {"triples": ({"99.double"}, {"99.sum"}), "takes the mean": ({"99.sum"}, set())}
        assert list(found) == ["triples", "takes the mean"]
        assert (brief.survivors, brief.faults) == (whole.survivors, whole.faults) == (["99.one"], [])

    def test_a_claim_that_no_mutant_kills_survives(self, tiny: Lesson) -> None:
        result = judged(tiny, Mutant("triples", tiny.steps["doubled"], "2 * x_N", "3 * x_N"))
        assert result.survivors == ["99.numbers", "99.refused", "99.total", "99.remembered"]

    @pytest.mark.parametrize(
        ("step", "old", "new", "fault"),
        [
            ("doubled", "2 * x_N", "2 * y_N", "it does not run to the end: .*NameError"),
            ("doubled", "2 * x_N", "x_N * 2", "no claim noticed it"),
        ],
    )
    def test_a_mutant_that_proves_nothing_is_a_fault(
        self, tiny: Lesson, step: str, old: str, new: str, fault: str
    ) -> None:
        result = judged(tiny, Mutant("odd", tiny.steps[step], old, new))
        (said,) = result.faults
        assert re.match(f"odd: .*{fault}", said)
        assert not result.trials[0].killed

    def test_a_mutant_after_which_nothing_holds_is_a_fault(self, tiny: Lesson) -> None:
        def run(cfg: Any, lab: Any) -> None:
            lab.equal("99.only", "t", lab.step(tiny.namespaces[0]["total"], torch.ones(3)).item(), 3.0)

        alone = dataclasses.replace(tiny, run=run)
        result = judged(alone, Mutant("takes the mean", tiny.steps["total"], "x_N.sum()", "x_N.mean()"))
        assert result.faults == [
            "takes the mean: not one claim still holds, so it proves nothing about any of them"
        ]
        assert result.survivors == ["99.only"]

    def test_a_lab_that_does_not_hold_has_no_matrix(self, tiny: Lesson) -> None:
        def run(cfg: Any, lab: Any) -> None:
            lab.equal("99.wrong", "t", 1, 2)

        with pytest.raises(
            DoesNotHold, match=r"lab 99 does not hold without a mutant: 99.wrong: got 1, want 2"
        ):
            matrix(dataclasses.replace(tiny, run=run))

    def test_a_lab_that_breaks_has_no_matrix(self, tiny: Lesson) -> None:
        def run(cfg: Any, lab: Any) -> None:
            raise OSError("no luck")

        with pytest.raises(DoesNotHold, match="OSError: no luck"):
            matrix(dataclasses.replace(tiny, run=run))

    def test_progress_is_told(self, tiny: Lesson) -> None:
        told: list[str] = []
        matrix(with_mutants(tiny, tiny.mutants[0]), progress=told.append)
        assert told == ["the lab itself", "counts too many", "both arms the same"]

    @pytest.mark.usefixtures("in_tiny_checkout")
    def test_a_fresh_step_leaves_no_trace_here(self, tiny: Lesson) -> None:
        judged(tiny, tiny.mutants[-1])
        assert tiny.namespaces[0]["MEMORY"] == ["once"]

    def test_a_fresh_step_whose_process_fails_is_no_verdict(
        self, tiny: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)  # from where no lab 99 can be imported
        with pytest.raises(RuntimeError, match="mutant 'remembers it twice' in its own process"):
            judged(tiny, tiny.mutants[-1])

    def test_a_ratio_that_cannot_be_measured_gets_no_trial(self, tiny: Lesson) -> None:
        def run(cfg: Any, lab: Any) -> None:
            lab.part(timing_elsewhere, cfg)
            lab.equal("99.here", "t", lab.step(tiny.namespaces[0]["total"], torch.ones(3)).item(), 3.0)

        other = dataclasses.replace(tiny, run=run)
        assert [trial.name for trial in judged(other).trials] == []


@needs("the package no_such_package")
def timing_elsewhere(cfg: Any, lab: Any) -> None:
    """What cannot be timed here?"""
    lab.ratio("99.elsewhere", "t", lambda: 1, lambda: 2, at_least=2, because="b")
