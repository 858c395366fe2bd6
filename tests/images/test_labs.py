"""Labs of every kind in containers, as a person runs them: one process, data workers, a compiler, several nodes."""

import json
from collections.abc import Callable

import pytest

from labs import catalog
from labs.exercises import Source
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


def test_a_learners_steps_are_judged_in_a_container(stage: Stage) -> None:
    check = ("check", "1", "--smoke", "--launcher", "docker")
    assert stage.labs("exercise", "1").status == 0
    ended = stage.labs(*check)
    assert "1.1 read_by_address  not written yet" in ended.out
    assert ended.status == 1
    (stage.home / "work" / "lab01.py").write_text(solved(1), encoding="utf-8")
    ended = stage.labs(*check)
    assert ended.status == 0, ended.out + ended.err
    passed = json.loads((stage.home / "work" / "progress.json").read_text(encoding="utf-8"))
    assert [id_ for id_, entry in passed.items() if "passed" in entry] == [
        exercise.id for exercise in Source(catalog.find_ready("1")).exercises
    ]


def test_preflight_says_whether_nodes_meet(stage: Stage) -> None:
    ended = stage.labs("preflight", "--launcher", "docker", "--nodes", "2", "--json")
    assert ended.status == 0, ended.out + ended.err
    assert stage.left() == ""


def test_a_lab_runs_in_the_bare_image_too(engine: Engine, image: str) -> None:
    """Without a checkout: the image has its own copy of the labs, and needs no writable place but /tmp."""
    assert " held" in engine("run", *ANYBODY, image, "labs", "run", "1", "--smoke")
    assert "01  Storage vs. view" in engine("run", *ANYBODY, image)
