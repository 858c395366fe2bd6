"""Files that grow elsewhere, shown here as they grow."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

AT_ONCE = 2**20  # bytes


class FileFollower:
    """Copies what is new in a file to a descriptor, such as 1 for stdout. A file that is not there yet is empty."""

    def __init__(self, path: Path, to: int) -> None:
        self.path, self.to, self.offset = path, to, 0

    def pump(self) -> bool:
        """Copy what is new; tell whether there was any."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                new = file.read(AT_ONCE)
        except FileNotFoundError:
            return False
        self.offset += len(new)
        rest = memoryview(new)
        with suppress(BrokenPipeError):  # a reader that went away is no reason to lose the run
            while rest:
                rest = rest[os.write(self.to, rest) :]
        return bool(new)


def pump(followers: Sequence[FileFollower]) -> bool:
    """Pump each follower; tell whether any had something new."""
    return max([follower.pump() for follower in followers], default=False)
