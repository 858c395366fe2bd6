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


def test_a_network_is_cut_into_segments_and_the_last_may_be_shorter() -> None:
    assert [len(segment) for segment in helpers.segments_of(helpers.network(7, 4), 3)] == [3, 3, 1]
