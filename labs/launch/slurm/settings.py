"""Slurm's variables: what a person has set for Slurm holds for all that we ask and submit, what a job has set does not."""

from collections.abc import Mapping

# What Slurm sets in a job, by the beginnings of its names (sbatch, salloc and srun: "output environment variables"). SLURM_CONF, which
# it sets too, is not among them: there it is what the person began the job with.
OF_A_JOB = (
    "SLURM_ARRAY_", "SLURM_CLUSTER_NAME", "SLURM_CONTAINER", "SLURM_CPU", "SLURM_DIST", "SLURM_GPU", "SLURM_GTIDS", "SLURM_HET_",
    "SLURM_JOB", "SLURM_LAUNCH_", "SLURM_LOCALID", "SLURM_MEM_", "SLURM_NNODES", "SLURM_NODE", "SLURM_NPROCS", "SLURM_NTASKS",
    "SLURM_PACK_", "SLURM_PMI", "SLURM_PRIO_PROCESS", "SLURM_PROCID", "SLURM_PROFILE", "SLURM_RESTART_COUNT", "SLURM_RESV_PORTS",
    "SLURM_RLIMIT_", "SLURM_SCRIPT_CONTEXT", "SLURM_SHARDS_", "SLURM_SRUN_", "SLURM_STEP", "SLURM_SUBMIT_", "SLURM_TASK",
    "SLURM_TOPOLOGY_", "SLURM_TRES_", "SLURM_WORKING_CLUSTER", "SLURMD_",
)  # fmt: skip
# A job has set these as well where it was asked to, and then they are its own.
PERHAPS_OF_A_JOB = {"SLURM_HINT", "SLURM_NETWORK", "SLURM_THREADS_PER_CORE", "SLURM_UMASK"}
# Of srun, in a job that we submit: how its one step is started is decided by the launcher.
OF_A_STEP = {
    "SLURM_ACCOUNT", "SLURM_BCAST", "SLURM_COMPRESS", "SLURM_CONSTRAINT", "SLURM_EPILOG", "SLURM_EXACT", "SLURM_EXCLUSIVE",
    "SLURM_EXPORT_ENV", "SLURM_EXTRA_NODE_INFO", "SLURM_GRES", "SLURM_IMMEDIATE", "SLURM_KILL_BAD_EXIT", "SLURM_LABELIO",
    "SLURM_MPI_TYPE", "SLURM_MULTI_PROG", "SLURM_NO_KILL", "SLURM_OPEN_MODE", "SLURM_OVERCOMMIT", "SLURM_OVERLAP", "SLURM_PARTITION",
    "SLURM_PROLOG", "SLURM_PTY", "SLURM_QOS", "SLURM_REMOTE_CWD", "SLURM_RESERVATION", "SLURM_STDERRMODE", "SLURM_STDINMODE",
    "SLURM_STDOUTMODE", "SLURM_THREADS", "SLURM_TIMELIMIT", "SLURM_UNBUFFEREDIO", "SLURM_USE_MIN_NODES", "SLURM_WAIT", "SLURM_WHOLE",
    "SLURM_WORKING_DIR",
}  # fmt: skip
# How a person likes to see lists, and which part of them: our questions say that themselves.
OF_LISTS = ("SACCT_", "SCANCEL_", "SCONTROL_", "SINFO_", "SQUEUE_")


def for_questions(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which Slurm is asked: of the same cluster that a job would go to, and about all of it."""
    return {
        name: value
        for name, value in environment.items()
        if not (name.startswith(OF_LISTS) or _is_of_a_job(name, environment))
    }


def for_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables named SLURM_… that sbatch, and the job, are to see."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("SLURM_") and name not in OF_A_STEP and not _is_of_a_job(name, environment)
    }


def _is_of_a_job(name: str, environment: Mapping[str, str]) -> bool:
    return name.startswith(OF_A_JOB) or ("SLURM_JOB_ID" in environment and name in PERHAPS_OF_A_JOB)
