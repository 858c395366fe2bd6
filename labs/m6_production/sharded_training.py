"""The training of lab 44 in a group of processes of its own: however many they are, they go on from the same checkpoints."""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist

from labs.kit.distributed.checkpoints import Checkpoints
from labs.kit.distributed.subgroup import note
from labs.kit.topics.tasks import fingerprint
from labs.m6_production.lab44_fsdp_concepts import Config, trained_with_checkpoints


def main() -> None:
    """Train up to a step with all ranks, then let one go on from there alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, required=True, help="where checkpoints and events.jsonl are kept"
    )
    parser.add_argument("--steps", type=int, required=True)
    args = parser.parse_args()
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    attempt(args.folder, args.steps)
    if rank == 0:
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        attempt(args.folder, args.steps)


def attempt(folder: Path, steps: int) -> None:
    """Train in the group that is there, and note where that began and with which weights it ended."""
    cfg, device = replace(Config.smoke(), train_steps=steps), torch.device("cpu")
    kept = Checkpoints(folder / "checkpoints", cfg.every)
    weights_P = trained_with_checkpoints(cfg, kept, device)
    note(folder, event="end", ranks=dist.get_world_size(), begun=kept.begun, weights=fingerprint(weights_P))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
