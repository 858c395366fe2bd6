"""What lab 44 compares with and shows, and no lesson is in: trainings, pieces to try, tables, pictures."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.distributed.device_mesh import DeviceMesh
from torch.nn.parallel import DistributedDataParallel

from labs.kit.distributed.shards import Held, own_rows, weights_of, whole
from labs.kit.draw.diagrams import WARN, Bars, Cell, Cells, Row, Span, Timeline
from labs.kit.topics.tasks import fingerprint, loss_of, losses_of, share_of

if TYPE_CHECKING:
    from labs.m6_production._lab44_helpers import Schedule, Trained

GATHER, COMPUTE, REDUCE, WHOLE = 1, 2, 3, 4  # tones
LEGEND = {
    GATHER: "all-gather of block n",
    COMPUTE: "F n forward, B n backward",
    REDUCE: "reduce-scatter of its gradients",
    WHOLE: "all of its weights are here",
}
SHAPES = ((1,), (2, 3), (5,), (7, 2), (27, 16))  # fewer rows than ranks, biases, rows that no number divides
Table = tuple[list[str], list[list[Any]]]


def mesh_of(device: torch.device, ranks: int = 0) -> DeviceMesh:
    """Return the first so many ranks in a row, by default all, as a mesh of one axis."""
    return DeviceMesh(device.type, list(range(ranks or dist.get_world_size())))


def by_ddp(model: nn.Module) -> DistributedDataParallel:
    """Wrap a model, with DDP's own all-reduce called from Python, where it can be noted."""
    wrapped = DistributedDataParallel(model)
    wrapped.register_comm_hook(None, allreduce_hook)
    return wrapped


def state_hash(model: nn.Module, optimizer: torch.optim.Optimizer) -> str:
    """Return a hash of all weights and moments, whole. All ranks of the model call it together."""
    state = [value for entries in optimizer.state.values() for value in entries.values()]
    moments = [whole(value).flatten() for value in state if isinstance(value, Tensor) and value.ndim]
    return fingerprint(torch.cat([weights_of(model), *moments]))


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
        2**40 + numbers for numbers in pieces(0, torch.int64, device)
    ]  # more than a float32 can tell apart
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


def written_out(tensors: Sequence[Tensor]) -> list[tuple[Any, ...]]:
    """Return dtypes, shapes and numbers, so that tensors of no rows can be compared as well."""
    return [(str(tensor.dtype), list(tensor.shape), tensor.tolist()) for tensor in tensors]


def cut_rows(rows: int, cut: Sequence[tuple[int, int]]) -> Cells:
    """Draw which rows each rank holds, and its padding; `cut` has for each rank its rows and its room."""
    numbers = iter(range(rows))
    drawn = []
    for rank, (held, room) in enumerate(cut):
        own = [Cell(f"row {next(numbers, '?')}", 1) for _ in range(held)]
        drawn.append(Row(f"rank {rank}", [*own, *[Cell("–", WARN)] * (room - held)]))
    return Cells(drawn, legend={1: "a row of the weight", WARN: "padding"})


def rows_by_chunk(rows: int, ranks: int) -> list[tuple[int, int]]:
    """Return what `torch.chunk` gives to each rank, and the room for it: its largest chunk."""
    sizes = [len(chunk) for chunk in torch.empty(rows).chunk(ranks)]
    return [(held, max(sizes)) for held in sizes + [0] * (ranks - len(sizes))]


def timeline_of(schedule: "Schedule", blocks: int) -> Timeline:
    """Draw a step, one event after another: what is sent, what computes, and which blocks are whole."""
    events = [(what, there) for (what, _), there in zip(schedule.log, schedule.whole, strict=True)]
    events = [(what, there) for what, there in events if what != "backward"]
    numbers = {"gather": iter(_arrivals(schedule)), "reduce-scatter": _backward_order(schedule)}
    lanes: dict[str, list[Span]] = {"messages": [], "computes": []}
    for time, (what, _) in enumerate(events):
        if what in numbers:
            tone = GATHER if what == "gather" else REDUCE
            lanes["messages"].append(Span(time, time + 1, str(next(numbers[what], "")), tone))
        else:
            kind, _, place = what.partition(" ")
            letter = "F" if kind == "block" else "B"
            lanes["computes"].append(Span(time, time + 1, f"{letter}{place}", COMPUTE))
    for block in range(blocks):
        there = [block in found for _, found in events]
        lanes[f"block {block}"] = [Span(first, end, "whole", WHOLE) for first, end in _runs(there)]
    return Timeline(lanes, unit="events", legend=LEGEND)


def _arrivals(schedule: "Schedule") -> list[int]:
    """Return the blocks in the order in which they become whole."""
    before: set[int] = set()
    found = []
    for there in schedule.whole:
        found += sorted(there - before)
        before = there
    return found


def _backward_order(schedule: "Schedule") -> Iterator[int]:
    return (int(what.partition(" ")[2]) for what in schedule.order if what.startswith("back "))


def _runs(there: Sequence[bool]) -> list[tuple[int, int]]:
    """Return where each run of True begins and ends."""
    runs = []
    first = 0
    for value, group in groupby(there):
        end = first + len(list(group))
        if value:
            runs.append((first, end))
        first = end
    return runs


def whole_weights(plain: "Schedule", kept: "Schedule") -> tuple[str, list[int], dict[str, list[float]]]:
    """Return title, turns and series of a plot: the KiB of whole weights while each block computes."""
    series = {"let go after forward": plain, "kept until backward": kept}
    kib = {name: [size / 1024 for size in schedule.while_computing()] for name, schedule in series.items()}
    turns = list(range(1, len(plain.while_computing()) + 1))
    return "Whole weights while each block computes, forward and then backward", turns, kib


def bars_of(held: Mapping[str, Held]) -> Bars:
    """Draw what a rank holds, without padding and counters."""
    kinds = ("weights", "gradients", "moments")
    return Bars({name: {kind: getattr(bytes_, kind) for kind in kinds} for name, bytes_ in held.items()})


def sent_table(runs: Mapping[str, "Trained"], sent: Sequence[int], weights: int) -> Table:
    """Show what a rank sends, by a ring's price and by the kernel's count."""
    rows = [
        [name, ring, f"{ring / weights:.2f} ×", "not told" if run.wire is None else run.wire]
        for (name, run), ring in zip(runs.items(), sent, strict=True)
    ]
    return ["", "in a ring", "of the weights", "through its sockets"], rows


def told_of_sockets(wire: int | None, ring: int) -> str:
    """Say how far what FSDP really sent lies above a ring's price, and why."""
    if wire is None or wire < ring / 2:
        return (
            "What really left this rank cannot be told here: the messages do not go through sockets of Linux."
        )
    excess = f"Under `fully_shard` {wire / ring:.2f} × the bytes of a ring left the sockets of rank 0."
    if wire > 1.2 * ring:
        return (
            f"{excess} That is gloo's doing, which carries messages between CPUs: it makes a reduce-scatter "
            "out of a whole all-reduce and drops the rows that are not asked for. NCCL, between GPUs, has a "
            "reduce-scatter of its own."
        )
    return f"{excess} What goes beyond the ring are the headers of small messages."
