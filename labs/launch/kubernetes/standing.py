"""How a run stands now, asked once: for `labs status`, hours or days after it was sent."""

from contextlib import suppress
from typing import Any

from labs.errors import UsageError
from labs.launch.kubernetes import told
from labs.launch.kubernetes.api import Api, Away, Refused
from labs.launch.kubernetes.gang import Gang
from labs.launch.spec import State

FETCH = "labs logs brings what it left"


def state_of(api: Api, noted: dict[str, Any]) -> State:
    """Return what the cluster says of a run. Raises UsageError where it says nothing."""
    gang = Gang(noted["id"], int(noted["nodes"]))
    try:
        _ask(api, gang)
    except Away as away:
        return State(gang.run, "unknown", f"the cluster does not answer now ({away})")
    except Refused as refused:
        if refused.status == 404:
            return State(
                gang.run, "gone", "its time to be kept was over, or somebody deleted it", ended=True, status=1
            )
        raise UsageError(
            f"Kubernetes refused ({refused.status}): {refused.message}\nlog in anew, or ask for the right"
        ) from None
    return _state(gang)


def _ask(api: Api, gang: Gang) -> None:
    gang.see("Job", "MODIFIED", api.get("Job", gang.run))
    gang.see_all("Pod", api.all("Pod", labelSelector=f"labs.run={gang.run}").get("items") or [])
    with suppress(Refused):  # a namespace may keep events to itself: only reasons are missing then
        gang.see_all("Event", api.all("Event").get("items") or [])


def _state(gang: Gang) -> State:
    if gang.done:
        return State(gang.run, "done", FETCH)
    if gang.condition("Failed") or gang.condition("FailureTarget"):
        return State(gang.run, "failed", f"{told.ending(gang).words}; {FETCH}")
    waiting = told.waiting(gang)
    if waiting:
        return State(gang.run, "waits", waiting.words)
    hosts = sorted({pod.host for pod in gang.current if pod.state()[0] == "running"})
    return State(gang.run, "running" if hosts else "starting", ", ".join(hosts))
