"""Run a module in a small group of processes of its own, apart from those of the lab: for what kills ranks, and what restarts them."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

OURS = ("RANK", "WORLD_SIZE", "MASTER_", "LOCAL_", "GROUP_", "ROLE_", "TORCHELASTIC", "LABS_")
PATIENCE_S = 180.0


def by_torchrun(processes: int, restarts: int = 0) -> list[str]:
    """Return the command by which torchrun starts a module, and starts it again up to so many times."""
    sizes = [f"--nproc-per-node={processes}", f"--max-restarts={restarts}", "--monitor-interval=0.1"]
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", *sizes, "-m"]


def by_node_starter(processes: int) -> list[str]:
    """Return the command by which the course's own node starter starts a module, on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = [
        "--nodes",
        "1",
        "--node",
        "0",
        "--procs",
        str(processes),
        "--master",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    return [sys.executable, "-m", "labs.launch.node", *where, "--one-machine", "--"]


def note(folder: Path, **event: object) -> None:
    """Append an event with its time to the folder's `events.jsonl`; a line this short is written whole, whoever else writes."""
    with (folder / "events.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"time": time.time(), **event}) + "\n")


def events_apart(starter: list[str], module: str, *flags: str) -> list[dict[str, Any]]:
    """Run the module in a folder that is gone afterwards, and return the events."""
    with tempfile.TemporaryDirectory() as folder:
        return events_of(starter, module, Path(folder), *flags)


def events_of(starter: list[str], module: str, folder: Path, *flags: str) -> list[dict[str, Any]]:
    """Run the module to its end and return the events that its ranks noted in `events.jsonl` meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    noted = folder / "events.jsonl"
    before = len(noted.read_text().splitlines()) if noted.exists() else 0
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    command = [*starter, module, "--folder", str(folder), *flags]
    # torchrun leaves its own folders where temporary files go, and the group computes on the CPU: no rank of it sees a GPU.
    apart = {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder), "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(
        command, env={**clean, **apart}, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    if not noted.exists():
        raise RuntimeError(
            f"{module} noted nothing and ended with status {ended.returncode}: {ended.stderr.strip()[-300:]}"
        )
    return [json.loads(line) for line in noted.read_text().splitlines()[before:]]
