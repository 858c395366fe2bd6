"""Run a module in a small group of processes of its own, apart from those of the lab: for what kills ranks, and what restarts them.

Such a group computes on the CPU, also where the lab's ranks have GPUs: its own are not as many, and they are in use.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from labs import interfaces
from labs.rank_variables import without_rank_variables

ON_THE_CPU = {
    "CUDA_VISIBLE_DEVICES": "",
    "DS_ACCELERATOR": "cpu",
}  # the latter for DeepSpeed, which looks around by itself
PATIENCE_S = 180.0


def by_torchrun(processes: int, restarts: int = 0) -> list[str]:
    """Return the command by which torchrun starts a module, and starts it again up to so many times.

    Its static rendezvous: the dynamic one, which `--standalone` takes, unpickles what anybody has put into its store.
    """
    sizes = [f"--nproc-per-node={processes}", f"--max-restarts={restarts}", "--monitor-interval=0.1"]
    where = ["--master-addr=127.0.0.1", f"--master-port={_free_port()}"]
    return [sys.executable, "-m", "torch.distributed.run", *where, *sizes, "-m"]


def by_node_starter(processes: int) -> list[str]:
    """Return the command by which the course's own node starter starts a module, on a free port of this machine."""
    size = ["--nodes", "1", "--node", "0", "--procs", str(processes)]
    where = ["--master", "127.0.0.1", "--port", str(_free_port()), "--one-machine"]
    return [sys.executable, "-m", "labs.launch.node", *size, *where, "--"]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


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
    command = [*starter, module, "--folder", str(folder), *flags]
    # Where torchrun leaves its own folders, and ranks a secret for one another: nothing of that outlives the group.
    apart = {
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(folder),
        "LABS_HOME": str(folder),
        "PYTHONSAFEPATH": "1",
        **ON_THE_CPU,
    }
    ended = subprocess.run(
        command,
        env={**interfaces.on_one_machine(without_rank_variables(os.environ)), **apart},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if not noted.exists():
        raise RuntimeError(
            f"{module} noted nothing and ended with status {ended.returncode}: {ended.stderr.strip()[-300:]}"
        )
    return [json.loads(line) for line in noted.read_text().splitlines()[before:]]
