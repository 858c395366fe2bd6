"""Before a workshop: do all processes meet, agree and share what they must? Started on every node like a lab, it takes seconds.

`python -m labs.kit.distributed.preflight --folder DIR [--json]`, or `labs preflight --nodes 2`, or `make preflight NODES=2`.
"""

import argparse
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from rich.console import Console
from rich.markup import escape

from labs.kit.distributed import devices, findings
from labs.kit.distributed.facts import facts, in_one_line
from labs.kit.distributed.findings import MIB, Finding
from labs.kit.distributed.seal import ForeignValue
from labs.kit.distributed.world import World
from labs.kit.measure.timing import seconds

BIG_MESSAGE = 16 * MIB
CLOCK_READINGS = 3  # a busy machine may be late for one of them
SHOWN_S = 5.0  # so long a network file system may keep a new file to itself
LOOK_S = 0.1
NO_TALK = "see that the network lets these hosts reach one another on any port"


def examine(
    world: World, folder: Path, *, own_folders: bool = False
) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Let all ranks meet, and return what each sees and what follows. All ranks must call it.

    With `own_folders` each node is meant to have a run folder of its own, as pods have.
    """
    begun = time.perf_counter()
    everybody: list[dict[str, Any]] = world.gather("facts", facts(world, folder))
    met = findings.meeting(everybody, time.perf_counter() - begun)
    clocks = [world.gather("clock", time.time()) for _ in range(CLOCK_READINGS)]
    missing = world.gather("files", _unseen(world, folder, everybody, own_folders=own_folders))
    talk = _talk_where_possible(world, everybody)
    found = [
        met,
        findings.names(everybody, talk=talk.ok),
        findings.clocks(clocks),
        findings.versions(everybody),
        findings.shared_folder(folder, missing, everybody, own_folders=own_folders),
        findings.own_places(everybody),
        *findings.room(everybody),
        findings.road(everybody, talk=talk.ok),
        Finding("devices", True, devices.in_words(world.gpus, world.nodes)),
        talk,
    ]
    return everybody, findings.with_failures(found, everybody)


def _unseen(world: World, folder: Path, everybody: list[dict[str, Any]], *, own_folders: bool) -> list[int]:
    """Return the ranks whose files this one does not see. A network file system may take seconds to show a new file to others."""
    node = [one["node"] for one in everybody]
    meant = {rank for rank in range(world.size) if not own_folders or node[rank] == world.node}
    until = time.monotonic() + SHOWN_S
    while True:
        unseen = [rank for rank in range(world.size) if not (folder / f"seen-by-{rank}").exists()]
        if not meant & {*unseen} or time.monotonic() > until:
            return unseen
        time.sleep(LOOK_S)
        with suppress(OSError):
            os.listdir(folder)  # which makes some file systems look anew


def _talk_where_possible(world: World, everybody: list[dict[str, Any]]) -> Finding:
    """Let the ranks compute together, unless they are known to be unable to; what goes wrong is the finding."""
    if findings.no_way(everybody):
        return Finding(
            "all-reduce", False, "not tried, since ranks have no interface for it", "see: interface"
        )
    try:
        with world.group():
            return _talk(world)
    except (Exception, ForeignValue) as error:
        reason = in_one_line(error)
        world.leave_word(reason)
        return Finding(
            "all-reduce", False, f"rank {world.rank} could not talk to the others: {reason}", NO_TALK
        )


def _talk(world: World) -> Finding:
    """Time an all-reduce of 4 bytes and of 16 MiB; bandwidth as each rank's own link carries it, 2(N-1)/N of the data."""
    device = world.device
    small, big = (torch.ones(size // 4, device=device) for size in (4, BIG_MESSAGE))
    times = [
        min(seconds(partial(dist.all_reduce, message), 1, device) for _ in range(5))
        for message in (small, big)
    ]
    moved = 2 * (world.size - 1) / world.size * BIG_MESSAGE
    speed = f", {moved / times[1] / 1e9:.2f} GB/s per rank over 16 MiB" if world.size > 1 else ""
    return Finding("all-reduce", True, f"{times[0] * 1e3:.2f} ms for 4 bytes{speed} ({dist.get_backend()})")


def show(everybody: list[dict[str, Any]], found: list[Finding], as_json: bool) -> None:
    """Print the findings, as text or as `{ready, checks, ranks}`."""
    ready = all(finding.ok for finding in found)
    if as_json:
        print(
            json.dumps(
                {"ready": ready, "checks": [asdict(finding) for finding in found], "ranks": everybody},
                indent=2,
            )
        )
        return
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    for finding in found:
        sign = "[green]✔[/]" if finding.ok else "[bold red]✘[/]"
        console.print(f"{sign} {finding.name:<14} {escape(finding.found)}")
        if finding.advice:
            console.print(f"  {'':<14} [bold]{escape(finding.advice)}[/]")
    console.print("[bold]ready[/]" if ready else "[bold red]not ready[/]")


def main() -> int:
    """Run the preflight on this rank and return the exit status: 0 where all is as it must be, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="a folder that all nodes share")
    parser.add_argument(
        "--own-folders", action="store_true", help="each node has its own under that name, as pods have"
    )
    parser.add_argument("--launcher", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    args = parser.parse_args()
    everybody, found = _examined(args.folder, own_folders=args.own_folders)
    if os.environ.get("RANK", "0") == "0":
        show(everybody, found, args.json)
    return 0 if all(finding.ok for finding in found) else 1


def _examined(folder: Path, *, own_folders: bool) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Examine; that ranks do not come together, or not to the end, is a finding too."""
    rank = os.environ.get("RANK", "0")
    try:
        world = World.from_environment()
        seen = examine(world, folder, own_folders=own_folders)
        with suppress(Exception):  # what is found is found, whoever has gone meanwhile
            world.part_ways()
        return seen
    except (Exception, ForeignValue) as error:
        first, *rest = str(error).splitlines() or [type(error).__name__]
        if rank != "0":
            print(error, file=sys.stderr)
        return [], [Finding("ranks", False, first, " ".join(rest))]
    finally:
        # The folder itself is the launcher's, whose files may be in it.
        with suppress(OSError):
            (folder / f"seen-by-{rank}").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
