"""What lab 44 needs beside its lesson: watchers of a step, ZeRO by hand and by DeepSpeed, and resharding."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

import labs.m6_production._lab44_tools as tools
from labs.kit import Lab
from labs.kit.distributed.checkpoints import ShardedState
from labs.kit.distributed.shards import Held, held_by, rows_in, weights_of
from labs.kit.distributed.subgroup import by_node_starter, events_apart
from labs.kit.measure.traffic import Traffic, bytes_sent
from labs.kit.topics.tasks import Stack, fingerprint, loss_of, steps_of

DEEPSPEED = "labs.m6_production.zero_stages"
Log = list[tuple[str, int]]
Batch = tuple[Tensor, Tensor]
Columns = tuple[
    int, int, int
]  # bytes of weights held whole, of a rank's part, of its part of the master copy
Files = dict[str, bytes]

Asked = tuple[str, dict[str, str]]

ASKED_OF_CHUNKS: Asked = (
    "A weight of 10 rows is cut over 8 ranks. How many rows does the last rank hold?",
    {
        "1": (
            "That is a fair division: two ranks with 2 rows, six with 1. `torch.chunk` does not divide "
            "fairly."
        ),
        "0": (
            "**None.** The room is ⌈10/8⌉ = 2, so ranks 0 to 4 take all ten rows, and three ranks go without."
        ),
        "2": "It makes room for 2, as all do. With 2 rows on each of 8 ranks the weight would have 16.",
    },
)
ASKED_OF_BLOCKS: Asked = (
    "A model of 12 blocks trains under `fully_shard`, each wrapped by itself. How many are whole at once?",
    {
        "one or two": "**Yes.** One computes, and the next may be on its way. Their number does not matter.",
        "12": "So it is in the version by hand. `fully_shard` lets a block go as soon as it has computed.",
        "6": "Nothing here depends on half of the blocks. A block comes when it is due, and goes after use.",
    },
)
ASKED_OF_TRAFFIC: Asked = (
    "On 8 cards DDP sends 1.75 GB from each in a step, for 1 GB of weights. What does `fully_shard` send?",
    {
        "0.88 GB": "That is 7/8 GB: one of three messages.",
        "1.75 GB": "That is two messages, as under DDP and ZeRO-2. But the weights were let go in between.",
        "2.63 GB": "**Yes.** Three messages of 7/8 GB: two gathers and a reduce-scatter.",
        "14 GB": "So it would be if each rank sent all its weights and gradients to each of the others.",
    },
)

# Watchers ----------------------------------------------------------------------------


class Meter(Traffic):
    """Notes the collectives of pieces of code, and the bytes that left this rank's sockets meanwhile."""

    wire: int | None = 0

    def __enter__(self) -> "Meter":
        dist.barrier()  # what was sent before has left
        self._before = bytes_sent()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *trouble: Any) -> None:
        super().__exit__(*trouble)  # type: ignore[no-untyped-call]
        dist.barrier()  # what was sent here has arrived
        after = bytes_sent()
        if self.wire is None or self._before is None or after is None:
            self.wire = None
        else:
            self.wire += after - self._before


def messages_of(collective: Callable[..., Tensor], *args: Any) -> Log:
    """Call `gathered` or `scattered`, and note its collectives and what this rank puts into each."""
    traffic = Traffic()
    with traffic:
        collective(*args)
    return traffic.log


