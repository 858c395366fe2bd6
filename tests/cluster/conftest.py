"""Clusters for the tests of this folder, which only `make test-slurm` runs: one that cannot start is a failure, not a skip."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.slurm_cluster import packages
from scripts.slurm_cluster.cluster import Cluster, Size
from scripts.slurm_cluster.trouble import ClusterError
from tests.cluster.desk import Desk, until

NODES = 3


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it is asked for by name: it needs root, and ten minutes."""
    return None if any("cluster" in word for word in config.args) else True


def pytest_collection(session: pytest.Session) -> None:
    """Install what a cluster needs before any test runs, and once where tests run side by side."""
    if (
        "PYTEST_XDIST_WORKER" not in os.environ
        and not session.config.option.collectonly
        and any("cluster" in word for word in session.config.args)
    ):
        try:
            packages.install(yes=True)
        except ClusterError as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.TESTS_FAILED)


@pytest.fixture(scope="session")
def cluster(worker_id: str) -> Iterator[Cluster]:
    """A cluster for each of the processes that share the tests; they know nothing of one another."""
    made = Cluster(f"tests{worker_id}")
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
    until(
        lambda: (
            cluster.login.run("sinfo", "-h", "-N", "-p", "lab", "-o", "%T").stdout.split() == ["idle"] * NODES
        ),
        "idle nodes",
    )
    return desk_of("ada")
