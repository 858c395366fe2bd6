"""Checkpoints of a training in its run folder, so that the same command, given again, goes on where the last one stopped.

    step-000010/    what was saved after ten steps, and `whole.json`: a hash of every file in it
    progress.txt    a line for each start and for each step that any attempt has done

A checkpoint is written under another name and gets its own last. So neither a kill nor a full disk costs one that was there.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import uuid4

import torch
import torch.distributed as dist
from torch import nn

KEPT = 2  # the newest, and the one before it, should the newest turn out to be unreadable
T = TypeVar("T")
Said = Callable[[int, str], None]


class CheckpointFormat(Protocol):
    """What is saved, and how. All ranks call both methods together."""

    def write(self, folder: Path) -> None:
        """Save into an empty folder."""

    def read(self, folder: Path) -> None:
        """Load what was saved."""


class FullState:
    """One file, written by rank 0 and read by all: for a model that every rank holds whole."""

    def __init__(self, **parts: Any) -> None:
        self.parts = parts  # a model, an optimizer: what has a state_dict

    def write(self, folder: Path) -> None:
        if _first():
            torch.save({name: part.state_dict() for name, part in self.parts.items()}, folder / "state.pt")

    def read(self, folder: Path) -> None:
        kept = torch.load(folder / "state.pt", weights_only=True, map_location="cpu")
        for name, part in self.parts.items():
            part.load_state_dict(kept[name])


class ShardedState:
    """A file for each rank, by torch.distributed.checkpoint; another number of ranks can read them too.

    The ranks of `group` write and read together, by default all.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, group: dist.ProcessGroup | None = None
    ) -> None:
        self.model, self.optimizer, self.group = model, optimizer, group

    def write(self, folder: Path) -> None:
        from torch.distributed import checkpoint

        try:
            checkpoint.save(self._state(), checkpoint_id=folder, process_group=self.group)
        except checkpoint.CheckpointException as error:  # no Exception, but a BaseException
            raise OSError(str(next(iter(error.failures.values()))[0])) from None

    def read(self, folder: Path) -> None:
        from torch.distributed import checkpoint
        from torch.distributed.checkpoint.state_dict import set_state_dict

        state = self._state()
        checkpoint.load(state, checkpoint_id=folder, process_group=self.group)
        set_state_dict(
            self.model, self.optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"]
        )

    def _state(self) -> dict[str, Any]:
        from torch.distributed.checkpoint.state_dict import get_state_dict

        model, optimizer = get_state_dict(self.model, self.optimizer)
        return {"model": model, "optimizer": optimizer}


class _Found(NamedTuple):
    """What earlier attempts left: the newest whole checkpoint's step, those that are not whole, starts, and steps done."""

    step: int
    broken: list[str]
    starts: int
    steps_done: int


