"""What a person asks a cluster for, read and refused in words, before anything is rendered or sent."""

import re
from pathlib import Path
from typing import Any

from labs.errors import UsageError
from labs.launch.kubernetes.quantity import amount, of_bytes
from labs.launch.slurm.limits import minutes_of
from labs.launch.spec import RunSpec, one_of, whole_number

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # a DNS label
LONG_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
LABEL_KEY = re.compile(r"([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
PULLS = ("Always", "IfNotPresent", "Never")
MOST_STEPS = 2**20 - 2**10  # bytes: a ConfigMap holds 1 MiB, names included
OF_THE_IMAGE = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt/venv", "/proc", "/sbin", "/sys", "/usr", "/labs")  # fmt: skip


def check(spec: RunSpec) -> None:
    """Raise UsageError for a wish that no cluster could fulfil."""
    wish = spec.request
    for name in ("namespace", "queue", "serviceaccount", "claim", "pullsecret", "runtimeclass"):
        _check_name(name, getattr(wish, name))
    if wish.cpus:
        whole_number("CPUS", wish.cpus)
    if wish.pull:
        one_of("PULL", wish.pull, PULLS)
    if wish.retries and not (wish.retries.isdecimal() and len(wish.retries) < 3):
        raise UsageError(
            f"RETRIES={wish.retries[:20]} is not possible; give a whole number from 0 to 99, such as RETRIES=2"
        )
    if wish.resource and not LABEL_KEY.fullmatch(wish.resource):
        raise UsageError(
            f"RESOURCE={wish.resource[:40]} is not possible; give the name of a GPU, such as RESOURCE=nvidia.com/gpu"
        )
    minutes_of(spec)
    selector(wish.selector)
    tolerations(wish.tolerations)
    _check_memory(spec)
    _check_place(spec)
    if spec.attempt:
        steps_text(spec.attempt)


def selector(text: str) -> dict[str, str]:
    """Return the labels that a node must have, from KEY=VALUE,KEY=VALUE."""
    found = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not (equals and LABEL_KEY.fullmatch(key) and LABEL_VALUE.fullmatch(value)):
            raise UsageError(
                f"SELECTOR={part[:60]} is not possible; give labels of nodes, such as SELECTOR=gpu=h100,zone=a"
            )
        found[key] = value
    return found


def tolerations(text: str) -> list[dict[str, Any]]:
    """Return the taints that a pod may bear, from KEY[=VALUE][:EFFECT],…"""
    return [_toleration(part) for part in text.split(",") if part]


def steps_text(path: Path) -> str:
    """Return a learner's file as text. Raises UsageError where a ConfigMap could not hold it."""
    try:
        content = path.read_bytes()
        if len(content) > MOST_STEPS:
            raise UsageError(
                f"{path} has {len(content)} bytes, and a ConfigMap takes {MOST_STEPS}\nmake it smaller: it is to hold your steps alone"
            )
        return content.decode()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None


def _toleration(part: str) -> dict[str, Any]:
    taint, colon, effect = part.partition(":")
    key, equals, value = taint.partition("=")
    possible = LABEL_KEY.fullmatch(key) and LABEL_VALUE.fullmatch(value) and (not colon or effect in EFFECTS)
    if not possible:
        raise UsageError(
            f"TOLERATIONS={part[:60]} is not possible; give taints of nodes, such as TOLERATIONS=gpu=yes:NoSchedule\n"
            f"effects are: {', '.join(EFFECTS)}"
        )
    how = {"operator": "Equal", "value": value} if equals else {"operator": "Exists"}
    return {"key": key, **how, **({"effect": effect} if colon else {})}


def _check_name(wish: str, name: str) -> None:
    allowed = LONG_NAME if wish in ("claim", "pullsecret", "serviceaccount", "runtimeclass") else NAME
    if name and not allowed.fullmatch(name):
        raise UsageError(
            f"{wish.upper()}={name[:80]} can be no name in Kubernetes\nnames have small letters, digits and - between them"
        )


def _check_memory(spec: RunSpec) -> None:
    memory = of_bytes("MEMORY", spec.request.memory) if spec.request.memory else ""
    shm = of_bytes("SHM", spec.request.shm) if spec.request.shm else ""
    if memory and shm and amount(shm) >= amount(memory):
        raise UsageError(
            f"SHM={spec.request.shm} is not less than MEMORY={spec.request.memory}, of which it is a part\nask for more MEMORY="
        )


def _check_place(spec: RunSpec) -> None:
    """The run folder is mounted in the pods where the person has it; there it must hide nothing, and be a path to Kubernetes."""
    for path in filter(None, (spec.folder, spec.attempt)):
        hidden = next((own for own in OF_THE_IMAGE if path.is_relative_to(own)), "")
        if hidden or ":" in str(path) or not path.is_absolute():
            why = (
                f"it would hide the image's {hidden}" if hidden else "it must begin with / and hold no colon"
            )
            raise UsageError(
                f"{path} cannot be a path in a pod: {why}\nchoose another place with LABS_HOME=/some/folder"
            )
