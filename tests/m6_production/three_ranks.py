"""What three ranks of test_lab43_ddp_concepts.py note: sums of odd rows, gradients under DDP, BatchNorm's statistics."""

import argparse
from pathlib import Path

import torch
import torch.distributed as dist

from labs.kit.distributed.shards import weights_of
from labs.kit.distributed.subgroup import note
from labs.m6_production import _lab43_helpers as helpers
from labs.m6_production import _lab43_pictures as pictures
from labs.m6_production import lab43_ddp_concepts as lab

CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    folder = parser.parse_args().folder
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    for length in range(8):
        row = torch.arange(1, length + 1, dtype=torch.int32) * 10**rank
        before = row.clone()
        sent = lab.ring_messages(row)
        total = lab.ring_all_reduce(row)
        note(
            folder,
            event="ring",
            length=length,
            total=total.tolist(),
            dtype=str(total.dtype),
            sent=[len(message) for message in sent],
            untouched=torch.equal(row, before),
        )
    model = helpers.after_backward(rank, ranks, CPU)
    weights = weights_of(model)
    lab.averaged_gradients(model)
    whole = helpers.gradient_of_all(ranks, CPU)
    options = ("(neither)", "find_unused_parameters", "static_graph")
    passes = {option: helpers.two_passes(option, CPU) for option in options}
    note(
        folder,
        event="experts",
        frozen=model.frozen.weight.grad is None,
        untouched=torch.equal(weights_of(model), weights),
        options=pictures.rows_of_passes(passes, whole),
    )
    first, second = (lab.trained_by_ddp(steps, 7, CPU, norm=True) for steps in (1, 2))
    begin = weights_of(helpers.network(0, CPU, norm=True))
    own = own_mean(0, rank, begin)
    mixed = 0.9 * own_mean(0, 0, begin) + own_mean(1, rank, first.path_SP[0])
    means = {"mean": first.mean, "own": own, "second": second.mean, "mixed": mixed}
    note(folder, event="norm", **{name: mean.tolist() for name, mean in means.items()})
    note(folder, event="skipped", begun=[seen.begun for seen in helpers.skipped_collective(1.0)])
    dist.destroy_process_group()


def own_mean(batch: int, rank: int, weights: torch.Tensor) -> torch.Tensor:
    """Return what a batch adds to a running mean: a tenth of the mean of what a rank's share gives behind the first layer."""
    network = helpers.network(0, CPU, norm=True)
    torch.nn.utils.vector_to_parameters(weights, network.parameters())
    inputs_BI, _ = helpers.batch_of(batch, 7 * dist.get_world_size(), CPU)
    mean: torch.Tensor = 0.1 * network[0](inputs_BI[7 * rank : 7 * (rank + 1)]).mean(0).detach()
    return mean


if __name__ == "__main__":
    main()
