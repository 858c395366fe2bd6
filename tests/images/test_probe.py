"""The probe reads a container's limits under control groups of either version. One machine has one of them: here are files of both."""

import importlib
from pathlib import Path

import pytest

V1 = {"memory/memory.limit_in_bytes": "314572800\n", "cpu/cpu.cfs_quota_us": "100000\n"}
V2 = {"memory.max": "314572800\n", "cpu.max": "100000 100000\n"}
UNLIMITED = {"memory.max": "max\n", "cpu.max": "max 100000\n"}


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        (V1, ("314572800", "100000")),
        (V2, ("314572800", "100000")),
        (V1 | UNLIMITED, ("max", "max")),
        ({}, ("", "")),
    ],
    ids=["version 1", "version 2", "both, of which the second counts", "none"],
)
def test_limits_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], limits: tuple[str, str]
) -> None:
    monkeypatch.setenv("RANK", "0")
    probe = importlib.import_module("tests.images.probe")  # a rank reads its number where it is imported
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(probe, "CGROUP", tmp_path)
    assert (probe.memory_limit(), probe.processor_limit()) == limits
