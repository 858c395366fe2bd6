"""Hosts for the tests of this folder, which only `make test-ansible` runs: hosts that cannot boot are a failure, not a skip."""

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scripts.hosts.debian import SUITES
from scripts.hosts.hosts import NEEDED, Hosts
from scripts.slurm_cluster import packages
from scripts.slurm_cluster.commands import ClusterError
from tests import asked
from tests.ansible import image, wheels
from tests.ansible.interruption import cut_off
from tests.ansible.site import Site

WITH_LABS = "bookworm"  # has the minor version of Python that the wheels are for
TASKS = 90  # of more than a hundred that come before the labs, which take minutes


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--suite", choices=SUITES, default="bookworm", help="which Debian the hosts have")
    parser.addoption(
        "--seed", type=int, default=random.randrange(10_000), help="chooses where a run is cut off"
    )


def pytest_configure(config: pytest.Config) -> None:
    asked.watch(config, "ansible")


def pytest_ignore_collect(collection_path: object, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it is asked for by name: it needs root, and minutes."""
    return None if asked.by_name(config, "ansible") else True


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Install what hosts need before any test runs; end where it cannot be had."""
    if not (asked.by_name(config, "ansible") and asked.is_about_to_run(config)):
        return None
    try:
        packages.require_root()
        packages.install(yes=True, needed=NEEDED)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return asked.STATUS
    return None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say by which seed the same can be had again."""
    return f"--seed {config.getoption('--seed')}" if asked.by_name(config, "ansible") else None


@pytest.fixture(scope="session")
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--suite"))


@pytest.fixture(scope="session")
def bare(suite: str) -> Iterator[Hosts]:
    """Hosts that stay as Debian's installer leaves them."""
    with booted("testsbare", suite) as hosts:
        yield hosts


@pytest.fixture(scope="session")
def site(
    suite: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A cluster on which Ada works. The run that made it was cut off at some task; the next one finished it."""
    folder = tmp_path_factory.mktemp("site")
    whole, given = "without_labs", {}
    if suite == WITH_LABS:
        whole = "site"
        given = {"labs_bundle": str(wheels.bundle()), "labs_image": str(image.pack(folder / "image.tar"))}
    with booted("tests", suite) as hosts:
        made = Site(hosts, folder, whole, **given)
        print(cut_off(made, request.config.getoption("--seed"), TASKS))
        finished = made.play(made.whole)
        assert finished.status == 0, finished.text[-5000:]
        yield made


@contextmanager
def booted(name: str, suite: str) -> Iterator[Hosts]:
    """Hosts that are up, and gone afterwards, however that is reached."""
    hosts = Hosts(name)
    hosts.up(suite, owner=os.getpid())
    try:
        yield hosts
    finally:
        hosts.down()
