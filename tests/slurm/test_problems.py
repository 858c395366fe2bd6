"""Every fault of an inventory and of a host, one at a time: one sentence, which names the culprit. And none where nothing is wrong."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slurm.ansible.filter_plugins.problems import defaults, problems, remarks, setting

ROLES = Path(__file__).parents[2] / "slurm" / "ansible" / "roles"
ADDRESSES = {"ctl": "198.18.0.10", "desk": "198.18.0.11", "node1": "198.18.0.21", "node2": "198.18.0.22"}
GROUPS = {"all": list(ADDRESSES), "controller": ["ctl"], "login": ["desk"], "nodes": ["node1", "node2"]}
Change = Callable[[dict[str, Any]], object]


def host(name: str) -> dict[str, Any]:
    """Return a host as it is when nothing is wrong with it."""
    found = {
        "os": "debian-12", "python": "3.11.2", "uid": 0, "systemd": True, "hostname": name, "addresses": [ADDRESSES[name]],
        "looked_up": {}, "ahead_s": -0.4, "cores": 8, "mib": 16000, "free_mib": {"/": 9000, "/var": 9000, "/tmp": 9000},
        "gpus": [], "cards": 0, "cgroups": "v2", "ids": {}, "people": {}, "gids": [], "listening": [22], "slurm_conf": "", "slurm": "",
        "shared": {"there": True, "writable": True, "mark": "2 1000"},
    }  # fmt: skip
    return {
        "ansible_host": ADDRESSES[name],
        "ansible_user": "admin",
        "validate_looked": {"ansible_facts": {"labs_host": found}},
    }


def judged(change: Change = lambda world: None) -> list[str]:
    """Return what is said where one thing was changed."""
    world: dict[str, Any] = {
        "hosts": {name: host(name) for name in ADDRESSES},
        "groups": copy.deepcopy(GROUPS),
    }
    change(world)
    return problems(world["hosts"], world["groups"], str(ROLES))


def variable(name: str, value: Any) -> Change:
    return lambda world: [host.update({name: value}) for host in world["hosts"].values()]


def found(name: str, **facts: Any) -> Change:
    return lambda world: world["hosts"][name]["validate_looked"]["ansible_facts"]["labs_host"].update(facts)


def of(name: str, **variables: Any) -> Change:
    return lambda world: world["hosts"][name].update(variables)


def group(name: str, members: list[str]) -> Change:
    return lambda world: world["groups"].update({name: members})


def failed(name: str, **result: Any) -> Change:
    return lambda world: world["hosts"][name].update(validate_looked=result)


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    assert judged() == []
    assert judged(group("nodes", ["node1", "node2", "ctl"])) == [], (
        "a small cluster's controller may be a node"
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (group("controller", []), "The inventory names no host under [controller]"),
        (group("controller", ["ctl", "desk"]), "The inventory names ctl, desk under [controller]"),
        (group("nodes", []), "The inventory names no host under [nodes]"),
        (group("login", []), "The inventory names no host under [login]"),
        (of("node2", ansible_host=ADDRESSES["node1"]), "node1 and node2 have one address, 198.18.0.21"),
        (variable("cluster_nmae", "x"), "cluster_nmae is no variable of the roles: did you mean cluster_name?"),
        (variable("cluster_name", "my-labs!"), "cluster_name=my-labs! is not possible"),
        (variable("cluster_shared_folder", "srv; rm"), "cluster_shared_folder=srv; rm is not possible"),
        (variable("shared_source", "nfs"), "shared_source=nfs is not possible"),
        (variable("labs_bundle", "/no/such.tar"), "labs_bundle=/no/such.tar is not there"),
        (variable("cluster_partitions", "lab"), "cluster_partitions is no list of partitions"),
        (variable("cluster_partitions", [{"name": "lab"}]), "The partition {'name': 'lab'} of cluster_partitions is not whole"),
        (
            variable("cluster_partitions", [{"name": "lab", "max_time": "long", "max_nodes": None}]),
            "The partition lab is not possible",
        ),
        (variable("users_people", [{"name": "Ada L", "group": "course"}]), "users_people has a person 'Ada L'"),
        (variable("users_people", ["ada"]), "users_people has a person 'ada'"),
        (variable("users_people", [{"name": "ada"}]), "users_people says no group of ada"),
        (variable("users_people", [{"name": "ada", "group": "course"}] * 2), "users_people has ada twice"),
        (failed("node1", unreachable=True, msg="ssh: no route"), "node1 is not reached by ssh at 198.18.0.21: no route."),
        (failed("node1", failed=True, msg="sudo: a password is required"), "On node1 sudo wants a password"),
        (failed("node1", failed=True, msg="/usr/bin/python3: not found"), "node1 has no Python"),
        (failed("node1", failed=True, msg="odd"), "node1 could not be looked at: odd"),
        (found("node1", uid=1000), "On node1 admin is not root"),
        (found("node1", os="plan9-4"), "node1 runs plan9-4, whose packages are not known here: take one of debian-12, debian-13"),
        (found("node1", os="ubuntu-22.04"), "node1 runs ubuntu-22.04, whose Slurm 21.08 is older than 22.05"),
        (found("node1", systemd=False), "node1 was not started by systemd"),
        (found("node1", python="3.6.8"), "node1 has Python 3.6.8"),
        (found("node1", ahead_s=3600.0), "node1's clock is 3600 s ahead"),
        (found("node1", hostname="debian"), "node1 calls itself debian"),
        (found("node1", addresses=["203.0.113.9"]), "node1 has no address 198.18.0.21, but 203.0.113.9"),
        (found("desk", looked_up={"ctl": ["203.0.113.9"]}), "On desk the name ctl leads to 203.0.113.9, not to 198.18.0.10"),
        (found("node1", mib=400), "node1 has 400 MiB of memory"),
        (found("node1", free_mib={"/": 9000, "/var": 3, "/tmp": 9}), "node1 has 3 MiB free in /var"),
        (found("node1", cards=2), "node1 has 2 NVIDIA cards, and a driver answers for 0"),
        (found("node1", slurm_conf="foreign"), "node1 has an /etc/slurm/slurm.conf of somebody else's"),
        (found("node1", listening=[22, 6818]), "On node1 something listens on port 6818"),
        (found("node1", ids={"slurm": {"uid": 997}}), "node1 has a user slurm with the number 997"),
    ],
)  # fmt: skip
def test_a_fault_is_one_sentence(change: Change, sentence: str) -> None:
    said = judged(change)
    assert len(said) == 1, said
    assert said[0].startswith(sentence)
    assert said[0].endswith((".", "?")), said


@pytest.mark.parametrize(
    "change",
    [
        of("node1", node_gpus=[]),
        variable("base_apt_sources", ["deb file:/srv/packages ./"]),
        of("node1", ansible_host="node1.example.org"),
        found("node1", ids={"slurm": {"uid": 64030}}),
        found("node1", looked_up={"node1": ["127.0.1.1"], "ctl": []}),
        found("node1", slurm_conf="ours", listening=[22, 6818]),
        found("desk", mib=400),
        variable("slurm_config_lines", []),
        variable("my_own", 1),
    ],
)
def test_what_is_no_fault(change: Change) -> None:
    assert judged(change) == []


def test_cards_that_are_done_without_are_no_fault() -> None:
    def change(world: dict[str, Any]) -> None:
        found("node1", cards=2)(world)
        of("node1", node_gpus=[])(world)

    assert judged(change) == []


def test_a_shared_folder_that_is_there_already_is_looked_at() -> None:
    def existing(change: Change) -> list[str]:
        def both(world: dict[str, Any]) -> None:
            variable("shared_source", "")(world)
            change(world)

        return judged(both)

    assert existing(lambda world: None) == []
    (said,) = existing(found("node1", shared={"there": False}))
    assert said.startswith("There is no folder /shared on node1")
    (said,) = existing(found("node1", shared={"there": True, "writable": False, "mark": "2 1000"}))
    assert said.startswith("Nothing can be written into /shared on node1")
    (said,) = existing(found("node2", shared={"there": True, "writable": True, "mark": "7 1000"}))
    assert said.startswith("/shared is not one folder on ctl and node2")


def test_all_faults_are_said_at_once() -> None:
    def change(world: dict[str, Any]) -> None:
        for one in (group("login", []), failed("node1", unreachable=True), found("ctl", systemd=False)):
            one(world)

    assert len(judged(change)) == 3


def test_a_distribution_that_was_not_tried_is_remarked_and_no_fault() -> None:
    assert judged(found("node1", os="ubuntu-24.04")) == []
    hosts = {name: host(name) for name in ADDRESSES}
    assert remarks(hosts, GROUPS, str(ROLES)) == []
    found("node1", os="ubuntu-24.04")({"hosts": hosts})
    assert remarks(hosts, GROUPS, str(ROLES)) == [
        "node1: the roles were written for ubuntu-24.04, and not tried there."
    ]


def test_a_setting_is_the_inventorys_else_the_roles_own() -> None:
    assert setting({"cluster_name": "mine"}, "cluster_name", str(ROLES)) == "mine"
    assert setting({}, "cluster_name", str(ROLES)) == "labs"
    assert "users_people" in defaults(str(ROLES))
