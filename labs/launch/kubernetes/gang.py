"""The pods of a run, as far as they were seen: all are kept, since the Job controller deletes those that it ended."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Object = dict[str, Any]
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"


@dataclass
class Pod:
    """One pod, as it was seen last."""

    name: str
    node: int  # of the run, from 0 up
    seen: Object
    gone: bool = False
    broke: int | None = None  # its place among those in trouble, in the order in which that was seen
    deleted_first: bool = False  # it was to be deleted before anything else had happened to it

    @property
    def status(self) -> Object:
        found: Object = self.seen.get("status") or {}
        return found

    @property
    def host(self) -> str:
        return str((self.seen.get("spec") or {}).get("nodeName") or "")

    def __str__(self) -> str:
        return f"node{self.node} (pod {self.name}{f' on {self.host}' if self.host else ''})"

    def state(self, container: str = "node") -> tuple[str, Object]:
        """Return `waiting`, `running` or `terminated`, with what belongs to it; empty where nothing is known."""
        statuses = [
            *(self.status.get("initContainerStatuses") or []),
            *(self.status.get("containerStatuses") or []),
        ]
        for one in statuses:
            if one.get("name") == container:
                for word, about in (one.get("state") or {}).items():
                    return word, about or {}
        return "", {}

    def condition(self, kind: str) -> Object:
        return _condition(self.status, kind)

    @property
    def exit_code(self) -> int | None:
        word, about = self.state()
        return int(about.get("exitCode", 1)) if word == "terminated" else None

    @property
    def over(self) -> bool:
        """Tell whether nothing of this pod can change any more."""
        return self.gone or self.exit_code is not None or self.status.get("phase") in ("Failed", "Succeeded")

    @property
    def disrupted(self) -> Object:
        found = self.condition("DisruptionTarget")
        return found if found.get("status") == "True" else {}

    @property
    def deleting(self) -> bool:
        return bool((self.seen.get("metadata") or {}).get("deletionTimestamp"))

    @property
    def in_trouble(self) -> bool:
        return bool(self.exit_code or self.status.get("phase") == "Failed" or self.disrupted or self.deleting)

    def when(self) -> datetime:
        """Return when it broke, by the cluster's clock, in whole seconds."""
        about = self.seen.get("metadata") or {}
        times = [_time(self.state()[1].get("finishedAt")), _time(self.disrupted.get("lastTransitionTime"))]
        asked = _time(about.get("deletionTimestamp"))
        if asked:
            times.append(asked - timedelta(seconds=int(about.get("deletionGracePeriodSeconds") or 0)))
        return min((time for time in times if time), default=datetime.max)


@dataclass
class Gang:
    """A run's Job, its pods, and what was said of them."""

    run: str
    nodes: int
    pods: dict[str, Pod] = field(default_factory=dict)
    job: Object = field(default_factory=dict)
    job_gone: bool = False
    events: dict[str, Object] = field(default_factory=dict)

    def see(self, kind: str, how: str, found: Object) -> None:
        """Take note of an object: `how` is ADDED, MODIFIED or DELETED."""
        name = str((found.get("metadata") or {}).get("name"))
        if kind == "Pod":
            self._see_pod(name, how, found)
        elif kind == "Job" and name == self.run:
            self.job, self.job_gone = found, how == "DELETED"
        elif kind == "Event" and self._ours(found):
            self.events[name] = found

    def see_all(self, kind: str, found: list[Object]) -> None:
        """Take note of all objects that are there: others have gone."""
        for one in found:
            self.see(kind, "MODIFIED", one)
        names = {(one.get("metadata") or {}).get("name") for one in found}
        if kind == "Pod":
            for pod in self.pods.values():
                pod.gone = pod.gone or pod.name not in names
        elif kind == "Job" and self.run not in names:
            self.job_gone = True  # it was made before anybody watches, so one that was never seen is gone too

    def condition(self, kind: str) -> Object:
        """Return the Job's condition of this kind where it holds."""
        found = _condition(self.job.get("status") or {}, kind)
        return found if found.get("status") == "True" else {}

    @property
    def suspended(self) -> bool:
        return bool((self.job.get("spec") or {}).get("suspend") or self.condition("Suspended"))

    @property
    def current(self) -> list[Pod]:
        """Return the pods that count. A Job that was suspended has ended them, and begins anew with others."""
        if self.suspended:
            return []
        begun = _time((self.job.get("status") or {}).get("startTime"))
        born = {
            pod.name: _time((pod.seen.get("metadata") or {}).get("creationTimestamp"))
            for pod in self.pods.values()
        }
        return [pod for pod in self.pods.values() if not begun or (born[pod.name] or begun) >= begun]

    @property
    def done(self) -> bool:
        """Tell whether every node has ended well."""
        good = {pod.node for pod in self.current if pod.exit_code == 0}
        return good >= set(range(self.nodes)) or bool(self.condition("Complete"))

    @property
    def broken(self) -> list[Pod]:
        """Return the pods in trouble, in the order in which that was seen."""
        return sorted((pod for pod in self.current if pod.broke is not None), key=lambda pod: pod.broke or 0)

    @property
    def lacks(self) -> int:
        """Return how many pods are not even made."""
        return self.nodes - len({pod.node for pod in self.current if not pod.gone})

    def said(self, kind: str, reason: str) -> list[str]:
        """Return what events on the Job or its pods say for a reason, oldest first."""
        return [
            str(event.get("message") or "")
            for event in self.events.values()
            if event.get("reason") == reason and (event.get("involvedObject") or {}).get("kind") == kind
        ]

    def silent_hosts(self) -> dict[str, str]:
        """Return machines that no longer answer, and since when, by the pods on them."""
        found = {}
        for event in self.events.values():
            pod = self.pods.get(str((event.get("involvedObject") or {}).get("name")))
            if event.get("reason") == "NodeNotReady" and pod and not pod.over:
                found[pod.host] = str(event.get("lastTimestamp") or event.get("eventTime") or "")
        return found

    def _see_pod(self, name: str, how: str, found: Object) -> None:
        labels = (found.get("metadata") or {}).get("labels") or {}
        index = str(labels.get(INDEX_LABEL, ""))
        if labels.get("labs.run", self.run) != self.run or not index.isdecimal():
            return
        pod = self.pods.setdefault(name, Pod(name, int(index), found))
        pod.seen, pod.gone = found, how == "DELETED"
        if pod.broke is None and pod.in_trouble:
            pod.deleted_first = pod.deleting and pod.exit_code is None
            pod.broke = sum(other.broke is not None for other in self.pods.values())

    def _ours(self, event: Object) -> bool:
        about = event.get("involvedObject") or {}
        name = str(about.get("name", ""))
        wanted = self.job.get("metadata", {}).get("uid")
        if about.get("kind") == "Job":
            return name == self.run and (not wanted or about.get("uid") in (None, wanted))
        return about.get("kind") == "Pod" and name.startswith(f"{self.run}-")


def _condition(status: Object, kind: str) -> Object:
    found: Object = next((one for one in status.get("conditions") or [] if one.get("type") == kind), {})
    return found


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).replace(tzinfo=None) if text else None
    except ValueError:
        return None
