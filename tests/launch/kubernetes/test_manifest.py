"""From a run to YAML: the whole text, and each wish in its place. Nothing here has a cluster, or needs the client."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from labs.errors import UsageError
from labs.launch import LAUNCHERS
from labs.launch.kubernetes import manifest, rules
from tests.conftest import ROOT
from tests.launch.kubernetes.conftest import SPEC, Asked

WHOLE = Path(__file__).with_name("lab43.yaml")
FILE = ROOT / "k8s" / "job.yaml"
VERSIONS = dict(
    line.split("=", 1) for line in (ROOT / "versions.env").read_text().splitlines() if line[:1].isalpha()
)
SUPPORTED = (VERSIONS["KUBERNETES_MIN"], VERSIONS["KUBERNETES_MAX"])


def pod_of(found: list[dict[str, Any]]) -> Any:
    return found[-1]["spec"]["template"]["spec"]


def node_of(found: list[dict[str, Any]]) -> Any:
    return pod_of(found)["containers"][0]


def made(spec: Any) -> list[dict[str, Any]]:
    found = manifest.documents(spec, "lab43-abc123", "nonce")
    rules.check(found)
    return found


def test_whole_text() -> None:
    assert LAUNCHERS["k8s"].render(SPEC) == WHOLE.read_text(encoding="utf-8")


def test_what_is_shown_is_what_is_sent() -> None:
    shown = [part for part in yaml.safe_load_all(LAUNCHERS["k8s"].render(SPEC)) if part]
    assert shown == manifest.documents(SPEC, "lab43-xxxxxx", "xxxxxx")


@pytest.mark.parametrize("version", SUPPORTED)
def test_all_is_right_by_the_schema_of_every_supported_version(
    asked: Asked, version: str, tmp_path: Path
) -> None:
    steps = tmp_path / "lab43.py"
    steps.write_text("x = 1\n")
    full = asked(
        attempt=steps, gpus="2", queue="q", selector="a=b", tolerations="c=d:NoExecute,e", claim="shared", time="5", cpus="2",
        memory="8G", shm="1G", runtimeclass="nvidia", serviceaccount="labs", pullsecret="p", pull="Always", namespace="w",
    )  # fmt: skip
    for document in (*yaml.safe_load_all(FILE.read_text()), *made(full), *made(asked(nodes=1))):
        kubernetes_validate.validate(document, version, strict=True)


def test_the_file_passes_the_rules_and_names_what_to_change() -> None:
    rules.check(list(yaml.safe_load_all(FILE.read_text())))
    marked = [
        line.split(":")[0].strip(" -") for line in FILE.read_text().splitlines() if line.endswith("# CHANGE")
    ]
    assert sorted(marked) == ["image", "image", "namespace", "namespace"]


def test_the_file_is_lab_43_on_two_nodes_but_for_its_name_and_place(asked: Asked) -> None:
    """What the launcher sends is what stands in the file."""
    spec = asked(folder=Path("/labs/run"), memory="3G")
    theirs = list(yaml.safe_load_all(FILE.read_text().replace("by-hand", "nonce")))
    for document in theirs:
        del document["metadata"]["namespace"]
    assert manifest.documents(spec, "lab43", "nonce", secret=False) == theirs


def test_wishes_stand_in_their_fields(asked: Asked) -> None:
    found = made(
        asked(
            time="5",
            memory="8G",
            cpus="4",
            shm="2G",
            namespace="w",
            queue="q",
            claim="shared",
            procs=2,
            image="r/x:1",
        )
    )
    job, pod, node = found[-1], pod_of(found), node_of(found)
    assert pod["activeDeadlineSeconds"] == 300
    assert node["resources"]["limits"] == node["resources"]["requests"] == {"cpu": "4", "memory": "8Gi"}
    assert {volume["name"]: volume for volume in pod["volumes"]}["shm"]["emptyDir"]["sizeLimit"] == "2Gi"
    assert (job["metadata"]["namespace"], job["spec"]["suspend"]) == ("w", True)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "q"
    assert {"name": "OMP_NUM_THREADS", "value": "2"} in node["env"]
    assert {container["image"] for container in (*pod["initContainers"], node)} == {"r/x:1"}
    assert {"name": "run", "persistentVolumeClaim": {"claimName": "shared"}} in pod["volumes"]
    assert {"name": "run", "mountPath": "/home/ada/runs/lab43"} in node["volumeMounts"]


def test_gpus_are_asked_for_by_their_name(asked: Asked) -> None:
    node = node_of(made(asked(gpus="2", resource="amd.com/gpu")))
    assert node["resources"]["limits"]["amd.com/gpu"] == node["resources"]["requests"]["amd.com/gpu"] == "2"
    assert node["image"].endswith("labs:gpu")
    assert node["imagePullPolicy"] == "Never"
    assert node_of(made(asked()))["image"].endswith("labs:cpu")


@pytest.mark.parametrize(
    ("wishes", "policy"),
    [
        ({}, "Never"),
        ({"image": "labs:cpu"}, "Never"),
        ({"image": "registry.example.org/course/labs:cpu"}, "IfNotPresent"),
        ({"image": "labs:cpu", "pull": "Always"}, "Always"),
    ],
)
def test_nothing_is_pulled_by_a_name_of_our_own_unless_asked_to(
    asked: Asked, wishes: dict[str, str], policy: str
) -> None:
    pod = pod_of(made(asked(**wishes)))
    assert {each["imagePullPolicy"] for each in (*pod["initContainers"], *pod["containers"])} == {policy}


def test_a_learners_file_comes_in_a_config_map_where_it_stands(asked: Asked, tmp_path: Path) -> None:
    steps = tmp_path / "lab43.py"
    steps.write_text("x = 'ą'\n")
    found = made(asked(attempt=steps))
    assert [document["kind"] for document in found] == ["Service", "ConfigMap", "Job"]
    assert found[1]["data"] == {"lab43.py": "x = 'ą'\n"}
    assert {"name": "steps", "mountPath": str(tmp_path), "readOnly": True} in node_of(found)["volumeMounts"]


def test_ranks_know_one_another_by_a_secret_that_is_in_no_variable(asked: Asked) -> None:
    found = made(asked())
    assert {"name": "secret", "secret": {"secretName": "lab43-abc123", "defaultMode": 0o400}} in pod_of(
        found
    )["volumes"]
    assert "--secret" in node_of(found)["args"]
    assert all("secret" not in str(entry).lower() for entry in node_of(found)["env"])
    assert "--secret" not in node_of(made(asked(nodes=1)))["args"]


def test_a_template_that_is_not_there_or_none(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("labs.home.CHECKOUT", tmp_path)
    with pytest.raises(UsageError, match="which LAUNCHER=k8s sends"):
        made(asked())
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s" / "job.yaml").write_text("kind: Job\n")
    with pytest.raises(UsageError, match="has to hold a Service and a Job, and holds: Job"):
        made(asked())
    (tmp_path / "k8s" / "job.yaml").write_text("kind: [\n")
    with pytest.raises(UsageError, match=r"is not YAML: .*\nmend it, or take it from the checkout anew"):
        made(asked())


def test_a_dry_run_imports_neither_the_client_nor_torch() -> None:
    program = (
        "import sys; from labs.launch import LAUNCHERS; from tests.launch.kubernetes.conftest import SPEC;"
        "LAUNCHERS['k8s'].check(SPEC); LAUNCHERS['k8s'].render(SPEC);"
        "print([name for name in ('kubernetes', 'torch', 'urllib3') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
