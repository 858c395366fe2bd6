"""What the commands say at their ends."""

from pathlib import Path

import pytest

from labs.commands.output import end_with, indented, near


def test_a_path_is_as_short_as_it_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert near(tmp_path / "work" / "lab01.py") == Path("work/lab01.py")
    assert near(tmp_path.parent / "elsewhere") == tmp_path.parent / "elsewhere"


def test_empty_lines_stay_empty_when_text_is_indented() -> None:
    assert indented("a\n\nb") == "  a\n\n  b"


@pytest.mark.parametrize("status", [0, 1, 130])
def test_a_status_is_the_commands_own(status: int) -> None:
    with pytest.raises(SystemExit) as ended:
        end_with(status)
    assert ended.value.code == status
