"""Measure, on a cluster of its own, how long lab 43 takes over two nodes from the command to the result: by us and by others.

.venv/bin/python scripts/bench_slurm.py [ROUNDS]

The others are a batch script by hand (sbatch, srun, torchrun), and TorchX's Slurm scheduler. All run on the same nodes, in turn.
A person would look now and then whether theirs has ended; here that is done five times a second. Results are kept in bench/.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from labs import catalog, home
from scripts.bench import (
    ROOT,
    TOGETHER,
    Bench,
    Figure,
    Sample,
    document,
    exit_with,
    failures,
    keep,
    line,
    progress,
    seconds,
)
from scripts.slurm_cluster import packages
from scripts.slurm_cluster.cluster import Cluster, Size
from scripts.slurm_cluster.host import environment_of
from scripts.slurm_cluster.trouble import ClusterError

LAB = catalog.find_ready(str(TOGETHER))
NODES, ROUNDS = 2, 5
BESIDE = Path(sys.executable).parent
BATCH = f"""#!/bin/bash
#SBATCH --nodes={NODES} --ntasks-per-node=1 --cpus-per-task=1 --time=15 --output=%j.txt
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -1)
srun --kill-on-bad-exit=1 torchrun --nnodes={NODES} --nproc-per-node=1 --rdzv-backend=c10d \\
    --rdzv-endpoint="$first:29511" --rdzv-id="$SLURM_JOB_ID" -m {LAB.import_name} --smoke
"""
TORCHX = f"run --scheduler slurm -cfg partition=lab,time=15 dist.ddp -j {NODES}x1 --cpu 1 --memMB 1000 -m {LAB.import_name} -- --smoke"
TO_ITS_END = """
id=$({submit}) && id=${{id##*/}}
while squeue --noheader --jobs "$id" --format %T | grep --quiet --extended-regexp 'PENDING|CONFIGURING|RUNNING'; do sleep 0.2; done
! scontrol show job "$id" | grep --extended-regexp 'JobState=(FAILED|CANCELLED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY)'
"""


class Row(NamedTuple):
    """One round: the same lab by each way, ours without waiting for it, and how long ours went on when its nodes had ended."""

    ours: Sample
    by_hand: Sample
    torchx: Sample
    submitted: Sample
    late_s: float


class AtLogin(Bench):
    """Runs commands as a person on the login node of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.person = cluster, cluster.people[0]
        self.place = cluster.folder / "home" / self.person.name  # as this machine sees it
        super().__init__(
            cluster.folder / "home", ROUNDS
        )  # TorchX goes there: all hosts see it under the same name
        beside = {"PYTHONPATH": str(ROOT), "PATH": f"{BESIDE}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        self.environ = environment_of(self.person, beside)

    def run(self, *command: str) -> Sample:
        return super().run(
            *self.cluster.login.words(["bash", "-c", 'cd && exec "$@"', "-", *command], self.person)
        )

    def awaited(self, submit: str) -> Sample:
        """Run a command that submits a job and prints its id, and look for its end."""
        return self.run("bash", "-c", TO_ITS_END.format(submit=submit))

    def round(self) -> Row:
        ours = ["labs", "run", str(LAB.number), "--smoke", "--nodes", str(NODES)]
        first = self.run(*ours)
        late_s = time.time() - max(note["ended"] for note in self.notes())
        row = (
            first,
            self.awaited("sbatch --parsable lab.sh"),
            self.awaited(f"{self.torchx()} {TORCHX}"),
            self.run(*ours, "--detach", "1"),
        )
        self.run("labs", "cancel", str(LAB.number))
        return Row(*row, late_s)

    def notes(self) -> list[dict[str, float]]:
        """Return what the nodes of the newest run noted at their end."""
        newest = max(self.place.glob(f"labs/runs/lab{LAB.number}/*-slurm"))
        return [home.read_json(path) for path in newest.glob("slurm/node*.json")]

    def seconds_of_labs(self) -> list[float]:
        """Return what each whole run took, as the lab itself has counted."""
        records = map(home.read_json, self.place.glob(f"labs/runs/lab{LAB.number}/*/run.json"))
        return [record["seconds"] for record in records if record.get("status") == "held"]


def figures(rows: list[Row]) -> Iterator[Figure]:
    """Return our seconds, the others' beside them, and what of ours is our own."""
    name = f"lab {LAB.number} --smoke, {NODES} nodes"
    yield Figure(
        f"{name}: command to result, labs run",
        "s",
        "",
        seconds([row.ours for row in rows]),
        failures([row.ours for row in rows]),
    )
    for other, target, theirs in (
        ("sbatch, srun, torchrun", "≤ 1", [row.by_hand for row in rows]),
        ("TorchX, slurm", "< 1", [row.torchx for row in rows]),
    ):
        ratios = [row.ours.seconds / one.seconds for row, one in zip(rows, theirs, strict=True)]
        sooner = median(one.seconds - row.ours.seconds for row, one in zip(rows, theirs, strict=True))
        yield Figure(
            f"{name}: labs run against {other}",
            "×",
            target,
            ratios,
            f"{sooner:.1f} s sooner{failures(theirs)}",
        )
    own = [row.submitted.seconds + row.late_s for row in rows]
    submit, end = median(row.submitted.seconds for row in rows), median(row.late_s for row in rows)
    parts = f"{submit:.2f} s to submit, {end:.2f} s after the nodes' end"
    yield Figure(f"{name}: our own overhead", "s", "≤ 1.5", own, parts)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rounds", type=int, nargs="?", default=ROUNDS, metavar="ROUNDS")
    rounds = parser.parse_args(arguments).rounds
    if rounds < 1:
        parser.error(f"{rounds} rounds measure nothing; give 1 or more")
    cluster, load = Cluster("bench"), [os.getloadavg()]
    try:
        packages.install(yes=False)
        cluster.up(Size(nodes=NODES), owner=os.getpid())
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        bench = AtLogin(cluster)
        (bench.place / "lab.sh").write_text(BATCH)
        bench.torchx()
        rows = [bench.round() for _ in range(rounds)]
        progress("")
        measured = [
            *figures(rows),
            Figure(f"lab {LAB.number} --smoke itself, whichever way", "s", "", bench.seconds_of_labs()),
        ]
        version = cluster.controller.ask("scontrol", "--version").split()[-1]
        ran = home.read_json(max(bench.place.glob("labs/runs/lab*/*-slurm/run.json"), key=os.path.getmtime))
    finally:
        cluster.down()
    ran["versions"]["slurm"] = version
    print(*map(line, measured), sep="\n")
    path = keep(document(measured, ran, [*load, os.getloadavg()]), "slurm-")
    print(f"kept in {path.parent.name}/{path.name}")
    return 0


if __name__ == "__main__":
    exit_with(main, sys.argv[1:])
