"""Terminals that take less than UTF-8, and outputs that are closed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labs.streams import in_plain_signs


def labs(*words: str, shell: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "labs", *words]
    if shell:
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=False)


@pytest.mark.parametrize("encoding", ["iso-8859-2", "cp1250", "ascii", "latin-1"])
@pytest.mark.parametrize(
    "words", [["list"], ["show", "43"], ["run", "43", "--help"], ["runs"], ["doctor", "--help"]]
)
def test_every_locale_can_show_what_the_labs_say(encoding: str, words: list[str]) -> None:
    ended = labs(*words, PYTHONIOENCODING=encoding)
    assert b"Traceback" not in ended.stderr
    assert ended.returncode in (0, 2)
    if encoding == "ascii" and "--help" in words:
        return  # click takes ASCII for a locale that was not set up, and writes UTF-8
    (ended.stdout + ended.stderr).decode(encoding)


def test_polish_titles_are_whole_in_a_polish_locale() -> None:
    assert "?" not in labs("list", PYTHONIOENCODING="iso-8859-2").stdout.decode("iso-8859-2")


@pytest.mark.parametrize(
    ("text", "plain"),
    [("✔", "+"), ("…", "..."), ("żó", "zo"), ("→", "->"), ("\N{SNOWMAN}", "?"), ("ł☃", "??")],
)
def test_a_sign_becomes_one_like_it(text: str, plain: str) -> None:
    assert in_plain_signs(UnicodeEncodeError("ascii", f"<{text}>", 1, 1 + len(text), "no")) == (
        plain,
        1 + len(text),
    )


@pytest.mark.parametrize("shell", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_traceback(shell: str) -> None:
    ended = labs("list", shell=shell)
    assert ended.returncode == 0
    assert b"Traceback" not in ended.stdout + ended.stderr


def test_nothing_is_written_into_a_file_that_took_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    says = f"import labs; file = open({str(tmp_path / 'file')!r}, 'w'); print('for the screen'); file.close()"
    subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", says], check=True)
    assert (tmp_path / "file").read_text() == ""
