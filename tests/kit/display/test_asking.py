"""Guesses at a terminal: the question waits, and nothing else does."""

import io
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from labs import record
from labs.kit.display.asking import Asking
from labs.kit.display.screen import THEME
from labs.kit.runner import main
from tests.kit.distributed.ranks import together

QUESTION = record.Prediction(
    id="01.a",
    question="How many?",
    guesses=[record.Guess(text="`one`", why="Too few."), record.Guess(text="two", why="**Yes.** [both]")],
    answer="two",
)
LONGEST_S = 60


class Keyboard:
    """A terminal on which a test types."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        self.stdin = os.fdopen(self.theirs, "r", closefd=False)

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyboard]:
    made = Keyboard()
    monkeypatch.setattr(sys, "stdin", made.stdin)
    yield made
    made.stdin.close()
    os.close(made.ours)
    os.close(made.theirs)


class Asked:
    """An answer, and what was shown meanwhile."""

    def __init__(self, patience_s: float | None = None) -> None:
        out = io.StringIO()
        console = Console(file=out, theme=THEME, emoji=False, highlight=False, width=100)
        begun = time.monotonic()
        self.guess = Asking(console, patience_s)(QUESTION)
        self.seconds = time.monotonic() - begun
        self.shown = out.getvalue()


PROMPT = "your guess, 1 to 2 (Enter passes): "


@pytest.mark.parametrize(
    ("typed", "guess", "said"), [("1\n", "`one`", "one: Too few."), (" 2 \n", "two", "two: Yes. [both]")]
)
def test_a_number_is_a_guess_and_its_reason_is_told(
    keyboard: Keyboard, typed: str, guess: str, said: str
) -> None:
    keyboard.type(typed)
    asked = Asked()
    assert asked.guess == guess
    assert said in asked.shown


@pytest.mark.parametrize("typed", ["\n", "  \n", "\x04"], ids=["Enter", "spaces", "end of input"])
def test_who_presses_enter_passes_and_is_told_nothing(keyboard: Keyboard, typed: str) -> None:
    keyboard.type(typed)
    asked = Asked()
    assert asked.guess is None
    assert "Yes" not in asked.shown
    assert "Too few" not in asked.shown


def test_a_wrong_key_asks_again(keyboard: Keyboard) -> None:
    keyboard.type("3\n0\n-1\nx\n²\n1 2\n2\n")
    asked = Asked()
    assert asked.guess == "two"
    assert asked.shown.count(PROMPT) == 7


def test_the_question_waits(keyboard: Keyboard) -> None:
    typing = threading.Timer(0.5, keyboard.type, ["1\n"])
    typing.start()
    asked = Asked()
    typing.join()
    assert asked.guess == "`one`"
    assert asked.seconds > 0.4


def test_with_patience_it_does_not_wait_longer_whatever_is_typed(keyboard: Keyboard) -> None:
    done = threading.Event()

    def wrong_keys() -> None:
        while not done.wait(0.1):
            keyboard.type("x\n")

    typist = threading.Thread(target=wrong_keys)
    typist.start()
    asked = Asked(patience_s=0.5)
    done.set()
    typist.join()
    assert asked.guess is None
    assert 0.4 < asked.seconds < 10
    assert asked.shown.endswith("passed: the other processes wait\n")
    assert asked.shown.count(PROMPT) > 1


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_on_a_pipe_or_without_a_stream_nobody_is_asked(
    keyboard: Keyboard, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    monkeypatch.setattr(sys, "stdout", keyboard.stdin)
    assert Asking.possible()
    for other in (io.StringIO(), None):
        monkeypatch.setattr(sys, stream, other)
        assert not Asking.possible()


# Several processes -------------------------------------------------------------------------------------------------------


def test_where_there_are_two_rank_0_asks_and_both_know_the_guess(
    keyboard: Keyboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Asking, "possible", lambda: True)
    keyboard.type("2\n")
    assert together(2, lambda world: main._asking(world)(QUESTION)) == ["two", "two"]


def test_the_other_does_not_wait_for_ever(keyboard: Keyboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Asking, "possible", lambda: True)
    begun = time.monotonic()
    told = together(2, lambda world: main._asking(world)(QUESTION), agree_s=2)
    assert told == [None, None]
    assert time.monotonic() - begun < 2  # it asks for half of what the others wait


def test_where_nobody_can_be_asked_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Asking, "possible", lambda: False)
    assert together(2, lambda world: main._asking(world)(QUESTION)) == [None, None]
    said = capsys.readouterr().err
    assert said == "nobody can be asked here (a pipe, or a job): guesses are shown with their answers\n"


# Whole runs --------------------------------------------------------------------------------------------------------------

LAB = [sys.executable, "-m", "labs.m7_bonus.lab99_tiny_things", "--smoke", "--predict"]


def guessed(folder: Path) -> str | None:
    return record.load(folder).predictions[0].guessed


def test_a_run_on_a_terminal_asks_and_counts(tiny_checkout: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    streams: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    command = [*LAB, "--folder", str(tmp_path / "run")]
    with subprocess.Popen(command, cwd=tiny_checkout, env=environment, **streams) as process:
        os.close(theirs)
        shown = read_until(ours, "Enter passes")
        assert "How many numbers are there from" in shown
        assert "99.numbers" not in shown, "the number comes after the guess"
        os.write(ours, b"7\n")
        read_until(ours, "Enter passes")
        os.write(ours, b"2\n")
        shown = read_until(ours, "kept in")
        process.wait(LONGEST_S)
    os.close(ours)
    assert "That is the last one." in shown
    assert "you guessed 0 of 1" in shown
    assert process.returncode == 0
    assert guessed(tmp_path / "run") == "N − 1"


def read_until(terminal: int, text: str) -> str:
    """Return what a terminal shows until a text is there, without colours' codes between its words."""
    shown, end = "", time.monotonic() + LONGEST_S
    while text not in shown and time.monotonic() < end:
        shown += os.read(terminal, 65536).decode(errors="replace")
    assert text in shown, shown
    return shown


def test_on_a_pipe_a_run_never_waits(tiny_checkout: Path, tmp_path: Path) -> None:
    command = [*LAB, "--folder", str(tmp_path / "run")]
    streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tiny_checkout, text=True, **streams) as process:
        assert process.wait(LONGEST_S) == 0  # while its standard input stays open
        assert process.stdout is not None
        assert process.stderr is not None
        assert "◆ the guess: N. **Yes.**" in process.stdout.read()
        assert "nobody can be asked here" in process.stderr.read()
    assert guessed(tmp_path / "run") is None
