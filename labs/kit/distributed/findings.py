"""What follows from what the ranks of a preflight see: pure judgements, each with what to do where it is not as it must be."""

import json
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

MIB = 2**20
CLOCKS_MAY_DIFFER_S = 1.0  # run folders, logs and checkpoints are ordered by time
MEMORY_PER_RANK = 1024 * MIB  # what importing torch and a small lab take
SHARED_MEMORY_PER_RANK = 64 * MIB  # data workers pass batches through it; containers often give 64 MiB to all
SHARE = "set LABS_HOME to a folder on a shared file system"
LOOK = "mend that, then ask again"
OWN_FOLDERS = (
    "each node has a run folder of its own, as meant; what a restart resumes from needs shared storage"
)


@dataclass(frozen=True)
class Finding:
    """One answer: what was found, and what to do where it is not as it must be."""

    name: str
    ok: bool
    found: str
    advice: str = ""


def meeting(everybody: list[dict[str, Any]], seconds: float) -> Finding:
    """All ranks met. Where several nodes are one host, which tells nothing of a network, that is said."""
    nodes = len({one["node"] for one in everybody})
    where = f"{nodes} node{'s' * (nodes > 1)}"
    if nodes > 1 and _alone(everybody):
        where += f" (all on this one host, {everybody[0]['host']}: no network was tried)"
    return Finding("ranks", True, f"all {len(everybody)} met, on {where}, in {seconds:.2f} s")


def names(everybody: list[dict[str, Any]], *, talk: bool = False) -> Finding:
    """With several hosts, no host's own name may lead back to itself: the others would be sent to their own loopback.

    Where ranks talk all the same, by an interface that was named, that is no matter.
    """
    wrong = {
        one["host"]: one["address"]
        for one in everybody
        if not (
            _alone(everybody)
            or (talk and one.get("named_interface"))
            or (one["address"] and not ip_address(one["address"]).is_loopback)
        )
    }
    addresses = {f"{one['host']} is {one['address'] or 'without an address'}" for one in everybody}
    found = ", ".join(sorted(addresses))
    return Finding(
        "names",
        not wrong,
        found,
        "give each host its own address in DNS or /etc/hosts (a line 127.0.1.1 hides it)" if wrong else "",
    )


def clocks(readings: list[list[float]]) -> Finding:
    """Each rank's clock was read within the moment in which all answered; the reading in which they were closest counts."""
    spread = min(max(times) - min(times) for times in readings)
    return Finding(
        "clocks",
        spread < CLOCKS_MAY_DIFFER_S,
        f"{spread * 1e3:.0f} ms apart at the most",
        "" if spread < CLOCKS_MAY_DIFFER_S else "start an NTP service",
    )


def versions(everybody: list[dict[str, Any]]) -> Finding:
    """All ranks must run the same Python, torch and labs."""
    seen = {json.dumps(one["versions"], sort_keys=True): one for one in everybody}
    found = "; ".join(
        f"{one['host']}: " + ", ".join(f"{name} {version}" for name, version in one["versions"].items())
        for one in seen.values()
    )
    return Finding(
        "versions",
        len(seen) == 1,
        found,
        "" if len(seen) == 1 else "let all nodes use one environment, on a shared folder or in one image",
    )


def shared_folder(
    folder: Path, missing: list[list[int]], everybody: list[dict[str, Any]], *, own_folders: bool = False
) -> Finding:
    """Ranks must find one another's files in the run's folder: all of them, or those of one node where each has its own."""
    node = {one["rank"]: one["node"] for one in everybody}
    unseen = {
        rank: [other for other in absent if not own_folders or node[other] == node[rank]]
        for rank, absent in enumerate(missing)
    }
    blind = [
        f"rank {rank} does not see the files of rank {', '.join(map(str, absent))}"
        for rank, absent in unseen.items()
        if absent
    ]
    advice = "mount one folder into all containers of a node" if own_folders else SHARE
    if blind:
        return Finding("shared folder", False, "; ".join(blind), advice)
    found = f"{folder} is one folder for all" if not any(missing) else OWN_FOLDERS
    return Finding("shared folder", True, found)


