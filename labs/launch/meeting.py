"""Where the ranks of several nodes meet: a port that is free on node 0, handed over in a file that all nodes see."""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labs.errors import UsageError
from labs.files import write_whole

LOOK_S = 0.05


@contextmanager
def announced_port(file: Path) -> Iterator[int]:
    """Yield a port that is free here, kept free of all but rank 0 as long as the block lasts, and write it into the file."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("", 0))
        port: int = holder.getsockname()[1]
        if sys.platform != "linux":  # where nobody, rank 0 included, could bind what another socket holds
            holder.close()
        write_whole(file, f"{port}\n")
        yield port


def port_from(file: Path, timeout_s: float, who: str) -> int:
    """Wait for node 0 to write its port into the file, and return it. Raises UsageError where none comes in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        text = file.read_text(encoding="ascii", errors="replace").strip() if file.exists() else ""
        if text.isdecimal() and 0 < int(text) < 2**16:
            return int(text)
        if time.monotonic() > deadline:
            raise UsageError(
                f"{who} found no port of node0 in {file} within {timeout_s:g} s: "
                + ("it holds something else" if text else "node0 did not start, or the folder is not shared")
                + "\nsee what node0 says; all nodes need one LABS_HOME on a shared file system"
            )
        time.sleep(LOOK_S)
