"""A lab in a container on the nodes, for real where that needs neither root nor a daemon. The others are tested as command lines."""

import json
import signal
from pathlib import Path

import pytest

from labs.launch.image import PYTHON
from scripts.slurm_cluster.cluster import Cluster
from scripts.slurm_cluster.host import CHECKOUT
from tests.cluster import image
from tests.cluster.desk import Desk, until

LAB_S = 200.0


@pytest.fixture(scope="module")
def rootfs(cluster: Cluster) -> str:
    """An image in a folder that all nodes see, unpacked by somebody who knew of no other home; it goes with the cluster."""
    return str(image.build(cluster.folder / "home" / "image", [CHECKOUT]))


def test_a_lab_on_two_nodes_in_bwrap(ada: Desk, rootfs: str) -> None:
    place = f"/home/{Path(rootfs).name}"
    ended = ada.labs(
        "run", "43", "--nodes", "2", "--smoke", "--runtime", "bwrap", "--image", place, limit_s=LAB_S
    )  # fmt: skip
    assert ended.status == 0, ended
    record = json.loads((ada.runs(43)[-1] / "run.json").read_text())
    assert [rank["host"] for rank in record["ranks"]] == ["node1", "node2"]


def test_the_ranks_are_the_images_python_and_see_little_of_the_node(ada: Desk, rootfs: str) -> None:
    run = ada.begin(
        "stay", runtime="bwrap", image="/home/image", environment={"STAND_IN_NOTES": "/home/ada/labs"}
    )
    run.says("runs on")
    node = ada.cluster.node("node2")
    pid = _waiting(ada, f"{PYTHON} -m tests.launch.stand_in")
    root = node.run("ls", f"/proc/{pid}/root").stdout.split()
    assert "opt" in root
    assert "boot" not in root
    run.send(signal.SIGINT)
    assert run.ended().status == 130
    ada.nothing_left()


def test_a_killed_rank_in_bwrap_is_named(ada: Desk, rootfs: str) -> None:
    run = ada.begin(
        "stay", runtime="bwrap", image="/home/image", environment={"STAND_IN_NOTES": "/home/ada/labs"}
    )
    pid = _waiting(ada, f"{PYTHON} -m tests.launch.stand_in")
    ada.cluster.node("node2").run("kill", "-KILL", str(pid))
    ended = run.ended()
    assert ended.status == 137, ended
    assert "rank 1 on node1 (host node2) was killed by signal 9 (SIGKILL)" in ended.err
    ada.nothing_left()


def _waiting(desk: Desk, pattern: str) -> int:
    node = desk.cluster.node("node2")
    until(
        lambda: bool(desk.on(node, pattern)),
        f"{pattern} on {node.name}",
        seen=lambda: "".join(one.err for one in desk.started),
    )
    return desk.on(node, pattern)[0]
