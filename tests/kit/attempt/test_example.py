"""The example of a contract, tried."""

from pathlib import Path

from labs.kit.attempt.example import wrong_example
from labs.kit.attempt.work_file import WorkFile
from labs.kit.runner.lesson import Lesson
from labs.kit.runner.marks import Marks
from tests.kit.attempt.conftest import write


def tried(tiny: Lesson, file: Path, contract: str, body: str) -> tuple[str, str, str, str] | None:
    """Try a contract of `doubled` with this body; return input, yours, expected and words."""
    tiny.steps["doubled"].__lab_marks__ = Marks(hints=("a", "b", "c"), contract=contract)  # type: ignore[attr-defined]
    write(
        file,
        f"def doubled(x_N):\n    {body}\n",
        "def total(x_N):\n    raise NotImplementedError('exercise 99.2')\n",
    )
    found = wrong_example(WorkFile(tiny, file), "doubled")
    return (found.input, found.yours, found.expected, found.words) if found else None


CONTRACT = """Double it.

>>> x = torch.tensor([1., 2.])
>>> doubled(x)
tensor([2., 4.])
"""


def test_what_the_contract_shows_is_right(tiny: Lesson, file: Path) -> None:
    assert tried(tiny, file, CONTRACT, "return x_N + x_N") is None


def test_what_it_does_not_show_is_not(tiny: Lesson, file: Path) -> None:
    found = tried(tiny, file, CONTRACT, "return x_N + 1")
    assert found == ("doubled(x)", "tensor([2., 3.])", "tensor([2., 4.])", "")


def test_what_is_printed_besides_does_not_count(tiny: Lesson, file: Path) -> None:
    assert tried(tiny, file, CONTRACT, "print(x_N); return x_N + x_N") is None


def test_rounding_does_not_count(tiny: Lesson, file: Path) -> None:
    contract = ">>> doubled(torch.tensor([1/3], dtype=torch.float64)).item()\n0.6666666666666666\n"
    assert tried(tiny, file, contract, "return x_N * 2.0000000001") is None
    assert tried(tiny, file, contract, "return x_N * 2.1") is not None


def test_a_contract_that_its_own_step_does_not_keep_here_is_passed_over(tiny: Lesson, file: Path) -> None:
    assert tried(tiny, file, ">>> doubled(torch.ones(1))\ntensor([7.])\n", "return x_N") is None


def test_an_error_is_said_with_its_line(tiny: Lesson, file: Path) -> None:
    found = tried(tiny, file, CONTRACT, "return x_N[7]")
    assert found is not None
    assert found[3].startswith("it raised IndexError: index 7 is out of bounds")
    assert found[3].endswith("(lab99.py, line 4)")


def test_an_error_can_be_what_the_contract_shows(tiny: Lesson, file: Path) -> None:
    contract = (
        ">>> doubled(None)\nTraceback (most recent call last):\n    ...\n"
        "TypeError: unsupported operand type(s) for *: 'int' and 'NoneType'\n"
    )
    assert tried(tiny, file, contract, "return 2 * x_N") is None
    found = tried(tiny, file, contract, "return None if x_N is None else 2 * x_N")
    assert found is not None
    assert found[2].startswith("TypeError: unsupported")


def test_an_exercise_that_is_called_beside_is_the_labs_own(tiny: Lesson, file: Path) -> None:
    assert tried(tiny, file, ">>> doubled(torch.ones(3))\ntensor(3.)\n", "return total(x_N)") is None
