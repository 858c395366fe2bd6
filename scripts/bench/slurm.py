"""Measure, on a cluster of its own, how long lab 43 takes over two nodes from the command to the result: by us and by others.

.venv/bin/python -m scripts.bench.slurm [ROUNDS] [--yes]

The others are a batch script by hand (sbatch, srun, torchrun), and TorchX's Slurm scheduler. All run on the same nodes, in turn.
A person would look now and then whether theirs has ended; here that is done five times a second. Results are kept in bench/.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

from labs import catalog
from labs.files import read_json
from scripts.bench import past, results
from scripts.bench.figures import Figure
from scripts.bench.labs import TOGETHER, against
from scripts.bench.runner import BIN, ROOT, Runner, Sample, failures, progress, seconds
from scripts.entry import exit_with
from scripts.slurm_cluster import packages
from scripts.slurm_cluster.cluster import Cluster, Size
from scripts.slurm_cluster.commands import ClusterError
from scripts.slurm_cluster.host import environment_of

LAB = catalog.find_ready(str(TOGETHER))
NODES = 2
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


class LoginNode(Runner):
    """Runs commands as a person on the login node of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.folder / "home")  # TorchX goes there: all hosts see it under the same name
        self.cluster, self.person = cluster, cluster.people[0]
        self.home = self.folder / self.person.name  # as this machine sees it
        ours = {"PYTHONPATH": str(ROOT), "PATH": f"{BIN}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        self.environ = environment_of(self.person, ours)

    def run(self, *command: str) -> Sample:
        in_home = ["bash", "-c", 'cd && exec "$@"', "-", *command]
        return super().run(*self.cluster.login.command(in_home, self.person))

    def run_to_its_end(self, submit: str) -> Sample:
        """Run a command that submits a job and prints its id, and look for its end."""
        return self.run("bash", "-c", TO_ITS_END.format(submit=submit))

    def round(self) -> Row:
        ours = ["labs", "run", str(LAB.number), "--smoke", "--nodes", str(NODES)]
        first = self.run(*ours)
        late_s = time.time() - max(note["ended"] for note in self.notes_of_nodes())
        by_hand = self.run_to_its_end("sbatch --parsable lab.sh")
        torchx = self.run_to_its_end(f"{self.torchx()} {TORCHX}")
        submitted = self.run(*ours, "--detach", "1")
        self.run("labs", "cancel", str(LAB.number))
        return Row(first, by_hand, torchx, submitted, late_s)

    def after_many(self, rounds: int) -> Figure:
        """Time `labs status` when hundreds of jobs have ended that nobody followed: the first time, and later on."""
        newest = max(self.home.glob(f"labs/runs/lab{LAB.number}/*-slurm"))
        job = {name: value for name, value in read_json(newest / "job.json").items() if name != "ended"}
        past.leave(self.home / "labs", past.MANY, job)
        self.cluster.login.ask("chown", "-R", self.person.name, f"{self.person.home}/labs/runs")
        first, *samples = [self.run("labs", "status") for _ in range(rounds + 1)]
        note = f"the first time {first.seconds:.2f} s{failures([first, *samples])}"
        return Figure(f"labs status, {past.MANY} ended jobs", "s", "≤ 1", seconds(samples), note)

    def notes_of_nodes(self) -> list[dict[str, float]]:
        """Return what the nodes of the newest run noted at their end."""
        newest = max(self.home.glob(f"labs/runs/lab{LAB.number}/*-slurm"))
        return [read_json(path) for path in newest.glob("slurm/node*.json")]

    def records(self) -> list[dict[str, Any]]:
        """Return the records of all runs, from the oldest to the newest."""
        files = self.home.glob(f"labs/runs/lab{LAB.number}/*-slurm/run.json")
        return [read_json(file) for file in sorted(files, key=os.path.getmtime)]


def figures(rows: list[Row]) -> Iterator[Figure]:
    """Return our seconds, the others' beside them, and what of ours is our own."""
    name, ours = f"lab {LAB.number} --smoke, {NODES} nodes", [row.ours for row in rows]
    yield Figure(f"{name}: command to result, labs run", "s", "", seconds(ours), failures(ours))
    by_hand, torchx = [row.by_hand for row in rows], [row.torchx for row in rows]
    yield against(f"{name}: labs run against sbatch, srun, torchrun", "≤ 1", ours, by_hand)
    yield against(f"{name}: labs run against TorchX, slurm", "< 1", ours, torchx)
    own = [row.submitted.seconds + row.late_s for row in rows]
    submit, end = median(row.submitted.seconds for row in rows), median(row.late_s for row in rows)
    parts = f"{submit:.2f} s to submit, {end:.2f} s after the nodes' end"
    yield Figure(f"{name}: our own overhead", "s", "≤ 1.5", own, parts)


def measure(cluster: Cluster, rounds: int) -> tuple[list[Figure], dict[str, Any]]:
    """Return the figures, and the record of the newest run, which says on what they were measured."""
    login = LoginNode(cluster)
    (login.home / "lab.sh").write_text(BATCH)
    login.torchx()
    rows = [login.round() for _ in range(rounds)]
    progress("")
    status = login.after_many(rounds)
    records = login.records()
    # What the lab itself has counted.
    itself = [record["seconds"] for record in records if record.get("status") == "held"]
    record = records[-1]
    record["versions"]["slurm"] = cluster.controller.ask("scontrol", "--version").split()[-1]
    return [
        *figures(rows),
        Figure(f"lab {LAB.number} --smoke itself, whichever way", "s", "", itself),
        status,
    ], record


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    cluster, load = Cluster("bench"), [os.getloadavg()]
    try:
        packages.install(yes=options.yes)
        cluster.up(Size(nodes=NODES), owner=os.getpid())
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        measured, record = measure(cluster, options.rounds)
    finally:
        cluster.down()
    print(*measured, sep="\n")
    results.keep(results.document(measured, record, [*load, os.getloadavg()]), "slurm")
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rounds", type=int, nargs="?", default=5, metavar="ROUNDS")
    parser.add_argument("--yes", action="store_true", help="install missing packages without asking")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"{options.rounds} rounds measure nothing; give 1 or more")
    return options


if __name__ == "__main__":
    exit_with(main)
