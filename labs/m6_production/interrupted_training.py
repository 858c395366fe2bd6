"""A training that lab 43 kills and starts again: plain DDP, a checkpoint every few steps, one line of JSON for each event.

It knows nothing of who starts it: torchrun, our node starter, or a shell that sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT.
"""

import argparse
import hashlib
import json
import os
import pickle
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import FrameType

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

BATCH = 8  # samples per rank and step
CHECKPOINTS = ("checkpoint.pt", "checkpoint.before.pt")  # the newest, and the one before


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train a small network under DDP, and resume where the last checkpoint stands."
    )
    parser.add_argument(
        "--folder", type=Path, required=True, help="where checkpoints and events.jsonl are kept"
    )
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--every", type=int, default=5, help="steps between two checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--die-at", type=int, default=-1, help="the step at which the last rank kills itself, once"
    )
    parser.add_argument("--timeout", type=float, default=20.0, help="seconds that a collective may hang")
    return parser.parse_args()


def main() -> None:
    """Train, note events, and end with a hash of the weights."""
    args = parse()
    signal.signal(signal.SIGTERM, told_to_end)
    rank, size = meet(timedelta(seconds=args.timeout))
    torch.manual_seed(args.seed)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 4)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    begin, step = load(args.folder, model, optimizer), -1
    note(args.folder, event="begin", step=begin)
    try:
        for step in range(begin, args.steps):
            if step == args.die_at and rank == size - 1 and not (args.folder / "died").exists():
                (args.folder / "died").touch()
                note(args.folder, event="killed", step=step)
                os.kill(os.getpid(), signal.SIGKILL)
            train(model, optimizer, step, args.seed)
            if (step + 1) % args.every == 0 and rank == 0:
                save(args.folder, model, optimizer, step + 1)
    except (
        RuntimeError,
        InterruptedError,
    ) as error:  # a broken connection, or the word of an agent that saw it first
        note(args.folder, event="noticed", step=step, error=str(error).partition("\n")[0])
        sys.exit(3)
    note(args.folder, event="end", step=args.steps, weights=hash_of(model))
    dist.destroy_process_group()


def told_to_end(number: int, frame: FrameType | None) -> None:
    raise InterruptedError("told to end")


def meet(timeout: timedelta) -> tuple[int, int]:
    """Open the process group and return rank and size.

    torchrun restarts its ranks on the same store, in which the addresses of the dead still stand (torch 2.13; older ones kept
    attempts apart themselves). So the store gets the attempt's number as a prefix.
    """
    store, rank, size = next(iter(dist.rendezvous("env://", timeout=timeout)))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    dist.init_process_group(
        "gloo",
        store=dist.PrefixStore(f"attempt-{attempt}", store),
        rank=rank,
        world_size=size,
        timeout=timeout,
    )
    return rank, size


def train(model: nn.Module, optimizer: torch.optim.Optimizer, step: int, seed: int) -> None:
    """Take one step on data that follow from step and rank alone, so that a resumed run sees what an undisturbed one does."""
    generator = torch.Generator().manual_seed(1_000_000 * seed + 1_000 * step + dist.get_rank())
    x_BI, y_B = torch.randn(BATCH, 16, generator=generator), torch.randint(4, (BATCH,), generator=generator)
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x_BI), y_B).backward()
    optimizer.step()


def save(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write the checkpoint beside the old one and only then put it first: neither a kill nor a full disk loses what there was."""
    part, (newest, before) = folder / "checkpoint.part", (folder / name for name in CHECKPOINTS)
    torch.save({"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, part)
    if newest.exists():
        newest.replace(before)
    part.replace(newest)


def load(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Resume from the newest checkpoint that can be read and return its step; 0 where there is none."""
    for path in (folder / name for name in CHECKPOINTS):
        if not path.exists():
            continue
        try:
            kept = torch.load(path, weights_only=True)
        except (
            RuntimeError,
            EOFError,
            OSError,
            pickle.UnpicklingError,
        ) as error:  # cut short, or overwritten by something else
            note(folder, event="corrupt", file=path.name, error=str(error).partition("\n")[0])
            continue
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        return int(kept["step"])
    return 0


def hash_of(model: nn.Module) -> str:
    """Return a hash of all weights, to the last bit."""
    return hashlib.sha256(
        b"".join(weight.detach().numpy().tobytes() for weight in model.parameters())
    ).hexdigest()[:16]


def note(folder: Path, **event: object) -> None:
    """Append an event with its time and rank; a line this short is written whole, whoever else writes."""
    with (folder / "events.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"rank": dist.get_rank(), "time": time.time(), **event}) + "\n")


if __name__ == "__main__":
    main()
