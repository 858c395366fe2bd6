"""A stand-in for a lab, put into a checkout as `labs.probe`: in a container it says what it sees, or comes to grief as its verb says.

The standard library is enough for it.
"""

import argparse
import getpass
import json
import os
import signal
import socket
import time
from pathlib import Path

RANK = int(os.environ["RANK"])
CGROUP = Path("/sys/fs/cgroup")
UP = 1  # IFF_UP
SERVED = 7007


def first_of(*paths: str) -> str:
    """Return what stands in the first of these files of the cgroup that is there: version 2's name comes first, then version 1's."""
    return next(((CGROUP / path).read_text().strip() for path in paths if (CGROUP / path).exists()), "")


def memory_limit() -> str:
    """Return how many bytes the container may have."""
    return first_of("memory.max", "memory/memory.limit_in_bytes")


def processor_limit() -> str:
    """Return how many microseconds of processor time it may have in each period."""
    return first_of("cpu.max", "cpu/cpu.cfs_quota_us").partition(" ")[0]


def writes(path: str) -> str:
    """Return `yes` if a file can be made there, else why not."""
    try:
        Path(path, f"probe{RANK}").touch()
    except OSError as error:
        return error.strerror or "no"
    return "yes"


def facts() -> dict[str, object]:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "ids": [os.getuid(), os.getgid()],
        "name": getpass.getuser(),
        "host": socket.gethostname(),
        "master": socket.gethostbyname(os.environ["MASTER_ADDR"]),
        "init": Path("/proc/1/comm").read_text().strip(),
        "capabilities": int(status["CapEff"], 16),
        "no_new_privileges": status["NoNewPrivs"],
        "seccomp": status["Seccomp"],
        "writes": {
            place: writes(place)
            for place in ("/", "/opt/labs", os.environ["HOME"], str(Path(__file__).parent))
        },
        "memory": memory_limit(),
        "cpus": processor_limit(),
        "shm": os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize,
        "threads": os.environ["OMP_NUM_THREADS"],
        "timeout": os.environ.get("LABS_TIMEOUT", ""),
        "file": __file__,
        "interfaces": [
            place.name
            for place in Path("/sys/class/net").iterdir()
            if int((place / "flags").read_text(), 16) & UP
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("--launcher", "--folder", "--attempt"):
        parser.add_argument(option, type=Path)
    parser.add_argument("verb")
    words = parser.parse_args()
    note = words.folder / f"facts{RANK}.json"
    note.write_text(json.dumps(facts()))
    (words.folder / "run.json").write_text('{"status": "running"}')
    print(f"rank {RANK} is there", flush=True)
    if words.verb == "hog" and RANK == 1:
        taken = [bytearray(os.urandom(2**20)) * 16 for _ in range(1000)]
        print(len(taken))
    if words.verb == "die" and RANK == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    while words.verb == "facts" and len(list(words.folder.glob("facts*.json"))) < int(
        os.environ["WORLD_SIZE"]
    ):
        time.sleep(0.1)  # a node that ended at once would take its name along
    if words.verb != "facts":
        time.sleep(60)


if __name__ == "__main__":
    with socket.create_server(("", SERVED + int(os.environ["LOCAL_RANK"]))):  # for others to try
        main()
