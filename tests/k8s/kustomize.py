"""As much of kustomize as k8s/workshop uses: resources, a namespace, and JSON patches that replace. All else is refused."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
KNOWN = {"apiVersion", "kind", "resources", "namespace", "patches"}


def build(folder: Path) -> list[Object]:
    """Return the objects that `kubectl kustomize FOLDER` prints, in the order of their files.

    Raises ValueError for what it does not know, and for what kustomize refuses: a path that is not there, an object given twice.
    """
    wishes = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    if set(wishes) - KNOWN:
        raise ValueError(f"not known here: {', '.join(sorted(set(wishes) - KNOWN))}")
    objects = [one for name in wishes["resources"] for one in _resource(folder / name)]
    for patch in wishes.get("patches", []):
        _patch(objects, patch)
    if "namespace" in wishes:
        objects = [_moved(one, wishes["namespace"]) for one in objects]
    ids = [identity(one) for one in objects]
    if len(set(ids)) < len(ids):
        raise ValueError(f"given twice: {sorted(ids)}")
    return objects


def identity(one: Object) -> tuple[str, str, str]:
    """Return what tells an object from all others: its kind, namespace and name."""
    return one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]


def _resource(path: Path) -> list[Object]:
    return build(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def _moved(one: Object, namespace: str) -> Object:
    """Return an object in a namespace; one that is a namespace gets the name."""
    moved = deepcopy(one)
    moved["metadata"]["name" if one["kind"] == "Namespace" else "namespace"] = namespace
    return moved


def _patch(objects: list[Object], patch: dict[str, Any]) -> None:
    if set(patch) != {"target", "patch"} or set(patch["target"]) != {"kind"}:
        raise ValueError(f"a patch of another form than known here: {patch}")
    targets = [one for one in objects if one["kind"] == patch["target"]["kind"]]
    if not targets:
        raise ValueError(f"nothing to patch: {patch['target']}")
    for step in yaml.safe_load(patch["patch"]):
        for target in targets:
            _replace(target, **step)


def _replace(target: Object, op: str, path: str, value: Any) -> None:
    """Put a value in the place of the one at a JSON pointer (RFC 6901)."""
    *above, last = [part.replace("~1", "/").replace("~0", "~") for part in path.removeprefix("/").split("/")]
    place: Any = target
    for part in above:
        place = place[_key(place, part)]
    if op != "replace" or _key(place, last) not in (range(len(place)) if isinstance(place, list) else place):
        raise ValueError(f"{op} {path}: not known here, or not there")
    place[_key(place, last)] = value


def _key(place: Any, part: str) -> int | str:
    return int(part) if isinstance(place, list) else part
