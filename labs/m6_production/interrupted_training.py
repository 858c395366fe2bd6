"""A training that lab 43 kills and starts again: a checkpoint every few steps, a line of JSON for each event.

It knows nothing of who starts it: torchrun, the course's node starter, or a shell that sets RANK, WORLD_SIZE,
MASTER_ADDR and MASTER_PORT. Gradients are averaged by hand and steps taken by hand: DDP and torch's optimizers would
import torch's compiler, which takes each rank that is killed and started again as long as torch itself.
"""

import argparse
import hashlib
import os
import pickle
import signal
import sys
from datetime import timedelta
from pathlib import Path
from types import FrameType

import torch
import torch.distributed as dist
from torch import Tensor, nn

from labs.kit.distributed.subgroup import note

BATCH = 7  # samples per rank and step
RATE, MOMENTUM = 0.1, 0.9
MEETING_S = 120.0  # how long ranks wait for one another at the start: a busy machine imports torch slowly
UNREADABLE = (RuntimeError, EOFError, OSError, pickle.UnpicklingError)  # a file cut short, or overwritten
CHECKPOINTS = ("checkpoint.pt", "checkpoint.before.pt")  # the newest, and the one before


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train a small network, and resume from the last checkpoint."
    )
    parser.add_argument("--folder", type=Path, required=True, help="for checkpoints and events.jsonl")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--every", type=int, default=5, help="steps between two checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--die-at",
        type=int,
        nargs="*",
        default=[],
        help="steps at which the last rank kills itself, once at each",
    )
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds that a collective may hang")
    return parser.parse_args()


def main() -> None:
    """Train, note events, and end with a hash of the weights."""
    args = parse()
    args.folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, told_to_end)
    rank, size = meet(timedelta(seconds=args.timeout))
    network = network_of(args.seed)
    momenta = momenta_of(network)
    begin = step = load(args.folder, network, momenta)
    note(args.folder, rank=rank, event="begin", step=begin)
    try:
        for step in range(begin, args.steps):
            if step in args.die_at and rank == size - 1:
                die_once(args.folder, step)
            train(network, momenta, *share_of(step, args.seed, rank))
            if (step + 1) % args.every == 0 and rank == 0:
                save(args.folder, network, momenta, step + 1)
    except (RuntimeError, InterruptedError) as error:  # a broken connection, or an agent that saw it first
        note(args.folder, rank=rank, event="noticed", step=step, error=str(error).partition("\n")[0])
        sys.exit(3)
    note(args.folder, rank=rank, event="end", step=args.steps, weights=hash_of(network))
    dist.destroy_process_group()


def told_to_end(number: int, frame: FrameType | None) -> None:
    raise InterruptedError("told to end")


def meet(timeout: timedelta) -> tuple[int, int]:
    """Open the process group and return rank and size.

    torchrun restarts its ranks on the same store, in which the addresses of the dead still stand (torch 2.13; older
    ones kept attempts apart themselves). So the store gets the attempt's number as a prefix.
    """
    store, rank, size = next(iter(dist.rendezvous("env://", timeout=timedelta(seconds=MEETING_S))))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    prefixed = dist.PrefixStore(f"attempt-{attempt}", store)
    dist.init_process_group("gloo", store=prefixed, rank=rank, world_size=size, timeout=timeout)
    return rank, size


def die_once(folder: Path, step: int) -> None:
    """Send this process SIGKILL: no clean-up, no word. The next attempt passes this step."""
    mark = folder / f"died-at-{step}"
    if not mark.exists():
        mark.touch()
        note(folder, event="killed", step=step)
        os.kill(os.getpid(), signal.SIGKILL)


def network_of(seed: int) -> nn.Module:
    """Return the network that is trained, with weights that follow from the seed."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 4))


def momenta_of(model: nn.Module) -> list[Tensor]:
    """Return what the optimizer has to remember of each weight: at the start nothing."""
    return [torch.zeros_like(weight) for weight in model.parameters()]


def share_of(step: int, seed: int, rank: int) -> tuple[Tensor, Tensor]:
    """Return data that follow from step and rank alone, so that a resumed run sees what an undisturbed one does."""
    generator = torch.Generator().manual_seed(1_000_000 * seed + 1_000 * step + rank)
    return torch.randn(BATCH, 16, generator=generator), torch.randint(4, (BATCH,), generator=generator)


def train(model: nn.Module, momenta: list[Tensor], x_BI: Tensor, y_B: Tensor) -> None:
    """Take a step down the mean of all ranks' gradients, each of them of a share of the batch, as SGD with momentum does."""
    nn.functional.cross_entropy(model(x_BI), y_B).backward()
    with torch.no_grad():
        for weight, momentum in zip(model.parameters(), momenta, strict=True):
            gradient, weight.grad = weight.grad, None
            assert gradient is not None
            dist.all_reduce(gradient)
            momentum.mul_(MOMENTUM).add_(gradient / dist.get_world_size())
            weight.add_(momentum, alpha=-RATE)


def save(folder: Path, model: nn.Module, momenta: list[Tensor], step: int) -> None:
    """Write the checkpoint beside the old one and only then put it first.

    So neither a kill nor a full disk loses what there was.
    """
    part, (newest, before) = folder / "checkpoint.part", (folder / name for name in CHECKPOINTS)
    torch.save({"step": step, "model": model.state_dict(), "momenta": momenta}, part)
    if newest.exists():
        newest.replace(before)
    part.replace(newest)


def load(folder: Path, model: nn.Module, momenta: list[Tensor]) -> int:
    """Resume from the newest checkpoint that can be read and return its step; 0 where there is none."""
    for path in (folder / name for name in CHECKPOINTS):
        if not path.exists():
            continue
        try:
            kept = torch.load(path, weights_only=True)
        except UNREADABLE as error:
            note(folder, event="corrupt", file=path.name, error=str(error).partition("\n")[0])
            continue
        model.load_state_dict(kept["model"])
        momenta[:] = kept["momenta"]
        return int(kept["step"])
    return 0


def hash_of(model: nn.Module) -> str:
    """Return a hash of all weights, to the last bit."""
    whole = b"".join(weight.detach().numpy().tobytes() for weight in model.parameters())
    return hashlib.sha256(whole).hexdigest()[:16]


if __name__ == "__main__":
    main()
