"""Clusters for the tests of this folder, which only `make test-slurm` runs: one that cannot start is a failure, not a skip."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.slurm_cluster import packages
from scripts.slurm_cluster.cluster import Cluster, Size
from scripts.slurm_cluster.commands import ClusterError
from tests import asked
from tests.cluster.desk import Desk, until

NODES = 3


def pytest_configure(config: pytest.Config) -> None:
    asked.watch(config, "cluster")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it is asked for by name: it needs root, and ten minutes."""
    return None if asked.by_name(config, "cluster") else True


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Install what a cluster needs before any test runs, and once where tests run side by side; end where it cannot be had."""
    if not (asked.by_name(config, "cluster") and asked.is_about_to_run(config)):
        return None
    try:
        packages.require_root()
        packages.install(yes=True)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return asked.STATUS
    return None


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
