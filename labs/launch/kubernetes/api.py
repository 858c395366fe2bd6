"""The server's answers, through the official client, which is imported here alone and only when it is needed.

All is read as plain JSON: the client's own models refuse whole answers for one field that they do not know.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from labs.errors import UsageError
from labs.launch.spec import RunSpec

CONNECT_S, READ_S, SILENCE_S = 5.0, 30.0, 60.0
OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
GROUPS = {"jobs": "/apis/batch/v1"}
PLURALS = {
    "Service": "services",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "Job": "jobs",
    "Pod": "pods",
    "Event": "events",
}
MERGE = "application/merge-patch+json"
ADVICE = "see: kubectl config get-contexts; choose one with KUBECONTEXT="


class Away(Exception):
    """The server cannot be reached now. It may be again."""


class Refused(Exception):
    """The server has answered, and said no."""

    def __init__(self, status: int, body: str) -> None:
        try:
            answer = json.loads(body)
        except ValueError:
            answer = {}
        answer = answer if isinstance(answer, dict) else {}
        self.status, self.reason = status, str(answer.get("reason", ""))
        message = str(answer.get("message") or body or f"status {status}")
        self.message = clean(message.split("regex")[0].rstrip(" ("))
        super().__init__(f"{status} {self.message}")


class Api:
    """One namespace of a cluster."""

    def __init__(self, client: Any, namespace: str) -> None:
        self.client, self.namespace = client, namespace

    def path(self, plural: str, name: str = "", part: str = "") -> str:
        where = f"{GROUPS.get(plural, '/api/v1')}/namespaces/{quote(self.namespace, safe='')}/{plural}"
        return "/".join([where, *(quote(word, safe="") for word in (name, part) if word)])

    def ask(
        self, method: str, path: str, query: dict[str, str] | None = None, body: Any = None, kind: str = "application/json"
    ) -> dict[str, Any]:  # fmt: skip
        """Return an answer. Raises Refused or Away."""
        with self._answer(method, path, query or {}, body, kind, READ_S) as response:
            text = response.data.decode("utf-8", "replace")
        try:
            found = json.loads(text)
        except ValueError:
            raise Away(f"no JSON came: {clean(text)[:80]}") from None
        return found if isinstance(found, dict) else {}

    def create(self, document: dict[str, Any]) -> dict[str, Any]:
        path = self.path(PLURALS[document["kind"]])
        return self.ask("POST", path, {"fieldValidation": "Strict"}, document)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self.ask("GET", self.path(PLURALS[kind], name))

    def all(self, kind: str, **query: str) -> dict[str, Any]:
        return self.ask("GET", self.path(PLURALS[kind]), query)

    def list_or_nothing(self, plural: str) -> list[dict[str, Any]]:
        """Return what is there of a kind; nothing where that may not be asked."""
        try:
            return self.ask("GET", self.path(plural)).get("items") or []
        except Refused as refused:
            if refused.status in (403, 404):
                return []
            raise

    def patch(self, kind: str, name: str, change: dict[str, Any]) -> None:
        self.ask("PATCH", self.path(PLURALS[kind], name), body=change, kind=MERGE)

    def delete(self, kind: str, name: str, policy: str = "Foreground") -> None:
        """Delete something. What is gone already is no error."""
        try:
            self.ask("DELETE", self.path(PLURALS[kind], name), body={"propagationPolicy": policy})
        except Refused as refused:
            if refused.status != 404:
                raise

    @contextmanager
    def stream(self, path: str, query: dict[str, str]) -> Iterator[Iterator[bytes]]:
        """Yield the pieces of an answer as they come. Raises Refused or Away; silence for a minute is the latter too."""
        with self._answer("GET", path, query, None, "", SILENCE_S) as response:
            yield response.stream(65536) if response.status != 204 else iter(())

    @contextmanager
    def _answer(
        self, method: str, path: str, query: dict[str, str], body: Any, kind: str, read_s: float
    ) -> Iterator[Any]:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        headers = {"Accept": "application/json, */*", **({"Content-Type": kind} if kind else {})}
        response = None
        try:
            request = self.client.param_serialize(
                method, path, query_params=list(query.items()), header_params=headers, body=body,
                auth_settings=["BearerToken"],
            )  # fmt: skip
            response = self.client.call_api(*request, _request_timeout=(CONNECT_S, read_s)).response
            if response.status >= 300:
                raise Refused(response.status, response.data.decode("utf-8", "replace"))
            yield response
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Away(_plain(error)) from None
        except ApiException as error:  # of the client's own making, such as a certificate that is not right
            raise Away(clean(str(error.reason))) from None
        finally:
            if response is not None:
                response.close()


def connect(spec: RunSpec) -> Api:
    """Return the namespace that a run is sent to. Raises UsageError where there is no way to a cluster."""
    return connected(spec.request.kubecontext, spec.request.namespace)


def connected(context: str, namespace: str) -> Api:
    """Return a namespace by the names of its context and its own; where they are empty, the kubeconfig's current ones."""
    try:
        from kubernetes import client
    except ImportError:
        raise UsageError(
            "LAUNCHER=k8s needs the package kubernetes, which is not installed\nmake setup brings it; or: pip install kubernetes"
        ) from None
    for chatty in ("urllib3", "root"):  # they tell of each try, and of log-ins that failed
        logging.getLogger(chatty if chatty != "root" else None).setLevel(logging.CRITICAL)
    configuration = client.Configuration()
    usual = _load(configuration, context)
    configuration.retries = 0  # we try again ourselves, and say so
    configuration.connection_pool_maxsize = 64
    configuration.keep_alive = True
    return Api(client.ApiClient(configuration), namespace or usual)


def _load(configuration: Any, context: str) -> str:
    """Read how to reach a cluster, and return the namespace that is usual there."""
    import yaml
    from kubernetes import config

    if not context and "KUBERNETES_SERVICE_HOST" in os.environ and not _has_kubeconfig():
        config.load_incluster_config(client_configuration=configuration)
        return OWN_NAMESPACE.read_text().strip() if OWN_NAMESPACE.exists() else "default"
    try:
        # Said each time: the client looks at the variable only when it is imported.
        files = os.environ.get("KUBECONFIG") or "~/.kube/config"
        config.load_kube_config(files, context or None, configuration)
        contexts, current = config.list_kube_config_contexts(files)
    except (config.ConfigException, yaml.YAMLError, TypeError, AttributeError, KeyError, OSError) as error:
        raise UsageError(f"no way to a cluster: {clean(str(error))}\n{ADVICE}") from None
    chosen = next((one for one in contexts if one["name"] == context), current) or {}
    return str((chosen.get("context") or {}).get("namespace") or "default")


def _has_kubeconfig() -> bool:
    return bool(os.environ.get("KUBECONFIG")) or Path("~/.kube/config").expanduser().exists()


def clean(text: str) -> str:
    """Return what a server says as one line of printable characters, at most 300."""
    line = " ".join(text.split())
    return "".join(letter for letter in line if letter.isprintable())[:300]


def _plain(error: BaseException) -> str:
    """Return why a connection failed, without the client's objects in it."""
    reason = getattr(error, "reason", None)
    while isinstance(reason, BaseException) and getattr(reason, "reason", None):
        reason = reason.reason  # type: ignore[attr-defined]
    words = clean(str(reason or error))
    return words.rpartition(">: ")[2].rpartition("): ")[2][:200] or type(error).__name__
