"""Measure memory: what autograd keeps for the backward pass, what the allocator's peak was, what the process holds."""

import os
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.autograd.profiler import profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

# The profiler reports its start and stop on stderr unless it is told not to before its first use.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")


def saved_bytes(forward: Callable[[], Any], *, besides: tuple[Tensor, ...] = ()) -> int:
    """Return the bytes that autograd keeps alive for the backward pass of `forward`, each storage counted once.

    Storages of the tensors in `besides` are not counted: inputs and parameters live anyway. What a `torch.autograd.Function`
    hides on its context without `save_for_backward` is not seen.
    """
    alive = {tensor.untyped_storage().data_ptr() for tensor in besides}
    storages: dict[int, tuple[int, Tensor]] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in alive:
            storages[storage.data_ptr()] = (
                storage.nbytes(),
                tensor,
            )  # holding the tensor keeps its address from being reused
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = forward()
    del result
    return sum(size for size, _ in storages.values())


def peak_bytes(action: Callable[[], Any], device: str = "cpu") -> int:
    """Return by how many bytes the allocator's peak during `action` lies above its level at the start.

    Exact on CUDA (the allocator's own peak) and on a CPU (the profiler's record of every allocation and release).
    """
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        action()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    level = peak = 0
    for change in allocations(action):
        level += change
        peak = max(peak, level)
    return peak


def peak_tensor_bytes(action: Callable[[], Any], device: str = "cpu") -> int:
    """Return the peak of all storages that `action` makes, looked at after every operation; on CUDA, the allocator's peak.

    It is for code with collectives on a CPU: what gloo's threads release, the profiler does not see. It misses what an
    operation needs only while it runs.
    """
    if torch.device(device).type == "cuda":
        return peak_bytes(action, device)
    with _Live() as live:
        result = action()
    del result
    return int(live.peak)


class _Live(TorchDispatchMode):
    """Knows all storages that came into being within its `with` block and still live. FSDP resizes some, so their size is asked anew."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.storages: MutableMapping[Any, None] = WeakIdKeyDictionary()
        self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if any(kind is not Tensor and hasattr(kind, "to_local") for kind in types):
            return NotImplemented  # a DTensor: its own operations on the local part come by next
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device.type == "cpu":
                self.storages[leaf.untyped_storage()] = None
        self.peak = max(self.peak, sum(storage.nbytes() for storage in list(self.storages)))
        return result


def allocations(action: Callable[[], Any]) -> list[int]:
    """Return every allocation (bytes > 0) and release (bytes < 0) that `action` made on the CPU, in order."""
    # torch.profiler does the same with this, and imports the compiler before, which takes a second.
    with profile(use_cpu=True, profile_memory=True, use_kineto=True) as record:
        result = action()
    del result
    events = [event for event in record.kineto_results.events() if event.name() == "[memory]"]
    return [
        event.nbytes()
        for event in sorted(events, key=lambda event: event.start_ns())
        if event.device_type().name == "CPU"
    ]


def process_bytes() -> int:
    """Return the anonymous memory of this process: RssAnon on Linux, elsewhere the unique set size (USS)."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_full_info().uss)
