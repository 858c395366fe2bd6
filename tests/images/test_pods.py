"""Labs as pods: the launcher for Kubernetes sends its Job, and containers of this engine carry out its pods, field by field."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.images.kubelet import Kubelet
from tests.images.stage import ROOT, Ended, Engine, Stage
from tests.k8s.replay import Server
from tests.solutions import solved


@pytest.fixture
def cluster(stage: Stage, engine: Engine, folder_for_all: Path) -> Iterator[Kubelet]:
    """A cluster of this engine's containers, which the stage's kubeconfig leads to."""
    shutil.copytree(ROOT / "k8s", stage.checkout / "k8s")
    kubelet = Kubelet(engine, folder_for_all)
    server = Server(kubelet)
    stage.environment["KUBECONFIG"] = str(server.kubeconfig(stage.home.parent / "kubeconfig"))
    yield kubelet
    kubelet.close()
    server.close()


def run(stage: Stage, *words: str) -> Ended:
    return stage.labs(*words, "--smoke", "--launcher", "k8s", "--image", "labs:cpu")


def record_of(stage: Stage, lab: int) -> Any:
    (path,) = (stage.home / "runs" / f"lab{lab:02d}").glob("*-k8s/run.json")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("lab", "nodes"), [(1, 1), (15, 2), (43, 2)])
def test_a_lab_runs_in_pods(stage: Stage, cluster: Kubelet, lab: int, nodes: int) -> None:
    ended = run(stage, "run", str(lab), "--nodes", str(nodes))
    assert ended.status == 0, ended.out + ended.err
    record = record_of(stage, lab)
    assert (record["lab"], record["launcher"], record["nodes"], record["status"]) == (
        lab,
        "k8s",
        nodes,
        "held",
    )
    assert {claim["verdict"] for claim in record["claims"]} <= {"held", "not measured here"}
    assert len({rank["host"] for rank in record["ranks"]}) == nodes
    folder = next((stage.home / "runs" / f"lab{lab:02d}").glob("*-k8s"))
    assert {"run.json", "log.txt", "report.html"} <= {path.name for path in folder.iterdir()}
    assert "lost" not in ended.err


def test_a_learners_steps_are_judged_in_a_pod(stage: Stage, cluster: Kubelet) -> None:
    """They travel as a ConfigMap, into a container that can write nothing but its volumes."""
    assert stage.labs("exercise", "1").status == 0
    (stage.home / "work" / "lab01.py").write_text(solved(1), encoding="utf-8")
    ended = run(stage, "check", "1")
    assert ended.status == 0, ended.out + ended.err
    assert "1.1 read_by_address  passed" in ended.out.replace("   ", "  ")


def test_a_pod_that_has_too_little_memory_is_told_as_such(stage: Stage, cluster: Kubelet) -> None:
    ended = run(stage, "run", "1", "--memory", "96M")
    assert ended.status not in (0, 2), ended.out + ended.err
    assert "memory" in ended.err, ended.err
