"""Every recording of a real cluster is told as it has to be, with its exit status: by the launcher, the official client, and sockets."""

import json
from typing import NamedTuple

import pytest

from labs.errors import UsageError
from labs.launch.kubernetes.api import Refused
from tests.k8s.conftest import RECORDINGS, Stage

INTERRUPTED = 130
LATER = 60.0  # seconds of a recording: what waits until then waits for ever


class Tells(NamedTuple):
    status: int
    words: tuple[str, ...] = ()


def waits(*words: str) -> Tells:
    return Tells(INTERRUPTED, words)


TIME = "ask for more with TIME="
TELLS = {
    "bad-command": Tells(2, ("exit 2: node0 ", "could not start: failed to create containerd task", "/opt/none/python")),
    "cancel-background": Tells(143, ("is gone: somebody deleted it",)),
    "cancel-foreground": Tells(143, ("is gone: somebody deleted it",)),
    "cancel-orphans": Tells(143, ("is gone: somebody deleted it",)),
    "collective-exit": Tells(3, ("exit 3: node1 (pod lab43-7f3a-1-2zmsz on node-b) ended with status 3: rank 1: first",)),
    "collective-killed": Tells(137, ("exit 137: node1 ", "was killed by signal 9 (SIGKILL)")),
    "collective-oom": Tells(137, ("also: node0 ", "exit 137: out of memory on node1 ", "on node-b): ask for more with MEMORY=")),
    "collective-pod-deleted": Tells(143, ("exit 143: node1 ", "somebody deleted this pod")),
    "configmap-missing": Tells(0, ('waits: a volume is missing: MountVolume.SetUp failed for volume "steps"',)),
    "deadline-job": Tells(143, ("the job reached its time limit", TIME)),
    "deadline-pending": Tells(143, ("waits: no room for 1 of 1 pods", "the job reached its time limit", TIME)),
    "deadline-pod": Tells(143, ("reached the time limit", TIME)),
    "evicted-api": Tells(143, ("exit 143: node1 ", "its machine was emptied (drained)")),
    "evicted-emptydir": Tells(137, ("was evicted: ", "exceeds the limit", "its results are lost")),
    "evicted-ignored": Tells(0),  # another pod took its place, as no run of ours allows
    "evicted-storage": Tells(137, ("was evicted: ", "its results are lost")),
    "evicted-with-sidecar": Tells(137, ('was evicted: Usage of EmptyDir volume "run" exceeds the limit "256Mi"; its results are lost',)),
    "exit-1": Tells(1, ("exit 1: node1 ", "ended with status 1")),
    "exit-137": Tells(137, ("exit 137: node0 ", "was killed by signal 9 (SIGKILL)")),
    "exit-2": Tells(2, ("exit 2: node0 ", "ended with status 2: lab 43 wants an even number")),
    "exit-code-rule": Tells(2, ("ended with status 2",)),
    "grace-over": Tells(143, ("is gone: somebody deleted it",)),
    "half-scheduled": waits("waits: no room for 1 of 4 pods: 0/3 nodes are available: 1 Insufficient cpu"),
    "image-name": Tells(2, ("cannot start from the image labs:cpu:2: InvalidImageName", "; the job is cancelled")),
    "image-never": Tells(2, ("docker.io/library/labs:absent: ErrImageNeverPull", "; the job is cancelled")),
    "image-pull": Tells(2, ("registry.example.org/course/labs:cpu: ", "ImagePullBackOff", "; the job is cancelled")),
    "limitrange": Tells(2, ("2 of 2 pods are not even made: maximum memory usage per Container is 1Gi, but limit is 2Gi",)),
    "limitrange-default": Tells(0),
    "message": Tells(139, ('"rank":1,"host":"node1","signal":"SIGSEGV"',)),
    "node-dead-default": Tells(1, ("the machine node-c does not answer since ", "node-c does not answer, at least since")),
    "node-dead-soon": Tells(1, ("the machine node-c does not answer since ", "and with it node0 ", "its results are lost")),
    "ok-lab01": Tells(0, ("runs on node-a",)),
    "ok-lab15": Tells(0, ("runs on node-a, node-b",)),
    "ok-lab43": Tells(0, ("runs on node-a, node-b",)),
    "oom": Tells(137, ("out of memory on node1 ", "ask for more with MEMORY=")),
    "oom-child": Tells(137, ("out of memory on node0 ", "ask for more with MEMORY=")),
    "oom-shm": Tells(137, ("out of memory on node0 ", "ask for more with MEMORY=")),
    "pod-deleted": Tells(143, ("exit 143: node1 ", "somebody deleted this pod")),
    "pod-security": Tells(2, ('2 of 2 pods are not even made: violates PodSecurity "restricted:latest"', "; the job is cancelled")),
    "preempted": Tells(143, ("had to make room for pods of a higher priority",)),
    "preflight": Tells(1, ("ended with status 1: not ready",)),
    "queue-suspended": waits("waits: in the queue students"),
    "quota-memory": Tells(2, ("1 of 2 pods are not even made: exceeded quota: labs, requested: limits.memory=600Mi",)),
    "quota-pods": Tells(2, ("1 of 2 pods are not even made: exceeded quota: labs, requested: pods=1",)),
    "quota-unset": Tells(2, ("1 of 1 pods are not even made: failed quota: labs: must specify limits.cpu",)),
    "retry-one-index": Tells(1, ("exit 1: node1 ", "ended with status 1")),
    "root-image": Tells(2, ("CreateContainerConfigError: container has runAsNonRoot and image will run as root", "; the job is cancelled")),
    "server-down": Tells(0, ("runs on node-a, node-b",)),
    "server-stops": Tells(0, ("runs on node-a",)),
    "shm-full": Tells(1),
    "sidecar-killed": Tells(0),
    "sidecar-order": Tells(3, ("ended with status 3",)),
    "sidecar-slow": Tells(0),
    "suspend": Tells(0, ("waits: the job is suspended, and somebody has to resume it",)),
    "time-limit": Tells(143, ("reached the time limit", TIME)),
    "ttl": Tells(0),
    "unschedulable-cpu": waits("waits: no room for 2 of 2 pods: 0/3 nodes are available: ", "2 Insufficient cpu\n"),
    "unschedulable-gpu": waits("2 Insufficient nvidia.com/gpu\n"),
    "unschedulable-memory": waits("2 Insufficient memory\n"),
    "unschedulable-pvc": Tells(2, ('persistentvolumeclaim "labs-home" not found', "; the job is cancelled")),
    "unschedulable-selector": waits("didn't match Pod's node affinity/selector\n"),
    "unschedulable-taint": waits("had untolerated taint(s)"),
}  # fmt: skip
# What the server refuses at once: the sentence, and that nothing stays behind.
REFUSES = {
    "collision": "is already there",
    "forbidden": 'User "student-anna" cannot create resource "jobs" in API group "batch" in the namespace "elsewhere"',
    "quota-jobs": "exceeded quota: labs, requested: count/jobs.batch=1",
    "token-expired": "your login has run out, or was never there: log in to the cluster anew",
}
# What is no run: asked for elsewhere.
OTHER = {"configmap-too-large", "invalid", "watch-gone", "logs-api", "kubelet-restart", "ctrl-c"}


