"""Before a workshop: do all processes meet, agree and share what they must? Started on every node like a lab, it takes seconds.

`python -m labs.kit.distributed.preflight --folder DIR [--json]`, or `labs preflight --nodes 2`, or `make preflight NODES=2`.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psutil
import torch
import torch.distributed as dist
from rich.console import Console
from rich.markup import escape

from labs.home import revision
from labs.kit.distributed.world import World
from labs.kit.measure.timing import seconds

MIB = 2**20
CLOCKS_MAY_DIFFER_S = 1.0  # run folders, logs and checkpoints are ordered by time
MEMORY_PER_RANK = 1024 * MIB  # what importing torch and a small lab take
SHARED_MEMORY_PER_RANK = 64 * MIB  # data workers pass batches through it; containers often give 64 MiB to all
BIG_MESSAGE = 16 * MIB


@dataclass(frozen=True)
class Finding:
    """One answer: what was found, and what to do where it is not as it must be."""

    name: str
    ok: bool
    found: str
    advice: str = ""


def facts(world: World, folder: Path) -> dict[str, Any]:
    """Return what this rank sees from where it stands. It also leaves a file in the run's folder, for the others to find."""
    (folder / f"seen-by-{world.rank}").touch()
    shm = Path("/dev/shm")
    return {
        "rank": world.rank,
        "node": world.node,
        "host": socket.gethostname(),
        "address": _address_of(socket.gethostname()),
        "interface": _interface(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "labs": revision()},
        "memory": psutil.virtual_memory().available,
        "shared_memory": shutil.disk_usage(shm).free if shm.exists() else None,
        "gpus": torch.cuda.device_count(),
    }


def examine(world: World, folder: Path) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Let all ranks meet, and return what each sees and what follows. All ranks must call it."""
    begun = time.perf_counter()
    everybody: list[dict[str, Any]] = world.gather("facts", facts(world, folder))
    met = Finding(
        "ranks",
        True,
        f"all {world.size} met, on {world.nodes} node{'s' * (world.nodes > 1)}, in {time.perf_counter() - begun:.2f} s",
    )
    clocks = world.gather("clock", time.time())
    missing = world.gather(
        "files", [rank for rank in range(world.size) if not (folder / f"seen-by-{rank}").exists()]
    )
    with world.group():
        talk = _talk(world)
    return everybody, [
        met,
        _names(everybody),
        _clocks(clocks),
        _versions(everybody),
        _shared(folder, missing),
        *_room(everybody),
        _road(everybody),
        talk,
    ]


def _names(everybody: list[dict[str, Any]]) -> Finding:
    """With several hosts, no host's own name may lead back to itself: the others would be sent to their own loopback."""
    several = len({one["host"] for one in everybody}) > 1
    wrong = {
        one["host"]: one["address"]
        for one in everybody
        if not one["address"] or (several and ip_address(one["address"]).is_loopback)
    }
    found = ", ".join(sorted({f"{one['host']} is {one['address'] or 'unknown'}" for one in everybody}))
    return Finding(
        "names",
        not wrong,
        found,
        "give each host its own address in DNS or /etc/hosts (a line 127.0.1.1 hides it)" if wrong else "",
    )


def _clocks(clocks: list[float]) -> Finding:
    spread = max(clocks) - min(clocks)
    return Finding(
        "clocks",
        spread < CLOCKS_MAY_DIFFER_S,
        f"{spread * 1e3:.0f} ms apart at the most",
        "" if spread < CLOCKS_MAY_DIFFER_S else "start an NTP service",
    )


def _versions(everybody: list[dict[str, Any]]) -> Finding:
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


def _shared(folder: Path, missing: list[list[int]]) -> Finding:
    blind = [
        f"rank {rank} does not see the files of rank {', '.join(map(str, absent))}"
        for rank, absent in enumerate(missing)
        if absent
    ]
    return Finding(
        "shared folder",
        not blind,
        "; ".join(blind) or f"{folder} is one folder for all",
        "set LABS_HOME to a folder on a shared file system" if blind else "",
    )


