"""A learner's attempt, judged: by its example, beside the lab's own steps, and by the lab's claims."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from labs import record
from labs.exercises import Source
from labs.kit.attempt import runs, watch
from labs.kit.runner import session
from labs.kit.runner.lesson import Lesson
from tests.kit.attempt.conftest import DOUBLED, LONG_ROW, TOTAL, judge_of, judged, run_of, write

RIGHT = DOUBLED.format("2 * x_N"), TOTAL.format("x_N.sum()"), LONG_ROW.format("torch.ones(count)")


@pytest.fixture(autouse=True)
def forgetful(tiny: Lesson) -> None:
    """Each test begins with nothing remembered."""
    tiny.namespaces[0]["MEMORY"].clear()


def edited(tiny: Lesson, old: str, new: str) -> Lesson:
    """Return the tiny lab with another text in its parts."""
    from labs.kit.runner import lesson

    namespace = tiny.namespaces[0]
    assert tiny.entry.path is not None
    text = tiny.entry.path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    tiny.entry.path.write_text(text.replace(old, new), encoding="utf-8")
    exec(compile(tiny.entry.path.read_text(encoding="utf-8"), str(tiny.entry.path), "exec"), namespace)
    return lesson.read(namespace["run"], namespace["Config"])


class TestVerdicts:
    def test_the_labs_own_steps_pass_and_are_told_something_new(self, tiny: Lesson, file: Path) -> None:
        solutions = [exercise.solution for exercise in Source(tiny.entry).exercises]
        found = judged(tiny, file, *solutions, smoke=False)
        assert [exercise.judgement for exercise in found.values()] == ["passed"] * 3
        assert found["99.1"].insight == "Two times a number is the number plus itself."
        assert all(exercise.next == "" for exercise in found.values())

    def test_a_run_that_broke_does_not_tell_how_long_the_labs_own_steps_take(
        self, tiny: Lesson, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(file, *RIGHT)
        judge, perform = judge_of(tiny, file), session.perform

        def breaks_once(*args: Any) -> None:
            monkeypatch.setattr(runs, "perform", perform)
            args[2].status, args[2].error = "broke", "the weather"
            raise OSError

        monkeypatch.setattr(runs, "perform", breaks_once)
        found = run_of(tiny, judge).exercises
        assert judge.runs.limit_s == runs.UNKNOWN_S
        assert [exercise.judgement for exercise in found[:2]] == ["passed"] * 2  # the third needs a clock

    def test_one_exercise_can_be_judged_alone(self, tiny: Lesson, file: Path) -> None:
        assert list(judged(tiny, file, *RIGHT, only="99.2")) == ["99.2"]

    def test_what_is_not_written_is_said_to_be_so(self, tiny: Lesson, file: Path) -> None:
        found = judged(tiny, file, RIGHT[0])
        assert [exercise.judgement for exercise in found.values()] == [
            "passed",
            "not written yet",
            "not written yet",
        ]

    def test_a_wrong_step_fails_on_a_claim(self, tiny: Lesson, file: Path) -> None:
        found = judged(tiny, file, DOUBLED.format("4 * x_N"))["99.1"]
        assert found.judgement == "failed"
        assert found.claims == ["99.doubled"]
        assert found.claim.startswith("claim 99.doubled: twice as much is the sum of both ")
        assert found.mistake == ""
        assert found.next == "labs hint 99.1"

    def test_another_way_to_a_right_answer_passes(self, tiny: Lesson, file: Path) -> None:
        ways = (
            DOUBLED.format("x_N + x_N"),
            TOTAL.format("x_N.double().sum().float()"),
            LONG_ROW.format("torch.zeros(count) + 1"),
        )
        found = judged(tiny, file, *ways, smoke=False)
        assert [exercise.judgement for exercise in found.values()] == ["passed"] * 3

    def test_a_right_value_of_another_type_passes_where_the_claims_hold(
        self, tiny: Lesson, file: Path
    ) -> None:
        contract = edited(tiny, "tensor(7.)\n", "7.0\n")
        assert judged(contract, file, TOTAL.format("x_N.sum().item()"))["99.2"].judgement == "passed"

    @pytest.mark.parametrize(
        ("doubled", "total", "passed"),
        [
            ("4 * x_N", "x_N.sum()", ["99.2"]),
            ("2 * x_N", "x_N.prod()", ["99.1"]),
            ("2 * x_N", "1 / 0", ["99.1"]),
            ("1 / 0", "x_N.sum()", ["99.2"]),
            ("None", "x_N.sum()", ["99.2"]),
            ("2 * x_N", "x_N.sum()", ["99.1", "99.2"]),
            ("x_N.mul_(2)", "x_N.sum()", ["99.2"]),
            ("4 * x_N", "doubled(x_N).sum() / 2", ["99.2"]),
        ],
    )
    def test_a_right_step_passes_beside_a_wrong_one(
        self, tiny: Lesson, file: Path, doubled: str, total: str, passed: list[str]
    ) -> None:
        found = judged(tiny, file, DOUBLED.format(doubled), TOTAL.format(total))
        assert [id_ for id_, exercise in found.items() if exercise.judgement == "passed"] == passed

    def test_only_the_parts_that_reach_a_step_are_run(self, tiny: Lesson, file: Path) -> None:
        write(file, DOUBLED.format("2 * x_N"))
        notes = run_of(tiny, judge_of(tiny, file))
        assert [part.name for part in notes.parts] == ["arithmetic"]
        assert {"99.doubled", "99.total"} <= {claim.id for claim in notes.claims}

    def test_the_record_shows_the_learners_source(self, tiny: Lesson, file: Path) -> None:
        write(file, DOUBLED.format("x_N + x_N"))
        notes = run_of(tiny, judge_of(tiny, file))
        (step,) = [step for step in notes.steps if step.name == "doubled"]
        assert (step.by, "x_N + x_N" in step.source) == ("learner", True)

    def test_a_wrong_step_that_shares_no_part_with_others_is_not_run_once_more(
        self, tiny: Lesson, file: Path
    ) -> None:
        write(file, DOUBLED.format("4 * x_N"), LONG_ROW.format("torch.ones(count)"))
        judge = judge_of(tiny, file)
        kept = judge.runs.run
        ran: list[list[str]] = []

        def counted(replacements: dict[str, Any], *rest: Any, **more: Any) -> record.Run:
            ran.append(sorted(replacements))
            return kept(replacements, *rest, **more)

        judge.runs.run = counted  # type: ignore[method-assign]
        run_of(tiny, judge)
        assert ran == [["doubled", "long_row"], ["doubled", "long_row"], [], ["doubled"], ["doubled"]]


class TestCannotBeJudged:
    def test_what_only_a_ratio_judges_in_a_smoke_run(self, tiny: Lesson, file: Path) -> None:
        found = judged(tiny, file, RIGHT[2])["99.3"]
        assert found.judgement == "cannot be judged here"
        assert found.reason.startswith("claim 99.longer was not measured here: smoke")
        assert found.next == "labs check 99   without --smoke"

    @pytest.mark.parametrize(
        ("needs", "command"),
        [
            ("3 processes", "labs check 99 --procs 3"),
            ("2 nodes", "labs check 99 --nodes 2"),
            ("cuda", "labs check 99   on a machine with a GPU"),
            ("the package no_such_package", "labs check 99   where there is the package no_such_package"),
        ],
    )
    def test_what_a_claim_needs_is_said_as_what_to_type(
        self, tiny: Lesson, file: Path, needs: str, command: str
    ) -> None:
        lesson = edited(tiny, '(cfg.mood == "wrong"))', f'(cfg.mood == "wrong"), needs="{needs}")')
        found = judged(lesson, file, RIGHT[0])["99.1"]
        assert found.reason == f"claim 99.doubled was not measured here: needs {needs}"
        assert (found.judgement, found.next) == ("cannot be judged here", command)

    def test_what_a_whole_part_needs_is_said_too(self, tiny: Lesson, file: Path) -> None:
        lesson = edited(tiny, "def arithmetic(", '@needs("3 processes")\ndef arithmetic(')
        found = judged(lesson, file, RIGHT[0])["99.1"]
        assert (found.judgement, found.next) == ("cannot be judged here", "labs check 99 --procs 3")

    def test_a_claim_that_fails_with_the_labs_own_step_is_not_held_against_the_learner(
        self, tiny: Lesson, file: Path
    ) -> None:
        found = judged(tiny, file, RIGHT[0], mood="wrong")["99.1"]
        assert found.judgement == "cannot be judged here"
        assert found.reason == "claim 99.doubled fails here with the lab's own step, too"

    def test_what_another_exercises_part_lacks_is_not_held_against_it(self, tiny: Lesson, file: Path) -> None:
        lesson = edited(tiny, "def timing(", '@needs("cuda")\ndef timing(')
        found = judged(lesson, file, RIGHT[0], RIGHT[2])
        assert found["99.1"].judgement == "passed"
        assert (found["99.3"].judgement, found["99.3"].claims) == ("cannot be judged here", ["99.longer"])

    def test_what_no_claim_judges(self, tiny: Lesson, file: Path) -> None:
        def run(cfg: Any, lab: Any) -> None:
            lab.equal("99.other", "t", 1, 1)

        found = judged(dataclasses.replace(tiny, run=run), file, RIGHT[0])["99.1"]
        assert (found.judgement, found.reason) == ("cannot be judged here", "no claim judges it")


class TestSmallestInput:
    def test_the_example_of_the_contract_comes_first(self, tiny: Lesson, file: Path) -> None:
        found = judged(tiny, file, DOUBLED.format("4 * x_N"))["99.1"]
        assert found.input == "doubled(torch.tensor([1.0, 2.5]))"
        assert (found.yours, found.expected) == ("tensor([ 4., 10.])", "tensor([2., 5.])")

    def test_an_example_that_is_wrong_fails_though_all_claims_hold(self, tiny: Lesson, file: Path) -> None:
        found = judged(tiny, file, DOUBLED.format("2 * x_N if len(x_N) > 2 else x_N"))["99.1"]
        assert found.judgement == "failed"
        assert found.reason == "the example of its contract gives something else"
        assert found.claim == ""

    def test_of_calls_that_differ_the_one_with_the_fewest_elements_is_shown(
        self, tiny: Lesson, file: Path
    ) -> None:
        lesson = edited(
            tiny,
            "    twice_N = lab.step(doubled, x_N)\n",
            "    many = [lab.step(doubled, torch.ones(n)) for n in (9, 3, 5, 1)]\n    twice_N = lab.step(doubled, x_N)\n",
        )
        found = judged(lesson, file, DOUBLED.format("2 * x_N if len(x_N) in (1, 2) else 3 * x_N"))["99.1"]
        assert (found.calls, found.different) == (5, 4)
        assert found.reason == "4 of 5 calls are wrong, the smallest:"
        assert found.input == "x_N = tensor([1., 1., 1.])"
        assert (found.yours, found.expected) == ("tensor([3., 3., 3.])", "tensor([2., 2., 2.])")

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ("None", "your function returned None; a tensor of shape (2,) and dtype float32 was expected"),
            (
                "2 * x_N.double()",
                "your function returned a tensor of shape (2,) and dtype float64; a tensor of shape (2,) and dtype float32 was expected",
            ),
            ("[]", "your function returned a list of 0; a tensor of shape (2,) and dtype float32 was expected"),
            ("lambda: 1", "your function returned a function; a tensor of shape (2,) and dtype float32 was expected"),
        ],
    )  # fmt: skip
    def test_a_wrong_type_shape_or_dtype_is_named(
        self, tiny: Lesson, file: Path, body: str, words: str
    ) -> None:
        found = judged(tiny, file, DOUBLED.format(body))["99.1"]
        assert (found.judgement, found.reason) == ("failed", words)

    def test_what_is_wrong_beyond_the_example_is_named_too(self, tiny: Lesson, file: Path) -> None:
        found = judged(tiny, file, DOUBLED.format("2 * x_N if len(x_N) == 2 else None"))["99.1"]
        assert (
            found.reason
            == "your function returned None; a tensor of shape (4,) and dtype float32 was expected"
        )
        assert found.input == "x_N = tensor([0., 1., 2., 3.])"

    def test_a_large_input_is_shown_by_its_shape(self, tiny: Lesson, file: Path) -> None:
        found = judged(tiny, file, DOUBLED.format("2 * x_N if len(x_N) == 2 else 3 * x_N"), count=100)["99.1"]
        assert found.input == "x_N = tensor of shape (100,), float32: 0, 1, 2, 3 …"
        assert found.yours == "tensor of shape (100,), float32: 0, 3, 6, 9 …"


class TestRaising:
    def test_type_message_and_line_of_the_learners_file(self, tiny: Lesson, file: Path) -> None:
        found = judged(tiny, file, "def doubled(x_N):\n    y = 1\n    return x_N.no_such_method()\n")["99.1"]
        said = (
            "it raised AttributeError: 'Tensor' object has no attribute 'no_such_method' (lab99.py, line 5)"
        )
        assert (found.judgement, found.reason) == ("failed", said)

    def test_the_input_at_which_it_raises_is_shown(self, tiny: Lesson, file: Path) -> None:
        found = judged(tiny, file, DOUBLED.format("2 * x_N if len(x_N) == 2 else x_N[7]"))["99.1"]
        assert found.reason.startswith("it raised IndexError: ")
        assert found.input == "x_N = tensor([0., 1., 2., 3.])"
        assert found.expected == "tensor([0., 2., 4., 6.])"

    @pytest.mark.parametrize("way_out", ["raise SystemExit(0)", "exit()"])
    def test_a_step_that_ends_the_process_fails(self, tiny: Lesson, file: Path, way_out: str) -> None:
        assert judged(tiny, file, f"def doubled(x_N):\n    {way_out}\n")["99.1"].judgement == "failed"

    def test_a_step_that_raises_where_the_labs_own_does_passes(self, tiny: Lesson, file: Path) -> None:
        lesson = edited(
            tiny,
            "    twice_N = 2 * x_N\n",
            "    if len(x_N) == 0:\n        raise ValueError('empty')\n    twice_N = 2 * x_N\n",
        )
        lesson = edited(
            lesson,
            "    gauss = ",
            '    lab.raises("99.empty", "it refuses", lambda: doubled(torch.ones(0)), ValueError, "empty")\n    gauss = ',
        )
        strict = "def doubled(x_N):\n    if len(x_N) == 0:\n        raise ValueError('it is empty')\n    return x_N + x_N\n"
        assert judged(lesson, file, strict)["99.1"].judgement == "passed"
        lax = judged(lesson, file, DOUBLED.format("x_N + x_N"))["99.1"]
        assert (lax.judgement, lax.claims) == ("failed", ["99.empty"])
        assert (lax.reason, lax.input) == ("your function should raise ValueError: empty", "x_N = tensor([])")

    def test_a_step_that_breaks_the_lab_fails_with_what_broke(self, tiny: Lesson, file: Path) -> None:
        found = judged(
            tiny, file, "class Odd: ...\n", LONG_ROW.format("torch.ones(3) if count == 3 else Odd()")
        )["99.3"]
        assert found.judgement == "failed"
        assert "broke in step long_row: AttributeError: 'Odd' object has no attribute 'sum'" in found.claim


class TestChangedArguments:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ("x_N.zero_()", "x_N has other values now"),
            ("x_N.data.zero_()", "x_N has other values now"),
            ("x_N.requires_grad_()", "x_N has requires_grad=True now"),
            ("x_N.requires_grad_().sum().backward(); x_N.requires_grad_(False)", "x_N has a .grad now"),
        ],
    )
    def test_they_fail_though_all_claims_hold(self, tiny: Lesson, file: Path, change: str, said: str) -> None:
        body = f"def total(x_N):\n    added = x_N.sum().detach()\n    {change}\n    return added\n"
        found = judged(tiny, file, body)["99.2"]
        assert (found.judgement, found.reason) == (
            "failed",
            f"your function changed its argument x_N: {said}",
        )
        assert found.input == "x_N = tensor([0., 1., 2., 3.])"

    def test_a_step_that_is_to_change_its_argument_may(self, tiny: Lesson, file: Path) -> None:
        lesson = edited(
            tiny,
            "    twice_N = 2 * x_N\n    return twice_N\n",
            "    twice_N = x_N.mul_(2)\n    return twice_N\n",
        )
        lesson = edited(lesson, "twice_N, x_N + x_N", "twice_N, 2 * torch.arange(cfg.count)")
        lesson = edited(lesson, "lab.step(doubled, x_N)", "lab.step(doubled, x_N.clone()).int().long()")
        assert judged(lesson, file, DOUBLED.format("x_N.add_(x_N)"))["99.1"].judgement == "passed"

    def test_one_that_changes_it_in_another_way_is_told_so(self, tiny: Lesson, file: Path) -> None:
        lesson = edited(
            tiny,
            "    twice_N = 2 * x_N\n    return twice_N\n",
            "    twice_N = x_N.mul_(2)\n    return twice_N\n",
        )
        lesson = edited(lesson, "lab.step(doubled, x_N)", "(lab.step(doubled, x_N), x_N)[1]")
        lesson = edited(lesson, "twice_N, x_N + x_N", "twice_N, 2.0 * torch.arange(cfg.count)")
        found = judged(lesson, file, DOUBLED.format("2 * x_N"))["99.1"]
        assert found.reason == "your function leaves x_N in another state than it should: it has other values"
        assert (found.yours, found.expected) == ("tensor([0., 1., 2., 3.])", "tensor([0., 2., 4., 6.])")


class TestWithoutEnd:
    @pytest.fixture(autouse=True)
    def hasty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watch, "LEAST_S", 0.3)
        monkeypatch.setattr(runs, "LEAST_S", 3.0)
        monkeypatch.setattr(watch, "TIMES_LONGER", 1)
        monkeypatch.setattr(runs, "TIMES_LONGER", 1)

    def test_a_loop_ends_with_a_sentence(self, tiny: Lesson, file: Path) -> None:
        endless = "def doubled(x_N):\n    while len(x_N) > 2:\n        pass\n    return 2 * x_N\n"
        found = judged(tiny, file, endless, TOTAL.format("x_N.sum()"))
        assert found["99.1"].judgement == "failed"
        assert found["99.1"].reason == "it did not end within 0 s; the lab's own step takes 0.01 s"
        assert found["99.1"].input == "x_N = tensor([0., 1., 2., 3.])"
        assert found["99.2"].judgement == "passed"

    def test_what_it_returns_can_be_endless_too(self, tiny: Lesson, file: Path) -> None:
        odd = "class Odd:\n    def sum(self):\n        while True: pass\n"
        found = judged(tiny, file, odd, LONG_ROW.format("torch.ones(3) if count == 3 else Odd()"))["99.3"]
        assert found.judgement == "failed"
        assert found.claim == "with it the lab does not end; it was stopped after 3 s"

    def test_an_endless_example_is_stopped(
        self, tiny: Lesson, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from labs.kit.attempt import example

        monkeypatch.setattr(example, "EXAMPLE_S", 0.3)
        found = judged(
            tiny, file, "def doubled(x_N):\n    while len(x_N) == 2:\n        pass\n    return 2 * x_N\n"
        )["99.1"]
        assert (found.judgement, found.reason) == ("failed", "it did not end within 0 s")
        assert found.input == "doubled(torch.tensor([1.0, 2.5]))"


class TestKnownMistakes:
    @pytest.mark.parametrize(
        ("body", "mistake"),
        [("3 * x_N", "triples"), ("x_N + x_N + x_N", "triples"), ("x_N + 2", "adds two"), ("5 * x_N", "")],
    )
    def test_they_are_told_by_name(self, tiny: Lesson, file: Path, body: str, mistake: str) -> None:
        assert judged(tiny, file, DOUBLED.format(body))["99.1"].mistake == mistake

    def test_they_are_found_where_only_most_values_are_the_same(self, tiny: Lesson, file: Path) -> None:
        more = "".join(
            f'    lab.equal("99.more-{n}", "t", lab.step(doubled, torch.ones({n})), 2 * torch.ones({n}))\n'
            for n in (3, 5)
        )
        lesson = edited(tiny, "    gauss = ", f"{more}    gauss = ")
        mixed = judged(lesson, file, DOUBLED.format("3 * x_N if len(x_N) != 5 else 4 * x_N"))["99.1"]
        assert mixed.claims == ["99.doubled", "99.more-3", "99.more-5"]
        assert mixed.mistake == "triples"


class TestPrinted:
    def test_what_a_function_prints_is_told_once_and_nothing_else_is_printed(
        self, tiny: Lesson, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        noisy = "def doubled(x_N):\n    print('I got', len(x_N))\n    return 3 * x_N\n"
        found = judged(tiny, file, noisy, TOTAL.format("x_N.sum()"))
        assert found["99.1"].printed == "I got 4\n"
        assert found["99.2"].printed == ""
        assert capsys.readouterr().out == ""

    def test_an_example_is_no_worse_for_what_is_printed(self, tiny: Lesson, file: Path) -> None:
        noisy = "def doubled(x_N):\n    print('I got', len(x_N))\n    return 2 * x_N\n"
        assert judged(tiny, file, noisy)["99.1"].judgement == "passed"


def test_a_fresh_step_does_not_spoil_the_second_look(tiny: Lesson, file: Path) -> None:
    assert (
        judged(tiny, file, DOUBLED.format("3 * x_N"), TOTAL.format("x_N.sum()"))["99.2"].judgement == "passed"
    )


def test_an_exercise_that_is_fresh_is_called_once_and_judged_by_its_own_claims(
    tiny: Lesson, file: Path
) -> None:
    lesson = edited(
        tiny, "@fresh\n", '@fresh\n@exercise("a", "b", "c", contract="Remember.", insight="So.")\n'
    )
    remembering = "from labs.m7_bonus.lab99_tiny_things import MEMORY\n"
    right = "def remembered(word):\n    MEMORY.append(word)\n    return list(MEMORY)\n"
    found = judged(lesson, file, remembering, right, DOUBLED.format("4 * x_N"))
    assert [found[id_].judgement for id_ in ("99.1", "99.4")] == ["failed", "passed"]
    lesson.namespaces[0]["MEMORY"].clear()
    found = judged(lesson, file, remembering, right.replace("list(MEMORY)", "2 * MEMORY"))
    assert (found["99.4"].judgement, found["99.4"].claims) == ("failed", ["99.remembered"])
    assert found["99.4"].not_compared == "what it does outlives the call, so it is called once only"


def test_the_verdicts_fit_into_a_record(tiny: Lesson, file: Path) -> None:
    write(file, DOUBLED.format("3 * x_N"), TOTAL.format("x_N.zero_()"))
    notes = run_of(tiny, judge_of(tiny, file))
    assert record.Run.model_validate_json(notes.model_dump_json()) == notes