def test_every_recording_has_its_place() -> None:
    assert {path.stem for path in RECORDINGS.glob("*.json")} == {*TELLS, *REFUSES, *OTHER}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", TELLS)
def test_it_is_told(stage: Stage, name: str) -> None:
    """What lasted a second is over in 50 ms here, which a busy machine may miss: then it is played again, more slowly."""
    fast = 40 if name.startswith("node-dead") else 20
    for speed in (fast, fast / 5):
        try:
            return is_told(stage, name, speed)
        except AssertionError:
            stage.close()
    return is_told(stage, name, fast / 20)


def is_told(stage: Stage, name: str, speed: float) -> None:
    stage.serve(name, speed)
    told = stage.run(signals=(LATER,) if TELLS[name].status == INTERRUPTED else ())
    assert told.status == TELLS[name].status, told.err
    for words in TELLS[name].words:
        assert words in told.err
    assert told.note["ended"]["status"] == told.status
    assert "Traceback" not in told.err
    deleted = [body for path, body in told.asked("DELETE") if "/jobs/" in path]
    assert deleted, "the job stays, and counts against the quota"
    assert all(body["propagationPolicy"] in ("Foreground", "Background") for body in deleted)


@pytest.mark.parametrize("name", REFUSES)
def test_it_is_refused_in_at_most_three_lines(stage: Stage, name: str) -> None:
    server = stage.serve(name)
    if name == "collision":  # the first time it was made: the second is the collision
        server.tape.used += [step for step in server.tape.requests if step["status"] == 201]
    with pytest.raises(UsageError) as refused:
        stage.run()
    assert REFUSES[name] in str(refused.value) or "already exists" in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 3
    made = [path for how, path, _ in server.tape.asked if how == "POST" and path.endswith("/services")]
    removed = [path for how, path, _ in server.tape.asked if how == "DELETE" and "/services/" in path]
    assert len(removed) == (0 if name == "collision" else len(made))


@pytest.mark.parametrize("name", ["invalid", "configmap-too-large", "forbidden"])
def test_a_refusal_is_a_sentence(name: str) -> None:
    steps = json.loads((RECORDINGS / f"{name}.json").read_text())["steps"]
    refused = [step for step in steps if step.get("status", 0) >= 400]
    assert refused
    for step in refused:
        message = Refused(step["status"], json.dumps(step["response"])).message
        assert message
        assert "regex" not in message
        assert len(message) <= 300
        assert "\n" not in message
