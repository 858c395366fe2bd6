"""What the module finds on a host: its GPUs by a driver that is made up, all else on this very machine."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from slurm.ansible.library import host_facts

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="hosts of a cluster run Linux")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("NVIDIA RTX A6000", "a6000"),
        ("Tesla T4", "t4"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA TITAN V", "gpu"),
    ],
)
def test_a_gpu_is_named_as_people_type_it(name: str, kind: str) -> None:
    assert host_facts.kind_of_gpu(name) == kind


def test_gpus_of_two_types_are_two_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_facts, "said", lambda *command: "NVIDIA H100 PCIe\nNVIDIA H100 PCIe\nTesla T4\n")
    assert host_facts.gpus() == [
        {"type": "h100", "count": 2, "files": "/dev/nvidia[0-1]"},
        {"type": "t4", "count": 1, "files": "/dev/nvidia2"},
    ]


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_facts, "said", lambda *command: "")
    assert host_facts.gpus() == []


def test_a_program_that_is_not_there_says_nothing() -> None:
    assert host_facts.said("/no/such/program") == ""
    assert host_facts.said("false") == ""


def test_a_configuration_is_ours_by_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "": "",
        "# PyTorch Deep Dive labs: Slurm\n": "ours",
        "ClusterName=x\n# PyTorch Deep Dive labs\n": "foreign",
    }
    for text, whose in texts.items():
        monkeypatch.setattr(host_facts, "read", lambda path, text=text: text)
        assert host_facts.configuration() == whose


def test_a_folders_mark_tells_one_from_another(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = (host_facts.folder(str(tmp_path / name)) for name in ("a", "b"))
    assert one["writable"]
    assert one["mark"] != other["mark"]
    assert host_facts.folder(str(tmp_path / "c")) == {"there": False}
    assert host_facts.folder("") == {"there": False}


def test_ansible_runs_the_module_and_gets_the_fact() -> None:
    told = json.dumps({"ANSIBLE_MODULE_ARGS": {"names": ["localhost"], "users": ["root"], "asked_at": 0}})
    done = subprocess.run(
        [sys.executable, host_facts.__file__], input=told, capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    facts = answer["ansible_facts"]["labs_host"]
    assert not answer["changed"]
    assert facts["cores"] == os.cpu_count()
    assert facts["mib"] > 100
    assert facts["ids"]["root"]["uid"] == 0
    assert "127.0.0.1" in facts["looked_up"]["localhost"]
    assert facts["ahead_s"] > 1e9
    assert facts["cgroups"] in ("v1", "v2", "none")
