"""What a person sees while set-up works: one line a phase, alive on a terminal, never minutes of silence elsewhere.

All of it goes to stderr: `make lab-01 DRYRUN=1 > job.sh` may have to set up first.
"""

import shutil
import sys
import threading
import time
from types import TracebackType

LIVE_S = 0.5
HEARTBEAT_S = 20.0
WORTH_A_LINE_S = 0.5


class SetupError(Exception):
    """One sentence for the person at the keyboard: what came, and what to do."""


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Phase:
    """A part of the work that takes a while. `now` is the detail shown behind its title."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.now = ""
        self.started = time.monotonic()
        self._live = sys.stderr.isatty()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Phase":
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._ticker.join()
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        if kind is None and time.monotonic() - self.started > WORTH_A_LINE_S:
            say(f"  {self.title}: {self._elapsed()}")

    def _elapsed(self) -> str:
        return duration(time.monotonic() - self.started)

    def _tick(self) -> None:
        while not self._over.wait(LIVE_S if self._live else HEARTBEAT_S):
            line = f"  {self.title}: {self._elapsed()}" + (f", {self.now}" if self.now else "")
            if self._live:
                width = shutil.get_terminal_size().columns - 1
                print(f"\r{line[:width]}\033[K", end="", file=sys.stderr, flush=True)
            else:
                say(line + " …")