class Checkpoints:
    """The checkpoints of one training. Without a folder, or with one that not all ranks see, nothing is kept.

    `said` gets what a person should know, with the step from which this attempt goes on.
    """

    def __init__(self, folder: Path | None, every: int, said: Said = lambda step, text: None) -> None:
        self.every = every
        self.begun = 0  # the step from which this attempt goes on
        self.restarts = 0  # attempts before this one
        self.steps_done = 0  # by all attempts together
        self.passed_over = 0  # checkpoints that could not be used
        self._said = said
        self._folder = folder if folder is not None and _seen_by_all(folder) else None
        if folder is not None and self._folder is None:
            said(0, "not all ranks see the run folder, so no checkpoint is kept: a restarted run begins anew")

    def resume(self, form: CheckpointFormat) -> int:
        """Load the newest checkpoint that is whole and return its step; 0 where there is none."""
        if self._folder is None:
            return 0
        self.begun, broken, self.restarts, self.steps_done = _on_first(self._survey)
        self.passed_over = len(broken)
        for name in broken:
            self._said(self.begun, f"the checkpoint {name} is damaged and is passed over")
        if self.begun:
            form.read(self._place(self.begun))
            self._said(
                self.begun,
                f"resumed from step {self.begun}, where the checkpoint of an earlier attempt stands",
            )
        self._note(f"from {self.begun}")
        return self.begun

    def after(self, step: int, form: CheckpointFormat) -> None:
        """Count a step that is done, and save where a checkpoint is due."""
        self.steps_done += 1
        self._note(str(step))
        if self._folder is not None and step % self.every == 0:
            self._save(step, form)

    def _save(self, step: int, form: CheckpointFormat) -> None:
        assert self._folder is not None
        part = (
            self._folder / f"part-{step:06}-{self.restarts}"
        )  # a name used once: network file systems remember old ones
        try:
            _on_first(lambda: part.mkdir())
            _on_all(lambda: form.write(part))
            _on_first(lambda: _seal(part, self._place(step)))
        except OSError as error:
            _on_first(lambda: shutil.rmtree(part, ignore_errors=True))
            raise OSError(
                error.errno,
                f"the checkpoint of step {step} could not be written, those before it are kept: {error}",
            ) from None
        _on_first(self._forget_old)

    def _survey(self) -> _Found:
        """Look at what is there, and clear away what a killed attempt had begun to write."""
        assert self._folder is not None
        for part in self._folder.glob("part-*"):
            shutil.rmtree(part)
        newest_first = sorted(self._folder.glob("step-*"), reverse=True)
        whole = next((place for place in newest_first if _is_whole(place)), None)
        broken = newest_first[: newest_first.index(whole)] if whole else newest_first
        for place in broken:
            place.rename(self._folder / f"damaged-{place.name}-{uuid4().hex[:4]}")
        lines = self._progress.read_text().splitlines() if self._progress.exists() else []
        starts = sum(line.startswith("from") for line in lines)
        return _Found(
            int(whole.name.partition("-")[2]) if whole else 0,
            [place.name for place in broken],
            starts,
            len(lines) - starts,
        )

    def _forget_old(self) -> None:
        assert self._folder is not None
        for place in sorted(self._folder.glob("step-*"))[:-KEPT]:
            shutil.rmtree(place)

    def _place(self, step: int) -> Path:
        assert self._folder is not None
        return self._folder / f"step-{step:06}"

    @property
    def _progress(self) -> Path:
        assert self._folder is not None
        return self._folder / "progress.txt"

    def _note(self, line: str) -> None:
        if self._folder is not None and _first():
            with self._progress.open("a", encoding="utf-8") as progress:
                progress.write(f"{line}\n")


def _seal(part: Path, place: Path) -> None:
    """Add a hash of every file, and give the checkpoint its name."""
    hashes = {path.name: _hash(path) for path in part.iterdir()}
    (part / "whole.json").write_text(json.dumps(hashes, indent=2), encoding="utf-8")
    part.rename(place)


def _is_whole(place: Path) -> bool:
    """Tell whether every file of a checkpoint is there, and as it was written."""
    try:
        hashes = json.loads((place / "whole.json").read_text(encoding="utf-8"))
        return bool(hashes) and all(_hash(place / name) == hash_ for name, hash_ in hashes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# All ranks together ---------------------------------------------------------------------------------------------------


def _first() -> bool:
    return not dist.is_initialized() or dist.get_rank() == 0


def _seen_by_all(folder: Path) -> bool:
    """Make the folder on rank 0, and tell whether it is there for every rank."""
    mark = folder / f".seen-{_on_first(lambda: uuid4().hex)}"

    def leave_mark() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch()

    _on_first(leave_mark)
    seen = all(_from_all(mark.exists()))
    _on_first(lambda: mark.unlink())
    return seen


def _from_all(value: T) -> list[T]:
    """Return what every rank says, in rank order."""
    if not dist.is_initialized():
        return [value]
    said: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(said, value)
    return said


def _on_first(action: Callable[[], T]) -> T:
    """Do something on rank 0, and return on every rank what came of it. Raises OSError on all where it failed there."""
    return _outcomes(action if _first() else None)[0]


def _on_all(action: Callable[[], T]) -> list[T]:
    """Do something on every rank. Raises OSError on all where it failed on any."""
    return _outcomes(action)


def _outcomes(action: Callable[[], T] | None) -> list[T]:
    value, trouble = None, None
    try:
        value = action() if action else None
    except (OSError, RuntimeError) as error:
        trouble = (getattr(error, "errno", None), str(error).strip().partition("\n")[0])
    both: list[Any] = _from_all((value, trouble))
    for rank, (_, failed) in enumerate(both):
        if failed:
            raise OSError(failed[0], f"rank {rank}: {failed[1]}")
    return [value for value, _ in both]
