"""Lab 27: the formulas on cases that can be counted by hand, and the checkpoint by hand inside segments of every length."""

import pytest
import torch

from labs.m4_architecture import _lab27_helpers as helpers
from labs.m4_architecture import lab27_gradient_checkpointing as lab


def test_nine_layers_in_three_segments_peak_at_three_inputs_three_layers_and_what_is_in_flight() -> None:
    assert lab.predicted_peak(9, 3) == 3 + 3 + 2
    assert lab.predicted_peak(9, 3, per_layer=3) == 3 + 9 + 2


@pytest.mark.parametrize("budget", range(4, 60))
def test_no_other_plan_is_deeper(budget: int) -> None:
    layers, length = lab.deepest_plan(budget)
    assert lab.predicted_peak(layers, length) <= budget
    assert layers == max(other * (budget - lab.WORKING - other) for other in range(1, budget))


@pytest.mark.parametrize("budget", [40, 42, 48, 100])
def test_from_forty_tensors_on_the_gain_is_tenfold(budget: int) -> None:
    layers, _ = lab.deepest_plan(budget + lab.WORKING)
    assert layers >= 10 * budget


@pytest.mark.parametrize("length", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_checkpoint_by_hand_has_the_plain_gradient(length: int, dropout: float) -> None:
    right_P = lab.gradients(6, 6, 5, 8, helpers.plain, dropout)
    assert torch.equal(lab.gradients(6, length, 5, 8, lab.checkpointed_by_hand, dropout), right_P)
    assert right_P.abs().max() > 0


def test_a_recomputation_leaves_the_dice_where_they_were() -> None:
    model, x_RD = helpers.network(2, 8, 0.5), helpers.batch(5, 8)
    out_RD = lab.checkpointed_by_hand(model, x_RD)
    before = torch.get_rng_state()
    out_RD.sum().backward()
    assert torch.equal(torch.get_rng_state(), before)


def alive(lives: list[helpers.Life], moment: int, segment: int | None = None) -> int:
    """Count the tensors that live at a moment, of one segment or of all."""
    return sum(
        life.birth <= moment < life.death for life in lives if segment is None or life.segment == segment
    )


def test_the_timelines_show_the_peaks_that_the_formula_predicts() -> None:
    for length, way in ((9, helpers.plain), (3, helpers.without_dice)):
        lives = helpers.lifetimes(9, 3, 8, 4, way)
        peak = max(alive(lives, life.birth) for life in lives)
        assert abs(peak - lab.predicted_peak(9, length)) <= 1  # what an operation lets go counts to its end


def test_without_checkpoints_tensors_pile_up_and_with_them_segments_come_back_in_reverse_order() -> None:
    piled, kept = (helpers.lifetimes(9, 3, 8, 4, way) for way in (helpers.plain, helpers.without_dice))
    turn = 9 * 4 + 1  # operations of forward with checkpoints: tanh, transpose, product and sum of each layer
    assert [alive(kept, turn, segment) for segment in range(3)] == [1, 1, 1]
    returns = [
        min(life.birth for life in kept if life.segment == segment and life.birth > turn)
        for segment in range(3)
    ]
    assert returns == sorted(returns, reverse=True)
    turn = min(life.birth for life in piled if life.segment == helpers.GRADIENTS)
    assert [alive(piled, turn, segment) for segment in range(3)] == [3, 3, 4]


def test_a_timeline_has_a_lane_for_each_segment_and_one_for_gradients() -> None:
    drawn = helpers.timeline(helpers.lifetimes(9, 3, 8, 4, helpers.plain))
    assert list(drawn.lanes) == ["segment 1", "segment 2", "segment 3", "gradients"]
    assert [drawn.lanes[f"segment {number}"][-1].text for number in (1, 2, 3)] == ["1", "1", "1"]
    lives = [helpers.Life(0, 0, 20), helpers.Life(0, 5, 15), helpers.Life(0, 6, 8)]
    spans = helpers.timeline(lives).lanes["segment 1"]
    assert [(span.start, span.end, span.text) for span in spans] == [(0, 5, "1"), (5, 15, "2"), (15, 20, "1")]


def test_a_network_is_cut_into_segments_and_the_last_may_be_shorter() -> None:
    assert [len(segment) for segment in helpers.segments_of(helpers.network(7, 4), 3)] == [3, 3, 1]