def _room(everybody: list[dict[str, Any]]) -> list[Finding]:
    """Judge memory and shared memory by node, since the ranks of a node divide them."""
    findings = []
    for name, key, each in (
        ("memory", "memory", MEMORY_PER_RANK),
        ("shared memory", "shared_memory", SHARED_MEMORY_PER_RANK),
    ):
        per_rank = [
            one[key] / sum(other["node"] == one["node"] for other in everybody)
            for one in everybody
            if one[key] is not None
        ]
        if not per_rank:
            findings.append(Finding(name, True, "not divided here: there is no /dev/shm on this system"))
            continue
        short = min(per_rank) < each
        advice = f"{each // MIB} MiB are needed for each: start fewer processes, or give the node or container more"
        findings.append(
            Finding(
                name,
                not short,
                f"{min(per_rank) / MIB:,.0f} MiB free for each rank, at the least",
                advice if short else "",
            )
        )
    return findings


def _road(everybody: list[dict[str, Any]]) -> Finding:
    roads = sorted({f"{one['interface']} on {one['host']}" for one in everybody})
    known = all(one["interface"] != "unknown" for one in everybody)
    return Finding("interface", known, ", ".join(roads), "" if known else "name one with GLOO_SOCKET_IFNAME")


def _talk(world: World) -> Finding:
    """Time an all-reduce of 4 bytes and of 16 MiB; bandwidth as each rank's own link carries it, 2(N-1)/N of the data."""
    small, big = (torch.ones(size // 4, device=world.device) for size in (4, BIG_MESSAGE))
    times = [
        min(seconds(partial(dist.all_reduce, message), calls=1) for _ in range(5)) for message in (small, big)
    ]
    moved = 2 * (world.size - 1) / world.size * BIG_MESSAGE
    speed = f", {moved / times[1] / 1e9:.2f} GB/s per rank over 16 MiB" if world.size > 1 else ""
    return Finding("all-reduce", True, f"{times[0] * 1e3:.2f} ms for 4 bytes{speed} ({dist.get_backend()})")


def _address_of(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except OSError:
        return ""


def _interface() -> str:
    """Return the interface that carries the traffic: the one named for gloo, else the one on which this host's own name lives."""
    named = os.environ.get("GLOO_SOCKET_IFNAME") or os.environ.get("NCCL_SOCKET_IFNAME")
    if named:
        return named
    own = _address_of(socket.gethostname())
    for name, addresses in psutil.net_if_addrs().items():
        if any(
            address.address == own or (own.startswith("127.") and address.address.startswith("127."))
            for address in addresses
        ):
            return name
    return "unknown"


def show(everybody: list[dict[str, Any]], findings: list[Finding], as_json: bool) -> None:
    """Print the findings, as text or as `{ready, checks, ranks}`."""
    ready = all(finding.ok for finding in findings)
    if as_json:
        print(
            json.dumps(
                {"ready": ready, "checks": [asdict(finding) for finding in findings], "ranks": everybody},
                indent=2,
            )
        )
        return
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    for finding in findings:
        sign = "[green]✔[/]" if finding.ok else "[bold red]✘[/]"
        console.print(f"{sign} {finding.name:<14} {escape(finding.found)}")
        if finding.advice:
            console.print(f"  {'':<14} [bold]{escape(finding.advice)}[/]")
    console.print("[bold]ready[/]" if ready else "[bold red]not ready[/]")


def main() -> int:
    """Run the preflight on this rank and return the exit status: 0 where all is as it must be, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="a folder that all nodes share")
    parser.add_argument("--launcher", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    args = parser.parse_args()
    world = World.from_environment()
    args.folder.mkdir(parents=True, exist_ok=True)
    everybody, findings = examine(world, args.folder)
    (args.folder / f"seen-by-{world.rank}").unlink(
        missing_ok=True
    )  # the folder itself is the launcher's, whose files may be in it
    if world.first:
        show(everybody, findings, args.json)
    return 0 if all(finding.ok for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