class Schedule(Traffic):
    """Notes in which order blocks compute and messages are sent, and which blocks are whole meanwhile.

    A block is whole while the storages of its weights, as its layers see them when they compute, have any
    bytes: FSDP empties them where it lets a block go. That is looked at after every operation.
    """

    def __init__(self, blocks: Iterable[nn.Module]) -> None:
        blocks = list(blocks)
        super().__init__(blocks)
        self.whole: list[set[int]] = []  # for each event, the blocks that were whole when it was over …
        self.most: list[int] = []  # … how many were whole at once before the next event, at the most …
        self.bytes: list[int] = []  # … and the most bytes of their weights
        self._weights: list[dict[int, Any]] = [{} for _ in blocks]
        for place, block in enumerate(blocks):
            *_, last = block.children()
            for layer in block.children():
                layer.register_forward_pre_hook(self._finds_weights_of(place))
            last.register_forward_hook(self._awaits_backward_of(place))

    def __enter__(self) -> "Schedule":
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def _finds_weights_of(self, place: int) -> Any:
        def found(layer: nn.Module, inputs: object) -> None:
            for weight in layer.parameters():
                self._weights[place][id(weight)] = weight.untyped_storage()

        return found

    def _awaits_backward_of(self, place: int) -> Any:
        def begun(grad: Tensor) -> None:
            self.log.append((f"back {place}", 0))

        def computed(layer: nn.Module, inputs: object, out: Tensor) -> None:
            out.register_hook(begun)

        return computed

    def turn(self) -> None:
        """Note that the backward pass begins."""
        self.log.append(("backward", 0))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if self.log:
            self._look()
        return result

    def _look(self) -> None:
        sizes = [sum(storage.nbytes() for storage in found.values()) for found in self._weights]
        now = {place for place, size in enumerate(sizes) if size}
        missing = len(self.log) - len(self.whole)
        self.whole += [now] * missing
        self.most += [0] * missing
        self.bytes += [0] * missing
        self.most[-1] = max(self.most[-1], len(now))
        self.bytes[-1] = max(self.bytes[-1], sum(sizes))

    @property
    def calls(self) -> tuple[int, int, int]:
        """Return the gathers forward, the gathers backward and the reduce-scatters."""
        turn = self.order.index("backward")
        forward = self.order[:turn].count("gather")
        return forward, self.order[turn:].count("gather"), self.order.count("reduce-scatter")

    def while_computing(self) -> list[int]:
        """Return the most bytes of whole weights while each block computes, forward and then backward."""
        events = zip(self.order, self.bytes, strict=True)
        return [size for what, size in events if what.startswith(("block", "back "))]


# ZeRO by DDP, by hand, by the rule, and by DeepSpeed ---------------------------------


class Trained(NamedTuple):
    """What a short training left: its weights, and of the last step what this rank held and sent.

    `log` has the collectives, and the bytes that this rank put into each; `wire` is what it sent through its
    sockets.
    """

    weights_P: Tensor
    held: Held
    log: Log
    wire: int | None


