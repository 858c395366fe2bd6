"""The training of lab 44 in a group of processes of its own: however many they are, they go on from the same checkpoints."""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist

from labs.kit.checkpoints import Checkpoints
from labs.kit.elsewhere import note
from labs.kit.tasks import fingerprint
from labs.m6_production.lab44_fsdp_concepts import Config, trained_with_checkpoints


def main() -> None:
    """Train up to a step, and note where that began and with which weights it ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where checkpoints and events.jsonl are kept")
    parser.add_argument("--steps", type=int, required=True)
    args = parser.parse_args()
    dist.init_process_group("gloo")
    cfg, device = replace(Config.smoke(), train_steps=args.steps), torch.device("cpu")
    kept = Checkpoints(args.folder / "checkpoints", cfg.every)
    weights_P = trained_with_checkpoints(cfg, kept, device)
    note(args.folder, event="end", ranks=dist.get_world_size(), begun=kept.begun, weights=fingerprint(weights_P))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
