"""What a server would refuse, found before anything is sent. A schema knows types and fields, but none of this."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from labs.errors import UsageError
from labs.launch.kubernetes.quantity import amount
from labs.launch.kubernetes.wishes import LABEL_KEY, LABEL_VALUE, NAME

Document = dict[str, Any]
LONGEST_NAME = 63
MOST_DATA = 2**20  # bytes of a ConfigMap
COUNTED = ("cpu", "memory", "ephemeral-storage")  # resources that may be asked for and limited apart


def check(documents: list[Document]) -> None:
    """Raise UsageError with the first rule that a document breaks, and the field."""
    for document in documents:
        for trouble in (trouble for rule in RULES for trouble in rule(document)):
            kind, name = document.get("kind"), document.get("metadata", {}).get("name")
            raise UsageError(
                f"Kubernetes would refuse the {kind} {name}: {trouble}\nmend k8s/job.yaml, or what you asked for"
            )


def _names(document: Document) -> Iterator[str]:
    name = str(document.get("metadata", {}).get("name", ""))
    pods = int(document.get("spec", {}).get("completions", 1)) if document.get("kind") == "Job" else 1
    longest = f"{name}-{pods - 1}"
    if not NAME.fullmatch(name):
        yield f"metadata.name {name[:80]!r} is no name of small letters, digits and -"
    elif len(longest) > LONGEST_NAME:
        yield f"its pods' host names, such as {longest}, are longer than {LONGEST_NAME} characters"


def _labels(document: Document) -> Iterator[str]:
    for about in (document.get("metadata", {}), _template(document).get("metadata", {})):
        for key, value in about.get("labels", {}).items():
            if not (isinstance(value, str) and LABEL_KEY.fullmatch(key) and LABEL_VALUE.fullmatch(value)):
                yield f"the label {key}: {value!r} is not possible"


def _job(document: Document) -> Iterator[str]:
    if document.get("kind") != "Job":
        return
    spec = document["spec"]
    if spec.get("completionMode") not in ("Indexed", "NonIndexed"):
        yield f"completionMode {spec.get('completionMode')!r} is neither Indexed nor NonIndexed"
    if "selector" in spec:
        yield "a selector is the Job controller's own to make"
    if spec.get("ttlSecondsAfterFinished", 0) < 0:
        yield "ttlSecondsAfterFinished is less than 0"
    if "activeDeadlineSeconds" in spec:
        yield "activeDeadlineSeconds of a Job counts while its pods wait, and deletes their logs: give it to the template"


def _pod(document: Document) -> Iterator[str]:
    pod = _template(document).get("spec")
    if pod is None:
        return
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        yield f"restartPolicy {pod.get('restartPolicy')!r} is neither Never nor OnFailure, as a Job wants it"
    if pod.get("activeDeadlineSeconds", 1) < 1:
        yield "activeDeadlineSeconds is less than 1"
    for volume in pod.get("volumes", []):
        size = volume.get("emptyDir", {}).get("sizeLimit")
        if size is not None:
            yield from _quantity(f"sizeLimit of the volume {volume['name']}", size)


def _resources(document: Document) -> Iterator[str]:
    for container in _containers(document):
        limits, requests = (container.get("resources", {}).get(kind, {}) for kind in ("limits", "requests"))
        where = f"in the container {container['name']}"
        wrong = [
            line
            for name, value in [*limits.items(), *requests.items()]
            for line in _quantity(f"{name} {where}", value)
        ]
        yield from wrong
        if not wrong:
            yield from _weighed(limits, requests, where)


def _weighed(limits: dict[str, str], requests: dict[str, str], where: str) -> Iterator[str]:
    for name in {**limits, **requests}:
        least, most = requests.get(name), limits.get(name)
        if name not in COUNTED:
            if least != most or amount(str(most)) % 1:
                yield f"{name} {where} has to be whole, and requests and limits the same"
        elif least is not None and most is not None and amount(str(least)) > amount(str(most)):
            yield f"{name} {where} asks for {least}, and its limit is {most}"


def _quantity(what: str, value: Any) -> Iterator[str]:
    try:
        amount(str(value))
    except ValueError:
        yield f"{what} is {str(value)[:40]!r}, which is no quantity such as 500m or 8Gi"


def _mounts(document: Document) -> Iterator[str]:
    pod = _template(document).get("spec", {})
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for container in _containers(document):
        paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
        for mount in container.get("volumeMounts", []):
            path = mount["mountPath"]
            if mount["name"] not in volumes:
                yield f"the volume {mount['name']} is mounted, but not there"
            if paths.count(path) > 1:
                yield f"two volumes are mounted at {path}"
            if not path.startswith("/") or ":" in path:
                yield f"the mountPath {path} has to begin with / and to hold no colon"


def _variables(document: Document) -> Iterator[str]:
    for container in _containers(document):
        for entry in container.get("env", []):
            if not isinstance(entry.get("value", ""), str):
                yield f"the variable {entry['name']} is {entry['value']!r}, and has to be text"


def _size(document: Document) -> Iterator[str]:
    if document.get("kind") == "ConfigMap":
        size = len(json.dumps(document.get("data", {}), ensure_ascii=False).encode())
        if size > MOST_DATA:
            yield f"it has {size} bytes, and may have {MOST_DATA}"


def _template(document: Document) -> Document:
    found: Document = document.get("spec", {}).get("template", {}) if document.get("kind") == "Job" else {}
    return found


def _containers(document: Document) -> list[Document]:
    pod = _template(document).get("spec", {})
    return [*pod.get("initContainers", []), *pod.get("containers", [])]


RULES: tuple[Callable[[Document], Iterator[str]], ...] = (
    _names,
    _labels,
    _job,
    _pod,
    _resources,
    _mounts,
    _variables,
    _size,
)
