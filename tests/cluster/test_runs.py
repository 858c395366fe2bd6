"""Labs on the cluster, as a participant runs them: submitted, followed, left alone and found again."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.slurm_cluster import daemons
from scripts.slurm_cluster.cluster import Cluster
from tests import classes
from tests.cluster.desk import Desk, until
from tests.solutions import solved

LAB_S = 400.0  # a guard against hangs


@pytest.mark.parametrize("number", classes.labs())
def test_a_lab_runs_and_its_claims_hold(
    ada: Desk, number: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("lab", number)
    nodes = classes.nodes_of(number)
    ended = ada.labs("run", str(number), "--nodes", str(nodes), "--smoke", limit_s=LAB_S)
    assert ended.status == 0, ended
    assert "launcher: slurm (a Slurm controller answers here)" in ended.err
    assert re.search(r"job \d+: .* its files: /home/ada/labs/runs/", ended.err)
    assert re.search(r"\d+ held", ended.out)
    assert re.findall(r".*(?:\[W|Warning).*", ended.err) == []
    record = json.loads((ada.runs(number)[-1] / "run.json").read_text())
    assert (record["lab"], record["launcher"], record["nodes"]) == (number, "slurm", nodes)
    assert record["status"] in ("held", "passed", "ok"), record["status"]
    assert len({rank["host"] for rank in record["ranks"]}) == nodes
    assert all(rank["host"].startswith("node") for rank in record["ranks"])


def test_make_on_the_login_node(ada: Desk) -> None:
    ended = ada.start("make", "-o", ".venv/.stamp", "lab-01", "SMOKE=1").ended(LAB_S)
    assert ended.status == 0, ended
    assert "launcher: slurm" in ended.err


def test_what_ranks_print_is_seen_while_they_run_and_marked(ada: Desk) -> None:
    run = ada.begin("tick:20")
    run.says("tick 0 of rank 0")
    run.says(r"\[node1 rank 1\] tick 0 of rank 1")
    assert ada.state(run.job) == "RUNNING"
    assert re.search(r"^tick 0 of rank 0$", run.out, re.MULTILINE), "rank 0 speaks on stdout, unmarked"


def test_a_detached_run_is_found_again_from_any_shell(ada: Desk) -> None:
    begun = ada.begin("tick:6", detach="1")
    ended = begun.ended()
    assert ended.status == 0
    assert "labs status 99" in ended.err
    ada.ranks(2)
    said = ada.labs("status")
    assert (said.status, f"{begun.job} running: node[1-2]" in said.out) == (0, True), said
    followed = ada.labs("logs", "99", limit_s=60)
    assert followed.status == 0
    assert "tick 11 of rank 0" in followed.out
    assert "tick 11 of rank 1" in ada.labs("logs", "99", "1").out
    assert "completed" in ada.labs("status", "99").out
    assert "no run of yours" in ada.labs("status").out


def test_a_detached_run_is_cancelled_from_another_shell(ada: Desk) -> None:
    begun = ada.begin("stay", detach="1")
    begun.ended()
    ada.ranks(2)
    assert "is cancelled" in ada.labs("cancel", "99").out
    assert ada.state(begun.job) == "CANCELLED"
    again = ada.labs("cancel", "99")
    assert (again.status, "has ended already" in again.err) == (2, True)
    ada.nothing_left()


def test_a_run_of_an_earlier_day_is_still_known(ada: Desk, cluster: Cluster) -> None:
    """The controller forgets jobs after some minutes; the accounting does not."""
    begun = ada.begin("end:3:all")
    assert begun.ended().status == 3
    until(
        lambda: "FAILED" in ada.slurm("sacct", "-n", "-X", "-j", begun.job, "-o", "State"), "the accounting"
    )
    ada.forget_jobs()
    daemons.wait_idle(cluster.controller, cluster.nodes)
    assert "nvalid job id" in cluster.controller.run("scontrol", "show", "job", begun.job).stderr
    assert f"{begun.job} failed" in ada.labs("status", "99").out
    assert ada.labs("logs", "99").status == 3


def test_the_list_shows_how_the_last_run_ended(ada: Desk) -> None:
    ada.labs("run", "1", "--smoke", limit_s=LAB_S)
    line = next(line for line in ada.labs("list").out.splitlines() if line.startswith("  01"))
    assert not line.endswith("not run yet"), line


def test_a_learners_file_is_judged_on_the_cluster(ada: Desk) -> None:
    assert ada.labs("exercise", "43").status == 0
    (ada.home / "labs" / "work" / "lab43.py").write_text(solved(43))
    # Two ranks are too few for one of the exercises. A pass counts though nobody followed.
    assert ada.labs("check", "43", "--nodes", "3", "--smoke", "--detach", "1", limit_s=LAB_S).status == 0
    ended = ada.labs("logs", "43", limit_s=LAB_S)
    assert ended.status == 0, ended
    assert ended.out.count(" passed") == 3
    assert ada.labs("show", "43").out.count("(passed)") == 3


def test_preflight_meets_on_all_nodes(ada: Desk) -> None:
    ended = ada.labs("preflight", "--launcher", "slurm", "--nodes", "2", "--json", limit_s=60)
    assert ended.status == 0, ended
    assert {"node1", "node2"} <= set(re.findall(r"node\d", ended.out))


def test_preflight_reports_what_the_job_may_have(ada: Desk) -> None:
    ended = ada.labs("preflight", "--launcher", "slurm", "--memory", "1500M", "--json", limit_s=60)
    assert ended.status == 0, ended
    (rank,) = json.loads(ended.out)["ranks"]
    assert rank["memory"] < rank["memory_limit"] == 1500 * 2**20


def test_a_login_node_without_torch_can_submit(ada: Desk, cluster: Cluster) -> None:
    torch = Path(sys.prefix).resolve().glob("lib/python*/site-packages/torch")
    hidden = str(next(torch))
    cluster.login.ask("mount", "-t", "tmpfs", "tmpfs", hidden)
    try:
        assert cluster.login.run(sys.executable, "-c", "import torch; torch.ones(1)").returncode == 1
        ended = ada.labs("run", "1", "--smoke", limit_s=LAB_S)
    finally:
        cluster.login.ask("umount", hidden)
    assert ended.status == 0, ended
