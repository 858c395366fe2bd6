"""Whether somebody is at work on a run: who is, holds its log locked, and the system lets go of it for them, however they end."""

import fcntl
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOG = "log.txt"


@contextmanager
def shown(folder: Path) -> Iterator[None]:
    """Show that this process is at work on the run in this folder, until the block or the process ends."""
    with (folder / LOG).open("ab") as log:
        with suppress(OSError):  # a file system without locks: `is_shown` cannot tell there either
            fcntl.flock(log, fcntl.LOCK_SH)
        yield


def is_shown(folder: Path) -> bool:
    """Tell whether a process of this machine is at work on the run; also where its file system cannot tell."""
    try:
        with (folder / LOG).open("r+b") as log:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def quiet_s(folder: Path) -> float:
    """Return for how many seconds nothing was logged of the run; without end where there is no log."""
    try:
        return time.time() - (folder / LOG).stat().st_mtime
    except FileNotFoundError:
        return math.inf
