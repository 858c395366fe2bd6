"""What submitit runs on each node: the node starter, with its output in two files of the run folder that anybody can follow."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import submitit

from labs.errors import UsageError
from labs.files import write_whole
from labs.launch.closing import close
from labs.launch.slurm import runtime
from labs.launch.slurm.script import job_folder
from labs.launch.spec import RunSpec, node_starter, note_job

LOOK_S = 2.0  # how often a task looks whether it still has a parent
AFTER_FAILURE_S = 6.0  # a task's failure ends the others at once: time for their ranks to say what they saw


@dataclass
class NodeTask:
    """One node's part of a run. It ends with the node starter's own status."""

    spec: RunSpec
    _warned: bool = field(default=False, repr=False)

    def __call__(self) -> NoReturn:
        here = submitit.JobEnvironment()
        folder = job_folder(self.spec)
        note = folder / f"node{here.node}.json"
        note.unlink(missing_ok=True)  # of an attempt before a requeue
        assert self.spec.folder is not None
        if here.node == 0:
            # For a command that was killed as it submitted; and an end that was noted before a requeue was none.
            with suppress(UsageError):  # a full disk is told by what cannot do without it
                note_job(self.spec, str(here.job_id))
        command = self.command(str(here.node), here.hostnames[0], meeting_of(folder, here.job_id))
        status = self._run(command, folder / f"node{here.node}")
        told = {"host": here.hostname, "status": status, "ended": time.time(), "restarts": restarts()}
        write_whole(note, json.dumps(told))
        if here.node == 0:
            close(self.spec.folder, status)  # for a starter that was killed
        if status:
            time.sleep(AFTER_FAILURE_S)
        sys.exit(status)

    def command(self, node: str, master: str, meet: str) -> list[str]:
        """Return what this node starts, in the run's runtime."""
        return runtime.wrapped(
            self.spec, lambda python: node_starter(self.spec, python, node, master, "--meet", meet)
        )

    def _run(self, command: list[str], files: Path) -> int:
        """Run the starter and return its status. submitit's own handlers are replaced: they would requeue, or give up, on SIGUSR2."""
        with files.with_suffix(".out").open("ab") as out, files.with_suffix(".err").open("ab") as err:
            # What is ignored stays ignored in all that is started: the warning reaches every process of the step, and would kill it.
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            starter = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            signal.signal(
                signal.SIGUSR2,
                lambda *_: _say(
                    err.fileno(),
                    "Slurm says that this job ends soon: its time is up, or another one goes first",
                ),
            )
            signal.signal(signal.SIGTERM, lambda *_: starter.terminate())
            code = _end_of(starter)
        return code if code >= 0 else 128 - code


def _end_of(starter: subprocess.Popen[bytes]) -> int:
    """Return how the starter ends. It is ended with the step's daemon, this task's parent: nobody else would end it any more."""
    daemon = os.getppid()
    while True:
        try:
            return starter.wait(timeout=LOOK_S)
        except subprocess.TimeoutExpired:
            if os.getppid() != daemon:
                starter.terminate()


def meeting_of(folder: Path, job_id: str) -> str:
    """Return the file in which node 0 says its port: another for each start of the job, since a requeued one keeps its number."""
    return str(folder / f"port-{job_id}-{restarts()}")


def restarts() -> int:
    """Return how often Slurm has begun this job anew."""
    return int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def _say(where: int, text: str) -> Any:
    return os.write(where, f"{text}\n".encode())
