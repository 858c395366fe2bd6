"""Lab 15 · Dataset vs. IterableDataset · Dataset a IterableDataset

Question:
    How do you train on data that does not fit in memory?

You will see:
    - A memory map: every sample of a file of 268 MB is read, and the process's own memory grows by a few MB.
    - A stream, from disk and from a web server: as little memory, but no way to ask for sample 7.
    - A model that ends in the very same weights whichever of the two it learns from.
    - A second epoch with no samples in it, and one in the order of the first.
    - The classic bug: without shards W workers on each of R ranks read every sample W·R times.
    - A shuffle buffer of K, which moves samples by about 0.74·K places, however long the stream is.
    - An epoch that stops in the middle and goes on with the very sample that comes next.

Run:
    make lab-15
    make lab-15 NODES=2 PROCS=2
    python -m labs.m3_data.lab15_dataset_vs_iterabledataset --smoke

Needs:
    1 process or more, no GPU, 1 GiB of memory, 1 minute

Builds on:
    nothing; the ranks that share the data here train together in lab 43

Remember:
    Map a file where you can: then the loader shuffles perfectly, and deals to its workers. What comes as a
    stream you have to deal, shuffle and count yourself. Give workers a path and never an open map, return a
    fresh iterator from `__iter__`, deal by rank *and* worker, and shuffle when you write the data: a buffer
    of K moves samples by no more than about K. What a cold disk costs this lab does not show, since its files
    lie in the kernel's cache. Next comes lab 16, on samples of unequal length.

Sources:
    - PyTorch documentation, torch.utils.data: https://docs.pytorch.org/docs/stable/data.html
    - torchdata, Stateful DataLoader: https://meta-pytorch.org/data/main/torchdata.stateful_dataloader.html
    - Python documentation, multiprocessing: https://docs.python.org/3/library/multiprocessing.html
    - Linux manual pages, mmap(2): https://man7.org/linux/man-pages/man2/mmap.2.html
    - P. Diaconis, R. L. Graham, "Spearman's Footrule as a Measure of Disarray", JRSS B 1977, table 1:
      https://doi.org/10.1111/j.2517-6161.1977.tb01624.x

Notebook:
    15_Dataset_vs_IterableDataset.ipynb
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, product
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from labs.kit import Lab, Tolerance, exercise, main
from labs.m3_data._lab15_helpers import (
    BATCH,
    Read,
    Stored,
    loaded,
    mean_displacement,
    part_of_epoch,
    stored_samples,
    trained,
    two_epochs,
    watched,
)
from labs.m3_data._lab15_measures import seconds_per_epoch, serving, thinned, who_reads
from labs.m3_data._lab15_workers import OwnIterator, Pass, Share, worker_start

# Shape letters: N samples, F numbers of a sample (its number, its target, D features), B samples of a batch.

FEW = 11  # samples of a small file, which no number of workers from 2 to 10 divides


@dataclass(frozen=True)
class Config:
    """Sizes of this lab. The numbers of samples are primes, so that the last batch is always a short one."""

    samples: int = 32_771  # samples N of the file; below 2**24, so that float32 can hold their numbers
    features: int = 2048  # numbers F of a sample, 4 bytes each
    workers: int = 2  # DataLoader workers of each rank
    buffer: int = 64  # samples K of the shuffle buffer, far fewer than N

    @classmethod
    def smoke(cls) -> "Config":
        return cls(samples=4_099)


class MappedSamples(Dataset[Tensor]):
    """Map-style: it gives the sample that is asked for, and opens its map when it is first asked."""

    def __init__(self, stored: Stored) -> None:
        self.path, self.features, self.samples = stored.path, stored.features, stored.samples
        self.rows_NF: np.ndarray | None = None

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Tensor:
        if self.rows_NF is None:
            self.rows_NF = mapped_rows(self.path, self.features)
        return torch.tensor(self.rows_NF[index])


class StreamedSamples(IterableDataset[Tensor]):
    """Iterable: it opens a stream and gives one sample after the other, until nothing comes."""

    def __init__(self, opened: Callable[[], Any], row_bytes: int) -> None:
        self.opened, self.row_bytes = opened, row_bytes

    def __iter__(self) -> Iterator[Tensor]:
        with self.opened() as stream:
            while row := stream.read(self.row_bytes):
                yield torch.frombuffer(bytearray(row), dtype=torch.float32)


@exercise(
    "Do not read the file. Ask the operating system to lay it into your address space.",
    "`np.memmap` is an array over such a mapping. How many rows there are follows from the file's length.",
    "`np.memmap(path, dtype=np.float32, mode='r')` is one long row; `.reshape(-1, features)` copies nothing.",
    contract="""
        `path` names a file of float32 numbers in this machine's byte order, `features` of them a sample.
        Return them as an array of shape (N, F) and dtype float32 that nobody can write to. However long the
        file is, the call allocates next to nothing. The file stays as it is.

        >>> import tempfile
        >>> file = tempfile.NamedTemporaryFile()
        >>> np.arange(6, dtype=np.float32).tofile(file.name)
        >>> mapped_rows(file.name, 3).tolist()
        [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
        """,
    insight="Reading is now a matter of touching: the kernel reads a page when you look at a number in it.",
)
def mapped_rows(path: str, features: int) -> np.ndarray:
    """Open a file of float32 numbers as an array (N, F) without reading it."""
    numbers = np.memmap(path, dtype=np.float32, mode="r")
    rows_NF = numbers.reshape(-1, features)
    return rows_NF


def loader_of(way: str, stored: Stored) -> DataLoader[Tensor]:
    """Make a loader that reads a file through a map, as a stream, or from an array that holds all of it."""
    if way == "stream":
        streamed = StreamedSamples(partial(open, stored.path, "rb"), stored.row_bytes)
        return DataLoader(streamed, batch_size=BATCH)
    mapped = MappedSamples(stored)
    if way == "array":
        mapped.rows_NF = np.fromfile(stored.path, np.float32).reshape(-1, stored.features)
    return DataLoader(mapped, batch_size=BATCH)


MAP_GUESSES = {
    "by the whole file": "So it does with `np.fromfile`: an array of your own has no file behind it.",
    "by a few MB": "**Yes.** A few batches are your own. The pages belong to the kernel, and count apart.",
    "by nothing": "Each batch is copied out of the map into a tensor, and that tensor is your own memory.",
}


def mapping(cfg: Config, lab: Lab) -> None:
    """How do you read a file that is larger than memory?

    You have 200 GB of samples and 16 GB of memory. `np.fromfile` reads until the kernel kills somebody. Yet
    you need one batch at a time. Who could fetch it when it is needed, and drop it when it is not? The kernel
    does that all day: it is how programs themselves are loaded.

    A *memory map* lays the file into your address space without reading it. A page of it, 4 KiB or more,
    costs nothing until it is touched. Then the kernel reads it into its page cache, one copy for all
    processes, and may drop it at any time, because the file still has it. What you allocate yourself is
    *anonymous* memory: no file stands behind it, so the kernel must keep it or swap it. Only this kind can
    fill the machine; `top` adds both up in RES, and has frightened many with it.
    """
    stored, few = lab.once(stored_samples, cfg.samples, cfg.features), lab.once(stored_samples, FEW, 3)
    question = "All samples of a large file are read through a map. By how much does your own memory grow?"
    lab.predict("15.map-memory", question, MAP_GUESSES, answer="by a few MB")
    small_NF = lab.step(mapped_rows, few.path, 3)
    read = lab.step_on_first(watched, lab.step(loader_of, "map", stored))
    written = np.fromfile(few.path, np.float32).reshape(FEW, 3).tolist()
    lab.equal(
        "15.map-once",
        "The map gives every sample once, in the order of the file, and lets nobody write to it.",
        [*read.numbers, *small_NF.tolist(), (small_NF.dtype, small_NF.flags.writeable)],
        [*range(cfg.samples), *written, (np.dtype("float32"), False)],
        cases=cfg.samples + FEW,
        unit="samples",
    )
    lab.bytes(
        "15.map-memory",
        "Reading all samples through the map raises the process's own memory by under an eighth of the file.",
        read.own,
        at_most=stored.nbytes // 8,
        because=f"few batches live at once, of B·F·4 = {BATCH * stored.row_bytes:,} bytes each",
    )
    lab.bytes(
        "15.map-pages",
        "Reading all samples through the map makes most of the file resident in memory that is not its own.",
        read.others,
        at_least=stored.nbytes // 2,
        at_most=stored.nbytes * 5 // 4,
        because="each page was touched; the kernel may take some back, and maps a little code besides",
    )


def read_over_http(stored: Stored, epochs: int) -> tuple[Read, list[str]]:
    """Read the stream from a web server, in a thread of this process; return also what it was asked."""
    with serving(stored.folder) as (opened, asked):
        loader = DataLoader(StreamedSamples(opened, stored.row_bytes), batch_size=BATCH)
        read = watched(chain.from_iterable(loader for _ in range(epochs)))
    return read, asked


def streaming(cfg: Config, lab: Lab) -> None:
    """What if the data is not even on your disk?

    From object storage, a queue or a web server you get the samples one after the other, and cannot ask for
    number 7. Such a source is an `IterableDataset`: it has no `__getitem__`, only an `__iter__` that begins
    to give. Memory stays as small as before: a batch or two, and what the connection buffers.

    What changes is who is responsible. A map-style dataset leaves the order to the loader's sampler, which
    can shuffle perfectly and deal indices to its workers. A stream takes all of that upon itself. Even its
    length is a matter of trust. It *may* have a `__len__`, and then `len(loader)` believes it. A loader whose
    length was asked warns when more comes than was said, and never when less does. It compares *batches* that
    came with *samples* that were said, so in batches of 64 each sample can come twice, and nobody complains.
    """
    stored = lab.once(stored_samples, cfg.samples, cfg.features)
    streamed = lab.step_on_first(watched, lab.step(loader_of, "stream", stored))
    fetched, asked = lab.step_on_first(read_over_http, stored, 2)
    lab.equal(
        "15.http-once",
        "Every sample comes once an epoch, from disk and over HTTP; the server is asked once an epoch.",
        [*streamed.numbers, *fetched.numbers, *asked],
        [*range(cfg.samples)] * 3 + ["GET /samples.bin 200"] * 2,
        cases=3 * cfg.samples,
        unit="samples",
    )
    lab.bytes(
        "15.stream-memory",
        "Reading all samples as a stream, from disk or over HTTP, takes less than an eighth of the file.",
        max(streamed.own, streamed.others, fetched.own, fetched.others),
        at_most=stored.nbytes // 8,
        because="few batches live at once, the server sends the file in pieces, and no page of it is mapped",
    )
    # An honest length; one too long; three too short, the last by half of the samples.
    cases = [(11, 11, 4), (11, 6, 4), (1, 11, 4), (11, 12, 1), (64, 128, 64)]
    found = [lab.step(loaded, *case) for case in cases]
    columns = ["samples said", "samples given", "batch", "len(loader)", "batches", "warnings"]
    rows = [(*case, *result) for case, result in zip(cases, found, strict=True)]
    lab.table("What a loader makes of a stream's `__len__`", columns, rows)
    lab.equal(
        "15.length",
        "A loader believes a stream's `__len__`, and warns of batches beyond the number of samples alone.",
        found,
        [(3, 3, 0), (3, 2, 0), (1, 3, 2), (11, 12, 1), (1, 2, 0)],
        unit="streams",
    )


def training(cfg: Config, lab: Lab) -> None:
    """Does the model notice where its samples come from?

    It should not, and that is worth a check, since a loader that drops or repeats samples trains something
    too. We train a linear model on the file twice, through the map and as a stream. If both give the same
    samples in the same batches, then all roundings are the same, and the weights agree to the last bit.

    That something is learnt can be checked with a pencil. The features are independent normal numbers, the
    target is a fixed sum of them, and a gradient step on B such samples removes the share η = B/(B + D + 1)
    of the loss on average. After s batches (1 − η)ˢ of it is left. The table shows how long an epoch takes.
    """
    stored = lab.once(stored_samples, cfg.samples, cfg.features)
    ways, width = ("map", "stream"), cfg.features - 2
    by_map, by_stream = (lab.step_on_first(trained, lab.step(loader_of, way, stored), width) for way in ways)
    lab.equal(
        "15.same-weights",
        "Training through the map and training from the stream end in the same weights, bit for bit.",
        by_stream.weights_D,
        by_map.weights_D,
        unit="weights",
    )
    rate, full = BATCH / (BATCH + cfg.features - 1), cfg.samples // BATCH
    theory = [(1 - rate) ** batches for batches in range(full)]
    left, expected = np.log([np.mean(curve[full - 8 : full]) for curve in (by_stream.losses, theory)])
    errors = Tolerance(
        5 * (2 * rate * (2 * full / BATCH) ** 0.5 + (2 / (8 * BATCH)) ** 0.5),
        "of the logarithm: 5 standard errors, 2η·√(2S/B) of S random batches and √(2/8B) of the last mean",
    )
    lab.close("15.learns", "The loss falls by the factor 1 − η a batch.", left, expected, within=errors)
    shown, series = thinned({"map": by_map.losses, "stream": by_stream.losses, "theory": theory}, full)
    lab.plot("Loss of the next batch", shown, series, x_label="batches learnt", y_label="loss", log_y=True)
    took = lab.step_on_first(seconds_per_epoch, loader_of, stored, rounds=1 if lab.smoke else 5)
    rows = [(way, time, time / took["array"]) for way, time in took.items()]
    lab.table("An epoch of training, the file in the kernel's cache", ["read from", "seconds", "ratio"], rows)


def sent(stored: Stored, asked: int) -> int:
    """Count the bytes in which the dataset goes to a worker, once it was asked for so many samples."""
    dataset = MappedSamples(stored)
    [dataset[index] for index in range(asked)]
    parcel = ForkingPickler.dumps(dataset)
    return len(parcel)


class Numbers(IterableDataset[tuple[int, int]]):
    """Iterable, for several workers: each reads its share (all, where none were dealt) through a buffer.

    Every worker holds a copy, and only `get_worker_info()` can tell which. Each epoch gets a fresh `Pass`.
    """

    def __init__(
        self, stored: Stored, shares: tuple[Share, ...] = (), size: int = 1, seed: int | None = 0
    ) -> None:
        self.path, self.features = stored.path, stored.features
        self.shares = shares or (range(stored.samples),)
        self.size, self.seed = size, seed

    def __iter__(self) -> Pass:
        worker = get_worker_info()
        number = worker.id if worker else 0
        seed = number + (int(torch.randint(2**40, ())) if self.seed is None else self.seed)
        return Pass(self.path, self.features, self.shares[number % len(self.shares)], self.size, seed, number)


STREAMS: dict[str, Callable[[Stored], Any]] = {
    "its own iterator": lambda stored: OwnIterator(stored.samples),
    "a fresh one, one seed": lambda stored: Numbers(stored, size=FEW),
    "a fresh one, its seed drawn": lambda stored: Numbers(stored, size=FEW, seed=None),
}


def epochs(cfg: Config, lab: Lab) -> None:
    """Why is the second epoch empty?

    The first epoch went well. The second takes no time at all, the loss does not change, and no error is
    raised. The dataset's `__iter__` had returned the same iterator again, and that was used up. A `for` loop
    asks for an iterator whenever it begins, and an *iterable* must give it a fresh one.

    With workers the same mistake looks different. A loader starts new workers in every epoch and sends each
    of them a copy of the dataset, so what is used up is a copy. Then somebody sets
    `persistent_workers=True`, the workers live on, and the second epoch is empty again.

    The copy has two more surprises. What a dataset draws in a worker is lost with it, so a shuffle with a
    seed of its own repeats its order. Draw the seed in `__iter__` from torch's own generator, which is
    another in each new worker and goes on in a persistent one. And a copy is made by pickling, which turns an
    open map into all of its numbers; the dataset of part 1 opens its map only when it is first asked.
    """
    few = lab.once(stored_samples, FEW, 3)
    rows, found = [], []
    for stream, make in STREAMS.items():
        for mode, (first, second) in lab.step_on_first(two_epochs, few, make).items():
            order = "none" if not second else "the same" if second == first else "another"
            rows.append((stream, mode, len(first), len(second), order))
            found.append((sorted(first), sorted(second), order))
    lab.table("Samples in two epochs", ["__iter__ gives", "loaded by", "first", "second", "order"], rows)
    everything, nothing = list(range(FEW)), list[int]()
    used_up, again = (everything, nothing, "none"), (everything, everything, "the same")
    lab.equal(
        "15.epochs",
        "A second epoch is empty with a used iterator, repeats with a used seed, and else is whole and new.",
        found,
        [used_up, again, used_up, *[again] * 3, *[(everything, everything, "another")] * 3],
        unit="loaders",
    )
    batch = lab.once(stored_samples, BATCH, cfg.features)
    unasked, asked = lab.step(sent, batch, 0), lab.step(sent, batch, 1)
    lab.bytes(
        "15.pickled",
        "A dataset goes to a worker with all its numbers once its map is open, and not before.",
        asked - unasked,
        at_least=batch.nbytes,
        at_most=batch.nbytes + 4096,
        because=f"{BATCH} samples of F·4 = {batch.row_bytes:,} bytes, and names of a few classes",
    )
    lab.say(
        f"Never asked, it goes in {unasked} bytes, a path. `fork` (Linux, up to Python 3.13) pickles "
        "nothing: a worker inherits the map, and locks that threads hold stay locked in it. `spawn` (macOS, "
        "Windows) and `forkserver` (Linux from 3.14 on) pickle it. Here it was "
        f"`{worker_start().get_start_method()}`."
    )


@exercise(
    "Number all workers of all ranks from 0 up: each worker of each rank is one place in that row.",
    "Deal the samples like cards: each of the ranks · workers places takes every such-and-such sample.",
    "`range(rank * workers + worker, samples, ranks * workers)`",
    contract="""
        There are `ranks` processes with `workers` workers each; both are numbered from 0. Return the numbers
        of the samples, out of 0 … `samples` − 1, that worker number `worker` of rank number `rank` reads.
        All shares together are all samples, each once, and no two differ in length by more than one, also
        where samples are few. The last of 3 · 2 workers gets of fourteen samples:

        >>> list(share_of(samples=14, rank=2, ranks=3, worker=1, workers=2))
        [5, 11]
        """,
    insight="Nobody was asked: who knows its rank and its worker's number knows its share.",
)
def share_of(samples: int, rank: int, ranks: int, worker: int, workers: int) -> Share:
    """Deal samples to one worker of one rank: place p of P takes p, p + P, p + 2P and so on."""
    place, places = rank * workers + worker, ranks * workers
    share = range(place, samples, places)
    return share


def read_by_workers(stored: Stored, workers: int, shares: tuple[Share, ...]) -> list[tuple[int, int, int]]:
    """Read a stream with several workers on every rank, and collect from all ranks who read what."""
    several: dict[str, Any] = {"num_workers": workers, "multiprocessing_context": worker_start()}
    loader = DataLoader(Numbers(stored, shares), 4, collate_fn=list, **several)
    own = [(dist.get_rank(), worker, number) for batch in loader for worker, number in batch]
    parts: list[list[Any]] = [[]] * dist.get_world_size()
    dist.all_gather_object(parts, own)
    return list(chain(*parts))


SHARD_GUESSES = {
    "once": "So it would be with a map-style dataset, whose indices the loader deals to its workers.",
    "twice, once for each worker": "And who told the other ranks to read something else?",
    "6 times": "**Yes.** Six processes iterate over six copies, and the epoch is six times as long.",
}


def sharding(cfg: Config, lab: Lab) -> None:
    """Who reads which samples?

    You give the loader two workers, and the epoch becomes twice as long. The loader runs the same iterator in
    each worker and joins what they give; it cannot know that they give the same. No error is raised, no loss
    looks odd, and the model has seen everything twice. Each rank makes it worse with workers of its own.

    So a stream has to deal its samples itself. A worker learns its number from `get_worker_info()` and its
    rank from `torch.distributed`, and from both follows one place among ranks × workers. The usual mistakes
    are to deal by rank alone or by worker alone; each goes unnoticed where the other count is 1. Shares can
    differ by a sample, and ranks by a batch, which in training is a hang: lab 43 shows the cure.
    """
    question = "A stream is not sharded. 3 ranks load it with 2 workers each. How often does a sample come?"
    lab.predict("15.duplicates", question, SHARD_GUESSES, answer="6 times")
    found, want = [], []
    for samples, ranks, workers in product((0, 1, 2, 7, 13), (1, 2, 3), (1, 2, 3)):
        cards = [(rank, ranks, worker, workers) for rank in range(ranks) for worker in range(workers)]
        shares = [list(lab.step(share_of, samples, *card)) for card in cards]
        found.append((sorted(chain(*shares)), sorted(map(len, shares))))
        each, more = divmod(samples, len(cards))
        want.append((list(range(samples)), [each] * (len(cards) - more) + [each + 1] * more))
    lab.equal(
        "15.rule",
        "For any ranks × workers the shares hold every sample once, and differ in length by at most one.",
        found,
        want,
        unit="ways to deal",
        because="N = q·P + r samples are r shares of q + 1, and P − r shares of q",
    )
    few, size, W = lab.once(stored_samples, FEW, 3), lab.world.size, cfg.workers
    own = tuple(lab.step(share_of, FEW, lab.world.rank, size, worker, W) for worker in range(W))
    unsharded, sharded = lab.step(read_by_workers, few, W, ()), lab.step(read_by_workers, few, W, own)
    drawings = who_reads("all", unsharded, size, W), who_reads("dealt", sharded, size, W)
    lab.diagram("Who reads which samples, without shards and with them", *drawings)
    read = [[n for *reader, n in sharded if reader == [lab.world.rank, worker]] for worker in range(W)]
    lab.equal(
        "15.duplicates",
        "Without shards each worker of each rank reads every sample.",
        sorted(unsharded),
        [*product(range(size), range(W), range(FEW))],
        unit="reads",
    )
    lab.equal(
        "15.partition",
        "All workers of all ranks together read every sample once when each reads its shard.",
        [*sorted(number for _, _, number in sharded), *read],
        [*range(FEW), *map(list, own)],
        cases=FEW,
        unit="samples",
    )


@exercise(
    "Keep at most K numbers. Whenever there are K, one of them, drawn by chance, goes out and makes room.",
    "At the end of the stream the buffer still holds some: they too go out in a random order.",
    "`buffer.pop(random.randrange(len(buffer)))` draws one: whenever `len(buffer) == size`, and at the end.",
    contract="""
        `numbers` is a stream: take its items one after the other. Keep them in a buffer; as soon as it holds
        `size` ≥ 1 of them, one that is drawn with equal chances goes out. At the end of the stream, which may
        be shorter than the buffer, or empty, the rest go out in a random order. Return the order in which
        they came out. `random` is already seeded, and `numbers` stays as it is.

        >>> through_buffer([5, 3, 5, 8], size=1)
        [5, 3, 5, 8]
        >>> sorted(through_buffer([5, 3, 5, 8], size=3))
        [3, 5, 5, 8]
        """,
    insight="None comes more than K − 1 places early. How late one may come has no limit.",
)
def through_buffer(numbers: list[int], size: int) -> list[int]:
    """Shuffle a stream by a buffer of K places, and return the order in which its items come out."""
    buffer, order = list[int](), list[int]()
    for number in numbers:
        buffer.append(number)
        if len(buffer) == size:
            order.append(buffer.pop(random.randrange(size)))
    while buffer:
        order.append(buffer.pop(random.randrange(len(buffer))))
    return order


BUFFER_GUESSES = {
    "a third of the stream": "That is a perfect shuffle. It needs the whole stream in the buffer.",
    "about 0.74·K": "**Yes.** 2K·(1 − 1/K)ᴷ is nearly 2K/e, and the length of the stream is not in it.",
    "about K/2": "Most samples do come early, by K − 1 at most, but those that come late have no limit.",
}


def shuffling(cfg: Config, lab: Lab) -> None:
    """How well does a buffer shuffle?

    A stream cannot be shuffled: its last sample may not exist yet. It can be stirred. Keep K samples in a
    buffer, and whenever there are K, let one of them out, drawn by chance. How good is that? Measure by how
    many places a sample moves on average.

    A sample in the buffer leaves with the chance 1/K at each step, so its stay G is geometric, with the mean
    K − 1. It entered K − 1 places before its turn, so it moves by E|G − (K − 1)| = 2K·(1 − 1/K)ᴷ. Try K = 2:
    G is 0, 1, 2, 3 … with the chances 1/2, 1/4, 1/8, 1/16 …, and its mean distance from 1 is
    1/2 + 0 + 1/8 + 2/16 + 3/32 + … = 1, as 4·(1/2)² is.

    That holds for K far below N. A perfect shuffle moves samples by (N² − 1)/(3N), a third of the stream.
    Where cats come before dogs, no buffer that fits in memory mixes them: shuffle once, when you write them.
    """
    N, K = cfg.samples, cfg.buffer
    question = "A stream passes a buffer of K samples. How far does a sample move, on average?"
    lab.predict("15.stirred", question, BUFFER_GUESSES, answer="about 0.74·K")
    sizes, numbers = sorted({*(4**power for power in range(12) if 4**power < N // 2), K, N}), list(range(N))
    orders = {size: lab.step(through_buffer, numbers, size) for size in sizes}
    moved = {size: lab.step(mean_displacement, order) for size, order in orders.items()}
    early = [sum(n - place >= size for place, n in enumerate(order)) for size, order in orders.items()]
    odd = [([], 3), ([7], 5), ([5, 3, 5, 8, 5], 2), ([9, -1, 9], 3)]
    came = [*orders.values(), *(lab.step(through_buffer, items, size) for items, size in odd)]
    lab.equal(
        "15.permutation",
        "Whatever its size K, a buffer gives out what came in, and nothing K places early.",
        [*map(sorted, came), early],
        [*[numbers] * len(sizes), *(sorted(items) for items, _ in odd), [0] * len(sizes)],
        cases=len(came),
        unit="streams",
        because="a sample enters when K − 1 wait, and those came before it",
    )
    perfect, by_formula = (N * N - 1) / (3 * N), {size: 2 * size * (1 - 1 / size) ** size for size in sizes}
    gaps = [(moved[k] - by_formula[k]) / (k / N**0.5 + k * k / (5 * N)) for k in sizes if k <= K]
    errors = "in standard errors: at most K/√N, and K of N samples at the ends; √(2N/45) where K = N"
    lab.close(
        "15.stirred",
        "A buffer of K ≪ N moves samples by 2K(1 − 1/K)ᴷ places, one of N as far as a perfect shuffle does.",
        [*gaps, (moved[N] - perfect) / (2 * N / 45) ** 0.5],
        [0.0] * (len(gaps) + 1),
        within=Tolerance(5.0, errors),
    )
    series = {
        "measured": [*moved.values()],
        "2K(1 − 1/K)ᴷ": [*by_formula.values()],
        "perfect": [perfect] * len(sizes),
    }
    axes: dict[str, Any] = {"x_label": "buffer K", "y_label": "mean displacement", "log_x": True}
    lab.plot("What a shuffle buffer is worth", sizes, series, **axes, log_y=True)


def resuming(cfg: Config, lab: Lab) -> None:
    """How do you go on in the middle of an epoch?

    A job on a cluster ends when its time is up, usually in the middle of an epoch. Where in the data were we?
    With a map and a seed one number says it. A stream has several workers, each somewhere in its share, with
    samples in its buffer that have been read and not given.

    Asking the dataset would be wrong: it lives in the workers, and those run ahead of what has been trained
    on. In torchdata's `StatefulDataLoader` each worker sends its state along with its batches, so the
    loader's own state is that of the last batch you got. It asks the iterator for its `state_dict`: here the
    place in the share, the buffer's content, and the state of the random numbers. We go on with a loader that
    has another seed. If the state is complete, that seed does not matter.
    """
    stored = lab.once(stored_samples, 16 * FEW, 3)
    shares = tuple(range(worker, 16 * FEW, cfg.workers) for worker in range(cfg.workers))
    streams = [Numbers(stored, shares, 8, seed) for seed in (1, 2)]
    whole, _ = lab.step_on_first(part_of_epoch, streams[0], cfg.workers, 0, b"")
    other, _ = lab.step_on_first(part_of_epoch, streams[1], cfg.workers, 0, b"")
    first, state = lab.step_on_first(part_of_epoch, streams[0], cfg.workers, 10, b"")
    rest, _ = lab.step_on_first(part_of_epoch, streams[1], cfg.workers, 0, state)
    lab.equal(
        "15.resumed",
        "Interrupted and resumed, a shuffled epoch with workers keeps its order, which another seed changes.",
        [*first, *rest, len(first), other != whole, sorted(whole)],
        [*whole, 10 * 4, True, list(range(16 * FEW))],
        cases=len(whole),
        unit="samples",
    )
    lab.say(f"Rank 0 saved {len(state):,} bytes. A run with another number of workers cannot use them.")


def run(cfg: Config, lab: Lab) -> None:
    for part in (mapping, streaming, training, epochs, sharding, shuffling, resuming):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
