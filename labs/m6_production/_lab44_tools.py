"""What lab 44 compares with, and no lesson is in: other trainings, pieces to try, predictions of bytes."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.distributed.device_mesh import DeviceMesh
from torch.nn.parallel import DistributedDataParallel

from labs.kit.distributed.shards import own_rows, weights_of, whole
from labs.kit.topics.tasks import loss_of, losses_of, share_of

# Fewer rows than ranks, biases, kernels, rows that no number divides.
SHAPES = ((1,), (2, 3), (5,), (4, 2, 3), (7, 2), (27, 16))


def mesh_of(device: torch.device, ranks: int = 0) -> DeviceMesh:
    """Return the first so many ranks in a row, by default all, as a mesh of one axis."""
    return DeviceMesh(device.type, list(range(ranks or dist.get_world_size())))


def by_ddp(model: nn.Module) -> DistributedDataParallel:
    """Wrap a model, with DDP's own all-reduce called from Python, where it can be noted."""
    wrapped = DistributedDataParallel(model)
    wrapped.register_comm_hook(None, allreduce_hook)
    return wrapped


def state_row(model: nn.Module, optimizer: torch.optim.Optimizer) -> Tensor:
    """Return all weights and moments, whole, in one row. All ranks of the model call it together."""
    state = [value for entries in optimizer.state.values() for value in entries.values()]
    moments = [whole(value).flatten() for value in state if isinstance(value, Tensor) and value.ndim]
    return torch.cat([weights_of(model), *moments])


def predicted_columns(sizes: Sequence[int], ranks: int, stage: int) -> tuple[int, int, int]:
    """Predict DeepSpeed's bytes on a rank.

    Stages 1 and 2 lay all parameters in one row, padded until 2R divides it, and hold it whole. Stage 3 cuts
    each parameter, flat, into R parts.
    """
    row = -(-sum(sizes) // (2 * ranks)) * 2 * ranks
    part, resident = row // ranks, 2 * row
    if stage == 3:
        part, resident = sum(-(-size // ranks) for size in sizes), 0
    return resident, 2 * part, 4 * part


def losses_by_ddp(model: nn.Module, steps: int, share: int, device: torch.device) -> Tensor:
    """Train as lab 43 does, and return the losses."""
    return losses_of(DistributedDataParallel(model), model.parameters(), steps, share, device)


def weights_by_ddp(model: nn.Module, steps: int, share: int, device: torch.device) -> Tensor:
    """Train with Adam as lab 43 does, and return the weights."""
    wrapped = DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters())
    for step in range(steps):
        optimizer.zero_grad()
        loss_of(wrapped, *share_of(step, share, device)).backward()
        optimizer.step()
    return weights_of(model)


def pieces(rank: int, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Return tensors of all kinds of shapes, of whole numbers that differ from rank to rank.

    They are multiples of the number of ranks. So their means are whole numbers too, and summing them in
    another order changes nothing.
    """
    generator = torch.Generator().manual_seed(rank)
    drawn = [torch.randint(-99, 99, shape, generator=generator) for shape in SHAPES]
    return [(dist.get_world_size() * numbers).to(device, dtype) for numbers in drawn]


def parameters_to_gather(device: torch.device) -> tuple[list[Tensor], list[Tensor]]:
    """Return whole parameters, the same on all ranks, and this rank's rows of them."""
    large = [
        2**60 + numbers for numbers in pieces(0, torch.int64, device)
    ]  # more than a float64 can tell apart
    everything = [*pieces(0, torch.float64, device), *large]
    return everything, [own_rows(parameter) for parameter in everything]


def gradients_to_scatter(device: torch.device) -> tuple[list[Tensor], list[Tensor]]:
    """Return this rank's gradients, and its rows of their means over all ranks."""
    gradients, means = [], []
    for dtype in (torch.float32, torch.float64):
        everyones = [pieces(rank, dtype, device) for rank in range(dist.get_world_size())]
        gradients += everyones[dist.get_rank()]
        means += [own_rows(torch.stack(same).mean(dim=0)) for same in zip(*everyones, strict=True)]
    return gradients, means


def one_message(kind: str, whole_M: Tensor) -> list[tuple[str, int]]:
    """Return what is to be noted of a parameter: a gather of one room, or a reduce-scatter of all."""
    size = dist.get_world_size()
    room = -(-len(whole_M) // size) * whole_M[0].nbytes
    return [(kind, room if kind == "gather" else size * room)]


def written_out(tensors: Sequence[Tensor]) -> list[tuple[Any, ...]]:
    """Return dtypes, shapes and numbers, so that tensors of no rows can be compared as well."""
    return [(str(tensor.dtype), list(tensor.shape), tensor.tolist()) for tensor in tensors]


def rows_by_chunk(rows: int, ranks: int) -> list[tuple[int, int]]:
    """Return what `torch.chunk` gives to each rank, and the room for it: its largest chunk."""
    sizes = [len(chunk) for chunk in torch.empty(rows).chunk(ranks)]
    return [(held, max(sizes)) for held in sizes + [0] * (ranks - len(sizes))]
