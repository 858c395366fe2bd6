"""A stand-in for a lab: a rank that notes who it is and then does what its last argument says. The standard library is enough for it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

NOTES = Path(os.environ.get("STAND_IN_NOTES", "."))
RANK = int(os.environ.get("RANK", "0"))
HELPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
LINES = 3000
RECORD = {
    "lab": 99, "title": "Stand-in", "module": "tests.launch.stand_in", "launcher": "slurm", "nodes": 2, "procs": 1,
    "status": "running", "smoke": True, "started": "2030-01-02T12:00:00+01:00", "config": {},
}  # fmt: skip


def note(**facts: object) -> None:
    """Write this rank's note so that a reader sees none or the whole."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 0
    facts |= {
        "cores": cores,
        "pid": os.getpid(),
        "environment": dict(os.environ),
        "terminal": sys.stdout.isatty(),
    }
    part = NOTES / f"part{RANK}"
    part.write_text(json.dumps(facts))
    part.replace(NOTES / f"rank{RANK}.json")


def helper() -> int:
    """Start a process that heeds no SIGTERM, as a data worker might."""
    process = subprocess.Popen([sys.executable, "-c", HELPER], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process.pid


def stay(deaf: bool = False) -> None:
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    note(helper=helper())
    time.sleep(60)


def listen() -> None:
    """Note each signal that comes; end at SIGTERM."""
    heard: list[str] = []

    def hear(number: int, frame: object) -> None:
        heard.append(signal.Signals(number).name)
        note(heard=heard, helper=child)

    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, hear)
    child = helper()
    note(heard=heard, helper=child)
    while True:
        signal.pause()


def linger() -> None:
    """Need a second, once asked to end, to put everything in order."""

    def part(number: int, frame: object) -> None:
        time.sleep(1)
        note(in_order=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, part)
    note()
    while True:
        signal.pause()


def shout() -> None:
    """Print many lines as fast as can be, each in several writes; rank 0, which nobody marks, in one."""
    for count in range(LINES):
        begin, rest = f"line {count} ".encode(), b"x" * (count % 97) + b" end\n"
        if RANK == 0:
            os.write(2, begin + rest)
        else:
            os.write(2 - count % 2, begin)
            os.write(1, rest)


def odd() -> None:
    """Print what is hard to mark."""
    snowman = "☃".encode()
    for data in (
        b"long " + b"y" * 2500 + b"\n",
        b"bad \xff byte\n",
        b"snow" + snowman[:1],
        snowman[1:] + b"\n",
        b"10%\r50%\r100%\n",
        b"no end",
    ):
        os.write(1, data)
        time.sleep(0.05)


def end(status: str, which: str) -> None:
    """End with this status in one rank, or in all; the others stay."""
    note()
    if which not in ("all", str(RANK)):
        time.sleep(60)
    print("my last words", flush=True)
    sys.exit(int(status))


def follow() -> None:
    """Break in rank 1, whose end the others notice first and end with status 1."""
    note()
    if RANK == 1:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(1)


def late(seconds: str) -> None:
    """Break in all ranks, of which rank 0 takes its time to say why."""
    note()
    if RANK == 0:
        time.sleep(float(seconds))
    print(f"the reason of rank {RANK}", flush=True)
    sys.exit(1)


def early() -> None:
    time.sleep(0.5 * RANK)
    note()


def wait(seconds: str) -> None:
    """End well, after a while."""
    note()
    time.sleep(float(seconds))


def tick(seconds: str) -> None:
    """Say a line twice a second."""
    note()
    for count in range(2 * int(seconds)):
        print(f"tick {count} of rank {RANK}", flush=True)
        time.sleep(0.5)


def eat(which: str) -> None:
    """Take more and more memory in one rank; the others stay."""
    note()
    taken = []
    while str(RANK) == which:
        taken.append(bytearray(b"x" * 2**24))
        time.sleep(0.01)
    time.sleep(60)


def record() -> None:
    """Stay, as a lab does whose record says that it runs."""
    if RANK == 0:
        folder = Path(sys.argv[sys.argv.index("--folder") + 1])
        (folder / "run.json").write_text(json.dumps(RECORD, indent=2))
    stay()


KNOWN = (note, record, stay, listen, linger, shout, odd, end, follow, late, early, wait, eat, tick)
VERBS: dict[str, Callable[..., None]] = {verb.__name__: verb for verb in KNOWN} | {
    "deaf": partial(stay, deaf=True)
}

if __name__ == "__main__":
    verb, *rest = sys.argv[-1].split(":")
    VERBS[verb](*rest)
