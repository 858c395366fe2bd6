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


# From here on nothing takes its time: functions move a clock of their own on.


class Clock:
    """A clock that only the timed functions move on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.samples: list[tuple[str, float]] = []

    def perf_counter(self) -> float:
        return self.now

    def function(self, name: str, *first: float, later: float) -> Callable[[], None]:
        """A function whose first calls take so many seconds, and every later one the same."""
        durations = iter(first)

        def call() -> None:
            self.now += next(durations, later)

        call.__name__ = name
        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made, seconds = Clock(), timing.seconds

    def noted(function: Callable[[], object], calls: int, device: torch.device = timing.CPU) -> float:
        took = seconds(function, calls, device)
        made.samples.append((function.__name__, took * calls))
        return took

    monkeypatch.setattr(timing, "time", made)
    monkeypatch.setattr(timing, "seconds", noted)
    return made


def rounds_of(clock: Clock, rounds: int) -> list[tuple[str, float]]:
    return clock.samples[-2 * rounds :]


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_each_round_has_one_sample_of_both(clock: Clock, rounds: int) -> None:
    both = clock.function("a", later=1.0), clock.function("b", later=1.0)
    arms = timing.in_turn(*both, rounds=rounds)
    assert len(arms.first) == len(arms.second) == rounds
    assert Counter(name for name, _ in rounds_of(clock, rounds)) == {"a": rounds, "b": rounds}


def test_who_goes_first_changes_with_every_round(clock: Clock) -> None:
    timing.in_turn(clock.function("a", later=1.0), clock.function("b", later=1.0), rounds=3)
    assert [name for name, _ in rounds_of(clock, 3)] == ["a", "b", "b", "a", "a", "b"]


def test_samples_belong_to_their_arm_whoever_goes_first(clock: Clock) -> None:
    arms = timing.in_turn(clock.function("a", later=3.0), clock.function("b", later=1.0), rounds=4)
    assert arms == ([3.0] * 4, [1.0] * 4)


@pytest.mark.parametrize("length", [1e-7, 1e-5, 1e-3, 1.0])
def test_as_many_calls_as_fill_a_sample(clock: Clock, length: float) -> None:
    timing.in_turn(clock.function("a", later=length), clock.function("b", later=length), rounds=3)
    for _, took in rounds_of(clock, 3):
        assert took >= 2e-3
        assert took == pytest.approx(length) or took < 8e-3


@pytest.mark.parametrize(
    "first",
    [
        (30.0, 2.0),  # compiled at the first call, recorded at the second
        (30.0, 0.5, 0.4, 0.3, 0.2, 0.1, 0.01),  # slowly warmer
    ],
)
def test_slow_first_calls_are_in_no_sample(clock: Clock, first: tuple[float, ...]) -> None:
    arms = timing.in_turn(clock.function("a", *first, later=1e-4), clock.function("b", later=1e-4))
    assert arms.first == pytest.approx([1e-4] * 15)
    assert all(took >= 2e-3 for _, took in rounds_of(clock, 15))


def test_who_gets_faster_later_is_called_more_often_from_then_on(clock: Clock) -> None:
    arms = timing.in_turn(clock.function("a", *[0.05] * 8, later=1e-4), clock.function("b", later=1e-4))
    assert arms.first == pytest.approx([0.05] * 4 + [1e-4] * 11)
    assert [name for name, took in rounds_of(clock, 10) if took < 2e-3] == []


def test_a_function_is_called_four_times_at_least_before_it_is_timed(clock: Clock) -> None:
    timing.in_turn(clock.function("a", later=1.0), clock.function("b", later=1.0), rounds=1)
    assert [name for name, _ in clock.samples] == ["a"] * 4 + ["b"] * 4 + ["a", "b"]


def test_all_processes_call_a_function_equally_often(clock: Clock) -> None:
    told: list[float] = []

    def longest(took: float) -> float:
        told.append(took)
        return 1.0

    timing.in_turn(clock.function("a", later=1e-6), clock.function("b", later=1e-6), rounds=2, agree=longest)
    assert told == pytest.approx([took for _, took in clock.samples])
    assert len(told) == 4 + 4 + 2 * 2


class Event:
    """Stands in for a GPU's event: it sees what is on the stream, here the same clock."""

    clock: Clock

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.at = self.clock.now

    def elapsed_time(self, end: "Event") -> float:
        return 1e3 * (end.at - self.at)


@pytest.fixture
def gpu(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A machine that also has a GPU, whose events alone see time go by there."""
    monkeypatch.setattr(Event, "clock", clock, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    return clock


def test_on_a_machine_with_a_gpu_a_cpus_work_is_timed_by_the_clock(
    gpu: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "Event", None)
    assert timing.seconds(gpu.function("a", later=0.5), 4) == 0.5


def test_a_gpus_work_is_timed_by_events_in_samples_of_twenty_milliseconds(
    gpu: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "perf_counter", None)
    arms = timing.in_turn(
        gpu.function("a", 9.0, later=1e-4),
        gpu.function("b", later=1e-3),
        rounds=5,
        device=torch.device("cuda", 0),
    )
    assert [*arms.first, *arms.second] == pytest.approx([1e-4] * 5 + [1e-3] * 5)
    assert all(took >= 20e-3 for _, took in rounds_of(gpu, 5))


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
