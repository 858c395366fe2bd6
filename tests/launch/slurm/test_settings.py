"""What Slurm's variables are: a person's own, or those of a job around the command. On a real cluster: tests/cluster/test_wishes.py."""

import pytest

from labs.launch.slurm import cluster, settings

# As seen in the environment of real ones, of Slurm 22.05.
OF_SRUN = """SLURM_PRIO_PROCESS SLURM_UMASK SLURM_CLUSTER_NAME SLURM_SUBMIT_DIR SLURM_SUBMIT_HOST SLURM_JOB_NAME SLURM_JOB_CPUS_PER_NODE
    SLURM_NTASKS SLURM_NPROCS SLURM_DISTRIBUTION SLURM_JOB_ID SLURM_JOBID SLURM_STEP_ID SLURM_STEPID SLURM_NNODES SLURM_JOB_NUM_NODES
    SLURM_NODELIST SLURM_JOB_PARTITION SLURM_TASKS_PER_NODE SLURM_JOB_UID SLURM_JOB_USER SLURM_JOB_ACCOUNT SLURM_JOB_QOS
    SLURM_WORKING_CLUSTER SLURM_JOB_NODELIST SLURM_STEP_NODELIST SLURM_STEP_NUM_NODES SLURM_STEP_NUM_TASKS SLURM_STEP_TASKS_PER_NODE
    SLURM_STEP_LAUNCHER_PORT SLURM_SRUN_COMM_PORT SLURM_SRUN_COMM_HOST SLURM_TOPOLOGY_ADDR SLURM_TOPOLOGY_ADDR_PATTERN
    SLURM_CPUS_ON_NODE SLURM_CPU_BIND SLURM_CPU_BIND_LIST SLURM_CPU_BIND_TYPE SLURM_CPU_BIND_VERBOSE SLURM_TASK_PID SLURM_NODEID
    SLURM_PROCID SLURM_LOCALID SLURM_LAUNCH_NODE_IPADDR SLURM_GTIDS SLURM_JOB_GID SLURMD_NODENAME"""
OF_SALLOC = """SLURM_SUBMIT_DIR SLURM_SUBMIT_HOST SLURM_JOB_ID SLURM_JOB_NAME SLURM_JOB_NUM_NODES SLURM_JOB_NODELIST SLURM_NODE_ALIASES
    SLURM_JOB_PARTITION SLURM_JOB_CPUS_PER_NODE SLURM_MEM_PER_NODE SLURM_JOBID SLURM_NNODES SLURM_NODELIST SLURM_TASKS_PER_NODE
    SLURM_JOB_ACCOUNT SLURM_JOB_QOS SLURM_CLUSTER_NAME"""
A_PERSONS = {
    "SLURM_CONF": "/home/ada/copy/slurm.conf",
    "SLURM_CLUSTERS": "other",
    "SLURM_JWT": "token",
    "SLURM_CONF_SERVER": "ctl",
    "SLURM_TIME_FORMAT": "relative",
    "SLURM_SITES_OWN_PLUGIN": "1",
}


@pytest.mark.parametrize("job", ["", OF_SRUN, OF_SALLOC], ids=["no job", "srun", "salloc"])
def test_a_persons_settings_hold_for_questions_and_jobs_and_a_jobs_own_do_not(job: str) -> None:
    around = {**A_PERSONS, "PATH": "/bin", **dict.fromkeys(job.split(), "7")}
    assert settings.for_questions(around) == {**A_PERSONS, "PATH": "/bin"}
    assert settings.for_jobs(around) == A_PERSONS


@pytest.mark.parametrize("name", sorted(settings.PERHAPS_OF_A_JOB))
def test_what_may_be_either_is_the_jobs_inside_one(name: str) -> None:
    assert settings.for_jobs({name: "1"}) == {name: "1"}
    assert settings.for_jobs({name: "1", "SLURM_JOB_ID": "7"}) == {}


def test_how_a_step_starts_is_the_launchers_to_say() -> None:
    assert settings.for_jobs(dict.fromkeys(settings.OF_A_STEP, "1")) == {}


def test_a_taste_in_lists_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEUE_PARTITION", "other")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CONF", "/etc/own.conf")
    seen = cluster.ask("env")
    assert "SLURM_CONF=/etc/own.conf" in seen
    assert "SQUEUE_PARTITION" not in seen
    assert "SLURM_JOB_ID" not in seen
