"""The lesson on a terminal and in a pipe."""

import io
import re
import sys
import threading
from collections.abc import Callable

import pytest

from labs import record
from labs.kit.display import screen
from labs.kit.display.screen import Screen

ESCAPE = "\x1b["
LONG = "word " * 60


def step(name: str = "views_of", exercise: str = "") -> record.Step:
    return record.Step(name=name, title=f"Look at `{name}`", prose="Not here.", source="", exercise=exercise)


def part(prose: str = "", number: int = 1) -> record.Part:
    return record.Part(number=number, name="viewing", title="What does a *view* cost?", prose=prose)


PREDICTION = record.Prediction(
    id="01.shared",
    question="What does `view` copy [all]?",
    guesses=[
        record.Guess(text="all", why="It has no need."),
        record.Guess(text="nothing", why="**Yes.** Look."),
    ],
    answer="nothing",
)


def claim(
    verdict: record.Verdict = "held", judges: tuple[str, ...] = ("views_of",), shown: str = "9 of 9 layouts"
) -> record.Claim:
    return record.Claim(
        id="01.shared",
        text="they share `x[0, 1]` and [bold]",
        kind="exact",
        verdict=verdict,
        shown=shown,
        reason="why not",
        judges=list(judges),
    )


class Terminal(io.StringIO):
    """Keeps what is written to it, and says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal of 80 columns in the place of stdout. No fixture: pytest sets stdout anew after those."""
    made = Terminal()
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return made


def everything(made: Screen) -> None:
    made.opening(1, "Storage [and] view", "Why does\n    `view` refuse?", "1 process: on the [CPU]")
    made.part(part(f"{LONG}\n\n    a[i] = b·c\n\n*Stress* and `code`."))
    made.prediction(PREDICTION)
    made.step(step(exercise="1.1"))
    made.claim(claim())
    made.answer(PREDICTION)
    made.claim(claim("failed", shown=LONG))
    made.claim(claim("not measured here"))
    made.paragraph(record.Paragraph(text="So `view` is [cheap]."))
    made.diagram(
        record.Diagram(title="A [row]", path="figures/r.svg", description="d", text=["   +1", "[0][1]"])
    )
    made.listing(record.Listing(title="A [listing]", text="if x:\n    y[0]"))
    made.picture(record.Picture(title="A [picture]", path="figures/p.svg", columns=["c"], rows=["[r]"]))
    made.table(
        record.Table(
            title="One [storage]", columns=["tensor", "sizes"], rows=[["x", "[64, 64]"], ["y", "12"]]
        )
    )
    made.figure(
        record.Figure(
            title="A [price]",
            path="figures/a.svg",
            x_label="x",
            y_label="y",
            x=[1, 2],
            series={"sum": [1, 2]},
        )
    )


def test_piped_output_has_no_escape_codes(capsys: pytest.CaptureFixture[str]) -> None:
    everything(Screen())
    output = capsys.readouterr().out
    assert output
    assert ESCAPE not in output


def test_piped_text_is_wrapped_and_has_no_trailing_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    made = Screen()
    made.opening(1, "Storage and view", LONG, LONG)
    made.part(part(LONG))
    made.prediction(PREDICTION.model_copy(update={"question": LONG}))
    made.paragraph(record.Paragraph(text=LONG))
    made.claim(claim("failed", shown=LONG))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert max(map(len, lines)) > 90
    assert not [line for line in lines if line != line.rstrip()]


def test_piped_text_keeps_its_marks_and_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    everything(Screen())
    output = capsys.readouterr().out
    for text in (
        "Storage [and] view",
        "`view`",
        "1 process: on the [CPU]",
        "*Stress* and `code`.",
        "a[i] = b·c",
        "they share `x[0, 1]` and [bold]",
        "One [storage]",
        "A [price]",
        "1 What does a *view* cost?",
        "What does `view` copy [all]?",
        "nothing. **Yes.** Look.",
        "So `view` is [cheap].",
        "       +1\n    [0][1]\n",
        "A [listing]\n    if x:\n        y[0]\n",
        "    [r]: c",
    ):
        assert text in output


def test_a_terminal_gets_colours_and_its_own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    made = terminal(monkeypatch)
    everything(Screen())
    output = made.getvalue()
    assert ESCAPE in output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    assert "`" not in plain
    assert "they share x[0, 1] and [bold]" in plain
    assert max(map(len, plain.splitlines())) <= 80