class Rows(NamedTuple):
    """ZeRO-1 and ZeRO-2 by hand: whole weights on each rank, of which it updates its own rows."""

    gather: Callable[[Tensor, int], Tensor]
    scatter: Callable[[Tensor], Tensor]
    limit: float

    def trained(self, model: nn.Module, batches: Sequence[Batch], *, keep: bool) -> Trained:
        """Train on batches. A gradient is reduced once it is there, and the whole let go unless `keep`."""
        weights = list(model.parameters())
        rows = [rows_in(weight) for weight in weights]  # views: who updates them updates the weights
        for row, weight in zip(rows, weights, strict=True):
            weight.register_post_accumulate_grad_hook(partial(self._reduce, row, keep))
        optimizer = torch.optim.AdamW(rows)
        for batch in batches:
            model.zero_grad()
            with Meter() as meter:
                loss_of(model, *batch).backward()
            self._clip(rows)
            optimizer.step()
            with meter:
                for row, weight in zip(rows, weights, strict=True):
                    weight.data.copy_(self.gather(row, len(weight)))
        held = held_by(model, optimizer)
        if not keep:
            own = sum(row.grad.nbytes for row in rows if row.grad is not None)
            held = held._replace(gradients=held.gradients + own)  # of whole ones none should be left
        return Trained(weights_of(model), held, meter.log, meter.wire)

    def _reduce(self, row: Tensor, keep: bool, weight: Tensor) -> None:
        assert weight.grad is not None
        mean = self.scatter(weight.grad)
        if keep:
            row.grad = rows_in(weight.grad).copy_(mean)
        else:
            row.grad, weight.grad = mean, None

    def _clip(self, rows: Sequence[Tensor]) -> None:
        """Clip gradients of which each rank has some rows, by the norm of all."""
        gradients = [row.grad for row in rows if row.grad is not None]
        squares = torch.stack([gradient.square().sum() for gradient in gradients]).sum()
        dist.all_reduce(squares)
        factor = (self.limit / (squares.sqrt() + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)


def predicted_held(model: nn.Module, cuts: Sequence[tuple[int, int]], stage: int) -> Held:
    """Predict the bytes that a rank holds after a step, at each stage of ZeRO, of which 0 is DDP.

    `cuts` has for each parameter the rows that the rank holds, and those that it makes room for. `room` is
    what the weights' storages take. Adam counts its steps in one float32 for each parameter, and no stage
    cuts those.
    """
    weights = list(zip(model.parameters(), cuts, strict=True))
    everything = sum(weight.nbytes for weight, _ in weights)
    own = sum(weight[0].nbytes * held for weight, (held, _) in weights)
    room = sum(weight[0].nbytes * most for weight, (_, most) in weights)
    return Held(
        weights=own if stage >= 3 else everything,
        room=room if stage >= 3 else everything,
        gradients=own if stage >= 2 else everything,
        moments=2 * (own if stage >= 1 else everything),
        counters=4 * len(weights),
    )


def by_deepspeed(lab: Lab, last: int) -> tuple[list[Columns], list[Columns]]:
    """Train under DeepSpeed's stages 1 to `last`; return what rank 0 of 2 holds, and what it should hold.

    DeepSpeed keeps state of its own beside torch's, so it gets processes of its own. It computes with
    bfloat16 weights and lets Adam work on a float32 copy of them, the *master copy*, of which each rank holds
    a part.
    """
    if not last or not lab.has("the package deepspeed"):
        return [], []
    events = events_apart(by_node_starter(2), DEEPSPEED, "--stages", str(last)) if lab.world.first else []
    events = lab.world.gather("DeepSpeed", [event for event in events if event["rank"] == 0])[0]
    columns = [(event["resident"], event["partition"], event["master"]) for event in events]
    rows = [(f"ZeRO-{stage}", *bytes_) for stage, bytes_ in enumerate(columns, 1)]
    titles = ["", "held whole", "own part, bfloat16", "own part, master copy"]
    lab.table("Weights on rank 0 of 2 under DeepSpeed, in bytes", titles, rows)
    sizes = [weight.numel() for weight in Stack(3, hidden=9).parameters()]  # the model of zero_stages.py
    return columns, [tools.predicted_columns(sizes, 2, stage) for stage in range(1, last + 1)]


# Resharding --------------------------------------------------------------------------


class Saved(NamedTuple):
    """A checkpoint: a hash of its weights and moments, how many of them are not 0, and its files."""

    hash: str
    numbers: int
    files: Files

    @property
    def writers(self) -> int:
        """Return how many ranks have written a file of their rows."""
        return sum(name.endswith(".distcp") for name in self.files)


def handed_on(
    make: Callable[[], Stack], shard: Callable[..., Stack], ranks: int, files: Files, device: torch.device
) -> Saved:
    """Load a checkpoint on the first so many ranks, or train where there is none, and save what is there.

    All ranks get what was saved. Each rank writes into a folder of its own, since nodes may have none in
    common.
    """
    mesh = tools.mesh_of(device, ranks)
    own = Saved("", 0, {})
    if dist.get_rank() < ranks:
        model = shard(make().to(device), mesh)
        optimizer = torch.optim.AdamW(model.parameters())
        state = ShardedState(model, optimizer, mesh.get_group())
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            if files:
                state.read(Path(folder))
            else:
                _ = list(steps_of(model, optimizer, range(2), 8, device))
        with tempfile.TemporaryDirectory() as folder:
            state.write(Path(folder))
            written = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        state_P = tools.state_row(model, optimizer)
        own = Saved(fingerprint(state_P), int(state_P.count_nonzero()), written)
    everyones = [own] * dist.get_world_size()
    dist.all_gather_object(everyones, own)
    everything = {name: text for saved in everyones for name, text in saved.files.items()}
    return everyones[0]._replace(files=everything)
