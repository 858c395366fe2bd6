"""scripts/bench.py: what it measures is what a command really took; what it keeps names no host."""

import json
import re
import socket
import sys
from pathlib import Path

import pytest

from scripts import bench
from scripts.bench import Bench, Figure

RECORD = {"git": "abc", "machine": {"cores": 2}, "versions": {"torch": "2.13.0"}, "more": 1}


def test_a_commands_time_memory_and_status(tmp_path: Path) -> None:
    program = "import sys, time; kept = b'x' * 64 * 2**20; time.sleep(0.2); print('talk'); sys.exit(3)"
    sample = Bench(tmp_path, 1).run(sys.executable, "-c", program)
    assert 0.2 <= sample.seconds < 20
    assert 0 < sample.cpu_seconds < sample.seconds
    assert 64 <= sample.peak_mib < 512
    assert sample.status == 3
    assert bench.failures([sample]) == "; exit status 3"


def test_a_run_goes_to_a_home_of_its_own_and_not_to_makes_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAKEFLAGS", "NODES", "TORCH", "PYTHON"):
        monkeypatch.setenv(name, "of make")
    environ = Bench(tmp_path, 1).environ
    assert environ["LABS_HOME"] == str(tmp_path)
    assert "of make" not in environ.values()
    assert "PATH" in environ


def test_a_figure_is_the_median_of_its_samples() -> None:
    figure = Figure("labs list", "s", "≤ 0.3", [0.3, 0.1, 0.2])
    assert figure.value == 0.2
    assert bench.line(figure).split() == ["labs", "list", "0.2", "s", "≤", "0.3", "0.1", "…", "0.3"]


def test_the_commands_that_must_feel_instant(tmp_path: Path) -> None:
    figures = list(Bench(tmp_path, 1).commands())
    assert [figure.what for figure in figures] == ["labs list", "labs show 1", "labs --help", "labs run 1 --dry-run"]
    assert all(figure.note == "" and len(figure.samples) == 1 for figure in figures)
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BENCH", tmp_path / "bench")
    figures = [Figure("labs list", "s", "≤ 0.3", [0.3, 0.1, 0.2])]
    path = bench.keep(bench.document(figures, RECORD, [(0.5, 0.5, 0.5)]))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-[a-z]+-\w+-\d+-cores\.json", path.name)
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert list(kept) == ["date", "git", "machine", "versions", "load", "figures"]
    assert kept["figures"][0] == {"what": "labs list", "unit": "s", "target": "≤ 0.3", "samples": [0.3, 0.1, 0.2], "note": "", "value": 0.2}


def test_kept_results_have_this_form_and_no_host_name() -> None:
    for path in bench.BENCH.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert socket.gethostname() not in text
        assert "/home/" not in text
        kept = json.loads(text)
        assert kept["load"]
        for figure in kept["figures"]:
            assert Figure(**{name: figure[name] for name in ("what", "unit", "target", "samples", "note")}).value == figure["value"]


def test_a_quick_run_shows_figures_and_keeps_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "BENCH", tmp_path)
    monkeypatch.setattr(bench, "figures", lambda *_: iter([Figure("labs list", "s", "≤ 0.3", [0.2])]))
    monkeypatch.setattr(Bench, "record", lambda *_: RECORD)
    assert bench.main(["--quick"]) == 0
    assert capsys.readouterr().out.startswith("labs list ")
    assert list(tmp_path.iterdir()) == []
    assert bench.main([]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("kept in ")
    assert len(list(tmp_path.iterdir())) == 1
