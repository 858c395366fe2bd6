"""What the playbooks compute of the cluster: addresses, the nodes of slurm.conf, what a version of Slurm writes otherwise."""

import re
from typing import Any

import pytest
import yaml
from ansible.plugins.loader import filter_loader, init_plugin_loader
from jinja2.filters import FILTERS

from scripts.slurm_cluster import config
from slurm.ansible.filter_plugins import cluster

ANSIBLE = config.SLURM / "ansible"
VERSIONS = yaml.safe_load((config.SLURM / "versions.yml").read_text(encoding="utf-8"))
H100 = [{"type": "h100", "count": 2, "files": "/dev/nvidia[0-1]"}]


def host(**variables: Any) -> dict[str, Any]:
    found = {
        "addresses": ["198.18.0.21", "203.0.113.1"],
        "cores": 8,
        "mib": 16000,
        "gpus": H100,
        "cgroups": "v2",
    }
    return {"ansible_facts": {"labs_host": found | variables.pop("found", {})}, **variables}


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"ansible_host": "198.18.0.5"}, "198.18.0.5"),
        ({"ansible_host": "198.18.0.5", "cluster_address": "198.18.9.9"}, "198.18.9.9"),
        ({"ansible_host": "node1.example.org"}, "198.18.0.21"),
        ({}, "198.18.0.21"),
    ],
)
def test_an_address_is_what_the_inventory_says_else_what_the_host_has(
    variables: dict[str, str], address: str
) -> None:
    assert cluster.cluster_address("node1", {"node1": host(**variables)}) == address


def test_a_host_that_was_not_reached_and_has_a_name_only_has_no_address() -> None:
    assert cluster.cluster_address("node1", {"node1": {"ansible_host": "node1.example.org"}}) == ""
    assert cluster.unseen(["a", "b"], {"a": host(), "b": {}}) == ["b"]


def test_a_node_is_what_was_found_less_what_the_system_needs() -> None:
    (node,) = cluster.slurm_nodes(["node1"], {"node1": host()}, "", 512)
    assert node == {
        "name": "node1", "address": "198.18.0.21", "cores": 8, "mib": 15400, "gpus": H100, "features": [],
    }  # fmt: skip


def test_what_the_inventory_says_of_a_node_comes_first() -> None:
    given = host(node_cores=4, node_mib=1000, node_gpus=[], node_features=["fast"])
    (node,) = cluster.slurm_nodes(["node1"], {"node1": given}, "", 512)
    assert (node["cores"], node["mib"], node["gpus"], node["features"]) == (4, 1000, [], ["fast"])


def test_a_node_that_is_away_keeps_its_line() -> None:
    hosts = {"node1": host(), "node2": {"ansible_host": "198.18.0.22"}}
    before = config.render("slurm.conf", _values(hosts | {"node2": host(ansible_host="198.18.0.22")}))
    nodes = cluster.slurm_nodes(["node1", "node2"], hosts, before, 512)
    assert [(node["cores"], node["mib"]) for node in nodes] == [(8, 15400), (8, 15400)]
    assert nodes[1]["gpus"] == H100
    assert [node["name"] for node in cluster.slurm_nodes(["node1", "node2"], hosts, "", 512)] == ["node1"]


def _values(hosts: dict[str, Any]) -> dict[str, Any]:
    return {
        "slurm_version": "22.05", "cluster_name": "labs", "accounting": True, "controller": {"name": "ctl", "address": "198.18.0.1"},
        "nodes": cluster.slurm_nodes(list(hosts), hosts, "", 512), "partitions": config.PARTITIONS, "cgroups": "v2",
        "seconds": config.SECONDS, "scheduler": [], "default_mib_per_core": 1000, "lines": [],
    }  # fmt: skip


def test_gpus_of_two_types_in_a_line() -> None:
    assert cluster.gpus_of_line("gpu:h100:2,gpu:t4:1") == [
        *H100,
        {"type": "t4", "count": 1, "files": "/dev/nvidia2"},
    ]
    assert cluster.gpus_of_line("") == []


@pytest.mark.parametrize(
    ("kinds", "weakest"), [(["v1", "v2"], "some"), (["v2", "none"], "none"), ([], "none"), (["v1"], "some")]
)
def test_one_node_without_cgroups_decides_for_all(kinds: list[str], weakest: str) -> None:
    hosts: dict[str, Any] = {
        f"node{number}": host(found={"cgroups": kind}) for number, kind in enumerate(kinds)
    }
    assert cluster.weakest_cgroups([*hosts, "away"], hosts | {"away": {}}) == weakest


def test_a_core_gets_half_of_the_poorest_nodes_share() -> None:
    assert cluster.memory_for_a_core([{"mib": 8000, "cores": 4}, {"mib": 8000, "cores": 2}]) == 1000


@pytest.mark.parametrize("version", ["22.05", "23.02", "23.11", "24.05", "26.05"])
def test_roles_and_the_test_cluster_agree_on_what_a_version_writes(version: str) -> None:
    assert cluster.slurm_keys(VERSIONS, version) == config.keys(version)


@pytest.mark.parametrize(
    ("path", "unit"), [("/shared", "shared"), ("/srv/labs", "srv-labs"), ("/srv/my-labs/", "srv-my\\x2dlabs")]
)
def test_a_mounts_unit_is_named_as_systemd_wants_it(path: str, unit: str) -> None:
    assert cluster.unit_of_path(path) == unit


def test_a_report_says_what_is_there_and_what_differs() -> None:
    one = {"os": "debian-12", "python": "3.11.2", "slurm": "22.05.8"}
    two = {"os": "debian-13", "python": "3.11.2", "slurm": "", "gpus": []}
    lines = cluster.report_lines(["a", "b", "c"], {"a": host(found=one), "b": host(found=two), "c": {}})
    assert lines == [
        "a: debian-12, Slurm 22.05.8, Python 3.11.2, 8 cores, 16000 MiB, 2 x h100, cgroups v2",
        "b: debian-13, no Slurm, Python 3.11.2, 8 cores, 16000 MiB, no GPU, cgroups v2",
        "c: not reached",
        "The hosts differ in their distributions: debian-12, debian-13.",
    ]


def filters_in(text: str) -> set[str]:
    """Return the names of filters in a file's expressions."""
    expressions = re.findall(r"\{[{%](.*?)[%}]\}", text, re.DOTALL)
    bare = (re.sub(r"'[^']*'|\"[^\"]*\"", "''", expression) for expression in expressions)
    return {name for expression in bare for name in re.findall(r"\|\s*([a-z_]\w*)", expression)}


def test_every_filter_that_a_playbook_names_is_there() -> None:
    """Ansible looks for one when it comes to it, which may be on the last host of the last stage."""
    init_plugin_loader([])
    filter_loader.add_directory(str(ANSIBLE / "filter_plugins"))
    named = {
        name: file.name
        for place in (ANSIBLE, config.SLURM / "templates")
        for file in place.rglob("*")
        if file.suffix in (".yml", ".j2")
        for name in filters_in(file.read_text(encoding="utf-8"))
    }
    assert {"default", "slurm_nodes", "ternary"} <= named.keys()
    unknown = {name: file for name, file in named.items() if name not in FILTERS}
    assert {name: file for name, file in unknown.items() if filter_loader.get(name) is None} == {}
