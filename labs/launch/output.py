"""What ranks print: whole lines, each marked with the rank that wrote it, on the one stderr that all of them share."""

import codecs
import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO

READ_BYTES = 2**20  # as much as a pipe can hold, so that one read empties it
LONGEST = 1000  # characters of a line; with its mark it then fits into the 4096 bytes that Linux writes to a pipe in one piece
LAST_LINES = 10
STDERR = 2


def say(text: str) -> None:
    """Write one line to stderr, at once. A reader that went away is no reason to end the run."""
    rest = memoryview(f"{text}\n".encode())
    with suppress(OSError):
        while rest:
            rest = rest[os.write(STDERR, rest) :]


class Output:
    """One rank's output, on its way to the screen and, as it came, to a file."""

    def __init__(self, mark: str, log: Path | None) -> None:
        self.mark, self.log = mark, log
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._file: IO[bytes] | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""  # a line whose end has not come yet

    def read(self, pipe: int) -> bool:
        """Pass on what stands in the pipe. Returns False where nothing can come any more."""
        try:
            data = os.read(pipe, READ_BYTES)
        except BlockingIOError:
            return True
        self._keep(data)
        self._pass_on(self._decoder.decode(data))
        return bool(data)

    def end(self) -> None:
        """Pass on the last line, also where its end never came."""
        self._pass_on(self._decoder.decode(b"", final=True))
        if self._begun:
            self._pass_on("\n")
        if self._file:
            self._file.close()

    def _pass_on(self, text: str) -> None:
        *lines, begun = (self._begun + text).split("\n")
        *pieces, self._begun = _cut(begun)
        for piece in [piece for line in lines for piece in _cut(line)] + pieces:
            seen = piece.rstrip("\r").rpartition("\r")[
                2
            ]  # of a progress bar, what a terminal would show in the end
            self.last_lines.append(seen)
            say(f"{self.mark} {seen}")

    def _keep(self, data: bytes) -> None:
        if not (data and self.log):
            return
        try:
            self._file = self._file or self.log.open("wb", buffering=0)
            self._file.write(data)
        except OSError as error:
            say(f"{self.mark} cannot write {self.log}: {error.strerror}; what follows is only shown")
            self.log = None


def _cut(line: str) -> list[str]:
    return [line[start : start + LONGEST] for start in range(0, len(line), LONGEST)] or [""]
