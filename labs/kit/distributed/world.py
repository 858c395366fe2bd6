"""All the processes of a run: who am I, how do we agree, and the process group that a distributed lab works in."""

import atexit
import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed as dist

from labs import interfaces
from labs.errors import UsageError
from labs.files import writable
from labs.home import Home
from labs.kit.distributed import devices
from labs.kit.distributed.seal import Seal, find_secret, forget_secret, leave_secret
from labs.kit.distributed.wire import packed, unpacked

COLLECTIVE_S = 60.0  # how long a collective may hang before it fails; LABS_TIMEOUT= says otherwise
AGREE_S = (
    5 * COLLECTIVE_S
)  # how long one process waits for another to reach the same claim: as long as an honest step may take
LONGEST_NAP_S = 0.02


class PeerLost(RuntimeError):
    """Another process of the run ended, or did not arrive."""


@dataclass
class World:
    """The processes of this run. With one process there is nobody to agree with, and `store` is None.

    What they say passes the store as JSON, sealed: anybody who reaches it may write there, and nothing of theirs is read.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    node: int = 0
    nodes: int = 1
    store: dist.Store | None = None
    agree_s: float = AGREE_S
    collective_s: float = COLLECTIVE_S
    seal: Seal = field(default_factory=Seal)
    prefix: str = ""  # of the names under which these processes talk, such as check/3/
    place: str = ""  # the part or step that this process has reached
    by_itself: bool = False  # it does something while the others wait for what comes of it
    _gpus: list[list[str]] | None = None
    _rounds: Counter[str] = field(default_factory=Counter)

    @classmethod
    def from_environment(cls) -> "World":
        """Read what the node starter, or torchrun, says of this process, and meet the others.

        Raises UsageError where only a part of it is there.
        """
        size = _size_said()
        if size == 1:
            return cls()
        rank, local_size = int(os.environ["RANK"]), int(os.environ.get("LOCAL_WORLD_SIZE", size))
        patience = _patience(os.environ.get("LABS_TIMEOUT", ""))
        store = _store_of_rank_0(rank, size, patience)
        attempt = os.environ.get(
            "TORCHELASTIC_RESTART_COUNT", "0"
        )  # torchrun restarts its ranks on the same store
        own = int(os.environ.get("LOCAL_RANK", rank)), rank // local_size, size // local_size
        world = cls(
            rank,
            size,
            *own,
            dist.PrefixStore(f"labs-{attempt}", store),
            agree_s=AGREE_S / COLLECTIVE_S * patience,
            collective_s=patience,
        )
        given = os.environ.get("LABS_SECRET_FILE")
        if given:
            world.seal = Seal(Path(given).read_bytes())
        else:
            world._share_secret(_meeting_folder())
        world.seal.guard_objects()
        return world

    def _share_secret(self, folder: Path) -> None:
        """Let all ranks know what only this run's owner can read: a file that rank 0 leaves in a folder that all of them see."""
        assert self.store is not None
        if self.first:
            name, secret = leave_secret(folder)
            self.store.set("secret", name)
        else:
            self._await("the start", ["secret"])
            name = self.store.get("secret").decode(errors="replace")
            secret = find_secret(folder, name)
        self.seal = Seal(secret)
        try:
            self.gather("secret", None)
        finally:
            if self.first:
                forget_secret(folder, name)

    def require_interfaces(self) -> None:
        """Raise UsageError, on all ranks alike, where one's host has not the network interface that its environment names."""
        if self.nodes > 1:
            troubles = dict.fromkeys(filter(None, self.gather("interfaces", interfaces.trouble())))
            if troubles:
                self.part_ways()
                raise UsageError(
                    "\n".join([*[*troubles][:2], "name one that every host has, or unset the variable"])
                )

    @property
    def first(self) -> bool:
        """Tell whether this is rank 0, which speaks and writes."""
        return self.rank == 0

    @property
    def gpus(self) -> list[list[str]]:
        """Return the GPUs that each rank sees. All ranks must ask for the first time together, for this or for `device`."""
        if self._gpus is None:
            self._gpus = self.gather("GPUs", devices.visible(self.size))
        return self._gpus

    @property
    def device(self) -> torch.device:
        """Return this process's own GPU where every rank has one, else the CPU."""
        return devices.chosen(self.gpus, self.rank)

    def with_prefix(self, name: str, *, agree_s: float, collective_s: float) -> "World":
        """Return the same processes under a name of their own, so that a run that breaks leaves the next one untouched."""
        return replace(
            self,
            prefix=f"{self.prefix}{name}/",
            agree_s=agree_s,
            collective_s=collective_s,
            place="",
            _rounds=Counter(),
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let this rank do something by itself: nothing is gathered meanwhile, since nobody else takes part."""
        before, self.by_itself = self.by_itself, True
        try:
            yield
        finally:
            self.by_itself = before

    def gather(self, topic: str, value: Any) -> list[Any]:
        """Return what every rank says on a topic, in rank order: data, as wire.py knows it. All ranks must call it, equally often.

        Raises PeerLost as soon as another rank has ended, or when one has not arrived in time, ForeignValue where
        something stands there that no rank of this run wrote.
        """
        if self.store is None or self.by_itself:
            return [value]
        self._rounds[topic] += 1
        keys = [f"{topic}/{self._rounds[topic]}/{rank}" for rank in range(self.size)]
        self._say(keys[self.rank], packed(value))
        self._await(topic, keys)
        return [unpacked(self._heard(key)) for key in keys]

    def _say(self, key: str, text: str) -> None:
        assert self.store is not None
        key = self.prefix + key
        self.store.set(key, self.seal.closed(key, text))

    def _heard(self, key: str) -> str:
        assert self.store is not None
        key = self.prefix + key
        return self.seal.opened(key, self.store.get(key))

    def _is_said(self, keys: list[str]) -> bool:
        assert self.store is not None
        return self.store.check([self.prefix + key for key in keys])

    def _from_others(self, topic: str) -> dict[int, str]:
        """Return what other ranks have said on a topic so far."""
        if self.store is None:
            return {}
        keys = {rank: f"{topic}/{rank}" for rank in range(self.size) if rank != self.rank}
        return {rank: self._heard(key) for rank, key in keys.items() if self._is_said([key])}

    def _await(self, topic: str, keys: list[str]) -> None:
        deadline, nap = time.monotonic() + self.agree_s, 0.0005
        while not self._is_said(keys):
            if words := self.last_words():
                raise PeerLost("; ".join(f"rank {rank}: {word}" for rank, word in words.items()))
            if time.monotonic() > deadline:
                late = [str(rank) for rank, key in enumerate(keys) if not self._is_said([key])]
                raise PeerLost(f"rank {', '.join(late)} did not reach {topic!r} within {self.agree_s:.0f} s")
            time.sleep(nap)
            nap = min(2 * nap, LONGEST_NAP_S)

    def reach(self, place: str) -> None:
        """Note where this rank is, so that others who wait for it in vain can say so."""
        self.place = place
        if self.store is not None:
            self._say(f"place/{self.rank}", place)

    def ranks_not_at(self, place: str) -> dict[int, str]:
        """Return which ranks were last seen at another place than this, and where."""
        return {rank: other for rank, other in self._from_others("place").items() if other != place}

    def leave_word(self, error: str) -> None:
        """Say, for those who still run, why this rank ends."""
        if self.store is not None:
            self._say(f"last-words/{self.rank}", error)

    def last_words(self) -> dict[int, str]:
        """Return why other ranks ended, as far as they could say."""
        return self._from_others("last-words")

    def agreed(self, seconds: float) -> float:
        """Return the longest of all ranks' durations, so that all decide alike how often to repeat."""
        return float(max(self.gather("seconds", seconds)))

    def part_ways(self) -> None:
        """Let rank 0, which may keep the store, be the last to go: the others say that they have read all that they need."""
        if self.store is not None:
            keys = [f"parted/{rank}" for rank in range(self.size)]
            self._say(keys[self.rank], "")
            if self.first:
                self._await("the end", keys)

    @contextmanager
    def group(self) -> Iterator[None]:
        """Open torch's default process group for the length of a run: NCCL for GPUs where there are any, gloo for the CPU."""
        devices.enter(self.device)
        with interfaces.on_this_machine_alone() if self.nodes == 1 else nullcontext():
            self._open_group()
            gc.freeze()  # what was there before needs no looking through at the end: most of it is torch itself
            try:
                # A rank that fails and goes before a slower one has connected would leave that one a broken group, and no reason.
                self.gather("the group's beginning", None)
                yield
            finally:
                close_group()

    def _open_group(self) -> None:
        store = (
            dist.HashStore() if self.store is None else dist.PrefixStore(f"{self.prefix}group", self.store)
        )
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo",
            store=store,
            rank=self.rank,
            world_size=self.size,
            timeout=timedelta(seconds=self.collective_s),
        )


