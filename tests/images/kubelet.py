"""A Kubernetes of a few lines for tests: it takes a run over HTTP as a real one does, and its pods are real containers.

What it stands in for is the server, the Job's controller and the kubelet. A pod's spec is carried out field by field, with the
engine's own means; a field that nothing here carries out is an error, so that no test is green for want of looking.
"""

import base64
import copy
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labs.launch.kubernetes.quantity import amount
from tests.images.stage import LIMIT_S, Engine
from tests.k8s.replay import INDEX, Faults, Object, Step, Timeline

LOOK_S = 0.3  # each look at a container is a process of its own
UID = "00000000-0000-0000-0000-000000000001"  # as the server of tests names every object
POD = {
    "subdomain", "restartPolicy", "activeDeadlineSeconds", "terminationGracePeriodSeconds", "automountServiceAccountToken",
    "enableServiceLinks", "securityContext", "tolerations", "initContainers", "containers", "volumes",
}  # fmt: skip
CONTAINER = {
    "name", "image", "imagePullPolicy", "restartPolicy", "args", "env", "securityContext", "resources", "volumeMounts",
    "terminationMessagePolicy",
}  # fmt: skip


class Kubelet(Timeline):
    """Carries out one Job. `folder` takes the pods' volumes."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        super().__init__(Faults())
        self.engine, self.folder = engine, folder
        self.logs: dict[str, list[tuple[float, str]]] = {}
        self.logs_ended: dict[str, threading.Event] = {}
        self.threads: list[threading.Thread] = []
        self.deleted = threading.Event()
        self.network = f"labs-pods-{os.getpid()}"
        engine("network", "create", "--internal", self.network)

    def begin(self, job: Object) -> None:
        with self.lock:
            if self.job:
                return
            self.job = copy.deepcopy(job)
            self.job["metadata"] |= {"uid": UID}
            self.job["status"] = {}
            self._publish("Job", "ADDED", self.job)
        for index in range(job["spec"]["completions"]):
            self._start(self._live, index)
        self._start(self._control)

    def delete(self) -> None:
        self.deleted.set()

    def log(self, pod: str, container: str, reading: int = 1) -> list[tuple[float, str]]:
        return list(self.logs.get(f"{pod}-{container}", []))

    def close(self) -> None:
        self.deleted.set()
        for thread in self.threads:
            thread.join(LIMIT_S)
        self.engine("network", "rm", self.network)

    def _start(self, target: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    # The Job's controller

    def _control(self) -> None:
        """Let the Job end with its pods: the first that fails ends the others, and a Job that is deleted goes with its pods."""
        wanted = self.job["spec"]["completions"]
        while not self.deleted.is_set():
            phases = [pod["status"].get("phase") for pod in self.objects("Pod", {})]
            if phases.count("Succeeded") == wanted:
                return self._condition("Complete")
            if "Failed" in phases:
                self._condition("FailureTarget")
                break
            time.sleep(LOOK_S)
        failed = not self.deleted.is_set()
        self.deleted.set()
        for thread in self.threads[:wanted]:
            thread.join(LIMIT_S)
        if failed:
            self._condition("Failed")
        else:
            self._publish("Job", "DELETED", self.job)
        return None

    def _condition(self, kind: str) -> None:
        conditions = self.job["status"].setdefault("conditions", [])
        conditions.append({"type": kind, "status": "True", "reason": "BackoffLimitExceeded"})
        self._publish("Job", "MODIFIED", self.job)

    # A machine's kubelet

    def _live(self, index: int) -> None:
        """Let one pod live: the sidecar first, then the node; once that has ended the sidecar is asked to end."""
        pod = self._pod(index)
        spec = pod["spec"]
        (results,), (node,) = spec["initContainers"], spec["containers"]
        name, status = pod["metadata"]["name"], pod["status"]
        self._publish("Pod", "ADDED", pod)
        volumes = self._volumes(name, spec)
        host = f"{spec['subdomain']}-{index}"
        own_net = ["--network", self.network, "--hostname", host,
                   "--network-alias", host, "--network-alias", f"{host}.{spec['subdomain']}"]  # fmt: skip
        started = []
        try:
            for container, net in ((results, own_net), (node, ["--network", f"container:{name}-results"])):
                words = carried_out(spec, container, index, volumes)
                self.engine("run", "--detach", "--name", f"{name}-{container['name']}", *net, *words)
                started.append(container["name"])
                self._follow(f"{name}-{container['name']}")
                kind = "initContainerStatuses" if container is results else "containerStatuses"
                status[kind] = [{"name": container["name"], "state": {"running": {}}}]
                status["phase"] = "Running" if container is node else "Pending"
                self._publish("Pod", "MODIFIED", pod)
            grace = str(spec["terminationGracePeriodSeconds"])
            code = self._ended(pod, "node", grace)
            self.engine("stop", "--time", grace, f"{name}-results")
            self._ended(pod, "results", grace)
            status["phase"] = "Failed" if code else "Succeeded"
            self._publish("Pod", "MODIFIED", pod)
        finally:
            for container in reversed(started):
                self.engine("rm", "--force", f"{name}-{container}")

    def _pod(self, index: int) -> Object:
        template = copy.deepcopy(self.job["spec"]["template"])
        labels = template["metadata"]["labels"] | {
            INDEX: str(index),
            "batch.kubernetes.io/controller-uid": UID,
        }
        name = f"{self.job['metadata']['name']}-{index}-x{os.getpid()}"
        spec = template["spec"] | {"nodeName": f"worker{index}"}
        return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"phase": "Pending"}}

    def _ended(self, pod: Object, container: str, grace: str) -> int:
        """Wait until a container has ended, and its log is whole; say so, and return its exit status."""
        name = f"{pod['metadata']['name']}-{container}"
        if container == "node":
            while self.engine("inspect", "--format", "{{.State.Running}}", name).strip() == "true":
                if self.deleted.is_set():
                    deleting = {
                        "deletionTimestamp": "2026-11-26T12:00:00Z",
                        "deletionGracePeriodSeconds": int(grace),
                    }
                    pod["metadata"] |= deleting
                    self._publish("Pod", "MODIFIED", pod)
                    self.engine("stop", "--time", grace, name)
                time.sleep(LOOK_S)
        state = json.loads(self.engine("inspect", "--format", "{{json .State}}", name))
        self.logs_ended[name].wait(LIMIT_S)
        code = int(state["ExitCode"])
        reason = "OOMKilled" if state["OOMKilled"] else "Error" if code else "Completed"
        ended = {
            "terminated": {"exitCode": code, "reason": reason, "finishedAt": state["FinishedAt"][:19] + "Z"}
        }
        for kind in ("initContainerStatuses", "containerStatuses"):
            for one in pod["status"].get(kind, []):
                if one["name"] == container:
                    one["state"] = ended
        self._publish("Pod", "MODIFIED", pod)
        return code

    def _follow(self, name: str) -> None:
        """Keep each line that a container prints, from the first to the last."""
        lines = self.logs[name] = []
        over = self.logs_ended[name] = threading.Event()
        process = subprocess.Popen(
            ["docker", "logs", "--follow", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

        def read() -> None:
            assert process.stdout
            with process:
                lines.extend((self.now(), line.rstrip("\n")) for line in process.stdout)
            over.set()

        threading.Thread(target=read, daemon=True).start()

    def _volumes(self, pod: str, spec: Object) -> dict[str, list[str]]:
        """Make a pod's volumes as a kubelet does, and return for each the words that lead to it, without its place."""
        group = spec["securityContext"]["fsGroup"]
        return {
            one["name"]: self._volume(self.folder / pod / one["name"], one, group) for one in spec["volumes"]
        }

    def _volume(self, place: Path, volume: Object, group: int) -> list[str]:
        (kind,) = set(volume) - {"name"}
        about = volume[kind]
        if about.get("medium") == "Memory":
            return ["tmpfs", str(int(amount(about["sizeLimit"])))]
        place.mkdir(parents=True)
        for name, content in self._files(kind, about):
            (place / name).write_bytes(content)
            os.chown(place / name, 0, group)
            # A group of its own makes a kubelet add that group's right to read.
            (place / name).chmod(about.get("defaultMode", 0o644) | 0o040)
        os.chown(place, 0, group)
        place.chmod(0o2777)
        return ["bind", str(place)]

    def _files(self, kind: str, about: Object) -> Iterator[tuple[str, bytes]]:
        if kind == "downwardAPI":
            (item,) = about["items"]
            yield item["path"], UID.encode()
        elif kind in ("secret", "configMap"):
            name = about.get("secretName") or about["name"]
            yield from self._sent(f"{kind.lower()}s", name).items()
        elif kind != "emptyDir":
            raise AssertionError(f"no volume of this kind is carried out here: {kind}")

    def _sent(self, plural: str, name: str) -> dict[str, bytes]:
        """Return what a Secret or ConfigMap holds that was sent before the Job."""
        (sent,) = [
            body
            for how, path, body in self.asked
            if how == "POST" and path.endswith(f"/{plural}") and body["metadata"]["name"] == name
        ]
        plain = {key: text.encode() for key, text in sent.get("data", {}).items()}
        if plural == "secrets":
            return {key: base64.b64decode(content) for key, content in plain.items()}
        return plain | {key: base64.b64decode(text) for key, text in sent.get("binaryData", {}).items()}

    def _publish(self, kind: str, how: str, found: Object) -> None:
        with self.lock:
            self.steps.append(Step(self.now(), kind, how, copy.deepcopy(found)))


