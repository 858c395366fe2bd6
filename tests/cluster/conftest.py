"""One cluster for all tests of this folder, which only `make test-slurm` runs: a cluster that cannot start is a failure, not a skip."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.slurm_cluster import packages
from scripts.slurm_cluster.cluster import Cluster, Size
from tests.cluster.desk import Desk, until

NODES = 3


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it is asked for by name: it needs root, and ten minutes."""
    return None if any("cluster" in word for word in config.args) else True


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    packages.install(yes=True)
    made = Cluster("tests")
    made.up(Size(nodes=NODES, users=3), owner=os.getpid())
    yield made
    made.down()


@pytest.fixture
def desk_of(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[[str], Desk]]:
    """Seat people at the login node by their names; afterwards the cluster is as before."""
    seated: list[Desk] = []

    def seat(name: str) -> Desk:
        person = next(one for one in cluster.people if one.name == name)
        seated.append(Desk(cluster, person, tmp_path))
        return seated[-1]

    yield seat
    for desk in seated:
        desk.close()


@pytest.fixture
def ada(desk_of: Callable[[str], Desk], cluster: Cluster) -> Desk:
    """Ada's desk, on a cluster whose nodes are all idle."""
    until(lambda: cluster.login.run("sinfo", "-h", "-N", "-p", "lab", "-o", "%T").stdout.split() == ["idle"] * NODES, "idle nodes")
    return desk_of("ada")
