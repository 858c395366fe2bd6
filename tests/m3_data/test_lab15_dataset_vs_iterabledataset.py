"""The rules that lab 15 builds by hand: shares, shuffle buffer, memory map, and a state that is taken between any two samples."""

import math
import random
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.m3_data import lab15_dataset_vs_iterabledataset as lab

COUNTS = st.integers(1, 9)


@pytest.fixture(scope="module")
def stored() -> lab.Stored:
    return lab.stored_samples(101, 8)


@given(st.integers(0, 300), COUNTS, COUNTS)
def test_shares_of_all_ranks_and_workers_partition_the_samples_evenly(
    samples: int, ranks: int, workers: int
) -> None:
    shares = [
        list(lab.share_of(samples, rank, ranks, worker, workers))
        for rank in range(ranks)
        for worker in range(workers)
    ]
    assert sorted(number for share in shares for number in share) == list(range(samples))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert all(left < right for share in shares for left, right in pairwise(share))


@given(st.integers(0, 300), st.integers(1, 320), st.randoms(use_true_random=False))
def test_a_buffer_gives_what_came_in_and_nothing_much_too_early(
    samples: int, size: int, rng: random.Random
) -> None:
    random.seed(rng.random())
    order = lab.through_buffer(samples, size)
    assert sorted(order) == list(range(samples))
    assert all(number - place <= size - 1 for place, number in enumerate(order))
    if size == 1:
        assert order == list(range(samples))


@given(st.integers(1, 60))
def test_the_formula_for_a_small_buffer_is_the_mean_of_the_geometric_law(size: int) -> None:
    stay = [(1 / size) * (1 - 1 / size) ** steps for steps in range(60 * size)]
    mean = math.fsum(chance * abs(steps - (size - 1)) for steps, chance in enumerate(stay))
    assert lab.by_formula(size) == pytest.approx(mean, rel=1e-9)


def test_the_formula_for_a_perfect_shuffle_is_the_mean_over_all_orders() -> None:
    for count in range(1, 30):
        pairs = [abs(place - number) for place in range(count) for number in range(count)]
        assert sum(pairs) / count**2 == pytest.approx((count**2 - 1) / (3 * count))


@given(st.permutations(range(12)))
def test_displacement_is_counted_in_places(order: list[int]) -> None:
    assert lab.mean_displacement(order) == pytest.approx(
        sum(abs(number - place) for place, number in enumerate(order)) / 12
    )


@given(COUNTS, st.integers(1, 40))
def test_mapped_rows_are_the_numbers_in_the_file(features: int, samples: int) -> None:
    stored = lab.stored_samples(samples, features)
    rows_NF = lab.mapped_rows(stored.path, features)
    assert isinstance(rows_NF, np.memmap)
    assert np.array_equal(rows_NF, np.arange(samples, dtype=np.float32)[:, None].repeat(features, 1))


def test_the_file_goes_with_the_object_that_holds_it() -> None:
    stored = lab.stored_samples(3, 2)
    folder = Path(stored.folder)
    assert Path(stored.path).stat().st_size == stored.nbytes == 24
    del stored
    assert not folder.exists()


def test_disk_map_and_web_server_give_the_same_samples(stored: lab.Stored) -> None:
    reads = [
        read(stored).numbers_N.tolist()
        for read in (lab.read_through_map, lab.read_as_stream, lab.read_over_http)
    ]
    assert reads == [list(range(101))] * 3


def test_a_web_server_is_asked_directly_whatever_proxy_is_set(
    stored: lab.Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert len(lab.read_over_http(stored).numbers_N) == 101


@given(st.integers(0, 101), st.integers(1, 120), st.integers(1, 4), st.data())
def test_a_state_taken_after_any_sample_goes_on_with_the_next(
    stop: int, size: int, workers: int, data: st.DataObject
) -> None:
    stored = lab.stored_samples(101, 1)
    shares = (lab.share_of(101, 0, 1, data.draw(st.integers(0, workers - 1)), workers),)
    whole = list(lab.Numbers(stored, shares, size))
    first = lab.Numbers(stored, shares, size)
    begun = list(islice(first, stop))
    second = lab.Numbers(stored, shares, size)
    second.load_state_dict(first.state_dict())
    assert begun + list(second) == whole
    assert sorted(whole) == sorted(shares[0])
