"""The batch script of a run, as text. Nothing here talks to a cluster."""

import shlex
import sys
from pathlib import Path

from labs.launch.slurm import sbatch_args
from labs.launch.spec import RunSpec

WARNED_S = 60  # so long before its end a job gets SIGUSR2; submitit's default would be 90
OPTIONAL = {
    "memory": "mem",
    "cpus": "cpus-per-task",
    "partition": "",
    "account": "",
    "qos": "",
    "reservation": "",
    "constraint": "",
}


def job_folder(spec: RunSpec) -> Path:
    """Return the folder in which submitit, Slurm and the nodes keep their files."""
    assert spec.folder is not None
    return spec.folder / "slurm"


def job_name(spec: RunSpec) -> str:
    """Return what squeue shows as the job's name."""
    return f"lab{spec.lab:02d}" if spec.lab else "preflight"


def script(spec: RunSpec) -> str:
    """Return what sbatch gets: one task on each node, which starts that node's ranks."""
    folder = job_folder(spec)
    flags = {
        "job-name": job_name(spec),
        "nodes": str(spec.nodes),
        "ntasks-per-node": "1",
        "time": spec.request.time,
        "signal": f"USR2@{WARNED_S}",
        "open-mode": "append",  # a requeued job goes on in the same files
        "output": f"{_literal(folder)}/%j_0_log.out",
        "error": f"{_literal(folder)}/%j_0_log.err",
        **{option or wish: getattr(spec.request, wish) for wish, option in OPTIONAL.items()},
        "gpus-per-node": "" if spec.gpus in ("0", "auto") else spec.gpus,
    }
    lines = [f"#SBATCH --{name}={shlex.quote(value)}" for name, value in flags.items() if value]
    further = (
        [f"#SBATCH {shlex.join(sbatch_args.words(spec.request.sbatch_args))}"]
        if spec.request.sbatch_args
        else []
    )
    # Not every site hides from a job the GPUs that it has not asked for.
    no_gpus = ["export CUDA_VISIBLE_DEVICES="] if spec.gpus == "0" else []
    return "\n".join(
        [
            "#!/bin/bash",
            *lines,
            "#SBATCH --requeue",
            *further,
            "",
            "export SUBMITIT_EXECUTOR=slurm",
            *no_gpus,
            _srun(spec),
            "",
        ]
    )


def _srun(spec: RunSpec) -> str:
    """The last command of the script, so that its exit code is the job's: nothing may stand behind it."""
    folder = job_folder(spec)
    options = [
        "--unbuffered",
        "--cpu-bind=none",  # else, where a site binds tasks, all ranks would sit on one core: srun inherits no --cpus-per-task
        "--kill-on-bad-exit=1",
        f"--output={_literal(folder)}/%j_%t_log.out",
        f"--error={_literal(folder)}/%j_%t_log.err",
    ]
    return shlex.join(["srun", *options, sys.executable, "-u", "-m", "submitit.core._submit", str(folder)])


def _literal(folder: Path) -> str:
    """Return a folder as it stands in a pattern of Slurm's, where % begins a code such as %j."""
    return str(folder).replace("%", "%%")
