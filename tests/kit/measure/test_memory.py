"""Counting bytes against formulas."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from labs.kit.measure import memory

N = 256
BYTES = N * N * 4


def square(count: int = N) -> Tensor:
    return torch.ones(count, count, requires_grad=True)


@pytest.mark.parametrize(
    ("forward", "saved"),
    [
        (lambda x: x * x, BYTES),
        (lambda x: x * 2, 0),
        (lambda x: x + x, 0),
        (lambda x: x.exp(), BYTES),
        (lambda x: x.relu(), BYTES),
        (lambda x: x.sin(), BYTES),
        (lambda x: x.sin().sin(), 2 * BYTES),
        (lambda x: x.exp().exp(), 2 * BYTES),
        (lambda x: x.t() * x, BYTES),
        (lambda x: x.sum(), 0),
        (lambda x: x.detach() * 2, 0),
    ],
    ids=["x*x", "x*2", "x+x", "exp", "relu", "sin", "sin sin", "exp exp", "x.t()*x", "sum", "no graph"],
)
def test_what_an_operation_keeps(forward: Callable[[Tensor], Tensor], saved: int) -> None:
    x = square()
    assert memory.saved_bytes(lambda: forward(x)) == saved


def test_a_linear_layer_keeps_its_input_and_its_weight() -> None:
    x, weight, bias = square(), torch.ones(32, N, requires_grad=True), torch.ones(32, requires_grad=True)
    assert memory.saved_bytes(lambda: functional.linear(x, weight, bias)) == BYTES + 32 * N * 4


def test_what_lives_anyway_is_not_counted() -> None:
    x, weight = square(), torch.ones(32, N, requires_grad=True)
    assert memory.saved_bytes(lambda: functional.linear(x, weight), besides=(x, weight)) == 0
    assert memory.saved_bytes(lambda: functional.linear(x, weight), besides=(weight,)) == BYTES
    assert memory.saved_bytes(lambda: x[3:].sin(), besides=(x,)) == 0


def test_a_view_keeps_its_whole_storage() -> None:
    x = square()
    assert memory.saved_bytes(lambda: x[0].sin()) == BYTES


def test_equal_addresses_at_different_times_are_different_storages() -> None:
    x = square()

    def one_by_one() -> None:
        for _ in range(20):
            x * x.detach().clone()

    assert memory.saved_bytes(one_by_one) == 20 * BYTES


@pytest.mark.parametrize(
    ("action", "peak"),
    [
        (lambda x: x.exp(), BYTES),
        (lambda x: x.exp().exp(), 2 * BYTES),
        (lambda x: x.exp().exp().exp(), 2 * BYTES),
        (lambda x: x.exp().exp_(), BYTES),
        (lambda x: x.t(), 0),
        (lambda x: x[1:, ::2].expand(4, -1, -1), 0),
        (lambda x: x.view(-1), 0),
        (lambda x: x.clone(), BYTES),
        (lambda x: x.half(), BYTES // 2),
        (lambda x: [x.exp() for _ in range(5)], 5 * BYTES),
        (lambda x: [None for _ in range(5) if x.exp() is None], BYTES),
        (lambda x: None, 0),
    ],
    ids=[
        "exp",
        "twice",
        "thrice",
        "in place",
        "transpose",
        "slice",
        "view",
        "copy",
        "half",
        "all kept",
        "none kept",
        "nothing",
    ],
)
def test_the_peak_of_an_action(action: Callable[[Tensor], Any], peak: int) -> None:
    x = square().detach()
    assert memory.peak_bytes(lambda: action(x)) == peak


@settings(max_examples=15)
@given(st.lists(st.integers(0, 64), min_size=1, max_size=6))
def test_the_peak_of_rows_that_are_kept_is_their_sum(lengths: list[int]) -> None:
    assert memory.peak_bytes(lambda: [torch.empty(length * 16) for length in lengths]) == sum(lengths) * 64


def test_a_temporary_counts_only_while_it_lives() -> None:
    def action() -> Tensor:
        large = torch.empty(8 * N * N)
        del large
        return torch.empty(N * N)

    assert memory.peak_bytes(action) == 8 * BYTES
    changes = memory.allocations(action)
    assert changes[:3] == [8 * BYTES, -8 * BYTES, BYTES]


def test_what_was_there_before_is_no_part_of_the_peak() -> None:
    before = torch.empty(100 * N * N)
    assert memory.peak_bytes(lambda: torch.empty(N * N)) == BYTES
    del before


def test_the_action_may_raise() -> None:
    with pytest.raises(RuntimeError, match="invalid for input of size"):
        memory.peak_bytes(lambda: torch.ones(4).view(3, -1))


def test_the_process_grows_by_what_it_touches() -> None:
    before = memory.process_bytes()
    touched = torch.ones(50 * 2**20)  # 200 MiB; written, so that the system must provide the pages
    grown = memory.process_bytes() - before
    assert 198 * 2**20 < grown < 300 * 2**20
    del touched


class UniqueSetSize(NamedTuple):
    uss: int


def test_without_proc_the_unique_set_size_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: False)
    monkeypatch.setattr(psutil.Process, "memory_full_info", lambda process: UniqueSetSize(12345))
    assert memory.process_bytes() == 12345


def test_both_ways_to_look_at_the_process_agree_roughly(monkeypatch: pytest.MonkeyPatch) -> None:
    touched = torch.ones(50 * 2**20)
    anonymous = memory.process_bytes()
    monkeypatch.setattr(Path, "exists", lambda path: False)
    unique = memory.process_bytes()
    assert unique > touched.nbytes
    assert 0.5 < anonymous / unique < 2


def test_the_profiler_is_silent() -> None:
    program = (
        "import torch\nfrom labs.kit.measure.memory import peak_bytes\npeak_bytes(lambda: torch.ones(9))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", "")


def test_the_peak_of_tensors_counts_each_storage_while_it_lives() -> None:
    def action() -> None:
        x = torch.ones(N, N)
        x = x + 1  # both are there for a moment
        x.view(-1)[:10]  # a view takes nothing
        del x
        torch.ones(N, N)

    assert memory.peak_tensor_bytes(action) == 2 * BYTES


def test_a_storage_that_is_resized_counts_with_its_size_of_the_moment() -> None:
    def action() -> None:
        x = torch.ones(N, N)
        x.untyped_storage().resize_(0)
        torch.ones(2 * N, N // 2)

    assert memory.peak_tensor_bytes(action) == BYTES
