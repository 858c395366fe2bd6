"""The docker launcher on a real engine: what a node's container may do and have, and how a run ends, whatever happens to it."""

import os
import signal
from types import ModuleType

import pytest

from labs.files import read_json
from tests.images.stage import Stage

MIB = 2**20
PERSON = 20001  # anybody: no name, no home, no rights


@pytest.fixture(params=["docker", "podman"])
def stage(request: pytest.FixtureRequest, harness: ModuleType) -> Stage:
    found: Stage = request.getfixturevalue("stage" if request.param == "docker" else "podman_stage")
    return found


def test_a_container_has_what_was_asked_for_and_no_right_more(stage: Stage) -> None:
    ended = stage.ended(stage.start("facts", "memory=300m", "cpus=1", "shm=96m", procs=2))
    assert ended.status == 0, ended.err
    facts = stage.facts(4)
    assert [fact["host"] for fact in facts] == ["node0", "node0", "node1", "node1"]
    assert len({fact["master"] for fact in facts if fact["host"] == "node1"}) == 1
    for fact in facts:
        assert fact["ids"] == [os.getuid(), os.getgid()]
        assert fact["init"] == "tini"
        assert fact["capabilities"] == 0
        assert (fact["no_new_privileges"], fact["seccomp"]) == ("1", "2")
        assert fact["memory"] == str(300 * MIB)
        assert fact["cpus"] == "100000"  # of every 100,000 microseconds
        assert fact["shm"] == 96 * MIB
        assert fact["threads"] == "1"
        assert fact["file"].startswith(str(stage.checkout))  # the checkout's labs, not the image's
        assert set(fact["writes"].values()) == {"yes", "Read-only file system"}
        assert fact["writes"]["/tmp"] == "yes"
    assert stage.left() == ""


def test_one_node_has_no_network(stage: Stage) -> None:
    ended = stage.ended(stage.start("facts", nodes=1))
    assert ended.status == 0, ended.err
    (fact,) = stage.facts(1)
    assert (fact["interfaces"], fact["master"]) == (["lo"], "127.0.0.1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.usefixtures("engine_for_all")
@pytest.mark.parametrize("stage", ["docker"], indirect=True)  # podman would have to run without root
def test_files_belong_to_the_person_who_ran_it(stage: Stage) -> None:
    stage.open_to_all()
    stage.home.mkdir()
    os.chown(stage.home, PERSON, PERSON)
    ended = stage.ended(stage.start("facts", user=PERSON))
    assert ended.status == 0, ended.err
    assert [fact["ids"] for fact in stage.facts(2)] == [[PERSON, PERSON]] * 2
    assert {path.stat().st_uid for path in stage.run_folder.rglob("*")} == {PERSON}
    assert [fact["name"] for fact in stage.facts(2)] == ["labs"] * 2


def test_output_comes_live_marked_by_node_and_rank(stage: Stage) -> None:
    process = stage.start("wait")
    assert process.stderr is not None
    marked = next(line for line in process.stderr if "rank 1" in line)
    assert marked == "[node1 rank 1] rank 1 is there\n"
    assert process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all(stage: Stage, number: signal.Signals) -> None:
    process = stage.start("wait")
    stage.facts(2)
    process.send_signal(number)
    assert stage.ended(process).status == 128 + number
    assert stage.left() == ""


def test_killed_itself_it_takes_its_containers_along_and_its_end_is_noted(stage: Stage) -> None:
    process = stage.start("wait")
    stage.facts(2)
    assert "ended" not in read_json(stage.run_folder / "job.json")
    process.kill()
    stage.until(lambda: not stage.engine("ps", "--quiet"), "the end of all containers")
    stage.until(lambda: "ended" in read_json(stage.run_folder / "job.json"), "the note of its end")


def test_a_killed_rank_is_named_and_ends_the_run(stage: Stage) -> None:
    ended = stage.ended(stage.start("die"))
    assert ended.status == 137
    assert "rank 1 on node1 (host node1) was killed by signal 9 (SIGKILL)" in ended.err
    assert "out of memory" not in ended.err
    assert stage.left() == ""


@pytest.mark.parametrize(
    "stage", ["docker"], indirect=True
)  # podman does not say it on control groups of version 1
def test_too_little_memory_is_named_with_its_node(stage: Stage) -> None:
    ended = stage.ended(stage.start("hog", "memory=200m"))
    assert ended.status == 137
    assert "exit 137: out of memory in the container of node1" in ended.err
    assert "node0" not in ended.err.partition("exit 137")[2]
    assert stage.left() == ""


def test_status_logs_and_cancel_from_another_shell(stage: Stage) -> None:
    process = stage.start("wait")
    stage.facts(2)
    run = str(stage.run_folder)
    assert " running" in stage.labs("status").out
    assert "rank 1 is there" in stage.labs("logs", run, "1").out
    assert stage.labs("cancel", run).status == 0
    assert stage.ended(process).status == 128 + signal.SIGTERM
    assert stage.left() == ""
    assert "no run of yours" in stage.labs("status").out
    assert stage.labs("cancel", run).status == 2
