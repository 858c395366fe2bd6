"""The known mistakes of lab 15."""

from labs.kit import Equivalent, Mutant
from labs.m3_data._lab15_helpers import loaded, mean_displacement, part_of_epoch, trained, two_epochs, watched
from labs.m3_data.lab15_dataset_vs_iterabledataset import (
    loader_of,
    mapped_rows,
    read_by_workers,
    read_over_http,
    sent,
    share_of,
    through_buffer,
)

MAP = 'np.memmap(path, dtype=np.float32, mode="r")'
ROWS = "numbers.reshape(-1, features)"
CARDS = "range(place, samples, places)"

MUTANTS = (
    Mutant("reads the whole file", mapped_rows, MAP, "np.fromfile(path, dtype=np.float32)"),
    Mutant("copies the map", mapped_rows, ROWS, "numbers.reshape(-1, features).copy()"),
    Mutant("takes columns for rows", mapped_rows, ROWS, "numbers.reshape(features, -1).T"),
    Mutant("begins at the end of the file", mapped_rows, ROWS, "numbers.reshape(-1, features)[::-1]"),
    Mutant("lets others write to the file", mapped_rows, 'mode="r"', 'mode="r+"'),
    Mutant("lets others write to a copy", mapped_rows, 'mode="r"', 'mode="c"'),
    Mutant(
        "rounds to half of the digits", mapped_rows, ROWS, f"{ROWS}.astype(np.float16).astype(np.float32)"
    ),
    Mutant("keeps all batches", watched, "enumerate(batches)", "enumerate(list(batches))"),
    Mutant("cuts every sample in two", read_over_http, "stored.row_bytes", "stored.row_bytes // 2"),
    Mutant(
        "makes one batch of the response", read_over_http, "batch_size=BATCH", "batch_size=stored.samples"
    ),
    Mutant(
        "reads once and gives it twice",
        read_over_http,
        "loader for _ in range(epochs)",
        "[list(loader)] * epochs",
    ),
    Mutant("says the right length", loaded, "Announced(said, given)", "Announced(given, given)"),
    Mutant("learns ten times more slowly", trained, "lr=rate / 2", "lr=rate / 20"),
    Mutant("forgets to set gradients to zero", trained, "optimizer.zero_grad()", "pass"),
    Mutant("never asks for a sample", sent, "dataset[index]", "len(dataset)"),
    Mutant("always asks for a sample", sent, "range(asked)", "range(1)"),
    Mutant("looks at the first epoch twice", two_epochs, "(first, second)", "(first, first)"),
    Mutant("forgets the rank", share_of, "rank * workers + worker, ranks * workers", "worker, workers"),
    Mutant("forgets the worker", share_of, "rank * workers + worker, ranks * workers", "rank, ranks"),
    Mutant("mixes up ranks and workers", share_of, "rank * workers + worker", "rank + worker * workers"),
    Mutant("adds where it should multiply", share_of, "ranks * workers", "ranks + workers"),
    Mutant("begins at sample 1", share_of, CARDS, "range(place + 1, samples, places)"),
    Mutant(
        "deals blocks and loses the rest",
        share_of,
        CARDS,
        "range(place * (samples // places), (place + 1) * (samples // places))",
    ),
    Mutant(
        "deals blocks that are rounded up",
        share_of,
        CARDS,
        "range(samples)[place * -(-samples // places) : (place + 1) * -(-samples // places)]",
    ),
    Mutant(
        "repeats samples to make shares equal",
        share_of,
        CARDS,
        "[n % max(samples, 1) for n in range(place, samples + places - 1, places)]",
    ),
    Mutant("starts one worker", read_by_workers, '"num_workers": workers', '"num_workers": 1'),
    Mutant("lets each worker read everything", read_by_workers, "(stored, shares)", "(stored)"),
    Mutant("lets the oldest out", through_buffer, "random.randrange(size)", "0"),
    Mutant("lets the newest out", through_buffer, "random.randrange(size)", "-1"),
    Mutant(
        "forgets what is left in the buffer", through_buffer, "while buffer:", "while len(buffer) >= size:"
    ),
    Mutant("empties the buffer in order", through_buffer, "random.randrange(len(buffer))", "0"),
    Mutant("keeps twice as many", through_buffer, "len(buffer) == size", "len(buffer) == 2 * size"),
    Mutant("begins at the end", through_buffer, "in numbers:", "in reversed(numbers):"),
    Mutant("counts both ways", mean_displacement, ".abs()", ""),
    Mutant("begins anew", part_of_epoch, "if state:", "if False:"),
    Mutant("starts one worker for two shares", part_of_epoch, '"num_workers": workers', '"num_workers": 1'),
    Mutant("reads the map as a stream", loader_of, 'if way == "stream":', 'if way == "none":'),
)

EQUIVALENT = (
    Equivalent(
        mapped_rows,
        "numbers.reshape(-1, features)",
        "numbers.reshape(-2, features)",
        "NumPy works out the length of a dim for any negative number.",
    ),
    Equivalent(
        through_buffer,
        "buffer, order = (list[int](), list[int]())",
        "order, buffer = (list[int](), list[int]())",
        "Both lists begin empty, so it does not matter which is made first.",
    ),
)
