"""People beside one another: nobody reads, ends or overwrites what is another's."""

import json
import sys
from collections.abc import Callable

from tests.cluster.desk import Desk, until
from tests.contract.reading import lesson_of

# What a stranger runs: they reach rank 0's store, and write code in the place of what rank 1 says of each claim.
ATTACK = """
import os, pickle, sys, time
from datetime import timedelta
import torch.distributed as dist

class Bomb:
    def __reduce__(self):
        return os.mkdir, ("/tmp/exploded",)

store = dist.TCPStore(sys.argv[1], int(sys.argv[2]), timeout=timedelta(seconds=60))
print("connected", flush=True)
while True:
    for key in sys.argv[3:]:
        store.set(key, pickle.dumps(Bomb()).hex())
"""


def test_nobody_ends_reads_or_follows_anothers_run(ada: Desk, desk_of: Callable[[str], Desk]) -> None:
    bob = desk_of("bob")
    run = ada.begin("tick:15")
    ada.ranks(2)
    folder = f"/home/ada/labs/runs/lab99/{ada.runs()[-1].name}"
    for words in (
        ["cat", f"{folder}/job.json"],
        ["ls", folder],
        ["touch", f"{folder}/x"],
        ["scancel", run.job],
    ):
        assert bob.start(*words).ended().status != 0, words
    for words in (["cancel", folder], ["logs", folder], ["status", folder], ["cancel", "99"]):
        refused = bob.labs(*words)
        assert (refused.status, len(refused.err.splitlines()) <= 3, "Traceback" in refused.err) == (
            2,
            True,
            False,
        ), refused
        refused = bob.labs(*words, LABS_HOME="/home/ada/labs")
        assert (refused.status, len(refused.err.splitlines()) <= 3, "Traceback" in refused.err) == (
            2,
            True,
            False,
        ), refused
    assert ada.state(run.job) == "RUNNING"
    assert run.ended().status == 0


def test_two_people_run_the_same_lab_on_the_same_nodes(ada: Desk, desk_of: Callable[[str], Desk]) -> None:
    bob = desk_of("bob")
    first, second = ada.begin("wait:4", nodes=3, cpus="1"), bob.begin("wait:4", nodes=3, cpus="1")
    for desk in (ada, bob):
        ranks = desk.ranks(3)
        assert {rank["environment"]["USER"] for rank in ranks} == {desk.person.name}
    assert (first.ended().status, second.ended().status) == (0, 0)


def test_runs_are_for_their_owner_alone(ada: Desk) -> None:
    ada.begin("note").ended()
    assert oct(ada.runs()[-1].stat().st_mode & 0o777) == "0o700"


def test_who_reaches_the_nodes_over_the_network_gets_no_code_into_a_run(
    ada: Desk, desk_of: Callable[[str], Desk]
) -> None:
    bob = desk_of("bob")
    run = ada.begin_labs("run", "43", "--nodes", "2", "--smoke")
    run.says(r"job \d+")
    until(lambda: any(ada.runs(43)[-1].glob("slurm/port-*")), "node 0's port", 120)
    (file,) = ada.runs(43)[-1].glob("slurm/port-*")
    claims = [f"labs-0/claim {id_}/1/1" for id_ in lesson_of(43).sentences]
    attack = bob.start(sys.executable, "-c", ATTACK, "node1", file.read_text().strip(), *claims)
    attack.says("connected", 120)
    ended = run.ended(400)
    attack.send(9)
    assert ended.status == 1, ended
    assert "somebody else reached its ranks over the network" in ended.err
    assert "Traceback" not in ended.err
    assert json.loads((ada.runs(43)[-1] / "run.json").read_text())["status"] == "broke"
    for node in ada.cluster.nodes:
        assert node.run("ls", "-d", "/tmp/exploded").returncode != 0
