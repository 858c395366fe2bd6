"""People beside one another: nobody reads, ends or overwrites what is another's."""

from collections.abc import Callable

from tests.cluster.desk import Desk


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
