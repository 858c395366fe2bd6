"""A person's own settings of Slurm, and a job's around the command: asked and submitted is with the same, and never with a job's."""

from pathlib import Path

from tests.cluster.desk import Desk, until

RUN = ".venv/bin/labs run 1 --smoke"


def test_a_copy_of_slurms_configuration_serves_for_questions_and_for_the_job(ada: Desk) -> None:
    copy = "mkdir -p ~/copy && cp /etc/slurm/slurm.conf ~/copy/ && export SLURM_CONF=~/copy/slurm.conf"
    ended = ada.start("bash", "-c", f"{copy} && sinfo -h && {RUN}").ended(200)
    assert ended.status == 0, ended


def test_inside_an_allocation_the_persons_settings_stay_and_the_jobs_go(ada: Desk) -> None:
    """salloc sets the new job's size, memory and cluster, and SLURM_CONF as it found it itself."""
    command = f"SLURM_CONF=~/copy/slurm.conf {RUN} --launcher slurm"
    prepare = "mkdir -p ~/copy && cp /etc/slurm/slurm.conf ~/copy/"
    ended = ada.start("bash", "-c", f"{prepare} && salloc -N2 --mem=300M bash -c '{command}'").ended(200)
    assert ended.status == 0, ended


def test_a_taste_in_lists_changes_neither_what_is_known_nor_what_ends(ada: Desk) -> None:
    taste = {
        "SQUEUE_PARTITION": "solo", "SQUEUE_STATES": "PD", "SQUEUE_FORMAT": "%i", "SINFO_PARTITION": "solo", "SINFO_FORMAT": "%R",
        "SACCT_FORMAT": "JobID", "SCANCEL_PARTITION": "solo", "SCANCEL_INTERACTIVE": "1",
    }  # fmt: skip
    run = ada.begin("stay", detach="1", environment=taste)
    assert run.ended().status == 0, run.err
    until(lambda: ada.state(run.job) == "RUNNING", "it runs")
    assert " running: node" in ada.begin_labs("status", **taste).ended().out
    ended = ada.begin_labs("cancel", run.job, **taste).ended()
    assert (ended.status, "is cancelled" in ended.out) == (0, True), ended
    assert ada.state(run.job) == "CANCELLED"


def test_how_srun_starts_a_persons_steps_is_no_matter_to_a_labs(ada: Desk) -> None:
    strange = {
        "SLURM_EXPORT_ENV": "NONE", "SLURM_LABELIO": "1", "SLURM_TIMELIMIT": "0:01", "SLURM_MULTI_PROG": "1",
        "SLURM_REMOTE_CWD": "/nowhere", "SLURM_CONSTRAINT": "none",
    }  # fmt: skip
    run = ada.begin("wait:2", environment=strange)
    assert run.ended().status == 0, run.err
    assert len(ada.ranks(2)) == 2


def test_other_pythons_settings_do_not_reach_the_nodes(ada: Desk) -> None:
    astray = ada.home / "astray"
    astray.mkdir()
    for name in ("typing_extensions", "random", "submitit"):
        (astray / f"{name}.py").write_text("raise SystemExit('a file of the person was imported')\n")
    own = f"{ada.person.home}/{astray.name}"
    labs = f"{Path.cwd()}/.venv/bin/labs"
    command = f"cd {own} && {labs} run 1 --smoke"
    ended = ada.start("bash", "-c", command, PYTHONPATH=own, PYTHONHOME="/nowhere", PYTHONINSPECT="1").ended(
        200
    )
    assert ended.status == 0, ended


def test_preflight_in_an_allocation_of_two_nodes_does_not_call_the_login_node_two(ada: Desk) -> None:
    words = ("salloc", "-N2", "--mem=500M", ".venv/bin/labs", "preflight", "--nodes", "2")
    ended = ada.start(*words).ended(120)
    assert (ended.status, "this shell is not on one of them (login)" in ended.err) == (2, True), ended
    assert "no Slurm" not in ended.err
    ended = ada.start(*words, "--launcher", "local").ended(120)
    assert "on 2 nodes (all on this one host, login: no network was tried)" in ended.out, ended


def test_a_preflight_that_was_left_alone_is_found_again(ada: Desk) -> None:
    ended = ada.labs("preflight", "--nodes", "2", "--detach", "1", limit_s=60)
    assert ended.status == 0, ended
    assert "labs logs preflight" in ended.err
    ended = ada.labs("logs", "preflight", limit_s=120)
    assert "ready" in ended.out, ended
    assert ada.labs("status", "preflight").out.startswith("preflight-")
