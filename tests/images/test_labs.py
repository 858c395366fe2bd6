"""Labs of every kind in containers, as a person runs them: one process, data workers, a compiler, several nodes."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labs import catalog
from labs.exercises import Progress, Source
from tests import classes
from tests.images.conftest import ANYBODY
from tests.images.stage import Engine, Stage
from tests.solutions import solved


@pytest.mark.parametrize("lab", classes.labs())
def test_a_lab_runs_as_it_does_elsewhere(
    stage: Stage, lab: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("lab", lab)
    nodes = classes.nodes_of(lab)
    ended = stage.labs("run", str(lab), "--smoke", "--launcher", "docker", "--nodes", str(nodes))
    assert ended.status == 0, ended.out + ended.err
    assert "launcher: docker (as asked)" in ended.err
    (path,) = (stage.home / "runs" / f"lab{lab:02d}").glob("*-docker/run.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert (record["lab"], record["launcher"], record["nodes"], record["status"]) == (
        lab,
        "docker",
        nodes,
        "held",
    )
    assert {claim["verdict"] for claim in record["claims"]} <= {"held", "not measured here"}
    assert {rank["host"] for rank in record["ranks"]} == {f"node{node}" for node in range(nodes)}
    assert stage.left() == ""


def test_an_edited_lab_runs_as_edited(stage: Stage) -> None:
    file = next((stage.checkout / "labs" / "m1_tensors").glob("lab01_*.py"))
    file.write_text(
        file.read_text(encoding="utf-8").replace("Storage vs. view", "Storage against view"), encoding="utf-8"
    )
    assert "Storage against view" in stage.labs("run", "1", "--smoke", "--launcher", "docker").out


def test_a_learners_steps_are_judged_in_a_container(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    check = ("check", "1", "--smoke", "--launcher", "docker")
    assert stage.labs("exercise", "1").status == 0
    ended = stage.labs(*check)
    assert "1.1 read_by_address  not written yet" in ended.out
    assert ended.status == 1
    (stage.home / "work" / "lab01.py").write_text(solved(1), encoding="utf-8")
    ended = stage.labs(*check)
    assert ended.status == 0, ended.out + ended.err
    monkeypatch.setenv("LABS_HOME", str(stage.home))
    assert Progress(1).passed_ones == {exercise.id for exercise in Source(catalog.find_ready("1")).exercises}


def test_preflight_says_whether_nodes_meet(stage: Stage) -> None:
    ended = stage.labs("preflight", "--launcher", "docker", "--nodes", "2", "--json")
    assert ended.status == 0, ended.out + ended.err
    assert stage.left() == ""


def test_preflight_reports_what_the_container_may_have(stage: Stage) -> None:
    sizes = ("--memory", "2g", "--shm", "512m")
    ended = stage.labs("preflight", "--launcher", "docker", "--procs", "2", *sizes, "--json")
    assert ended.status == 1, ended.out + ended.err  # 1024 MiB are too few for each of two
    found = json.loads(ended.out)
    assert all(one["memory"] < 2**31 for one in found["ranks"])
    assert {one["memory_limit"] for one in found["ranks"]} == {2**31}
    assert {one["shared_memory"] for one in found["ranks"]} == {2**29}
    (memory,) = [check for check in found["checks"] if not check["ok"]]
    assert (memory["name"], "of the 2,048 that its container" in memory["found"]) == ("memory", True)


def test_the_doctor_reports_what_the_container_may_have(engine: Engine, image: str) -> None:
    doctor = ("labs", "doctor", "--json")
    said = json.loads(engine("run", "--memory", "3g", "--shm-size", "1g", *ANYBODY, image, *doctor))
    found = {check["name"]: check["found"] for check in said["checks"]}
    assert "its cgroup allows 3.0" in found["memory"]
    assert found["shared memory"] == "1.0 GiB in /dev/shm, a part of the memory that its cgroup allows"


@pytest.fixture
def network(engine: Engine) -> Iterator[str]:
    """A network that leads nowhere else."""
    name = f"labs-pods-{os.getpid()}"
    engine("network", "create", "--internal", name)
    yield name
    engine("network", "rm", name)


def test_preflight_finds_nodes_ready_that_are_as_pods_are(
    engine: Engine, image: str, network: str, tmp_path: Path
) -> None:
    """A read-only root, a user without rights, and volumes of its own for the run folder, HOME and TMPDIR, and /dev/shm."""
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o444)
    pod = ["--rm", "--user", "10001:10001", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
           "--memory", "2g", "--shm-size", "512m", "--tmpfs", "/tmp:exec,mode=1777", "--tmpfs", "/labs/run:mode=1777",
           "--volume", f"{secret}:/labs/secret:ro", "--network", network]  # fmt: skip
    starter = ["python", "-m", "labs.launch.node", "--nodes", "2", "--procs", "1", "--master", "pod0", "--port", "29500",
               "--secret", "/labs/secret", "--logs", "/labs/run"]  # fmt: skip
    flight = ["--", "labs.kit.distributed.preflight", "--folder", "/labs/run", "--own-folders", "--json"]

    def run(index: int) -> str:
        host = f"pod{index}"
        name = ["--hostname", host, "--network-alias", host]
        return engine("run", *pod, *name, image, *starter, "--node", str(index), *flight)

    with ThreadPoolExecutor(2) as pool:
        said, _ = pool.map(run, range(2))
    found = json.loads(said)
    assert found["ready"] is True
    assert {one["memory_limit"] for one in found["ranks"]} == {2**31}
    checks = {check["name"]: check["found"] for check in found["checks"]}
    assert "each node has a run folder of its own, as meant" in checks["shared folder"]
    assert checks["own places"] == "files can be written to TMPDIR and HOME"


def test_a_lab_runs_in_the_bare_image_too(engine: Engine, image: str) -> None:
    """Without a checkout: the image has its own copy of the labs, and needs no writable place but /tmp."""
    assert " held" in engine("run", *ANYBODY, image, "labs", "run", "1", "--smoke")
    assert "01  Storage vs. view" in engine("run", *ANYBODY, image)