def test_a_real_terminal_is_noticed() -> None:
    pty = pytest.importorskip("pty", reason="only POSIX has terminals of this kind")
    import os
    import subprocess

    ours, theirs = pty.openpty()
    program = (
        "from labs.kit.display.screen import Screen; Screen().opening(1, 'Storage', 'Why?', 'on the CPU')"
    )
    subprocess.run(
        [sys.executable, "-c", program],
        stdout=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
        check=True,
        timeout=60,
    )
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert ESCAPE in shown
    assert "Lab 01 · Storage" in shown


@pytest.mark.parametrize("verdict", ["held", "failed", "not measured here"])
def test_each_verdict_has_a_sign_and_the_right_detail(
    capsys: pytest.CaptureFixture[str], verdict: record.Verdict
) -> None:
    Screen().claim(claim(verdict))
    first, second = capsys.readouterr().out.splitlines()
    assert first.strip()[0] == {"held": "✔", "failed": "✘", "not measured here": "–"}[verdict]
    detail = {
        "held": "9 of 9 layouts",
        "failed": "failed: 9 of 9 layouts",
        "not measured here": "not measured here: why not",
    }[verdict]
    assert second.strip() == detail


def test_no_two_empty_lines_follow_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    everything(Screen())
    assert "\n\n\n" not in capsys.readouterr().out


def test_a_part_has_a_heading_and_its_formula_stands_together(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().part(part("One\nparagraph.\n\n    a = b\n    c = d\n\nAnother."))
    Screen().part(part(number=2))
    assert capsys.readouterr().out == (
        "\n1 What does a *view* cost?\n  One paragraph.\n\n      a = b\n      c = d\n\n  Another.\n\n"
        "\n2 What does a *view* cost?\n"
    )


def test_a_guess_is_offered_by_number_and_its_reasons_wait(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().prediction(PREDICTION)
    assert (
        capsys.readouterr().out
        == "\n  Your guess. What does `view` copy [all]?\n    1  all\n    2  nothing\n\n"
    )
    Screen().answer(PREDICTION)
    assert capsys.readouterr().out == "    ◆ the guess: nothing. **Yes.** Look.\n"


def test_a_step_is_one_line_and_shows_whose_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().step(step())
    Screen().step(step(exercise="1.2").model_copy(update={"by": "learner"}))
    assert capsys.readouterr().out.splitlines() == [
        "  ▸ Look at `views_of`  views_of",
        "  ▸ Look at `views_of`  views_of  exercise 1.2  (yours)",
    ]


def test_the_log_is_a_plain_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    made = terminal(monkeypatch)
    log = io.StringIO()
    everything(Screen(log=log))
    assert ESCAPE in made.getvalue()
    assert ESCAPE not in log.getvalue()
    assert "they share `x[0, 1]` and [bold]" in log.getvalue()


def test_a_title_longer_than_its_table_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(record.Table(title="A table of few words", columns=["a"], rows=[["b"]]))
    assert "A table of few words" in capsys.readouterr().out


def test_a_cell_of_several_lines_is_kept_whole(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(record.Table(title="Cells", columns=["source", "of"], rows=[["a = 1\nb = [2]", "x"]]))
    output = capsys.readouterr().out
    assert "a = 1" in output
    assert "b = [2]" in output


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    everything(Screen(quiet=True))
    assert capsys.readouterr() == ("", "")


def waits(made: Screen, until: Callable[[], bool]) -> None:
    import time

    with made.waiting("Walk `far`"):
        end = time.monotonic() + 10
        while not until() and time.monotonic() < end:
            time.sleep(0.05)


def test_long_work_shows_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    made = terminal(monkeypatch)
    monkeypatch.setattr(screen, "PATIENCE_S", 0.01)
    waits(Screen(), lambda: "Walk" in made.getvalue())
    assert "far" in made.getvalue()


def test_in_a_pipe_waiting_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen, "PATIENCE_S", 0.0)
    waits(Screen(), lambda: True)
    assert capsys.readouterr().out == ""


def test_waiting_ends_with_what_it_waits_for_also_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)
    before = threading.enumerate()  # one of another test's may end meanwhile
    with pytest.raises(RuntimeError, match="on purpose"), Screen().waiting("a step"):
        raise RuntimeError("on purpose")
    assert [thread for thread in threading.enumerate() if thread not in before] == []
