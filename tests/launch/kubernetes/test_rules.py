"""The rules that no schema knows, one by one: each is broken in a job that is right otherwise."""

from collections.abc import Callable
from typing import Any

import pytest

from labs.errors import UsageError
from labs.launch.kubernetes import manifest, rules
from tests.launch.kubernetes.conftest import Asked

Documents = list[dict[str, Any]]


@pytest.fixture
def documents(asked: Asked) -> Documents:
    return manifest.documents(asked(), "lab43-abc123", "nonce")


def job(found: Documents) -> Any:
    return found[-1]["spec"]


def pod(found: Documents) -> Any:
    return job(found)["template"]["spec"]


def node(found: Documents) -> Any:
    return pod(found)["containers"][0]


def mount(found: Documents, name: str, path: str) -> None:
    node(found)["volumeMounts"].append({"name": name, "mountPath": path})


def config_map(found: Documents) -> None:
    found.append({"kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "x" * 2**20}})


BROKEN: dict[str, tuple[Callable[[Documents], Any], str]] = {
    "restart policy": (lambda d: pod(d).update(restartPolicy="Always"), "is neither Never nor OnFailure"),
    "completion mode": (lambda d: job(d).update(completionMode="indexed"), "is neither Indexed nor NonIndexed"),
    "a name's form": (lambda d: d[0]["metadata"].update(name="Lab_43"), "is no name of small letters, digits and -"),
    "a name's length": (lambda d: d[-1]["metadata"].update(name="a" * 62), "are longer than 63 characters"),
    "a label's value": (lambda d: d[0]["metadata"]["labels"].update(x="a b"), "is not possible"),
    "a label that is no text": (lambda d: d[0]["metadata"]["labels"].update(x=1), "the label x: 1"),
    "a quantity": (lambda d: node(d)["resources"]["limits"].update(memory="8 GB"), "which is no quantity such as"),
    "a volume's size": (lambda d: pod(d)["volumes"][0]["emptyDir"].update(sizeLimit="1 G"), "sizeLimit of the volume shm"),
    "requests above limits": (lambda d: node(d)["resources"]["requests"].update(cpu="9"), "asks for 9, and its limit is"),
    "half a GPU": (
        lambda d: [node(d)["resources"][kind].update({"nvidia.com/gpu": "500m"}) for kind in ("limits", "requests")],
        "has to be whole, and requests and limits the same",
    ),
    "a GPU's request apart": (lambda d: node(d)["resources"]["limits"].update({"nvidia.com/gpu": "1"}), "has to be whole"),
    "no time at all": (lambda d: pod(d).update(activeDeadlineSeconds=0), "activeDeadlineSeconds is less than 1"),
    "the Job's own time": (lambda d: job(d).update(activeDeadlineSeconds=9), "of a Job counts while its pods wait"),
    "kept for less than nothing": (lambda d: job(d).update(ttlSecondsAfterFinished=-1), "ttlSecondsAfterFinished is less"),
    "a selector of one's own": (lambda d: job(d).update(selector={}), "a selector is the Job controller's own to make"),
    "one path, two volumes": (lambda d: mount(d, "tmp", "/dev/shm"), "two volumes are mounted at /dev/shm"),
    "a relative path": (lambda d: mount(d, "tmp", "x"), "has to begin with / and to hold no colon"),
    "a colon in a path": (lambda d: mount(d, "tmp", "/a:b"), "has to begin with / and to hold no colon"),
    "no such volume": (lambda d: mount(d, "none", "/x"), "the volume none is mounted, but not there"),
    "a variable that is no text": (lambda d: node(d)["env"].append({"name": "N", "value": 1}), "and has to be text"),
    "more than a ConfigMap holds": (config_map, "and may have 1048576"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_told(documents: Documents, name: str) -> None:
    rules.check(documents)
    breaks, sentence = BROKEN[name]
    breaks(documents)
    with pytest.raises(UsageError, match="Kubernetes would refuse the ") as refused:
        rules.check(documents)
    assert sentence in str(refused.value)
