"""Labs that train go on from their last checkpoint, whatever has ended the attempt before, and lose nothing."""

import json
import re
import time

import pytest

from scripts.slurm_cluster.cluster import Cluster
from tests.cluster.desk import SOON_S, Desk, Started, until

TRAINS_LONG = ("--train-steps", "300", "--every", "10", "--pause", "0.05")
NOTICED_S = 60.0  # SlurmdTimeout=10 here, and Slurm's own polls
LAB_S = 300.0  # a guard against hangs


@pytest.mark.parametrize("number", [43, 44])
def test_training_outlives_a_requeue_a_preemption_and_a_nodes_death(
    ada: Desk, cluster: Cluster, number: int
) -> None:
    run = ada.begin_labs("run", str(number), "--nodes", "2", "--qos", "low", "--smoke", "--", *TRAINS_LONG)
    try:
        for strike in (_requeued, _preempted, _bereft_of_a_node):
            _makes_a_new_checkpoint(ada, number)
            strike(ada, cluster, run)
            _may_begin_at_once(ada, cluster, run)
        ended = run.ended(LAB_S)
    finally:
        for node in cluster.nodes:
            if not node.up:
                cluster.start_node(node)
    assert ended.status == 0, _all_that_is_known(ada, cluster, run, number)
    record = json.loads((ada.runs(number)[-1] / "run.json").read_text())
    steps = [int(step) for step in re.findall(r"resumed from step (\d+)", ended.out)]
    assert steps == sorted({*steps} - {0})
    assert (len(steps), record["resumed"]) == (3, steps[-1])
    verdicts = {claim["id"]: claim["verdict"] for claim in record["claims"]}
    assert (verdicts[f"{number}.same"], verdicts[f"{number}.repeated"]) == ("held", "held")
    ada.nothing_left()


def _all_that_is_known(ada: Desk, cluster: Cluster, run: Started, number: int) -> str:
    """Return what the run has said, what its attempts left in the job's own logs, and what the controller noted of the job."""
    logs = [path.read_text() for path in sorted(ada.runs(number)[-1].glob("slurm/*_log.err"))]
    noted = (cluster.controller.log / "slurmctld.log").read_text().splitlines()
    return "\n".join([run.out, run.err, *logs, *(line for line in noted if f"JobId={run.job}" in line)])


def _requeued(ada: Desk, cluster: Cluster, run: Started) -> None:
    ada.slurm("scontrol", "requeue", run.job)


def _preempted(ada: Desk, cluster: Cluster, run: Started) -> None:
    first = ada.begin("wait:3", nodes=3, qos="high", memory="3900M")
    run.says("was requeued, since it had to make room", NOTICED_S)
    run.says("Slurm says that this job ends soon")
    assert first.ended(60).status == 0


def _bereft_of_a_node(ada: Desk, cluster: Cluster, run: Started) -> None:
    """Kill its last node, which stays away: the next attempt needs another one."""
    taken = re.findall(r"\bNodeList=(\S+)", ada.slurm("scontrol", "show", "job", run.job))[-1]
    node = cluster.node(ada.slurm("scontrol", "show", "hostnames", taken).split()[-1])
    node.kill()
    run.says(f"was requeued, since {node.name} failed", NOTICED_S)


def _makes_a_new_checkpoint(ada: Desk, number: int) -> None:
    """Wait until the run has one more checkpoint than it has now."""
    newest = _newest(ada, number)
    until(
        lambda: _newest(ada, number) > newest,
        "a new checkpoint",
        LAB_S,
        lambda: "".join(one.out + one.err for one in ada.started),
    )


def _newest(ada: Desk, number: int) -> int:
    found = [
        int(place.name.removeprefix("step-"))
        for run in ada.runs(number)[-1:]
        for place in run.glob("checkpoints/step-*")
    ]
    return max(found, default=0)


def _may_begin_at_once(ada: Desk, cluster: Cluster, run: Started) -> None:
    """Begin a requeued job's next attempt. Slurm would let it wait for two minutes first.

    It does so for a reason: what it still kills of the attempt before it finds by the job's id, which the next one has too.
    So that attempt has to be over for everybody, and for longer than the whole second in which Slurm counts.
    """
    until(lambda: ada.state(run.job) == "PENDING", "the job waits again")
    ada.nothing_left()
    until(
        lambda: _states(cluster) <= {"idle", "down", "down*"},
        "no node completes a job",
        SOON_S,
        lambda: str(_states(cluster)),
    )
    time.sleep(2)
    ada.slurm("scontrol", "update", f"jobid={run.job}", "starttime=now")


def _states(cluster: Cluster) -> set[str]:
    """Return the states of all nodes, each once."""
    return set(cluster.controller.run("sinfo", "-h", "-N", "-p", "lab", "-o", "%T").stdout.split())