def carried_out(spec: Object, container: Object, index: int, volumes: dict[str, list[str]]) -> list[str]:
    """Return the engine's words for a container of a pod: everything that its spec says, or an AssertionError."""
    unknown = (set(spec) - POD - {"nodeName"}) | (set(container) - CONTAINER)
    assert not unknown, f"nothing here carries out {unknown}"
    user, locked = spec["securityContext"], container["securityContext"]
    assert user["runAsNonRoot"] is True
    assert user["seccompProfile"] == {"type": "RuntimeDefault"}  # which is the engine's own default
    limits = container["resources"]["limits"]
    words = [
        "--user", f"{user['runAsUser']}:{user['runAsGroup']}", "--group-add", str(user["fsGroup"]),
        *(["--read-only"] if locked["readOnlyRootFilesystem"] else []),
        *([] if locked["allowPrivilegeEscalation"] else ["--security-opt", "no-new-privileges"]),
        *[word for one in locked["capabilities"]["drop"] for word in ("--cap-drop", one)],
        "--memory", str(int(amount(limits["memory"]))), "--memory-swap", str(int(amount(limits["memory"]))),
        "--cpus", str(amount(limits["cpu"])), "--pull", "never",
    ]  # fmt: skip
    for mount in container["volumeMounts"]:
        words += _mount(mount, volumes[mount["name"]])
    own = {entry["name"]: entry.get("value", str(index)) for entry in container["env"]}
    words += [word for name, value in own.items() for word in ("--env", f"{name}={value}")]
    return [*words, container["image"], *(expanded(word, index) for word in container["args"])]


def expanded(word: str, index: int) -> str:
    """Return an argument as a kubelet hands it on: `$$` is a dollar, and the one variable that a lab's pod names is filled in."""
    return "$".join(part.replace("$(JOB_COMPLETION_INDEX)", str(index)) for part in word.split("$$"))


def _mount(mount: Object, volume: list[str]) -> list[str]:
    kind, what = volume
    if kind == "tmpfs":
        return ["--tmpfs", f"{mount['mountPath']}:exec,mode=1777,size={what}"]
    way = f"type=bind,source={what},target={mount['mountPath']}"
    return ["--mount", f"{way},readonly" if mount.get("readOnly") else way]
