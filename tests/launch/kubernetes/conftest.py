"""A run on Kubernetes, as it is asked for."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labs.launch import Request, RunSpec, docker

MODULE = "labs.m6_production.lab43_ddp_concepts"
SPEC = RunSpec(43, MODULE, "k8s", Path("/home/ada/runs/lab43/now-k8s"), nodes=2, smoke=True)
Asked = Callable[..., RunSpec]


@pytest.fixture(autouse=True)
def nothing_to_pass_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(docker.PASSED_ON)]:
        monkeypatch.delenv(name)


@pytest.fixture
def asked() -> Asked:
    """Return a function that makes a run of lab 43 with other sizes, and with wishes by their names."""
    own = set(RunSpec.__dataclass_fields__) - set(Request.__dataclass_fields__)

    def made(**values: Any) -> RunSpec:
        wishes = {name: value for name, value in values.items() if name not in own}
        sizes = {name: value for name, value in values.items() if name in own}
        return replace(SPEC, **sizes, request=Request(**wishes))

    return made
