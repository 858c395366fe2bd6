"""scripts/bench: what it measures is what a command really took; what it keeps names no host."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from labs import catalog, launch
from labs.catalog import Entry
from labs.home import Home
from scripts.bench import __main__ as bench
from scripts.bench import labs, past, results, runner
from scripts.bench.figures import Figure
from scripts.bench.runner import ROOT, Runner, Sample

RECORD = {"git": "abc", "machine": {"cores": 2}, "versions": {"torch": "2.13.0"}, "more": 1}


def test_a_commands_time_memory_and_status(tmp_path: Path) -> None:
    program = "import sys, time; kept = b'x' * 64 * 2**20; time.sleep(0.2); print('talk'); sys.exit(3)"
    held = bytearray(600 * 2**20)  # by the process that measures, which must not count
    held[::4096] = b"x" * len(held[::4096])
    sample = Runner(tmp_path).run(sys.executable, "-c", program)
    assert 0.2 <= sample.seconds < 20
    assert 0 < sample.cpu_seconds < sample.seconds
    assert 64 <= sample.peak_mib < 512
    assert sample.status == 3
    assert runner.failures([sample]) == "; exit status 3"


def test_a_run_goes_to_a_home_of_its_own_and_not_to_makes_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAKEFLAGS", "NODES", "TORCH", "PYTHON"):
        monkeypatch.setenv(name, "of make")
    environ = Runner(tmp_path).environ
    assert environ["LABS_HOME"] == str(tmp_path)
    assert "of make" not in environ.values()
    assert "PATH" in environ


def test_a_figure_is_the_median_of_its_samples() -> None:
    figure = Figure("labs list", "s", "≤ 0.3", [0.3, 0.1, 0.2])
    assert figure.value == 0.2
    assert [cell.strip() for cell in str(figure).split("|")] == [
        "",
        "labs list",
        "0.2 s",
        "≤ 0.3",
        "0.1 … 0.3",
        "",
        "",
    ]


def test_the_commands_that_must_feel_instant(tmp_path: Path) -> None:
    figures = list(labs.commands(Runner(tmp_path), rounds=1))
    assert [figure.what for figure in figures] == [
        "labs list",
        "labs show 1",
        "labs --help",
        "labs run 1 --dry-run",
    ]
    assert all(figure.note == "" and len(figure.samples) == 1 for figure in figures)
    assert list(tmp_path.iterdir()) == []


def test_past_runs_are_ended_ones_of_which_nobody_is_asked(tmp_path: Path) -> None:
    past.leave(tmp_path, 5, {"launcher": "local", "id": "", "lab": past.LAB, "nodes": 1})
    folders = Home(tmp_path).all_runs()
    assert len(folders) == 5
    assert {(state.word, state.ended) for state in launch.states(folders).values()} == {("held", True)}


def test_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path / "bench")
    figures = [Figure("labs list", "s", "≤ 0.3", [0.3, 0.1, 0.2])]
    results.keep(results.document(figures, RECORD, [(0.5, 0.5, 0.5)]))
    (path,) = (tmp_path / "bench").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-[a-z]+-\w+-\d+-cores\.json", path.name)
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert list(kept) == ["date", "git", "machine", "versions", "load", "figures"]
    assert kept["figures"][0] == {
        "what": "labs list",
        "unit": "s",
        "target": "≤ 0.3",
        "samples": [0.3, 0.1, 0.2],
        "note": "",
        "value": 0.2,
    }


def test_kept_results_have_this_form_and_no_host_name() -> None:
    for path in results.FOLDER.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert socket.gethostname() not in text
        assert "/home/" not in text
        kept = json.loads(text)
        assert kept["load"]
        for figure in kept["figures"]:
            assert (
                Figure(**{name: figure[name] for name in ("what", "unit", "target", "samples", "note")}).value
                == figure["value"]
            )


def test_a_quick_run_shows_figures_and_keeps_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(labs, "figures", lambda *_, **__: iter([Figure("labs list", "s", "≤ 0.3", [0.2])]))
    monkeypatch.setattr(Runner, "record", lambda *_: RECORD)
    assert bench.main(["--quick"]) == 0
    header, rule, first = capsys.readouterr().out.splitlines()
    assert header.startswith("| what ")
    assert header.count("|") == rule.count("|") == first.count("|") == 6
    assert first.startswith("| labs list ")
    assert list(tmp_path.iterdir()) == []
    assert bench.main([]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("kept in ")
    assert len(list(tmp_path.iterdir())) == 1


def test_only_some_labs_can_be_measured_and_are_kept_under_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def figures(_: Runner, entries: list[Entry], *, rounds: int, quick: bool) -> Iterator[Figure]:
        asked.extend(entry.number for entry in entries)
        yield Figure("labs list", "s", "≤ 0.3", [0.2])

    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(labs, "figures", figures)
    monkeypatch.setattr(Runner, "record", lambda *_: RECORD)
    assert bench.main(["1", "43"]) == 0
    assert asked == [1, 43]
    (kept,) = tmp_path.iterdir()
    assert "-lab01-lab43-" in kept.name


def test_a_lab_is_measured_as_a_person_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def run(self: Runner, *command: str) -> Sample:
        asked.append(command)
        return Sample(2.0, 1.5, 300.0, 0)

    monkeypatch.setattr(Runner, "run", run)
    entry = catalog.find("1")
    figures = labs.lab(Runner(tmp_path), entry, "--smoke")
    assert [(figure.value, figure.unit) for figure in figures] == [(2.0, "s"), (300.0, "MiB")]
    figure = labs.overhead(Runner(tmp_path), entry, "--smoke", rounds=2)
    assert (figure.value, figure.note) == (1.0, "1.000 × in processor time")
    ours, plain = (runner.LABS, "run", "1", "--smoke"), (sys.executable, "-m", entry.import_name, "--smoke")
    assert asked == [ours, ours, plain, ours, plain]


def test_a_distributed_lab_is_started_three_ways_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    took = {"labs": 2.0, "torchrun": 3.0, "torchx": 5.0}
    asked: list[str] = []

    def run(self: Runner, *command: str) -> Sample:
        asked.append(Path(command[0]).name)
        return Sample(took[asked[-1]], 1.0, 300.0, status=int(asked[-1] == "torchx"))

    monkeypatch.setattr(Runner, "run", run)
    monkeypatch.setattr(Runner, "torchx", lambda _: "torchx")
    torchrun, torchx = labs.starters(Runner(tmp_path), catalog.find("43"), rounds=2)
    assert asked == ["labs", "torchrun", "torchx"] * 2
    assert (torchrun.samples, torchrun.note) == ([0.6667, 0.6667], "1.0 s sooner")
    assert (torchx.samples, torchx.note) == ([0.4, 0.4], "3.0 s sooner; exit status 1; exit status 1")


def test_set_up_is_timed_only_where_it_has_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def run(self: Runner, *command: str) -> Sample:
        asked.append(command)
        return Sample(0.01, 0.01, 2.0, status)

    monkeypatch.setattr(Runner, "run", run)
    status = 0
    assert len(list(labs.set_up(Runner(tmp_path), rounds=2))) == 1
    assert asked == [("make", "--question", "setup"), *[("make", "--silent", "setup")] * 2]
    asked.clear()
    status = 1
    assert list(labs.set_up(Runner(tmp_path), rounds=2)) == []
    assert asked == [("make", "--question", "setup")]


def test_an_interrupted_measurement_leaves_nothing_running(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        f"from scripts.bench.runner import Runner; from pathlib import Path; Runner(Path({str(tmp_path)!r})).run('sleep', '371')",
    ]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 30
        while not _sleepers() and time.monotonic() < until:
            time.sleep(0.02)
        assert _sleepers()
        process.send_signal(signal.SIGINT)
        process.wait(30)
    while _sleepers() and time.monotonic() < until:
        time.sleep(0.02)
    assert not _sleepers()


def _sleepers() -> list[psutil.Process]:
    return [
        process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"] == ["sleep", "371"]
    ]
