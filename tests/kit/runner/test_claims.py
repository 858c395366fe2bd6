"""Judging claims: what holds, what fails, and what a machine cannot tell."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labs.kit.runner import claims
from labs.kit.runner.claims import Tolerance
from labs.record import Bound

WHY = "so it was chosen"
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
ROWS = st.lists(NUMBERS, min_size=1, max_size=20)
DURATIONS = st.lists(st.floats(1e-6, 1e3), min_size=5, max_size=21)


class TestEqual:
    @pytest.mark.parametrize(
        ("got", "want"),
        [
            (1, 1),
            (2.5, 2.5),
            ("yes", "yes"),
            (True, True),
            (None, None),
            (torch.float32, torch.float32),
            ([1, 2], [1, 2]),
            ((1, 2), [1, 2]),
            ([1, "a", None], [1, "a", None]),
            ([[1, 2], [3]], [[1, 2], [3]]),
            (torch.tensor([1, 2]), torch.tensor([1, 2])),
            (torch.tensor(3.0), torch.tensor(3.0)),
            (torch.tensor([1 + 2j]), torch.tensor([1 + 2j])),
            (torch.tensor([math.inf, -math.inf]), torch.tensor([math.inf, -math.inf])),
            ([torch.ones(2), torch.zeros(3)], [torch.ones(2), torch.zeros(3)]),
            ([torch.ones(2), torch.empty(0, 3)], [torch.ones(2), torch.empty(0, 3)]),
            ([("a", [torch.ones(2)]), None], [("a", (torch.ones(2),)), None]),
        ],
    )
    def test_the_same_is_equal(self, got: Any, want: Any) -> None:
        assert claims.equal(got, want).held is True

    @pytest.mark.parametrize(
        ("got", "want", "reason"),
        [
            (1, 2, "got 1, want 2"),
            ("yes", "no", "got 'yes', want 'no'"),
            ([1, 2, 3], [1, 5, 6], "2 of 3 values differ, the first at 1: got 2, want 5"),
            ([1, 2], [1, 2, 3], "got 2 items, want 3"),
            (1, [1], "got 1, want [1]"),
            ([1, 2], torch.tensor([1, 2]), "got [1, 2], want tensor([1, 2])"),
            (torch.tensor([1, 2]), (1, 2), "want (1, 2)"),
            (
                torch.ones(2, 3),
                torch.ones(3, 2),
                "got a tensor of [2, 3] torch.float32, want [3, 2] torch.float32",
            ),
            (torch.ones(2), torch.ones(2, dtype=torch.float64), "torch.float32, want [2] torch.float64"),
            (torch.tensor([1 + 2j]), torch.tensor([1 - 2j]), "got (1+2j), want (1-2j)"),
            ([[1, 2], [3]], [[1, 2], [4]], "1 of 2 values differ, the first at 1: got [3], want [4]"),
            (
                [torch.ones(2), torch.zeros(3)],
                [torch.ones(2), torch.zeros(4)],
                "1 of 2 values differ, the first at 1",
            ),
            ([torch.ones(2)], [1], "want 1"),
            ([1, torch.empty(0, 3)], [1, torch.empty(3, 0)], "1 of 2 values differ, the first at 1"),
            ([1, torch.empty(0)], [1, torch.empty(0).long()], "1 of 2 values differ, the first at 1"),
            ([("a", torch.ones(2))], [("a", torch.zeros(2))], "got ('a', tensor([1., 1.]))"),
            (
                [("a", [torch.tensor([math.nan])])],
                [("a", [torch.tensor([math.nan])])],
                "got ('a', [tensor([nan])])",
            ),
        ],
    )
    def test_another_thing_is_not_and_the_reason_says_where(self, got: Any, want: Any, reason: str) -> None:
        outcome = claims.equal(got, want)
        assert outcome.held is False
        assert reason in outcome.reason

    @pytest.mark.parametrize(
        "nan",
        [
            math.nan,
            [math.nan],
            torch.tensor(math.nan),
            torch.tensor([1.0, math.nan]),
            [torch.tensor([math.nan])],
        ],
    )
    def test_nan_equals_nothing(self, nan: Any) -> None:
        assert claims.equal(nan, nan).held is False

    @pytest.mark.parametrize("nothing", [[], (), torch.empty(0), torch.empty(3, 0), [torch.empty(0), ()]])
    def test_over_no_cases_nothing_is_shown(self, nothing: Any) -> None:
        outcome = claims.equal(nothing, nothing)
        assert outcome.held is False
        assert outcome.reason == "nothing was compared"
        assert outcome.cases == 0

    def test_no_cases_fail_also_when_the_lab_counts_them(self) -> None:
        assert claims.equal([1], [1], cases=0).held is False

    def test_the_lab_may_count_its_own_cases(self) -> None:
        outcome = claims.equal([], [], cases=400, unit="layouts")
        assert (outcome.held, outcome.cases, outcome.value) == (True, 400, 400)
        assert (outcome.bound, outcome.unit) == (Bound(want=400), "layouts")
        assert outcome.shown == "400 of 400 layouts"

    def test_which_of_its_own_cases_differ_the_lab_knows_alone(self) -> None:
        outcome = claims.equal(False, True, cases=400, unit="layouts")
        assert (outcome.held, outcome.value, outcome.cases) == (False, None, 400)
        assert outcome.reason == "got False, want True"

    def test_values_are_counted_where_the_lab_names_no_unit(self) -> None:
        assert claims.equal([1, 2], [1, 2]).shown == "2 of 2 values"
        assert claims.equal(torch.ones(10, 123), torch.ones(10, 123)).shown == "1,230 of 1,230 values"

    def test_a_single_thing_is_shown_itself(self) -> None:
        assert claims.equal("abc", "abc").shown == "'abc'"
        assert claims.equal(torch.tensor(3), torch.tensor(3)).shown == "3"

    def test_a_failure_says_how_many_of_which_kind(self) -> None:
        outcome = claims.equal([1, 2, 3], [1, 5, 6], unit="layouts")
        assert (outcome.value, outcome.bound) == (1, Bound(want=3))
        assert outcome.shown == "2 of 3 layouts differ, the first at 1: got 2, want 5"

    def test_a_tensor_that_needs_a_gradient_is_compared_too(self) -> None:
        assert claims.equal(torch.ones(2, requires_grad=True), torch.ones(2)).held is True

    def test_negative_zero_is_zero(self) -> None:
        assert claims.equal(torch.tensor(-0.0), torch.tensor(0.0)).held is True

    @given(ROWS)
    def test_every_row_equals_itself(self, row: list[float]) -> None:
        assert claims.equal(row, list(row)).held is True
        assert claims.equal(torch.tensor(row), torch.tensor(row)).held is True

    @given(ROWS, st.data())
    def test_differences_are_counted(self, row: list[float], data: st.DataObject) -> None:
        places = data.draw(st.sets(st.integers(0, len(row) - 1), min_size=1))
        other = [value + 1 if place in places else value for place, value in enumerate(row)]
        ours, theirs = torch.tensor(row, dtype=torch.float64), torch.tensor(other, dtype=torch.float64)
        for outcome in (claims.equal(row, other), claims.equal(ours, theirs)):
            assert outcome.held is False
            assert outcome.value == len(row) - len(places)
            where = f"{len(places)} of {len(row)} values differ, the first at {min(places)}:"
            assert len(row) == 1 or where in outcome.reason


class TestClose:
    @pytest.mark.parametrize(
        ("got", "want", "tolerance", "relative", "held"),
        [
            (1.0, 1.25, 0.25, False, True),
            (1.0, 1.25, 0.24, False, False),
            ([1, 2], [1, 2.5], 0.5, False, True),
            ([[1, 2], [3, 4]], torch.tensor([[1, 2], [3, 4.5]]), 0.5, False, True),
            (torch.tensor([1, 2]), torch.tensor([1.0, 2.0], dtype=torch.float64), 0.0, False, True),
            (torch.tensor([3 + 4j]), torch.tensor([0j]), 5.0, False, True),
            (torch.tensor([3 + 4j]), torch.tensor([0j]), 4.9, False, False),
            (torch.tensor([3 + 4j]), 3.0, 4.9, False, False),
            (torch.tensor([110.0, 0.0]), torch.tensor([100.0, 0.0]), 0.11, True, True),
            (torch.tensor([110.0, 0.0]), torch.tensor([100.0, 0.0]), 0.09, True, False),
            (torch.ones(2, 3), torch.ones(3, 2), 9.0, False, False),
            (torch.empty(0), torch.empty(0), 9.0, False, False),
            (math.nan, math.nan, 9.0, False, False),
            (math.inf, 1.0, 9.0, False, False),
            (math.inf, math.inf, 9.0, False, False),
            (torch.zeros(2), torch.zeros(2), 0.1, True, False),
        ],
    )
    def test_within_the_tolerance(
        self, got: Any, want: Any, tolerance: float, relative: bool, held: bool
    ) -> None:
        assert claims.close(got, want, Tolerance(tolerance, WHY, relative=relative)).held is held

    @pytest.mark.parametrize("got", [math.nan, math.inf])
    def test_an_error_that_is_no_number_is_text_for_the_record(self, got: float) -> None:
        outcome = claims.close(got, 1.0, Tolerance(0.5, WHY))
        assert outcome.value == str(got)
        assert outcome.reason

    def test_half_precision_is_compared_in_double(self) -> None:
        outcome = claims.close(torch.tensor(1.0009765625, dtype=torch.float16), 1.0, Tolerance(1e-3, WHY))
        assert outcome.value == pytest.approx(2**-10, abs=0)

    def test_numbers_of_python_keep_their_precision(self) -> None:
        assert claims.close(1 + 1e-9, 1.0, Tolerance(1e-12, WHY)).held is False
        assert claims.close([1 + 1e-9, 1.0], [1.0, 1.0], Tolerance(1e-12, WHY)).held is False

    def test_a_bfloat16_that_needs_a_gradient_is_compared_too(self) -> None:
        assert (
            claims.close(
                torch.ones(2, dtype=torch.bfloat16, requires_grad=True), [1, 1], Tolerance(0, WHY)
            ).held
            is True
        )

    @given(ROWS, ROWS)
    def test_the_error_is_the_largest_gap(self, ours: list[float], theirs: list[float]) -> None:
        count = min(len(ours), len(theirs))
        ours, theirs = ours[:count], theirs[:count]
        gap = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        assert claims.close(ours, theirs, Tolerance(gap, WHY)).held is True
        tensors = torch.tensor(ours, dtype=torch.float64), torch.tensor(theirs, dtype=torch.float64)
        assert claims.close(*tensors, Tolerance(gap, WHY)).value == gap
        if gap:
            assert claims.close(ours, theirs, Tolerance(math.nextafter(gap, 0), WHY)).held is False

    @given(ROWS, st.floats(0, 1e6))
    def test_torch_comes_to_the_same_verdict(self, row: list[float], tolerance: float) -> None:
        ours = torch.tensor(row, dtype=torch.float64)
        theirs = ours.flip(0)
        try:
            torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)
            torch_agrees = True
        except AssertionError:
            torch_agrees = False
        assert claims.close(ours, theirs, Tolerance(tolerance, WHY)).held is torch_agrees

    @pytest.mark.parametrize(
        ("got", "want", "relative", "shown"),
        [
            (
                [1.0] * 12,
                [1.0] * 11 + [1.00000024],
                False,
                "largest difference 2.4e-07 over 12 numbers, allowed 1.1e-06",
            ),
            (1.0, 1.00000024, False, "difference 2.4e-07, allowed 1.1e-06"),
            ([2.0, 0.0], [2.00000024, 0.0], True, "relative error 1.2e-07 over 2 numbers, allowed 1.1e-06"),
        ],
    )
    def test_the_error_is_shown_beside_what_is_allowed(
        self, got: Any, want: Any, relative: bool, shown: str
    ) -> None:
        outcome = claims.close(got, want, Tolerance(1.1e-6, WHY, relative=relative))
        assert outcome.shown == shown
        assert (outcome.bound, outcome.unit) == (Bound(tolerance=1.1e-6), "")


class TestNumber:
    @pytest.mark.parametrize(
        ("got", "bounds", "held"),
        [
            (4, {"want": 4}, True),
            (5, {"want": 4}, False),
            (0, {"want": 0}, True),
            (4, {"at_least": 4}, True),
            (3, {"at_least": 4}, False),
            (4, {"at_most": 4}, True),
            (5, {"at_most": 4}, False),
            (-1, {"at_least": 0}, False),
            (5, {"at_least": 4, "at_most": 6}, True),
            (3, {"at_least": 4, "at_most": 6}, False),
            (7, {"at_least": 4, "at_most": 6}, False),
            (math.nan, {"at_least": 0}, False),
            (math.nan, {"at_most": 0}, False),
            (math.nan, {"want": math.nan}, False),
        ],
    )
    def test_against_its_bounds(self, got: float, bounds: dict[str, float], held: bool) -> None:
        outcome = claims.number(got, **bounds, unit="bytes")
        assert outcome.held is held
        assert bool(outcome.reason) is not held

    def test_the_bound_is_shown_in_thousands(self) -> None:
        outcome = claims.number(1234567, at_most=2000000, unit="bytes")
        assert outcome.shown == "1,234,567 bytes, at most 2,000,000"
        assert outcome.bound == Bound(at_most=2000000)

    def test_what_is_exactly_what_was_wanted_is_said_once(self) -> None:
        assert claims.number(16384, want=16384, unit="bytes").shown == "16,384 bytes"
        assert claims.number(3, want=4, unit="").shown == "3, exactly 4"

    def test_without_a_bound_it_is_no_claim(self) -> None:
        with pytest.raises(ValueError, match="needs a bound"):
            claims.number(4, unit="bytes")


def refuse(error: Exception) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


class TestRaises:
    @pytest.mark.parametrize(
        ("error", "held"),
        [
            (RuntimeError("sizes (2) do not match"), True),
            (NotImplementedError("sizes (2) do not match"), True),
            (ValueError("sizes (2) do not match"), False),
            (RuntimeError("sizes 2 do not match"), False),
            (RuntimeError(""), False),
        ],
    )
    def test_kind_and_message(self, error: Exception, held: bool) -> None:
        outcome = claims.raises(refuse(error), RuntimeError, "sizes (2) do")
        assert outcome.held is held
        assert type(error).__name__ in str(outcome.value)

    def test_raising_nothing_fails(self) -> None:
        outcome = claims.raises(lambda: None, RuntimeError, "")
        assert outcome.held is False
        assert "nothing was raised" in outcome.reason

    def test_of_a_long_message_the_first_line_is_shown_and_all_is_searched(self) -> None:
        outcome = claims.raises(refuse(RuntimeError("first\nsecond")), RuntimeError, "second")
        assert outcome.held is True
        assert outcome.shown == "RuntimeError: first"

    def test_ctrl_c_is_not_swallowed(self) -> None:
        def interrupted() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            claims.raises(interrupted, RuntimeError, "")


ONES = [1.0] * 8


class TestRatio:
    @pytest.mark.parametrize(
        ("top", "bounds", "held"),
        [
            ([3.0] * 8, {"at_least": 2}, True),
            ([1.0] * 8, {"at_least": 2}, False),
            ([1, 1, 1, 1, 3, 3, 3, 3], {"at_least": 2}, None),
            ([1.0] * 8, {"at_most": 2}, True),
            ([3.0] * 8, {"at_most": 2}, False),
            ([1, 1, 1, 1, 3, 3, 3, 3], {"at_most": 2}, None),
            ([1.0] * 8, {"at_least": 0.5, "at_most": 2}, True),
            ([0.1] * 8, {"at_least": 0.5, "at_most": 2}, False),
            ([3.0] * 8, {"at_least": 0.5, "at_most": 2}, False),
            ([0.1, 0.1, 0.1, 0.1, 3, 3, 3, 3], {"at_least": 0.5, "at_most": 2}, None),
            ([2.0] * 8, {"at_least": 2}, True),
            ([2.0] * 8, {"at_most": 2}, True),
            ([9, 3, 3, 3, 3, 3, 3, 1], {"at_least": 2}, True),
        ],
    )
    def test_the_middle_half_decides(
        self, top: list[float], bounds: dict[str, float], held: bool | None
    ) -> None:
        outcome = claims.ratio(top, ONES, **bounds)
        assert outcome.held is held
        assert bool(outcome.reason) is (held is not True)
        assert ("too noisy" in outcome.reason) is (held is None)

    def test_what_the_worst_quarter_says_does_not_matter(self) -> None:
        assert claims.ratio([0.1, 3, 3, 3, 3, 3, 3, 3], ONES, at_least=2).held is True

    def test_pairs_are_divided_before_the_middle_is_taken(self) -> None:
        assert (
            claims.ratio([2, 20, 200, 2000, 20000], [1, 10, 100, 1000, 10000], at_least=2, at_most=2).held
            is True
        )

    def test_without_a_bound_it_is_no_claim(self) -> None:
        with pytest.raises(ValueError, match="needs a bound"):
            claims.ratio(ONES, ONES)

    def test_arms_of_different_length_are_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="zip"):
            claims.ratio(ONES, ONES[:-1], at_least=1)

    @given(DURATIONS, st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
    def test_a_lower_floor_is_never_harder(self, top: list[float], one: float, other: float) -> None:
        order = {False: 0, None: 1, True: 2}
        low, high = sorted((one, other))
        bottom = [1.0] * len(top)
        easy, hard = claims.ratio(top, bottom, at_least=low), claims.ratio(top, bottom, at_least=high)
        assert order[easy.held] >= order[hard.held]
        easy, hard = claims.ratio(top, bottom, at_most=high), claims.ratio(top, bottom, at_most=low)
        assert order[easy.held] >= order[hard.held]

    @given(DURATIONS, st.floats(1e-3, 1e3))
    def test_a_floor_and_a_ceiling_at_one_place_agree_only_there(
        self, top: list[float], bound: float
    ) -> None:
        bottom = [1.0] * len(top)
        above, below = claims.ratio(top, bottom, at_least=bound), claims.ratio(top, bottom, at_most=bound)
        if above.held is True and below.held is True:
            assert above.value == bound
        else:
            assert (above.held, below.held) in (
                (True, False),
                (False, True),
                (None, None),
                (True, None),
                (None, True),
            )


class TestStat:
    @pytest.mark.parametrize(
        ("differences", "bounds", "held"),
        [
            ([1.0, 1.1, 0.9, 1.0, 1.0], {}, True),
            ([-1.0, -1.1, -0.9, -1.0, -1.0], {}, False),
            ([1.0, -1.0, 1.0, -1.0, 1.0], {}, False),
            ([0.5] * 5, {}, True),
            ([0.5] * 5, {"above": 0.5}, False),
            ([0.0] * 5, {}, False),
            ([1.0, 1.1, 0.9, 1.0, 1.0], {"above": 0.9}, True),
            ([1.0, 1.1, 0.9, 1.0, 1.0], {"above": 0.9, "standard_errors": 4.0}, False),
            ([math.nan, 1.0, 1.0, 1.0, 1.0], {}, False),
        ],
    )
    def test_the_margin_is_counted_in_standard_errors(
        self, differences: list[float], bounds: dict[str, Any], held: bool
    ) -> None:
        outcome = claims.stat(differences, **bounds)
        assert outcome.held is held
        assert outcome.samples == pytest.approx(differences, nan_ok=True)

    @pytest.mark.parametrize("count", range(claims.MIN_SEEDS))
    def test_a_spread_off_fewer_than_five_seeds_is_none(self, count: int) -> None:
        with pytest.raises(ValueError, match="at least 5 paired seeds"):
            claims.stat([1.0] * count)

    @given(st.lists(NUMBERS, min_size=5, max_size=20))
    def test_no_direction_and_its_opposite_both_hold(self, differences: list[float]) -> None:
        forwards, backwards = (
            claims.stat(differences),
            claims.stat([-difference for difference in differences]),
        )
        assert not (forwards.held and backwards.held)


def test_of_long_values_the_place_is_shown_in_which_they_differ() -> None:
    row = [*range(100)]
    reason = claims.equal([row], [[*row[:70], -1, *row[71:]]], unit="rows").reason
    assert "got …" in reason
    assert " 70, " in reason.partition(", want ")[0]
    assert " -1, " in reason.partition(", want ")[2]
    assert len(reason) < 200
