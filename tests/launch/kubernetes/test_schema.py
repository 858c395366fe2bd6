"""Fields and types: each one of a right job is needed as it is, or noticed."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labs.errors import UsageError
from labs.launch.kubernetes import manifest, schema
from tests.launch.kubernetes.conftest import Asked

Documents = list[dict[str, Any]]
Place = tuple[str | int, ...]
FREE = (
    "labels",
    "annotations",
    "data",
    "stringData",
    "matchLabels",
    "selector",
    "limits",
    "requests",
    "nodeSelector",
)


@pytest.fixture
def documents(asked: Asked, tmp_path: Path) -> Documents:
    attempt = tmp_path / "lab43.py"
    attempt.write_text("# a learner's file", encoding="utf-8")
    found = manifest.documents(asked(attempt=attempt), "lab43-abc123", "nonce", secret=True)
    return [*found, manifest.secret_document("lab43-abc123", "bm9uY2U=")]


def fields(thing: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the place of every field whose name is Kubernetes' own."""
    if isinstance(thing, dict):
        for name, value in thing.items():
            if not (place and place[-1] in FREE):
                yield (*place, name)
            yield from fields(value, (*place, name))
    elif isinstance(thing, list):
        for number, value in enumerate(thing):
            yield from fields(value, (*place, number))


def inside(document: Any, place: Place) -> Any:
    for step in place[:-1]:
        document = document[step]
    return document


def misspelt(holder: Any, name: Any) -> None:
    holder[f"{name}s"] = holder.pop(name)


def of_another_type(holder: Any, name: Any) -> None:
    holder[name] = [[holder[name]]]


def test_what_is_sent_is_known(documents: Documents) -> None:
    assert {document["kind"] for document in documents} == {"Service", "ConfigMap", "Secret", "Job"}
    schema.check(documents)


@pytest.mark.parametrize("change", [misspelt, of_another_type])
def test_every_field_that_is_misspelt_or_of_another_type_is_noticed(
    documents: Documents, change: Callable[[Any, Any], None]
) -> None:
    tried = 0
    for number, document in enumerate(documents):
        for place in fields(document):
            if place[-1] in ("kind", "apiVersion"):
                continue
            changed = copy.deepcopy(documents)
            change(inside(changed[number], place), place[-1])
            with pytest.raises(UsageError, match=f"Kubernetes would refuse the {document['kind']}: "):
                schema.check(changed)
            tried += 1
    assert tried > 100


def test_the_field_is_named(documents: Documents) -> None:
    job = next(document for document in documents if document["kind"] == "Job")
    job["spec"]["completions"] = "two"
    with pytest.raises(
        UsageError, match=r"the Job: spec\.completions: Input should be a valid integer\nmend k8s/job.yaml"
    ):
        schema.check(documents)
