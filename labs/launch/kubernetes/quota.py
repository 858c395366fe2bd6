"""What a namespace's quota leaves, beside what a run asks for: a part of a gang that gets room only wastes it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from labs.launch.kubernetes.quantity import amount

Object = dict[str, Any]
WORDS = {"cpu": "requests.cpu", "memory": "requests.memory"}  # two names for one thing


def asked(job: Object) -> dict[str, Decimal]:
    """Return what a Job asks for, all its pods together, by the names that quotas use."""
    pods = job["spec"]["completions"]
    pod = job["spec"]["template"]["spec"]
    total = {"pods": Decimal(pods), "count/jobs.batch": Decimal(1)}
    for container in (*pod["initContainers"], *pod["containers"]):
        for kind in ("requests", "limits"):
            for name, value in container["resources"].get(kind, {}).items():
                key = f"{kind}.{name}"
                total[key] = total.get(key, Decimal(0)) + pods * amount(str(value))
    return total


def missing(job: Object, quota: Object) -> Iterator[tuple[str, bool]]:
    """Yield in words what a quota lacks for a Job, and whether it ever could have it, once others have ended."""
    status, wanted = quota.get("status") or {}, asked(job)
    name = (quota.get("metadata") or {}).get("name")
    for resource, hard in (status.get("hard") or {}).items():
        need = wanted.get(WORDS.get(resource, resource))
        if need is None:
            continue
        try:
            most, used = amount(str(hard)), amount(str((status.get("used") or {}).get(resource, "0")))
        except ValueError:
            continue
        if need > most - used:
            yield (
                f"the run asks for {shown(resource, need)} of {resource}, and the quota {name} has "
                f"{shown(resource, max(most - used, Decimal(0)))} left of {shown(resource, most)}",
                need <= most,
            )


def shown(resource: str, value: Decimal) -> str:
    """Return an amount for people: bytes in MiB."""
    return (
        f"{value / 2**20:.0f} MiB"
        if "memory" in resource or "storage" in resource
        else f"{value.normalize():f}"
    )
