"""From a run to what Kubernetes is sent: k8s/job.yaml with its fields set. Nothing here talks to a cluster."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from labs import home
from labs.errors import UsageError
from labs.launch import docker, image
from labs.launch.kubernetes import wishes
from labs.launch.kubernetes.quantity import of_bytes
from labs.launch.slurm.limits import minutes_of
from labs.launch.spec import RunSpec, node_starter

TEMPLATE = Path("k8s") / "job.yaml"
PORT = "29500"  # each pod has a network of its own
SECRET_PATH = "/labs/secret/secret"
INDEX = "$(JOB_COMPLETION_INDEX)"  # Kubernetes fills it in
RUN_LABEL = "labs.run"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
Document = dict[str, Any]


def documents(spec: RunSpec, run: str, nonce: str, *, secret: bool = True) -> list[Document]:
    """Return what is sent, in order: Service, ConfigMap where a learner's file is run, Job.

    `run` is the name of all of them. Without `secret`, ranks know one another by the Job's id, as k8s/job.yaml has it.
    """
    service, job = deepcopy(_template())
    for document in (service, job):
        _name(document, spec, run)
    service["spec"]["selector"] = {RUN_LABEL: run}
    _job(job, spec, run)
    pod = job["spec"]["template"]["spec"]
    _pod(pod, spec, run)
    node, results = _container(pod, "containers", "node"), _container(pod, "initContainers", "results")
    _run_folder(pod, spec)
    _node(node, spec, run)
    _images(pod, spec)
    set_variable(results, "RUN_FOLDER", str(spec.folder))
    set_variable(results, "NONCE", nonce)
    if secret and spec.nodes * spec.procs > 1:
        volume = _volume(pod, "secret")
        volume.pop("downwardAPI", None)
        volume["secret"] = {"secretName": run, "defaultMode": 0o400}
    steps = _steps(spec, run, pod, node)
    return [service, *([steps] if steps else []), job]


def text_of(found: list[Document]) -> str:
    """Return documents as YAML, fields in their own order."""
    parts = (
        yaml.dump(part, Dumper=_Plain, sort_keys=False, width=10**6, allow_unicode=True) for part in found
    )
    return "---\n".join(parts)


def secret_document(run: str, content: str) -> Document:
    """Return the Secret with the run's own random bytes, in base64. It is never shown."""
    labels = {"app.kubernetes.io/name": "labs", RUN_LABEL: run}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": run, "labels": labels},
        "data": {"secret": content},
    }


