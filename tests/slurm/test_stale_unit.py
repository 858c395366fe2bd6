"""A daemon is older than its files, or it is not. That a restart follows is seen on real hosts: tests/ansible."""

import os
import time
from pathlib import Path

import pytest

from slurm.ansible.library import stale_unit


def test_files_that_were_changed_since_are_named(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    time.sleep(0.05)
    moment = time.time()
    time.sleep(0.05)
    new.touch()
    files = [str(old), str(new), str(tmp_path / "none")]
    assert stale_unit.newer(files, moment) == [str(new)]


def test_a_file_that_came_with_an_old_date_counts(tmp_path: Path) -> None:
    moment = time.time() - 1
    file = tmp_path / "copied"
    file.touch()
    os.utime(file, (0, 0))
    assert stale_unit.newer([str(file)], moment) == [str(file)]


def _systemctl(folder: Path, answer: str) -> str:
    (folder / "systemctl").write_text(f"#!/bin/sh\nprintf '{answer}'\n")
    (folder / "systemctl").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_a_unit_that_does_not_run_was_never_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "PATH", _systemctl(tmp_path, "ActiveState=inactive\\nExecMainStartTimestampMonotonic=0\\n")
    )
    assert stale_unit.started("slurmd") is None


def test_a_units_start_is_told_in_the_time_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    since_boot = int((time.clock_gettime(time.CLOCK_MONOTONIC) - 5) * 1e6)
    answer = f"ActiveState=active\\nExecMainStartTimestampMonotonic={since_boot}\\n"
    monkeypatch.setenv("PATH", _systemctl(tmp_path, answer))
    moment = stale_unit.started("slurmd")
    assert moment is not None
    assert abs(time.time() - 5 - moment) < 1
