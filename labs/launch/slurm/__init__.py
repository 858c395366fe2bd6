"""Run a lab on Slurm, through submitit: one task on each node, which starts that node's ranks in the run's runtime."""

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from labs.errors import UsageError
from labs.files import writable
from labs.launch.slurm import cluster, limits, runtime
from labs.launch.slurm.live import follow
from labs.launch.slurm.script import job_folder, script
from labs.launch.spec import RunSpec, State, Variable, node_starter, note_job, noted_job, shell_line

GONE_S = 15.0  # how long a cancelled job may take to be gone


class Slurm:
    """A cluster with Slurm. Its job goes on by itself; following it is another matter."""

    name = "slurm"
    takes = frozenset(
        {
            "time",
            "memory",
            "cpus",
            "image",
            "runtime",
            "partition",
            "account",
            "qos",
            "reservation",
            "constraint",
            "detach",
        }
    )
    shares_nodes = True

    def why(self) -> str:
        return "a Slurm controller answers here"

    def check(self, spec: RunSpec) -> None:
        limits.check(spec)

    def render(self, spec: RunSpec) -> str:
        spec = limits.resolved(spec)
        here = [Variable(name) for name in ("$SLURM_NODEID", "$FIRST_NODE", "$PORT")]
        task = runtime.wrapped(spec, lambda python: node_starter(spec, python, *here))
        shown = shell_line(task).replace("\n", "\n# ")  # a flag may have several lines
        return f"{script(spec)}\n# each node's task then starts:\n# {shown}\n"

    def submit(self, spec: RunSpec) -> int:
        spec = limits.resolved(spec)
        assert spec.folder is not None
        id_ = _submitted(spec)
        note_job(spec, id_)
        print(f"job {id_}: {spec.nodes} × {spec.procs} processes; its files: {spec.folder}", file=sys.stderr)
        if spec.request.detach not in ("", "0", "no", "false"):
            print(
                f"go on with: labs status {spec.lab} · labs logs {spec.lab} · labs cancel {spec.lab}",
                file=sys.stderr,
            )
            return 0
        with _cancelled_by_signals(id_):
            return follow(spec.folder)

    def state(self, folder: Path) -> State:
        """Return what became of the job of a run, of today or of an earlier day."""
        noted = noted_job(folder)
        job = cluster.job(noted["id"])
        if job is None:
            return State(noted["id"], "unknown", "no controller answers now")
        if job.state == cluster.LOST:
            return State(job.id, "unknown", "Slurm no longer knows it", ended=True)
        return State(
            job.id, job.state.lower(), job.waits if job.state == "PENDING" else job.nodes, ended=job.ended
        )

    def cancel(self, folder: Path) -> None:
        """End the job of a run. Raises UsageError where Slurm refuses."""
        cancel(noted_job(folder)["id"])

    def follow(self, folder: Path) -> int:
        """Show what a run's job prints, from its beginning to its end, and return its exit status."""
        return follow(folder)


def cancel(id_: str) -> None:
    """Cancel a job and wait until it is gone."""
    cluster.ask("scancel", id_)
    until = time.monotonic() + GONE_S
    while (job := cluster.job(id_)) and not job.ended and time.monotonic() < until:
        time.sleep(0.2)


def _submitted(spec: RunSpec) -> str:
    """Submit the run and return the job's id. Leaves nothing where Slurm refuses."""
    from submitit.core.utils import FailedJobError
    from submitit.helpers import clean_env
    from submitit.slurm.slurm import SlurmExecutor

    from labs.launch.slurm.task import NodeTask

    class Executor(SlurmExecutor):
        """submitit's own, but with our script: submitit cannot be asked for its own before it submits."""

        def _make_submission_file_text(self, command: str, uid: str) -> str:
            return script(spec)

    folder = writable(job_folder(spec))
    executor = Executor(str(folder))
    executor.update_parameters(nodes=spec.nodes, ntasks_per_node=1)
    try:
        with clean_env():
            return str(executor.submit(NodeTask(spec)).job_id)
    except FailedJobError as error:
        shutil.rmtree(folder)
        folder.parent.rmdir()
        reasons = [line for line in str(error).splitlines() if line.startswith("sbatch:")] or str(
            error
        ).splitlines()
        raise UsageError(
            f"Slurm refused the job: {reasons[-1].removeprefix('sbatch: error: ')}\nnothing was submitted"
        ) from None


@contextmanager
def _cancelled_by_signals(id_: str) -> Iterator[None]:
    """Cancel the job where this command is ended with Ctrl-C or SIGTERM. When only the connection breaks (SIGHUP), the job goes on."""

    def ended(number: int, frame: Any) -> NoReturn:
        for known in (signal.SIGINT, signal.SIGTERM):
            signal.signal(known, signal.SIG_IGN)
        print(f"cancelling job {id_}", file=sys.stderr)
        cancel(id_)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, ended) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
