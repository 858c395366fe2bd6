"""What the test cluster and the hosts share: a folder goes, whoever still writes into it, or it is said why not."""

import shutil
import threading
import time
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
