"""Run a command to its end and write, as JSON, what it took: seconds, seconds of processors, the most memory, and its status.

A process of its own, and a small one: what a process held when it forked counts as its child's, so a large one that measures
would find its own memory. Memory is that of the largest process, as wait4 reports it.
"""

import json
import os
import sys
import time

MIB = 2**20 if sys.platform == "darwin" else 2**10  # in the units of ru_maxrss


def measuring(report: int, command: list[str]) -> list[str]:
    """Return the command that runs this command, and writes to the open file `report`."""
    return [sys.executable, "-IS", __file__, str(report), *command]


def main(report: int, command: list[str]) -> None:
    """Run the command, with the report's file closed in it, and write the report."""
    os.set_inheritable(report, False)
    start = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    sample = [
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / MIB,
        os.waitstatus_to_exitcode(status),
    ]
    os.write(report, json.dumps(sample).encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
