"""What the test cluster and the hosts share: what was started is waited for, and a folder goes whoever still writes into it."""

import shutil
import threading
import time
from collections.abc import Callable
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


def started(folder: Path, script: str) -> Callable[[float], None]:
    """Start a shell with this script in a folder, and return what waits for its file `ready`."""
    log = folder / "log"
    child = commands.start_detached(["sh", "-c", f"cd {folder}; {script}"], log)
    return lambda bound_s: commands.wait_for(folder / "ready", child, log, what="the host", bound_s=bound_s)


def test_what_was_started_is_waited_for_from_its_first_moment(tmp_path: Path) -> None:
    started(tmp_path, "sleep 0.2; touch ready; sleep 0.2")(60)
    assert (tmp_path / "ready").exists()


@pytest.mark.parametrize(("script", "said"), [("echo one; echo two", "two"), ("true", "it said nothing")])
def test_what_ends_before_it_is_ready_is_told_with_its_last_words(
    tmp_path: Path, script: str, said: str
) -> None:
    with pytest.raises(commands.ClusterError, match=f"^the host: {said}$"):
        started(tmp_path, script)(60)


def test_what_never_gets_ready_is_waited_for_within_a_bound(tmp_path: Path) -> None:
    with pytest.raises(commands.ClusterError, match=r"^the host: still busy$"):
        started(tmp_path, "echo still busy; sleep 2")(1)
