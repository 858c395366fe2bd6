"""What became of a run, and why one waits, in words and as an exit status: from what was seen, and nothing else."""

from dataclasses import dataclass

from labs.launch.kubernetes.api import clean
from labs.launch.kubernetes.gang import Gang, Pod
from labs.launch.kubernetes.manifest import QUEUE_LABEL

FAILED, REFUSED, KILLED, TERMINATED = 1, 2, 137, 143
CONSEQUENCES = (1, 2, 143)  # ranks end with these when another one broke
NEVER_BY_ITSELF = (
    "ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError",
)  # fmt: skip
DISRUPTIONS = {
    "PreemptionByScheduler": (TERMINATED, "had to make room for pods of a higher priority"),
    "EvictionByEvictionAPI": (TERMINATED, "was told to go: its machine was emptied (drained)"),
    "TerminationByKubelet": (TERMINATED, "was ended by its machine, which shuts down or has too little left"),
}


@dataclass(frozen=True)
class Ending:
    """How a run ended. `again`: the run itself is not to blame, so that another attempt may go well."""

    status: int
    words: str = ""
    again: bool = False


@dataclass(frozen=True)
class Waiting:
    """Why a run does not go on. `kind` stays the same while the words change; what is `vain` never ends by itself."""

    kind: str
    words: str
    vain: bool = False


def ending(gang: Gang) -> Ending:
    """Return how a run ended that has ended."""
    if gang.done:
        return Ending(0)
    deadline = next(
        (gang.condition(kind) for kind in ("Failed", "FailureTarget") if gang.condition(kind)), {}
    )
    if deadline.get("reason") == "DeadlineExceeded":
        return Ending(TERMINATED, "the job reached its time limit: ask for more with TIME=")
    own = [_of(pod) for pod in causes(gang)]
    if own:
        return own[0]
    if gang.silent_hosts() and (gang.condition("FailureTarget") or gang.job_gone):
        return Ending(FAILED, _silent(gang), again=True)
    if gang.job_gone or (gang.job.get("metadata") or {}).get("deletionTimestamp"):
        return Ending(
            TERMINATED, f"the job {gang.run} is gone: somebody deleted it, or its time to be kept was over"
        )
    if deadline:
        return Ending(
            FAILED,
            f"the job failed: {clean(str(deadline.get('message') or deadline.get('reason')))}",
            again=True,
        )
    return Ending(FAILED, "the job ended, and nobody says how", again=True)


def causes(gang: Gang) -> list[Pod]:
    """Return the pods that broke by themselves, the cause first. Those that the Job controller ended for it are left out."""
    broken = gang.broken
    # A Job that is deleted, and had not failed before, has ended its pods itself.
    deleted = gang.job_gone or bool((gang.job.get("metadata") or {}).get("deletionTimestamp"))
    away = deleted and not gang.condition("FailureTarget")
    found = [
        pod for pod in broken if not pod.deleted_first or pod.disrupted or (pod is broken[0] and not away)
    ]
    return sorted(found, key=lambda pod: (pod.when(), _is_consequence(pod), pod.broke))


def others(gang: Gang) -> list[str]:
    """Return what became of the other pods that broke by themselves, a line each."""
    return [f"also: {_of(pod).words}" for pod in causes(gang)[1:]]


def waiting(gang: Gang) -> Waiting | None:
    """Return why a run does not run, or None where it does."""
    for look in (_suspended, _not_made, _no_image, _no_room, _no_volume):
        found = look(gang)
        if found:
            return found
    return None


def _is_consequence(pod: Pod) -> bool:
    special = pod.disrupted or pod.deleted_first or pod.status.get("reason")
    return not special and pod.exit_code in CONSEQUENCES


