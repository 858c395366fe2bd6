"""All the processes of a run: who am I, how do we agree, and the process group that a distributed lab works in."""

import atexit
import os
import pickle
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist

from labs.errors import UsageError

COLLECTIVE_S = 60.0  # how long a collective may hang before it fails; LABS_TIMEOUT= says otherwise
AGREE_S = (
    5 * COLLECTIVE_S
)  # how long one process waits for another to reach the same claim: as long as an honest step may take
LONGEST_NAP_S = 0.02


class PeerLost(RuntimeError):
    """Another process of the run ended, or did not arrive."""


@dataclass
class World:
    """The processes of this run. With one process there is nobody to agree with, and `store` is None."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    node: int = 0
    nodes: int = 1
    store: dist.Store | None = None
    agree_s: float = AGREE_S
    collective_s: float = COLLECTIVE_S
    place: str = ""  # the part or step that this process has reached
    _rounds: Counter[str] = field(default_factory=Counter)

    @classmethod
    def from_environment(cls) -> "World":
        """Read what the node starter, or torchrun, says of this process, and meet the others."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        rank, local_size = int(os.environ["RANK"]), int(os.environ.get("LOCAL_WORLD_SIZE", size))
        patience = _patience(os.environ.get("LABS_TIMEOUT", ""))
        store, _, _ = next(iter(dist.rendezvous("env://", rank, size, timeout=timedelta(seconds=patience))))
        own = int(os.environ.get("LOCAL_RANK", rank)), rank // local_size, size // local_size
        return cls(
            rank,
            size,
            *own,
            dist.PrefixStore("labs", store),
            agree_s=AGREE_S / COLLECTIVE_S * patience,
            collective_s=patience,
        )

    @property
    def first(self) -> bool:
        """Tell whether this is rank 0, which speaks and writes."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """Return this process's own GPU where each has one, else the CPU."""
        return (
            torch.device("cuda", self.local_rank)
            if self.local_rank < torch.cuda.device_count()
            else torch.device("cpu")
        )

    def with_prefix(self, name: str, *, agree_s: float, collective_s: float) -> "World":
        """Return the same processes under a name of their own, so that a run that breaks leaves the next one untouched."""
        store = self.store and dist.PrefixStore(name, self.store)
        return replace(
            self, store=store, agree_s=agree_s, collective_s=collective_s, place="", _rounds=Counter()
        )

    def gather(self, topic: str, value: Any) -> list[Any]:
        """Return what every rank says on a topic, in rank order. All ranks must call it, equally often.

        Raises PeerLost as soon as another rank has ended, or when one has not arrived in time.
        """
        if self.store is None:
            return [value]
        self._rounds[topic] += 1
        keys = [f"{topic}/{self._rounds[topic]}/{rank}" for rank in range(self.size)]
        self.store.set(keys[self.rank], pickle.dumps(value).hex())
        self._await(topic, keys)
        return [pickle.loads(bytes.fromhex(self.store.get(key).decode())) for key in keys]

    def _await(self, topic: str, keys: list[str]) -> None:
        assert self.store is not None
        deadline, nap = time.monotonic() + self.agree_s, 0.0005
        while not self.store.check(keys):
            if words := self.last_words():
                raise PeerLost("; ".join(f"rank {rank}: {word}" for rank, word in words.items()))
            if time.monotonic() > deadline:
                late = [str(rank) for rank, key in enumerate(keys) if not self.store.check([key])]
                raise PeerLost(f"rank {', '.join(late)} did not reach {topic!r} within {self.agree_s:.0f} s")
            time.sleep(nap)
            nap = min(2 * nap, LONGEST_NAP_S)

    def reach(self, place: str) -> None:
        """Note where this rank is, so that others who wait for it in vain can say so."""
        self.place = place
        if self.store is not None:
            self.store.set(f"place/{self.rank}", place)

    def ranks_not_at(self, place: str) -> dict[int, str]:
        """Return which ranks were last seen at another place than this, and where."""
        if self.store is None:
            return {}
        keys = {rank: f"place/{rank}" for rank in range(self.size) if rank != self.rank}
        seen = {rank: self.store.get(key).decode() for rank, key in keys.items() if self.store.check([key])}
        return {rank: other for rank, other in seen.items() if other != place}

    def leave_word(self, error: str) -> None:
        """Say, for those who still run, why this rank ends."""
        if self.store is not None:
            self.store.set(f"last-words/{self.rank}", error)

    def last_words(self) -> dict[int, str]:
        """Return why other ranks ended, as far as they could say."""
        if self.store is None:
            return {}
        keys = {rank: f"last-words/{rank}" for rank in range(self.size) if rank != self.rank}
        return {rank: self.store.get(key).decode() for rank, key in keys.items() if self.store.check([key])}

    def agreed(self, seconds: float) -> float:
        """Return the longest of all ranks' durations, so that all decide alike how often to repeat."""
        return float(max(self.gather("seconds", seconds)))

    def part_ways(self) -> None:
        """Let rank 0, which may keep the store, be the last to go: the others say that they have read all that they need."""
        if self.store is not None:
            keys = [f"parted/{rank}" for rank in range(self.size)]
            self.store.set(keys[self.rank], "")
            if self.first:
                self._await("the end", keys)

    @contextmanager
    def group(self) -> Iterator[None]:
        """Open torch's default process group for the length of a run: NCCL for GPUs where there are any, gloo for the CPU."""
        backend = "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo"
        store = dist.HashStore() if self.store is None else dist.PrefixStore("group", self.store)
        dist.init_process_group(
            backend,
            store=store,
            rank=self.rank,
            world_size=self.size,
            timeout=timedelta(seconds=self.collective_s),
        )
        try:
            # A rank that fails and goes before a slower one has connected would leave that one a broken group, and no reason.
            self.gather("the group's beginning", None)
            yield
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()


def leave(status: int) -> NoReturn:
    """End this process with a status, and a rank without C++'s own clean-up.

    A thread of gloo that waits for a collective which never came would abort it there, after all has been said and kept.
    """
    if "RANK" not in os.environ:
        sys.exit(status)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _patience(text: str) -> float:
    try:
        seconds = float(text or COLLECTIVE_S)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise UsageError(
            f"LABS_TIMEOUT={text} is not possible; give the seconds that a collective may hang, such as LABS_TIMEOUT=60"
        )
    return seconds