def own_places(everybody: list[dict[str, Any]]) -> Finding:
    """Compiled code and scratch files go to TMPDIR, caches also below HOME: with a read-only root both need a volume."""
    closed = [
        f"rank {one['rank']} cannot write to {name} ({place['path']})"
        for one in everybody
        for name, place in one["places"].items()
        if not place["writable"]
    ]
    ok = all(one["places"]["TMPDIR"]["writable"] for one in everybody)
    found = "; ".join(closed) or "files can be written to TMPDIR and HOME"
    return Finding("own places", ok, found, "" if ok else "set TMPDIR to a folder that can be written")


def room(everybody: list[dict[str, Any]]) -> list[Finding]:
    """Judge memory and shared memory by node, since the ranks of a node divide them. What lies in /dev/shm is memory too."""
    memory = [one["memory"] / _beside(one, everybody) for one in everybody]
    shared = [
        min(one["shared_memory"], one["memory"]) / _beside(one, everybody)
        for one in everybody
        if one["shared_memory"] is not None
    ]
    limits = [one["memory_limit"] for one in everybody if one["memory_limit"] is not None]
    limited = f", of the {min(limits) / MIB:,.0f} that its container or job may have" if limits else ""
    none = Finding("shared memory", True, "not divided here: there is no /dev/shm on this system")
    return [
        _enough("memory", memory, MEMORY_PER_RANK, limited),
        _enough("shared memory", shared, SHARED_MEMORY_PER_RANK, ", a part of that memory")
        if shared
        else none,
    ]


def _beside(one: dict[str, Any], everybody: list[dict[str, Any]]) -> int:
    """Return how many ranks its node has."""
    return sum(other["node"] == one["node"] for other in everybody)


def _enough(name: str, per_rank: list[float], each: int, more: str) -> Finding:
    short = min(per_rank) < each
    advice = (
        f"{each // MIB} MiB are needed for each: start fewer processes, or give the node or container more"
    )
    found = f"{min(per_rank) / MIB:,.0f} MiB free for each rank, at the least{more}"
    return Finding(name, not short, found, advice if short else "")


def road(everybody: list[dict[str, Any]], *, talk: bool = False) -> Finding:
    """Name the interfaces that carry the traffic; on a host alone that is loopback. Where ranks talk, none need be known."""
    if troubles := no_way(everybody):
        return Finding(
            "interface", False, "; ".join(troubles), "name one that every host has, or unset the variable"
        )
    if _alone(everybody):
        return Finding("interface", True, f"loopback on {everybody[0]['host']}")
    roads = sorted({f"{one['interface'] or 'unknown'} on {one['host']}" for one in everybody})
    known = talk or all(one["interface"] for one in everybody)
    return Finding("interface", known, ", ".join(roads), "" if known else "name one with GLOO_SOCKET_IFNAME")


def no_way(everybody: list[dict[str, Any]]) -> list[str]:
    """Return why ranks of several nodes have no interface to talk through: what was named is not there, or leads to nobody else."""
    if len({one["node"] for one in everybody}) == 1:
        return []
    missing = [one["interface_trouble"] for one in everybody if one.get("interface_trouble")]
    loopback = [
        f"{one['named_interface']}, which was named, leads from {one['host']} to nobody else"
        for one in everybody
        if one.get("leads_nowhere") and not _alone(everybody)
    ]
    return list(dict.fromkeys([*missing, *loopback]))


def _alone(everybody: list[dict[str, Any]]) -> bool:
    """Tell whether all ranks are on one host, which needs neither a name nor a network. Several hosts may have one name."""
    return len({one.get("machine") or one["host"] for one in everybody}) == 1


def with_failures(found: list[Finding], everybody: list[dict[str, Any]]) -> list[Finding]:
    """Return the findings; those for which a rank could not even look are not as they must be."""
    failures = [(name, one, why) for one in everybody for name, why in one.get("failures", {}).items()]

    def judged(finding: Finding) -> Finding:
        own = [
            f"rank {one['rank']} ({one['host']}) could not look: {why}"
            for name, one, why in failures
            if name == finding.name
        ]
        return Finding(finding.name, False, "; ".join(own), finding.advice or LOOK) if own else finding

    return [judged(finding) for finding in found]
