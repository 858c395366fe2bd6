"""Whether somebody is at work on a run, with real processes that come and are killed."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labs import presence
from tests.conftest import ROOT

WORKER = """
import sys, time
from pathlib import Path
from labs import presence

with presence.shown(Path(sys.argv[1])):
    print("at work", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_nobody_is_at_work_where_nobody_has_begun(tmp_path: Path) -> None:
    assert not presence.is_shown(tmp_path)
    assert not presence.is_shown(tmp_path / "nowhere")


def test_who_is_at_work_is_seen_until_it_is_killed(tmp_path: Path, worker: subprocess.Popen[str]) -> None:
    assert presence.is_shown(tmp_path)
    worker.kill()
    worker.wait()
    assert not presence.is_shown(tmp_path)


def test_several_may_be_at_work_and_looking_disturbs_none(
    tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    with presence.shown(tmp_path):
        assert [presence.is_shown(tmp_path) for _ in range(2)] == [True, True]
    assert presence.is_shown(tmp_path)
    worker.kill()
    worker.wait()
    assert not presence.is_shown(tmp_path)


def test_a_log_tells_for_how_long_nothing_was_said(tmp_path: Path) -> None:
    assert presence.quiet_s(tmp_path) == math.inf
    (tmp_path / presence.LOG).touch()
    an_hour_ago = time.time() - 3600
    os.utime(tmp_path / presence.LOG, (an_hour_ago, an_hour_ago))
    assert 3600 <= presence.quiet_s(tmp_path) < 7200
