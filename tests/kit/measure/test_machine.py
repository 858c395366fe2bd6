"""What is said about the machine."""

import pytest
import torch

from labs import cgroups
from labs.kit.measure import machine


def test_hardware_and_versions_are_there() -> None:
    found = machine.hardware()
    assert found["cores"] >= 1
    assert found["memory_bytes"] > 2**28
    assert found["processor"]
    assert {"python", "torch"} <= set(machine.versions())


def test_a_gpu_that_torch_cannot_use_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """NVML counts it, and torch raises where it is asked for its name: the driver is too old."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert machine.hardware()["gpus"] == []


def test_the_memory_is_what_a_container_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "memory", lambda: cgroups.Memory(2**35, 2**31, 2**30))
    assert machine.hardware()["memory_bytes"] == 2**31
