"""See that a run which lives with its command is ended properly, even where the command itself is killed."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labs import home, presence
from labs.launch.claim import discard, is_unused
from labs.launch.states import attended, end

# A shell, as in orphan_guard.py: it waits for a word that only a command which was killed does not give.
KEEPER = """
trap '' HUP INT TERM USR1 USR2
read -r word || exec "$@"
"""
LINGERING_S = 30.0  # so long ranks may take to end when their command is gone, those in containers above all
LOOK_S = 0.1


@contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Within this, should the process be killed, another one notes the end of the run in this folder."""
    command = ["sh", "-c", KEEPER, "-", sys.executable, "-m", "labs.launch.keeper", str(folder)]
    with subprocess.Popen(
        command,
        cwd=home.CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as keeper:
        try:
            yield
        finally:
            keeper.communicate(b"ended\n")


def note_end(folder: Path) -> None:
    """Note the end of a run whose command was killed, once its ranks are gone; take its folder away where nothing was kept."""
    until = time.monotonic() + LINGERING_S
    while presence.is_shown(folder) and time.monotonic() < until:
        time.sleep(LOOK_S)
    if is_unused(folder):
        discard(folder)
    else:
        end(folder, attended(folder))


if __name__ == "__main__":
    note_end(Path(sys.argv[1]))