def close_group() -> None:
    """Close torch's default process group, if there is one.

    Who bounds a run calls it when the limit is off: that strikes again and again, also while a run is being cleared away.
    """
    if dist.is_initialized():
        # A model under DDP that outlives its group waits for gloo's threads, at times for ever; many lie in cycles.
        gc.collect()
        dist.destroy_process_group()
    gc.unfreeze()


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


def _store_of_rank_0(rank: int, size: int, patience_s: float) -> dist.Store:
    store: dist.Store
    try:
        store, _, _ = next(iter(dist.rendezvous("env://", rank, size, timeout=timedelta(seconds=patience_s))))
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        why = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"rank {rank} of {size} does not reach rank 0 at {where} (MASTER_ADDR, MASTER_PORT): {why}\n"
            "see what rank 0 says, or unset WORLD_SIZE where this is to be one process"
        ) from None
    return store


def _size_said() -> int:
    """Return how many processes there are, once all is there that they need to meet."""
    size = os.environ.get("WORLD_SIZE", "1")
    numbers = {name: os.environ.get(name, "") for name in ("RANK", "MASTER_PORT")} if size != "1" else {}
    wrong = [
        f"{name}={text}" for name, text in {"WORLD_SIZE": size, **numbers}.items() if not text.isdecimal()
    ]
    wrong += ["MASTER_ADDR="] if size != "1" and not os.environ.get("MASTER_ADDR") else []
    if not wrong and int(size) > 1 and int(numbers["RANK"]) >= int(size):
        wrong = [f"RANK={numbers['RANK']} of WORLD_SIZE={size}"]
    if wrong or size == "0":
        raise UsageError(
            f"{', '.join(wrong) or 'WORLD_SIZE=0'}: the environment names a place in a run, but not a whole one\n"
            "torchrun and labs run set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT; for one process unset them"
        )
    return int(size)


def _meeting_folder() -> Path:
    """Return a folder that all ranks see: the run's own, as the node starter says, else one of the person's, under torchrun."""
    own = os.environ.get("LABS_MEETING")
    return writable(Path(own) if own else Home.from_environment().meetings)


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
