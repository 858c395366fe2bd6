"""Run a lab on Slurm, through submitit: one task on each node, which starts that node's ranks in the run's runtime."""

import re
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from pathlib import Path

from labs import presence
from labs.errors import UsageError, no_space
from labs.files import advice, writable
from labs.launch.slurm import cluster, defaults, limits, runtime
from labs.launch.slurm.cancelling import Cancelling, cancel
from labs.launch.slurm.live import ended, follow
from labs.launch.slurm.script import job_folder, job_name, script
from labs.launch.spec import RunSpec, State, Variable, node_starter, note_job, noted_job, shell_line

NO_ANSWER = """\
Slurm did not answer to sbatch in time
should it take the job after all, that finds no files and ends at once: try again later"""


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
            "sbatch_args",
            "detach",
        }
    )
    shares_folder = True

    def why(self) -> str:
        return "a Slurm controller answers here"

    def check(self, spec: RunSpec) -> None:
        with cluster.one_patience():
            limits.check(spec)

    def render(self, spec: RunSpec) -> str:
        """Return the script, and what it will start. Without a cluster to ask, what only one could say is marked as such."""
        spec, unsaid = limits.imagined(spec) if cluster.why_not() else (limits.resolved(spec), [])
        node, first, meet = (Variable(name) for name in ("$SLURM_NODEID", "$FIRST_NODE", "$MEET"))
        task = runtime.wrapped(spec, lambda python: node_starter(spec, python, node, first, "--meet", meet))
        shown = shell_line(task).replace("\n", "\n# ")  # a flag may have several lines
        marked = "".join(
            f"# {line}\n" for line in ["no cluster was asked, and only one could say:", *unsaid] if unsaid
        )
        return f"{script(spec)}\n{marked}# each node's task then starts:\n# {shown}\n"

    def submit(self, spec: RunSpec) -> int:
        overridden = defaults.gives_way(spec.request)
        with cluster.one_patience():
            spec = limits.resolved(spec)
        for sentence in (*overridden, *limits.crowding(spec)):
            print(sentence, file=sys.stderr)
        assert spec.folder is not None
        with Cancelling(job_name(spec)) as cancelling:
            id_ = cancelling.submitted(lambda: _submitted(spec), lambda id_: note_job(spec, id_))
            print(
                f"job {id_}: {spec.nodes} × {spec.procs} processes; its files: {spec.folder}", file=sys.stderr
            )
            if spec.request.detached:
                print(f"go on with: {spec.later_commands}", file=sys.stderr)
                return 0
            return follow(spec.folder)
        return cancelling.status

    def states(self, folders: Sequence[Path]) -> dict[Path, State]:
        """Return what became of the jobs of runs, of today or of an earlier day, by one question for all."""
        ids = {folder: _job_of(folder) for folder in folders}
        try:
            with cluster.one_patience():
                known = cluster.jobs(ids.values())
        except UsageError as error:
            return {folder: State(id_, "unknown", _first_line(error)) for folder, id_ in ids.items()}
        return {folder: _state(folder, id_, known.get(id_)) for folder, id_ in ids.items()}

    def cancel(self, folder: Path) -> None:
        """End the job of a run. Raises UsageError where Slurm refuses, or does not answer."""
        id_ = _job_of(folder)
        if not id_:
            raise UsageError(
                f"{folder.name} has no job yet that could be ended\nlook again with: labs status"
            )
        try:
            with cluster.one_patience():
                cancel(id_)
        except UsageError as error:
            raise UsageError(f"{_first_line(error)}\njob {id_} may go on; try again: labs cancel") from None

    def follow(self, folder: Path) -> int:
        """Show what a run's job prints, from its beginning to its end, and return its exit status."""
        if not _job_of(folder):
            raise UsageError(
                f"{folder.name} has no job yet that could be followed\nlook again with: labs status"
            )
        return follow(folder, insist=False)


def _job_of(folder: Path) -> str:
    """Return the id of a run's job, which only ever is a number; empty where none is noted."""
    id_ = str(noted_job(folder).get("id", ""))
    return id_ if id_.isdecimal() else ""


def _first_line(error: UsageError) -> str:
    return str(error).splitlines()[0]


def _state(folder: Path, id_: str, job: cluster.Job | None) -> State:
    """Return the state of a run from its job's. What ended it is said by its own notes and logs, without asking anybody else."""
    if not id_:
        return _without_job(folder)
    if job is None:
        return State(id_, "unknown", "Slurm's accounting does not answer")
    if not job.ended:
        return State(id_, job.state.lower(), job.waits if job.state == "PENDING" else job.nodes)
    state = ended(folder, job)
    return replace(state, detail="") if job.state == "CANCELLED" else state  # by whom is not known later on


def _without_job(folder: Path) -> State:
    """The state of a run of which no job is noted: it is being submitted, or was never."""
    if presence.is_shown(folder):
        return State("", "being submitted")
    return State("", "never submitted", "its command was killed before", ended=True, status=1)


def _submitted(spec: RunSpec) -> str:
    """Submit the run and return the job's id. Leaves nothing where Slurm refuses."""
    from submitit.core.utils import FailedJobError
    from submitit.slurm.slurm import SlurmExecutor

    from labs.launch.slurm.task import NodeTask

    class Executor(SlurmExecutor):
        """submitit's own, but with our script: submitit cannot be asked for its own before it submits."""

        def _make_submission_file_text(self, command: str, uid: str) -> str:
            return script(spec)

        def _make_submission_command(self, submission_file_path: Path) -> list[str]:
            """In a session of its own, so that a Ctrl-C at the terminal is ours to answer: Slurm may have the job already."""
            return [
                "setsid",
                "--wait",
                "timeout",
                "--signal=KILL",
                f"{cluster.ANSWER_S:g}",
                "sbatch",
                str(submission_file_path),
            ]

    folder, begun = writable(job_folder(spec)), time.monotonic()
    executor = Executor(str(folder))
    executor.update_parameters(nodes=spec.nodes, ntasks_per_node=1)
    try:
        with (
            defaults.passed_on(),
            redirect_stderr(StringIO()),
        ):  # submitit would print sbatch's words a first time
            return str(executor.submit(NodeTask(spec)).job_id)
    except OSError as error:
        if not no_space(error):
            raise
        raise UsageError(
            f"the disk is full: {error.strerror} in {folder}\nnothing was submitted; free some space, or {advice()}"
        ) from None
    except FailedJobError as error:
        shutil.rmtree(folder)
        if not str(error).strip() and time.monotonic() - begun >= cluster.ANSWER_S:
            raise UsageError(NO_ANSWER) from None
        raise UsageError(f"Slurm refused the job: {_refusal(str(error))}\nnothing was submitted") from None


def _refusal(said: str) -> str:
    """Return what sbatch said, without its own name, in one line: the limit's name stands above the general sentence."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    spoken = [line for line in lines if line.startswith("sbatch:")] or lines[-1:] or ["it gave no reason"]
    return "; ".join(dict.fromkeys(re.sub(r"^sbatch: (error: |fatal: )?", "", line) for line in spoken))
