"""A lab's flags, read from its file without running it. That all labs can be read so: tests/contract/test_file.py."""

from pathlib import Path

import pytest

from labs import flags
from labs.errors import UsageError
from labs.flags import Flag

LAB = '''
import no_such_package

@dataclass(frozen=True)
class Config:
    """Sizes."""

    rows: int = 3 * 2**4  # rows M
    rate: float = -0.5  # how fast
    word: str = "quiet"
    loud: bool = False  # whether to shout

    @classmethod
    def smoke(cls): ...
'''


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "lab07.py"
    path.write_text(LAB)
    return path


def test_fields_are_read_with_type_default_and_comment(lab: Path) -> None:
    assert flags.read(lab) == [
        Flag("rows", int, 48, "rows M"),
        Flag("rate", float, -0.5, "how fast"),
        Flag("word", str, "quiet", ""),
        Flag("loud", bool, False, "whether to shout"),
    ]


@pytest.mark.parametrize(
    "field", ["sizes: list[int] = field()", "rows: int = ROWS", "rows: int", "rows: int = 1 if x else 2"]
)
def test_what_is_not_simple_is_left_to_the_lab(field: str, lab: Path) -> None:
    lab.write_text(f"class Config:\n    {field}\n")
    assert flags.read(lab) is None
    flags.judge(lab, ["--nonsense"])


def test_a_file_without_a_config_is_left_to_itself(lab: Path) -> None:
    lab.write_text("x = 1\n")
    assert flags.read(lab) is None


@pytest.mark.parametrize(
    "arguments",
    [[], ["--rows=4", "--loud", "--predict"], ["--rows", "4", "--no-loud"], ["--help"], ["--smoke"]],
)
def test_what_the_lab_takes_is_taken(arguments: list[str], lab: Path) -> None:
    flags.judge(lab, arguments)


@pytest.mark.parametrize("argument", ["--rows=x", "--colour=red", "--loud=yes", "--row=4", "more"])
def test_what_it_would_refuse_is_refused_with_what_is_valid(argument: str, lab: Path) -> None:
    with pytest.raises(UsageError) as caught:
        flags.judge(lab, [argument])
    first, second = str(caught.value).splitlines()
    assert argument.lstrip("-").partition("=")[0] in first
    assert second == "valid flags, with their defaults: --smoke --rows=48 --rate=-0.5 --word=quiet --no-loud"
