"""Lab 15: shares, shuffle buffer, memory map, streams, epochs, and a state that is taken between any two samples."""

import math
import random
import warnings
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from labs.kit.draw.diagrams import WARN
from labs.m3_data import _lab15_helpers as helpers
from labs.m3_data import _lab15_measures as measures
from labs.m3_data import _lab15_workers as workers
from labs.m3_data import lab15_dataset_vs_iterabledataset as lab

COUNTS = st.integers(1, 9)


@pytest.fixture(scope="module")
def stored() -> helpers.Stored:
    return helpers.stored_samples(101, 8)


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
    order = lab.through_buffer(list(range(samples)), size)
    assert sorted(order) == list(range(samples))
    assert all(number - place <= size - 1 for place, number in enumerate(order))
    if size == 1:
        assert order == list(range(samples))


@given(st.integers(1, 60))
def test_the_formula_for_a_small_buffer_is_the_mean_of_the_geometric_law(size: int) -> None:
    stay = [(1 / size) * (1 - 1 / size) ** steps for steps in range(60 * size)]
    mean = math.fsum(chance * abs(steps - (size - 1)) for steps, chance in enumerate(stay))
    assert 2 * size * (1 - 1 / size) ** size == pytest.approx(mean, rel=1e-9)


def test_the_formula_for_a_perfect_shuffle_is_the_mean_over_all_orders() -> None:
    for count in range(1, 30):
        pairs = [abs(place - number) for place in range(count) for number in range(count)]
        assert sum(pairs) / count**2 == pytest.approx((count**2 - 1) / (3 * count))


@given(st.permutations(range(12)))
def test_displacement_is_counted_in_places(order: list[int]) -> None:
    assert helpers.mean_displacement(order) == pytest.approx(
        sum(abs(number - place) for place, number in enumerate(order)) / 12
    )


@given(st.integers(3, 9), st.integers(1, 40))
def test_mapped_rows_are_the_numbers_in_the_file(features: int, samples: int) -> None:
    stored = helpers.stored_samples(samples, features)
    rows_NF = lab.mapped_rows(stored.path, features)
    assert isinstance(rows_NF, np.memmap)
    assert rows_NF[:, 0].tolist() == list(range(samples))
    assert np.array_equal(rows_NF, np.fromfile(stored.path, np.float32).reshape(samples, features))


def test_the_target_is_one_sum_of_the_features_with_weights_of_norm_one(stored: helpers.Stored) -> None:
    rows_NF = torch.tensor(lab.mapped_rows(stored.path, 8)).double()
    weights_D = torch.linalg.lstsq(rows_NF[:, 2:], rows_NF[:, 1:2]).solution
    assert torch.allclose(rows_NF[:, 2:] @ weights_D, rows_NF[:, 1:2], atol=1e-5)
    assert weights_D.norm() == pytest.approx(1, abs=1e-5)


def test_the_file_goes_with_the_object_that_holds_it() -> None:
    stored = helpers.stored_samples(3, 3)
    folder = Path(stored.folder)
    assert Path(stored.path).stat().st_size == stored.nbytes == 36
    del stored
    assert not folder.exists()


def test_all_ways_give_the_same_samples_and_the_same_weights(stored: helpers.Stored) -> None:
    loaders = {way: lab.loader_of(way, stored) for way in ("map", "stream", "array")}
    assert [helpers.watched(loader).numbers for loader in loaders.values()] == [list(range(101))] * 3
    weights = [helpers.trained(loader, 6).weights_D for loader in loaders.values()]
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


def test_each_way_reads_in_its_own_way(stored: helpers.Stored) -> None:
    datasets = {way: lab.loader_of(way, stored).dataset for way in ("map", "stream", "array")}
    assert isinstance(datasets["stream"], lab.StreamedSamples)
    mapped, array = datasets["map"], datasets["array"]
    assert isinstance(mapped, lab.MappedSamples)
    assert isinstance(array, lab.MappedSamples)
    assert vars(mapped)["rows_NF"] is None
    assert mapped[100][0] == 100
    assert isinstance(mapped.rows_NF, np.memmap)
    assert type(array.rows_NF) is np.ndarray


def test_a_loader_warns_only_where_its_length_was_asked() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len([*DataLoader(helpers.Announced(1, 3))]) == 3
    assert helpers.loaded(1, 3, 1) == (1, 3, 2)


def test_another_order_ends_in_other_weights(stored: helpers.Stored) -> None:
    mapped = lab.MappedSamples(stored)
    backwards = torch.utils.data.DataLoader(mapped, helpers.BATCH, sampler=range(100, -1, -1))
    forwards = lab.loader_of("map", stored)
    assert not torch.equal(helpers.trained(backwards, 6).weights_D, helpers.trained(forwards, 6).weights_D)


def test_a_web_server_is_asked_directly_whatever_proxy_is_set(
    stored: helpers.Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    read, asked = lab.read_over_http(stored, 1)
    assert (len(read.numbers), len(asked)) == (101, 1)


def test_what_the_server_does_not_have_is_noted_too(stored: helpers.Stored) -> None:
    with measures.serving(stored.folder) as (opened, asked):
        missing = partial(opened.func, opened.args[0] + ".gz")  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="404"):
            missing()
    assert asked == ["GET /samples.bin.gz 404"]


def test_memory_counts_from_the_lowest_level(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = iter([(50, 1), (20, 7), (30, 4)])
    monkeypatch.setattr(helpers, "held", lambda: next(levels))
    read = helpers.watched([torch.ones(1, 3)] * (helpers.LOOK_EVERY + 1))
    assert (read.own, read.others) == (30, 6)


def test_a_curve_that_leaves_the_sheet_is_cut_off() -> None:
    places, series = measures.thinned({"loss": [1.0, math.inf, math.nan, 4.0] * 8}, 32)
    assert list(places) == list(range(0, 32, 2))
    assert series["loss"][:2] == [1.0, measures.HIGHEST]


def test_a_fresh_stream_begins_anew_and_one_that_is_its_own_iterator_does_not(stored: helpers.Stored) -> None:
    fresh, used = lab.Numbers(stored), workers.OwnIterator(101)
    assert [number for _, number in fresh] == [number for _, number in fresh] == list(range(101))
    assert [number for _, number in used] == list(range(101))
    assert list(used) == []


@given(st.integers(0, 101), st.integers(1, 120), st.integers(1, 4), st.data())
def test_a_state_taken_after_any_sample_goes_on_with_the_next(
    stored: helpers.Stored, stop: int, size: int, count: int, data: st.DataObject
) -> None:
    share = lab.share_of(101, 0, 1, data.draw(st.integers(0, count - 1)), count)
    whole = list(workers.Pass(stored.path, 8, share, size, 1, 0))
    first, second = (workers.Pass(stored.path, 8, share, size, seed, 0) for seed in (1, 2))
    begun = list(islice(first, stop))
    second.load_state_dict(first.state_dict())
    assert begun + list(second) == whole
    assert sorted(number for _, number in whole) == sorted(share)


def test_a_picture_warns_of_what_was_read_before() -> None:
    cells = measures.who_reads("all", [(0, 0, 0), (0, 1, 0), (0, 1, 1)], 1, 2)
    tones = [[cell.tone for cell in row.filled()] for row in cells.rows]
    assert tones == [[1], [WARN, 2]]