def _of(pod: Pod) -> Ending:
    """Return how one pod ended."""
    reason, message = str(pod.status.get("reason") or ""), clean(str(pod.status.get("message") or ""))
    disruption = str(pod.disrupted.get("reason") or "")
    if reason == "Evicted":
        return Ending(KILLED, f"{pod} was evicted: {message.rstrip('. ')}; its results are lost", again=True)
    if disruption == "DeletionByTaintManager":
        since = pod.disrupted.get("lastTransitionTime")
        return Ending(
            FAILED,
            f"{pod.host} does not answer, at least since {since}, and with it {pod}; its results are lost",
            again=True,
        )
    if disruption:
        status, words = DISRUPTIONS.get(disruption, (TERMINATED, clean(str(pod.disrupted.get("message")))))
        return Ending(status, f"{pod} {words}", again=True)
    if reason == "DeadlineExceeded":
        return Ending(TERMINATED, f"{pod} reached the time limit: ask for more with TIME=")
    if pod.deleted_first:
        return Ending(TERMINATED, f"{pod}: somebody deleted this pod", again=True)
    return _ended(pod)


def _ended(pod: Pod) -> Ending:
    code, (_, about) = pod.exit_code, pod.state()
    why, last = about.get("reason"), _last_line(str(about.get("message") or ""))
    if code is None:
        return Ending(FAILED, f"{pod} failed, and does not say how", again=True)
    if why == "OOMKilled":
        return Ending(KILLED, f"out of memory on {pod}: ask for more with MEMORY=")
    if why in ("StartError", "ContainerCannotRun"):
        return Ending(REFUSED, f"{pod} could not start: {clean(str(about.get('message')))}")
    if why == "ContainerStatusUnknown":
        return Ending(KILLED, f"{pod} was lost by its machine", again=True)
    if code == KILLED:
        return Ending(KILLED, f"{pod} was killed by signal 9 (SIGKILL)", again=True)
    return Ending(
        code, f"{pod} ended with status {code}" + (f": {last}" if last and code != TERMINATED else "")
    )


def _last_line(text: str) -> str:
    found = [line for line in text.splitlines() if line.strip()]
    return clean(found[-1].lstrip(" |")) if found else ""


def _silent(gang: Gang) -> str:
    return "; ".join(
        f"{host} does not answer{f' since {since}' if since else ''}"
        for host, since in gang.silent_hosts().items()
    )


def _suspended(gang: Gang) -> Waiting | None:
    if not gang.suspended:
        return None
    queue = ((gang.job.get("metadata") or {}).get("labels") or {}).get(QUEUE_LABEL)
    return Waiting(
        "queue",
        f"in the queue {clean(str(queue))}"
        if queue
        else "the job is suspended, and somebody has to resume it",
    )


def _not_made(gang: Gang) -> Waiting | None:
    messages = [message for message in gang.said("Job", "FailedCreate") if "is forbidden:" in message]
    if not (messages and gang.lacks > 0):
        return None
    why = clean(messages[-1].partition("is forbidden:")[2])
    return Waiting("refused", f"{gang.lacks} of {gang.nodes} pods are not even made: {why}", vain=True)


def _no_image(gang: Gang) -> Waiting | None:
    for pod in gang.current:
        for container in ("node", "results"):
            word, about = pod.state(container)
            if word == "waiting" and about.get("reason") in NEVER_BY_ITSELF and not pod.gone:
                image = next(
                    (one.get("image") for one in _containers(pod) if one.get("name") == container), ""
                )
                why = clean(str(about.get("message") or ""))
                return Waiting(
                    "image", f"{pod} cannot start from the image {image}: {about['reason']}: {why}", vain=True
                )
    return None


def _no_room(gang: Gang) -> Waiting | None:
    without = [
        pod
        for pod in gang.current
        if not pod.over and pod.condition("PodScheduled").get("reason") == "Unschedulable"
    ]
    if not without:
        return None
    message = clean(str(without[0].condition("PodScheduled").get("message") or ""))
    why = message.split(" no new claims")[0].split(" preemption:")[0].rstrip(". ")
    vain = "persistentvolumeclaim" in why and "not found" in why
    return Waiting(
        "claim" if vain else "room", f"no room for {len(without)} of {gang.nodes} pods: {why}", vain
    )


def _no_volume(gang: Gang) -> Waiting | None:
    creating = [pod for pod in gang.pods.values() if pod.state()[1].get("reason") == "ContainerCreating"]
    messages = gang.said("Pod", "FailedMount")
    return Waiting("volume", f"a volume is missing: {clean(messages[-1])}") if creating and messages else None


def _containers(pod: Pod) -> list[dict[str, object]]:
    spec = pod.seen.get("spec") or {}
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
