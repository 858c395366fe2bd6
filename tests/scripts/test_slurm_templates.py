"""Slurm's configuration for each version that is supported, as text. The installed one also starts with it, on the test cluster."""

import re
from itertools import product
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from scripts.environment.torch_source import read_versions
from scripts.slurm_cluster import config

ROOT = Path(__file__).parents[2]
OUR = read_versions(ROOT / "versions.env")
# Slurm's releases: two a year since 24.05, every nine months before.
VERSIONS = ("22.05", "23.02", "23.11", "24.05", "24.11", "25.05", "25.11", "26.05")
# Keys that the first versions do not know yet, and that the last ones know no more: one of them, and no command works.
NOT_YET, NO_MORE = (
    {"PreemptParameters", "EnableControllers"},
    {"CgroupAutomount", "CredType", "SwitchType", "FastSchedule"},
)


def gpus(count: int) -> list[dict[str, Any]]:
    return [{"type": "h100", "count": count, "files": f"/dev/nvidia[0-{count - 1}]"}] if count else []


def values(version: str, **other: Any) -> dict[str, Any]:
    node = {"address": "198.18.77.3", "cores": 4, "mib": 8000, "features": ["a100"], "gpus": gpus(2)}
    usual: dict[str, Any] = {
        "slurm_version": version, "cluster_name": "labs", "accounting": True, "database_password": "secret",
        "controller": {"name": "ctl", "address": "198.18.77.1"},
        "nodes": [node | {"name": "node1"}, node | {"name": "node2", "features": []}],
        "partitions": config.PARTITIONS, "cgroups": "v2", "seconds": {"slurmd_timeout": 300, "kill_wait": 30}, "scheduler": [],
        "default_mib_per_core": 1000, "lines": [],
    }  # fmt: skip
    return usual | other


def test_the_range_is_what_versions_env_says() -> None:
    assert (OUR["SLURM_MIN"], OUR["SLURM_MAX"]) == (VERSIONS[0], VERSIONS[-1])
    table = yaml.safe_load((config.SLURM / "versions.yml").read_text(encoding="utf-8"))
    assert set(table) <= set(VERSIONS)


@pytest.mark.parametrize(
    ("version", "cgroups", "accounting", "count"),
    list(product(VERSIONS, ("none", "v1", "v2"), (True, False), (0, 2))),
)
def test_every_line_is_a_key_and_a_value_that_the_version_knows(
    version: str, cgroups: str, accounting: bool, count: int
) -> None:
    given = values(version, cgroups=cgroups, accounting=accounting)
    for node in given["nodes"]:
        node["gpus"] = gpus(count)
    text = "\n".join(config.render(name, given) for name in (*config.FILES, "slurmdbd.conf"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"\w+=\S+( \w+=\S+)*", line) for line in lines), lines
    keys = {line.partition("=")[0] for line in lines}
    assert not keys & (NO_MORE | (NOT_YET if version == VERSIONS[0] else set()))


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("22.05", "SlurmctldParameters=preempt_send_user_signal"),
        ("23.11", "SlurmctldParameters=preempt_send_user_signal"),
        ("24.05", "PreemptParameters=send_user_signal"),
        ("26.05", "PreemptParameters=send_user_signal"),
    ],
)
def test_a_preempted_job_is_warned_in_each_versions_words(version: str, line: str) -> None:
    assert line in config.render("slurm.conf", values(version)).splitlines()
    assert "reempt" not in config.render("slurm.conf", values(version, accounting=False))


def test_nodes_and_partitions_as_whole_lines() -> None:
    lines = config.render("slurm.conf", values("22.05")).splitlines()
    assert lines[-4:] == [
        "NodeName=node1 NodeAddr=198.18.77.3 CPUs=4 RealMemory=8000 Gres=gpu:h100:2 Features=a100 State=UNKNOWN",
        "NodeName=node2 NodeAddr=198.18.77.3 CPUs=4 RealMemory=8000 Gres=gpu:h100:2 State=UNKNOWN",
        "PartitionName=lab Nodes=ALL MaxTime=01:00:00 State=UP Default=YES",
        "PartitionName=solo Nodes=ALL MaxTime=00:10:00 State=UP MaxNodes=1",
    ]
    assert (
        "NodeName=node2 Name=gpu Type=h100 File=/dev/nvidia[0-1]"
        in config.render("gres.conf", values("22.05")).splitlines()
    )


def test_nodes_may_differ_in_their_gpus_and_have_two_types_of_them() -> None:
    given = values("22.05", lines=["TopologyPlugin=topology/tree"])
    given["nodes"][0]["gpus"] = [*gpus(2), {"type": "t4", "count": 1, "files": "/dev/nvidia2"}]
    given["nodes"][1]["gpus"] = []
    text = config.render("slurm.conf", given)
    assert "RealMemory=8000 Gres=gpu:h100:2,gpu:t4:1 Features=a100 State=UNKNOWN" in text
    assert "NodeName=node2 NodeAddr=198.18.77.3 CPUs=4 RealMemory=8000 State=UNKNOWN" in text.splitlines()
    assert text.splitlines()[-1] == "TopologyPlugin=topology/tree"
    lines = config.render("gres.conf", given).splitlines()
    assert lines[2:] == [
        "NodeName=node1 Name=gpu Type=h100 File=/dev/nvidia[0-1]",
        "NodeName=node1 Name=gpu Type=t4 File=/dev/nvidia2",
    ]


def test_a_value_that_is_missing_is_an_error_and_no_blank() -> None:
    lacking = values("22.05")
    del lacking["cluster_name"]
    with pytest.raises(jinja2.UndefinedError, match="cluster_name"):
        config.render("slurm.conf", lacking)
