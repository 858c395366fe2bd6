"""What is said about the machine."""

from labs.kit.measure import machine


def test_hardware_and_versions_are_there() -> None:
    found = machine.hardware()
    assert found["cores"] >= 1
    assert found["memory_bytes"] > 2**28
    assert found["processor"]
    assert {"python", "torch"} <= set(machine.versions())
