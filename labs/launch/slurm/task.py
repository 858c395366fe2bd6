"""What submitit runs on each node: the node starter, with its output in two files of the run folder that anybody can follow."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import submitit

from labs.files import write_whole
from labs.launch.slurm import runtime
from labs.launch.slurm.script import job_folder
from labs.launch.spec import RunSpec, node_starter

FIRST_PORT, PORTS = 20000, 10000  # below what Linux gives out by itself (32768 up)
AFTER_FAILURE_S = 3.0  # a task's failure ends the others at once: time for their ranks to say what they saw


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
        command = self.command(str(here.node), here.hostnames[0], port_of(here.job_id))
        status = self._run(command, folder / f"node{here.node}")
        write_whole(note, json.dumps({"host": here.hostname, "status": status, "ended": time.time()}))
        if status:
            time.sleep(AFTER_FAILURE_S)
        sys.exit(status)

    def command(self, node: str, master: str, port: str) -> list[str]:
        """Return what this node starts, in the run's runtime."""
        return runtime.wrapped(self.spec, lambda python: node_starter(self.spec, python, node, master, port))

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
            code = starter.wait()
        return code if code >= 0 else 128 - code


def port_of(job_id: str) -> str:
    """Return the port at which rank 0 waits: another for each job that may share its node."""
    return str(FIRST_PORT + int(job_id) % PORTS)


def _say(where: int, text: str) -> Any:
    return os.write(where, f"{text}\n".encode())
