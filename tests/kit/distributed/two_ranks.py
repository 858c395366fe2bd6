"""What two ranks of test_shards.py note: their rows, and the order of what they send."""

import argparse
import os
from pathlib import Path

import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from labs.kit.distributed.shards import local, own_rows, weights_of
from labs.kit.distributed.subgroup import note
from labs.kit.measure.traffic import Traffic
from labs.kit.topics.tasks import Stack, fingerprint


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    folder = parser.parse_args().folder
    dist.init_process_group("gloo")
    model, whole, mesh = Stack(2, 4, 5), Stack(2, 4, 5), init_device_mesh("cpu", (2,))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    own = [
        local(weight).shape == own_rows(other).shape
        for weight, other in zip(model.parameters(), whole.parameters(), strict=True)
    ]
    with Traffic(model.blocks) as traffic:
        model(model.example()).sum().backward()
    note(
        folder,
        gpus=os.environ["CUDA_VISIBLE_DEVICES"],
        own=own,
        order=traffic.order,
        same=fingerprint(weights_of(model)) == fingerprint(weights_of(whole)),
    )
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
