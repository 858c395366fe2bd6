"""Train a small network under DeepSpeed's ZeRO-1, 2 and 3, and note what each rank holds, in bytes.

DeepSpeed keeps state of its own beside torch's, so it gets processes of its own. On a CPU it would first compile an
extension for shared memory, for minutes; gloo does without.
"""

import argparse
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch.distributed as dist

from labs.kit.distributed.subgroup import note
from labs.kit.distributed.world import World
from labs.kit.topics.tasks import Stack, loss_of, share_of


def configuration(stage: int) -> dict[str, Any]:
    """Return DeepSpeed's own form of settings: bfloat16 weights, a float32 master copy, and no parameter that is kept whole."""
    return {
        "train_micro_batch_size_per_gpu": 8,
        "bf16": {"enabled": True},
        "zero_optimization": {
            "stage": stage,
            "reduce_bucket_size": 500,
            "stage3_param_persistence_threshold": 0,
        },
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }


def bytes_of(engine: Any, stage: int) -> dict[str, int]:
    """Count what a rank holds between two steps: whole weights, its part of them, and its part of the master copy."""
    weights, optimizer = list(engine.module.parameters()), engine.optimizer
    storages = {weight.untyped_storage().data_ptr(): weight.untyped_storage().nbytes() for weight in weights}
    if stage == 3:
        own, master = [weight.ds_tensor for weight in weights], optimizer.fp32_partitioned_groups_flat
    else:
        own = [parts[dist.get_rank()] for parts in optimizer.parallel_partitioned_bit16_groups]
        master = optimizer.single_partition_of_fp32_groups
    return {
        "resident": sum(storages.values()),
        "partition": sum(part.nbytes for part in own),
        "master": sum(part.nbytes for part in master),
    }


def watch_gradients(weights: list[torch.nn.Parameter]) -> list[int]:
    """Return a list that gets, as each gradient comes, the bytes of all gradients that are there."""
    alive: list[int] = []
    for weight in weights:
        weight.register_post_accumulate_grad_hook(
            lambda _: alive.append(sum(other.grad.nbytes for other in weights if other.grad is not None))
        )
    return alive


def main() -> None:
    """Take two steps at each stage, and note the bytes after them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where events.jsonl is kept")
    parser.add_argument("--stages", type=int, default=3, help="the last stage to train")
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=9, help="hidden units of a block")
    args = parser.parse_args()
    world = World.from_environment()  # from here on, objects in DeepSpeed's collectives are sealed
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend="gloo")
    for stage in range(1, args.stages + 1):
        model = Stack(args.blocks, hidden=args.hidden, dtype=torch.float32)
        optimizer = torch.optim.AdamW(model.parameters())
        engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=configuration(stage))
        alive = watch_gradients(list(model.parameters()))
        for step in range(2):
            x_BI, y_B = share_of(step, 8, engine.device)
            engine.backward(loss_of(engine, x_BI.bfloat16(), y_B))
            engine.step()
        note(
            args.folder,
            event="stage",
            stage=stage,
            rank=dist.get_rank(),
            device=str(engine.device),
            gradients=max(alive),
            **bytes_of(engine, stage),
        )
        engine.destroy()
    world.part_ways()


if __name__ == "__main__":
    main()
