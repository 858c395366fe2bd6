"""What goes wrong on one rank of a real run: how soon it ends, what it says, and what is left of it."""

import os
import pickle
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self

import psutil
import torch.distributed as dist

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


class Bomb:
    """Opening it makes a folder: code of whoever packed it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


class Stranger:
    """Somebody who can reach rank 0's store over the network, and writes there as long as the run lasts."""

    def __init__(self, folder: Path, keys: list[str]) -> None:
        self.folder, self.keys, self.went = folder, keys, threading.Event()
        self.thread = threading.Thread(target=self.attack)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.went.set()
        self.thread.join()

    def attack(self) -> None:
        bomb = pickle.dumps(Bomb(self.folder / "exploded")).hex()
        while not (ports := [rank.environ()["MASTER_PORT"] for rank in ranks_of(self.folder)]):
            time.sleep(0.05)
        with suppress(dist.DistError, RuntimeError):  # the run ended
            store = dist.TCPStore("127.0.0.1", int(ports[0]), timeout=timedelta(seconds=STARTS_S))
            while not self.went.wait(0.01):
                for key in self.keys:
                    store.set(key, bomb)


def ranks_of(folder: Path) -> list[psutil.Process]:
    """Return the ranks whose files lie below a folder, as far as they can be seen: one may end while it is looked at."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "RANK" in process.environ() and any(word.startswith(str(folder)) for word in words):
                found.append(process)
    return found


def test_a_strangers_value_ends_the_run_and_none_of_their_code_runs(troubled_checkout: Path) -> None:
    with Stranger(troubled_checkout.parent, ["labs-0/claim 98.sum/1/1"]):
        ended = troubled(troubled_checkout, "late", timeout_s=60)
    assert (ended.status, ended.run.status) == (1, "broke")
    assert "somebody else reached its ranks over the network" in ended.run.error
    assert ended.err.count("somebody else reached its ranks over the network") == 1
    assert "Traceback" not in ended.err
    assert not (troubled_checkout.parent / "exploded").exists()


def test_a_stranger_does_not_speak_for_a_rank_that_stalls(troubled_checkout: Path) -> None:
    with Stranger(troubled_checkout.parent, ["labs-0/place/1"]):
        ended = troubled(troubled_checkout, "stall")
    assert (ended.status, ended.run.status) == (1, "broke")
    assert "somebody else reached its ranks over the network" in ended.run.error


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
