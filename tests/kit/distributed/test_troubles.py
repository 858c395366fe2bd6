"""What goes wrong on one rank of a real run: how soon it ends, what it says, and what is left of it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psutil

from labs import record

HANGS_S = 4.0  # the collective's timeout in these tests
STARTS_S = 40.0  # two processes import torch, on a busy machine
MARGIN_S = 5.0  # what the design allows beyond the timeout


class Ended(NamedTuple):
    status: int
    err: str
    run: record.Run


def troubled(troubled_checkout: Path, trouble: str, timeout_s: float = HANGS_S) -> Ended:
    """Run the lab on two nodes of one process each; nothing of it may be alive afterwards."""
    command = [
        sys.executable,
        "-m",
        "labs",
        "run",
        "98",
        "--nodes",
        "2",
        "--launcher",
        "local",
        "--",
        f"--trouble={trouble}",
    ]
    environment = {**os.environ, "LABS_TIMEOUT": str(timeout_s), "PYTHONPATH": str(troubled_checkout)}
    bound = STARTS_S + timeout_s + MARGIN_S
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=bound,
        env=environment,
        cwd=troubled_checkout,
        check=False,
    )
    (folder,) = (troubled_checkout.parent / "home" / "runs" / "lab98").iterdir()
    alive = [
        process.info["pid"]
        for process in psutil.process_iter(["pid", "cmdline"])
        if str(folder) in (process.info["cmdline"] or [])
    ]
    assert alive == []
    return Ended(ended.returncode, ended.stderr, record.load(folder))


def test_nothing_wrong(troubled_checkout: Path) -> None:
    ended = troubled(troubled_checkout, "none", timeout_s=60)
    assert (ended.status, ended.run.status) == (0, "held")


def test_an_exception_on_one_rank_is_said_by_all_and_named(troubled_checkout: Path) -> None:
    ended = troubled(troubled_checkout, "raise", timeout_s=60)
    assert (ended.status, ended.run.status) == (1, "broke")
    assert (
        "[node1 rank 1] lab 98 broke in step misfortune: ValueError: the last rank cannot go on" in ended.err
    )


def test_a_rank_that_skips_a_collective_is_named_with_its_place(troubled_checkout: Path) -> None:
    ended = troubled(troubled_checkout, "skip")
    assert (ended.status, ended.run.status) == (1, "broke")
    assert "lab 98 broke in step added" in ended.run.error
    assert "rank 1 was in step waited" in ended.run.error


def test_a_rank_that_stalls_is_named_with_its_place(troubled_checkout: Path) -> None:
    ended = troubled(troubled_checkout, "stall")
    assert (ended.status, ended.run.status) == (1, "broke")
    assert "rank 1 was in step misfortune" in ended.run.error


def test_a_killed_rank_is_named_with_its_host_and_signal(troubled_checkout: Path) -> None:
    ended = troubled(troubled_checkout, "die", timeout_s=60)
    assert ended.status == 128 + 9
    assert "rank 1 on node1 (host " in ended.err
    assert "was killed by signal 9 (SIGKILL)" in ended.err


def test_a_timeout_that_is_none_is_refused(troubled_checkout: Path) -> None:
    environment = {**os.environ, "LABS_TIMEOUT": "soon", "PYTHONPATH": str(troubled_checkout)}
    command = [sys.executable, "-m", "labs", "run", "98", "--nodes", "2", "--launcher", "local"]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=STARTS_S,
        env=environment,
        cwd=troubled_checkout,
        check=False,
    )
    assert ended.returncode == 2
    assert (
        "LABS_TIMEOUT=soon is not possible; give the seconds that a collective may hang, such as LABS_TIMEOUT=60"
        in ended.stderr
    )
    assert "Traceback" not in ended.stderr
