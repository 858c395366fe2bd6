"""k8s/workshop as an administrator applies it: valid in every Kubernetes that we name, closed, and each person's place their own."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from labs.launch.kubernetes.quantity import amount
from scripts.environment.torch_source import read_versions
from tests.conftest import ROOT
from tests.k8s.kustomize import Object, build, identity

WORKSHOP = ROOT / "k8s" / "workshop"
VERSIONS = read_versions(ROOT / "versions.env")
PEOPLE = ("ada", "grace")
ALL = build(WORKSHOP)
# What a person may do, and nothing more.
RIGHTS = {
    "jobs": "create get list watch patch delete",
    "pods": "get list watch",
    "pods/log": "get",
    "services": "create get list patch delete",
    "configmaps": "create get list patch delete",
    "secrets": "create patch delete",
    "events": "get list watch",
    "resourcequotas": "get list",
    "limitranges": "get list",
}


def of_kind(kind: str, objects: list[Object] = ALL) -> list[Object]:
    return [one for one in objects if one["kind"] == kind]


def policy(name: str) -> dict[str, Any]:
    """Return what a network policy of the first person says."""
    (found,) = (one for one in of_kind("NetworkPolicy", place_of("ada")) if one["metadata"]["name"] == name)
    spec: dict[str, Any] = found["spec"]
    return spec


def place_of(person: str) -> list[Object]:
    return build(WORKSHOP / person)


def kubectl() -> str:
    """Return the kubectl of this machine. One older than ours (Debian's) has another kustomize inside."""
    program = shutil.which("kubectl")
    if not program:
        pytest.skip("there is no kubectl here to compare with")
    said = subprocess.run(
        [program, "version", "--client"], capture_output=True, text=True, check=False
    ).stdout
    if not re.search(r"Kustomize Version: v5\.", said):
        pytest.skip("the kubectl here has no kustomize of version 5")
    return program


@pytest.mark.parametrize("folder", [".", *PEOPLE])
def test_kubectl_makes_the_same_of_it(folder: str) -> None:
    made = subprocess.run(
        [kubectl(), "kustomize", WORKSHOP / folder], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert sorted(yaml.safe_load_all(made.stdout), key=identity) == sorted(
        build(WORKSHOP / folder), key=identity
    )


@pytest.mark.parametrize("version", [VERSIONS["KUBERNETES_MIN"], VERSIONS["KUBERNETES_MAX"]])
@pytest.mark.parametrize("one", ALL, ids=lambda one: "-".join(identity(one)))
def test_it_is_valid_in_the_oldest_and_the_newest(one: Object, version: str) -> None:
    assert kubernetes_validate.validate(one, version, strict=True) == version


def test_what_a_schema_does_not_know_would_be_noticed() -> None:
    (quota, *_) = of_kind("ResourceQuota")
    with pytest.raises(kubernetes_validate.ValidationError, match="hards"):
        kubernetes_validate.validate(quota | {"spec": {"hards": {}}}, VERSIONS["KUBERNETES_MIN"], strict=True)


@pytest.mark.parametrize("person", PEOPLE)
def test_a_persons_place_is_whole_and_all_of_it_is_theirs(person: str) -> None:
    place, namespace = place_of(person), f"labs-{person}"
    kinds = {"LimitRange", "Namespace", "NetworkPolicy", "ResourceQuota", "Role", "RoleBinding"}
    assert {one["kind"] for one in place} - {"PersistentVolumeClaim"} == kinds
    assert {
        one["metadata"]["name"] if one["kind"] == "Namespace" else one["metadata"]["namespace"]
        for one in place
    } == {namespace}
    (binding,) = of_kind("RoleBinding", place)
    assert binding["subjects"] == [{"kind": "User", "name": person, "apiGroup": "rbac.authorization.k8s.io"}]
    assert all(one in ALL for one in place)


def test_pods_are_held_to_the_restricted_standard() -> None:
    for namespace in of_kind("Namespace"):
        labels = namespace["metadata"]["labels"]
        modes = {mode: labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "warn", "audit")}
        assert modes == dict.fromkeys(modes, "restricted")


def test_a_person_may_do_what_a_run_needs_and_nothing_more() -> None:
    for role in of_kind("Role"):
        granted = {
            resource: " ".join(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]
        }
        assert granted == RIGHTS
        groups = {resource: rule["apiGroups"] for rule in role["rules"] for resource in rule["resources"]}
        assert groups == {name: ["batch" if name == "jobs" else ""] for name in RIGHTS}


def test_nothing_is_opened_to_the_world() -> None:
    for quota in of_kind("ResourceQuota"):
        hard = quota["spec"]["hard"]
        assert (hard["services.nodeports"], hard["services.loadbalancers"]) == ("0", "0")


def test_all_is_denied_to_all_pods_first() -> None:
    assert policy("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_runs_reach_only_runs_of_their_own_namespace() -> None:
    """A peer with no more than a podSelector is one of the policy's own namespace."""
    runs = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "labs"}}}
    within = policy("within-runs")
    assert (within["ingress"], within["egress"]) == ([{"from": [runs]}], [{"to": [runs]}])
    assert within["podSelector"] == runs["podSelector"]


