"""Two hundred short jobs of fifty people on eight nodes, each followed live to its end: none may be lost, none misjudged.

`make test-slurm-load` runs this, `make test-slurm` does not: it takes minutes, on a cluster of its own.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from statistics import median

import pytest

from scripts.slurm_cluster.cluster import Cluster, Size
from tests.cluster.desk import Desk, Started, until

NODES, PEOPLE, JOBS = 8, 50, 200
AT_ONCE = 25  # commands that run side by side: each is a Python on two cores
BOUND_S = 600.0
VERBS = {"note": 0, "end:3:all": 3}  # what a job does, and the status that its command must end with
EACH_FAILS = 4  # every fourth one


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Desk]]:
    made = Cluster("load")
    made.up(Size(nodes=NODES, users=PEOPLE), owner=os.getpid())
    folder = tmp_path_factory.mktemp("load")
    yield [Desk(made, person, folder) for person in made.people]
    made.down()


@pytest.mark.timeout(BOUND_S)
def test_every_job_ends_with_its_own_verdict(crowd: list[Desk], capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    done = list(_followed(crowd))
    took = time.monotonic() - begun
    wrong = [
        (verb, run.process.returncode, run.err[-300:])
        for verb, run, _ in done
        if run.process.returncode != VERBS[verb]
    ]
    assert wrong == []
    ids = {run.job for _, run, _ in done}
    assert len(ids) == JOBS
    until(lambda: not crowd[0].slurm("squeue", "-h").strip(), "an empty queue")
    known = dict(
        re.findall(
            r"^(\d+)\|(\w+)",
            crowd[0].slurm("sacct", "-a", "-X", "-n", "-P", "-o", "JobID,State"),
            re.MULTILINE,
        )
    )
    states = Counter(known.get(id_, "lost") for id_ in ids)
    assert states == {"COMPLETED": JOBS - JOBS // EACH_FAILS, "FAILED": JOBS // EACH_FAILS}
    with capsys.disabled():
        print(
            f"\n{JOBS} jobs of {PEOPLE} people on {NODES} nodes: {took:.0f} s, {JOBS / took:.1f} a second, {AT_ONCE} commands at once"
        )
        print(
            f"a command took {median(seconds for *_, seconds in done):.1f} s (median), {max(seconds for *_, seconds in done):.1f} s at most"
        )
        print(_said_by_the_controller(crowd[0]))


def _followed(crowd: list[Desk]) -> Iterator[tuple[str, Started, float]]:
    """Start one command after the other, so many at once, and yield each when it has ended, with its seconds."""
    passing, failing = VERBS
    waiting = [(crowd[job % PEOPLE], failing if job % EACH_FAILS == 0 else passing) for job in range(JOBS)]
    running: list[tuple[str, Started, float]] = []
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            desk, verb = waiting.pop()
            running.append((verb, desk.begin(verb, nodes=1, cpus="1", memory="100M"), time.monotonic()))
        for one in [one for one in running if one[1].process.poll() is not None]:
            running.remove(one)
            yield one[0], one[1], time.monotonic() - one[2]
        time.sleep(0.05)


def _said_by_the_controller(desk: Desk) -> str:
    """Return what sdiag counted: remote calls by kind, and the mean time that the controller took for one."""
    said = desk.slurm("sdiag")
    calls = re.findall(r"^\s+(REQUEST_\w+)\s.*count:(\d+)\s+ave_time:(\d+)", said, re.MULTILINE)
    busiest = sorted(calls, key=lambda call: -int(call[1]))[:5]
    return "the controller: " + ", ".join(
        f"{count} {name} of {int(mean) / 1000:.1f} ms" for name, count, mean in busiest
    )
