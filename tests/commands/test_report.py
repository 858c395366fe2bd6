"""`labs report`: which page is made, where it is, and how it is looked at."""

import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from labs.commands.report import report, show
from labs.errors import UsageError

Labs = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what would be opened in a browser, on a machine with a screen."""
    addresses: list[str] = []

    def note(address: str) -> bool:
        addresses.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", note)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return addresses


def test_the_command_makes_an_index_or_one_page(labs: Labs, run_folder: Path, labs_home: Path) -> None:
    (labs_home / "runs" / "lab01" / "a-strange-one").mkdir()
    all_ = labs("report")
    assert (all_.returncode, all_.stdout) == (0, f"{labs_home / 'runs' / 'index.html'}\n")
    assert (
        all_.stderr
        == f"passed over, since it holds no record that can be read: {labs_home / 'runs' / 'lab01' / 'a-strange-one'}\n"
    )
    (run_folder / "report.html").unlink()
    one = labs("report", run_folder.name)
    assert (one.returncode, one.stdout, one.stderr) == (0, f"{run_folder / 'report.html'}\n", "")
    assert (run_folder / "report.html").exists()


def test_the_newest_run_of_all(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report("last")
    assert capsys.readouterr().out == f"{run_folder / 'report.html'}\n"


@pytest.mark.parametrize(
    ("which", "content", "said"),
    [
        ("last", None, "there is no run yet under"),
        ("77", None, "there is no run 77 under"),
        ("then", "", "holds no run.json; a job that waits has none yet"),
        ("1", "{", "run.json is damaged, or of another version of the labs"),
    ],
)
def test_what_is_not_there_is_said_in_two_lines(
    labs_home: Path, which: str, content: str | None, said: str
) -> None:
    if content is not None:
        folder = labs_home / "runs" / "lab01" / "then"
        folder.mkdir(parents=True)
        (folder / ("run.json" if content else "job.json")).write_text(content)
    with pytest.raises(UsageError) as caught:
        report(which)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


def test_it_is_opened_in_the_browser(run_folder: Path, opened: list[str]) -> None:
    report("1", open_=True)
    report(open_=True)
    assert opened == [(run_folder / "report.html").as_uri(), (run_folder.parents[1] / "index.html").as_uri()]


def test_over_ssh_it_says_how_to_copy_it(
    opened: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "somewhere")
    show(tmp_path / "report.html")
    assert f":{tmp_path}/report.html ." in capsys.readouterr().err
    show(tmp_path / "index.html")
    assert f":{tmp_path}/ runs/" in capsys.readouterr().err
    assert opened == []


def test_without_a_screen_it_says_so(
    opened: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    show(tmp_path / "report.html")
    assert opened == []
    assert capsys.readouterr().err == "there is no browser here; open that file where there is one\n"
