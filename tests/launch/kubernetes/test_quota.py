"""What a run asks for in all, beside what a quota leaves."""

from decimal import Decimal
from typing import Any

import pytest

from labs.launch.kubernetes import manifest
from labs.launch.kubernetes.quota import asked, missing
from tests.launch.kubernetes.conftest import Asked


@pytest.fixture
def job(asked: Asked) -> Any:
    return manifest.documents(asked(memory="4G", cpus="2"), "lab43-abc123", "n")[-1]


def quota(**hard: str) -> Any:
    used = {"pods": "1", "requests.memory": "1Gi"}
    names = {name.replace("_", "."): value for name, value in hard.items()}
    return {"metadata": {"name": "labs"}, "status": {"hard": names, "used": used}}


def test_all_pods_and_both_containers_are_summed(job: Any) -> None:
    total = asked(job)
    assert total["pods"] == 2
    assert total["requests.cpu"] == Decimal("4.02")
    assert total["limits.memory"] == 2 * (4 * 2**30 + 128 * 2**20)


def test_what_is_left_is_said_and_whether_waiting_helps(job: Any) -> None:
    assert list(missing(job, quota(pods="4", limits_memory="100Gi"))) == []
    assert list(missing(job, quota(pods="2"))) == [
        ("the run asks for 2 of pods, and the quota labs has 1 left of 2", True)
    ]
    assert list(missing(job, quota(memory="5Gi"))) == [
        ("the run asks for 8320 MiB of memory, and the quota labs has 5120 MiB left of 5120 MiB", False)
    ]


def test_what_is_no_quantity_is_passed_over(job: Any) -> None:
    assert list(missing(job, quota(pods="many"))) == []
