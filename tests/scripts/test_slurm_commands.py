"""What the test cluster and the hosts share: what was started is waited for, and a folder goes whoever still writes into it."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scripts.slurm_cluster import commands


def test_a_folder_goes_though_somebody_still_writes_into_it(tmp_path: Path) -> None:
    folder, begun = tmp_path / "cluster", threading.Event()

    def straggler() -> None:
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            with suppress(OSError):
                (folder / "log").mkdir(parents=True, exist_ok=True)
                (folder / "log" / "last-words").touch()
            begun.set()

    thread = threading.Thread(target=straggler)
    thread.start()
    begun.wait()
    commands.remove(folder)
    thread.join()
    commands.remove(folder)
    assert not folder.exists()
    commands.remove(folder)  # and where nothing is there, nothing is to be done


def test_what_cannot_go_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "STRAGGLERS_S", 0.2)

    def busy(folder: Path) -> None:
        raise OSError(16, "Device or resource busy", str(folder / "disk"))

    monkeypatch.setattr(shutil, "rmtree", busy)
    with pytest.raises(commands.ClusterError, match=r"could not be removed: .*busy: .*/disk"):
        commands.remove(tmp_path)


Started = Callable[[str], Callable[[float], None]]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Start a shell with a script in a folder; what this returns waits for its file `ready`."""
    children = []

    def start(script: str) -> Callable[[float], None]:
        log = tmp_path / "log"
        child = commands.start_detached(["sh", "-c", f"cd {tmp_path}; {script}"], log)
        children.append(child)
        return lambda bound_s: commands.wait_for(
            tmp_path / "ready", child, log, what="the host", bound_s=bound_s
        )

    yield start
    for child in children:
        child.kill()
        child.wait()
    commands.reap()


def test_what_was_started_is_waited_for_from_its_first_moment(started: Started, tmp_path: Path) -> None:
    started("sleep 0.2; touch ready; sleep 0.2")(60)
    assert (tmp_path / "ready").exists()


@pytest.mark.parametrize(("script", "said"), [("echo one; echo two", "two"), ("true", "it said nothing")])
def test_what_ends_before_it_is_ready_is_told_with_its_last_words(
    started: Started, script: str, said: str
) -> None:
    with pytest.raises(commands.ClusterError, match=f"^the host: {said}$"):
        started(script)(60)


def test_what_never_gets_ready_is_waited_for_within_a_bound(started: Started) -> None:
    with pytest.raises(commands.ClusterError, match=r"^the host: still busy$"):
        started("echo still busy; exec sleep 60")(1)
