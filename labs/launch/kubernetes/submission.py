"""Send a run: Service, ConfigMap, Secret, Job, in this order; the Job then owns the others, so that they go with it."""

import base64
import secrets
import sys
from typing import Any

from labs.errors import UsageError
from labs.launch.kubernetes import manifest, rules, schema
from labs.launch.kubernetes.api import Api, Away, Refused
from labs.launch.spec import RunSpec

SECRET_BYTES = 32
OLDEST = (1, 29)  # without sidecars the results could not be printed
NEEDED = (("create", "jobs", "", "batch"), ("get", "pods", "log", ""))
TRIES = 3
NOTHING_SENT = "nothing was submitted"
OPEN_SECRET = (
    "you may not make Secrets here, so the ranks know one another by the job's id, which whoever reads the namespace's pods can see; "
    "ask for the right to create, patch and delete secrets"
)


def look_first(api: Api, spec: RunSpec) -> None:
    """Raise UsageError for what the server itself would say later, half-way: too old, no rights, more than the quota ever allows."""
    try:
        version = api.ask("GET", "/version")
        for verb, resource, part, group in NEEDED:
            _may(api, verb, resource, part, group)
        quotas = api.list_or_nothing("resourcequotas")
    except (Refused, Away) as trouble:
        raise UsageError(_words(api, trouble)) from None
    found = tuple(
        int("".join(filter(str.isdigit, str(version.get(part, "99")))) or 99) for part in ("major", "minor")
    )
    if found < OLDEST:
        raise UsageError(
            f"this cluster has Kubernetes {found[0]}.{found[1]}; labs need 1.29 or newer, for containers beside others\n{NOTHING_SENT}"
        )
    _fits(spec, quotas)


def send(api: Api, spec: RunSpec, run: str, nonce: str) -> dict[str, Any]:
    """Make all of a run and return its Job. Raises UsageError where the server refuses, and leaves nothing then."""
    documents = _judged(spec, run, nonce, secret=True)
    made: list[tuple[str, str]] = []
    try:
        sealed = spec.nodes * spec.procs > 1 and _send_secret(api, spec, run, made)
        if not sealed:
            documents = _judged(spec, run, nonce, secret=False)
        for document in documents:
            job = _create(api, document)
            made.append((document["kind"], run))
        _own(api, job, made)
    except (Refused, Away) as trouble:
        remove(api, made)
        raise UsageError(_words(api, trouble)) from None
    except BaseException:
        remove(api, made)
        raise
    return job


def _judged(spec: RunSpec, run: str, nonce: str, *, secret: bool) -> list[dict[str, Any]]:
    """Return what is to be sent. Raises UsageError for what Kubernetes would refuse in it."""
    documents = manifest.documents(spec, run, nonce, secret=secret)
    rules.check(documents)
    schema.check(documents)
    return documents


def remove(api: Api, made: list[tuple[str, str]]) -> None:
    """Delete what was made, as far as that is possible."""
    for kind, name in reversed(made):
        try:
            api.delete(kind, name)
        except (Refused, Away) as trouble:
            print(f"left behind: {kind} {name} in {api.namespace} ({trouble})", file=sys.stderr)


def _send_secret(api: Api, spec: RunSpec, run: str, made: list[tuple[str, str]]) -> bool:
    """Make the Secret; tell whether that was allowed."""
    content = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    document = manifest.secret_document(run, content)
    try:
        _create(api, document)
    except Refused as refused:
        if refused.status == 403 and "secrets" in refused.message:
            print(OPEN_SECRET, file=sys.stderr)
            return False
        raise
    made.append(("Secret", run))
    return True


def _create(api: Api, document: dict[str, Any]) -> dict[str, Any]:
    """Create a document. Where the answer was lost on its way, it may be there all the same."""
    name, labels = document["metadata"]["name"], document["metadata"]["labels"]
    broke = False
    for last in (False,) * (TRIES - 1) + (True,):
        try:
            return api.create(document)
        except Away:
            broke = True
            if last:
                raise
        except Refused as refused:
            if not (refused.status == 409 and broke):
                raise
            there = api.get(document["kind"], name)
            if (there.get("metadata") or {}).get("labels") != labels:
                raise
            return there
    raise AssertionError("not reached")


def _own(api: Api, job: dict[str, Any], made: list[tuple[str, str]]) -> None:
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job["metadata"]["name"],
        "uid": job["metadata"].get("uid", ""),
    }
    for kind, name in made:
        if kind != "Job":
            api.patch(kind, name, {"metadata": {"ownerReferences": [owner]}})


def _may(api: Api, verb: str, resource: str, part: str, group: str) -> None:
    asked = {
        "namespace": api.namespace,
        "verb": verb,
        "resource": resource,
        "subresource": part,
        "group": group,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    answer = api.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
    if (answer.get("status") or {}).get("allowed") is False:
        what = f"{verb} {resource}{'/' + part if part else ''}"
        raise UsageError(
            f"you may not {what} in the namespace {api.namespace}: ask its administrator for that\n{NOTHING_SENT}"
        )


def _fits(spec: RunSpec, quotas: list[dict[str, Any]]) -> None:
    from labs.launch.kubernetes.quota import missing

    documents = manifest.documents(spec, "lab00-xxxxxx", "x")
    for quota in quotas:
        for words, ever in missing(documents[-1], quota):
            if not ever:
                raise UsageError(f"{words}\nask for less, or for a larger quota; {NOTHING_SENT}")
            print(words, file=sys.stderr)


def _words(api: Api, trouble: Exception) -> str:
    """Return what the server said, and what to do."""
    if isinstance(trouble, Away):
        return f"the cluster does not answer: {trouble}\n{NOTHING_SENT}"
    assert isinstance(trouble, Refused)
    advice = {
        401: "your login has run out, or was never there: log in to the cluster anew",
        404: f"is the namespace {api.namespace} the right one? choose one with NAMESPACE=",
    }
    if (
        "system:anonymous" in trouble.message
    ):  # the client goes on without a word where a login's program fails
        advice[403] = (
            "you are not logged in: is the kubeconfig's user there, and does its login program work?"
        )
    usual = "ask the namespace's administrator" if trouble.status == 403 else NOTHING_SENT
    return f"Kubernetes refused ({trouble.status}): {trouble.message}\n{advice.get(trouble.status, usual)}"
