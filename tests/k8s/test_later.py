"""Runs that nobody followed, or that somebody follows again: status, logs, cancel, and another attempt."""

import pytest

from labs import launch
from labs.launch.spec import State, noted_job
from tests.k8s.conftest import Stage
from tests.k8s.replay import Faults


def sent(stage: Stage, name: str, speed: float = 20.0) -> State:
    """Send a run, let it go, and return how it stands once all has happened that was recorded."""
    server = stage.serve(name, speed)
    spec = stage.spec(detach="1")
    assert spec.folder
    assert stage.launcher.submit(spec) == 0
    server.tape.begun -= (server.tape.last - server.tape.first + 1) / speed
    return launch.state(spec.folder)


@pytest.mark.parametrize(
    ("name", "word", "detail"),
    [
        ("ok-lab43", "done", "labs logs brings what it left"),
        ("oom", "failed", "out of memory on node1 "),
        ("unschedulable-cpu", "waits", "no room for 2 of 2 pods: 0/3 nodes are available"),
        ("quota-pods", "waits", "1 of 2 pods are not even made: exceeded quota: labs"),
        ("pod-security", "waits", "violates PodSecurity"),
        ("image-never", "waits", "ErrImageNeverPull"),
        ("queue-suspended", "waits", "in the queue students"),
        ("ttl", "gone", "its time to be kept was over"),
    ],
)
def test_status_says_how_a_run_stands_and_why_it_waits(
    stage: Stage, name: str, word: str, detail: str
) -> None:
    state = sent(stage, name)
    assert (state.word, detail in state.detail) == (word, True), state


def test_logs_brings_all_of_a_run_that_has_ended(stage: Stage) -> None:
    sent(stage, "ok-lab43")
    folder = stage.spec().folder
    assert folder
    assert stage.launcher.follow(folder) == 0
    assert {path.name for path in folder.glob("rank*.log")} == {"rank0.log", "rank1.log"}
    assert "node0 line 5\nnode0 ends\n" in stage.capfd.readouterr().out
    assert launch.state(folder) == State("lab43-7f3a", "ended with status 0", "", ended=True)
    assert stage.launcher.follow(folder) == 0  # once more, from what is here


def test_cancel_ends_a_run_and_brings_what_it_left(stage: Stage) -> None:
    server = stage.serve("ok-lab43")
    spec = stage.spec(detach="1")
    assert spec.folder
    assert stage.launcher.submit(spec) == 0
    server.tape.begun -= 20 / 20.0
    stage.launcher.cancel(spec.folder)
    assert (spec.folder / "rank0.log").exists()
    assert launch.state(spec.folder).ended
    assert noted_job(spec.folder)["ended"]["status"] == 143


def test_status_while_the_cluster_is_away(stage: Stage) -> None:
    server = stage.serve("ok-lab43")
    spec = stage.spec(detach="1")
    assert spec.folder
    assert stage.launcher.submit(spec) == 0
    server.tape.faults = Faults(answers={"get Job": [0]})
    assert launch.state(spec.folder).word == "unknown"


def test_what_a_run_is_not_to_blame_for_begins_anew_under_another_name(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["7f3a", "zzzz"])
    monkeypatch.setattr("labs.launch.kubernetes.drawn", lambda count=6: next(names))
    server = stage.serve("preempted")
    told = stage.run(retries="1", claim="shared", signals=(40.0,))
    jobs = [body["metadata"]["name"] for path, body in told.asked("POST") if path.endswith("/jobs")]
    assert jobs == ["lab43-7f3a", "lab43-zzzz"]
    assert "had to make room for pods of a higher priority\nit begins anew; 1 attempts are left" in told.err
    assert server


def test_what_a_run_is_to_blame_for_does_not(stage: Stage) -> None:
    stage.serve("exit-1")
    told = stage.run(retries="2")
    assert told.status == 1
    assert len([path for path, _ in told.asked("POST") if path.endswith("/jobs")]) == 1
    assert "RETRIES= without CLAIM=: another attempt finds no checkpoints" in told.err


def test_status_without_a_way_to_the_cluster(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.serve("ok-lab43")
    spec = stage.spec(detach="1")
    assert spec.folder
    assert stage.launcher.submit(spec) == 0
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    state = launch.state(spec.folder)
    assert (state.word, state.ended) == ("unknown", False)
    assert state.detail.startswith("no way to a cluster")
