"""The known mistakes of lab 44."""

from labs.kit import Equivalent, Mutant
from labs.m6_production._lab44_helpers import handed_on
from labs.m6_production.lab44_fsdp_concepts import (
    gathered,
    losses_by_hand,
    peak_of_training,
    ring_bytes,
    rows_of,
    scattered,
    sharded,
    trained,
    trained_with_checkpoints,
    watched_step,
)

MUTANTS = (
    Mutant("rounds down", rows_of, "-(-rows // ranks)", "max(1, rows // ranks)"),
    Mutant("never runs out of rows", rows_of, "max(0, min(room, rows - rank * room))", "room"),
    Mutant(
        "holds fewer rows than none",
        rows_of,
        "max(0, min(room, rows - rank * room))",
        "min(room, rows - rank * room)",
    ),
    Mutant(
        "divides fairly",
        rows_of,
        "max(0, min(room, rows - rank * room))",
        "rows // ranks + (rank < rows % ranks)",
    ),
    Mutant("forgets the rows of the ranks before", rows_of, "rows - rank * room", "rows - rank"),
    Mutant(
        "makes room for its own rows only",
        rows_of,
        "max(0, min(room, rows - rank * room))",
        "room = max(0, min(room, rows - rank * room))",
    ),
    Mutant("cuts off the wrong end", gathered, "torch.cat(parts)[:rows]", "torch.cat(parts)[-rows:]"),
    Mutant(
        "gathers its own rows only", gathered, "dist.all_gather(parts, padded)", "parts = [padded] * size"
    ),
    Mutant(
        "deals the rows out one by one",
        gathered,
        "torch.cat(parts)[:rows]",
        "torch.stack(parts, 1).flatten(0, 1)[:rows]",
    ),
    Mutant("begins with the last rank", gathered, "torch.cat(parts)[:rows]", "torch.cat(parts[::-1])[:rows]"),
    Mutant(
        "pads before the rows",
        gathered,
        "padded[: len(tensor)] = tensor",
        "padded[len(padded) - len(tensor) :] = tensor",
    ),
    Mutant(
        "gathers in float32",
        gathered,
        "torch.cat(parts)[:rows]",
        "torch.cat(parts)[:rows].float().to(tensor.dtype)",
    ),
    Mutant("forgets to divide", scattered, "- rank * room)] / size", "- rank * room)] / 1"),
    Mutant(
        "adds no one else's",
        scattered,
        "dist.reduce_scatter(mine, list(padded.chunk(size)))",
        "mine.copy_(padded.chunk(size)[rank])",
    ),
    Mutant(
        "leaves the first chunk to the last rank",
        scattered,
        "(padded.chunk(size))",
        "(padded.chunk(size))[::-1]",
    ),
    Mutant(
        "pads a gradient before its rows",
        scattered,
        "padded[: len(grad)] = grad",
        "padded[-len(grad) :] = grad",
    ),
    Mutant("divides before and after", scattered, "[: len(grad)] = grad", "[: len(grad)] = grad / size"),
    Mutant(
        "deals a gradient's rows out one by one",
        scattered,
        "list(padded.chunk(size))",
        "[padded[place::size].contiguous() for place in range(size)]",
    ),
    Mutant(
        "reduces all rows on every rank",
        scattered,
        "dist.reduce_scatter(mine, list(padded.chunk(size)))",
        "dist.all_reduce(padded), mine.copy_(padded.chunk(size)[rank])",
    ),
    Mutant(
        "averages nothing",
        losses_by_hand,
        "gathered, scattered, rows[name]",
        "gathered, own_rows, rows[name]",
    ),
    Mutant("takes one step", losses_by_hand, "cfg.steps", "1"),
    Mutant("never lets go", watched_step, 'switch == "keep"', "True"),
    Mutant("never keeps", sharded, "reshard_after_forward=not keep", "reshard_after_forward=True"),
    Mutant("sends float32", watched_step, "torch.bfloat16 if", "torch.float32 if"),
    Mutant("reduces in bfloat16", watched_step, "reduce_dtype=torch.float32", "reduce_dtype=half"),
    Mutant("clips by half", trained, "LIMIT", "2 * LIMIT"),
    Mutant("has one moment", trained, "AdamW(model.parameters())", "SGD(model.parameters(), momentum=0.9)"),
    Mutant("takes an all-reduce for half of one", ring_bytes, "2 * chunk", "chunk"),
    Mutant(
        "wraps the model as one group",
        peak_of_training,
        "sharded(model, tools.mesh_of(device)) if",
        "fully_shard(model, mesh=tools.mesh_of(device)) if",
    ),
    Mutant("takes no step", peak_of_training, "range(steps)", "range(0)"),
    Mutant("skips a batch", trained_with_checkpoints, "kept.resume(state)", "kept.resume(state) + 1"),
    Mutant("loads nothing", handed_on, "state.read(Path(folder))", "folder.isascii()"),
    Mutant("saves no moments", handed_on, "range(2)", "range(0)"),
)

EQUIVALENT = (
    Equivalent(
        scattered,
        "torch.empty_like(padded[:room])",
        "padded[:room]",
        "`padded` is the function's own, and nobody reads its first chunk after the sum stands there.",
    ),
)
