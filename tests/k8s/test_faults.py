"""A server and a network that misbehave at every step of a good run: no line is lost or comes twice, nothing hangs, results are whole."""

import random

import pytest

from tests.k8s.conftest import Stage, Told
from tests.k8s.replay import Faults

LINES = [f"node0 line {line}" for line in range(1, 6)]
FAST = 60.0


def is_whole(told: Told, nodes: int = 2) -> None:
    """All lines, each once and in order; all results; the right end."""
    assert told.status == 0, told.err
    assert told.out.splitlines() == [*LINES, "node0 ends"]
    others = [line for line in told.err.splitlines() if line.startswith("node")]
    assert sorted(set(others)) == sorted(others)
    for node in range(nodes):
        assert (told.folder / f"rank{node}.log").read_bytes() == b"it ran\n"


@pytest.mark.parametrize("kind", ["Pod", "Job"])
@pytest.mark.parametrize("after", [0, 1, 5, 12])
def test_a_watch_is_cut(stage: Stage, kind: str, after: int) -> None:
    stage.serve("ok-lab43", FAST, Faults(cut_watch_after={kind: after}))
    is_whole(stage.run())


@pytest.mark.parametrize("kind", ["Pod", "Job", "Event"])
def test_what_was_seen_is_too_old(stage: Stage, kind: str) -> None:
    server = stage.serve("ok-lab43", FAST, Faults(gone_after={kind: 3}))
    is_whole(stage.run())
    lists = [
        path
        for how, path, query in server.tape.asked
        if how == "GET" and isinstance(query, dict) and "watch" not in query
    ]
    assert len(lists) < 40, "it asks without a pause"


@pytest.mark.parametrize(
    "what", ["list Pod", "watch Pod", "list Job", "watch Event", "log node", "log results"]
)
@pytest.mark.parametrize("status", [503, 0])
def test_an_answer_fails_once(stage: Stage, what: str, status: int) -> None:
    stage.serve("ok-lab43", FAST, Faults(answers={what: [status]}))
    is_whole(stage.run())


def test_who_may_not_see_events_follows_all_the_same(stage: Stage) -> None:
    stage.serve("ok-lab43", FAST, Faults(answers={"list Event": [403]}))
    is_whole(stage.run())


def test_the_login_runs_out_while_it_runs(stage: Stage) -> None:
    stage.serve("ok-lab43", FAST, Faults(answers={"watch Pod": [401]}))
    told = stage.run()
    assert told.status == 2
    assert "exit 2: your login has run out: log in anew; the run itself goes on" in told.err
    assert told.asked("DELETE") == []


@pytest.mark.parametrize("container", ["node", "results"])
@pytest.mark.parametrize("after", [1, 30, 47, 100, 200])
def test_a_log_is_cut_in_the_middle_of_a_line(stage: Stage, container: str, after: int) -> None:
    stage.serve("ok-lab43", FAST, Faults(cut_log_after={container: after}))
    is_whole(stage.run())


def test_the_server_is_away_for_a_while(stage: Stage) -> None:
    server = stage.serve("ok-lab43", 20.0)
    server.tape.faults.away = (20.0, 50.0)
    told = stage.run()
    is_whole(told)
    assert "the cluster does not answer (" in told.err
    assert "the cluster answers again" in told.err


def test_the_server_stays_away(stage: Stage) -> None:
    server = stage.serve("ok-lab43", FAST)
    server.tape.faults.away = (20.0, 10.0**6)
    told = stage.run()
    assert told.status == 1
    assert "the cluster has not answered for " in told.err


def test_results_without_an_end_are_read_again(stage: Stage) -> None:
    stage.serve("ok-lab43", FAST, Faults(results=lambda lines: lines[:-1], damaged=1))
    is_whole(stage.run())


@pytest.mark.parametrize("how", ["no end", "another SHA-256", "nothing"])
def test_results_that_stay_damaged_are_said_to_be_lost(stage: Stage, how: str) -> None:
    damage = {
        "no end": lambda lines: lines[:-1],
        "another SHA-256": lambda lines: [lines[0], "QUJD", *lines[1:]],
        "nothing": lambda lines: [],
    }[how]
    stage.serve("ok-lab43", FAST, Faults(results=damage))
    told = stage.run()
    assert told.status == 1
    assert told.err.count("are lost: ") == 2
    assert "exit 1: the lab ended well, but not all that it left is here" in told.err
    assert not list(told.folder.glob("rank*.log"))


def test_a_learner_who_prints_marks_forges_nothing(stage: Stage) -> None:
    from tests.launch.kubernetes.test_results import archive, lines

    forged = lines(archive(("rank0.log", b"forged")), nonce="f" * 16)
    stage.serve("ok-lab43", FAST, Faults(results=lambda good: [*forged, *good]))
    is_whole(stage.run())


def test_pods_that_never_start_end_by_ctrl_c(stage: Stage) -> None:
    stage.serve("unschedulable-cpu")
    told = stage.run(signals=(40.0,))
    assert told.status == 130
    assert [path for path, _ in told.asked("DELETE")]


def test_ctrl_c_brings_the_results_home(stage: Stage) -> None:
    stage.serve("ok-lab43", FAST)
    told = stage.run(signals=(30.0,))
    assert told.status == 130
    assert "exit 130: cancelled" in told.err
    ((_, body), *_) = told.asked("DELETE")
    assert body["propagationPolicy"] == "Foreground"
    assert (told.folder / "rank0.log").exists()
    assert (told.folder / "rank1.log").exists()


def test_a_second_ctrl_c_leaves_and_says_what_goes_on(stage: Stage) -> None:
    server = stage.serve("ok-lab43", 4.0)
    told = stage.run(signals=(8.0, 8.5))
    assert told.status == 130
    assert (
        "left; the job lab43-7f3a is being deleted, what it still leaves is lost; see: labs status 43"
        in told.err
    )
    assert server.tape.asked


@pytest.mark.parametrize("seed", range(10))
def test_any_faults_together(stage: Stage, seed: int) -> None:
    """The property: whatever breaks on the way, and in whatever order, what comes is what was sent. Drawn by a seed: no shrinking."""
    drawn = random.Random(seed)
    kinds, containers = ("Pod", "Job", "Event"), ("node", "results")
    asked = ("list Pod", "watch Pod", "watch Job", "log node", "log results")
    faults = Faults(
        answers={
            what: drawn.choices([0, 500, 503], k=drawn.randrange(3)) for what in asked if drawn.random() < 0.6
        },
        cut_watch_after={kind: drawn.randrange(20) for kind in kinds if drawn.random() < 0.6},
        gone_after={kind: drawn.randrange(20) for kind in kinds if drawn.random() < 0.6},
        cut_log_after={container: drawn.randrange(400) for container in containers if drawn.random() < 0.6},
    )
    stage.serve("ok-lab43", FAST, faults)
    is_whole(stage.run())


def test_silence_is_no_absence(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing happens for longer than a connection may be silent: that is no news, and no reason to give up."""
    monkeypatch.setattr("labs.launch.kubernetes.api.SILENCE_S", 0.5)
    stage.serve("unschedulable-cpu")
    told = stage.run(signals=(80.0,))
    assert told.status == 130
    assert "does not answer" not in told.err


@pytest.mark.parametrize("how", ["foreground", "orphans"])
def test_a_job_that_is_gone_before_anybody_looks(stage: Stage, how: str) -> None:
    stage.serve(f"cancel-{how}", 3000.0)
    told = stage.run()
    assert told.status == 143
    assert "is gone: somebody deleted it" in told.err
