"""A learner's attempt, judged by the lab's claims."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from labs.errors import UsageError
from labs.exercises import Source
from labs.kit.runner.attempt import Attempt
from labs.kit.runner.context import RunContext
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.session import rehearse

HEAD = "import torch\nfrom torch import Tensor\n"
DOUBLED = "def doubled(x_N: Tensor) -> Tensor:\n    return {}\n"
TOTAL = "def total(x_N: Tensor) -> Tensor:\n    return {}\n"
LONG_ROW = "def long_row(count: int) -> Tensor:\n    return {}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lab99.py"


def write(file: Path, *functions: str) -> Path:
    file.write_text(HEAD + "\n\n".join(functions), encoding="utf-8")
    return file


def judgements(tiny: Lesson, file: Path, *, smoke: bool = True, **config: Any) -> dict[str, tuple[str, str]]:
    attempt = Attempt(tiny, file)
    cfg = tiny.config(**config)
    tiny.namespace["MEMORY"].clear()
    notes = rehearse(
        tiny, cfg, RunContext(replacements=attempt.replacements(), cache=attempt.memory), smoke=smoke
    )
    return {exercise.id: (exercise.judgement, exercise.reason) for exercise in attempt.judge(notes, cfg)}


@pytest.fixture
def pure(tiny: Lesson) -> Lesson:
    """The tiny lab with a memory that forgets: an attempt runs the lab several times in one process."""

    def remembered(word: str) -> list[str]:
        return [word]

    tiny.namespace["remembered"] = remembered
    return tiny


class TestLoading:
    def test_the_untouched_stubs_are_not_written_yet(self, tiny: Lesson, file: Path) -> None:
        file.write_text(Source(tiny.entry).work_text, encoding="utf-8")
        assert Attempt(tiny, file).written == {}
        assert {judgement for judgement, _ in judgements(tiny, file).values()} == {"not written yet"}

    def test_a_function_that_is_no_exercise_is_none_of_our_business(self, tiny: Lesson, file: Path) -> None:
        write(
            file,
            "def numbers(count, mood):\n    return None\n",
            DOUBLED.format("2 * x_N"),
            "def own() -> None: ...\n",
        )
        assert list(Attempt(tiny, file).written) == ["doubled"]

    def test_a_function_that_was_imported_is_not_the_learners(self, tiny: Lesson, file: Path) -> None:
        file.write_text(f"from {tiny.import_name} import doubled, total\n", encoding="utf-8")
        assert Attempt(tiny, file).written == {}

    def test_what_used_to_be_a_stub_may_talk_of_it(self, tiny: Lesson, file: Path) -> None:
        write(
            file, 'def doubled(x_N):\n    # raise NotImplementedError("exercise 99.1")\n    return 2 * x_N\n'
        )
        assert list(Attempt(tiny, file).written) == ["doubled"]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("x = 1\ndef doubled(:\n", "lab99.py, line 2: SyntaxError: invalid syntax"),
            (
                "x = 1\n\nimport no_such_package\n",
                "lab99.py, line 3: ModuleNotFoundError: No module named 'no_such_package'",
            ),
            (
                "def helper():\n    return 1 / 0\n\nhelper()\n",
                "lab99.py, line 2: ZeroDivisionError: division by zero",
            ),
            ("raise SystemExit(0)\n", "lab99.py, line 1: SystemExit"),
            ("def doubled(x_N):\nreturn 2\n", "lab99.py, line 2: IndentationError"),
            ("raise ValueError('one\\ntwo\\nthree\\nfour')\n", "lab99.py, line 1: ValueError: one"),
            ("from labs.m7_bonus.lab99_tiny_things import gone\n", "lab99.py, line 1: ImportError"),
        ],
        ids=["syntax", "import", "division", "exit", "indent", "long message", "no such name"],
    )
    def test_a_file_that_cannot_be_read_is_said_in_a_few_lines(
        self, tiny: Lesson, file: Path, text: str, said: str
    ) -> None:
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError) as caught:
            Attempt(tiny, file)
        assert str(caught.value).startswith(said)
        assert len(str(caught.value).splitlines()) <= 3
        assert "labs reset 99" in str(caught.value)

    def test_bytes_that_are_no_text_are_said_too(self, tiny: Lesson, file: Path) -> None:
        file.write_bytes(b"x = '\xff\xfe'\n")
        with pytest.raises(UsageError, match=r"lab99.py, line"):
            Attempt(tiny, file)

    def test_no_file_is_said_with_what_makes_one(self, tiny: Lesson, file: Path) -> None:
        with pytest.raises(UsageError, match="make it with: labs exercise 99"):
            Attempt(tiny, file)


class TestJudging:
    def test_the_labs_own_steps_pass(self, pure: Lesson, file: Path) -> None:
        write(file, *(exercise.solution for exercise in Source(pure.entry).exercises))
        found = judgements(pure, file, smoke=False)
        assert {id_: judgement for id_, (judgement, _) in found.items()} == {
            "99.1": "passed",
            "99.2": "passed",
            "99.3": "passed",
        }

    def test_what_only_a_ratio_judges_cannot_be_judged_in_a_smoke_run(self, pure: Lesson, file: Path) -> None:
        write(file, LONG_ROW.format("torch.ones(count)"))
        judgement, reason = judgements(pure, file)["99.3"]
        assert judgement == "cannot be judged here"
        assert reason.startswith("claim 99.longer was not measured here: smoke")

    def test_a_wrong_step_fails_on_a_claim(self, pure: Lesson, file: Path) -> None:
        write(file, DOUBLED.format("4 * x_N"))
        judgement, reason = judgements(pure, file)["99.1"]
        assert judgement == "failed"
        assert reason.startswith("claim 99.doubled, twice as much is the sum of both: ")
        assert "known mistake" not in reason

    @pytest.mark.parametrize(
        ("body", "mistake"), [("3 * x_N", "triples"), ("x_N + x_N + x_N", "triples"), ("x_N + 2", "adds two")]
    )
    def test_a_known_mistake_is_told_by_name(self, pure: Lesson, file: Path, body: str, mistake: str) -> None:
        write(file, DOUBLED.format(body))
        assert judgements(pure, file)["99.1"][1].endswith(f"; a known mistake: {mistake}")

    def test_a_step_that_raises_fails_with_its_own_line(self, pure: Lesson, file: Path) -> None:
        write(file, "def doubled(x_N):\n    y = 1\n    return x_N.no_such_method()\n")
        judgement, reason = judgements(pure, file)["99.1"]
        assert judgement == "failed"
        assert (
            reason
            == "it raised AttributeError: 'Tensor' object has no attribute 'no_such_method' (lab99.py, line 5)"
        )

    @pytest.mark.parametrize("body", ["None", "'text'", "torch.ones(3, 3, 3)", "[]", "lambda: 1"])
    def test_a_step_that_returns_something_else_fails(self, pure: Lesson, file: Path, body: str) -> None:
        write(file, DOUBLED.format(body), TOTAL.format(body))
        found = judgements(pure, file)
        assert found["99.1"][0] == found["99.2"][0] == "failed"

    def test_a_step_that_breaks_the_lab_fails_with_what_broke(self, pure: Lesson, file: Path) -> None:
        write(file, LONG_ROW.format("None"))
        judgement, reason = judgements(pure, file)["99.3"]
        assert judgement == "failed"
        assert "'NoneType' object has no attribute 'sum'" in reason

    @pytest.mark.parametrize(
        ("doubled", "total", "passed"),
        [
            ("4 * x_N", "x_N.sum()", ["99.2"]),
            ("2 * x_N", "x_N.prod()", ["99.1"]),
            ("2 * x_N", "1 / 0", ["99.1"]),
            ("1 / 0", "x_N.sum()", ["99.2"]),
            ("None", "x_N.sum()", ["99.2"]),
            ("2 * x_N", "x_N.sum()", ["99.1", "99.2"]),
        ],
    )
    def test_a_right_step_passes_beside_a_wrong_one(
        self, pure: Lesson, file: Path, doubled: str, total: str, passed: list[str]
    ) -> None:
        write(file, DOUBLED.format(doubled), TOTAL.format(total))
        found = judgements(pure, file)
        assert [id_ for id_, (judgement, _) in found.items() if judgement == "passed"] == passed
        assert found["99.3"][0] == "not written yet"

    def test_a_fresh_step_does_not_spoil_the_second_look(self, tiny: Lesson, file: Path) -> None:
        write(file, DOUBLED.format("3 * x_N"), TOTAL.format("x_N.sum()"))
        assert judgements(tiny, file)["99.2"][0] == "passed"

    def test_a_step_that_changes_its_argument_is_not_blamed_on_others(self, pure: Lesson, file: Path) -> None:
        write(file, "def doubled(x_N):\n    x_N.mul_(2)\n    return x_N\n", TOTAL.format("x_N.sum()"))
        found = judgements(pure, file)
        assert found["99.1"][0] == "failed"
        assert found["99.2"][0] == "passed"

    def test_an_exercise_that_no_claim_judges_is_not_passed(self, pure: Lesson, file: Path) -> None:
        def run(cfg: Any, lab: Any) -> None:
            lab.equal("99.other", "t", 1, 1)

        write(file, DOUBLED.format("2 * x_N"))
        assert judgements(dataclasses.replace(pure, run=run), file)["99.1"] == (
            "cannot be judged here",
            "no claim judges it",
        )

    @pytest.mark.parametrize("way_out", ["raise SystemExit(0)", "exit()"])
    def test_a_step_that_ends_the_process_fails(self, pure: Lesson, file: Path, way_out: str) -> None:
        write(file, f"def doubled(x_N):\n    {way_out}\n")
        assert judgements(pure, file)["99.1"][0] == "failed"