def test_outside_they_reach_the_name_server_and_only_its_port() -> None:
    dns = policy("dns")
    assert dns["policyTypes"] == ["Egress"]
    (way,) = dns["egress"]
    assert {(port["protocol"], port["port"]) for port in way["ports"]} == {("UDP", 53), ("TCP", 53)}
    (peer,) = way["to"]
    assert set(peer) == {"namespaceSelector", "podSelector"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("resources: [../person]\nnamePrefix: a-", "not known here: namePrefix"),
        ("resources: [../person, ../person]", "given twice"),
        ("resources: [../person]\npatches:\n- {target: {kind: Pod}, patch: '[]'}", "nothing to patch"),
        (
            "resources: [../person]\npatches:\n- target: {kind: Role}\n  patch: |-\n    - {op: replace, path: /rule, value: 1}",
            "replace /rule: not known here, or not there",
        ),
    ],
)
def test_the_stand_in_for_kustomize_refuses_what_it_cannot_do(tmp_path: Path, text: str, why: str) -> None:
    shutil.copytree(WORKSHOP / "person", tmp_path / "person")
    (tmp_path / "heidi").mkdir()
    (tmp_path / "heidi" / "kustomization.yaml").write_text(text)
    with pytest.raises(ValueError, match=why):
        build(tmp_path / "heidi")


def test_the_readmes_loop_makes_a_place_for_each_person(tmp_path: Path) -> None:
    shutil.copytree(WORKSHOP, tmp_path / "k8s" / "workshop")
    stand_in = tmp_path / "bin" / "kubectl"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n')
    stand_in.chmod(0o755)
    readme = (ROOT / "k8s" / "README.md").read_text(encoding="utf-8")
    (loop,) = re.findall(r"^ *for person in .*?^ *done$", readme, re.MULTILINE | re.DOTALL)
    surroundings = {"PATH": f"{stand_in.parent}:/usr/bin:/bin"}
    subprocess.run(["sh", "-eu", "-c", loop], cwd=tmp_path, env=surroundings, check=True)
    asked = (tmp_path / "asked").read_text().splitlines()
    people = re.search(r"for person in (.*);", loop)
    assert people is not None
    assert asked == [f"apply -k k8s/workshop/{person}" for person in people[1].split()]
    for person in people[1].split():
        (binding,) = of_kind("RoleBinding", build(tmp_path / "k8s" / "workshop" / person))
        assert (binding["metadata"]["namespace"], binding["subjects"][0]["name"]) == (
            f"labs-{person}",
            person,
        )


def test_a_run_as_job_yaml_has_it_fits_into_a_persons_place() -> None:
    """The sums of all pods are within the quota, each container within the limits, and the disk of a pod within what it gets."""
    job = next(
        one for one in yaml.safe_load_all((ROOT / "k8s" / "job.yaml").read_text()) if one["kind"] == "Job"
    )
    pod, pods = job["spec"]["template"]["spec"], job["spec"]["completions"]
    containers = [*pod["initContainers"], *pod["containers"]]
    (quota,), (limits,) = of_kind("ResourceQuota", place_of("ada")), of_kind("LimitRange", place_of("ada"))
    hard, (each,) = quota["spec"]["hard"], limits["spec"]["limits"]
    for side in ("requests", "limits"):
        for resource in ("cpu", "memory"):
            asked = [amount(str(one["resources"][side][resource])) for one in containers]
            assert pods * sum(asked) <= amount(hard[f"{side}.{resource}"])
            assert max(asked) <= amount(each["max"][resource])
    disk = [
        amount(volume["emptyDir"]["sizeLimit"])
        for volume in pod["volumes"]
        if "emptyDir" in volume and volume["emptyDir"].get("medium") != "Memory"
    ]
    assert sum(disk) <= len(containers) * amount(each["default"]["ephemeral-storage"])
    assert pods <= int(hard["pods"])
