"""Fields and types of what is sent, by the official client's models, which are made from Kubernetes' own schema (its OpenAPI document)."""

from typing import Any

from labs.errors import UsageError

Document = dict[str, Any]


def check(documents: list[Document]) -> None:
    """Raise UsageError with the first field that Kubernetes does not know, or that has another type there."""
    from kubernetes.client import models
    from pydantic import ValidationError

    for document in documents:
        try:
            getattr(models, f"V1{document['kind']}").model_validate(document)
        except ValidationError as error:
            (first, *_) = error.errors(include_url=False)
            place = ".".join(map(str, first["loc"]))
            problem = f"Kubernetes would refuse the {document['kind']}: {place}: {first['msg']}"
            raise UsageError(f"{problem}\nmend k8s/job.yaml, or what you asked for") from None
