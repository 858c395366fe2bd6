"""Timing in turn. The clock is tried once, with much slack; all else is about order, counts and threads."""

import time
from collections import Counter
from collections.abc import Callable
from statistics import median

import pytest
import torch

from labs.kit.measure import timing


def asleep(seconds: float) -> Callable[[], None]:
    """Take so long, on a busy machine too."""
    return lambda: time.sleep(seconds)


def middle_ratio(arms: timing.Arms) -> float:
    return median(first / second for first, second in zip(*arms, strict=True))


def test_the_clock_tells_long_from_short() -> None:
    assert middle_ratio(timing.in_turn(asleep(40e-3), asleep(5e-3), rounds=5)) > 1.5
    assert middle_ratio(timing.in_turn(asleep(5e-3), asleep(40e-3), rounds=5)) < 1 / 1.5


def test_the_same_work_takes_about_the_same_time() -> None:
    assert 0.5 < middle_ratio(timing.in_turn(asleep(30e-3), asleep(30e-3), rounds=7)) < 2


def test_seconds_are_seconds_of_one_call() -> None:
    assert 20e-3 <= timing.seconds(asleep(20e-3), calls=5) < 80e-3


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The order of timed samples of `a` and `b`; one call fills a sample."""
    order: list[str] = []

    def note(function: Callable[[], str], calls: int) -> float:
        order.append(function())
        return 1.0

    monkeypatch.setattr(timing, "seconds", note)
    monkeypatch.setattr(timing, "calls_per_sample", lambda function, min_sample_s, agree: 1)
    return order


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_each_round_has_one_sample_of_both(called: list[str], rounds: int) -> None:
    arms = timing.in_turn(lambda: "a", lambda: "b", rounds=rounds)
    assert len(arms.first) == len(arms.second) == rounds
    assert Counter(called) == {"a": rounds, "b": rounds}


def test_who_goes_first_changes_with_every_round(called: list[str]) -> None:
    timing.in_turn(lambda: "a", lambda: "b", rounds=3)
    assert called == ["a", "b", "b", "a", "a", "b"]


def test_samples_belong_to_their_arm_whoever_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "seconds", lambda function, calls: function())
    monkeypatch.setattr(timing, "calls_per_sample", lambda function, min_sample_s, agree: 1)
    assert timing.in_turn(lambda: 3.0, lambda: 1.0, rounds=4) == ([3.0] * 4, [1.0] * 4)


@pytest.mark.parametrize("length", [1e-7, 1e-5, 1e-3, 1.0])
def test_as_many_calls_as_fill_a_sample(monkeypatch: pytest.MonkeyPatch, length: float) -> None:
    monkeypatch.setattr(timing, "seconds", lambda function, calls: length)
    calls = timing.calls_per_sample(lambda: None, 2e-3)
    assert calls * length >= 2e-3
    assert calls == 1 or calls * length < 8e-3


def test_the_first_call_is_a_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def timed(function: Callable[[], object], calls: int) -> float:
        events.append("timed")
        return 1.0

    monkeypatch.setattr(timing, "seconds", timed)
    timing.calls_per_sample(lambda: events.append("called"), 2e-3)
    assert events == ["called", "timed"]


def test_torch_gets_its_threads_back() -> None:
    before = torch.get_num_threads()
    with timing.torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_torch_gets_its_threads_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="on purpose"), timing.torch_threads(before + 1):
        raise RuntimeError("on purpose")
    assert torch.get_num_threads() == before


def test_arms_are_timed_on_one_thread_unless_more_are_asked_for() -> None:
    seen: list[int] = []
    timing.in_turn(lambda: seen.append(torch.get_num_threads()), lambda: None, rounds=1, min_sample_s=0)
    timing.in_turn(
        lambda: seen.append(torch.get_num_threads()), lambda: None, rounds=1, min_sample_s=0, threads=2
    )
    assert set(seen[:2]) == {1}
    assert seen[-1] == 2
