"""Lab 47: the attacks on a linear network, where the best change is known, and on networks with random weights."""

import pytest
import torch
from torch import nn

from labs.m7_bonus import lab47_adversarial_example_generation as lab


@pytest.fixture
def linear() -> nn.Sequential:
    """Two classes, and the second one likes bright pixels. The weights are small: a sure answer has a gradient of zero."""
    layer = nn.Linear(64, 2, bias=False)
    layer.load_state_dict({"weight": torch.stack([torch.zeros(64), torch.full((64,), 0.125)])})
    return nn.Sequential(nn.Flatten(), layer)


def grey(count: int) -> torch.Tensor:
    return torch.full((count, 1, 8, 8), 0.5)


def test_fgsm_brightens_what_is_of_the_first_class_and_darkens_what_is_of_the_second(
    linear: nn.Sequential,
) -> None:
    x_adv_NCHW = lab.fgsm(linear, grey(2), torch.tensor([0, 1]), 0.25)
    assert x_adv_NCHW[0].unique().tolist() == [0.75]
    assert x_adv_NCHW[1].unique().tolist() == [0.25]


def test_a_target_is_approached_with_the_opposite_sign(linear: nn.Sequential) -> None:
    moved_NCHW = lab.targeted(linear, grey(2), torch.tensor([0, 1]), 0.25, 8)
    assert moved_NCHW[0].unique().tolist() == [0.25]
    assert moved_NCHW[1].unique().tolist() == [0.75]


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_pgd_stays_in_the_box_and_is_no_weaker_than_fgsm(epsilon: float, seed: int) -> None:
    torch.manual_seed(seed)
    model, x_NCHW, y_N = lab.convolutional(), torch.rand(9, 1, 8, 8), torch.randint(10, (9,))
    fast_NCHW = lab.fgsm(model, x_NCHW, y_N, epsilon)
    strong_NCHW = lab.pgd(model, fast_NCHW, x_NCHW, y_N, epsilon, 4)
    assert torch.equal(strong_NCHW, strong_NCHW.clamp(x_NCHW - epsilon, x_NCHW + epsilon).clamp(0, 1))
    assert bool((lab.margin(model, strong_NCHW, y_N) >= lab.margin(model, fast_NCHW, y_N)).all())


def test_a_margin_is_the_lead_of_the_best_wrong_class(linear: nn.Sequential) -> None:
    assert lab.margin(linear, grey(2), torch.tensor([0, 1])).tolist() == [4.0, -4.0]
    assert lab.accuracy(linear, grey(2), torch.tensor([0, 1])) == 0.5


def test_noise_moves_every_pixel_by_epsilon_both_ways() -> None:
    moved_NCHW = lab.noise(grey(5), 0.25) - 0.5
    assert moved_NCHW.abs().unique().tolist() == [0.25]
    assert moved_NCHW.unique().tolist() == [-0.25, 0.25]


def test_no_digit_is_both_for_training_and_for_testing() -> None:
    data = lab.dealt()
    assert (len(data.train_N), len(data.y_N)) == (1297, 500)
    assert int(torch.bincount(data.y_N, minlength=10).min()) > 20


def test_the_same_seed_trains_the_same_network() -> None:
    data = lab.dealt()
    first, second = (lab.hardened(data, 1, 3, 0.1) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first.parameters(), second.parameters(), strict=True))