class _Plain(yaml.SafeDumper):
    """Writes what stands in two places twice: an alias is one more thing to understand."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Write several lines as several lines."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)


def _template() -> list[Document]:
    path = home.CHECKOUT / TEMPLATE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise UsageError(
            f"there is no {path}, which LAUNCHER=k8s sends\nrun labs from a checkout, which has it"
        ) from None
    try:
        found = list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as error:
        raise UsageError(
            f"{path} is not YAML: {' '.join(str(error).split())[:200]}\nmend it, or take it from the checkout anew"
        ) from None
    kinds = [document.get("kind") for document in found if isinstance(document, dict)]
    if kinds != ["Service", "Job"]:
        raise UsageError(f"{path} has to hold a Service and a Job, and holds: {', '.join(map(str, kinds))}")
    return found


def _name(document: Document, spec: RunSpec, run: str) -> None:
    about = document["metadata"]
    about["name"] = run
    about["labels"][RUN_LABEL] = run
    about.pop("namespace", None)
    if spec.request.namespace:
        about["namespace"] = spec.request.namespace


def _job(job: Document, spec: RunSpec, run: str) -> None:
    job["spec"]["completions"] = job["spec"]["parallelism"] = spec.nodes
    job["spec"]["template"]["metadata"]["labels"][RUN_LABEL] = run
    if spec.request.queue:
        job["metadata"]["labels"][QUEUE_LABEL] = spec.request.queue
        job["spec"]["suspend"] = True


def _pod(pod: Document, spec: RunSpec, run: str) -> None:
    wish = spec.request
    pod["subdomain"] = run
    if wish.time:
        pod["activeDeadlineSeconds"] = 60 * minutes_of(spec)
    if wish.selector:
        pod["nodeSelector"] = wishes.selector(wish.selector)
    if wish.tolerations:
        pod["tolerations"] += wishes.tolerations(wish.tolerations)
    for name, field in {"runtimeclass": "runtimeClassName", "serviceaccount": "serviceAccountName"}.items():
        if getattr(wish, name):
            pod[field] = getattr(wish, name)
    if wish.pullsecret:
        pod["imagePullSecrets"] = [{"name": wish.pullsecret}]
    if wish.shm:
        _volume(pod, "shm")["emptyDir"]["sizeLimit"] = of_bytes("SHM", wish.shm)


def _images(pod: Document, spec: RunSpec) -> None:
    for container in (*pod["initContainers"], *pod["containers"]):
        usual = container["image"]
        if gpus(spec) and usual.endswith("labs:cpu"):
            usual = usual.removesuffix("cpu") + "gpu"
        container["image"] = spec.request.image or usual
        unasked = "Never" if image.is_ours(container["image"]) else "IfNotPresent"
        container["imagePullPolicy"] = spec.request.pull or unasked


def _run_folder(pod: Document, spec: RunSpec) -> None:
    """Mount the run folder where the person has it, so that a path in the output is right for both."""
    assert spec.folder is not None
    place = spec.folder
    if spec.request.claim:  # shared, so the folder itself is made in it, and a restarted run finds it again
        place = spec.folder.parent
        volume = _volume(pod, "run")
        volume.pop("emptyDir", None)
        volume["persistentVolumeClaim"] = {"claimName": spec.request.claim}
    for container in (*pod["initContainers"], *pod["containers"]):
        for mount in container["volumeMounts"]:
            if mount["name"] == "run":
                mount["mountPath"] = str(place)


def _node(node: Document, spec: RunSpec, run: str) -> None:
    where = ["--port", PORT]
    if spec.nodes * spec.procs > 1:
        where += ["--secret", SECRET_PATH]
    words = node_starter(spec, image.PYTHON, "", f"{run}-0.{run}", *where)
    index = words.index("--node") + 1
    node["args"] = [INDEX if place == index else literal(word) for place, word in enumerate(words)]
    for name, value in {"OMP_NUM_THREADS": threads(spec), **_passed_on()}.items():
        if value:
            set_variable(node, name, value)
    limits, requests = node["resources"]["limits"], node["resources"]["requests"]
    if spec.request.cpus:
        limits["cpu"] = requests["cpu"] = spec.request.cpus
    memory = (
        spec.request.memory or spec.memory
    )  # what a namespace gives by default may be less than the lab needs
    if memory:
        limits["memory"] = requests["memory"] = of_bytes("MEMORY", memory)
    if gpus(spec):
        name = spec.request.resource or "nvidia.com/gpu"
        limits[name] = requests[name] = str(gpus(spec))


def gpus(spec: RunSpec) -> int:
    """Return the GPUs of each node. Nobody but an administrator can ask what nodes have, so `auto` is none."""
    return 0 if spec.gpus == "auto" else int(spec.gpus)


def threads(spec: RunSpec) -> str:
    """Return the threads of each rank: a limit on processor time is no limit on threads."""
    cores = spec.request.cpus
    return str(max(1, int(cores) // spec.procs)) if cores.isdecimal() else ""


def literal(word: str) -> str:
    """Return a word so that Kubernetes, which fills in $(NAME) and takes $$ for $, leaves it as it is."""
    return word.replace("$", "$$")


def set_variable(container: Document, name: str, value: str) -> None:
    """Set a variable of a container's environment."""
    entries = container.setdefault("env", [])
    entries[:] = [entry for entry in entries if entry["name"] != name]
    entries.append({"name": name, "value": literal(value)})


def _passed_on() -> dict[str, str]:
    """Return what the person has set, but for a folder of this machine."""
    return {name: value for name, value in docker.set_by_the_person().items() if name != "TORCH_HOME"}


def _steps(spec: RunSpec, run: str, pod: Document, node: Document) -> Document | None:
    """Hand a learner's file over in a ConfigMap, mounted where the person has it."""
    if not spec.attempt:
        return None
    path = spec.attempt
    labels = {"app.kubernetes.io/name": "labs", RUN_LABEL: run}
    about = {"name": run, "labels": labels}
    if spec.request.namespace:
        about["namespace"] = spec.request.namespace
    pod["volumes"].append({"name": "steps", "configMap": {"name": run}})
    node["volumeMounts"].append({"name": "steps", "mountPath": str(path.parent), "readOnly": True})
    content = {path.name: wishes.steps_text(path)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": content}


def _container(pod: Document, kind: str, name: str) -> Document:
    found: Document = next(container for container in pod[kind] if container["name"] == name)
    return found


def _volume(pod: Document, name: str) -> Document:
    found: Document = next(volume for volume in pod["volumes"] if volume["name"] == name)
    return found
