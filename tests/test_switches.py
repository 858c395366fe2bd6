"""Switches that would change what a lab measures are set aside, and named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labs import switches


def test_what_is_set_is_taken_away_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(switches.SAID, raising=False)
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
    monkeypatch.setenv("PYTORCH_JIT", "0")
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "")
    switches.neutralise()
    assert "TORCHDYNAMO_DISABLE" not in os.environ
    assert switches.said() == [
        "TORCHDYNAMO_DISABLE=1 is set aside for this run: nothing would be compiled",
        "PYTORCH_JIT=0 is set aside for this run: TorchScript would be off",
    ]


def test_where_nothing_is_set_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(switches.SAID, raising=False)
    for name in switches.CHANGES:
        monkeypatch.delenv(name, raising=False)
    switches.neutralise()
    assert switches.said() == []


@pytest.mark.parametrize("nodes", ["1", "2"])
def test_a_run_is_without_them_and_says_so_once(troubled_checkout: Path, nodes: str) -> None:
    """Rank 0 says it, and every rank is without."""
    ended = subprocess.run(
        [sys.executable, "-m", "labs", "run", "98", "--nodes", nodes, "--launcher", "local"],
        cwd=troubled_checkout,
        env={**os.environ, "PYTHONPATH": str(troubled_checkout), "TORCHDYNAMO_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("TORCHDYNAMO_DISABLE=1 is set aside") == 1
